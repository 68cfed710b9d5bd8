/* The memory of a training step: outputs in blocks, nodes that run again in pieces of the
 * sequence, plans that are kept from step to step, and what is told of it beforehand.      */
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
#include "net/net.h"

enum { D = 32, B = 4, T = 1100, VOCABULARY = 256 };    /* pieces of 256 steps, the last short */

static mls_registry registry;
static int32_t token[(T + 1) * B];
static float mask[T * B];

/* ---- a component that counts its forwards, and may do otherwise from one to the next ------- */

static int forwards;
static int (*other_ops)(int forward);

typedef struct counted { mls_t gain; } counted;

static void counted_setup(mls_ctx *c, void *self)
{
    counted *p = self;
    p->gain = mls->weight(c, "gain", 1, mls->width(c, "in"), mls_init_of(MLS_CONSTANT, 1.0, 0));
}

static void counted_forward(mls_ctx *c, void *self, const mls_t *in, mls_t *out)
{
    const counted *p = self;
    const int other = other_ops && other_ops(forwards);
    mls_t x = mls->rms_norm(c, in[0], p->gain, 1e-5);
    forwards++;
    mls_t y = mls->unary(c, MLS_TANH, x);
    if (other) y = mls->binary(c, MLS_ADD, y, mls->unary(c, MLS_SILU, x));
    out[0] = y;
}

static const mls_port counted_ports[] = { { "in", MLS_IN, "T B n", NULL },
                                          { "out", MLS_OUT, "T B n", NULL }, MLS_PORT_END };
static const mls_component counting = { sizeof counting, "mixer", "counted", 0, "Test.",
                                        counted_ports, NULL, sizeof(counted), counted_setup,
                                        counted_forward, NULL };

/* The registry's list is in order. */
static void add_counting(void)
{
    static const mls_component *list[256];
    int n = 0;
    for (int i = 0; i < registry.n_components; i++) {
        const mls_component *k = registry.component[i];
        if (n == i && (strcmp(k->kind, "mixer") > 0 ||
                       (!strcmp(k->kind, "mixer") && strcmp(k->name, "counted") > 0)))
            list[n++] = &counting;
        list[n++] = k;
    }
    registry.component = list;
    registry.n_components = n;
}

/* ---- networks ------------------------------------------------------------------------------ */

typedef struct setting {
    const char *mode, *extra;        /* or, with mode NULL, all of it                         */
    int remat, half, blocks, masked, reuse, steps, width;
    int anew, transient;             /* states start anew; nobody wants those that come out  */
    unsigned flags;
} setting;

typedef struct net { mls_arena a; mls_net *net; } net;

static net build(setting s, int dry)
{
    net n = { .net = NULL };
    mls_error e = { 0 };
    const mls_task_shape shape = { .steps = s.steps ? s.steps : T, .vocabulary = VOCABULARY,
                                   .output = VOCABULARY, .loss = MLS_CROSS_ENTROPY,
                                   .per_step = 1, .has_mask = s.masked };
    const char *text = s.extra ? s.extra : "{}";
    mls_value *given = mls_yaml_parse(&n.a, text, strlen(text), "test", &e);
    mls_value *spec = s.mode ? mls_conf_mode(&n.a, s.mode, given, &e) : given;
    if (e.set) fail_msg("%s", e.text);
    mls_value_set(&n.a, spec, "width", mls_value_int(&n.a, s.width ? s.width : D));
    mls_value_set(&n.a, spec, "layers", mls_value_int(&n.a, 2));
    const mls_value *nodes = mls_value_get(spec, "nodes");
    mls_value *all = mls_value_list(&n.a);
    for (int i = 0; i < nodes->n; i++)
        mls_value_push(&n.a, all, mls_value_string(&n.a, nodes->key[i]));
    if (s.remat) mls_value_set(&n.a, spec, "remat", all);
    n.net = mls_net_build(&(mls_net_config){ &registry, spec, &shape, 11, dry }, &e);
    if (!n.net) fail_msg("%s", e.text);
    return n;
}

static void drop(net *n)
{
    mls_net_free(n->net);
    mls_arena_free(&n->a);
}

