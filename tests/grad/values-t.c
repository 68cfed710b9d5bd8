/* The common operations' values against double arithmetic, what they count, and what
 * they say when shapes, tokens or labels do not fit.                                 */
#include "rig.h"

#include "grad/tape-inner.h"
#include "kern/kern.h"

enum { T = 3, B = 2, N = 37, R = T * B };

static mls_t input(rig *g, float *x)
{
    return mls_tape_wrap(&g->c, x, NULL, 0, T, B, N);
}

static double value(mls_unary f, double x)
{
    switch (f) {
    case MLS_SIGMOID: return 1 / (1 + exp(-x));
    case MLS_TANH: return tanh(x);
    case MLS_SILU: return x / (1 + exp(-x));
    case MLS_GELU: return x * 0.5 * erfc(-x / sqrt(2.0));
    case MLS_RELU: return x > 0 ? x : 0;
    case MLS_SOFTPLUS: return log1p(exp(x));
    case MLS_EXP: return exp(x);
    case MLS_LECUN_TANH: return 1.7159 * tanh(0.666 * x);
    case MLS_NEGATE: return -x;
    case MLS_SQUARE: return x * x;
    case MLS_LOG: return log(x);
    case MLS_SQRT: return sqrt(x);
    case MLS_ABS: return fabs(x);
    }
    return NAN;
}

static void unary(void **state)
{
    (void)state;
    const int best = mls_k_init();
    float *x = rig_noise(R * N, 1);
    for (int i = 0; i < R * N; i++) x[i] *= 6.0f;
    for (int isa = 0; isa <= best; isa++)
        for (int f = MLS_SIGMOID; f <= MLS_ABS; f++) {
            rig g;
            rig_start(&g, 0);
            mls_plug_table.isa = isa;
            const mls_t y = mls_grad_unary(&g.c, (mls_unary)f, input(&g, x));
            assert_true(y->dim[0] == T && y->dim[1] == B && y->dim[2] == N);
            for (int i = 0; i < R * N; i++) {
                const double ref = value((mls_unary)f, (double)x[i]);
                if (isnan(ref)) {                   /* log and sqrt of what is below 0 */
                    assert_true(isnan(y->data[i]));
                    continue;
                }
                const double off =
                    fabs((double)y->data[i] - ref) / fmax(1.0, fabs(ref));
                if (!(off < 1e-6))
                    fail_msg("function %d at %g: off by %g", f, (double)x[i], off);
            }
            rig_stop(&g);
        }
    /* a NaN is never swallowed */
    x[5] = NAN;
    for (int f = MLS_SIGMOID; f <= MLS_ABS; f++) {
        rig g;
        rig_start(&g, 0);
        assert_true(isnan(mls_grad_unary(&g.c, (mls_unary)f, input(&g, x))->data[5]));
        rig_stop(&g);
    }
    free(x);
}

/* ln at the ends of its range, in each kernel family. */
static void logarithm(void **state)
{
    (void)state;
    float x[] = { 0.0f, -0.0f, 1e-45f, 1e-40f, 1.17e-38f, 3.4e38f, INFINITY, 1.0f };
    enum { MANY = sizeof x / sizeof *x };
    const int best = mls_k_init();
    for (int isa = 0; isa <= best; isa++) {
        rig g;
        rig_start(&g, 0);
        mls_plug_table.isa = isa;
        const mls_t in = mls_tape_wrap(&g.c, x, NULL, 0, 1, 1, MANY);
        const float *y = mls_grad_unary(&g.c, MLS_LOG, in)->data;
        assert_true(y[0] == -INFINITY && y[1] == -INFINITY && y[6] == INFINITY);
        assert_true(y[7] == 0.0f);
        for (int i = 2; i < 6; i++)
            assert_true(fabs((double)y[i] / log((double)x[i]) - 1.0) < 2e-7);
        rig_stop(&g);
    }
}

