/* file.c - cases about a plugin's file and its tables: what can be said before it runs. */
#include "validate/opening.h"

#include <ctype.h>
#include <string.h>

/* ---- options ---------------------------------------------------------------------------- */

static int is_name(const char *s)
{
    if (!islower((unsigned char)*s)) return 0;
    for (; *s; s++)
        if (!islower((unsigned char)*s) && !isdigit((unsigned char)*s) && *s != '_') return 0;
    return 1;
}

static int is_unit(const char *s)
{
    static const char *const known[] = { "s", "ms", "us", "ns", "min", "h", "Hz", "kHz", "V",
        "mV", "A", "nA", "pA", "F", "pF", "Ohm", "MOhm", "steps", "samples", "bytes", "1", "rad",
        "deg", "%", "dB", "J", "W", "m", "units", "1/ms", "1/s", "1/step", "tokens", "bits", "nats" };
    for (size_t i = 0; i < sizeof known / sizeof *known; i++)
        if (!strcmp(s, known[i])) return 1;
    return 0;
}

/* "" or what is wrong with a sentence of help. */
static const char *sentence_fault(const char *s)
{
    const size_t n = s ? strlen(s) : 0;
    if (!n) return "has no help";
    if (s[n - 1] == '.') return "has a help text that ends in a full stop";
    if (strchr(s, '\n')) return "has a help text of several lines";
    if (s[0] == ' ' || s[n - 1] == ' ') return "has a help text with a blank at its edge";
    return NULL;
}

static int word_twice(const char *choices)
{
    char text[1000], *save = NULL, *word[64];
    int n = 0;
    snprintf(text, sizeof text, "%s", choices);
    for (char *w = strtok_r(text, "|", &save); w && n < 64; w = strtok_r(NULL, "|", &save)) {
        for (int i = 0; i < n; i++)
            if (!strcmp(word[i], w)) return 1;
        word[n++] = w;
    }
    return 0;
}

static void options_sane(mls_probe *p)
{
    const mls_option *o;
    for (int i = 0; (o = mls_plug_option(p->registry, p->c, i)); i++) {
        const int number = o->type == MLS_REAL || o->type == MLS_INT;
        const char *fault = sentence_fault(o->help);
        if (!is_name(o->name)) fault = "has a name that is not lower_case";
        if (number && o->min < o->max && !(o->def >= o->min && o->def <= o->max))
            fault = "has a default outside of its range";
        if (o->type == MLS_CHOICE && word_twice(o->choices)) fault = "has a choice twice";
        if (o->unit && !is_unit(o->unit))
            mls_probe_fail(p, "option \"%s\" has the unit \"%s\", which is none that is known "
                           "(ms, s, Hz, mV, steps ...)", o->name, o->unit);
        if (fault) mls_probe_fail(p, "option \"%s\" %s", o->name, fault);
    }
}

static void rejects_unknown_option(mls_probe *p)
{
    static const char *const also[] = { "component", NULL };
    mls_arena *a = &p->arena;
    void *self = mls_arena_zalloc(a, p->c->self_size + 64);
    const mls_option *o = mls_plug_option(p->registry, p->c, 0);
    const char *wrong = o ? mls_arena_printf(a, "%s_", o->name) : "no_such_option";
    mls_value *map = mls_value_map(a);
    mls_error e = { 0 };
    if (!self) mls_probe_fail(p, "out of memory");
    mls_value_set(a, map, wrong, mls_value_int(a, 1));
    mls_option_apply(p->registry, p->c, map, also, self, a, &e);
    if (!e.set || !strstr(e.text, "has no option"))
        mls_probe_fail(p, "\"%s\" for \"%s\" is taken for an option", wrong,
                       o ? o->name : "nothing");
    if (!strstr(e.text, wrong))
        mls_probe_fail(p, "the message does not name the option \"%s\": %s", wrong, e.text);
    if (o && strlen(o->name) > 3 && !strstr(e.text, "did you mean"))
        mls_probe_fail(p, "no name is suggested for \"%s\": %s", wrong, e.text);
}

/* ---- ports ------------------------------------------------------------------------------- */

