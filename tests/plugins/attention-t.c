/* mixer.attention, mixer.mlp and fusion.cross_attention inside a small network:
 * against plain sums in double, and the promises of causal streaming components.      */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "net/net.h"
#include "plug/plug.h"

enum { D = 8, B = 2, T = 12, N = T * B * D };

static void end_setup(mls_ctx *c, void *self)
{
    (void)c;
    (void)self;
}
static void end_run(mls_ctx *c, void *self, const mls_t *in, mls_t *out)
{
    (void)self;
    out[0] = mls->scale(c, in[0], 1.0, 0.0);
}
static const mls_port end_ports[] = { { "in", MLS_IN, "T B in", "" },
                                      { "out", MLS_OUT, "T B output", "" }, MLS_PORT_END };
static const mls_component end = { sizeof end, "head", "linear", MLS_CAUSAL, "Test.",
                                   end_ports, NULL, sizeof(int), end_setup, end_run, NULL };

static const mls_component *list[4];
static mls_registry registry = { .component = list, .n_components = 4, .warnings = "" };
static const mls_task_shape shape = { .steps = T, .input = D, .output = D, .loss = MLS_MSE,
                                      .per_step = 1, .has_mask = 1 };

static const mls_component *open_one(const char *file)
{
    const char *folder = getenv("MLS_PLUGIN_PATH");
    char path[4096];
    mls_error e = { 0 };
    assert_non_null(folder);
    snprintf(path, sizeof path, "%.*s/%s", (int)strcspn(folder, ":"), folder, file);
    const mls_plugin_info *info = mls_plug_open(path, &e);
    if (!info) fail_msg("%s", e.text);
    return info->components[0];
}

static int start(void **state)
{
    (void)state;
    mls_plug_init();
    list[0] = open_one("fusion/cross_attention.so");
    list[1] = &end;
    list[2] = open_one("mixer/attention.so");
    list[3] = open_one("mixer/mlp.so");
    return 0;
}

/* ---- a network, its data --------------------------------------------------------------- */

typedef struct bench {
    mls_arena arena;
    mls_net  *net;
    mls_run  *run;
    float     x[N], target[N], mask[T * B];
    mls_batch batch;
} bench;

static float noise(int i) { return sinf(12.9898f * (float)(i + 1) + 3.1f * cosf(0.7f * (float)i)); }

/* options: "heads=2 weight=gate"; every value a number or a word. */
static mls_value *component(mls_arena *a, const char *name, const char *options)
{
    mls_value *n = mls_value_map(a);
    char key[64], value[64];
    int used;
    mls_value_set(a, n, "component", mls_value_string(a, name));
    for (; sscanf(options, " %63[^=]=%63s%n", key, value, &used) == 2; options += used) {
        char *rest;
        const double real = strtod(value, &rest);
        mls_value_set(a, n, key, !strcmp(value, "true") ? mls_value_bool(a, 1)
                      : *rest ? mls_value_string(a, value)
                      : strchr(value, '.') ? mls_value_real(a, real)
                      : mls_value_int(a, (int64_t)real));
    }
    return n;
}

static int steered;                /* mod_b and mod_c are wired to the input of mix         */

static mls_net *build(mls_arena *a, const char *name, const char *options, mls_error *e)
{
    const int fuses = !strncmp(name, "fusion", 6);
    mls_value *s = mls_value_map(a), *nodes = mls_value_map(a);
    mls_value_set(a, nodes, "mlp", component(a, "mixer.mlp", "ratio=2"));
    mls_value_set(a, nodes, "mix", component(a, name, options));
    mls_value_set(a, s, "nodes", nodes);
    mls_value_set(a, s, "wire", mls_value_string(a, fuses ?
        "input -> mlp -> mix.a; input -> mix.b; mix -> output" : steered ?
        "input -> mlp -> mix.in; mlp -> mix.mod_b; mlp -> mix.mod_c; mix -> output" :
        "input -> mlp -> mix -> output"));
    mls_value_set(a, s, "width", mls_value_int(a, D));
    mls_value_set(a, s, "layers", mls_value_int(a, 1));
    mls_value_set(a, s, "norm", mls_value_string(a, "none"));
    mls_value_set(a, s, "residual", mls_value_bool(a, 0));
    return mls_net_build(&(mls_net_config){ &registry, s, &shape, 7, 0 }, e);
}

