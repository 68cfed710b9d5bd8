/* mgu.c - a minimal gated unit whose gate acts over a step of length dt.
 *
 *   z[t] = sigmoid(Wz x[t] + Uz h[t-1] + bz)
 *   g[t] = tanh(Wg x[t] + Ug (z[t] h[t-1]) + bg)
 *   h[t] = h[t-1] + k[t] (g[t] - h[t-1]),   k[t] = 1 - (1 - z[t])^dt[t]
 *
 * With dt = 1 k is z, and this is the minimal gated unit of Zhou, Wu, Zhang, Zhou 2016,
 * "Minimal Gated Unit for Recurrent Neural Networks" (arXiv:1603.09420); z is their f.
 * The exponent dt is an addition. mgu.lua is the same in Lua, with the same weights.
 */
#include <mls/product.h>

typedef struct mgu { int64_t units; mls_t wz, uz, bz, wg, ug, bg; mls_state *h; } mgu;

enum { X_Z, X_G, H_0, DT, MASK, U_Z, U_G }; /* in of the op: W x + b, h before, ...      */
enum { H, Z, G, K };                        /* out: z, g and k are kept for backward     */

static float length(const mls_call *k, int64_t row) /* 0: the step is padding */
{
    if (k->in[MASK] && k->in[MASK]->data[row] == 0.0f) return 0.0f;
    return k->in[DT] ? k->in[DT]->data[row] : 1.0f;
}

MLS_INLINE void forward_body(const mls_call *k)
{
    const int64_t T = k->in[X_Z]->dim[0], B = k->in[X_Z]->dim[1], N = k->in[X_Z]->dim[2];
    const mls_product uz = mls_product_of(k, T, k->in[U_Z]->data, N, 1, N, N, NULL);
    const mls_product ug = mls_product_of(k, T, k->in[U_G]->data, N, 1, N, N, NULL);
    float *zh = mls->scratch(k, (size_t)(B * N) * sizeof(float));
    if (!uz.start || !ug.start || !zh) return;      /* no memory: the host knows */
    memcpy(k->out[Z]->data, k->in[X_Z]->data, (size_t)(T * B * N) * sizeof(float));
    memcpy(k->out[G]->data, k->in[X_G]->data, (size_t)(T * B * N) * sizeof(float));
    const float *old = k->in[H_0]->data;
    for (int64_t t = 0; t < T; t++) {
        float *h = k->out[H]->data + t * B * N, *z = k->out[Z]->data + t * B * N;
        float *g = k->out[G]->data + t * B * N, *share = k->out[K]->data + t * B * N;
        mls_product_run(&uz, B, old, 1, z);         /* z = W x + b + U h */
        for (int64_t b = 0, i = 0; b < B; b++) {
            const float dt = length(k, t * B + b);
            for (int64_t n = 0; n < N; n++, i++) {
                share[i] = dt != 0.0f ? 1.0f - mls_expf(-dt * mls_softplusf(z[i])) : 0.0f;
                z[i] = mls_sigmoidf(z[i]);
                zh[i] = z[i] * old[i];
            }
        }
        mls_product_run(&ug, B, zh, 1, g);
        for (int64_t i = 0; i < B * N; i++) {
            g[i] = mls_tanhf(g[i]);
            h[i] = share[i] != 0.0f ? old[i] + share[i] * (g[i] - old[i]) : old[i];
        }
        old = h;
    }
}

/* u.grad[to][from] += da[to] from[from], summed over all rows; from is a step behind. */
static void weight_gradient(const mls_call *k, mls_t u, const float *da, const float *first,
                            const float *rest)
{
    const int64_t B = k->in[H_0]->dim[1], N = k->in[H_0]->dim[2];
    const int64_t rows = (k->in[X_Z]->dim[0] - 1) * B;
    if (!u->grad) return;
    mls->gemm(1, 0, N, N, B, 1.0f, da, N, first, N, 1.0f, u->grad, N);
    if (rows) mls->gemm(1, 0, N, N, rows, 1.0f, da + B * N, N, rest, N, 1.0f, u->grad, N);
}

static void add(float *to, const float *from, int64_t n)
{
    for (int64_t i = 0; to && i < n; i++) to[i] += from[i];
}

/* The gradients of z, g and k are the op's to overwrite, as nothing else reads z, g and k.
 * They hold: the slopes at the sums under sigmoid and tanh, and z h[t-1].               */
