/* Memory that is used again within a step (grad/reuse.c), over networks as they are used: the
 * same bits as without it; with what waits for backward in 16 bits the same forward, and
 * gradients close to it; and what both save.                                              */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/parfor.h"
#include "conf/conf.h"
#include "grad/tape.h"
#include "net/net.h"

enum { D = 48, B = 11, T = 96, VOCABULARY = 65 };   /* T B >= 1024: masks count */

static mls_registry registry;
static int32_t token[(T + 1) * B];
static float mask[T * B];

/* What a forward can meet; YAML.  A mode, or nodes and wires. */
static const struct row { const char *name, *mode, *spec; int masked; } table[] = {
    { "sequential", "sequential", "{}", 0 },
    { "sequential, masked", "sequential", "{}", 1 },
    { "parallel", "parallel", "{}", 0 },
    { "exchange in pieces", "bidirectional", "{}", 0 },
    { "exchange, masked", "bidirectional", "{}", 1 },
    { "mamba", "mamba", "{}", 0 },
    { "attention", "attention", "{}", 1 },
    { "dropout", "attention", "{ dropout: 0.2 }", 0 },
    { "remat", "sequential", "{ remat: [liq, mix] }", 0 },
    { "remat in pieces", "bidirectional", "{ remat: [mix] }", 1 },
    { "parts", NULL,
      "{ nodes: { m: { component: mixer.bidirectional, part: { component: liquid.gru } }, "
      "x: { component: mixer.moe, experts: [ { component: mixer.mamba }, "
      "{ component: liquid.cfc } ] } }, wire: \"input -> m -> x -> output\" }", 1 },
    { "remat of parts", NULL,
      "{ nodes: { x: { component: mixer.moe, experts: [ { component: mixer.mamba }, "
      "{ component: mixer.mlp } ] } }, wire: \"input -> x -> output\", remat: [x] }", 0 },
    { "feedback", NULL,
      "{ nodes: { a: { component: liquid.cfc }, b: { component: mixer.mlp }, "
      "s: { component: fusion.sum } }, "
      "wire: \"input -> s.a; b ~> s.b; s -> a; a -> b; b -> output\", chunk: 5 }", 1 },
    { "penalties", NULL,
      "{ nodes: { e: { component: encoder.lif, rate_weight: 0.1 }, m: { component: mixer.mlp } }, "
      "wire: \"input -> e -> m -> output\" }", 1 },
    { "penalties of a part", NULL,                       /* whose mask is made by an op */
      "{ nodes: { m: { component: mixer.moe, experts: [ { component: encoder.lif, "
      "rate_weight: 0.1, units: 48 }, { component: mixer.mlp } ] } }, "
      "wire: \"input -> m -> output\" }", 1 },
    { "every op", NULL,
      "{ nodes: { m: { component: mixer.every_op } }, wire: \"input -> m -> output\" }", 1 },
};
enum { ROWS = sizeof table / sizeof *table };

/* ---- every operation of the host's, each with a gradient ----------------------------------- */

typedef struct every { mls_t taps, gain; mls_state *past, *sum; } every;

static void every_setup(mls_ctx *c, void *self)
{
    every *p = self;
    p->taps = mls->weight(c, "taps", D, 3, MLS_LINEAR);
    p->gain = mls->weight(c, "gain", 1, D, MLS_ONES);
    p->past = mls->state(c, "past", 2 * D, 0.0, NULL, "conv");
    p->sum = mls->state(c, "sum", D, 0.0, NULL, "scan");
}

static mls_t some(mls_ctx *c, mls_t x, mls_t y)
{
    return mls->binary(c, MLS_ADD, x, mls->scale(c, y, 0.2, 0.0));
}

/* A mask that is the tape's own, and nobody else's. */
static mls_t another(mls_ctx *c, mls_t mask) { return mask ? mls->scale(c, mask, 1.0, 0.0) : NULL; }

