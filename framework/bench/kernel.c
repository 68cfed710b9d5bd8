/* kernel.c - rows below the components: matrix products, the optimiser, the loss with
 * its projection, batches out of a text. */
#define _GNU_SOURCE 1
#include "base/philox.h"
#include "base/temporary.h"
#include "bench/model.h"
#include "bench/work.h"
#include "conf/conf.h"
#include "grad/ops.h"
#include "kern/kern.h"
#include "train/feed.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

typedef struct kernel {
    mls_arena arena;
    mls_bench_shape shape;
    int64_t calls, n;
    float *a, *b, *c, *d;
    mls_error error;
    mls_tape tape;
    mls_ctx ctx;
    mls_feed *feed;
    mls_stage *stage;
    int64_t index;
    int32_t *label;
} kernel;

static void close_kernel(mls_bench_work *w)
{
    kernel *p = w->self;
    mls_stage_free(p->stage);
    mls_feed_free(p->feed);
    mls_tape_free(&p->tape);
    mls_arena_free(&p->arena);
    free(p);
}

static kernel *open_kernel(mls_bench_work *w,
                           int (*once)(mls_bench_work *, mls_bench_once *, mls_error *),
                           const mls_bench_row *row, mls_error *e)
{
    kernel *p = calloc(1, sizeof *p);
    if (!p) mls_error_set(e, "out of memory for %s", row->name);
    *w = (mls_bench_work){.self = p, .close = close_kernel, .once = once};
    return p;
}

static int enough(const void *a, const void *b, const void *c, const mls_bench_row *row,
                  mls_error *e)
{
    if (!a || !b || !c) mls_error_set(e, "out of memory for %s", row->name);
    return !e->set;
}

/* ---- products -------------------------------------------------------------------- */

static int product_once(mls_bench_work *w, mls_bench_once *took, mls_error *e)
{
    kernel *p = w->self;
    const mls_bench_shape s = p->shape;
    (void)e;
    const mls_bench_time begin = mls_bench_now();
    for (int64_t i = 0; i < p->calls; i++)
        mls_k_gemm_rows(0, 0, s.trans_a, s.trans_b, s.m, s.n, s.k, 1.0f, p->a,
                        s.trans_a ? s.m : s.k, p->b, s.trans_b ? s.k : s.n, 0.0f, p->c,
                        s.n);
    took->forward = mls_bench_since(begin);
    return 1;
}

/* spec: "M N K ta tb calls"; 0 stands for T B, -1 for B, -2 for D. */
int mls_bench_open_product(mls_bench_work *w, const mls_bench_row *row,
                           mls_bench_size s, mls_registry *r, mls_error *e)
{
    kernel *p = open_kernel(w, product_once, row, e);
    long long v[4];
    (void)r;
    if (!p) return 0;
    sscanf(row->spec, "%lld %lld %lld %d %d %lld", &v[0], &v[1], &v[2],
           &p->shape.trans_a, &p->shape.trans_b, &v[3]);
    for (int i = 0; i < 3; i++) {
        if (v[i] == 0) v[i] = s.T * s.B;
        if (v[i] == -1) v[i] = s.B;
        if (v[i] == -2) v[i] = s.D;
        if (v[i] == -3) v[i] = 4 * s.D;
    }
    p->shape.m = v[0], p->shape.n = v[1], p->shape.k = v[2];
    p->calls = v[3];
    p->a = mls_bench_noise(&p->arena, v[0] * v[2], 1);
    p->b = mls_bench_noise(&p->arena, v[2] * v[1], 2);
    p->c = mls_bench_noise(&p->arena, v[0] * v[1], 3);
    mls_bench_cost_product(&w->cost, p->shape, (double)p->calls);
    return enough(p->a, p->b, p->c, row, e);
}

/* ---- AdamW ----------------------------------------------------------------------- */

static int adamw_once(mls_bench_work *w, mls_bench_once *took, mls_error *e)
{
    kernel *p = w->self;
    (void)e;
    const mls_adamw a = {1e-3f, 0.9f, 0.999f, 1e-8f, 0.01f, ++p->index};
    const mls_bench_time begin = mls_bench_now();
    mls_k_adamw(p->a, p->b, p->c, p->d, p->n, &a);
    took->forward = mls_bench_since(begin);
    return 1;
}

int mls_bench_open_adamw(mls_bench_work *w, const mls_bench_row *row, mls_bench_size s,
                         mls_registry *r, mls_error *e)
{
    kernel *p = open_kernel(w, adamw_once, row, e);
    (void)r, (void)s;
    if (!p) return 0;
    p->n = 1 << 22;
    p->a = mls_bench_noise(&p->arena, p->n, 1);
    p->b = mls_bench_noise(&p->arena, p->n, 2);
    p->c = mls_arena_zalloc(&p->arena, (size_t)p->n * sizeof *p->c);
    p->d = mls_arena_zalloc(&p->arena, (size_t)p->n * sizeof *p->d);
    w->cost.bytes = 7.0 * 4.0 * (double)p->n; /* reads four arrays, writes three */
    w->cost.vector = 8.0 * (double)p->n;
    w->cost.flops = 2.0 * w->cost.vector;
    return enough(p->a, p->c, p->d, row, e);
}