static void spikes(void **state)
{
    (void)state;
    float v[] = { -1.0f, -0.0f, 0.0f, 1e-45f, 0.5f, 2.0f }, gv[6] = { 0 };
    const float want[] = { 0, 0, 0, 1, 1, 1 };
    rig g;
    rig_start(&g, MLS_TRAIN);
    const mls_t in = mls_tape_wrap(&g.c, v, gv, 0, 1, 1, 6);
    const mls_t s = mls_grad_spike(&g.c, in, MLS_FAST_SIGMOID, 0.0);
    assert_memory_equal(s->data, want, sizeof want);
    float *gs = mls_tape_grad(&g.c, s);
    for (int i = 0; i < 6; i++) gs[i] = 2.0f;
    mls_tape_backward(&g.c);
    for (int i = 0; i < 6; i++) {                       /* the usual slope is 25 */
        const double d = 1.0 + 25.0 * fabs((double)v[i]);
        assert_true(fabs((double)gv[i] - 2.0 / (d * d)) < 1e-6);
    }
    rig_stop(&g);
}

static void norms(void **state)
{
    (void)state;
    float *x = rig_noise(R * N, 1), *gain = rig_noise(N, 2), *bias = rig_noise(N, 3);
    rig g;
    rig_start(&g, 0);
    const mls_t wg = mls_tape_wrap(&g.c, gain, NULL, 0, 1, 1, N);
    const mls_t wb = mls_tape_wrap(&g.c, bias, NULL, 0, 1, 1, N);
    const mls_t a = mls_grad_rms_norm(&g.c, input(&g, x), wg, 1e-3);
    const mls_t b = mls_grad_layer_norm(&g.c, input(&g, x), wg, wb, 1e-3);
    for (int r = 0; r < R; r++) {
        double mean = 0, square = 0;
        for (int j = 0; j < N; j++) {
            mean += (double)x[r * N + j] / N;
            square += (double)x[r * N + j] * (double)x[r * N + j] / N;
        }
        for (int j = 0; j < N; j++) {
            const double v = (double)x[r * N + j];
            const double rms = v / sqrt(square + 1e-3) * (double)gain[j];
            const double layer = (v - mean) / sqrt(square - mean * mean + 1e-3)
                                 * (double)gain[j] + (double)bias[j];
            assert_true(fabs((double)a->data[r * N + j] - rms) < 2e-6);
            assert_true(fabs((double)b->data[r * N + j] - layer) < 2e-6);
        }
    }
    rig_stop(&g);
    free(x), free(gain), free(bias);
}

static void softmax(void **state)
{
    (void)state;
    float *x = rig_noise(R * N, 1);
    for (int i = 0; i < R * N; i++) x[i] = 20.0f * x[i] + 500.0f;   /* e^x overflows */
    x[3] = -INFINITY;
    rig g;
    rig_start(&g, 0);
    const mls_t y = mls_grad_softmax(&g.c, input(&g, x));
    assert_true(y->data[3] == 0.0f);
    for (int r = 0; r < R; r++) {
        double sum = 0, total = 0;
        for (int j = 0; j < N; j++) sum += exp((double)x[r * N + j] - 500.0);
        for (int j = 0; j < N; j++) {
            const double ref = exp((double)x[r * N + j] - 500.0) / sum;
            assert_true(fabs((double)y->data[r * N + j] - ref) < 1e-6);
            total += (double)y->data[r * N + j];
        }
        assert_true(fabs(total - 1.0) < 1e-6);
    }
    rig_stop(&g);
    free(x);
}