static float *weight(bench *k, const char *name)
{
    char full[128];
    snprintf(full, sizeof full, "layer0.%s", name);
    for (int i = 0; i < mls_net_weights(k->net); i++)
        if (!strcmp(mls_net_weight(k->net, i)->name, full)) return mls_net_weight(k->net, i)->data;
    fail_msg("no weight is called %s", full);
    return NULL;
}

static void open_bench(bench *k, const char *name, const char *options, unsigned flags)
{
    mls_error e = { 0 };
    *k = (bench){ 0 };
    k->net = build(&k->arena, name, options, &e);
    if (!k->net) fail_msg("%s", e.text);
    int64_t count;
    float *w = mls_net_data(k->net, &count);
    for (int64_t i = 0; i < count; i++) w[i] = 0.6f * noise((int)i + 500);
    for (int i = 0; i < mls_net_weights(k->net); i++) {
        mls_weight *in = mls_net_weight(k->net, i);
        if (!strncmp(in->name, "layer0", 6)) continue;
        memset(in->data, 0, (size_t)(in->rows * in->cols) * sizeof *in->data);
        for (int64_t j = 0; in->rows == D && in->cols == D && j < D; j++)
            in->data[j * D + j] = 1.0f;                     /* the input as it is */
    }
    for (int i = 0; i < N; i++) {
        k->x[i] = noise(i);
        k->target[i] = noise(i + 9000);
    }
    k->run = mls_run_new(k->net, B, flags, &e);
    if (!k->run) fail_msg("%s", e.text);
    k->batch = (mls_batch){ T, B, NULL, k->x, NULL, NULL, NULL, k->target, NULL };
}

static void close_bench(bench *k)
{
    mls_run_free(k->run);
    mls_net_free(k->net);
    mls_arena_free(&k->arena);
}

/* From the reset state in chunks. */
static void forward(bench *k, int chunk, float *y)
{
    mls_run_reset(k->run);
    for (int t = 0; t < T; t += chunk) {
        const int n = T - t < chunk ? T - t : chunk;
        const mls_batch b = { n, B, NULL, k->x + t * B * D,
                              k->batch.mask ? k->mask + t * B : NULL, NULL, NULL, NULL, NULL };
        mls_t out = mls_run_forward(k->run, &b, 0);
        if (!out) fail_msg("%s", mls_run_error(k->run)->text);
        memcpy(y + t * B * D, out->data, (size_t)(n * B * D) * sizeof *y);
    }
}

/* ---- plain sums ------------------------------------------------------------------------ */

/* y [T*B][rows] = x [T*B][cols] w^T + bias */
static void linear(const double *x, int cols, const float *w, const float *bias, int rows,
                   double *y)
{
    for (int r = 0; r < T * B; r++)
        for (int i = 0; i < rows; i++) {
            double sum = bias ? (double)bias[i] : 0.0;
            for (int j = 0; j < cols; j++) sum += (double)w[i * cols + j] * x[r * cols + j];
            y[r * rows + i] = sum;
        }
}

