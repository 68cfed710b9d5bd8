/* trace.c - mls trace: one forward and backward on given numbers, everything by name. */
#include "cli/cli.h"
#include "conf/conf.h"
#include "lua/component.h"
#include "lua/constructor.h"
#include "lua/study_load.h"
#include "rec/tensors.h"
#include "study/plan.h"
#include "study/trace.h"
#include "study/weights.h"
#include "train/feed.h"

#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

const mls_flag mls_cli_trace_flags[] = {
    { "--weights", MLS_FLAG_VALUE, "W.h5", "every weight by name (also .safetensors)" },
    { "--init", MLS_FLAG_VALUE, "SEED", "fresh weights instead; they go to /weight" },
    { "--input", MLS_FLAG_VALUE, "X.h5", "in, dt, mask, state, grad_out, grad_state" },
    { "--output", MLS_FLAG_VALUE, "Y.h5", "out, tap, state, grad" },
    { "--grad", MLS_FLAG_NONE, NULL, "also gradients of inputs, states and weights" },
    { "--list", MLS_FLAG_NONE, NULL, "names and shapes, and end" },
    { "--width", MLS_FLAG_VALUE, "N", "of the network (of the first input; 16 to list)" },
    { "--classes", MLS_FLAG_VALUE, "N", "how wide a head's output is (as its grad_out)" },
    { "--load", MLS_FLAG_VALUE, "FILE.lua", "components written in Lua; may be repeated" },
    { NULL, MLS_FLAG_NONE, NULL, NULL }
};

enum { MOST_FILES = 32 };

typedef struct tracing {
    mls_arena     *a;
    mls_registry  *r;
    mls_args       args;
    mls_lua_file  *lua[MOST_FILES];
    int            n_lua;
    mls_study     *study;
    mls_feed      *feed;
    mls_trace_config c;
} tracing;

/* ---- SPEC ---------------------------------------------------------------------------------- */

static void use_network(tracing *g, const mls_value *config, mls_error *e)
{
    if (e->set) return;
    g->c.network = mls_value_get(config, "network");
    g->feed = mls_feed_open(g->r, mls_value_get(config, "task"), 1, e);
    if (g->feed) g->c.shape = mls_feed_shape(g->feed);
}

static void several(const mls_plan *p, const char *path, mls_error *e)
{
    char list[1500] = "";
    size_t n = 0;
    for (int i = 0, last = -1; i < p->n; i++) {
        if (p->trial[i].variant == last || n + strlen(p->trial[i].label) + 8 > sizeof list)
            continue;
        last = p->trial[i].variant;
        n += (size_t)snprintf(list + n, sizeof list - n, "\n  %s", p->trial[i].label);
    }
    mls_error_set(e, "%s has %d networks; name one as %s:name=value,name=value:%s", path,
                  p->n_variants, path, list);
}

/* study.lua:mode=parallel,width=64 */
static void open_study(tracing *g, const char *path, const char *point, mls_error *e)
{
    const char *filter[64];
    int n = 0;
    char *word = mls_arena_strdup(g->a, point);
    for (char *rest = word; word && *rest && n < 64;) {
        char *comma = strchr(rest, ',');
        filter[n++] = rest;
        if (!comma) break;
        *comma = '\0';
        rest = comma + 1;
    }
    mls_plan plan = { 0 };
    g->study = mls_study_load(path, g->r, NULL, e);
    if (g->study) mls_plan_make(g->a, mls_study_source(g->study), filter, n, 0, &plan, e);
    if (e->set) return;
    if (plan.n_variants != 1) several(&plan, path, e);
    else use_network(g, plan.trial[0].config, e);
}

/* The folder of a trial. */
static void open_folder(tracing *g, const char *dir, mls_error *e)
{
    const char *path = mls_arena_printf(g->a, "%s/config.yaml", dir);
    if (!mls_lua_trial_load(g->r, dir, &g->lua[g->n_lua], e)) return;
    g->n_lua++;
    mls_value *config = mls_yaml_read(g->a, path, e);
    if (config && !e->set) config = mls_conf_resolve(g->a, config, e);
    use_network(g, config, e);
}

static void open_spec(tracing *g, const char *spec, mls_error *e)
{
    struct stat s;
    const char *end = strstr(spec, ".lua"), *options = strpbrk(spec, "{(");
    if (end && (!options || end < options) && (!end[4] || end[4] == ':'))
        open_study(g, mls_arena_printf(g->a, "%.*s", (int)(end + 4 - spec), spec),
                   end[4] ? end + 5 : "", e);
    else if (stat(spec, &s) == 0 && S_ISDIR(s.st_mode))
        open_folder(g, spec, e);
    else
        g->c.component = mls_lua_constructor(g->r, spec, g->a, e);
}