static void every_forward(mls_ctx *c, void *self, const mls_t *in, mls_t *out)
{
    every *p = self;
    mls_t x = in[0], mask = in[1];
    for (int f = MLS_SIGMOID; f <= MLS_ABS; f++) {
        mls_t near_one = mls->scale(c, mls->unary(c, MLS_TANH, x), 0.3, 1.0);
        x = some(c, x, mls->unary(c, (mls_unary)f, near_one));
    }
    for (int f = MLS_ADD; f <= MLS_DIV; f++) {
        mls_t near_one = mls->scale(c, mls->unary(c, MLS_SIGMOID, x), 0.3, 1.0);
        x = some(c, x, mls->binary(c, (mls_binary)f, x, near_one));
    }
    x = some(c, x, mls->concat(c, mls->slice(c, x, 8, D - 8), mls->slice(c, x, 0, 8)));
    x = some(c, x, mls->binary(c, MLS_MUL, x, mls->softmax(c, x)));
    x = some(c, x, mls->layer_norm(c, x, p->gain, NULL, 1e-5));
    x = some(c, x, mls->rms_norm(c, x, NULL, 1e-5));
    x = some(c, x, mls->sum(c, x));
    x = some(c, x, mls->spike(c, x, MLS_FAST_SIGMOID, 0.0));
    x = some(c, x, mls->reverse(c, x, another(c, mask)));
    x = some(c, x, mls->pool(c, x, MLS_POOL_MEAN, another(c, mask)));
    x = some(c, x, mls->dropout(c, x, 0.1));
    const mls_t part[] = { mls->steps(c, x, 0, 30), mls->steps(c, x, 30, T - 30) };
    x = some(c, x, mls->join(c, part, 2));
    x = some(c, x, mls->conv(c, x, p->taps, NULL, p->past, another(c, mask)));
    x = some(c, x, mls->scan(c, mls->unary(c, MLS_SIGMOID, x), x, p->sum, another(c, mask)));
    out[0] = mls->rms_norm(c, x, NULL, 1e-5);
}

static const mls_port every_ports[] = { { "in", MLS_IN, "T B n", NULL },
                                        { "mask", MLS_IN | MLS_MAYBE, "T B 1", NULL },
                                        { "out", MLS_OUT, "T B n", NULL }, MLS_PORT_END };
static const mls_component every_op = { sizeof every_op, "mixer", "every_op", 0, "Test.",
                                        every_ports, NULL, sizeof(every), every_setup,
                                        every_forward, NULL };

/* The registry's list is in order. */
static void add_every_op(void)
{
    static const mls_component *list[256];
    int n = 0;
    for (int i = 0; i < registry.n_components; i++) {
        const mls_component *k = registry.component[i];
        if (n == i && (strcmp(k->kind, "mixer") > 0 ||
                       (!strcmp(k->kind, "mixer") && strcmp(k->name, "every_op") > 0)))
            list[n++] = &every_op;
        list[n++] = k;
    }
    registry.component = list;
    registry.n_components = n;
}

typedef struct net { mls_arena a; mls_net *net; } net;

static net build(const struct row *row, int layers, int width)
{
    net n = { .net = NULL };
    mls_error e = { 0 };
    const mls_task_shape shape = { .steps = T, .vocabulary = VOCABULARY, .output = VOCABULARY,
                                   .loss = MLS_CROSS_ENTROPY, .per_step = 1,
                                   .has_mask = row->masked };
    mls_value *given = mls_yaml_parse(&n.a, row->spec, strlen(row->spec), row->name, &e);
    mls_value *spec = row->mode ? mls_conf_mode(&n.a, row->mode, mls_value_map(&n.a), &e) : given;
    for (int i = 0; row->mode && given && i < given->n; i++)
        mls_value_set(&n.a, spec, given->key[i], given->item[i]);
    if (e.set) fail_msg("%s: %s", row->name, e.text);
    mls_value_set(&n.a, spec, "width", mls_value_int(&n.a, width));
    mls_value_set(&n.a, spec, "layers", mls_value_int(&n.a, layers));
    n.net = mls_net_build(&(mls_net_config){ &registry, spec, &shape, 11, 0 }, &e);
    if (!n.net) fail_msg("%s: %s", row->name, e.text);
    for (int i = 0; i < mls_net_weights(n.net); i++) {   /* the exchange starts at zero */
        mls_weight *w = mls_net_weight(n.net, i);
        for (int64_t k = 0; strstr(w->name, "mod_") && k < w->rows * w->cols; k++)
            w->data[k] = 0.05f * cosf((float)(3 * k));
    }
    return n;
}

static void drop(net *n)
{
    mls_net_free(n->net);
    mls_arena_free(&n->a);
}

enum { NONE = -1, FLOATS, HALVES };

/* What two training steps in a row gave: states are carried from one to the other. */
typedef struct outcome {
    double  loss[2], penalty[2];
    float  *y, *grad, *state;          /* of the second step */
    int64_t grads, states;
    double  peak;
} outcome;

