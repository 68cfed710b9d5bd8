/* cfc.c - closed-form continuous-time cell (Hasani et al. 2022, Nature Machine
 * Intelligence 4), as in ncps.CfCCell, default mode.
 *
 *   z  = backbone([x[t], h[t-1]])            layers of act(W . + b); none: z = [x, h]
 *   f1 = squash(W1 z + b1)   f2 = squash(W2 z + b2)
 *   s  = sigmoid((Wa z + ba) dt / tau + (Wb z + bb))
 *   h[t] = f1 (1 - s) + f2 s
 *   tau = 0.5 + sigmoid(Wtau m)              1 when mod_tau is unconnected
 *
 * Without dt and tau the two gates are one: sigmoid((Wa + Wb) z + (ba + bb)), a quarter
 * of the work of the heads saved.
 */
#include <math.h>
#include <mls/product.h>
#include <stdio.h>

enum { MAX_LAYERS = 8 };
enum { LECUN_TANH, SILU, RELU, TANH, GELU };
enum { FF1, FF2, TIME_A, TIME_B };
enum {
    IN_X,
    IN_H,
    IN_DT,
    IN_TAU,
    IN_MASK,
    IN_WEIGHT,
    MAX_IN = IN_WEIGHT + 2 * MAX_LAYERS + 8
};
enum { OUT_Y, OUT_H, OUT_HEADS, OUT_ACT, MAX_OUT = OUT_ACT + 2 * MAX_LAYERS };

typedef struct cfc {
    int64_t units, backbone_units, backbone_layers;
    int activation, head_activation;
    mls_t weight[2 * MAX_LAYERS + 8]; /* w, b of each layer, then of each head */
    mls_t tau;
    mls_state *h;
} cfc;

/* ---- Activations ---------------------------------------------------------------- */

#define LECUN_OUT 1.7159f
#define LECUN_IN 0.666f

/* erf to 1.5e-7 (Abramowitz and Stegun 7.1.26); *density is exp(-x x). */
MLS_INLINE float erf_of(float x, float *density)
{
    const float a = x < 0.0f ? -x : x, t = 1.0f / (1.0f + 0.3275911f * a);
    float p = 1.061405429f;
    p = p * t - 1.453152027f;
    p = p * t + 1.421413741f;
    p = p * t - 0.284496736f;
    p = p * t + 0.254829592f;
    *density = mls_expf(-a * a);
    const float y = 1.0f - p * t * *density;
    return x < 0.0f ? -y : y;
}

/* a[n] in place; slope[n] is kept for those whose derivative needs more than a. */
MLS_INLINE void activate(int kind, int64_t n, float *restrict a, float *restrict slope)
{
    if (kind == SILU)
        for (int64_t i = 0; i < n; i++) {
            const float s = mls_sigmoidf(a[i]), y = a[i] * s;
            slope[i] = s + y * (1.0f - s);
            a[i] = y;
        }
    else if (kind == GELU)
        for (int64_t i = 0; i < n; i++) {
            float density;
            const float x = a[i], p = 0.5f + 0.5f * erf_of(0.70710678f * x, &density);
            slope[i] = p + x * 0.39894228f * density;
            a[i] = x * p;
        }
    else if (kind == RELU)
        for (int64_t i = 0; i < n; i++) a[i] = a[i] > 0.0f ? a[i] : 0.0f;
    else if (kind == TANH)
        for (int64_t i = 0; i < n; i++) a[i] = mls_tanhf(a[i]);
    else
        for (int64_t i = 0; i < n; i++) a[i] = LECUN_OUT * mls_tanhf(LECUN_IN * a[i]);
}

MLS_INLINE void activate_back(int kind, int64_t n, const float *restrict a,
                              const float *restrict slope, float *restrict g)
{
    const float r = 1.0f / LECUN_OUT;
    if (kind == SILU || kind == GELU)
        for (int64_t i = 0; i < n; i++) g[i] *= slope[i];
    else if (kind == RELU)
        for (int64_t i = 0; i < n; i++) g[i] = a[i] > 0.0f ? g[i] : 0.0f;
    else if (kind == TANH)
        for (int64_t i = 0; i < n; i++) g[i] *= 1.0f - a[i] * a[i];
    else
        for (int64_t i = 0; i < n; i++)
            g[i] *= LECUN_OUT * LECUN_IN * (1.0f - (r * a[i]) * (r * a[i]));
}

