/* component.c - forward and backward of one component: inputs and the gradient of its
 * first output are noise; every gradient is asked for, of weights, inputs and
 * states. */
#include "base/philox.h"
#include "bench/work.h"
#include "conf/conf.h"
#include "rec/tensors.h"
#include "study/trace.h"
#include "study/weights.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct component {
    mls_arena arena;
    mls_trace *trace;
    mls_trace_config config;
    mls_bundle in;
    mls_run *run;
    const char *port; /* the first output */
    mls_observer observer;
    mls_t out;   /* of the forward in progress */
    float *grad; /* [T][B][N] */
} component;

float *mls_bench_noise(mls_arena *a, int64_t n, uint64_t key)
{
    float *x = mls_arena_alloc(a, (size_t)(n > 0 ? n : 1) * sizeof *x);
    if (x) mls_philox_normal(key, x, n, 1.0);
    return x;
}

static int wanted(void *arg, const char *node, const char *name)
{
    const component *p = arg;
    return !strcmp(node, "layer0.node") && !strcmp(name, p->port);
}

static void value(void *arg, const mls_channel *ch, mls_t v, int64_t t0)
{
    component *p = arg;
    (void)ch, (void)t0;
    p->out = v;
}

static const char *first_output(const mls_registry *r, const mls_component *c)
{
    const mls_port *p;
    for (int i = 0; (p = mls_plug_port(r, c, i)); i++)
        if (p->flags & MLS_OUT) return p->name;
    return "out";
}

static int once(mls_bench_work *w, mls_bench_once *took, mls_error *e)
{
    component *p = w->self;
    mls_run *run = p->run;
    mls_run_reset(run);
    mls_net_zero_grad(mls_trace_net(p->trace));
    p->out = NULL;
    mls_bench_time begin = mls_bench_now();
    mls_run_forward(run, mls_trace_batch(p->trace), 0);
    took->forward = mls_bench_since(begin);
    mls_error *why = mls_run_error(run);
    if (!why->set && !p->out) mls_error_set(why, "the output %s was not seen", p->port);
    if (!why->set) {
        w->saved = (double)mls_run_tape(run)->arena.used;
        float *g = mls_tape_grad(mls_run_ctx(run), p->out);
        if (g && !p->grad) {
            p->grad = mls_bench_noise(&p->arena, p->out->count, 3);
            if (!p->grad) mls_error_set(why, "out of memory");
        }
        if (g && p->grad) memcpy(g, p->grad, (size_t)p->out->count * sizeof *g);
    }
    begin = mls_bench_now();
    if (!why->set) mls_run_backward_from(run, NULL);
    took->backward = mls_bench_since(begin);
    if (why->set) mls_error_set(e, "%s", why->text);
    return !e->set;
}

/* A network of its own, with the same weights and inputs. */
static int write_component(mls_bench_work *w, const char *path, mls_error *e)
{
    component *p = w->self;
    const mls_bundle_row *x = &p->in.row[0];
    mls_bundle in = {.arena = &p->arena}, out = {.arena = &p->arena};
    const mls_batch *b = mls_trace_batch(p->trace);
    if (!p->out && !mls_run_forward(p->run, b, 0)) mls_error_set(e, "no output");
    if (e->set) return 0;
    const int64_t T = b->steps, B = b->batch, N = p->out->dim[2];
    float *g = mls_bench_noise(&p->arena, T * B * N, 3);
    mls_bundle_add(&in, x->name, MLS_B_F32, x->data, 3, x->dim);
    mls_bundle_add(&in, mls_arena_printf(&p->arena, "grad_out/%s", p->port), MLS_B_F32,
                   g, 3, (int64_t[]){B, T, N});
    mls_trace_config c = p->config;
    c.input = &in;
    mls_trace *t = g ? mls_trace_open(&c, e) : NULL;
    if (t)
        mls_weights_add(mls_trace_net(t), mls_trace_prefix(t), "weight/",
                        MLS_WEIGHTS_VALUES, &out);
    int ok = t && mls_trace_run(t, &out, e);
    for (int i = 0; i < in.n; i++)
        mls_bundle_add(&out, in.row[i].name, MLS_B_F32, in.row[i].data, 3,
                       in.row[i].dim);
    ok = ok && mls_tensors_write(path, &out, e);
    mls_trace_free(t);
    return ok;
}

static void close_component(mls_bench_work *w)
{
    component *p = w->self;
    mls_trace_free(p->trace);
    mls_arena_free(&p->arena);
    free(p);
}

int mls_bench_open_component(mls_bench_work *w, const mls_bench_row *row,
                             mls_bench_size s, mls_registry *r, mls_error *e)
{
    component *p = calloc(1, sizeof *p);
    if (!p) {
        mls_error_set(e, "out of memory for %s", row->name);
        return 0;
    }
    w->self = p;
    w->close = close_component;
    w->once = once;
    w->parts = 1;
    w->only = "layer0.node";
    w->write = write_component;
    w->tokens = s.T * s.B;
    p->observer = (mls_observer){p, wanted, value};
    const char *text = mls_arena_strdup(&p->arena, row->spec);
    char number[32];
    snprintf(number, sizeof number, "%lld", (long long)s.D);
    for (char *at; text && (at = strchr(text, '$'));)
        text = mls_arena_printf(&p->arena, "%.*s%s%s", (int)(at - text), text, number,
                                at + 1);
    const mls_value *spec =
        text ? mls_yaml_parse(&p->arena, text, strlen(text), row->name, e) : NULL;
    const mls_component *c =
        spec ? mls_registry_find(r, mls_value_get_string(spec, "component", "", e),
                                 spec, e)
             : NULL;
    if (!c || e->set) return 0;
    p->port = first_output(r, c);
    float *x = mls_bench_noise(&p->arena, s.T * s.B * s.D, 2);
    p->in.arena = &p->arena;
    mls_bundle_add(&p->in, "in/in", MLS_B_F32, x, 3, (int64_t[]){s.B, s.T, s.D});
    /* width 1: the projection of the network's own input, which nothing reads, is no
     * work */
    p->config = (mls_trace_config){.registry = r,
                                   .component = spec,
                                   .seed = 1,
                                   .width = 1,
                                   .grad = 1,
                                   .file = row->name,
                                   .input = &p->in};
    p->trace = x ? mls_trace_open(&p->config, e) : NULL;
    if (!p->trace) return 0;
    p->run = mls_trace_running(p->trace);
    mls_run_observe(p->run, &p->observer);
    mls_run_transient(p->run, 1);        /* each repeat begins anew */
    w->tape = mls_run_tape(p->run);
    return 1;
}