static outcome train(net *n, const struct row *row, int reuse)
{
    outcome o = { .y = calloc(T * B * VOCABULARY, sizeof(float)) };
    mls_error e = { 0 };
    mls_run *run = mls_run_new(n->net, B, MLS_TRAIN, &e);
    assert_non_null(run);
    if (reuse != NONE) assert_true(mls_run_reuse(run, reuse == HALVES));
    const mls_batch b = { T, B, token, NULL, row->masked ? mask : NULL, NULL, token + B, NULL,
                          NULL };
    mls_net_data(n->net, &o.grads);
    for (int i = 0; i < 2; i++) {
        mls_net_zero_grad(n->net);
        o.loss[i] = mls_run_loss(run, &b, (uint64_t)i + 7, NULL);
        if (mls_run_error(run)->set) fail_msg("%s: %s", row->name, mls_run_error(run)->text);
        memcpy(o.y, mls_run_output(run)->data, T * B * VOCABULARY * sizeof(float));
        o.penalty[i] = mls_run_penalty(run, NULL);
        mls_run_backward(run, 1.0);
        if (mls_run_error(run)->set) fail_msg("%s: %s", row->name, mls_run_error(run)->text);
    }
    o.grad = malloc((size_t)o.grads * sizeof(float));
    memcpy(o.grad, mls_net_grad(n->net), (size_t)o.grads * sizeof(float));
    for (int i = 0; i < mls_run_states(run); i++) {
        float *value;
        int64_t width;
        mls_run_state(run, i, &value, &width, NULL);
        o.state = realloc(o.state, (size_t)(o.states + B * width) * sizeof(float));
        memcpy(o.state + o.states, value, (size_t)(B * width) * sizeof(float));
        o.states += B * width;
    }
    o.peak = mls_run_memory(run);
    mls_run_free(run);
    return o;
}

static void discard(outcome *o)
{
    free(o->y);
    free(o->grad);
    free(o->state);
}

static void same_forward(const struct row *row, const outcome *a, const outcome *b)
{
    if (memcmp(a->loss, b->loss, sizeof a->loss) ||
        memcmp(a->penalty, b->penalty, sizeof a->penalty))
        fail_msg("%s: the losses differ", row->name);
    if (memcmp(a->y, b->y, T * B * VOCABULARY * sizeof(float)))
        fail_msg("%s: the outputs differ", row->name);
    if (a->states && memcmp(a->state, b->state, (size_t)a->states * sizeof(float)))
        fail_msg("%s: the states differ", row->name);
}

static void reuse_changes_no_bit(void **state)
{
    (void)state;
    for (const struct row *row = table; row < table + ROWS; row++) {
        net n = build(row, 2, D);
        outcome a = train(&n, row, NONE), b = train(&n, row, FLOATS);
        same_forward(row, &a, &b);
        if (memcmp(a.grad, b.grad, (size_t)a.grads * sizeof(float)))
            fail_msg("%s: the gradients differ", row->name);
        print_message("# %-20s peak %5.2f MB, with reuse %5.2f\n", row->name, a.peak / 1e6,
                      b.peak / 1e6);
        discard(&a);
        discard(&b);
        drop(&n);
    }
}

static double apart(const float *a, const float *b, int64_t n)
{
    double size = 0.0, off = 0.0;
    for (int64_t i = 0; i < n; i++) {
        size += (double)a[i] * (double)a[i];
        off += ((double)a[i] - (double)b[i]) * ((double)a[i] - (double)b[i]);
    }
    return sqrt(off / size);
}

static void halves_are_seen_by_backward_alone(void **state)
{
    (void)state;
    for (const struct row *row = table; row < table + ROWS; row++) {
        net n = build(row, 2, D);
        outcome a = train(&n, row, NONE), b = train(&n, row, HALVES);
        same_forward(row, &a, &b);
        const double off = apart(a.grad, b.grad, a.grads);
        print_message("# %-20s gradients %.1e off\n", row->name, off);
        assert_true(off < 1e-3 && off > 1e-7);
        discard(&a);
        discard(&b);
        drop(&n);
    }
}

/* With two threads, and once more, halves give the bits that they gave. */
static void halves_give_the_same_bits_twice(void **state)
{
    (void)state;
    for (const struct row *row = table; row < table + ROWS; row++) {
        net n = build(row, 2, D);
        outcome a = train(&n, row, HALVES);
        for (int threads = 1; threads <= 2; threads++) {
            mls_parfor_threads(threads);
            outcome b = train(&n, row, HALVES);
            same_forward(row, &a, &b);
            if (memcmp(a.grad, b.grad, (size_t)a.grads * sizeof(float)))
                fail_msg("%s: the gradients differ", row->name);
            discard(&b);
        }
        mls_parfor_threads(1);
        discard(&a);
        drop(&n);
    }
}

