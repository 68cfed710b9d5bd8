/* man.c - the man pages, in the macros of man(7).  No dates: a page changes only when what
 * it describes does.                                                                       */
#include "cli/facts.h"
#include "conf/conf.h"
#include "lua/api.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>

/* ---- roff ------------------------------------------------------------------------------- */

/* Text as it is: no character of it is a request, an escape or a typographic mark. */
static void put(const char *s)
{
    int start = 1;
    for (; s && *s; s++) {
        if (start && (*s == '.' || *s == '\'')) fputs("\\&", stdout);
        start = *s == '\n';
        switch (*s) {
        case '\\': fputs("\\e", stdout); break;
        case '-':  fputs("\\-", stdout); break;
        case '\'': fputs("\\(aq", stdout); break;
        case '`':  fputs("\\(ga", stdout); break;
        case '^':  fputs("\\(ha", stdout); break;
        case '~':  fputs("\\(ti", stdout); break;
        default:   fputc(*s, stdout);
        }
    }
}

/* Prose: hyphens are hyphens, and lines of the page's source are short. */
static void say(const char *s)
{
    enum { MOST = 78 };
    int column = 0;
    for (; s && *s; s++) {
        if (*s == ' ' && column + (int)strcspn(s + 1, " \n") + 1 > MOST) {
            fputc('\n', stdout);
            column = 0;
            continue;
        }
        if (!column && (*s == '.' || *s == '\'')) fputs("\\&", stdout);
        column = *s == '\n' ? 0 : column + 1;
        if (*s == '\\') fputs("\\e", stdout);
        else if (*s == '~') fputs("\\(ti", stdout);
        else if (*s == '^') fputs("\\(ha", stdout);
        else fputc(*s, stdout);
    }
}

static int fresh;    /* a heading was the last: no paragraph has to begin */

static void paragraph(void)
{
    if (!fresh) fputs(".PP\n", stdout);
    fresh = 0;
}

static void title(const char *name, const char *section, const char *what, mls_arena *a)
{
    char *upper = mls_arena_strdup(a, name);
    for (char *p = upper; p && *p; p++) *p = (char)toupper((unsigned char)*p);
    fputs(".\\\" Made by mls help --man (make docs); changes are lost.\n.TH ", stdout);
    put(upper);
    fprintf(stdout, " %s \"\" mls \"mls manual\"\n.SH NAME\n", section);
    put(name);
    fputs(" \\- ", stdout);
    say(what);
    fputc('\n', stdout);
}

static void section(const char *name)
{
    fprintf(stdout, ".SH %s\n", name);
    fresh = 1;
}

static void subsection(const char *before, const char *name)
{
    fprintf(stdout, ".SS \"%s", before);
    put(name);
    fputs("\"\n", stdout);
    fresh = 1;
}

/* A tagged paragraph: tag in bold, then what follows it in plain, then the text. */
static void tag(const char *name, const char *after, const char *help)
{
    fputs(".TP\n\\fB", stdout);
    put(name);
    fputs("\\fR", stdout);
    if (after && *after) {
        fputc(' ', stdout);
        put(after);
    }
    fputc('\n', stdout);
    say(help);
    fputs(help && *help ? "\n" : "\\&\n", stdout);
    fresh = 0;
}

static void verbatim(const char *text)
{
    paragraph();
    fputs(".nf\n", stdout);
    put(text);
    fputs("\n.fi\n", stdout);
}

/* Paragraphs with an empty line between; those that begin with two blanks are examples. */
static void prose(const char *text, mls_arena *a)
{
    while (*text) {
        const char *gap = strstr(text, "\n\n");
        const size_t n = gap ? (size_t)(gap - text) : strlen(text);
        const char *one = mls_arena_printf(a, "%.*s", (int)n, text);
        if (*one == ' ') {
            verbatim(one);
        } else {
            paragraph();
            say(one);
            fputc('\n', stdout);
        }
        text += n + strspn(text + n, "\n");
    }
}

static void facts(const char *name, const mls_fact *f)
{
    section(name);
    for (; f->name; f++) tag(f->name, "", f->help);
}

/* ---- mls(1) ------------------------------------------------------------------------------ */

static void flags(const mls_flag *f)
{
    for (; f && f->name; f++)
        tag(f->name, f->kind == MLS_FLAG_VALUE ? f->value ? f->value : "VALUE" : "",
            f->help);
}

static void settings(mls_arena *a)
{
    section("SETTINGS");
    prose("Of an experiment: keys of its YAML file, of --set and of a study.", a);
    for (const mls_setting *s = mls_settings; s->path; s++) {
        const char *more = s->type;
        if (s->choices) more = mls_arena_printf(a, "%s (%s)", more, s->choices);
        if (s->min < s->max && s->max < 1e15)
            more = mls_arena_printf(a, "%s, %.10g to %.10g", more, s->min, s->max);
        if (s->def) more = mls_arena_printf(a, "%s, default %s", more, s->def);
        tag(s->path, more, s->flag ? mls_arena_printf(a, "%s; flag %s", s->help, s->flag)
                                   : s->help);
    }
}

