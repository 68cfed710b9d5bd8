/* The scan of plugins/mixer/outer.h by its definition, in double, forward and backward:
 * whole chunks as products and step by step, for every instruction set of the machine. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "../../plugins/mixer/outer.h"
#include "plug/plug.h"

static mls_host host;

/* ---- A host of one op ------------------------------------------------------------- */

static void *rooms[16];
static int n_rooms;

static void *room(const mls_call *k, size_t bytes)
{
    (void)k;
    assert_true(n_rooms < 16);
    void *p = aligned_alloc(64, (bytes + 63) / 64 * 64);
    assert_non_null(p);
    memset(p, 0xff, bytes);                     /* what is read unwritten shows up as NaN */
    return rooms[n_rooms++] = p;
}

static void drop_rooms(void)
{
    while (n_rooms) free(rooms[--n_rooms]);
}

static uint32_t seed;

static float noise(void)
{
    seed = seed * 1664525u + 1013904223u;
    return (float)(seed >> 8) / 8388608.0f - 1.0f;
}

typedef struct shape {
    int64_t T, B, H, G, P, N;
    int apart, gains, masked;   /* x, k, q in tensors of their own; g and d; a mask */
} shape;

enum { A = OUTER_A, G = OUTER_G, D = OUTER_D, S = OUTER_S, MASK = OUTER_MASK };

typedef struct problem {
    shape s;
    outer attr;
    mls_tensor in[OUTER_INPUTS], out[OUTER_OUTPUTS];
    mls_t ins[OUTER_INPUTS], outs[OUTER_OUTPUTS];
    int has[OUTER_INPUTS];
} problem;

static mls_tensor tensor(int64_t t, int64_t b, int64_t n, float scale)
{
    mls_tensor x = { .dim = { t, b, n, 1 }, .count = t * b * n };
    x.data = malloc((size_t)x.count * sizeof(float));
    x.grad = malloc((size_t)x.count * sizeof(float));
    assert_true(x.data && x.grad);
    for (int64_t i = 0; i < x.count; i++) {
        x.data[i] = scale * noise();
        x.grad[i] = noise();
    }
    return x;
}

static void make(problem *p, shape s)
{
    const int64_t HP = s.H * s.P, GN = s.G * s.N, pad = (s.P + 31) / 32 * 32;
    seed = 7;
    *p = (problem){ .s = s, .attr = { .heads = s.H, .groups = s.G, .size = s.P,
                                      .keys = s.N } };
    p->in[OUTER_X] = tensor(s.T, s.B, s.apart ? HP : HP + 2 * GN, 0.5f);
    p->in[OUTER_K] = tensor(s.T, s.B, GN, 0.5f);
    p->in[OUTER_Q] = tensor(s.T, s.B, GN, 0.5f);
    p->in[A] = tensor(s.T, s.B, s.H, 0.2f);
    p->in[G] = tensor(s.T, s.B, s.H, 1.0f);
    p->in[D] = tensor(1, 1, s.H, 1.0f);
    p->in[S] = tensor(1, s.B, HP * s.N, 0.5f);
    p->in[MASK] = tensor(s.T, s.B, 1, 1.0f);
    for (int64_t i = 0; i < p->in[A].count; i++)
        p->in[A].data[i] = i % 29 == 5 ? 0.0f : 0.8f + p->in[A].data[i];
    for (int64_t i = 0; i < p->in[MASK].count; i++)
        p->in[MASK].data[i] = p->in[MASK].data[i] > -0.5f ? 1.0f : 0.0f;
    if (!s.apart) p->attr.k = HP, p->attr.q = HP + GN;
    for (int i = 0; i < OUTER_INPUTS; i++) {
        p->has[i] = i == OUTER_K || i == OUTER_Q ? s.apart
                  : i == G || i == D ? s.gains : i == MASK ? s.masked : 1;
        p->ins[i] = p->has[i] ? &p->in[i] : NULL;
    }
    p->out[OUTER_Y] = tensor(s.T, s.B, HP, 1.0f);
    p->out[OUTER_LAST] = tensor(1, s.B, HP * s.N, 1.0f);
    p->out[OUTER_BORDER] = tensor((s.T + CHUNK - 1) / CHUNK, s.B, s.H * pad * s.N, NAN);
    for (int i = 0; i < OUTER_OUTPUTS; i++) p->outs[i] = &p->out[i];
}

static void drop(problem *p)
{
    for (int i = 0; i < OUTER_INPUTS; i++) free(p->in[i].data), free(p->in[i].grad);
    for (int i = 0; i < OUTER_OUTPUTS; i++) free(p->out[i].data), free(p->out[i].grad);
}