typedef struct profile {
    const char *kind;
    const char *in[3], *maybe[4], *out[3];   /* names; "spikes" in out must be spikes     */
} profile;

static const profile profiles[] = {
    { "encoder", { "in" }, { "mask", "dt" }, { "spikes" } },
    { "adapter", { "spikes" }, { "membrane", "mask", "dt" }, { "out" } },
    { "liquid", { "in" }, { "dt", "mod_tau", "mask" }, { "out" } },
    { "mixer", { "in" }, { "mod_b", "mod_c", "mask", "dt" }, { "out" } },
    { "fusion", { "a", "b" }, { "mask" }, { "out" } },
    { "head", { "in" }, { "mask" }, { "out" } },
};

static const mls_port *port_of(const mls_probe *p, const char *name, unsigned way)
{
    const mls_port *port;
    for (int i = 0; (port = mls_plug_port(p->registry, p->c, i)); i++)
        if ((port->flags & way) && !strcmp(port->name, name)) return port;
    return NULL;
}

static int listed(const char *const *list, int n, const char *name)
{
    for (int i = 0; i < n && list[i]; i++)
        if (!strcmp(list[i], name)) return 1;
    return 0;
}

static const profile *profile_of(mls_probe *p)
{
    const int n = (int)(sizeof profiles / sizeof *profiles);
    const char *names[sizeof profiles / sizeof *profiles + 1];
    for (int i = 0; i < n; i++) {
        if (!strcmp(profiles[i].kind, p->c->kind)) return &profiles[i];
        names[i] = profiles[i].kind;
    }
    names[n] = "task";
    const char *near = mls_error_nearest(p->c->kind, names, n + 1);
    mls_probe_fail(p, "the kind \"%s\" is none of encoder, adapter, liquid, mixer, fusion, head, "
                   "task%s%s", p->c->kind, near ? "; perhaps " : "", near ? near : "");
}

static void ports_match_kind(mls_probe *p)
{
    const profile *k = profile_of(p);
    const mls_port *port;
    for (int i = 0; i < 3 && k->in[i]; i++)
        if (!port_of(p, k->in[i], MLS_IN))
            mls_probe_fail(p, "kind %s has an input \"%s\"; this has none", k->kind, k->in[i]);
    for (int i = 0; i < 3 && k->out[i]; i++)
        if (!port_of(p, k->out[i], MLS_OUT))
            mls_probe_fail(p, "kind %s has an output \"%s\"; this has none", k->kind, k->out[i]);
    for (int i = 0; (port = mls_plug_port(p->registry, p->c, i)); i++) {
        const int service = !strcmp(port->name, "mask") || !strcmp(port->name, "dt");
        const int needed = listed(k->in, 3, port->name);
        if ((port->flags & MLS_IN) && !(port->flags & MLS_MAYBE) && !needed)
            mls_probe_fail(p, "input \"%s\" is none of kind %s, so it must be MLS_MAYBE",
                           port->name, k->kind);
        if (service && strcmp(port->shape, "T B 1") != 0)
            mls_probe_fail(p, "port \"%s\" has the shape \"%s\", expected \"T B 1\"",
                           port->name, port->shape);
        if (!strcmp(port->name, "spikes") && !strcmp(p->c->kind, "encoder") &&
            !(port->flags & MLS_SPIKES) && strcmp(p->c->name, "identity") != 0)
            mls_probe_fail(p, "output \"spikes\" of an encoder lacks MLS_SPIKES");
    }
    if (strcmp(mls_plug_port(p->registry, p->c, 0)->name, k->in[0]) != 0)
        mls_probe_fail(p, "the first port is \"%s\", expected \"%s\": it is the one that a -> b "
                       "means", mls_plug_port(p->registry, p->c, 0)->name, k->in[0]);
}

/* ---- dry run, description ----------------------------------------------------------------- */