static void losses(void **state)
{
    (void)state;
    float *x = rig_noise(R * N, 1), *target = rig_noise(R * N, 2);
    int32_t label[R] = { 3, -1, 0, N - 1, 5, -1 };
    x[2 * N + 0] = 9.0f;                              /* right at row 2 */
    x[4 * N + 5] = x[4 * N + 6] = 8.0f;     /* the first of two equals: right */
    x[3 * N + N - 1] = x[3 * N + 2] = 8.0f; /* the second of two equals: wrong */
    target[7] = NAN;
    double nats = 0, squares = 0;
    for (int r = 0; r < R; r++) {
        double sum = 0;
        for (int j = 0; j < N; j++) sum += exp((double)x[r * N + j]);
        if (label[r] >= 0) nats += log(sum) - (double)x[r * N + label[r]];
    }
    for (int i = 0; i < R * N; i++)
        if (!isnan(target[i])) squares += pow((double)x[i] - (double)target[i], 2);
    rig g;
    rig_start(&g, 0);
    mls_loss_stats s;
    mls_t y = mls_grad_cross_entropy(&g.c, input(&g, x), label, &s);
    assert_true(fabs(s.sum - nats) < 1e-5 &&
                fabs((double)y->data[0] - nats / 4) < 1e-5);
    assert_true(s.count == 4.0);
    assert_true(s.correct == 2.0);
    y = mls_grad_mse(&g.c, input(&g, x), target, &s);
    assert_true(fabs(s.sum - squares) < 1e-4 && s.count == R * N - 1.0);
    assert_true(fabs((double)y->data[0] - squares / (R * N - 1)) < 1e-5);
    double sizes = 0.0;
    for (int i = 0; i < R * N; i++)
        if (!isnan(target[i])) sizes += fabs((double)x[i] - (double)target[i]);
    y = mls_grad_mae(&g.c, input(&g, x), target, &s);
    assert_true(fabs(s.sum - sizes) < 1e-4 && s.count == R * N - 1.0);
    assert_true(fabs((double)y->data[0] - sizes / (R * N - 1)) < 1e-5);
    /* one frame without any target; a logit beyond what exp can hold */
    double nll = 0.0;
    for (int j = 0; j < N; j++) target[3 * N + j] = NAN;
    for (int i = 0; i < R * N; i++) target[i] = isnan(target[i]) ? NAN : target[i] > 0.0f;
    x[0] = -200.0f, x[1] = 150.0f;
    for (int i = 0; i < R * N; i++) {
        const double v = (double)x[i], t = (double)target[i];
        if (!isnan(t)) nll += fmax(v, 0.0) - v * t + log1p(exp(-fabs(v)));
    }
    y = mls_grad_binary_nll(&g.c, input(&g, x), target, &s);
    assert_true(fabs(s.sum - nll) < 1e-6 * nll && s.count == R - 1.0);
    assert_true(fabs((double)y->data[0] - nll / (R - 1)) < 1e-6 * nll);
    for (int r = 0; r < R; r++) label[r] = -1;
    y = mls_grad_cross_entropy(&g.c, input(&g, x), label, &s);
    assert_true(y->data[0] == 0.0f && s.count == 0.0);
    rig_stop(&g);
    free(x), free(target);
}

/* The sign of each error over the number of those scored; none where there is no error. */
static void sizes_have_signs(void **state)
{
    (void)state;
    float x[5] = { 1.0f, -2.0f, 0.5f, 3.0f, 0.0f }, grad[5] = { 10.0f, 0, 0, 0, 0 };
    const float target[5] = { 0.0f, 1.0f, 0.5f, NAN, -4.0f };
    const float want[5] = { 10.5f, -0.5f, 0.0f, 0.0f, 0.5f };
    rig g;
    rig_start(&g, MLS_TRAIN);
    const mls_t in = mls_tape_wrap(&g.c, x, grad, 0, 1, 1, 5);
    const mls_t loss = mls_grad_mae(&g.c, in, target, NULL);
    assert_true(loss->data[0] == 2.0f);
    mls_tape_grad(&g.c, loss)[0] = 2.0f;
    mls_tape_backward(&g.c);
    assert_memory_equal(grad, want, sizeof want);
    rig_stop(&g);
}

/* Straight from linear the gradient takes the logits' place; behind another operation
 * it does not.  Both ways give the weight the same gradient, and a row that is not
 * scored gives none, however large its logits are. */
static void logits_in_place(void **state)
{
    (void)state;
    enum { CLASSES = 5 };
    const int32_t label[R] = { 3, -1, 0, 4, 2, -1 };
    float *x = rig_noise(R * N, 1), *w = rig_noise(CLASSES * N, 2);
    float *grad[2] = { rig_zeros(CLASSES * N), rig_zeros(CLASSES * N) };
    for (int j = 0; j < N; j++) x[N + j] = 1000.0f * w[j];
    for (int i = 0; i < 2; i++) {
        rig g;
        rig_start(&g, MLS_TRAIN);
        const mls_t weight = mls_tape_wrap(&g.c, w, grad[i], 0, 1, CLASSES, N);
        mls_t y = mls_grad_linear(&g.c, input(&g, x), weight, NULL);
        assert_true(y->data[CLASSES] > 200.0f);
        if (i) y = mls_grad_scale(&g.c, y, 1.0, 0.0);
        const mls_t loss = mls_grad_cross_entropy(&g.c, y, label, NULL);
        mls_tape_grad(&g.c, loss)[0] = 1.0f;
        mls_tape_backward(&g.c);
        rig_stop(&g);
    }
    double size = 0.0;
    for (int i = 0; i < CLASSES * N; i++) {
        size += fabs((double)grad[0][i]);
        assert_true(fabs((double)grad[0][i] - (double)grad[1][i]) < 1e-6);
    }
    assert_true(size > 0.1);
    free(x), free(w), free(grad[0]), free(grad[1]);
}