/* ---- The definition ---------------------------------------------------------------- */

typedef struct truth { double *y, *last, *grad[OUTER_INPUTS]; } truth;

static double *doubles(int64_t n)
{
    double *p = calloc((size_t)n, sizeof *p);
    assert_non_null(p);
    return p;
}

/* Head h of sample b; gradients are added to w->grad. */
static void one_head(const problem *p, truth *w, int64_t b, int64_t h)
{
    const shape s = p->s;
    const int64_t P = s.P, N = s.N, NP = N * P, g = h / (s.H / s.G);
    const int own = s.apart;
    const mls_tensor *x = &p->in[OUTER_X], *k = own ? &p->in[OUTER_K] : x,
                     *q = own ? &p->in[OUTER_Q] : x;
    double *states = doubles((s.T + 1) * NP), *ds = doubles(NP);
    double *gk = w->grad[own ? OUTER_K : OUTER_X], *gq = w->grad[own ? OUTER_Q : OUTER_X];
    const int64_t s0 = (b * s.H + h) * NP;
    const double d = s.gains ? (double)p->in[D].data[h] : 0.0;
    for (int64_t i = 0; i < NP; i++) states[i] = (double)p->in[S].data[s0 + i];
    for (int64_t t = 0; t < s.T; t++) {
        const int64_t at = t * s.B + b, i = at * s.H + h;
        const double *before = states + t * NP;
        double *now = states + (t + 1) * NP;
        const float *xt = x->data + at * x->dim[2] + h * P,
                    *kt = k->data + at * k->dim[2] + p->attr.k + g * N,
                    *qt = q->data + at * q->dim[2] + p->attr.q + g * N;
        if (s.masked && p->in[MASK].data[at] == 0.0f) {
            memcpy(now, before, (size_t)NP * sizeof *now);
            continue;
        }
        const double a = (double)p->in[A].data[i],
                     gain = s.gains ? (double)p->in[G].data[i] : 1.0;
        for (int64_t c = 0; c < P; c++) w->y[i * P + c] = d * (double)xt[c];
        for (int64_t n = 0; n < N; n++)
            for (int64_t c = 0; c < P; c++) {
                now[n * P + c] =
                    a * before[n * P + c] + gain * (double)kt[n] * (double)xt[c];
                w->y[i * P + c] += (double)qt[n] * now[n * P + c];
            }
    }
    for (int64_t i = 0; i < NP; i++) {
        w->last[s0 + i] = states[s.T * NP + i];
        ds[i] = (double)p->out[OUTER_LAST].grad[s0 + i];
    }
    for (int64_t t = s.T - 1; t >= 0; t--) {
        const int64_t at = t * s.B + b, i = at * s.H + h, xi = at * x->dim[2] + h * P,
                      ki = at * k->dim[2] + p->attr.k + g * N,
                      qi = at * q->dim[2] + p->attr.q + g * N;
        const double *before = states + t * NP, *now = states + (t + 1) * NP;
        const double a = (double)p->in[A].data[i],
                     gain = s.gains ? (double)p->in[G].data[i] : 1.0;
        if (s.masked && p->in[MASK].data[at] == 0.0f) continue;
        for (int64_t c = 0; c < P; c++) {
            const double dy = (double)p->out[OUTER_Y].grad[i * P + c],
                         xv = (double)x->data[xi + c];
            w->grad[OUTER_X][xi + c] += d * dy;
            w->grad[D][h] += dy * xv;
            for (int64_t n = 0; n < N; n++) {
                double *gs = &ds[n * P + c];
                const double kv = (double)k->data[ki + n];
                *gs += dy * (double)q->data[qi + n];
                gq[qi + n] += dy * now[n * P + c];
                gk[ki + n] += gain * *gs * xv;
                w->grad[OUTER_X][xi + c] += gain * *gs * kv;
                w->grad[G][i] += *gs * kv * xv;
                w->grad[A][i] += *gs * before[n * P + c];
                *gs *= a;
            }
        }
    }
    for (int64_t i = 0; i < NP; i++) w->grad[S][s0 + i] += ds[i];
    free(states);
    free(ds);
}

static void close_to(const char *what, const float *got, const double *want, int64_t n)
{
    double top = 1e-3;
    for (int64_t i = 0; i < n; i++) top = fmax(top, fabs(want[i]));
    for (int64_t i = 0; i < n; i++)
        if (!(fabs((double)got[i] - want[i]) < 4e-6 * top))
            fail_msg("isa %d: %s[%lld] = %.9g, expected %.9g, where the largest is %g",
                     host.isa, what, (long long)i, (double)got[i], want[i], top);
}