/* ---- who looks on ------------------------------------------------------------------------- */

typedef struct seen { uint64_t hash; int64_t values; } seen;

static int anything(void *arg, const char *node, const char *name)
{
    (void)arg, (void)node, (void)name;
    return 1;
}

static void look(void *arg, const mls_channel *ch, mls_t value, int64_t t0)
{
    seen *s = arg;
    (void)ch;
    s->hash = s->hash * 31 + (uint64_t)t0;
    for (int64_t i = 0; i < value->count; i++) {
        uint32_t bits;
        memcpy(&bits, value->data + i, sizeof bits);
        s->hash = s->hash * 31 + bits;
    }
    s->values += value->count;
}

/* What is recorded and what is counted in an evaluation and in training. */
static void onlookers_see_the_same(void **state)
{
    (void)state;
    for (const struct row *row = table; row < table + ROWS; row++)
        for (unsigned flags = 0; flags <= MLS_TRAIN; flags += MLS_TRAIN) {
            net n = build(row, 2, D);
            seen what[3] = { { 0, 0 } };
            double synops[3];
            for (int k = NONE; k <= HALVES; k++) {
                mls_error e = { 0 };
                mls_run *run = mls_run_new(n.net, B, flags, &e);
                const mls_batch b = { T, B, token, NULL, row->masked ? mask : NULL, NULL,
                                      token + B, NULL, NULL };
                if (k != NONE) assert_true(mls_run_reuse(run, k == HALVES));
                mls_run_observe(run, &(mls_observer){ &what[k + 1], anything, look });
                mls_run_synapses(run, !flags);
                for (int i = 0; i < 2; i++) mls_run_loss(run, &b, 3, NULL);
                synops[k + 1] = mls_run_synops(run);
                mls_run_free(run);
                if (what[k + 1].hash != what[0].hash || !what[0].values)
                    fail_msg("%s: other values are seen", row->name);
                if (memcmp(&synops[k + 1], synops, sizeof *synops))
                    fail_msg("%s: %g synops, then %g", row->name, synops[0], synops[k + 1]);
            }
            drop(&n);
        }
}

/* Of the arena's peak in four layers, without weights and the optimiser. */
static void memory_falls(void **state)
{
    (void)state;
    static const struct { const char *mode; double floats, halves; } want[] = {
        { "sequential", 0.83, 0.43 }, { "mamba", 0.78, 0.38 }, { "attention", 0.85, 0.45 } };
    for (size_t i = 0; i < sizeof want / sizeof *want; i++) {
        const struct row row = { want[i].mode, want[i].mode, "{}", 0 };
        net n = build(&row, 4, 2 * D);
        double peak[3];
        for (int k = NONE; k <= HALVES; k++) {
            outcome o = train(&n, &row, k);
            peak[k + 1] = o.peak;
            discard(&o);
        }
        print_message("# %-12s peak %.2f MB; with reuse %.3f of it, with float16 %.3f\n",
                      row.name, peak[0] / 1e6, peak[1] / peak[0], peak[2] / peak[0]);
        assert_true(peak[1] < want[i].floats * peak[0]);
        assert_true(peak[2] < want[i].halves * peak[0]);
        assert_true(peak[2] < 0.55 * peak[1]);
        drop(&n);
    }
}

int main(void)
{
    cmocka_set_message_output(CM_OUTPUT_TAP);
    mls_net_init();
    mls_error e = { 0 };
    if (!mls_registry_load(&registry, NULL, &e)) {
        print_error("# %s\n", e.text);
        return 99;
    }
    add_every_op();
    for (int i = 0; i < (T + 1) * B; i++) token[i] = (i * 31 + i / 7 + i * i / 11) % VOCABULARY;
    for (int i = 0; i < T * B; i++) mask[i] = i / B < T - 8 * (i % B);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reuse_changes_no_bit),
        cmocka_unit_test(halves_are_seen_by_backward_alone),
        cmocka_unit_test(halves_give_the_same_bits_twice),
        cmocka_unit_test(onlookers_see_the_same),
        cmocka_unit_test(memory_falls),
    };
    const int failed = cmocka_run_group_tests_name("reuse", tests, NULL, NULL);
    mls_registry_free(&registry);
    return failed;
}