/* Step t sees `window` steps up to t; 0 is all of the sequence. */
static void attend(const double *q, const double *k, const double *v, int stride, int heads,
                   int window, int rotary, double *o)
{
    const int d = D / heads;
    for (int b = 0; b < B; b++)
        for (int h = 0; h < heads; h++)
            for (int t = 0; t < T; t++) {
                double p[T], top = -1e300, sum = 0.0;
                const int hi = window ? t + 1 : T, lo = window && t >= window ? t - window + 1 : 0;
                const double *a = q + (t * B + b) * (stride == 2 * D ? D : stride) + h * d;
                for (int s = lo; s < hi; s++) {
                    const double *c = k + (s * B + b) * stride + h * d;
                    double dot = 0.0;
                    for (int e = 0; e < d && !rotary; e++) dot += a[e] * c[e];
                    for (int e = 0; e < d / 2 && rotary; e++) {
                        const double w = (double)(t - s) * pow(10000.0, -2.0 * e / d);
                        dot += cos(w) * (a[e] * c[e] + a[e + d / 2] * c[e + d / 2])
                             + sin(w) * (a[e] * c[e + d / 2] - a[e + d / 2] * c[e]);
                    }
                    p[s] = dot / sqrt((double)d);
                    top = fmax(top, p[s]);
                }
                for (int s = lo; s < hi; s++) sum += p[s] = exp(p[s] - top);
                for (int e = 0; e < d; e++) {
                    double *to = o + (t * B + b) * D + h * d + e;
                    *to = 0.0;
                    for (int s = lo; s < hi; s++)
                        *to += p[s] / sum * v[(s * B + b) * stride + h * d + e];
                }
            }
}

/* heads of one step at heads of the same step */
static void attend_heads(const double *q, const double *kv, int heads, double *o)
{
    const int d = D / heads;
    for (int r = 0; r < T * B; r++)
        for (int h = 0; h < heads; h++) {
            double p[D], sum = 0.0;
            for (int g = 0; g < heads; g++) {
                double dot = 0.0;
                for (int e = 0; e < d; e++) dot += q[r * D + h * d + e] * kv[r * 2 * D + g * d + e];
                sum += p[g] = exp(dot / sqrt((double)d));
            }
            for (int e = 0; e < d; e++) {
                double *to = o + r * D + h * d + e;
                *to = 0.0;
                for (int g = 0; g < heads; g++)
                    *to += p[g] / sum * kv[r * 2 * D + D + g * d + e];
            }
        }
}

static void plain_mlp(bench *k, const double *x, double *y)
{
    double hidden[2 * N];
    linear(x, D, weight(k, "mlp.up.weight"), weight(k, "mlp.up.bias"), 2 * D, hidden);
    for (int i = 0; i < 2 * N; i++) hidden[i] *= 0.5 * (1.0 + erf(hidden[i] / sqrt(2.0)));
    linear(hidden, 2 * D, weight(k, "mlp.down.weight"), weight(k, "mlp.down.bias"), D, y);
}

static void plain_mixer(bench *k, const double *x, int heads, int window, int rotary, double *y)
{
    double qkv[3 * N], o[N];
    linear(x, D, weight(k, "mix.in_proj.weight"), weight(k, "mix.in_proj.bias"), 3 * D, qkv);
    attend(qkv, qkv + D, qkv + 2 * D, 3 * D, heads, window, rotary, o);
    linear(o, D, weight(k, "mix.out_proj.weight"), weight(k, "mix.out_proj.bias"), D, y);
}

