/* host.c - the table of functions that every plugin sees as `mls->`.  The services
 * that need a network (weights, states, ports, taps) are filled in by net/host.c.      */
#include "base/parfor.h"
#include "base/philox.h"
#include "grad/events.h"
#include "grad/ops.h"
#include "grad/tape.h"
#include "kern/kern.h"
#include "plug/plug.h"
#include "plug/host.h"

#include <string.h>

mls_host mls_plug_table;
const mls_host *mls = &mls_plug_table;

enum { EXTENSIONS = 16 };
static struct { const char *id; const void *table; } extension[EXTENSIONS];

static const void *find_extension(const char *id)
{
    for (int i = 0; i < EXTENSIONS; i++)
        if (extension[i].id && !strcmp(extension[i].id, id)) return extension[i].table;
    return NULL;
}

void mls_plug_extend(const char *id, const void *table)
{
    for (int i = 0; i < EXTENSIONS; i++)
        if (!extension[i].id || !strcmp(extension[i].id, id)) {
            extension[i].id = id;
            extension[i].table = table;
            return;
        }
}

static mls_t tensor(mls_ctx *c, int64_t t, int64_t b, int64_t n)
{
    return mls_tape_tensor(c, t, b, n);
}

/* The input of k that `a` is all of, if it is marked as spikes; else NULL. */
static mls_t spikes_at(const mls_call *k, const float *a, int64_t rows, int64_t n)
{
    for (int i = 0; i < k->n_in; i++) {
        mls_t x = k->in[i];
        if (x && x->data == a && x->dim[2] == n && x->dim[0] * x->dim[1] == rows)
            return mls_tape_spikes(x) ? x : NULL;
    }
    return NULL;
}

/* A product with spikes that an op got as its input, or the gradient of such a product's
 * weight: 1 if it was made of events.                                                    */
static int of_events(const mls_call *k, int ta, int tb, int64_t m, int64_t n, int64_t kk,
                     float alpha, const float *a, int64_t lda, const float *b, int64_t ldb,
                     float beta, float *c, int64_t ldc)
{
    mls_t x;
    if (alpha != 1.0f || (beta != 0.0f && beta != 1.0f)) return 0;
    if (!ta && tb && lda == kk && ldc == n && (x = spikes_at(k, a, m, kk)))
        return mls_grad_events_product(k, x, n, b, ldb, NULL, beta == 1.0f, c);
    if (ta && !tb && lda == m && ldb == n && beta == 1.0f && (x = spikes_at(k, b, kk, n)))
        return mls_grad_events_weight(k, x, a, m, c, ldc);
    return 0;
}

static void gemm_rows(const mls_call *k, int64_t rows, int ta, int tb, int64_t m, int64_t n,
                      int64_t kk, float alpha, const float *a, int64_t lda, const float *b,
                      int64_t ldb, float beta, float *c, int64_t ldc)
{
    if (of_events(k, ta, tb, m, n, kk, alpha, a, lda, b, ldb, beta, c, ldc)) return;
    mls_k_gemm_rows(k->flags & MLS_EXACT, rows, ta, tb, m, n, kk, alpha, a, lda, b, ldb,
                    beta, c, ldc);
}

static void apply_as(mls_ctx *c, unsigned can, const mls_op *op, const void *attr,
                     const mls_t *in, int n_in, const mls_t *out, int n_out)
{
    const unsigned known = MLS_WRITES | MLS_OMITS | MLS_FORGETS | MLS_REPEATS |
                           0xffu * MLS_OVER(0) | 0xffu * MLS_PASSES(0);
    mls_tape_apply_as(c, (can & known) | MLS_TAPE_DENSE, op, attr, in, n_in, out, n_out);
}

static uint64_t key(mls_ctx *c, const char *purpose)
{
    return mls_philox_key(c->seed, c->path, purpose);
}

static void fail(mls_ctx *c, const char *fmt, ...)
{
    if (c->error->set) return;
    va_list ap;
    va_start(ap, fmt);
    mls_error_setv(c->error, fmt, ap);
    va_end(ap);
    mls_error_prefix(c->error, "%s", c->path);
}

static void expect(mls_ctx *c, size_t scratch) { c->tape->expects[1] = scratch; }

const mls_host *mls_plug_host(void) { return &mls_plug_table; }

void mls_plug_init(void)
{
    mls_host *h = &mls_plug_table;
    if (h->size) return;
    h->abi_major = MLS_ABI_MAJOR;
    h->abi_minor = MLS_ABI_MINOR;
    h->isa = mls_k_init();
    h->tensor = tensor;
    h->apply = mls_tape_apply_dense;
    h->apply_as = apply_as;
    h->linear = mls_grad_linear;
    h->binary = mls_grad_binary;
    h->unary = mls_grad_unary;
    h->scale = mls_grad_scale;
    h->concat = mls_grad_concat;
    h->slice = mls_grad_slice;
    h->steps = mls_tape_steps;
    h->rms_norm = mls_grad_rms_norm;
    h->layer_norm = mls_grad_layer_norm;
    h->softmax = mls_grad_softmax;
    h->dropout = mls_grad_dropout;
    h->conv = mls_grad_conv;
    h->attention = mls_grad_attention;
    h->scan = mls_grad_scan;
    h->join = mls_grad_join;
    h->sum = mls_grad_sum;
    h->pool = mls_grad_pool;
    h->spike = mls_grad_spike;
    h->reverse = mls_grad_reverse;
    h->gemm = mls_k_gemm;
    h->gemm_rows = gemm_rows;
    h->scratch = mls_tape_scratch;
    h->parfor = mls_parfor;
    h->threads = mls_parfor_count;
    h->expect = expect;
    h->key = key;
    h->philox = mls_philox;
    h->fail = fail;
    h->extension = find_extension;
    h->size = sizeof *h;
}