static void page_mls(const mls_pages *p)
{
    title("mls", "1", "experiments with Mamba-Liquid-Spiking networks", p->a);
    section("SYNOPSIS");
    for (const mls_verb *v = mls_verbs; v->name; v++) {
        fprintf(stdout, "%s\\fBmls %s\\fR%s", v == mls_verbs ? "" : ".br\n", v->name,
                *v->words ? " " : "");
        put(v->words);
        fputc('\n', stdout);
    }
    section("DESCRIPTION");
    prose("Trains and compares networks that are wired from components: spiking encoders, "
          "adapters, liquid cells, mixers such as Mamba, fusions and heads. A component is "
          "a plugin; mls-KIND.NAME(7) describes each. Studies are Lua files: mls-study(5). "
          "--plugin-path DIRS (folders or plugin files, joined by colons) goes with every "
          "verb.", p->a);
    section("VERBS");
    for (const mls_verb *v = mls_verbs; v->name; v++) {
        subsection("mls ", v->name);
        prose(mls_arena_printf(p->a, "%c%s.", toupper((unsigned char)v->summary[0]),
                               v->summary + 1), p->a);
        if (v->help) prose(v->help, p->a);
        flags(v->make_options ? v->make_options(p->a) : v->options);
    }
    settings(p->a);
    facts("ENVIRONMENT", mls_environment);
    facts("FILES", mls_files);
    facts("EXIT STATUS", mls_exit_statuses);
    section("SEE ALSO");
    fputs("\\fBmls\\-study\\fR(5)\n", stdout);
}

/* ---- mls-study(5) --------------------------------------------------------------------------- */

static const char *text(const mls_value *v, const char *key)
{
    const mls_value *s = mls_value_get(v, key);
    return s && s->kind == MLS_V_STRING ? s->string : "";
}

static const char *word(const mls_value *list, int i)
{
    return i < list->n && list->item[i]->kind == MLS_V_STRING ? list->item[i]->string : "";
}

static void fields(const mls_value *list)
{
    for (int i = 0; list && i < list->n; i++)
        tag(word(list->item[i], 0), word(list->item[i], 1), word(list->item[i], 2));
}

static void api_function(const mls_value *api, const mls_value *row, mls_arena *a)
{
    const mls_value *params = mls_value_get(row, "params");
    const mls_value *returns = mls_value_get(row, "returns");
    const char *help = mls_arena_printf(a, "%s.", text(row, "help"));
    if (returns && returns->n)
        help = mls_arena_printf(a, "%s Returns %s%s%s%s.", help, word(returns->item[0], 0),
                                *word(returns->item[0], 1) ? " (" : "",
                                word(returns->item[0], 1),
                                *word(returns->item[0], 1) ? ")" : "");
    tag(mls_lua_signature(api, row, a), text(row, "type"), help);
    if (!params || !params->n) return;
    fputs(".RS\n", stdout);
    fields(params);
    fputs(".RE\n", stdout);
}

static void page_study(const mls_pages *p)
{
    const mls_value *api = mls_lua_api(p->a, p->e);
    if (!api) return;
    title("mls-study", "5", "study files of mls", p->a);
    section("DESCRIPTION");
    prose("A study is a Lua file that says what is varied, over which seeds, and what is "
          "compared. It ends with `return mls.study {...}`. mls check STUDY.lua lists its "
          "trials, mls run STUDY.lua runs them.\n"
          "\n"
          "A study file runs in a sandbox: no io, os, debug, load or print; globals must "
          "exist before they are read; require finds files below the study's folder; 256 "
          "MiB and 200 million instructions.", p->a);
    section("THE STUDY");
    for (int i = 0; i < api->n; i++)
        if (!strcmp(text(api->item[i], "class"), "mls.StudySettings"))
            fields(mls_value_get(api->item[i], "fields"));
    section("FUNCTIONS");
    prose("Of the module that require \"mls\" gives; mls.KIND.NAME {options} makes each "
          "component.", p->a);
    for (int i = 0; i < api->n; i++) {
        const mls_value *row = api->item[i];
        if (*text(row, "section")) subsection("", text(row, "section"));
        if (*text(row, "name") && !mls_value_get(row, "quiet")) api_function(api, row, p->a);
    }
    section("TABLES");
    for (int i = 0; i < api->n; i++) {
        const char *class = text(api->item[i], "class");
        if (!*class || !strcmp(class, "mls.StudySettings")) continue;
        subsection("", class);
        prose(mls_arena_printf(p->a, "%s.", text(api->item[i], "help")), p->a);
        fields(mls_value_get(api->item[i], "fields"));
    }
    section("SEE ALSO");
    fputs("\\fBmls\\fR(1)\n", stdout);
}