/* The kept values are those that mls_philox names, in each family. */
static void dropout(void **state)
{
    (void)state;
    enum { MANY = 10007 };
    const int best = mls_k_init();
    float *x = rig_noise(MANY, 1);
    for (int isa = 0; isa <= best; isa++) {
        rig g;
        rig_start(&g, MLS_TRAIN);
        mls_plug_table.isa = isa;
        g.tape.dropout = 1234;
        const mls_t in = mls_tape_wrap(&g.c, x, NULL, 0, 1, 1, MANY);
        for (uint64_t number = 0; number < 2; number++) {
            const mls_t y = mls_grad_dropout(&g.c, in, 0.25);
            int kept = 0;
            uint32_t u[4] = { 0 };
            for (int i = 0; i < MANY; i++) {
                if (i % 4 == 0)
                    mls_philox(mls_philox_mix(1234, number), (uint64_t)i / 4, u);
                const int keep = u[i % 4] >= 0x40000000u;
                assert_true(y->data[i] == (keep ? x[i] * (float)(1 / 0.75) : 0.0f));
                kept += keep;
            }
            assert_in_range(kept, 0.74 * MANY, 0.76 * MANY);
        }
        assert_true(mls_grad_dropout(&g.c, in, 0.0) == in);
        g.tape.flags = 0;
        assert_true(mls_grad_dropout(&g.c, in, 0.25) == in);
        rig_stop(&g);
    }
    free(x);
}

/* Where both are equal, max gives each half of the gradient. */
static void ties(void **state)
{
    (void)state;
    float a[2] = { 1.0f, 2.0f }, ga[2] = { 0 }, gb[2] = { 0 }, b[2] = { 1.0f, 3.0f };
    rig g;
    rig_start(&g, MLS_TRAIN);
    const mls_t y =
        mls_grad_binary(&g.c, MLS_MAX, mls_tape_wrap(&g.c, a, ga, 0, 1, 1, 2),
                        mls_tape_wrap(&g.c, b, gb, 0, 1, 1, 2));
    float *gy = mls_tape_grad(&g.c, y);
    gy[0] = gy[1] = 1.0f;
    mls_tape_backward(&g.c);
    assert_true(y->data[0] == 1.0f && y->data[1] == 3.0f);
    assert_true(ga[0] == 0.5f && gb[0] == 0.5f && ga[1] == 0.0f && gb[1] == 1.0f);
    rig_stop(&g);
}

static void expect(rig *g, const char *part)
{
    if (!g->error.set || !strstr(g->error.text, part) || !strstr(g->error.text, "test"))
        fail_msg("\"%s\" is not in \"%s\"", part, g->error.text);
    g->error.set = 0;
    g->error.text[0] = 0;
}

