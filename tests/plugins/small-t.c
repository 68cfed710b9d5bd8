/* The small components: adapters, identities, gate, sum and the heads, against plain
 * sums in double; then gradients, chunks and masks for all of them. */
#include "small.h"

static bench k, other;

static const char *chain(const char *component)
{
    static char text[512];
    snprintf(text, sizeof text,
             "nodes: {node: {component: %s}}, "
             "wire: 'input -> node -> output'",
             component);
    return text;
}

static const char *pooled(const char *head)
{
    static char text[512];
    snprintf(text, sizeof text,
             "nodes: {node: {component: mixer.identity}}, "
             "wire: 'input -> node -> output', head: {component: %s}",
             head);
    return text;
}

/* A gate needs two streams: an adapter's and the input itself. */
static const char *fused(const char *fusion)
{
    static char text[512];
    snprintf(text, sizeof text,
             "nodes: {ad: {component: adapter.temporal, tau: 2}, "
             "mix: {component: %s}}, wire: 'input -> ad -> mix.a; input -> mix.b; "
             "mix -> output'",
             fusion);
    return text;
}

/* ---- values ---------------------------------------------- */

static void plain_weights(bench *b)
{
    set_identity(b, "layer0.node.weight", b->D);
    memset(weight_of(b, "layer0.node.bias", NULL), 0, (size_t)b->D * sizeof(float));
}

static void averages_over_a_window(void **state)
{
    (void)state;
    for (int padding = 0; padding < 2; padding++)
        for (int w = 1; w <= 10; w += 3) {
            char text[128];
            float want[14];
            snprintf(text, sizeof text, "adapter.rate, window: %d, count_padding: %s",
                     w, padding ? "true" : "false");
            open_bench(&k, chain(text), 1, 14, 1, 0, 0);
            plain_weights(&k);
            for (int t = 0; t < 14; t++) {
                double sum = 0.0;
                for (int i = 0; i < w && i <= t; i++) sum += (double)k.x[t - i];
                want[t] = (float)(sum / (padding || t + 1 > w ? w : t + 1));
            }
            same(run_all(&k)->data, want, 14, 1e-6, text);
            close_bench(&k);
        }
}

static void fades_with_tau(void **state)
{
    (void)state;
    static const int taps[] = { 0, 1, 2, 5, 50 };
    for (int i = 0; i < 10; i++) {
        char text[128];
        float want[20];
        const int n = taps[i / 2], normal = i % 2;
        snprintf(text, sizeof text,
                 "adapter.temporal, tau: 4, max_taps: %d, normalize: %s", n,
                 normal ? "true" : "false");
        open_bench(&k, chain(text), 1, 20, 1, 0, 0);
        plain_weights(&k);
        for (int t = 0; t < 20; t++) {
            double sum = 0.0;
            for (int j = 0; j <= t && (n == 0 || j < n); j++)
                sum += exp(-j / 4.0) * (double)k.x[t - j];
            want[t] = (float)(sum * (normal ? 1.0 - exp(-0.25) : 1.0));
        }
        same(run_all(&k)->data, want, 20, 5e-6, text);
        close_bench(&k);
    }
}

/* The same network with the membrane as the adapter's input is a linear map of it. */
static void maps_the_membrane(void **state)
{
    (void)state;
    open_bench(
        &k,
        "nodes: {enc: {component: encoder.lif, project: false, beta: 0.5, reset: none},"
        " node: {component: adapter.potential}}, wire: 'input -> enc; enc.membrane -> "
        "node.membrane; node -> output'",
        2, 6, 1, 0, 0);
    plain_weights(&k);
    float want[12];
    for (int i = 0; i < 12; i++) want[i] = k.x[i] + (i < 2 ? 0.0f : 0.5f * want[i - 2]);
    same(run_all(&k)->data, want, 12, 1e-6, "membrane");
    close_bench(&k);
}

static void passes_values_through(void **state)
{
    (void)state;
    static const char *const all[] = { "encoder.identity", "adapter.identity",
                                       "liquid.identity", "mixer.identity" };
    for (int i = 0; i < 4; i++) {
        open_bench(&k, chain(all[i]), 3, 5, 2, 0, 0);
        same(run_all(&k)->data, k.x, 30, 0.0, all[i]);
        close_bench(&k);
    }
}