/* ---- The sequence as one op */

typedef struct sizes {
    int64_t T, B, S, H, L,
        U;           /* steps, batch, inputs, units, backbone layers and units */
    int64_t heads;   /* 4 with dt or tau, else 3: f1 | f2 | gate */
    int64_t Z, N, F; /* into the heads, out of them, out of the first product */
} sizes;

static sizes sizes_of(const mls_call *k)
{
    const cfc *p = k->attr;
    sizes s = {
        .T = k->in[IN_X]->dim[0], .B = k->in[IN_X]->dim[1], .S = k->in[IN_X]->dim[2]};
    s.H = p->units;
    s.L = p->backbone_layers;
    s.U = p->backbone_units;
    s.heads = k->in[IN_DT] || k->in[IN_TAU] ? 4 : 3;
    s.Z = s.L ? s.U : s.S + s.H;
    s.N = s.heads * s.H;
    s.F = s.L ? s.U : s.N;
    return s;
}

static mls_t weight_of(const mls_call *k, const sizes *s, int head)
{
    return k->in[IN_WEIGHT + 2 * s->L + 2 * head];
}

static mls_t bias_of(const mls_call *k, const sizes *s, int head)
{
    return k->in[IN_WEIGHT + 2 * s->L + 2 * head + 1];
}

/* The heads under one another: [N][cols] from the four weights (or biases). */
static float *stack(const mls_call *k, const sizes *s, int bias, int64_t cols)
{
    const int64_t n = s->H * cols;
    float *w = mls->scratch(k, (size_t)(s->heads * n) * sizeof(float));
    for (int i = 0; w && i < s->heads; i++)
        memcpy(w + i * n, (bias ? bias_of(k, s, i) : weight_of(k, s, i))->data,
               (size_t)n * 4);
    if (w && s->heads == 3) {
        const float *b = (bias ? bias_of(k, s, TIME_B) : weight_of(k, s, TIME_B))->data;
        for (int64_t i = 0; i < n; i++) w[TIME_A * n + i] += b[i];
    }
    return w;
}

/* From the heads' sums of one step to the gate and the new h; y may not be h. */
MLS_INLINE void gate(const mls_call *k, const sizes *s, int64_t t, const float *h,
                     float *y)
{
    const cfc *p = k->attr;
    const int64_t H = s->H;
    const float out = p->head_activation ? LECUN_OUT : 1.0f;
    const float in = p->head_activation ? LECUN_IN : 1.0f;
    for (int64_t b = 0; b < s->B; b++) {
        const int64_t row = t * s->B + b;
        float *restrict f1 = k->out[OUT_HEADS]->data + row * s->N;
        float *restrict f2 = f1 + H, *restrict gs = f1 + s->N - H,
                        *restrict yb = y + b * H;
        const float dt = k->in[IN_DT] ? k->in[IN_DT]->data[row] : 1.0f;
        if (k->in[IN_TAU]) {
            const float *restrict tau = k->in[IN_TAU]->data + row * H, *restrict a =
                                                                           f2 + H;
            for (int64_t j = 0; j < H; j++) gs[j] += a[j] * (dt / tau[j]);
        } else if (s->heads == 4) {
            const float *restrict a = f2 + H;
            for (int64_t j = 0; j < H; j++) gs[j] += a[j] * dt;
        }
        for (int64_t j = 0; j < H; j++) {
            f1[j] = out * mls_tanhf(in * f1[j]);
            f2[j] = out * mls_tanhf(in * f2[j]);
            gs[j] = mls_sigmoidf(gs[j]);
            yb[j] = f1[j] + gs[j] * (f2[j] - f1[j]);
        }
        if (k->in[IN_MASK] && k->in[IN_MASK]->data[row] == 0.0f)
            memcpy(yb, h + b * H, (size_t)H * sizeof(float));
    }
}