static void complaints(void **state)
{
    (void)state;
    float *x = rig_noise(R * N, 1);
    int32_t bad[R] = { 0, 1, 2, N, 0, 0 };
    rig g;
    rig_start(&g, 0);
    const mls_t in = input(&g, x), w = mls_tape_wrap(&g.c, x, NULL, 0, 1, 4, N - 1);
    const mls_t odd = mls_tape_wrap(&g.c, x, NULL, 0, 2, B, N);
    mls_grad_linear(&g.c, in, w, NULL);
    expect(&g, "x has 37 features, the weight is [4][36]");
    mls_grad_binary(&g.c, MLS_ADD, in, odd);
    expect(&g, "[3][2][37] with [2][2][37]");
    mls_grad_concat(&g.c, in, odd);
    expect(&g, "concat");
    mls_grad_slice(&g.c, in, 30, 8);
    expect(&g, "30..38 of 37");
    mls_grad_rms_norm(&g.c, in, w, 1e-5);
    expect(&g, "rms_norm: x has 37 features");
    mls_grad_dropout(&g.c, in, 1.0);
    expect(&g, "p is 1");
    mls_grad_cross_entropy(&g.c, in, bad, NULL);
    expect(&g, "label 37 at step 1 of sample 1");
    mls_grad_embed(&g.c, bad, T, B, w);
    expect(&g, "token 37 at step 1 of sample 1; the table has 0..3");
    mls_grad_unary(&g.c, (mls_unary)99, in);
    expect(&g, "99");
    mls_grad_pool(&g.c, in, (mls_pool)7, NULL);
    expect(&g, "pool: there is no kind number 7");
    mls_tape_tensor(&g.c, INT64_C(1) << 40, 1 << 20, 1 << 20);
    expect(&g, "a tensor of shape [1099511627776][1048576][1048576] was asked for");
    mls_grad_pool(&g.c, in, MLS_POOL_MEAN, w);
    expect(&g, "pool: the mask has 144 values for 3 steps of 2 samples");
    mls_grad_spike(&g.c, in, (mls_surrogate)3, 0.0);
    expect(&g, "spike: there is no surrogate number 3");
    mls_grad_spike(&g.c, in, MLS_ATAN, -1.0);
    expect(&g, "spike: slope = -1, expected 0 (the surrogate's usual one) to 1e6");
    mls_grad_spike(&g.c, in, MLS_ATAN, (double)NAN);
    expect(&g, "slope = ");
    mls_grad_scan(&g.c, in, odd, NULL, NULL);
    expect(&g, "scan: a is [3][2][37] and b [2][2][37]");
    mls_grad_scan(&g.c, in, in, NULL, w);
    expect(&g, "scan: the mask has 144 values");
    rig_stop(&g);
    free(x);
}

/* A dry run makes every shape and touches no number. */
static void dry(void **state)
{
    (void)state;
    rig g;
    rig_start(&g, MLS_TRAIN);
    g.tape.dry = 1;
    const mls_t x = mls_tape_wrap(&g.c, NULL, NULL, 1, T, B, N);
    const mls_t w = mls_tape_wrap(&g.c, NULL, NULL, 1, 1, 5, N);
    mls_loss_stats s = { 1, 1, 1, 1 };
    mls_t y = mls_grad_linear(&g.c, x, w, NULL);
    assert_true(y->dim[2] == 5 && !y->data && mls_tape_tracks(y));
    assert_true(g.tape.flops == 2.0 * R * 5 * N && g.tape.bytes == 4.0 * R * 5);
    y = mls_grad_rms_norm(&g.c, mls_grad_concat(&g.c, y, mls_grad_slice(&g.c, x, 1, 3)),
                          NULL, 0);
    y = mls_grad_softmax(&g.c,
                         mls_grad_dropout(&g.c, mls_grad_scale(&g.c, y, 2, 0), 0.5));
    y = mls_grad_join(&g.c, (const mls_t[]) { y, y }, 2);
    assert_true(y->dim[0] == 2 * T && y->dim[2] == 8);
    assert_true(mls_grad_sum(&g.c, y)->dim[2] == 1);
    assert_true(mls_grad_pool(&g.c, y, MLS_POOL_MEAN, NULL)->count == B * 8);
    const double before = g.tape.flops;
    y = mls_grad_scan(&g.c, y, mls_grad_spike(&g.c, y, MLS_ATAN, 0.0), NULL, NULL);
    assert_true(g.tape.flops - before == 3.0 * (double)y->count);
    y = mls_grad_cross_entropy(&g.c, y, NULL, &s);
    assert_true(y->count == 1 && s.count == 0.0 && !y->data);
    rig_stop(&g);
}

/* ---- first gradients ------------------------------------------------------------- */

/* y = a + b, and a second output that nobody asks a gradient of. */
typedef struct seen { uint64_t fresh; int omitted; } seen;

static void sum_forward(const mls_call *k)
{
    for (int64_t i = 0; i < k->out[0]->count; i++) {
        k->out[0]->data[i] = k->in[0]->data[i] + k->in[1]->data[i];
        k->out[1]->data[i] = 0.0f;
    }
}

static void sum_backward(const mls_call *k)
{
    seen *s = (seen *)(uintptr_t)k->attr;
    *s = (seen){ k->fresh, !k->out[1]->grad };
    for (int j = 0; j < 2; j++)
        for (int64_t i = 0; i < k->out[0]->count; i++)
            k->in[j]->grad[i] =
                (k->fresh >> j & 1 ? 0.0f : k->in[j]->grad[i]) + k->out[0]->grad[i];
}

