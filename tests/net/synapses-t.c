/* Work of a sample: a tiny network whose spikes and products are known by hand. */
#include "../plugins/small.h"

#include "grad/tape.h"

enum { T = 5, B = 3, IN = 3, D = 4, UNITS = 5, OUT = 2 };

static const char spec[] =
    "{width: 4, layers: 1, norm: none, residual: false, nodes: {a: {component: encoder.lif, "
    "units: 5}, b: {component: encoder.lif}}, wire: input -> a -> b -> output}";

typedef struct rig { mls_arena a; mls_net *net; mls_run *run; mls_error e; float x[T * B * IN]; } rig;

static float *weight(rig *r, const char *name)
{
    for (int i = 0; i < mls_net_weights(r->net); i++)
        if (!strcmp(mls_net_weight(r->net, i)->name, name)) return mls_net_weight(r->net, i)->data;
    fail_msg("no weight is called %s", name);
    return NULL;
}

/* Three of the five units of a spike at every step, one of the four of b. */
static void open_rig(rig *r, const char *text)
{
    memset(r, 0, sizeof *r);
    const mls_task_shape shape = { .steps = T, .input = IN, .output = OUT, .loss = MLS_MSE,
                                   .per_step = 1, .has_mask = 1 };
    const mls_value *v = mls_yaml_parse(&r->a, text, strlen(text), "test", &r->e);
    r->net = v ? mls_net_build(&(mls_net_config){ &registry, v, &shape, 7, 0 }, &r->e) : NULL;
    if (!r->net) fail_msg("%s", r->e.text);
    for (int i = 0; i < mls_net_weights(r->net); i++) {
        mls_weight *w = mls_net_weight(r->net, i);
        memset(w->data, 0, (size_t)(w->rows * w->cols) * sizeof(float));
    }
    for (int i = 0; i < 3; i++) weight(r, "layer0.a.bias")[2 * i] = 1.5f;
    weight(r, "layer0.b.bias")[1] = 1.5f;
    r->run = mls_run_new(r->net, B, 0, &r->e);
}

static void close_rig(rig *r)
{
    mls_run_free(r->run);
    mls_net_free(r->net);
    mls_arena_free(&r->a);
}

static void forward(rig *r, const float *mask)
{
    const mls_batch b = { .steps = T, .batch = B, .x = r->x, .mask = mask };
    mls_run_reset(r->run);
    mls_run_forward(r->run, &b, 0);
    if (mls_run_error(r->run)->set) fail_msg("%s", mls_run_error(r->run)->text);
}

static void counted(void **state)
{
    (void)state;
    rig r;
    float mask[T * B];
    open_rig(&r, spec);
    mls_run_synapses(r.run, 1);
    assert_true(isnan(mls_run_synops(r.run)));
    forward(&r, NULL);
    /* each step: 3 spikes of a reach the 4 units of b; 1 spike of b the 2 outputs */
    assert_true(mls_run_synops(r.run) == T * (3.0 * D + 1.0 * OUT));
    for (int i = 0; i < T * B; i++) mask[i] = i / B < (i % B == 1 ? 2 : T);
    mls_run_synapses_clear(r.run);
    forward(&r, mask);
    assert_true(mls_run_synops(r.run) == (T + 2 + T) * 14.0 / 3.0);
    mls_run_synapses_clear(r.run);                 /* the third row is there twice */
    mls_run_synapses_of(r.run, 2);
    forward(&r, mask);
    assert_true(mls_run_synops(r.run) == (T + 2) * 14.0 / 2.0);
    mls_run_synapses(r.run, 0);
    assert_true(isnan(mls_run_synops(r.run)));
    close_rig(&r);
}

/* The input's map 3 -> 4 and the encoder's 4 -> 5 are dense; 5 -> 4 and the head's 4 -> 2 have
 * spikes.  6 flops for each unit and step are lif.scan's own.                            */
static void from_shapes(void **state)
{
    (void)state;
    rig r;
    mls_work w;
    open_rig(&r, spec);
    assert_true(mls_net_work(r.net, T, &w, &r.e));
    const double own = T * 0.5 * 6.0 * (UNITS + D);
    assert_true(w.dense == T * (IN * D + D * UNITS) + own);
    assert_true(w.macs == T * (IN * D + D * UNITS + UNITS * D + D * OUT) + own);
    close_rig(&r);
}

/* In pieces, as a late wire makes them, the same spikes are counted; what comes by the late
 * wire is dense.                                                                         */
static void in_pieces(void **state)
{
    (void)state;
    static const char late[] =
        "{width: 4, layers: 1, norm: none, residual: false, chunk: 2, nodes: {a: {component: "
        "encoder.lif, units: 5}, b: {component: encoder.lif}, s: {component: fusion.sum}}, "
        "wire: \"input -> s.a; b ~> s.b; s -> a -> b -> output\"}";
    rig r;
    float mask[T * B];
    open_rig(&r, late);
    mls_run_synapses(r.run, 1);
    forward(&r, NULL);
    assert_true(mls_run_synops(r.run) == T * 14.0);
    for (int i = 0; i < T * B; i++) mask[i] = i / B < (i % B == 1 ? 3 : T);
    mls_run_synapses_clear(r.run);
    forward(&r, mask);
    assert_true(mls_run_synops(r.run) == (T + 3 + T) * 14.0 / 3.0);
    close_rig(&r);
}

/* Values, not spikes: nothing to count. */
static void dense(void **state)
{
    (void)state;
    rig r;
    mls_work w;
    memset(&r, 0, sizeof r);
    open_rig(&r, "{width: 4, layers: 1, norm: layer, residual: true, nodes: {a: {component: "
                 "encoder.lif, units: 5}, b: {component: encoder.lif}, p: {component: "
                 "adapter.rate}}, wire: \"input -> a; a.spikes -> p -> b -> output\"}");
    mls_run_synapses(r.run, 1);
    forward(&r, NULL);
    assert_true(isnan(mls_run_synops(r.run)));
    assert_true(mls_net_work(r.net, T, &w, &r.e) && w.dense == w.macs);
    close_rig(&r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(counted), cmocka_unit_test(from_shapes), cmocka_unit_test(in_pieces),
        cmocka_unit_test(dense),
    };
    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests(tests, start_plugins, stop_plugins);
}