static void adds(void **state)
{
    (void)state;
    open_bench(&k,
               "nodes: {mix: {component: fusion.sum}}, "
               "wire: 'input -> mix.a; input -> mix.b; mix -> output'",
               3, 5, 2, 0, 0);
    mls_t y = run_all(&k);
    for (int i = 0; i < 30; i++) assert_true(y->data[i] == 2.0f * k.x[i]);
    close_bench(&k);
}

static float gates[MAX_VALUES];
static int wants_gate(void *arg, const char *node, const char *name)
{
    (void)arg;
    return !strcmp(node, "layer0.mix") && !strcmp(name, "gate");
}
static void keep_gate(void *arg, const mls_channel *ch, mls_t x, int64_t t0)
{
    (void)arg;
    (void)t0;
    assert_int_equal(ch->width, 3);
    memcpy(gates, x->data, (size_t)x->count * sizeof *gates);
}

static void gates_head_by_head(void **state)
{
    (void)state;
    enum { D = 12, T = 4, B = 2, H = 3 };
    const mls_observer o = { NULL, wants_gate, keep_gate };
    open_bench(&k, fused("fusion.gate, heads: 3"), D, T, B, 0, 0);
    open_bench(&other, chain("adapter.temporal, tau: 2"), D, T, B, 0, 0);
    memcpy(weight_of(&other, "layer0.node.weight", NULL),
           weight_of(&k, "layer0.ad.weight", NULL), D * D * sizeof(float));
    memcpy(weight_of(&other, "layer0.node.bias", NULL),
           weight_of(&k, "layer0.ad.bias", NULL), D * sizeof(float));
    const float *a = run_all(&other)->data, *b = k.x;
    const float *wq = weight_of(&k, "layer0.mix.query", NULL);
    const float *wk = weight_of(&k, "layer0.mix.key", NULL);
    const float *w = weight_of(&k, "layer0.mix.weight", NULL);
    float *c = weight_of(&k, "layer0.mix.bias", NULL), want[T * B * D], g[T * B * H];
    float *temperature = weight_of(&k, "layer0.mix.temperature", NULL);
    for (int hot = 0; hot < 2; hot++) {
        if (hot) *temperature = 2.0f;
        const double Tm = hot ? log1p(exp(2.0)) : 1.0;
        for (int h = 0; h < H; h++) c[h] = 0.3f * noise(h);
        for (int r = 0; r < T * B; r++)
            for (int h = 0; h < H; h++) {
                double s = (double)c[h];
                for (int i = h * 4; i < h * 4 + 4; i++) {
                    double q = 0.0, v = 0.0;
                    for (int j = 0; j < D; j++) {
                        q += (double)wq[i * D + j] * (double)a[r * D + j];
                        v += (double)wk[i * D + j] * (double)b[r * D + j];
                    }
                    s += (double)w[i] * q * v;
                }
                const double x = 1.0 / (1.0 + exp(-s / Tm));
                g[r * H + h] = (float)x;
                for (int i = r * D + h * 4; i < r * D + h * 4 + 4; i++)
                    want[i] = (float)(x * (double)a[i] + (1.0 - x) * (double)b[i]);
            }
        mls_run_observe(k.run, &o);
        same(run_all(&k)->data, want, T * B * D, 2e-6, "gate.out");
        same(gates, g, T * B * H, 2e-6, "gate");
    }
    close_bench(&k);
    close_bench(&other);
}

static void pools_real_steps(void **state)
{
    (void)state;
    enum { D = 3, T = 9, B = 4 };
    for (int masked = 0; masked < 2; masked++) {
        float mean[B * D], last[B * D];
        open_bench(&k, pooled("head.mean"), D, T, B, masked, 0);
        open_bench(&other, pooled("head.last"), D, T, B, masked, 0);
        for (int t = 0; t < T; t++) k.mask[t * B + 1] = other.mask[t * B + 1] = 0.0f;
        other.mask[(T - 1) * B] = k.mask[(T - 1) * B] = 0.0f;
        for (int b = 0; b < B; b++)
            for (int n = 0; n < D; n++) {
                double sum = 0.0;
                int count = 0;
                last[b * D + n] = 0.0f;
                for (int t = 0; t < T; t++) {
                    if (masked && k.mask[t * B + b] == 0.0f) continue;
                    last[b * D + n] = k.x[(t * B + b) * D + n];
                    sum += (double)last[b * D + n];
                    count++;
                }
                mean[b * D + n] = count ? (float)(sum / count) : 0.0f;
            }
        mls_t y = run_all(&k);
        assert_int_equal(y->dim[0], 1);
        same(y->data, mean, B * D, 1e-6, "mean");
        same(run_all(&other)->data, last, B * D, 0.0, "last");
        close_bench(&k);
        close_bench(&other);
    }
}