MLS_INLINE void forward_body(const mls_call *k)
{
    const cfc *p = k->attr;
    const sizes s = sizes_of(k);
    const float *w = stack(k, &s, 0, s.Z), *b = stack(k, &s, 1, 1);
    const float *w0 = s.L ? k->in[IN_WEIGHT]->data : w,
                *b0 = s.L ? k->in[IN_WEIGHT + 1]->data : b;
    const int64_t ld = s.S + s.H;
    float *first = k->out[s.L ? OUT_ACT : OUT_HEADS]->data, *y = k->out[OUT_Y]->data;
    const mls_product back =
        mls_product_of(k, s.T, w0 ? w0 + s.S : NULL, ld, 1, s.H, s.F, NULL);
    mls_product layer[MAX_LAYERS + 1];
    for (int64_t l = 1; l <= s.L; l++)
        layer[l] = l < s.L
                       ? mls_product_of(k, s.T, k->in[IN_WEIGHT + 2 * l]->data, s.U, 1,
                                        s.U, s.U, k->in[IN_WEIGHT + 2 * l + 1]->data)
                       : mls_product_of(k, s.T, w, s.U, 1, s.U, s.N, b);
    int ok = w && b && back.start;
    for (int64_t l = 1; l <= s.L; l++) ok &= layer[l].start != NULL;
    if (!ok) return; /* no memory: already said */

    for (int64_t r = 0; r < s.T * s.B; r++)
        memcpy(first + r * s.F, b0, (size_t)s.F * sizeof(float));
    mls->gemm_rows(k, s.B, 0, 1, s.T * s.B, s.F, s.S, 1.0f, k->in[IN_X]->data, s.S, w0,
                   ld, 1.0f, first, s.F);
    const float *h = k->in[IN_H]->data;
    for (int64_t t = 0; t < s.T; t++) {
        const int64_t row = t * s.B;
        mls_product_run(&back, s.B, h, 1, first + row * s.F);
        for (int64_t l = 0; l < s.L; l++) {
            float *a = k->out[OUT_ACT + l]->data + row * s.U;
            activate(p->activation, s.B * s.U, a,
                     k->n_out > OUT_ACT + s.L
                         ? k->out[OUT_ACT + s.L + l]->data + row * s.U
                         : NULL);
            const int64_t n = l + 1 < s.L ? s.U : s.N;
            mls_product_run(&layer[l + 1], s.B, a, 0,
                            k->out[l + 1 < s.L ? OUT_ACT + l + 1 : OUT_HEADS]->data +
                                row * n);
        }
        gate(k, &s, t, h, y + row * s.H);
        h = y + row * s.H;
    }
    memcpy(k->out[OUT_H]->data, h, (size_t)(s.B * s.H) * sizeof(float));
}
MLS_KERNEL(scan_forward, forward_body)

/* From the gradient of h[t] (dh, which it takes up) to that of the heads' sums. */
MLS_INLINE void gate_back(const mls_call *k, const sizes *s, int64_t t, float *dh)
{
    const cfc *p = k->attr;
    const int64_t H = s->H;
    const float scale = p->head_activation ? LECUN_OUT * LECUN_IN : 1.0f;
    const float r = p->head_activation ? 1.0f / LECUN_OUT : 1.0f;
    const mls_t tau = k->in[IN_TAU], dt = k->in[IN_DT];
    for (int64_t b = 0; b < s->B; b++) {
        const int64_t row = t * s->B + b;
        const float *restrict f1 = k->out[OUT_HEADS]->data + row * s->N;
        const float *restrict f2 = f1 + H, *restrict a = f2 + H,
                              *restrict gs = f1 + s->N - H;
        const float *restrict gy = k->out[OUT_Y]->grad + row * H;
        float *restrict d1 = k->out[OUT_HEADS]->grad + row * s->N;
        float *restrict d2 = d1 + H, *restrict da = d2 + H,
                        *restrict dg = d1 + s->N - H;
        float *restrict db = dh + b * H;
        if (k->in[IN_MASK] && k->in[IN_MASK]->data[row] == 0.0f) {
            memset(d1, 0, (size_t)s->N * sizeof(float));
            for (int64_t j = 0; j < H; j++) db[j] += gy[j];
            continue;
        }
        for (int64_t j = 0; j < H; j++) {
            const float g = db[j] + gy[j];
            d1[j] = g * (1.0f - gs[j]) * scale * (1.0f - (r * f1[j]) * (r * f1[j]));
            d2[j] = g * gs[j] * scale * (1.0f - (r * f2[j]) * (r * f2[j]));
            dg[j] = g * (f2[j] - f1[j]) * gs[j] * (1.0f - gs[j]);
            db[j] = 0.0f;
        }
        if (s->heads == 3) continue;
        const float step = dt ? dt->data[row] : 1.0f;
        float sum = 0.0f;
        for (int64_t j = 0; j < H; j++) {
            const float rate = tau ? 1.0f / tau->data[row * H + j] : 1.0f;
            da[j] = dg[j] * step * rate;
            sum += dg[j] * a[j] * rate;
            if (tau && tau->grad)
                tau->grad[row * H + j] -= dg[j] * a[j] * step * rate * rate;
        }
        if (dt && dt->grad) dt->grad[row] += sum;
    }
}