static void plain_cross(bench *k, const double *a, const double *b, int heads, int window,
                        double share, double *y)
{
    double kv[2][2 * N], q[N], o[N], more[2][N];
    linear(a, D, weight(k, "mix.a.kv.weight"), NULL, 2 * D, kv[0]);
    linear(b, D, weight(k, "mix.b.kv.weight"), NULL, 2 * D, kv[1]);
    linear(a, D, weight(k, "mix.a.q.weight"), NULL, D, q);
    if (window < 0) attend_heads(q, kv[1], heads, o);
    else attend(q, kv[1], kv[1] + D, 2 * D, heads, window, 0, o);
    linear(o, D, weight(k, "mix.a.out.weight"), weight(k, "mix.a.out.bias"), D, more[0]);
    linear(b, D, weight(k, "mix.b.q.weight"), NULL, D, q);
    if (window < 0) attend_heads(q, kv[0], heads, o);
    else attend(q, kv[0], kv[0] + D, 2 * D, heads, window, 0, o);
    linear(o, D, weight(k, "mix.b.out.weight"), weight(k, "mix.b.out.bias"), D, more[1]);
    for (int i = 0; i < N; i++) {
        more[0][i] += a[i];
        more[1][i] += b[i];
    }
    if (share < 0.0) {                                          /* the gate of 4 heads */
        const float *w = weight(k, "mix.gate.weight");
        const double tau = log1p(exp((double)*weight(k, "mix.gate.temperature")));
        linear(more[0], D, weight(k, "mix.gate.query"), NULL, D, q);
        linear(more[1], D, weight(k, "mix.gate.key"), NULL, D, o);
        for (int i = 0; i < N; i += D / 4) {
            double z = (double)weight(k, "mix.gate.bias")[i % D / (D / 4)];
            for (int e = i; e < i + D / 4; e++) z += (double)w[e % D] * q[e] * o[e];
            const double g = 1.0 / (1.0 + exp(-z / tau));
            for (int e = i; e < i + D / 4; e++) y[e] = g * more[0][e] + (1.0 - g) * more[1][e];
        }
        return;
    }
    for (int i = 0; i < N; i++) y[i] = share * more[0][i] + (1.0 - share) * more[1][i];
}

static void expect(const float *y, const double *want, const char *options)
{
    for (int i = 0; i < N; i++)
        if (!(fabs((double)y[i] - want[i]) < 1e-5 * (1.0 + fabs(want[i]))))
            fail_msg("%s: y[%d] = %.9g, expected %.9g", options, i, (double)y[i], want[i]);
}

static void test_mixer(void **state)
{
    (void)state;
    static const struct { const char *options; int heads, window, rotary; } row[] = {
        { "", 4, T, 1 }, { "heads=2 window=5", 2, 5, 1 },
        { "heads=8 positions=none", 8, T, 0 }, { "heads=1 bidirectional=true", 1, 0, 1 } };
    for (int i = 0; i < 4; i++) {
        bench k;
        float y[N];
        double x[N], m[N], want[N];
        open_bench(&k, "mixer.attention", row[i].options, 0);
        for (int j = 0; j < N; j++) x[j] = k.x[j];
        plain_mlp(&k, x, m);
        plain_mixer(&k, m, row[i].heads, row[i].window, row[i].rotary, want);
        forward(&k, T, y);
        expect(y, want, row[i].options);
        close_bench(&k);
    }
}

static void test_cross(void **state)
{
    (void)state;
    static const struct { const char *options; int heads, window; double share; } row[] = {
        { "", 8, T, 0.5 }, { "heads=2 window=4 alpha=0.25", 2, 4, 0.25 },
        { "heads=4 weight=learned", 4, T, 2.0 }, { "heads=4 weight=gate", 4, T, -1.0 },
        { "heads=2 bidirectional=true alpha=1.0", 2, 0, 1.0 },
        { "heads=2 mode=full alpha=1.0", 2, 0, 1.0 },
        { "heads=4 mode=heads alpha=0.75", 4, -1, 0.75 },
        { "heads=2 mode=heads weight=gate", 2, -1, -1.0 } };
    for (int i = 0; i < 8; i++) {
        bench k;
        float y[N];
        double x[N], m[N], want[N], share = row[i].share;
        open_bench(&k, "fusion.cross_attention", row[i].options, 0);
        if (share > 1.0) share = 1.0 / (1.0 + exp(-(double)*weight(&k, "mix.alpha")));
        for (int j = 0; j < N; j++) x[j] = k.x[j];
        plain_mlp(&k, x, m);
        plain_cross(&k, m, x, row[i].heads, row[i].window, share, want);
        forward(&k, T, y);
        expect(y, want, row[i].options);
        close_bench(&k);
    }
}

