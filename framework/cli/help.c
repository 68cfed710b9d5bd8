#include "cli/facts.h"
#include "conf/conf.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void facts(const char *title, const mls_fact *f)
{
    fprintf(stdout, "\n%s\n", title);
    for (; f->name; f++) fprintf(stdout, "  %-22s %s\n", f->name, f->help);
}

/* Paragraphs as lines of at most 88 columns; examples, indented, as they are. */
static void paragraphs(const char *text)
{
    int column = 0, example = 0;
    for (const char *p = text; *p;) {
        if (column == 0) example = *p == ' ';
        const size_t n = strcspn(p, example ? "\n" : " \n");
        if (!example && column && column + (int)n + 1 > 88) {
            fputc('\n', stdout);
            column = 0;
        }
        if (!example && column) fputc(' ', stdout), column++;
        fprintf(stdout, "%.*s", (int)n, p);
        column += (int)n;
        p += n;
        if (*p == '\n') fputc('\n', stdout), column = 0;
        if (*p) p++;
    }
    fputc('\n', stdout);
}

static const mls_verb *find_verb(const char *name)
{
    for (const mls_verb *v = mls_verbs; v->name; v++)
        if (!strcmp(name, v->name)) return v;
    return NULL;
}

static void settings(void)
{
    fputs("Settings of an experiment (YAML, or --set path=value):\n", stdout);
    for (const mls_setting *s = mls_settings; s->path; s++) {
        fprintf(stdout, "  %-24s %-7s %s", s->path, s->type, s->help);
        if (s->def) fprintf(stdout, " [%s]", s->def);
        if (s->choices) fprintf(stdout, " (%s)", s->choices);
        fputc('\n', stdout);
    }
}

static int show_verb(const mls_verb *v, mls_arena *a)
{
    fprintf(stdout, "mls %s%s%s\n\n%c%s.\n", v->name, *v->words ? " " : "", v->words,
            toupper((unsigned char)v->summary[0]), v->summary + 1);
    if (v->help) {
        fputc('\n', stdout);
        paragraphs(v->help);
    }
    if (!strcmp(v->name, "train")) {
        fputc('\n', stdout);
        settings();
    }
    const mls_flag *options = v->make_options ? v->make_options(a) : v->options;
    if (options && options->name) {
        fputs("\nOptions:\n", stdout);
        mls_args_print(options);
    }
    return MLS_EXIT_DONE;
}

static int show_modes(mls_arena *a, mls_error *e)
{
    for (int i = 0; mls_conf_modes[i]; i++) {
        const mls_value *m = mls_conf_mode(a, mls_conf_modes[i], NULL, e);
        fprintf(stdout, "%s: %s\n%s\n", mls_conf_modes[i], mls_conf_mode_help[i],
                mls_value_to_yaml(a, m));
    }
    return MLS_EXIT_DONE;
}

static int show_overview(void)
{
    fputs("Fields of the original overview, and what they set here:\n", stdout);
    for (const mls_alias *x = mls_aliases; x->name; x++)
        fprintf(stdout, "  %-24s %-28s %s\n", x->name, x->path ? x->path : "", x->help);
    return MLS_EXIT_DONE;
}

static int list(mls_registry *r, const char *kind, const char *indent, mls_arena *a)
{
    int n = 0;
    for (int i = 0; i < r->n_components; i++) {
        const mls_component *c = r->component[i];
        const char *help = c->help ? c->help : "";
        if (kind && strcmp(kind, c->kind)) continue;
        fprintf(stdout, "%s%-26s %.*s\n", indent,
                mls_arena_printf(a, "%s.%s", c->kind, c->name), (int)strcspn(help, "\n"),
                help);
        n++;
    }
    return n;
}

static int show_all(mls_registry *r, mls_arena *a)
{
    fputs("mls - experiments with Mamba-Liquid-Spiking networks\n\n", stdout);
    for (const mls_verb *v = mls_verbs; v->name; v++)
        if (!(v->flags & MLS_VERB_INNER))
            fprintf(stdout, "  mls %-9s %s\n", v->name, v->summary);
    if (r->n_components) fputs("\nComponents\n", stdout);
    list(r, NULL, "  ", a);
    fputs("\nmls VERB --help and mls help KIND.NAME say more of each. --plugin-path DIRS "
          "goes with\nevery verb: more folders of plugins.\n", stdout);
    facts("Environment", mls_environment);
    facts("Exit status", mls_exit_statuses);
    return MLS_EXIT_DONE;
}

static int show_kind(mls_registry *r, const char *name, mls_arena *a)
{
    int n;
    const mls_kind *kinds = mls_kinds_of(r, &n, a);
    for (int i = 0; i < n; i++) {
        if (strcmp(kinds[i].name, name)) continue;
        if (*kinds[i].help) paragraphs(kinds[i].help);
        if (*kinds[i].profile) fprintf(stdout, "\nports  %s\n", kinds[i].profile);
        if (*kinds[i].help) fputc('\n', stdout);
    }
    return list(r, name, "", a);
}