MLS_INLINE void backward_body(const mls_call *k)
{
    const int64_t T = k->in[X_Z]->dim[0], B = k->in[X_Z]->dim[1], N = k->in[X_Z]->dim[2];
    const mls_product uz = mls_product_of(k, T, k->in[U_Z]->data, N, 0, N, N, NULL);
    const mls_product ug = mls_product_of(k, T, k->in[U_G]->data, N, 0, N, N, NULL);
    float *dh = mls->scratch(k, (size_t)(B * N) * sizeof(float));
    float *dzh = mls->scratch(k, (size_t)(B * N) * sizeof(float));
    float *da = k->out[Z]->grad, *db = k->out[G]->grad, *zh = k->out[K]->grad;
    if (!uz.start || !ug.start || !dh || !dzh) return;
    memset(dh, 0, (size_t)(B * N) * sizeof(float));
    for (int64_t t = T - 1; t >= 0; t--) {
        const int64_t at = t * B * N;
        const float *old = t ? k->out[H]->data + at - B * N : k->in[H_0]->data;
        const float *z = k->out[Z]->data + at, *g = k->out[G]->data + at;
        const float *share = k->out[K]->data + at, *dy = k->out[H]->grad + at;
        for (int64_t b = 0, i = 0; b < B; b++) {
            const float dt = length(k, t * B + b);
            for (int64_t n = 0; n < N; n++, i++) {
                const float d = dh[i] + dy[i];
                db[at + i] = d * share[i] * (1.0f - g[i] * g[i]);
                da[at + i] = d * (g[i] - old[i]) * dt * z[i] * (1.0f - share[i]);
                dh[i] = d * (1.0f - share[i]);
            }
        }
        mls_product_run(&ug, B, db + at, 0, dzh);
        for (int64_t i = 0; i < B * N; i++) {
            zh[at + i] = z[i] * old[i];
            da[at + i] += dzh[i] * old[i] * z[i] * (1.0f - z[i]);
            dh[i] += dzh[i] * z[i];
        }
        mls_product_run(&uz, B, da + at, 1, dh);
    }
    weight_gradient(k, k->in[U_Z], da, k->in[H_0]->data, k->out[H]->data);
    weight_gradient(k, k->in[U_G], db, zh, zh + B * N);
    add(k->in[X_Z]->grad, da, T * B * N);
    add(k->in[X_G]->grad, db, T * B * N);
    add(k->in[H_0]->grad, dh, B * N);
}

MLS_KERNEL(scan_forward, forward_body)
MLS_KERNEL(scan_backward, backward_body)
static double scan_flops(const mls_call *k)
{
    return (double)k->in[X_Z]->count * (4.0 * (double)k->in[X_Z]->dim[2] + 10.0);
}
static const mls_op scan = { sizeof scan, "mgu.scan", scan_forward, scan_backward,
                             scan_flops };

static void setup(mls_ctx *c, void *self)
{
    mgu *p = self;
    const int64_t n = p->units, m = mls->width(c, "in");
    p->wz = mls->weight(c, "gate.weight", n, m, MLS_LINEAR);
    p->uz = mls->weight(c, "gate.recurrent", n, n, MLS_LINEAR);
    p->bz = mls->weight(c, "gate.bias", 1, n, MLS_ZEROS);
    p->wg = mls->weight(c, "value.weight", n, m, MLS_LINEAR);
    p->ug = mls->weight(c, "value.recurrent", n, n, MLS_LINEAR);
    p->bg = mls->weight(c, "value.bias", 1, n, MLS_ZEROS);
    p->h = mls->state(c, "h", n, 0.0, NULL, "what is remembered");
}

static void forward(mls_ctx *c, void *self, const mls_t *in, mls_t *out)
{
    mgu *p = self;
    mls_t xz = mls->linear(c, in[0], p->wz, p->bz), xg = mls->linear(c, in[0], p->wg, p->bg);
    const int64_t T = xz->dim[0], B = xz->dim[1];
    mls_t h = mls->tensor(c, T, B, p->units), z = mls->tensor(c, T, B, p->units);
    mls_t g = mls->tensor(c, T, B, p->units), k = mls->tensor(c, T, B, p->units);
    MLS_APPLY(c, &scan, p,
              ((mls_t[]){ xz, xg, mls->load(c, p->h), in[1], in[2], p->uz, p->ug }),
              ((mls_t[]){ h, z, g, k }));
    mls->store(c, p->h, mls->steps(c, h, T - 1, 1));
    mls->tap(c, "gate", z, NULL, "z: how far a step of length 1 goes");
    out[0] = h;
}

static const mls_port ports[] = {
    { "in", MLS_IN, "T B in", "what it is fed" },
    { "dt", MLS_IN | MLS_MAYBE, "T B 1", "length of each step; 1 if open" },
    { "mask", MLS_IN | MLS_MAYBE, "T B 1", "0: the step leaves the state alone" },
    { "out", MLS_OUT, "T B units", "the state h" },
    MLS_PORT_END
};
static const mls_option options[] = {
    MLS_OPT(mgu, units, MLS_INT, 0, 0, 65536, NULL, "units; 0: the network's width"),
    MLS_OPT_END
};
static const mls_component liquid = {
    sizeof liquid, "liquid", "mgu", MLS_CAUSAL | MLS_STREAMS,
    "Minimal gated unit over steps of any length.",
    ports, options, sizeof(mgu), setup, forward, NULL
};
MLS_PLUGIN("mgu", "1.0", "Apache-2.0", &liquid);