/* ---- promises -------------------------------------------------------------------------- */

static const char *const variant[][2] = {
    { "mixer.attention", "" }, { "mixer.attention", "heads=2 window=5 positions=none" },
    { "mixer.attention", "heads=2 bidirectional=true" },
    { "fusion.cross_attention", "" },
    { "fusion.cross_attention", "heads=2 window=4 weight=learned positions=rotary" },
    { "fusion.cross_attention", "heads=4 weight=gate" },
    { "fusion.cross_attention", "heads=2 mode=full" },
    { "fusion.cross_attention", "heads=4 mode=heads" } };
enum { VARIANTS = sizeof variant / sizeof *variant };

static int causal(int v)
{
    return !strstr(variant[v][1], "bidirectional") && !strstr(variant[v][1], "full");
}

static void ragged(bench *k)
{
    for (int i = 0; i < T * B; i++) k->mask[i] = i % B == 0 || (i / B) % 3 != 1;
    k->batch.mask = k->mask;
}

static void test_chunks(void **state)
{
    (void)state;
    for (int v = 0; v < VARIANTS; v++)
        for (int masked = 0; masked < 2 && causal(v); masked++)
            for (unsigned flags = 0; flags <= MLS_EXACT; flags += MLS_EXACT) {
                bench k;
                float whole[N], y[N];
                open_bench(&k, variant[v][0], variant[v][1], flags);
                if (masked) ragged(&k);
                forward(&k, T, whole);
                for (int chunk = 5; chunk > 0; chunk -= 2) {
                    forward(&k, chunk, y);
                    if (flags) assert_memory_equal(whole, y, sizeof y);
                    for (int i = 0; i < N; i++) assert_true(fabsf(y[i] - whole[i]) < 1e-5f);
                }
                close_bench(&k);
            }
}

static void test_causality(void **state)
{
    (void)state;
    for (int v = 0; v < VARIANTS; v++) {
        bench k;
        float before[N], after[N];
        const int at = 7 * B * D;
        open_bench(&k, variant[v][0], variant[v][1], 0);
        forward(&k, T, before);
        k.x[at] += 1.0f;
        forward(&k, T, after);
        assert_memory_not_equal(before + at, after + at, D * sizeof *after);
        const int same = !memcmp(before, after, (size_t)at * sizeof *after);
        assert_int_equal(same, causal(v));
        close_bench(&k);
    }
}

/* Masked steps hold anything: real steps give the same bits. */
static void test_mask(void **state)
{
    (void)state;
    for (int v = 0; v < VARIANTS; v++) {
        bench k;
        float before[N], after[N];
        open_bench(&k, variant[v][0], variant[v][1], 0);
        ragged(&k);
        forward(&k, T, before);
        for (int i = 0; i < N; i++)
            if (k.mask[i / D] == 0.0f) k.x[i] = 5.0f * noise(i + 77);
        forward(&k, T, after);
        for (int i = 0; i < N; i++)
            if (k.mask[i / D] != 0.0f && before[i] != after[i])
                fail_msg("%s %s: y[%d] was %.9g and is %.9g", variant[v][0], variant[v][1],
                         i, (double)before[i], (double)after[i]);
        close_bench(&k);
    }
}

static double loss(bench *k)
{
    mls_run_reset(k->run);
    return mls_run_loss(k->run, &k->batch, 0, NULL);
}

