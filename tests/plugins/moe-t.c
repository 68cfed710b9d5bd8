/* mixer.moe and mixer.bidirectional against numbers found by hand and against their parts
 * run alone; gradients, chunks, masks.                                                    */
#include "small.h"

static bench k, other;

static const char *block(const char *options)
{
    static char text[1000];
    snprintf(text, sizeof text, "nodes: {m: {component: mixer.%s}}, wire: input -> m -> output",
             options);
    return text;
}

static void set(bench *b, const char *name, const float *v, size_t n)
{
    memcpy(weight_of(b, name, NULL), v, n * sizeof *v);
}

/* Weights of `from` under one prefix become those of `to` under another. */
static void copy_weights(bench *to, const char *as, bench *from, const char *prefix)
{
    for (int i = 0; i < mls_net_weights(from->net); i++) {
        const mls_weight *w = mls_net_weight(from->net, i);
        char name[200];
        if (strncmp(w->name, prefix, strlen(prefix))) continue;
        snprintf(name, sizeof name, "%s%s", as, w->name + strlen(prefix));
        set(to, name, w->data, (size_t)(w->rows * w->cols));
    }
}

/* ---- moe ------------------------------------------------------------------------------------ */

/* p = (0.5, 0.3, 0.2); experts: what goes in, (10, 20), what goes in. */
static void by_hand(void **state)
{
    (void)state;
    const float router[6] = { logf(5), 0, logf(3), 0, logf(2), 0 }, bias[2] = { 10, 20 };
    const float want[2][2] = { { 4.375f, 7.5f }, { 3.5f, 6.0f } };
    for (int i = 0; i < 2; i++) {
        open_bench(&k, block(i ? "moe, experts: [mixer.identity, mixer.mlp, mixer.identity], "
                                 "normalise: false, balance: 2"
                               : "moe, experts: [mixer.identity, mixer.mlp, mixer.identity], "
                                 "balance: 2"), 2, 1, 1, 0, MLS_TRAIN);
        set(&k, "layer0.m.router.weight", router, 6);
        set(&k, "layer0.m.expert1.down.bias", bias, 2);
        memset(weight_of(&k, "layer0.m.expert1.down.weight", NULL), 0, 16 * sizeof(float));
        k.x[0] = 1.0f;
        k.x[1] = 0.0f;
        same(run_all(&k)->data, want[i], 2, 1e-6, "out");
        /* n sum f P = 3 (1/2 0.5 + 1/2 0.3) = 1.2 */
        assert_float_equal(mls_run_penalty(k.run, NULL), 2.0 * 1.2, 1e-6);
        close_bench(&k);
    }
}

/* Even: every expert alike likely. Then the loss is 1 whatever k is. */
static void an_even_load_costs_one(void **state)
{
    (void)state;
    for (int n = 2; n < 4; n++) {
        open_bench(&k, block(n == 2 ? "moe, k: 2, balance: 1" : "moe, k: 3, balance: 1"), 4, 4, 2,
                   0, MLS_TRAIN);
        memset(weight_of(&k, "layer0.m.router.weight", NULL), 0, 16 * sizeof(float));
        run_all(&k);
        assert_float_equal(mls_run_penalty(k.run, NULL), 1.0, 1e-6);
        close_bench(&k);
    }
}

/* k = n identical experts are one of them. */
static void all_of_one_kind(void **state)
{
    (void)state;
    enum { D = 5, T = 6, B = 2 };
    open_bench(&k, block("moe, k: 4"), D, T, B, 0, 0);
    open_bench(&other, block("mlp"), D, T, B, 0, 0);
    for (int e = 0; e < 4; e++) {
        char as[40];
        snprintf(as, sizeof as, "layer0.m.expert%d.", e);
        copy_weights(&k, as, &other, "layer0.m.");
    }
    same(run_all(&k)->data, run_all(&other)->data, T * B * D, 1e-6, "out");
    close_bench(&k);
    close_bench(&other);
}

/* ---- what is recorded, and a plain reference ------------------------------------------------ */

typedef struct taken { float out[3][MAX_VALUES], load[MAX_VALUES], p[MAX_VALUES]; } taken;

static int wanted(void *arg, const char *node, const char *name)
{
    (void)arg;
    return !strncmp(node, "layer0.m", 8) &&
           (!strcmp(name, "out") || !strcmp(name, "load") || !strcmp(name, "probability"));
}