typedef struct outcome {
    double loss[2];
    mls_loss_stats stats[2];
    float *grad;
    int64_t grads;
    double peak;                     /* of all that the run holds; without places it is a
                                        matter of addresses what of gradients fits where    */
    double values;                   /* of this, what is no gradient, if nothing is reused  */
} outcome;

/* Two steps; states go from one to the other, unless they start anew. */
static outcome train(setting s)
{
    net n = build(s, 0);
    outcome o = { .grad = NULL };
    mls_error e = { 0 };
    mls_run *run = mls_run_new(n.net, B, MLS_TRAIN | s.flags, &e);
    assert_non_null(run);
    if (s.reuse) assert_true(mls_run_reuse(run, s.half));
    mls_run_blocks(run, s.blocks);
    mls_run_transient(run, s.transient);
    const mls_batch b = { s.steps ? s.steps : T, B, token, NULL, s.masked ? mask : NULL, NULL,
                          token + B, NULL, NULL };
    for (int i = 0; i < 2; i++) {
        if (s.anew) mls_run_reset(run);
        mls_net_zero_grad(n.net);
        o.loss[i] = mls_run_loss(run, &b, (uint64_t)i + 7, &o.stats[i]);
        assert_int_equal(mls_run_output(run) != NULL, !s.blocks);
        mls_run_backward(run, 0.5);
        if (mls_run_error(run)->set) fail_msg("%s", mls_run_error(run)->text);
    }
    mls_net_data(n.net, &o.grads);
    o.grad = malloc((size_t)o.grads * sizeof(float));
    memcpy(o.grad, mls_net_grad(n.net), (size_t)o.grads * sizeof(float));
    o.peak = mls_run_memory(run);
    o.values = (double)mls_run_tape(run)->arena.peak;
    mls_run_free(run);
    drop(&n);
    return o;
}

static double apart(const outcome *a, const outcome *b)
{
    double size = 0.0, off = 0.0;
    for (int64_t i = 0; i < a->grads; i++) {
        size += (double)a->grad[i] * (double)a->grad[i];
        off += ((double)a->grad[i] - (double)b->grad[i]) * ((double)a->grad[i] - (double)b->grad[i]);
    }
    return sqrt(off / size);
}

/* ---- what it changes ------------------------------------------------------------------------ */

static const char *const modes[] = { "sequential", "parallel", "bidirectional", "mamba",
                                     "attention", NULL };

/* Blocks and pieces give the loss of the whole, to the bit, and its gradients. */
static void compare(setting a, setting b, double allowed)
{
    outcome x = train(a), y = train(b);
    if (memcmp(x.loss, y.loss, sizeof x.loss) || memcmp(x.stats, y.stats, sizeof x.stats))
        fail_msg("%s: losses %.9g and %.9g", a.mode ? a.mode : a.extra, x.loss[1], y.loss[1]);
    const double off = apart(&x, &y);
    print_message("# %-14s remat %d and %d: gradients %.1e off, peak %.1f and %.1f MB\n",
                  a.mode ? a.mode : "parts", a.remat, b.remat, off, x.peak / 1e6, y.peak / 1e6);
    assert_true(off <= allowed);
    free(x.grad);
    free(y.grad);
}

static void blocks_change_no_loss(void **state)
{
    (void)state;
    for (int masked = 0; masked < 2; masked++)
        for (int half = 0; half < 2; half++) {
            setting s = { .mode = "mamba", .reuse = 1, .half = half, .masked = masked };
            setting b = s;
            b.blocks = 1;
            compare(s, b, half ? 1e-3 : 2e-6);
            s.flags = b.flags = MLS_EXACT;
            compare(s, b, half ? 1e-3 : 2e-6);
        }
    compare((setting){ .mode = "mamba" }, (setting){ .mode = "mamba", .blocks = 1 }, 2e-6);
    compare((setting){ .mode = "mamba", .remat = 1 },
            (setting){ .mode = "mamba", .blocks = 1, .remat = 1, .reuse = 1 }, 2e-6);
}