static void test_gradients(void **state)
{
    (void)state;
    for (int v = 0; v < VARIANTS; v++) {
        bench k;
        open_bench(&k, variant[v][0], variant[v][1], MLS_TRAIN);
        ragged(&k);
        int64_t count;
        float *w = mls_net_data(k.net, &count), *g = mls_net_grad(k.net);
        const float h = 0.0078125f;
        double largest = 0.0;
        mls_net_zero_grad(k.net);
        loss(&k);
        mls_run_backward(k.run, 1.0);
        for (int64_t i = 0; i < count; i++) largest = fmax(largest, fabs((double)g[i]));
        assert_true(largest > 1e-3);
        for (int64_t i = 0; i < count; i++) {
            if (i % 3 && i < count - 20) continue;
            const float old = w[i];
            double f[4];
            for (int j = 0; j < 4; j++) {
                w[i] = old + h * (float)(j < 2 ? j - 2 : j - 1);
                f[j] = loss(&k);
            }
            w[i] = old;
            const double d = (8.0 * (f[2] - f[1]) - (f[3] - f[0])) / (12.0 * (double)h);
            if (!(fabs(d - (double)g[i]) < 1e-3 * largest))
                fail_msg("%s %s: gradient %lld is %g, differences give %g", variant[v][0],
                         variant[v][1], (long long)i, (double)g[i], d);
        }
        close_bench(&k);
    }
}

static void refused(const char *name, const char *options, const char *why)
{
    mls_arena a = { 0 };
    mls_error e = { 0 };
    assert_null(build(&a, name, options, &e));
    if (!strstr(e.text, why)) fail_msg("got \"%s\", expected \"%s\"", e.text, why);
    mls_arena_free(&a);
}

static void test_refusals(void **state)
{
    (void)state;
    refused("mixer.attention", "heads=3", "heads = 3 does not divide the width 8");
    refused("mixer.attention", "heads=8", "positions = rotary needs heads of even size");
    refused("fusion.cross_attention", "heads=5", "heads = 5 does not divide the width 8");
    refused("fusion.cross_attention", "weight=gate gate_heads=3",
            "gate_heads = 3 does not divide the width 8");
    refused("fusion.cross_attention", "mode=heads heads=1", "2 or more");
    refused("fusion.cross_attention", "mode=heads positions=rotary", "does not see");
    refused("fusion.cross_attention", "mode=heads bidirectional=true", "does not see");
    refused("fusion.cross_attention", "mode=full window=4", "sees the whole sequence");
    refused("fusion.cross_attention", "weight=learned alpha=1.0", "more than 0 and less than 1");
}

/* Steered by its own input, it is one whose keys and queries have other weights. */
static void test_steered(void **state)
{
    (void)state;
    static const char *const option[] = { "heads=2", "heads=2 window=5 positions=none",
                                          "heads=2 bidirectional=true" };
    for (int v = 0; v < 3; v++) {
        bench k, plain;
        float y[N], want[N];
        steered = 0;
        open_bench(&plain, "mixer.attention", option[v], 0);
        steered = 1;
        open_bench(&k, "mixer.attention", option[v], 0);
        steered = 0;
        for (int i = 0; i < mls_net_weights(plain.net); i++) {
            mls_weight *w = mls_net_weight(plain.net, i);
            if (!strncmp(w->name, "layer0.", 7))
                memcpy(w->data, weight(&k, w->name + 7),
                       (size_t)(w->rows * w->cols) * sizeof *w->data);
        }
        float *in = weight(&plain, "mix.in_proj.weight");
        for (int i = 0; i < D * D; i++) {
            in[i] += weight(&k, "mix.mod_c.weight")[i];
            in[D * D + i] += weight(&k, "mix.mod_b.weight")[i];
        }
        forward(&plain, T, want);
        for (int chunk = v < 2 ? 1 : T; chunk <= T; chunk += 5) {
            forward(&k, chunk, y);
            for (int i = 0; i < N; i++) assert_float_equal(y[i], want[i], 1e-5);
        }
        close_bench(&k);
        close_bench(&plain);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_mixer),     cmocka_unit_test(test_cross),
        cmocka_unit_test(test_steered),
        cmocka_unit_test(test_chunks),    cmocka_unit_test(test_causality),
        cmocka_unit_test(test_mask),      cmocka_unit_test(test_gradients),
        cmocka_unit_test(test_refusals),
    };
    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests(tests, start, NULL);
}