static void look(void *arg, const mls_channel *ch, mls_t v, int64_t t0)
{
    taken *t = arg;
    const char *part = strstr(ch->node, "expert");
    float *to = part ? t->out[part[6] - '0'] : !strcmp(ch->name, "load") ? t->load
              : !strcmp(ch->name, "probability") ? t->p : NULL;
    if (to) memcpy(to + t0 * v->dim[1] * v->dim[2], v->data, (size_t)v->count * sizeof *to);
}

#define THREE "experts: [mixer.mlp, liquid.gru, {component: liquid.cfc, backbone_units: 6}]"
static const char three[] = "moe, k: 2, " THREE;

static void against_a_plain_sum(void **state)
{
    (void)state;
    enum { D = 5, T = 9, B = 2, E = 3 };
    static taken t;
    int chosen[E] = { 0 }, real = 0;
    open_bench(&k, block(three), D, T, B, 1, 0);
    mls_run_observe(k.run, &(mls_observer){ &t, wanted, look });
    const float *y = run_all(&k)->data, *w = weight_of(&k, "layer0.m.router.weight", NULL);
    for (int r = 0; r < T * B; r++) {
        double p[E], sum = 0.0, want[D] = { 0 };
        int least = 0;
        real += k.mask[r] > 0.0f;
        for (int e = 0; e < E; e++) {
            p[e] = 0.0;
            for (int i = 0; i < D; i++) p[e] += (double)w[e * D + i] * (double)k.x[r * D + i];
            sum += p[e] = exp(p[e]);
            if (p[e] < p[least]) least = e;
        }
        for (int e = 0; e < E; e++) {
            assert_float_equal(t.p[r * E + e], p[e] / sum, 1e-6);
            const int is = e != least && k.mask[r] > 0.0f;
            assert_true(t.load[r * E + e] == (float)is);
            chosen[e] += is;
            for (int i = 0; is && i < D; i++)
                want[i] += p[e] / sum * (double)t.out[e][r * D + i];
        }
        const double share = 1.0 - p[least] / sum;
        for (int i = 0; k.mask[r] > 0.0f && i < D; i++)
            assert_float_equal(y[r * D + i], want[i] / share, 2e-6);
    }
    for (int e = 0; e < E; e++) assert_in_range(chosen[e], 1, real);
    assert_int_equal(chosen[0] + chosen[1] + chosen[2], 2 * real);
    close_bench(&k);
}

/* An expert with a state is that cell, run with the steps that did not come as padding. */
static void an_expert_sees_its_steps_alone(void **state)
{
    (void)state;
    enum { D = 5, T = 9, B = 2, E = 3 };
    static taken t;
    open_bench(&k, block("moe, k: 1, normalise: false, " THREE), D, T, B, 1, 0);
    open_bench(&other, "nodes: {m: {component: liquid.gru}}, wire: input -> m -> output", D, T, B,
               1, 0);
    mls_run_observe(k.run, &(mls_observer){ &t, wanted, look });
    run_all(&k);
    copy_weights(&other, "layer0.m.", &k, "layer0.m.expert1.");
    memcpy(other.x, k.x, sizeof k.x);
    int seen = 0, real = 0;
    for (int r = 0; r < T * B; r++) {
        other.mask[r] = t.load[r * E + 1];
        seen += other.mask[r] > 0.0f;
        real += k.mask[r] > 0.0f;
    }
    assert_in_range(seen, 3, real - 2);
    const float *y = run_all(&other)->data;
    for (int r = 0; r < T * B; r++)
        if (other.mask[r] > 0.0f) same(t.out[1] + r * D, y + r * D, D, 0.0, "expert1");
    float *a = NULL, *b = NULL;
    for (int i = 0; i < mls_run_states(k.run); i++)
        if (!strncmp(mls_run_state(k.run, i, NULL, NULL, NULL), "layer0.m.expert1.", 17))
            mls_run_state(k.run, i, &a, NULL, NULL);
    assert_int_equal(mls_run_states(other.run), 1);
    mls_run_state(other.run, 0, &b, NULL, NULL);
    assert_non_null(a);
    same(a, b, B * D, 0.0, "state");
    close_bench(&k);
    close_bench(&other);
}