/* ---- promises ---------------------------------------------- */

static const char *blocks[16];
static char texts[16][512];
static int n_blocks;

static void list_blocks(void)
{
    static const char *const adapters[] = {
        "adapter.rate, window: 3", "adapter.rate, window: 1",
        "adapter.rate, window: 4, count_padding: false", "adapter.temporal, tau: 3",
        "adapter.temporal, tau: 3, max_taps: 4, normalize: false"
    };
    static const char *const heads[] = { "head.mean", "head.last" };
    for (n_blocks = 0; n_blocks < 9; n_blocks++) {
        const int i = n_blocks;
        snprintf(texts[i], sizeof texts[i], "%s",
                 i < 5   ? chain(adapters[i])
                 : i < 7 ? pooled(heads[i - 5])
                         : fused(i == 7 ? "fusion.gate, heads: 2" : "fusion.sum"));
        blocks[i] = texts[i];
    }
}

static int pools(int i) { return i == 5 || i == 6; }

static void agree_with_differences(void **state)
{
    (void)state;
    list_blocks();
    for (int i = 0; i < n_blocks; i++)
        for (int masked = 0; masked < 2; masked++) {
            open_bench(&k, blocks[i], 4, 6, 1, masked, MLS_TRAIN | MLS_SMOOTH);
            check_gradients(&k, 2e-3);
            close_bench(&k);
            open_bench(&k, blocks[i], 2, 4, 3, masked, MLS_TRAIN | MLS_SMOOTH);
            for (int j = 0; j < mls_run_states(k.run); j++) /* two steps went before */
                if (strstr(mls_run_state(k.run, j, NULL, NULL, NULL), "count"))
                    for (int n = 0; n < 3; n++) k.init[j][n] = 2.0f;
            check_gradients(&k, 2e-3);
            close_bench(&k);
        }
}

static void stream(void **state)
{
    (void)state;
    list_blocks();
    for (int i = 0; i < n_blocks; i++)
        for (int masked = 0; masked < 2; masked++) {
            open_bench(&k, blocks[i], 4, 9, 2, masked, MLS_EXACT);
            check_chunks(&k, pools(i));
            close_bench(&k);
        }
}

static void freeze_at_masked_steps(void **state)
{
    (void)state;
    list_blocks();
    for (int i = 0; i < n_blocks; i++) {
        open_bench(&k, blocks[i], 4, 14, 1, 1, MLS_EXACT);
        check_mask(&k, pools(i));
        close_bench(&k);
    }
}

static void refuse_what_does_not_fit(void **state)
{
    (void)state;
    static const struct {
        const char *block, *says;
    } wrong[] = {
        { "nodes: {mix: {component: fusion.gate, heads: 3}}, "
          "wire: 'input -> mix.a; input -> mix.b; mix -> output'",
          "heads = 3 does not divide the width of its inputs, 4" },
        { "nodes: {ad: {component: adapter.potential}}, wire: 'input -> ad -> output'",
          "its input \"membrane\" has no wire" },
        { "nodes: {ad: {component: adapter.rate, units: 6}, mix: {component: "
          "fusion.sum}}, "
          "wire: 'input -> ad -> mix.a; input -> mix.b; mix -> output'",
          "wide" }
    };
    for (int i = 0; i < 3; i++) {
        mls_arena a = { 0 };
        mls_error e = { 0 };
        assert_null(build_net(&a, wrong[i].block, 4, 1, 0, &e));
        if (!strstr(e.text, wrong[i].says))
            fail_msg("\"%s\" lacks \"%s\"", e.text, wrong[i].says);
        mls_arena_free(&a);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(averages_over_a_window),
        cmocka_unit_test(fades_with_tau),
        cmocka_unit_test(maps_the_membrane),
        cmocka_unit_test(passes_values_through),
        cmocka_unit_test(adds),
        cmocka_unit_test(gates_head_by_head),
        cmocka_unit_test(pools_real_steps),
        cmocka_unit_test(agree_with_differences),
        cmocka_unit_test(stream),
        cmocka_unit_test(freeze_at_masked_steps),
        cmocka_unit_test(refuse_what_does_not_fit),
    };
    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests_name("small", tests, start_plugins, stop_plugins);
}