/* ---- projection to bytes and cross-entropy --------------------------------------- */

enum { CLASSES = 256 };

static int entropy_once(mls_bench_work *w, mls_bench_once *took, mls_error *e)
{
    kernel *p = w->self;
    const mls_bench_size s = {p->shape.m, p->shape.n, p->shape.k, 0};
    mls_ctx *c = &p->ctx;
    mls_tape_reset(&p->tape);
    memset(p->d, 0, (size_t)(CLASSES * s.D) * sizeof *p->d);
    mls_bench_time begin = mls_bench_now();
    mls_t x = mls_tape_wrap(c, p->a, NULL, 1, s.T, s.B, s.D),
          weight = mls_tape_wrap(c, p->b, p->d, 1, 1, CLASSES, s.D);
    const mls_later later = {.in = {x, weight}};
    mls_t loss = mls_grad_head_loss(c, &later, p->label, NULL, 0);
    took->forward = mls_bench_since(begin);
    w->saved = (double)p->tape.arena.used;
    begin = mls_bench_now();
    float *g = mls_tape_grad(c, loss);
    if (g) *g = 1.0f;
    mls_tape_backward(c);
    took->backward = mls_bench_since(begin);
    if (p->error.set) mls_error_set(e, "%s", p->error.text);
    return !e->set;
}

int mls_bench_open_entropy(mls_bench_work *w, const mls_bench_row *row,
                           mls_bench_size s, mls_registry *r, mls_error *e)
{
    kernel *p = open_kernel(w, entropy_once, row, e);
    (void)r;
    if (!p) return 0;
    p->shape = (mls_bench_shape){.m = s.T, .n = s.B, .k = s.D};
    p->a = mls_bench_noise(&p->arena, s.T * s.B * s.D, 1);
    p->b = mls_bench_noise(&p->arena, CLASSES * s.D, 2);
    p->d = mls_bench_noise(&p->arena, CLASSES * s.D, 3);
    p->label = mls_bench_bytes(&p->arena, s.T * s.B, 4);
    p->tape.flags = MLS_TRAIN;
    p->ctx = (mls_ctx){&p->error, row->name, &p->tape, &p->arena, 1, NULL, NULL};
    w->tokens = s.T * s.B;
    w->tape = &p->tape;
    w->parts = 1;
    return enough(p->a, p->b, p->d, row, e) && enough(p->label, p->a, p->a, row, e);
}

/* ---- batches of a text ----------------------------------------------------------- */

enum { BATCHES = 16, TEXT = 1 << 20 };

static int data_once(mls_bench_work *w, mls_bench_once *took, mls_error *e)
{
    kernel *p = w->self;
    const mls_bench_time begin = mls_bench_now();
    for (int i = 0; i < BATCHES && !e->set; i++)
        mls_stage_train(p->stage, p->index, i % p->n, 0, e);
    took->forward = mls_bench_since(begin);
    p->index++;
    return !e->set;
}

/* A text of random letters, in a file that is gone once it has been read. */
static int write_text(mls_arena *a, char *path)
{
    char *text = mls_arena_alloc(a, TEXT);
    const int32_t *byte = mls_bench_bytes(a, TEXT, 7);
    const int fd = text && byte ? mkstemp(path) : -1;
    for (int i = 0; fd >= 0 && i < TEXT; i++) text[i] = (char)(' ' + byte[i] % 95);
    const int ok = fd >= 0 && write(fd, text, TEXT) == TEXT;
    if (fd >= 0) close(fd);
    return ok;
}

int mls_bench_open_data(mls_bench_work *w, const mls_bench_row *row, mls_bench_size s,
                        mls_registry *r, mls_error *e)
{
    kernel *p = open_kernel(w, data_once, row, e);
    if (!p) return 0;
    mls_arena *a = &p->arena;
    mls_value *task = mls_value_map(a);
    char *path = mls_temporary(a, "mls-bench");
    const int written = path && write_text(a, path);
    mls_value_set(a, task, "component", mls_value_string(a, "task.text"));
    mls_value_set(a, task, "path", mls_value_string(a, path));
    mls_value_set(a, task, "length", mls_value_int(a, s.T));
    if (!written)
        mls_error_set(e, "%s: no file could be written: %s", row->name,
                      path ? path : "out of memory");
    else
        p->feed = mls_feed_open(r, task, 1, e);
    if (written) unlink(path);
    p->stage = p->feed ? mls_stage_new(p->feed, s.B, e) : NULL;
    if (!p->stage) return 0;
    p->n = mls_feed_batches(p->feed, MLS_TRAINING, s.B);
    if (p->n < 1)
        mls_error_set(e,
                      "%s: a text of %d bytes is too short for a batch of %lld "
                      "times %lld",
                      row->name, TEXT, (long long)s.B, (long long)s.T);
    w->tokens = BATCHES * s.T * s.B;
    return !e->set;
}
