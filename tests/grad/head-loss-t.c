/* The head's product with the cross-entropy in blocks of rows, beside the two as ops of their
 * own: the same loss and counts to the bit, the same gradients but for roundings.          */
#include "rig.h"

#include "base/parfor.h"

enum { T = 331, B = 13, IN = 24, CLASSES = 301 };      /* several blocks, the last one short */

typedef struct setting {
    int blocks, bias, normed, frozen;    /* frozen: no gradient of x                        */
    unsigned flags;
    float scale;
    int unscored;                        /* 1: some rows, 2: all                            */
} setting;

typedef struct result {
    float loss, dx[T * B * IN], dw[CLASSES * IN], db[CLASSES], dgain[IN];
    mls_loss_stats stats;
    size_t peak;
} result;

static result *make(setting s)
{
    rig r;
    result *o = calloc(1, sizeof *o);
    int32_t *label = calloc(T * B, sizeof *label);
    float *x = rig_noise(T * B * IN, 1), *w = rig_noise(CLASSES * IN, 2), *b = rig_noise(CLASSES, 3);
    float gain[IN];
    for (int i = 0; i < IN; i++) gain[i] = 1.0f + 0.1f * (float)i;
    for (int i = 0; i < T * B; i++)
        label[i] = s.unscored == 2 || (s.unscored && i % 3 == 0) ? -1 : (i * 31 + i / 7) % CLASSES;
    rig_start(&r, MLS_TRAIN | s.flags);
    mls_t X = mls_tape_wrap(&r.c, x, s.frozen ? NULL : o->dx, 0, T, B, IN);
    mls_t W = mls_tape_wrap(&r.c, w, o->dw, 0, 1, CLASSES, IN);
    mls_t G = mls_tape_wrap(&r.c, gain, o->dgain, 0, 1, 1, IN);
    mls_t bias = s.bias ? mls_tape_wrap(&r.c, b, o->db, 0, 1, 1, CLASSES) : NULL;
    mls_t h = s.normed ? mls_grad_rms_norm(&r.c, X, G, 1e-5) : X;
    r.tape.puts_off = s.blocks;
    mls_t y = mls_grad_linear(&r.c, h, W, bias);
    r.tape.puts_off = 0;
    assert_int_equal(mls_tape_later(y) != NULL, s.blocks);
    assert_int_equal(y->data == NULL, s.blocks);
    mls_t loss = s.blocks ? mls_grad_head_loss(&r.c, mls_tape_later(y), label, &o->stats, s.normed)
                          : mls_grad_cross_entropy(&r.c, y, label, &o->stats);
    if (r.error.set) fail_msg("%s", r.error.text);
    o->loss = loss->data[0];
    mls_tape_grad(&r.c, loss)[0] = s.scale;
    mls_tape_backward(&r.c);
    o->peak = r.tape.arena.peak + r.tape.floats.peak;
    rig_stop(&r);
    free(label);
    free(x);
    free(w);
    free(b);
    return o;
}

static void near(const char *what, const float *a, const float *b, int64_t n)
{
    double most = 1e-30, off = 0.0;
    for (int64_t i = 0; i < n; i++) most = fmax(most, fabs((double)a[i]));
    for (int64_t i = 0; i < n; i++) off = fmax(off, fabs((double)a[i] - (double)b[i]));
    if (!(off <= 2e-6 * most)) fail_msg("%s: off by %g of %g", what, off, most);
}

static void compare(setting s)
{
    s.blocks = 0;
    result *a = make(s);
    s.blocks = 1;
    result *b = make(s);
    assert_memory_equal(&a->loss, &b->loss, sizeof a->loss);
    assert_memory_equal(&a->stats, &b->stats, sizeof a->stats);
    assert_true(s.unscored == 2 || a->loss > 1.0f);
    near("x", a->dx, b->dx, T * B * IN);
    near("weight", a->dw, b->dw, CLASSES * IN);
    near("bias", a->db, b->db, CLASSES);
    near("gain", a->dgain, b->dgain, IN);
    assert_true(s.frozen || s.unscored == 2 || fabsf(a->dx[T * B * IN - IN - 1]) > 0.0f);
    free(a);
    free(b);
}