/* ---- --list ----------------------------------------------------------------------------------- */

static void print_row(const mls_bundle_row *r)
{
    fprintf(stdout, "%-40s ", r->name);
    for (int i = 0; i < r->rank; i++)
        if (r->dim[i] == MLS_TRACE_SAMPLE) fputs("[sample]", stdout);
        else if (r->dim[i] == MLS_TRACE_TIME) fputs("[time]", stdout);
        else fprintf(stdout, "[%lld]", (long long)r->dim[i]);
    fputc('\n', stdout);
}

static void print_list(tracing *g, mls_trace *t)
{
    mls_bundle out = { .arena = g->a };
    mls_trace_list(t, &out);
    for (int i = 0; i < out.n; i++) print_row(&out.row[i]);
}

/* ---- running ----------------------------------------------------------------------------------- */

static void run(tracing *g, mls_trace *t, mls_error *e)
{
    mls_bundle out = { .arena = g->a }, weights = { .arena = g->a };
    const char *path = mls_args_get(&g->args, "--weights", NULL);
    if (path && mls_tensors_read(path, "weight", &weights, e))
        mls_weights_load(mls_trace_net(t), mls_trace_prefix(t), &weights, path,
                         mls_trace_name(t), e);
    if (!path)
        mls_weights_add(mls_trace_net(t), mls_trace_prefix(t), "weight/", MLS_WEIGHTS_VALUES,
                        &out);
    if (!e->set && mls_trace_run(t, &out, e))
        mls_tensors_write(mls_args_get(&g->args, "--output", ""), &out, e);
}

/* What the command line lacks; 0 and e then. */
static int complete(const mls_args *args, int list, mls_error *e)
{
    const int from = mls_args_has(args, "--weights"), fresh = mls_args_has(args, "--init");
    if (from && fresh)
        mls_error_set(e, "--weights takes the weights from a file, --init draws them: one of "
                      "the two");
    if (list || e->set) return !e->set;
    if (!from && !fresh)
        mls_error_set(e, "--weights W.h5 is missing (or --init SEED for fresh ones)");
    else if (!mls_args_has(args, "--input")) mls_error_set(e, "--input X.h5 is missing");
    else if (!mls_args_has(args, "--output")) mls_error_set(e, "--output Y.h5 is missing");
    return !e->set;
}

static void trace(tracing *g, const char *spec, int list, mls_error *e)
{
    mls_bundle in = { .arena = g->a };
    const char *file = mls_args_get(&g->args, "--input", NULL);
    for (int i = 0; i < g->args.n && !e->set; i++) {
        if (strcmp(g->args.name[i], "--load")) continue;
        if (g->n_lua == MOST_FILES - 1) mls_error_set(e, "--load: at most %d files", g->n_lua);
        else if ((g->lua[g->n_lua] = mls_lua_file_load(g->r, g->args.value[i], e))) g->n_lua++;
    }
    if (!e->set) open_spec(g, spec, e);
    if (!e->set && file && mls_tensors_read(file, NULL, &in, e)) {
        g->c.input = &in;
        g->c.file = file;
    }
    g->c.registry = g->r;
    g->c.grad = mls_args_has(&g->args, "--grad");
    mls_trace *t = e->set ? NULL : mls_trace_open(&g->c, e);
    if (t && list) print_list(g, t);
    else if (t) run(g, t, e);
    mls_trace_free(t);
}

int mls_verb_trace(int argc, char **argv, mls_registry *r, mls_error *e)
{
    mls_arena a = { 0 };
    tracing g = { .a = &a, .r = r };
    const char *spec = NULL;
    int usage = 1;
    if (mls_args_parse(&g.args, &a, argc, argv, mls_cli_trace_flags, e))
        spec = mls_args_word(&g.args, "SPEC, such as liquid.cfc{units=4} or study.lua,", e);
    const int list = spec && mls_args_has(&g.args, "--list");
    if (spec && complete(&g.args, list, e)) {
        g.c.seed = (uint64_t)mls_args_int(&g.args, "--init", 1, 0, INT64_MAX, e);
        g.c.width = mls_args_int(&g.args, "--width", 0, 1, 1 << 20, e);
        g.c.classes = mls_args_int(&g.args, "--classes", 0, 1, 1 << 20, e);
        usage = e->set;
    }
    if (!usage) trace(&g, spec, list, e);
    if (g.feed) mls_feed_free(g.feed);
    mls_study_free(g.study);
    for (int i = 0; i < g.n_lua; i++) mls_lua_file_free(g.lua[i]);
    mls_arena_free(&a);
    return usage ? MLS_EXIT_USAGE : e->set ? MLS_EXIT_FAILED : MLS_EXIT_DONE;
}
