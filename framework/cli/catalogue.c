/* catalogue.c - docs/components.md: every component on one page. */
#include "cli/facts.h"

#include <stdio.h>
#include <string.h>

/* A cell of a table: | would end it. */
static const char *cell(const char *s, mls_arena *a)
{
    const char *out = "";
    for (; s && *s; s += strcspn(s, "|"), s += *s == '|') {
        const size_t n = strcspn(s, "|");
        out = mls_arena_printf(a, "%s%.*s%s", out, (int)n, s, s[n] ? "\\|" : "");
    }
    return out;
}

static void ports(const mls_pages *p, const mls_component *c)
{
    const mls_port *x;
    for (int i = 0; (x = mls_plug_port(p->r, c, i)); i++) {
        if (!i) fputs("\n| port | | shape | |\n|---|---|---|---|\n", stdout);
        fprintf(stdout, "| `%s` | %s | `%s` | %s |\n", x->name, mls_fact_port(x, p->a),
                x->shape, cell(x->help, p->a));
    }
}

static void options(const mls_pages *p, const mls_component *c)
{
    const mls_option *o;
    for (int i = 0; (o = mls_plug_option(p->r, c, i)); i++) {
        if (!i) fputs("\n| option | type | default | range | |\n|---|---|---|---|---|\n",
                      stdout);
        fprintf(stdout, "| `%s` | %s | %s | %s | %s |\n", o->name, mls_fact_type(o),
                cell(mls_fact_default(o, p->a), p->a), cell(mls_fact_range(o, p->a), p->a),
                cell(o->help, p->a));
    }
}

static void rows(const mls_pages *p, const char *title, const mls_fact_row *row, int n)
{
    for (int i = 0; i < n; i++) {
        if (!i) fprintf(stdout, "\n| %s | size | |\n|---|---|---|\n", title);
        fprintf(stdout, "| `%s` | %s%s%s | %s%s |\n", row[i].name, row[i].size,
                *row[i].unit ? " " : "", row[i].unit, cell(row[i].help, p->a),
                !row[i].wired ? "" : *row[i].help ? " (with all ports connected)"
                                                  : "with all ports connected");
    }
}

static void component(const mls_pages *p, const mls_component *c)
{
    mls_facts f;
    mls_error e = { 0 };
    const mls_fact_source s = mls_fact_comment(p->source, c, p->a);
    const char *promises = mls_fact_promises(c, p->a);
    fprintf(stdout, "\n### %s.%s\n\n%s.", c->kind, c->name, mls_fact_summary(c, p->a));
    if (*promises) fprintf(stdout, " Promises: %s.", promises);
    fputc('\n', stdout);
    if (*mls_fact_details(c)) fprintf(stdout, "\n%s\n", mls_fact_details(c));
    if (s.title) fprintf(stdout, "\n```\n%s\n\n%s\n```\n", s.title, s.model);
    if (*s.reference) fprintf(stdout, "\nReference: %s\n", s.reference);
    ports(p, c);
    options(p, c);
    if (!mls_fact_network(p->r, c, &f, p->a, &e)) return;
    rows(p, "weight", f.weight, f.n_weights);
    rows(p, "state", f.state, f.n_states);
    rows(p, "tap", f.tap, f.n_taps);
}

void mls_catalogue(const mls_pages *p)
{
    int n;
    const mls_kind *kinds = mls_kinds_of(p->r, &n, p->a);
    fprintf(stdout, "# Components\n\nMade by `mls help --markdown` (`make docs`); changes "
            "are lost. Sizes of weights, states and\ntaps are those of the default options "
            "in a network of width %d (%d inputs, %d outputs).\n",
            MLS_FACT_WIDTH, MLS_FACT_INPUT, MLS_FACT_OUTPUT);
    for (int k = 0; k < n; k++) {
        fprintf(stdout, "\n## %s\n\n", kinds[k].name);
        if (*kinds[k].help) fprintf(stdout, "%s\n", kinds[k].help);
        if (*kinds[k].profile) fprintf(stdout, "\nPorts: `%s`\n", kinds[k].profile);
        for (int i = 0; i < p->r->n_components; i++)
            if (!strcmp(p->r->component[i]->kind, kinds[k].name))
                component(p, p->r->component[i]);
    }
}