MLS_INLINE void add_rows(int64_t rows, int64_t n, const float *restrict g,
                         float *restrict sum)
{
    for (int64_t r = 0; r < rows; r++)
        for (int64_t j = 0; j < n; j++) sum[j] += g[r * n + j];
}

static void add(int64_t n, const float *g, float *to)
{
    for (int64_t i = 0; to && i < n; i++) to[i] += g[i];
}

/* c[m][n] = sum over rows of g[rows][m] a[rows][n], added to what c holds. */
static void outer(const mls_call *k, int64_t rows, const float *g, int64_t m,
                  const float *a, int64_t n, float *c, int64_t ldc)
{
    if (rows && c)
        mls->gemm_rows(k, m, 1, 0, m, n, rows, 1.0f, g, m, a, n, 1.0f, c, ldc);
}

/* The gradient of the product of [x, h] with the first weights, over the whole
 * sequence. */
static void first_weight(const mls_call *k, const sizes *s, const float *g, float *w)
{
    const int64_t ld = s->S + s->H, rows = s->T * s->B;
    outer(k, rows, g, s->F, k->in[IN_X]->data, s->S, w, ld);
    outer(k, s->B, g, s->F, k->in[IN_H]->data, s->H, w ? w + s->S : NULL, ld);
    outer(k, rows - s->B, g + s->B * s->F, s->F, k->out[OUT_Y]->data, s->H,
          w ? w + s->S : NULL, ld);
}

static void unstack(const mls_call *k, const sizes *s, const float *w, const float *b)
{
    for (int i = 0; i < 4; i++) {
        const int from = s->heads == 3 && i == TIME_B ? TIME_A : i;
        add(s->H * s->Z, w + from * s->H * s->Z, weight_of(k, s, i)->grad);
        add(s->H, b + from * s->H, bias_of(k, s, i)->grad);
    }
}