static const mls_op sum_op = { sizeof sum_op, "sum", sum_forward, sum_backward, NULL };

static mls_t sum_of(rig *r, unsigned can, seen *s, mls_t a, mls_t b)
{
    const mls_t in[] = { a, b }, out[] = { mls_tape_tensor(&r->c, 1, 1, a->count),
                                           mls_tape_tensor(&r->c, 1, 1, a->count) };
    if (can) mls->apply_as(&r->c, can, &sum_op, s, in, 2, out, 2);
    else mls->apply(&r->c, &sum_op, s, in, 2, out, 2);
    return out[0];
}

/* join and concat write the gradient of a part that has none yet, over whatever lies there. */
static void parted_gradients(void **state)
{
    (void)state;
    enum { DIRT = 4096 };
    for (int wide = 0; wide < 2; wide++) {
        float data[2][4] = { { 1, 2, 3, 4 }, { 5, 6, 7, 8 } };
        rig r;
        rig_start(&r, MLS_TRAIN);
        float *dirt = mls_tape_take(&r.tape, DIRT);
        for (int i = 0; i < DIRT; i++) dirt[i] = 7.0f;
        mls_tape_give(&r.tape, dirt, DIRT);
        const mls_t part[] = { mls_tape_wrap(&r.c, data[0], NULL, 1, 2, 1, 2),
                               mls_tape_wrap(&r.c, data[1], NULL, 1, 2, 1, 2) };
        const mls_t y = wide ? mls_grad_concat(&r.c, part[0], part[1])
                             : mls_grad_join(&r.c, part, 2);
        float *g = mls_tape_grad(&r.c, y);
        for (int i = 0; i < 8; i++) g[i] = (float)(i + 1);
        mls_tape_backward(&r.c);
        for (int i = 0; i < 2; i++)
            for (int k = 0; k < 4; k++) {
                const int at = wide ? k / 2 * 4 + i * 2 + k % 2 : i * 4 + k;
                assert_true(part[i]->grad[k] == (float)(at + 1));
            }
        rig_stop(&r);
    }
}

/* The gradient of x through both sums is 3: once alone, twice as both summands.  What
 * backward leaves behind is not zeros, so that a bit too many would show.              */
static void first_gradients(void **state)
{
    (void)state;
    for (unsigned can = 0; can <= (MLS_WRITES | MLS_OMITS); can++) {
        float data[2][4] = { { 1, 2, 3, 4 }, { 5, 6, 7, 8 } };
        seen one = { 0 }, two = { 0 }, last = { 0 };
        rig r;
        rig_start(&r, MLS_TRAIN);
        mls_t x = mls_tape_wrap(&r.c, data[0], NULL, 1, 1, 1, 4);
        mls_t z = mls_tape_wrap(&r.c, data[1], NULL, 1, 1, 1, 4);
        mls_t a = sum_of(&r, can, &one, x, z);
        mls_t b = sum_of(&r, can, &two, x, x);
        mls_t y = sum_of(&r, can, &last, a, b);
        float *g = mls_tape_grad(&r.c, y);
        for (int i = 0; i < 4; i++) g[i] = 1.0f;
        mls_tape_backward(&r.c);
        for (int i = 0; i < 4; i++) {
            assert_true(fabsf(x->grad[i] - 3.0f) < 1e-6f);
            assert_true(fabsf(z->grad[i] - 1.0f) < 1e-6f);
        }
        const uint64_t both = can & MLS_WRITES ? 3 : 0;
        assert_int_equal(last.fresh, both);
        assert_int_equal(two.fresh, 0);       /* x twice: it must be added to          */
        assert_int_equal(one.fresh, both & 2);
        assert_int_equal(last.omitted, !!(can & MLS_OMITS));
        rig_stop(&r);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(unary),
        cmocka_unit_test(logarithm),
        cmocka_unit_test(spikes),
        cmocka_unit_test(norms),
        cmocka_unit_test(softmax),
        cmocka_unit_test(losses),
        cmocka_unit_test(sizes_have_signs),
        cmocka_unit_test(logits_in_place),
        cmocka_unit_test(dropout),
        cmocka_unit_test(ties),
        cmocka_unit_test(dry),
        cmocka_unit_test(complaints),
        cmocka_unit_test(parted_gradients), cmocka_unit_test(first_gradients),
    };
    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