static void rows(const char *title, const mls_fact_row *row, int n)
{
    for (int i = 0; i < n; i++) {
        if (!i) fprintf(stdout, "\n%s\n", title);
        fprintf(stdout, "  %-16s %-10s %s%s%s%s\n", row[i].name, row[i].size, row[i].unit,
                *row[i].unit ? "  " : "", row[i].help,
                row[i].wired ? "  (all ports connected)" : "");
    }
}

static void show_component(mls_registry *r, const mls_component *c, mls_arena *a)
{
    mls_facts f;
    mls_error ignored = { 0 };
    fputs(mls_plug_describe(r, c, a), stdout);
    if (!mls_fact_network(r, c, &f, a, &ignored)) return;
    rows("weights, at width 64", f.weight, f.n_weights);
    rows("states", f.state, f.n_states);
    rows("taps", f.tap, f.n_taps);
}

static void no_kind(mls_registry *r, const char *kind, mls_error *e)
{
    const char *names[64] = { NULL };
    char all[600] = "";
    int n = 0;
    for (int i = 0; i < r->n_components && n < 64; i++) {
        int known = 0;
        for (int k = 0; k < n; k++) known |= !strcmp(names[k], r->component[i]->kind);
        if (known) continue;
        const size_t used = strlen(all);
        snprintf(all + used, sizeof all - used, "%s%s", n ? ", " : "",
                 r->component[i]->kind);
        names[n++] = r->component[i]->kind;
    }
    const char *near = mls_error_nearest(kind, names, n);
    mls_error_set(e, "there is no \"%.60s\"%s%s%s (kinds: %s)", kind,
                  near ? "; did you mean \"" : "", near ? near : "", near ? "\"?" : "",
                  n ? all : "none, no plugin was found");
}

int mls_verb_list(int argc, char **argv, mls_registry *r, mls_error *e)
{
    mls_arena a = { 0 };
    mls_args args;
    static const mls_flag none[] = { { NULL, MLS_FLAG_NONE, NULL, NULL } };
    int status = MLS_EXIT_USAGE;
    if (mls_args_parse(&args, &a, argc, argv, none, e)) {
        status = MLS_EXIT_DONE;
        if (!list(r, args.n_words ? args.word[0] : NULL, "", &a)) {
            no_kind(r, args.n_words ? args.word[0] : "component", e);
            status = MLS_EXIT_FAILED;
        }
        if (*r->warnings) fprintf(stderr, "%s", r->warnings);
    }
    mls_arena_free(&a);
    return status;
}

static int about(const char *what, mls_registry *r, mls_arena *a, mls_error *e)
{
    const mls_verb *v = find_verb(what);
    const int lua = !strncmp(what, "lua", 3);
    if (v) show_verb(v, a);
    if (v && !lua) return MLS_EXIT_DONE;
    if (v) fputc('\n', stdout);
    if (lua && (!what[3] || what[3] == '.'))
        return mls_help_lua(what[3] ? what + 4 : NULL, a, e) ? MLS_EXIT_DONE
                                                             : MLS_EXIT_FAILED;
    if (!strcmp(what, "modes")) return show_modes(a, e);
    if (!strcmp(what, "overview")) return show_overview();
    if (strchr(what, '.')) {
        const mls_component *c = mls_registry_find(r, what, NULL, e);
        if (!c) return MLS_EXIT_FAILED;
        show_component(r, c, a);
        return MLS_EXIT_DONE;
    }
    if (show_kind(r, what, a)) return MLS_EXIT_DONE;
    no_kind(r, what, e);
    return MLS_EXIT_FAILED;
}

const mls_flag mls_cli_help_flags[] = {
    { "--man", MLS_FLAG_NONE, NULL, "a man page: mls.1, or the one named (mls-study.5, "
                                    "KIND.NAME)" },
    { "--pages", MLS_FLAG_NONE, NULL, "names of all man pages" },
    { "--markdown", MLS_FLAG_NONE, NULL, "the catalogue of components" },
    { "--luacats", MLS_FLAG_NONE, NULL, "annotations of the Lua API for editors" },
    { "--source", MLS_FLAG_VALUE, "DIR", "the source tree, whose comments hold the models "
                                         "(MLS_SOURCE)" },
    { NULL, MLS_FLAG_NONE, NULL, NULL }
};

int mls_verb_help(int argc, char **argv, mls_registry *r, mls_error *e)
{
    mls_arena a = { 0 };
    mls_args args;
    int status = MLS_EXIT_USAGE;
    if (mls_args_parse(&args, &a, argc, argv, mls_cli_help_flags, e)) {
        const mls_pages p = { r, &a, mls_args_get(&args, "--source", getenv("MLS_SOURCE")), e };
        const char *what = args.n_words ? args.word[0] : NULL;
        status = MLS_EXIT_DONE;
        if (mls_args_has(&args, "--pages")) mls_man_list(&p);
        else if (mls_args_has(&args, "--man")) mls_man_page(&p, what ? what : "mls.1");
        else if (mls_args_has(&args, "--markdown")) mls_catalogue(&p);
        else if (mls_args_has(&args, "--luacats")) mls_luacats(&p);
        else if (what) status = about(what, r, &a, e);
        else status = show_all(r, &a);
    }
    mls_arena_free(&a);
    return status;
}