static void pieces_change_no_loss(void **state)
{
    (void)state;
    for (int i = 0; modes[i]; i++)
        for (int masked = 0; masked < 2; masked++) {
            setting s = { .mode = modes[i], .reuse = 1, .masked = masked, .blocks = 1 };
            setting b = s;
            b.remat = 1;
            compare(s, b, 3e-6);
        }
    const char *const parts =
        "{ nodes: { e: { component: encoder.lif }, x: { component: mixer.moe, "
        "experts: [ { component: mixer.mamba }, { component: liquid.cfc } ] } }, "
        "wire: \"input -> e -> x -> output\" }";
    compare((setting){ .extra = parts, .reuse = 1, .masked = 1 },
            (setting){ .extra = parts, .reuse = 1, .masked = 1, .remat = 1 }, 3e-6);
    /* what sees all of the sequence is not cut */
    setting s = { .mode = "attention", .extra = "{ att: { bidirectional: true } }", .reuse = 1 };
    setting b = s;
    b.remat = 1;
    compare(s, b, 3e-6);
}

/* States that nobody reads need not be made: no bit changes, and attention over the whole
 * sequence keeps less. */
static void transient_states_change_no_bit(void **state)
{
    (void)state;
    static const char *const some[] = { "attention", "bidirectional", "sequential" };
    for (int i = 0; i < 3; i++)
        for (int k = 0; k < 4; k++) {
            setting s = { .mode = some[i], .reuse = k & 1, .remat = k / 2, .blocks = 1,
                          .masked = 1, .anew = 1 };
            outcome a = train(s);
            s.transient = 1;
            outcome b = train(s);
            const size_t grads = (size_t)a.grads * sizeof *a.grad;
            assert_memory_equal(a.loss, b.loss, sizeof a.loss);
            assert_memory_equal(a.grad, b.grad, grads);
            print_message("# %-14s reuse %d remat %d: peak %.2f and %.2f MB\n", some[i], s.reuse,
                          s.remat, a.peak / 1e6, b.peak / 1e6);
            assert_true(b.values <= a.values);
            if (s.reuse) assert_true(b.peak <= a.peak * (i == 0 ? 0.97 : 1.0));
            free(a.grad);
            free(b.grad);
        }
}

static void same_bits_with_two_threads(void **state)
{
    (void)state;
    for (int i = 0; modes[i]; i++)
        for (int half = 0; half < 2; half++) {
            const setting s = { .mode = modes[i], .reuse = 1, .blocks = 1, .remat = 1,
                                .half = half };
            outcome a = train(s);
            mls_parfor_threads(2);
            outcome b = train(s);
            mls_parfor_threads(1);
            if (memcmp(a.loss, b.loss, sizeof a.loss) ||
                memcmp(a.grad, b.grad, (size_t)a.grads * sizeof(float)))
                fail_msg("%s: other bits", modes[i]);
            free(a.grad);
            free(b.grad);
        }
}

/* ---- what it saves -------------------------------------------------------------------------- */

static void memory_falls(void **state)
{
    (void)state;
    for (int i = 0; modes[i]; i++) {
        setting s = { .mode = modes[i], .reuse = 1, .blocks = 1 };
        outcome a = train(s);
        s.remat = 1;
        outcome b = train(s);
        print_message("# %-14s remat leaves %.3f\n", modes[i], b.peak / a.peak);
        assert_true(b.peak < (i == 4 ? 0.65 : 0.52) * a.peak);
        free(a.grad);
        free(b.grad);
    }
}

/* ---- what is told beforehand ---------------------------------------------------------------- */

static void estimates_are_true(void **state)
{
    (void)state;
    for (int i = 0; modes[i]; i++)
        for (int k = 0; k < 4; k++) {
            setting s = { .mode = modes[i], .reuse = 1, .blocks = 1, .remat = k & 1, .half = k / 2,
                          .anew = 1, .transient = 1 };
            outcome a = train(s);
            net n = build(s, 1);
            const double told = mls_net_memory(n.net, T, B, 0, s.half, !s.transient);
            print_message("# %-14s remat %d half %d: %.2f MB, told %.2f (%.3f)\n", modes[i],
                          s.remat, s.half, a.peak / 1e6, told / 1e6, told / a.peak);
            assert_true(fabs(told / a.peak - 1.0) < 0.02);
            free(a.grad);
            drop(&n);
        }
}