/* fresh: gradients hold nothing; else what they hold is added to. */
static void compare(shape s, unsigned flags, int fresh)
{
    static const char *const name[] = { "dx", "dk", "dq", "da", "dg", "dd", "dS" };
    problem p;
    truth w = { 0 };
    make(&p, s);
    w.y = doubles(p.out[OUTER_Y].count), w.last = doubles(p.out[OUTER_LAST].count);
    for (int i = 0; i < MASK; i++) {
        w.grad[i] = doubles(p.in[i].count);
        for (int64_t e = 0; e < p.in[i].count; e++)
            if (fresh) p.in[i].grad[e] = NAN;
            else w.grad[i][e] = (double)p.in[i].grad[e];
    }
    for (int64_t b = 0; b < s.B; b++)
        for (int64_t h = 0; h < s.H; h++) one_head(&p, &w, b, h);
    mls_call k = { .attr = &p.attr, .in = p.ins, .out = p.outs, .n_in = OUTER_INPUTS,
                   .n_out = OUTER_OUTPUTS, .flags = flags, .fresh = fresh ? 0x7f : 0 };
    outer_forward(&k);
    drop_rooms();
    close_to("y", p.out[OUTER_Y].data, w.y, p.out[OUTER_Y].count);
    close_to("S", p.out[OUTER_LAST].data, w.last, p.out[OUTER_LAST].count);
    outer_backward(&k);
    drop_rooms();
    for (int i = 0; i < MASK; i++)
        if (p.has[i]) close_to(name[i], p.in[i].grad, w.grad[i], p.in[i].count);
    for (int i = 0; i < MASK; i++) free(w.grad[i]);
    free(w.y);
    free(w.last);
    drop(&p);
}

static void everywhere(shape s)
{
    const int best = mls_plug_host()->isa;
    const int isas[] = { MLS_ISA_PLAIN, MLS_ISA_AVX2, MLS_ISA_AVX512 };
    for (int i = 0; i < 3 && isas[i] <= best; i++) {
        host.isa = isas[i];
        compare(s, 0, 1);
        compare(s, 0, 0);
        compare(s, MLS_EXACT, 1);
    }
    host.isa = best;
}

static void whole_tiles(void **state)
{
    (void)state;
    everywhere((shape){ 128, 1, 2, 1, 64, 16, 0, 1, 0 });
    everywhere((shape){ 64, 4, 2, 2, 16, 16, 1, 0, 0 });
}

static void ragged(void **state)
{
    (void)state;
    everywhere((shape){ 75, 2, 4, 2, 5, 7, 0, 1, 1 });
    everywhere((shape){ 150, 9, 1, 1, 3, 9, 1, 1, 1 });
    everywhere((shape){ 13, 2, 2, 1, 33, 10, 0, 0, 1 });
    everywhere((shape){ 5, 2, 2, 2, 1, 1, 1, 1, 0 });
}

/* More keys than a product takes at a time, and more channels. */
static void large(void **state)
{
    (void)state;
    everywhere((shape){ 70, 1, 2, 1, 70, 131, 0, 1, 1 });
    everywhere((shape){ 66, 1, 1, 1, 130, 260, 1, 0, 0 });
}

/* Steps, gradients of y or of the last state that nobody gave. */
static void absent(void **state)
{
    (void)state;
    for (int i = 0; i < 2; i++) {
        problem p, z;
        make(&p, (shape){ 70, 1, 2, 1, 5, 6, 0, 1, 0 });
        make(&z, p.s);
        mls_call k = { .attr = &p.attr, .in = p.ins, .out = p.outs,
                       .n_in = OUTER_INPUTS, .n_out = OUTER_OUTPUTS, .fresh = 0x7f };
        float *kept = p.out[i].grad;
        memset(z.out[i].grad, 0, (size_t)z.out[i].count * sizeof(float));
        p.out[i].grad = NULL;
        outer_forward(&k);
        outer_backward(&k);
        drop_rooms();
        k.in = z.ins, k.out = z.outs;
        outer_forward(&k);
        outer_backward(&k);
        drop_rooms();
        for (int n = 0; n < MASK; n++)
            if (p.has[n])
                assert_memory_equal(p.in[n].grad, z.in[n].grad,
                                    (size_t)p.in[n].count * sizeof(float));
        p.out[i].grad = kept;
        drop(&p);
        drop(&z);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(whole_tiles),
                                        cmocka_unit_test(ragged),
                                        cmocka_unit_test(large),
                                        cmocka_unit_test(absent) };
    cmocka_set_message_output(CM_OUTPUT_TAP);
    mls_plug_init();
    host = *mls_plug_host();
    host.scratch = room;
    mls = &host;
    return cmocka_run_group_tests(tests, NULL, NULL);
}
