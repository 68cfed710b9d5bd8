/* The learning rate, both optimisers against their formulas, and the metrics. */
#include "rig.h"
#include "train/metrics.h"
#include "train/optimiser.h"
#include "train/schedule.h"

static void schedules(void **state)
{
    (void)state;
    mls_schedule s = {MLS_RATE_COSINE, 2.0, 0.1, 10, 110};
    assert_float_equal(mls_schedule_rate(&s, 1), 0.2, 1e-12);
    assert_float_equal(mls_schedule_rate(&s, 10), 2.0, 1e-12);
    assert_float_equal(mls_schedule_rate(&s, 60), 0.2 + 0.9, 1e-12);
    assert_float_equal(mls_schedule_rate(&s, 110), 0.2, 1e-12);
    assert_float_equal(mls_schedule_rate(&s, 500), 0.2, 1e-12);
    s.kind = MLS_RATE_LINEAR;
    assert_float_equal(mls_schedule_rate(&s, 35), 2.0 - 0.25 * 1.8, 1e-12);
    s.kind = MLS_RATE_CONSTANT;
    assert_float_equal(mls_schedule_rate(&s, 110), 2.0, 1e-12);
    s = (mls_schedule){MLS_RATE_COSINE, 2.0, 0.1, 0, INT64_MAX};
    assert_float_equal(mls_schedule_rate(&s, 1), 2.0, 1e-12);
    s = (mls_schedule){MLS_RATE_COSINE, 2.0, 0.5, 0, 1};
    assert_float_equal(mls_schedule_rate(&s, 1), 1.0, 1e-12);
}

static mls_net *make(mls_arena *a, mls_feed **feed)
{
    mls_error e = {0};
    *feed = open_feed(a, "component=task.echo", 5);
    mls_value *spec = settings(a, "width=6 layers=1"), *nodes = mls_value_map(a);
    mls_value_set(a, nodes, "l", settings(a, "component=liquid.leak"));
    mls_value_set(a, spec, "nodes", nodes);
    mls_value_set(a, spec, "wire", mls_value_string(a, "input -> l -> output"));
    mls_value_set(a, spec, "head", settings(a, "component=head.top"));
    mls_net *net = mls_net_build(
        &(mls_net_config){&registry, spec, mls_feed_shape(*feed), 5, 0}, &e);
    if (!net) fail_msg("%s", e.text);
    return net;
}

static void steps_of(mls_optimiser_kind kind)
{
    mls_arena a = {0};
    mls_feed *feed;
    mls_net *net = make(&a, &feed);
    mls_optimiser o = {.kind = kind,
                       .beta1 = 0.9,
                       .beta2 = 0.99,
                       .epsilon = 1e-8,
                       .decay = 0.1,
                       .momentum = 0.8};
    assert_true(mls_optimiser_open(&o, net, &a));
    int64_t n;
    float *w = mls_net_data(net, &n), *g = mls_net_grad(net);
    double *want = mls_arena_zalloc(&a, 3 * (size_t)n * sizeof *want), *m = want + n,
           *v = m + n;
    for (int64_t i = 0; i < n; i++) want[i] = (double)w[i];
    for (int64_t step = 1; step <= 5; step++) {
        const double rate = 0.01 * (double)step;
        int64_t at = 0;
        for (int k = 0; k < mls_net_weights(net); k++) {
            const mls_weight *x = mls_net_weight(net, k);
            for (int64_t i = 0; i < x->rows * x->cols; i++, at++) {
                const double d = sin((double)(at + step));
                g[at] = x->flags & MLS_FROZEN ? 0.0f : (float)d;
                if (x->flags & MLS_FROZEN) continue;
                const double decay = x->flags & MLS_NO_DECAY ? 0.0 : 0.1;
                want[at] *= 1.0 - rate * decay;
                if (kind == MLS_SGD) {
                    m[at] = 0.8 * m[at] + d;
                    want[at] -= rate * m[at];
                    continue;
                }
                m[at] = 0.9 * m[at] + 0.1 * d;
                v[at] = 0.99 * v[at] + 0.01 * d * d;
                want[at] -= rate * (m[at] / (1.0 - pow(0.9, (double)step))) /
                            (sqrt(v[at] / (1.0 - pow(0.99, (double)step))) + 1e-8);
            }
        }
        mls_optimiser_step(&o, net, rate, step);
    }
    for (int64_t i = 0; i < n; i++) assert_float_equal(w[i], (float)want[i], 2e-6f);

    for (int64_t i = 0; i < n; i++) g[i] = 3.0f;
    const double norm = 3.0 * sqrt((double)n);
    assert_float_equal(mls_optimiser_clip(net, 0.0), norm, 1e-6 * norm);
    assert_float_equal(g[0], 3.0f, 0.0f);
    assert_float_equal(mls_optimiser_clip(net, 2.0), norm, 1e-6 * norm);
    assert_float_equal(mls_optimiser_clip(net, 5.0), 2.0, 1e-6);
    g[n / 2] = NAN;
    assert_false(isfinite(mls_optimiser_clip(net, 1.0)));
    mls_net_free(net);
    mls_feed_free(feed);
    mls_arena_free(&a);
}