MLS_INLINE void backward_body(const mls_call *k)
{
    const cfc *p = k->attr;
    const sizes s = sizes_of(k);
    const int64_t ld = s.S + s.H, n_dw = s.N * s.Z;
    const float *w = stack(k, &s, 0, s.Z), *w0 = s.L ? k->in[IN_WEIGHT]->data : w;
    float *dh = mls->scratch(k, (size_t)(s.B * s.H) * sizeof(float));
    float *dw = mls->scratch(k, (size_t)n_dw * sizeof(float));
    float *dbias = mls->scratch(k, (size_t)(s.L * s.U + s.N) * sizeof(float));
    float *first = k->out[s.L ? OUT_ACT : OUT_HEADS]->grad,
          *dheads = k->out[OUT_HEADS]->grad;
    const mls_product back =
        mls_product_of(k, s.T, w0 ? w0 + s.S : NULL, ld, 0, s.F, s.H, NULL);
    mls_product layer[MAX_LAYERS + 1];
    for (int64_t l = 1; l <= s.L; l++)
        layer[l] = l < s.L ? mls_product_of(k, s.T, k->in[IN_WEIGHT + 2 * l]->data, s.U,
                                            0, s.U, s.U, NULL)
                           : mls_product_of(k, s.T, w, s.U, 0, s.N, s.U, NULL);
    int ok = w && dh && dw && dbias && back.start;
    for (int64_t l = 1; l <= s.L; l++) ok &= layer[l].start != NULL;
    if (!ok) return;

    memset(dbias, 0, (size_t)(s.L * s.U + s.N) * sizeof(float));
    memset(dw, 0, (size_t)n_dw * sizeof(float));
    memcpy(dh, k->out[OUT_H]->grad, (size_t)(s.B * s.H) * sizeof(float));
    for (int64_t t = s.T - 1; t >= 0; t--) {
        const int64_t row = t * s.B;
        gate_back(k, &s, t, dh);
        add_rows(s.B, s.N, dheads + row * s.N, dbias + s.L * s.U);
        const float *g = dheads + row * s.N;
        for (int64_t l = s.L - 1; l >= 0; l--) {
            float *da = k->out[OUT_ACT + l]->grad + row * s.U;
            mls_product_run(&layer[l + 1], s.B, g, 0, da);
            activate_back(
                p->activation, s.B * s.U, k->out[OUT_ACT + l]->data + row * s.U,
                k->n_out > OUT_ACT + s.L ? k->out[OUT_ACT + s.L + l]->data + row * s.U
                                         : NULL,
                da);
            add_rows(s.B, s.U, da, dbias + l * s.U);
            g = da;
        }
        mls_product_run(&back, s.B, g, 1, dh);
    }
    add(s.B * s.H, dh, k->in[IN_H]->grad);

    const int64_t rows = s.T * s.B;
    if (k->in[IN_X]->grad)
        mls->gemm_rows(k, s.B, 0, 0, rows, s.S, s.F, 1.0f, first, s.F, w0, ld, 1.0f,
                       k->in[IN_X]->grad, s.S);
    for (int64_t l = 0; l < s.L; l++) {
        const float *g = k->out[OUT_ACT + l]->grad;
        float *to = k->in[IN_WEIGHT + 2 * l]->grad;
        if (l == 0)
            first_weight(k, &s, g, to);
        else
            outer(k, rows, g, s.U, k->out[OUT_ACT + l - 1]->data, s.U, to, s.U);
        add(s.U, dbias + l * s.U, k->in[IN_WEIGHT + 2 * l + 1]->grad);
    }
    if (s.L)
        outer(k, rows, dheads, s.N, k->out[OUT_ACT + s.L - 1]->data, s.U, dw, s.U);
    else
        first_weight(k, &s, dheads, dw);
    unstack(k, &s, dw, dbias + s.L * s.U);
}
MLS_KERNEL(scan_backward, backward_body)

static double scan_flops(const mls_call *k)
{
    const sizes s = sizes_of(k);
    const double deep = s.L > 1 ? (double)((s.L - 1) * s.U * s.U) : 0.0;
    const double heads = s.L ? (double)(s.N * s.U) : 0.0;
    return 2.0 * (double)(s.T * s.B) * ((double)((s.S + s.H) * s.F) + deep + heads);
}

static const mls_op scan = {sizeof scan, "cfc.scan", scan_forward, scan_backward,
                            scan_flops};

static void ones_forward(const mls_call *k)
{
    for (int64_t i = 0; i < k->out[0]->count; i++) k->out[0]->data[i] = 1.0f;
}
static const mls_op ones = {sizeof ones, "cfc.ones", ones_forward, NULL, NULL};

/* ---- The component */

static void linear(mls_ctx *c, cfc *p, int i, const char *name, int64_t rows,
                   int64_t cols)
{
    char full[64];
    snprintf(full, sizeof full, "%s.weight", name);
    p->weight[2 * i] =
        mls->weight(c, full, rows, cols, mls_init_of(MLS_XAVIER, 1.0, 0));
    snprintf(full, sizeof full, "%s.bias", name);
    p->weight[2 * i + 1] =
        mls->weight(c, full, 1, rows,
                    mls_init_of(MLS_UNIFORM, 1.0 / sqrt((double)cols), MLS_NO_DECAY));
}

static void setup(mls_ctx *c, void *self)
{
    static const char *const head[] = {"ff1", "ff2", "time_a", "time_b"};
    cfc *p = self;
    const int L = (int)p->backbone_layers;
    int64_t z = mls->width(c, "in") + p->units;
    for (int l = 0; l < L; l++, z = p->backbone_units) {
        char name[32];
        /* ncps counts the activations too */
        snprintf(name, sizeof name, "backbone.%d", 2 * l);
        linear(c, p, l, name, p->backbone_units, z);
    }
    for (int i = FF1; i <= TIME_B; i++) linear(c, p, L + i, head[i], p->units, z);
    if (mls->connected(c, "mod_tau")) /* zeros: the start is tau = 1, as unconnected */
        p->tau = mls->weight(c, "mod_tau.weight", p->units, mls->width(c, "mod_tau"),
                             mls_init_of(MLS_CONSTANT, 0.0, 0));
    p->h = mls->state(c, "h", p->units, 0.0, NULL, "hidden state");
}

