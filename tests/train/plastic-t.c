/* Training with components that change their weights between steps, and with noise that
 * follows the samples: resumed to the same bits, and off it is as if it were not there. */
#include "../plugins/small.h"
#include "train/loop.h"

typedef struct trial {
    mls_arena a;
    mls_error e;
    mls_feed *feed;
    mls_net *net;
    mls_loop *loop;
    mls_bundle bundle;
    int64_t stop_at, steps;
    double plasticity; /* as the sink is told; NAN: it was not */
} trial;

static void on_step(void *arg, int64_t step, const mls_metric *m, int n)
{
    trial *t = arg;
    t->steps = step;
    t->plasticity = NAN;
    for (int i = 0; i < n; i++)
        if (!strcmp(m[i].name, "plasticity")) t->plasticity = m[i].value;
}

static int on_stop(void *arg)
{
    const trial *t = arg;
    return t->stop_at && t->steps >= t->stop_at;
}

static mls_value *yaml(trial *t, const char *text)
{
    mls_value *v = mls_yaml_parse(&t->a, text, strlen(text), "test", &t->e);
    if (t->e.set) fail_msg("%s", t->e.text);
    return v;
}

static void begin(trial *t, const char *nodes, const char *train)
{
    *t = (trial){0};
    t->feed = mls_feed_open(&registry,
                            yaml(t, "{component: task.delayed_copy, length: 12, delay: 2, "
                                    "symbols: 4, training: 20, validation: 8, test: 8}"),
                            5, &t->e);
    if (!t->feed) fail_msg("%s", t->e.text);
    const mls_value *spec = yaml(
        t, mls_arena_printf(&t->a, "{width: 6, layers: 1, wire: 'input -> r -> n -> output', "
                                   "nodes: {%s}}", nodes));
    t->net = mls_net_build(
        &(mls_net_config){&registry, spec, mls_feed_shape(t->feed), 5, 0}, &t->e);
    if (!t->net) fail_msg("%s", t->e.text);
    const mls_sink sink = {t, on_step, NULL, NULL, on_stop};
    t->loop = mls_loop_new(t->net, t->feed, yaml(t, train), 5, &sink, &t->e);
    if (!t->loop) fail_msg("%s", t->e.text);
    t->bundle = (mls_bundle){.arena = &t->a};
    mls_loop_bundle(t->loop, &t->bundle);
}

static void end(trial *t)
{
    mls_loop_free(t->loop);
    mls_net_free(t->net);
    mls_feed_free(t->feed);
    mls_arena_free(&t->a);
}

static size_t bytes_of(const mls_bundle_row *r)
{
    int64_t n = 1;
    for (int i = 0; i < r->rank; i++) n *= r->dim[i];
    return (size_t)n * (r->type == MLS_B_F32 ? 4 : 8);
}

static mls_bundle now(trial *t)
{
    mls_bundle b = {.arena = &t->a};
    mls_loop_bundle(t->loop, &b);
    return b;
}

static const char *const rules[] = {
    "r: {component: encoder.rate, gain: 0.5, offset: 0.5}, n: {component: encoder.lif, "
    "threshold: 0.3, plasticity: stdp, plasticity_rate: 0.01}",
    "r: {component: encoder.lif, threshold: 0.2, plasticity: homeostatic, "
    "plasticity_rate: 0.01}, n: {component: encoder.alif, threshold: 0.3, "
    "plasticity: stdp, plasticity_rate: 0.01, bounds: soft, plasticity_alone: true}",
    "r: {component: encoder.spike_mlp, dropout: 0.4, threshold: 0.3}, "
    "n: {component: encoder.synaptic, threshold: 0.2, plasticity: homeostatic}"};

