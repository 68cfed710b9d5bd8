/* training.c - a training step of a small language model: bytes in, bytes out, two
 * blocks of a named mode; forward with the loss, backward, AdamW. */
#include "base/philox.h"
#include "bench/model.h"
#include "bench/work.h"
#include "conf/conf.h"
#include "grad/reuse.h"
#include "rec/tensors.h"
#include "study/weights.h"
#include "train/optimiser.h"

#include <stdlib.h>
#include <string.h>

mls_value *mls_bench_network(mls_arena *a, const char *mode, int64_t width,
                             mls_error *e)
{
    /* a window bounds the exchange between the halves; positions are in the order of
     * the bytes for the recurrent modes, and none in the control, as in
     * nn.MultiheadAttention */
    static const char roles[] = "{ fuse: { window: 256 } }",
                      att[] = "{ att: { positions: none } }";
    const int alone = !strcmp(mode, "attention");
    const char *text = alone ? att : roles;
    const mls_value *components = !strcmp(mode, "bidirectional") || alone
                                      ? mls_yaml_parse(a, text, strlen(text), mode, e)
                                      : NULL;
    mls_value *net = e->set ? NULL : mls_conf_mode(a, mode, components, e);
    if (!net || e->set) return NULL;
    mls_value_set(a, net, "width", mls_value_int(a, width));
    mls_value_set(a, net, "layers", mls_value_int(a, 2));
    return net;
}

/* What steers the other half starts at zero: here it has its work from the first
 * step. */
static void wake(mls_net *net)
{
    for (int i = 0; i < mls_net_weights(net); i++) {
        mls_weight *w = mls_net_weight(net, i);
        if (w->data && strstr(w->name, ".mod_"))
            mls_philox_normal(mls_philox_key(1, w->name, "bench"), w->data,
                              w->rows * w->cols, 0.05);
    }
}

mls_net *mls_bench_model(const mls_registry *r, const mls_value *spec, int64_t steps,
                         int dry, mls_error *e)
{
    const mls_task_shape shape = {.steps = steps,
                                  .vocabulary = 256,
                                  .output = 256,
                                  .loss = MLS_CROSS_ENTROPY,
                                  .per_step = 1,
                                  .is_text = 1};
    mls_net *net = mls_net_build(&(mls_net_config){r, spec, &shape, 1, dry}, e);
    if (net) wake(net);
    return net;
}

int32_t *mls_bench_bytes(mls_arena *a, int64_t n, uint64_t key)
{
    int32_t *x = mls_arena_alloc(a, (size_t)n * sizeof *x);
    uint32_t u[4];
    for (int64_t i = 0; x && i < n; i++) {
        if (i % 4 == 0) mls_philox(key, (uint64_t)i, u);
        x[i] = (int32_t)(u[i % 4] >> 24);
    }
    return x;
}

typedef struct training {
    mls_arena arena;
    mls_net *net;
    mls_run *run;
    mls_batch batch;
    mls_optimiser optimiser;
    int64_t step;
} training;

static int once(mls_bench_work *w, mls_bench_once *took, mls_error *e)
{
    training *p = w->self;
    mls_run_reset(p->run);
    mls_bench_time begin = mls_bench_now();
    mls_net_zero_grad(p->net);
    mls_run_loss(p->run, &p->batch, (uint64_t)p->step, NULL);
    took->forward = mls_bench_since(begin);
    w->saved = (double)(mls_tape_in_use(w->tape) + mls_reuse_arena(w->tape->reuse)->used);
    begin = mls_bench_now();
    mls_run_backward(p->run, 1.0);
    mls_optimiser_step(&p->optimiser, p->net, 1e-3, ++p->step);
    took->backward = mls_bench_since(begin);
    if (mls_run_error(p->run)->set) mls_error_set(e, "%s", mls_run_error(p->run)->text);
    return !e->set;
}

/* [T][B] of bytes as [B][T] of numbers. */
static void add_bytes(mls_bundle *b, const char *name, const int32_t *x, int64_t T,
                      int64_t B)
{
    float *y = mls_arena_alloc(b->arena, (size_t)(T * B) * sizeof *y);
    for (int64_t i = 0; y && i < T * B; i++) y[i % B * T + i / B] = (float)x[i];
    mls_bundle_add(b, name, MLS_B_F32, y, 2, (int64_t[]){B, T});
}

static int write_training(mls_bench_work *w, const char *path, mls_error *e)
{
    training *p = w->self;
    mls_bundle out = {.arena = &p->arena};
    mls_run_reset(p->run);
    mls_net_zero_grad(p->net);
    float loss = (float)mls_run_loss(p->run, &p->batch, 0, NULL);
    mls_run_backward(p->run, 1.0);
    if (mls_run_error(p->run)->set) mls_error_set(e, "%s", mls_run_error(p->run)->text);
    add_bytes(&out, "token", p->batch.token, p->batch.steps, p->batch.batch);
    add_bytes(&out, "label", p->batch.label, p->batch.steps, p->batch.batch);
    mls_bundle_add(&out, "loss", MLS_B_F32, &loss, 1, (int64_t[]){1});
    mls_weights_add(p->net, "", "weight/", MLS_WEIGHTS_VALUES, &out);
    mls_weights_add(p->net, "", "grad/weight/", MLS_WEIGHTS_GRADIENTS, &out);
    return !e->set && mls_tensors_write(path, &out, e);
}

static void close_training(mls_bench_work *w)
{
    training *p = w->self;
    mls_run_free(p->run);
    mls_net_free(p->net);
    mls_arena_free(&p->arena);
    free(p);
}

int mls_bench_open_training(mls_bench_work *w, const mls_bench_row *row,
                            mls_bench_size s, mls_registry *r, mls_error *e)
{
    training *p = calloc(1, sizeof *p);
    if (!p) {
        mls_error_set(e, "out of memory for %s", row->name);
        return 0;
    }
    *w = (mls_bench_work){.self = p,
                          .close = close_training,
                          .once = once,
                          .parts = 1,
                          .write = write_training,
                          .tokens = s.T * s.B};
    p->optimiser = (mls_optimiser){.kind = MLS_ADAMW,
                                   .beta1 = 0.9,
                                   .beta2 = 0.999,
                                   .epsilon = 1e-8,
                                   .decay = 0.01,
                                   .mixed = s.mixed};
    const mls_value *spec = mls_bench_network(&p->arena, row->spec, s.D, e);
    p->net = spec ? mls_bench_model(r, spec, s.T, 0, e) : NULL;
    p->run = p->net ? mls_run_new(p->net, s.B, MLS_TRAIN, e) : NULL;
    if (!p->run || !mls_run_reuse(p->run, s.mixed)) return 0;
    mls_run_blocks(p->run, 1);
    mls_run_transient(p->run, 1);
    p->batch = (mls_batch){.steps = s.T,
                           .batch = s.B,
                           .token = mls_bench_bytes(&p->arena, s.T * s.B, 4),
                           .label = mls_bench_bytes(&p->arena, s.T * s.B, 5)};
    if (!p->batch.token || !p->batch.label ||
        !mls_optimiser_open(&p->optimiser, p->net, &p->arena))
        mls_error_set(e, "out of memory for %s", row->name);
    w->tape = mls_run_tape(p->run);
    return !e->set;
}