/* A network that is only to be counted has no memory behind its weights. */
static void without_weights(mls_rig *r, const mls_cost *want)
{
    mls_probe *p = r->p;
    mls_error e = { 0 };
    mls_cost got = { 0 };
    const mls_net_config c = { p->registry, mls_net_resolved(r->net, &p->arena), &r->shape,
                               p->seed, 1 };
    mls_net *net = mls_net_build(&c, &e);
    if (!net || !mls_net_cost(net, r->T, r->B, &got, &e))
        mls_probe_fail(p, "%s: dry run: %s", r->v->title, e.text);
    if (memcmp(&got, want, sizeof got) != 0)
        mls_probe_fail(p, "%s: without memory for weights it counts %lld parameters and %g "
                       "flops, with it %lld and %g", r->v->title, (long long)got.parameters,
                       got.flops, (long long)want->parameters, want->flops);
    mls_net_free(net);
}

static void dry_run(mls_probe *p)
{
    const mls_variant *v;
    const int n = mls_probe_variants(p, &v);
    for (int i = 0; i < n; i++) {
        mls_rig r;
        mls_error e = { 0 };
        mls_cost once = { 0 }, again = { 0 };
        mls_rig_open(&r, p, &v[i], (mls_rig_size){ 0 }, MLS_TRAIN, p->seed);
        if (!mls_net_cost(r.net, r.T, r.B, &once, &e) || !mls_net_cost(r.net, r.T, r.B, &again, &e))
            mls_probe_fail(p, "%s: dry run: %s", v[i].title, e.text);
        if (memcmp(&once, &again, sizeof once) != 0)
            mls_probe_fail(p, "%s: two dry runs count %g and %g flops, %g and %g bytes",
                           v[i].title, once.flops, again.flops, once.bytes, again.bytes);
        without_weights(&r, &once);
        mls_rig_close(&r);
    }
}

static void describe(mls_probe *p)
{
    const mls_port *port;
    const char *help = p->c->help ? p->c->help : "";
    if (!*help || *help == '\n') mls_probe_fail(p, "it has no summary (help)");
    if (strcspn(help, "\n") > 100)
        mls_probe_fail(p, "its summary, the first line of help, is %zu characters long; at most "
                       "100 fit a list", strcspn(help, "\n"));
    if (strpbrk(mls_arena_printf(&p->arena, "%.*s", (int)strcspn(help, "\n"), help), "#`"))
        mls_probe_fail(p, "its summary has Markdown in it");
    for (int i = 0; (port = mls_plug_port(p->registry, p->c, i)); i++) {
        const int service = !strcmp(port->name, "mask") || !strcmp(port->name, "dt");
        const char *fault = service ? NULL : sentence_fault(port->help);
        if (fault) mls_probe_fail(p, "port \"%s\" %s", port->name, fault);
    }
    const char *text = mls_plug_describe(p->registry, p->c, &p->arena);
    if (!text || strcmp(text, mls_plug_describe(p->registry, p->c, &p->arena)) != 0)
        mls_probe_fail(p, "the help text is not the same when it is printed twice");
    const mls_option *o;
    for (int i = 0; (o = mls_plug_option(p->registry, p->c, i)); i++)
        if (!strstr(text, o->name))
            mls_probe_fail(p, "option \"%s\" is missing in the help text", o->name);
}

const mls_case mls_cases_file[] = {
    { "lists-without-running", "Opening the plugin runs none of its code",
      MLS_FILES_ONLY, 5, mls_opening_runs_nothing },
    { "loads-rtld-now", "The plugin loads with every symbol resolved and its tables in order",
      MLS_FILES_ONLY, 5, mls_opening_loads },
    { "exports-one-symbol", "The only symbol that it shows to others is mls_plugin",
      MLS_FILES_ONLY, 5, mls_opening_exports },
    { "options-sane", "Options have a name, a help text, a known unit and a default in range",
      MLS_ANY_KIND, 5, options_sane },
    { "ports-match-kind", "Its ports are those that its kind is wired by",
      MLS_NETWORK_KINDS, 5, ports_match_kind },
    { "dry-run-touches-no-data", "Shapes and costs are found without reading a value",
      MLS_NETWORK_KINDS, 5, dry_run },
    { "rejects-unknown-option", "A misspelt option is an error that suggests the right one",
      MLS_ANY_KIND, 5, rejects_unknown_option },
    { "describe", "Its help text has a summary and tells of every port and option",
      MLS_ANY_KIND, 5, describe },
    { NULL, NULL, 0, 0, NULL }
};