static void adamw(void **state)
{
    (void)state;
    steps_of(MLS_ADAMW);
}
static void sgd(void **state)
{
    (void)state;
    steps_of(MLS_SGD);
}

static void figures(void **state)
{
    (void)state;
    mls_metric m[MLS_METRICS];
    mls_task_shape s = {.loss = MLS_CROSS_ENTROPY, .is_text = 1};
    const mls_loss_stats sum = {20.0, 10.0, 4.0, 10.0};
    assert_int_equal(mls_metrics_of(&s, &sum, m, MLS_METRICS), 5);
    assert_float_equal(m[0].value, 2.0, 0.0);
    assert_float_equal(m[1].value, 0.4, 0.0);
    assert_float_equal(m[3].value, 2.8853900817779268, 1e-12);
    assert_float_equal(m[4].value, exp(2.0), 1e-12);
    assert_int_equal(mls_metrics_of(&s, &sum, m, 2), 2);
    assert_int_equal(mls_metrics_of(&s, &(mls_loss_stats){0}, m, 8), 0);
    s = (mls_task_shape){.loss = MLS_MSE};
    assert_int_equal(mls_metrics_of(&s, &sum, m, MLS_METRICS), 2);
    assert_string_equal(m[1].name, "mse");
    s.loss = MLS_MAE;
    assert_int_equal(mls_metrics_of(&s, &sum, m, MLS_METRICS), 2);
    assert_string_equal(m[1].name, "mae");
    assert_float_equal(m[1].value, 2.0, 0.0);
    s.loss = MLS_BINARY;
    assert_int_equal(mls_metrics_of(&s, &sum, m, MLS_METRICS), 2);
    assert_string_equal(m[1].name, "nll");
    for (int i = 0; mls_loss_names[i]; i++)
        assert_int_equal(mls_loss_find(mls_loss_names[i]), i);
    assert_int_equal(mls_loss_find("bce"), -1);
}

/* Against a count of all pairs, with ties; in two batches, one label unscored. */
static void area_under_the_curve(void **state)
{
    (void)state;
    float value[] = {0, 1, 0, 3, 1, 2, 0, -1, 5, 6, 0, 3, 0, 2, 0, 9};
    int32_t label[] = {0, 1, 1, 0, 0, 1, 0, -1};
    mls_tensor y = {value, NULL, {2, 2, 2, 1}, 8}, z = y;
    mls_scores s = {0};
    z.data = value + 8;
    assert_int_equal(mls_scores_add(&s, &y, label), 1);
    assert_true(isnan(mls_scores_auc(&(mls_scores){s.at, 1, 0})));
    assert_int_equal(mls_scores_add(&s, &z, label + 4), 1);
    assert_int_equal((int)s.n, 7);
    double right = 0.0, pairs = 0.0;
    for (int i = 0; i < 7; i++)
        for (int j = 0; j < 7; j++) {
            if (label[i] != 1 || label[j] != 0) continue;
            const float a = value[2 * i + 1] - value[2 * i];
            const float b = value[2 * j + 1] - value[2 * j];
            right += a > b ? 1.0 : a < b ? 0.0 : 0.5;
            pairs += 1.0;
        }
    assert_float_equal(mls_scores_auc(&s), right / pairs, 1e-15);
    mls_scores_free(&s);
}

int main(void)
{
    cmocka_set_message_output(CM_OUTPUT_TAP);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(schedules),
        cmocka_unit_test(adamw),
        cmocka_unit_test(sgd),
        cmocka_unit_test(figures), cmocka_unit_test(area_under_the_curve),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