/* Few steps: a change of choice within reach of a difference is a jump, not a slope. */
static void slopes(void **state)
{
    (void)state;
    static const char *const spec[] = {
        "moe, k: 2, balance: 0.7, experts: [mixer.mlp, liquid.gru, mixer.identity]",
        "moe, k: 1, normalise: false, experts: [{component: mixer.mlp, ratio: 1}, liquid.gru]",
        "bidirectional, part: liquid.gru", "bidirectional, part: liquid.gru, join: sum" };
    for (int i = 0; i < 4; i++) {
        open_bench(&k, block(spec[i]), 4, 3, 2, 1, MLS_SMOOTH | MLS_TRAIN);
        check_gradients(&k, 2e-3);
        close_bench(&k);
    }
}

static void chunks_and_masks(void **state)
{
    (void)state;
    open_bench(&k, block(three), 4, 6, 2, 1, MLS_EXACT);
    check_chunks(&k, 0);
    close_bench(&k);
    open_bench(&k, block(three), 4, 9, 1, 1, MLS_EXACT);
    check_mask(&k, 0);
    close_bench(&k);
    open_bench(&k, block("bidirectional, part: liquid.gru"), 4, 9, 1, 1, MLS_EXACT);
    check_mask(&k, 0);
    close_bench(&k);
}

static void refuse(const char *options, const char *words)
{
    mls_arena a = { 0 };
    mls_error e = { 0 };
    mls_net *net = build_net(&a, block(options), 4, 1, 0, &e);
    assert_null(net);
    if (!strstr(e.text, words)) fail_msg("%s: \"%s\" lacks \"%s\"", options, e.text, words);
    mls_arena_free(&a);
}

static void errors(void **state)
{
    (void)state;
    refuse("moe, k: 5", "layer0.m: k = 5 is more than there are experts: 4");
    refuse("moe, k: 1", "set normalise = false");
    refuse("moe, experts: [mixer.mlp, {component: liquid.gru, units: 3}]",
           "experts[1] (liquid.gru) gives 3 features, expected 4");
    refuse("moe, experts: [mixer.mlp, fusion.sum]", "whose input \"b\" would stay open");
    refuse("moe, experts: [mixer.mlp, task.text]", "which is a task");
    refuse("bidirectional, join: sum, part: {component: liquid.gru, units: 3}",
           "set join = concat");
}

/* ---- bidirectional ---------------------------------------------------------------------------- */

/* Two cells, one of them over the turned sequence, by hand. */
static void two_directions(void **state)
{
    (void)state;
    enum { D = 4, T = 8, B = 2, N = T * B * D };
    static float want[N];
    static const char cell[] = "nodes: {m: {component: liquid.gru}}, wire: input -> m -> output";
    open_bench(&k, block("bidirectional, part: liquid.gru, join: sum"), D, T, B, 1, 0);
    for (int way = 0; way < 2; way++) {
        open_bench(&other, cell, D, T, B, 1, 0);
        copy_weights(&other, "layer0.m.", &k, way ? "layer0.m.backward." : "layer0.m.forward.");
        for (int b = 0; b < B; b++) {
            int step[T], n = 0;
            for (int t = 0; t < T; t++)
                if (k.mask[t * B + b] > 0.0f) step[n++] = t;
            assert_in_range(n, 2, T);
            for (int i = 0; way && i < n; i++)
                memcpy(other.x + (step[i] * B + b) * D, k.x + (step[n - 1 - i] * B + b) * D,
                       D * sizeof(float));
        }
        const float *y = run_all(&other)->data;
        for (int b = 0; b < B; b++) {
            int step[T], n = 0;
            for (int t = 0; t < T; t++)
                if (k.mask[t * B + b] > 0.0f) step[n++] = t;
            for (int i = 0; i < n; i++)
                for (int j = 0; j < D; j++)
                    want[(step[i] * B + b) * D + j] +=
                        y[(step[way ? n - 1 - i : i] * B + b) * D + j];
        }
        close_bench(&other);
    }
    for (int twice = 0; twice < 2; twice++) {     /* nothing is left of the first call */
        const float *y = twice ? run_part(&k, 0, T)->data : run_all(&k)->data;
        for (int r = 0; r < T * B; r++)
            if (k.mask[r] > 0.0f) same(y + r * D, want + r * D, D, 1e-6, "out");
    }
    close_bench(&k);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(by_hand), cmocka_unit_test(an_even_load_costs_one),
        cmocka_unit_test(all_of_one_kind), cmocka_unit_test(against_a_plain_sum),
        cmocka_unit_test(an_expert_sees_its_steps_alone), cmocka_unit_test(slopes),
        cmocka_unit_test(chunks_and_masks), cmocka_unit_test(errors),
        cmocka_unit_test(two_directions) };
    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests_name("moe", tests, start_plugins, stop_plugins);
}