/* Of a step as `mls bench` has it, 8 x 1,024 and two layers of width 128: by two fifths. */
static void halves_take_less(void **state)
{
    (void)state;
    for (int i = 0; modes[i]; i++) {
        net n = build((setting){ .mode = modes[i], .steps = 1024, .width = 128 }, 1);
        const double floats = mls_net_memory(n.net, 1024, 8, 0, 0, 0);
        const double halves = mls_net_memory(n.net, 1024, 8, 0, 1, 0);
        print_message("# %-14s float32 %.1f MB, mixed %.3f of it\n", modes[i], floats / 1e6,
                      halves / floats);
        assert_true(halves < 0.6 * floats);
        drop(&n);
    }
}

/* ---- plans ---------------------------------------------------------------------------------- */

#define COUNTED "{ nodes: { n: { component: mixer.counted } }, wire: \"input -> n -> output\" }"

static void plans_are_kept(void **state)
{
    (void)state;
    net n = build((setting){ .extra = COUNTED }, 0);
    mls_error e = { 0 };
    mls_run *run = mls_run_new(n.net, B, MLS_TRAIN, &e);
    assert_true(mls_run_reuse(run, 0));
    static const int64_t steps[] = { 64, 64, 64, 48, 48, 64, 64 };
    /* of two layers, each once; and three times more to see what comes and goes */
    static const int want[] = { 8, 2, 2, 8, 2, 8, 2 };
    other_ops = NULL;
    for (int i = 0; i < 7; i++) {
        const mls_batch b = { steps[i], B, token, NULL, NULL, NULL, token + B, NULL, NULL };
        forwards = 0;
        mls_run_loss(run, &b, (uint64_t)i, NULL);
        mls_run_backward(run, 1.0);
        if (mls_run_error(run)->set) fail_msg("%s", mls_run_error(run)->text);
        assert_int_equal(forwards, want[i]);
    }
    mls_run_free(run);
    drop(&n);
}

static int from_the_tenth(int forward) { return forward >= 10; }

/* A component that runs other ops than before is planned anew, and gives what it gives in a
 * run that uses nothing again. */
static void other_ops_are_planned_anew(void **state)
{
    (void)state;
    double loss[2][6];
    float *grad[2];
    int64_t count = 0;
    for (int reuse = 0; reuse < 2; reuse++) {
        net n = build((setting){ .extra = COUNTED }, 0);
        mls_error e = { 0 };
        mls_run *run = mls_run_new(n.net, B, MLS_TRAIN, &e);
        if (reuse) assert_true(mls_run_reuse(run, 0));
        other_ops = from_the_tenth;
        const mls_batch b = { 512, B, token, NULL, NULL, NULL, token + B, NULL, NULL };
        for (int i = 0; i < 6; i++) {
            forwards = i < 3 ? 0 : 10;
            mls_net_zero_grad(n.net);
            loss[reuse][i] = mls_run_loss(run, &b, 5, NULL);
            mls_run_backward(run, 1.0);
            if (mls_run_error(run)->set) fail_msg("%s", mls_run_error(run)->text);
        }
        mls_net_data(n.net, &count);
        grad[reuse] = malloc((size_t)count * sizeof(float));
        memcpy(grad[reuse], mls_net_grad(n.net), (size_t)count * sizeof(float));
        mls_run_free(run);
        drop(&n);
    }
    other_ops = NULL;
    assert_memory_equal(loss[0], loss[1], sizeof loss[0]);
    assert_true(fabs(loss[0][0] - loss[0][5]) > 1e-6);
    assert_memory_equal(grad[0], grad[1], (size_t)count * sizeof(float));
    free(grad[0]);
    free(grad[1]);
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
    add_counting();
    for (int i = 0; i < (T + 1) * B; i++) token[i] = (i * 31 + i / 7 + i * i / 11) % VOCABULARY;
    for (int i = 0; i < T * B; i++) mask[i] = i / B < T - 90 * (i % B);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(blocks_change_no_loss),
        cmocka_unit_test(pieces_change_no_loss),
        cmocka_unit_test(transient_states_change_no_bit),
        cmocka_unit_test(same_bits_with_two_threads),
        cmocka_unit_test(memory_falls),
        cmocka_unit_test(estimates_are_true),
        cmocka_unit_test(halves_take_less),
        cmocka_unit_test(plans_are_kept),
        cmocka_unit_test(other_ops_are_planned_anew),
    };
    const int failed = cmocka_run_group_tests_name("memory", tests, NULL, NULL);
    mls_registry_free(&registry);
    return failed;
}