static void blocks_equal_the_whole(void **state)
{
    (void)state;
    assert_true(T * B > 4 * mls_grad_head_rows(CLASSES, B, 0));
    compare((setting){ .bias = 1, .normed = 1, .scale = 1.0f });
    compare((setting){ .bias = 1, .normed = 1, .scale = 0.3f, .unscored = 1 });
    compare((setting){ .normed = 1, .scale = 0.25f });
    compare((setting){ .bias = 1, .scale = 0.3f, .unscored = 1 });
    compare((setting){ .bias = 1, .frozen = 1, .scale = 2.0f });
    compare((setting){ .bias = 1, .normed = 1, .scale = 1.0f, .unscored = 2 });
    compare((setting){ .bias = 1, .normed = 1, .scale = 1.0f, .flags = MLS_EXACT });
}

/* A block of an exact product has whole steps: rows come in panels of B. */
static void exact_blocks_are_whole_steps(void **state)
{
    (void)state;
    for (int64_t samples = 1; samples < 3000; samples = samples * 3 + 1)
        assert_int_equal(mls_grad_head_rows(256, samples, 1) % samples, 0);
    assert_int_equal(mls_grad_head_rows(256, 13, 0) % 256, 0);
    assert_true(mls_grad_head_rows(1 << 20, 13, 0) > 0);
}

static void threads_change_no_bit(void **state)
{
    (void)state;
    const setting s = { .blocks = 1, .bias = 1, .normed = 1, .scale = 0.3f };
    result *a = make(s);
    mls_parfor_threads(2);
    result *b = make(s);
    mls_parfor_threads(1);
    a->peak = b->peak = 0;
    assert_memory_equal(a, b, sizeof *a);
    free(a);
    free(b);
}

static void logits_are_never_whole(void **state)
{
    (void)state;
    setting s = { .bias = 1, .normed = 1, .scale = 1.0f };
    result *a = make(s);
    s.blocks = 1;
    result *b = make(s);
    const double logits = (double)(T * B * CLASSES) * sizeof(float);
    print_message("# %.2f MB with whole logits of %.2f MB, %.2f MB in blocks\n",
                  (double)a->peak / 1e6, logits / 1e6, (double)b->peak / 1e6);
    assert_true((double)b->peak < 0.4 * (double)a->peak && (double)a->peak > logits);
    free(a);
    free(b);
}

/* Whoever reads what was put off has it: the op waits for nobody but the loss. */
static void an_op_gets_what_was_put_off(void **state)
{
    (void)state;
    rig r;
    float *x = rig_noise(4 * 2 * IN, 1), *w = rig_noise(3 * IN, 2), dw[2][3 * IN] = { { 0 } };
    float y[2][4 * 2 * 3];
    for (int later = 0; later < 2; later++) {
        rig_start(&r, MLS_TRAIN);
        r.tape.puts_off = later;
        mls_t X = mls_tape_wrap(&r.c, x, NULL, 0, 4, 2, IN);
        mls_t W = mls_tape_wrap(&r.c, w, dw[later], 0, 1, 3, IN);
        mls_t z = mls_grad_linear(&r.c, X, W, NULL);
        mls_t part = mls_tape_steps(&r.c, z, 1, 2);
        assert_null(mls_tape_later(z));
        mls_t u = mls_grad_unary(&r.c, MLS_TANH, mls_grad_linear(&r.c, X, W, NULL));
        memcpy(y[later], u->data, sizeof y[later]);
        memcpy(y[later], part->data, (size_t)part->count * sizeof(float));
        float *g = mls_tape_grad(&r.c, u);
        for (int i = 0; i < 24; i++) g[i] = (float)i;
        mls_tape_backward(&r.c);
        rig_stop(&r);
    }
    assert_memory_equal(y[0], y[1], sizeof y[0]);
    assert_memory_equal(dw[0], dw[1], sizeof dw[0]);
    free(x);
    free(w);
}

int main(void)
{
    cmocka_set_message_output(CM_OUTPUT_TAP);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(blocks_equal_the_whole), cmocka_unit_test(exact_blocks_are_whole_steps),
        cmocka_unit_test(threads_change_no_bit), cmocka_unit_test(logits_are_never_whole),
        cmocka_unit_test(an_op_gets_what_was_put_off),
    };
    return cmocka_run_group_tests_name("head-loss", tests, NULL, NULL);
}