static void forward(mls_ctx *c, void *self, const mls_t *in, mls_t *out)
{
    cfc *p = self;
    const int64_t T = in[0]->dim[0], B = in[0]->dim[1], H = p->units,
                  L = p->backbone_layers;
    const int n = 2 * (int)L + 8,
              sloped = p->activation == SILU || p->activation == GELU;
    const int n_out = OUT_ACT + (int)L * (sloped ? 2 : 1);
    mls_t tau = NULL;
    if (in[2]) {
        tau = mls->unary(c, MLS_SIGMOID, mls->linear(c, in[2], p->tau, NULL));
        tau = mls->scale(c, tau, 1.0, 0.5);
    }
    const int64_t heads = in[1] || tau ? 4 : 3;
    mls_t from[MAX_IN] = {in[0], mls->load(c, p->h), in[1], tau, in[3]};
    memcpy(from + IN_WEIGHT, p->weight, (size_t)n * sizeof(mls_t));
    mls_t to[MAX_OUT] = {mls->tensor(c, T, B, H), mls->tensor(c, 1, B, H),
                         mls->tensor(c, T, B, heads * H)};
    for (int i = OUT_ACT; i < n_out; i++)
        to[i] = mls->tensor(c, T, B, p->backbone_units);
    mls->apply(c, &scan, p, from, IN_WEIGHT + n, to, n_out);
    mls->store(c, p->h, to[OUT_H]);
    if (mls->wanted(c, "gate"))
        mls->tap(c, "gate", mls->slice(c, to[OUT_HEADS], (heads - 1) * H, H), NULL,
                 "share of the second head in the new state");
    if (mls->wanted(c, "tau")) {
        mls_t value = tau ? tau : mls->tensor(c, T, B, H);
        if (!tau) mls->apply(c, &ones, NULL, NULL, 0, &value, 1);
        mls->tap(c, "tau", value, NULL, "time constant that divides the step length");
    }
    out[0] = to[OUT_Y];
}

static const mls_port ports[] = {
    {"in", MLS_IN, "T B in", "input of each step"},
    {"dt", MLS_IN | MLS_MAYBE, "T B 1", "length of each step, 1 when unconnected"},
    {"mod_tau", MLS_IN | MLS_MAYBE, "T B m",
     "modulates the time constant of every unit"},
    {"mask", MLS_IN | MLS_MAYBE, "T B 1", "1 for a real step, 0 for padding"},
    {"out", MLS_OUT, "T B units", "hidden state after each step"},
    MLS_PORT_END};

static const mls_option options[] = {
    MLS_OPT(cfc, units, MLS_INT, 0, 0, 65536, NULL,
            "hidden units, 0 for the width of the network"),
    MLS_OPT(cfc, backbone_units, MLS_INT, 128, 1, 65536, NULL,
            "units of each backbone layer"),
    MLS_OPT(cfc, backbone_layers, MLS_INT, 1, 0, MAX_LAYERS, NULL,
            "backbone layers before the heads"),
    MLS_OPT_CHOICE(cfc, activation, "lecun_tanh|silu|relu|tanh|gelu",
                   "activation of the backbone"),
    MLS_OPT_CHOICE(cfc, head_activation, "tanh|lecun_tanh",
                   "activation of the two value heads"),
    MLS_OPT_END};

static const mls_component liquid_cfc = {
    sizeof liquid_cfc,
    "liquid",
    "cfc",
    MLS_CAUSAL | MLS_STREAMS,
    "Closed-form continuous-time cell.\n"
    "Interpolates between two learnt values by a gate that depends on the elapsed\n"
    "time (Hasani et al. 2022). Weights carry the names of ncps' state dict.",
    ports,
    options,
    sizeof(cfc),
    setup,
    forward,
    NULL};

MLS_PLUGIN("cfc", "1.0", "Apache-2.0", &liquid_cfc);
