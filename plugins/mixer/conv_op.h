/* conv_op.h - the convolution of Mamba's blocks as an op: causal, depthwise, with the SiLU
 * after it, of some columns of what the input projection wrote.  mamba_conv.h has its
 * loops, which whoever includes both gives to a conv_part.
 */
#ifndef PLUGINS_MIXER_CONV_OP_H
#define PLUGINS_MIXER_CONV_OP_H

#include <mls/gradient.h>

enum { TAPS = 64 };                                 /* at most                        */
enum { C_ALL, C_W, C_BIAS, C_PAST, C_MASK };        /* in; out: u, the state after    */

/* The op's attr: where x begins in the rows of its tensor, and the loops, which take
 * `channels` at a time.  No other op gives those columns of the gradient anything: they are
 * written, whatever they hold, be it x itself. */
typedef struct conv_part {
    int64_t from, channels;
    void (*forward)(int64_t, void *), (*backward)(int64_t, void *);
} conv_part;

/* What the loops read and write; items overlap in nothing. */
typedef struct conv_job {
    int64_t T, B, E, K, segments, xs;               /* xs: floats from row to row of x */
    const int32_t *step;                            /* [B][T] real steps; NULL: all   */
    const int64_t *real;                            /* [B] how many there are         */
    const float *x, *w, *bias, *past, *gu, *gnext;  /* w by tap: [K][E]               */
    float  *u, *next, *gx, *gpast;
    float  *part;                                   /* [B][K + 1][E]: of w, then bias */
} conv_job;

/* 0 when memory ran out; the context knows. */
static int conv_job_of(const mls_call *k, conv_job *j)
{
    const conv_part *p = k->attr;
    const mls_t x = k->in[C_ALL], mask = k->in[C_MASK], u = k->out[0], w = k->in[C_W];
    const int64_t T = x->dim[0], B = x->dim[1], E = u->dim[2], K = w->dim[2];
    float *taps = mls->scratch(k, (size_t)(K * E) * sizeof *taps);
    int64_t *real = mls->scratch(k, (size_t)B * sizeof *real);
    int32_t *step = mask ? mls->scratch(k, (size_t)(T * B) * sizeof *step) : NULL;
    if (!taps || !real || (mask && !step)) return 0;
    for (int64_t i = 0; i < K; i++)
        for (int64_t e = 0; e < E; e++) taps[i * E + e] = w->data[e * K + i];
    for (int64_t b = 0; b < B; b++) {
        real[b] = mask ? 0 : T;
        for (int64_t t = 0; mask && t < T; t++)
            if (mask->data[t * B + b] != 0.0f) step[b * T + real[b]++] = (int32_t)t;
    }
    *j = (conv_job){ .T = T, .B = B, .E = E, .K = K,
                     .segments = (E + p->channels - 1) / p->channels, .xs = x->dim[2],
                     .step = step, .real = real, .x = x->data + p->from, .w = taps,
                     .bias = k->in[C_BIAS]->data, .past = k->in[C_PAST]->data,
                     .u = u->data, .next = k->out[1]->data };
    return 1;
}

/* Waking threads costs more than a short sequence does. */
static void conv_items(const conv_job *j, void (*body)(int64_t, void *))
{
    conv_job own = *j;
    const int64_t items = j->B * j->segments;
    if (j->T * j->B * j->E >= 50000) mls->parfor(items, body, &own);
    else for (int64_t i = 0; i < items; i++) body(i, &own);
}

static void conv_forward(const mls_call *k)
{
    conv_job j;
    if (conv_job_of(k, &j)) conv_items(&j, ((const conv_part *)k->attr)->forward);
}

static void conv_backward(const mls_call *k)
{
    const conv_part *p = k->attr;
    const mls_t w = k->in[C_W], bias = k->in[C_BIAS];
    float *gx = k->in[C_ALL]->grad;
    conv_job j;
    if (!conv_job_of(k, &j)) return;
    j.gu = k->out[0]->grad, j.gnext = k->out[1]->grad;
    j.gx = gx ? gx + p->from : NULL;
    j.gpast = k->in[C_PAST]->grad;
    j.part = mls->scratch(k, (size_t)(j.B * (j.K + 1) * j.E) * sizeof *j.part);
    if (!j.part) return;
    conv_items(&j, p->backward);
    for (int64_t b = 0; b < j.B; b++) {
        const float *part = j.part + b * (j.K + 1) * j.E;
        for (int64_t i = 0; w->grad && i < j.K; i++)
            for (int64_t e = 0; e < j.E; e++) w->grad[e * j.K + i] += part[i * j.E + e];
        for (int64_t e = 0; bias->grad && e < j.E; e++)
            bias->grad[e] += part[j.K * j.E + e];
    }
}

static double conv_flops(const mls_call *k)
{
    return (double)k->out[0]->count * (2.0 * (double)k->in[C_W]->dim[2] + 20.0);
}

static const mls_op conv = { sizeof conv, "mamba.conv", conv_forward, conv_backward,
                             conv_flops };

#endif