/* ---- components ------------------------------------------------------------------------------- */

static void ports(const mls_pages *p, const mls_component *c)
{
    const mls_port *x;
    for (int i = 0; (x = mls_plug_port(p->r, c, i)); i++) {
        if (!i) section("PORTS");
        tag(x->name, mls_arena_printf(p->a, "[%s] %s", x->shape, mls_fact_port(x, p->a)),
            x->help);
    }
}

static void options(const mls_pages *p, const mls_component *c)
{
    const mls_option *o;
    for (int i = 0; (o = mls_plug_option(p->r, c, i)); i++) {
        if (!i) section("OPTIONS");
        const char *range = mls_fact_range(o, p->a);
        tag(o->name, mls_arena_printf(p->a, "%s, default %s%s%s%s", mls_fact_type(o),
                                      mls_fact_default(o, p->a), *range ? " (" : "", range,
                                      *range ? ")" : ""),
            o->help);
    }
}

static void weights(const mls_pages *p, const mls_facts *f)
{
    const char *lines = "";
    for (int i = 0; i < f->n_weights; i++)
        lines = mls_arena_printf(p->a, "%s%s%-24s %s%s%s%s", lines, i ? "\n" : "",
                                 f->weight[i].name, f->weight[i].size,
                                 *f->weight[i].help ? ", " : "", f->weight[i].help,
                                 f->weight[i].wired ? ", with all ports connected" : "");
    if (!*lines) return;
    section("WEIGHTS");
    verbatim(lines);
}

static void rows(const mls_pages *p, const char *name, const mls_fact_row *row, int n)
{
    for (int i = 0; i < n; i++) {
        if (!i) section(name);
        tag(row[i].name, mls_arena_printf(p->a, "%s%s%s", row[i].size,
                                          *row[i].unit ? " " : "", row[i].unit),
            row[i].wired ? mls_arena_printf(p->a, "%s (with all ports connected)",
                                            row[i].help) : row[i].help);
    }
}

static void page_component(const mls_pages *p, const mls_component *c)
{
    mls_facts f;
    mls_error e = { 0 };
    const char *name = mls_arena_printf(p->a, "mls-%s.%s", c->kind, c->name);
    const mls_fact_source s = mls_fact_comment(p->source, c, p->a);
    const char *promises = mls_fact_promises(c, p->a);
    title(name, "7", mls_fact_summary(c, p->a), p->a);
    section("DESCRIPTION");
    if (s.title) prose(s.title, p->a);
    else prose(mls_fact_summary(c, p->a), p->a);
    prose(mls_fact_details(c), p->a);
    if (*promises) prose(mls_arena_printf(p->a, "Promises: %s.", promises), p->a);
    ports(p, c);
    options(p, c);
    if (*s.model) {
        section("MODEL");
        verbatim(s.model);
    }
    if (mls_fact_network(p->r, c, &f, p->a, &e) && f.n_weights + f.n_states + f.n_taps) {
        section("SIZES");
        prose(mls_arena_printf(p->a, "Below, of the default options in a network of width "
                               "%d (%d inputs, %d outputs): %lld parameters.",
                               MLS_FACT_WIDTH, MLS_FACT_INPUT, MLS_FACT_OUTPUT,
                               (long long)f.parameters), p->a);
        weights(p, &f);
        rows(p, "STATES", f.state, f.n_states);
        rows(p, "TAPS", f.tap, f.n_taps);
    }
    if (*s.reference) {
        section("REFERENCES");
        prose(s.reference, p->a);
    }
    section("SEE ALSO");
    fputs("\\fBmls\\fR(1), \\fBmls\\-study\\fR(5)\n", stdout);
}

/* ---- all -------------------------------------------------------------------------------------- */

void mls_man_list(const mls_pages *p)
{
    fputs("mls.1\nmls-study.5\n", stdout);
    for (int i = 0; i < p->r->n_components; i++)
        fprintf(stdout, "mls-%s.%s.7\n", p->r->component[i]->kind,
                p->r->component[i]->name);
}

/* "mls-liquid.cfc.7" -> "liquid.cfc" */
static const char *component_of(const char *name, mls_arena *a)
{
    const size_t n = strlen(name);
    if (!strncmp(name, "mls-", 4) && n > 6 && !strcmp(name + n - 2, ".7"))
        return mls_arena_printf(a, "%.*s", (int)(n - 6), name + 4);
    return name;
}

void mls_man_page(const mls_pages *p, const char *name)
{
    if (!strcmp(name, "mls.1") || !strcmp(name, "mls")) {
        page_mls(p);
    } else if (!strcmp(name, "mls-study.5") || !strcmp(name, "mls-study")) {
        page_study(p);
    } else {
        const mls_component *c =
            mls_registry_find(p->r, component_of(name, p->a), NULL, p->e);
        if (c) page_component(p, c);
    }
}