static void a_resumed_run_gives_the_same_bits(void **state)
{
    (void)state;
    static const char *const train[] = {
        "{steps: 6, batch: 4}", "{steps: 6, batch: 4, carry: true}",
        "{steps: 6, batch: 2, accumulate: 2, optimiser: sgd}"};
    for (int r = 0; r < 3; r++)
        for (int i = 0; i < 3; i++) {
            trial whole, first, second;
            begin(&whole, rules[r], train[i]);
            assert_int_equal(mls_loop_go(whole.loop), MLS_DONE);
            assert_true(whole.plasticity > 0.0);
            const mls_bundle want = now(&whole);
            for (int64_t at = 1; at < 6; at++) {
                begin(&first, rules[r], train[i]);
                first.stop_at = at;
                assert_int_equal(mls_loop_go(first.loop), MLS_STOPPED);
                const mls_bundle kept = now(&first);
                begin(&second, rules[r], train[i]);
                for (int k = 0; k < kept.n; k++)
                    memcpy(second.bundle.row[k].data, kept.row[k].data,
                           bytes_of(&kept.row[k]));
                mls_loop_resumed(second.loop);
                assert_int_equal(mls_loop_go(second.loop), MLS_DONE);
                const mls_bundle got = now(&second);
                for (int k = 0; k < want.n; k++)
                    if (memcmp(got.row[k].data, want.row[k].data, bytes_of(&want.row[k])))
                        fail_msg("rule %d, %s, stopped at %lld: %s differs", r, train[i],
                                 (long long)at, want.row[k].name);
                end(&first);
                end(&second);
            }
            end(&whole);
        }
}

static void weights_after(const char *nodes, const char *train, float *to, int64_t *count,
                          double *plasticity)
{
    trial t;
    begin(&t, nodes, train);
    if (mls_loop_go(t.loop) != MLS_DONE) fail_msg("%s", t.e.text);
    const float *w = mls_net_data(t.net, count);
    assert_true(*count <= MAX_VALUES);
    memcpy(to, w, (size_t)*count * sizeof *to);
    *plasticity = t.plasticity;
    end(&t);
}

static float a[MAX_VALUES], b[MAX_VALUES];

#define R "r: {component: encoder.rate, gain: 0.5, offset: 0.5}, n: {component: encoder.lif"

static void off_it_changes_nothing(void **state)
{
    (void)state;
    int64_t n, m;
    double told;
    weights_after(R "}", "{steps: 8, batch: 4}", a, &n, &told);
    assert_true(isnan(told));
    weights_after(R ", plasticity: none, plasticity_rate: 9, a_plus: 3, bounds: soft, "
                    "w_max: 0.01, target_rate: 0.9, plasticity_alone: true}",
                  "{steps: 8, batch: 4}", b, &m, &told);
    assert_true(isnan(told) && n == m);
    assert_memory_equal(a, b, (size_t)n * sizeof *a);
    weights_after(R ", plasticity: stdp, plasticity_rate: 0}", "{steps: 8, batch: 4}", b,
                  &m, &told);
    assert_true(told == 0.0 && n == m);
    assert_memory_equal(a, b, (size_t)n * sizeof *a);
    weights_after(R ", plasticity: stdp, plasticity_rate: 0.1}", "{steps: 8, batch: 4}",
                  b, &m, &told);
    assert_true(told > 0.0 && n == m);
    assert_memory_not_equal(a, b, (size_t)n * sizeof *a);
}

/* Two halves of a batch make what the whole makes, noise and change included. */
static void micro_batches_are_averaged(void **state)
{
    (void)state;
    int64_t n, m;
    double whole, halves;
    static const char nodes[] = R ", threshold: 0.3, plasticity: stdp, plasticity_rate: "
                                  "0.1}";
    weights_after(nodes, "{steps: 1, batch: 8, learning_rate: 0.01, optimiser: sgd}", a, &n,
                  &whole);
    weights_after(nodes, "{steps: 1, batch: 4, accumulate: 2, learning_rate: 0.01, "
                         "optimiser: sgd}", b, &m, &halves);
    assert_true(n == m && whole > 0.1);
    assert_float_equal(whole, halves, 1e-5);
    same(b, a, n, 1e-6, "weight");
}

static void evaluation_moves_no_weight(void **state)
{
    (void)state;
    trial t;
    int64_t n;
    mls_metric m[16];
    begin(&t, rules[1], "{steps: 3, batch: 4}");
    assert_int_equal(mls_loop_go(t.loop), MLS_DONE);
    const float *w = mls_net_data(t.net, &n);
    memcpy(a, w, (size_t)n * sizeof *a);
    assert_true(mls_loop_evaluate(t.loop, MLS_TEST, m, 16) > 0);
    assert_memory_equal(a, w, (size_t)n * sizeof *a);
    end(&t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_resumed_run_gives_the_same_bits),
        cmocka_unit_test(off_it_changes_nothing),
        cmocka_unit_test(micro_batches_are_averaged),
        cmocka_unit_test(evaluation_moves_no_weight)};
    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests_name("training with plasticity and noise", tests,
                                       start_plugins, stop_plugins);
}
