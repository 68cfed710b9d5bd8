/* Every common operation: its gradients against four-point differences in each kernel
 * family, and the same bits for any number of threads.                               */
#include "rig.h"

#include "base/parfor.h"
#include "kern/kern.h"

enum { INPUTS = 3, RANDOM_TOKENS = 24 };

typedef struct shape { int64_t d[3]; } shape;

typedef struct operation {
    const char *name;
    mls_t (*build)(mls_ctx *c, const mls_t *in);
    shape in[INPUTS];              /* zero: unused                                    */
    double shift;                  /* added to every input, to stay away from kinks   */
} operation;

#define BUILD(name, expression) \
    static mls_t name(mls_ctx *c, const mls_t *in) { return expression; }

BUILD(linear, mls_grad_linear(c, in[0], in[1], in[2]))
BUILD(linear_without, mls_grad_linear(c, in[0], in[1], NULL))
BUILD(add, mls_grad_binary(c, MLS_ADD, in[0], in[1]))
BUILD(sub, mls_grad_binary(c, MLS_SUB, in[0], in[1]))
BUILD(mul, mls_grad_binary(c, MLS_MUL, in[0], in[1]))
BUILD(self, mls_grad_binary(c, MLS_MUL, in[0], in[0]))
/* 1.3 keeps every pair of these inputs away from the kink */
BUILD(most, mls_grad_binary(c, MLS_MAX, in[0], mls_grad_scale(c, in[1], 1.3, 0.0)))
/* 1 + x^2: never near 0 */
BUILD(over, mls_grad_binary(c, MLS_DIV, in[0], mls_grad_scale(
    c, mls_grad_unary(c, MLS_SQUARE, in[1]), 1.0, 1.0)))
BUILD(scale, mls_grad_scale(c, in[0], -1.5, 0.25))
BUILD(concat, mls_grad_concat(c, in[0], in[1]))
BUILD(slice, mls_grad_slice(c, in[0], 4, 9))
BUILD(rms, mls_grad_rms_norm(c, in[0], in[1], 1e-5))
BUILD(rms_without, mls_grad_rms_norm(c, in[0], NULL, 1e-5))
BUILD(layer, mls_grad_layer_norm(c, in[0], in[1], in[2], 1e-5))
BUILD(layer_without, mls_grad_layer_norm(c, in[0], NULL, NULL, 1e-5))
BUILD(softmax, mls_grad_softmax(c, in[0]))
BUILD(dropout, mls_grad_dropout(c, in[0], 0.3))
BUILD(join, mls_grad_join(c, in, 3))
BUILD(views, mls_grad_binary(c, MLS_MUL, mls_tape_steps(c, in[0], 1, 2),
                             mls_tape_steps(c, in[0], 0, 2)))
BUILD(f_sigmoid, mls_grad_unary(c, MLS_SIGMOID, in[0]))
BUILD(f_tanh, mls_grad_unary(c, MLS_TANH, in[0]))
BUILD(f_silu, mls_grad_unary(c, MLS_SILU, in[0]))
BUILD(f_gelu, mls_grad_unary(c, MLS_GELU, in[0]))
BUILD(f_relu, mls_grad_unary(c, MLS_RELU, mls_grad_scale(c, in[0], 1.0, -1.9)))
BUILD(f_softplus, mls_grad_unary(c, MLS_SOFTPLUS, in[0]))
BUILD(f_exp, mls_grad_unary(c, MLS_EXP, in[0]))
BUILD(f_lecun, mls_grad_unary(c, MLS_LECUN_TANH, in[0]))
BUILD(f_negate, mls_grad_unary(c, MLS_NEGATE, in[0]))
BUILD(f_square, mls_grad_unary(c, MLS_SQUARE, in[0]))
BUILD(f_log, mls_grad_unary(c, MLS_LOG, in[0]))
BUILD(f_sqrt, mls_grad_unary(c, MLS_SQRT, in[0]))
BUILD(f_abs, mls_grad_unary(c, MLS_ABS, mls_grad_scale(c, in[0], 1.0, -1.9)))
BUILD(total, mls_grad_sum(c, in[0]))
BUILD(pool_last, mls_grad_pool(c, in[0], MLS_POOL_LAST, NULL))
BUILD(pool_mean, mls_grad_pool(c, in[0], MLS_POOL_MEAN, NULL))
BUILD(pool_sum, mls_grad_pool(c, in[0], MLS_POOL_SUM, NULL))
/* smooth: differences of the step itself are 0 */
BUILD(spike_fast, mls_grad_spike(c, in[0], MLS_FAST_SIGMOID, 0.7))
BUILD(spike_atan, mls_grad_spike(c, in[0], MLS_ATAN, 0.0))
BUILD(spike_logistic, mls_grad_spike(c, in[0], MLS_LOGISTIC, 1.5))
BUILD(scan, mls_grad_scan(c, in[0], in[1], NULL, NULL))

/* Labels and targets with holes, fixed by the position; enough for the largest case. */
enum { POSITIONS = 1 << 16 };
static int32_t labels[POSITIONS];
static float targets[1 << 22];
static mls_loss_stats stats;

BUILD(entropy, mls_grad_cross_entropy(c, in[0], labels, &stats))
BUILD(mse, mls_grad_mse(c, in[0], targets, &stats))
BUILD(binary_nll, mls_grad_binary_nll(c, in[0], targets, &stats))
BUILD(embed, mls_grad_embed(c, labels + POSITIONS / 2, RANDOM_TOKENS / 2, 2, in[0]))

#define X { { 3, 2, 21 } }
#define ROW { { 1, 1, 21 } }
static const operation small[] = {
    { "linear", linear, { X, { { 1, 18, 21 } }, { { 1, 1, 18 } } }, 0 },
    { "linear without bias", linear_without, { X, { { 1, 18, 21 } } }, 0 },
    { "add", add, { X, X }, 0 },
    { "sub by sample", sub, { X, { { 1, 2, 21 } } }, 0 },
    { "mul", mul, { X, X }, 0 },
    { "mul by feature", mul, { X, ROW }, 0 },
    { "mul by sample", mul, { X, { { 1, 2, 21 } } }, 0 },
    { "mul by row", mul, { X, { { 3, 2, 1 } } }, 0 },
    { "mul by step", mul, { X, { { 3, 1, 1 } } }, 0 },
    { "mul by one", mul, { X, { { 1, 1, 1 } } }, 0 },
    { "mul by sample and nothing else", mul, { X, { { 1, 2, 1 } } }, 0 },
    { "mul by itself", self, { X }, 0 },
    { "mul of wide rows", mul, { { { 2, 2, 150 } }, { { 1, 1, 150 } } }, 0 },
    { "mul of wide rows by row", mul, { { { 2, 2, 150 } }, { { 2, 2, 1 } } }, 0 },
    { "max", most, { X, X }, 0 },
    { "max by row", most, { X, { { 3, 2, 1 } } }, 0 },
    { "div", over, { X, X }, 0 },
    { "div by row", over, { X, { { 3, 2, 1 } } }, 0 },
    { "div by feature", over, { X, ROW }, 0 },
    { "scale", scale, { X }, 0 },
    { "concat", concat, { X, { { 3, 2, 5 } } }, 0 },
    { "slice", slice, { X }, 0 },
    { "rms_norm", rms, { X, ROW }, 0.3 },
    { "rms_norm without gain", rms_without, { X }, 0.3 },
    { "layer_norm", layer, { X, ROW, ROW }, 0.3 },
    { "layer_norm without gain", layer_without, { X }, 0.3 },
    { "softmax", softmax, { X }, 0 },
    { "dropout", dropout, { X }, 0 },
    { "join", join, { X, { { 1, 2, 21 } }, { { 2, 2, 21 } } }, 0 },
    { "views", views, { X }, 0 },
    { "sigmoid", f_sigmoid, { X }, 0 },
    { "tanh", f_tanh, { X }, 0 },
    { "silu", f_silu, { X }, 0 },
    { "gelu", f_gelu, { X }, 0 },
    { "relu", f_relu, { X }, 3 },
    { "softplus", f_softplus, { X }, 0 },
    { "exp", f_exp, { X }, 0 },
    { "lecun_tanh", f_lecun, { X }, 0 },
    { "negate", f_negate, { X }, 0 },
    { "square", f_square, { X }, 0 },
    { "log", f_log, { X }, 2.5 },
    { "sqrt", f_sqrt, { X }, 2.5 },
    { "abs", f_abs, { X }, 3 },
    { "sum", total, { X }, 0 },
    { "pool last", pool_last, { X }, 0 },
    { "pool mean", pool_mean, { X }, 0 },
    { "pool sum", pool_sum, { X }, 0 },
    { "spike fast_sigmoid", spike_fast, { X }, 3 },
    { "spike atan", spike_atan, { X }, 0 },
    { "spike logistic", spike_logistic, { X }, 0 },
    { "scan", scan, { X, X }, 0 },
    { "cross_entropy", entropy, { X }, 0 },
    { "mse", mse, { X }, 0 },
    { "binary_nll", binary_nll, { { { 3, 2, 5 } } }, 0 },
    { "embed", embed, { { { 1, 7, 21 } } }, 0 },
};

#define BIG { { 280, 8, 257 } }
#define BIG_ROW { { 1, 1, 257 } }
static const operation big[] = {
    { "linear", linear, { BIG, { { 1, 150, 257 } }, { { 1, 1, 150 } } }, 0 },
    { "mul", mul, { BIG, BIG }, 0 },
    { "mul by feature", mul, { BIG, BIG_ROW }, 0 },
    { "mul by row", mul, { BIG, { { 280, 8, 1 } } }, 0 },
    { "concat", concat, { BIG, { { 280, 8, 260 } } }, 0 },
    { "slice", slice, { BIG }, 0 },
    { "rms_norm", rms, { BIG, BIG_ROW }, 0 },
    { "layer_norm", layer, { BIG, BIG_ROW, BIG_ROW }, 0 },
    { "softmax", softmax, { BIG }, 0 },
    { "dropout", dropout, { BIG }, 0 },
    { "join", join, { BIG, BIG, BIG }, 0 },
    { "gelu", f_gelu, { BIG }, 0 },
    { "sum", total, { BIG }, 0 },
    { "pool mean", pool_mean, { BIG }, 0 },
    { "spike fast_sigmoid", spike_fast, { BIG }, 0 },
    { "scan", scan, { BIG, BIG }, 0 },
    { "cross_entropy", entropy, { BIG }, 0 },
    { "mse", mse, { BIG }, 0 },
    { "binary_nll", binary_nll, { BIG }, 0 },
};

typedef struct run {
    const operation *o;
    int64_t n[INPUTS], n_out;
    float  *x[INPUTS], *grad[INPUTS];
    float  *out, *weight;          /* the loss is the sum of out * weight             */
} run;

/* Forward, and backward when `grads`; the loss. */
static double compute(run *r, int grads)
{
    rig g;
    mls_t in[INPUTS] = { NULL };
    const int isa = mls_plug_table.isa;
    rig_start(&g, MLS_TRAIN | MLS_SMOOTH);
    mls_plug_table.isa = isa;
    g.tape.dropout = 99;
    for (int i = 0; i < INPUTS && r->n[i]; i++) {
        const int64_t *d = r->o->in[i].d;
        if (grads) memset(r->grad[i], 0, (size_t)r->n[i] * sizeof(float));
        in[i] = mls_tape_wrap(&g.c, r->x[i], grads ? r->grad[i] : NULL, 0, d[0], d[1],
                              d[2]);
    }
    const mls_t y = r->o->build(&g.c, in);
    if (g.error.set) fail_msg("%s: %s", r->o->name, g.error.text);
    if (!r->weight) {
        r->n_out = y->count;
        r->weight = rig_noise(y->count, 5);
        r->out = rig_zeros(y->count);
    }
    double loss = 0.0;
    for (int64_t i = 0; i < y->count; i++)
        loss += (double)y->data[i] * (double)r->weight[i];
    memcpy(r->out, y->data, (size_t)y->count * sizeof(float));
    if (grads) {
        memcpy(mls_tape_grad(&g.c, y), r->weight, (size_t)y->count * sizeof(float));
        mls_tape_backward(&g.c);
    }
    rig_stop(&g);
    return loss;
}

static double loss_of(void *arg) { return compute(arg, 0); }

static void start(run *r, const operation *o)
{
    *r = (run){ .o = o };
    for (int i = 0; i < INPUTS; i++) {
        r->n[i] = o->in[i].d[0] * o->in[i].d[1] * o->in[i].d[2];
        if (!r->n[i]) continue;
        r->x[i] = rig_noise(r->n[i], 11 + (uint64_t)i);
        r->grad[i] = rig_zeros(r->n[i]);
        for (int64_t j = 0; j < r->n[i]; j++)
            r->x[i][j] = 2.0f * r->x[i][j] + (float)o->shift;
    }
}

static void stop(run *r)
{
    for (int i = 0; i < INPUTS; i++) free(r->x[i]), free(r->grad[i]);
    free(r->out), free(r->weight);
}

static void gradients(void **state)
{
    (void)state;
    const int best = mls_k_init();
    for (int isa = 0; isa <= best; isa++)
        for (size_t i = 0; i < sizeof small / sizeof *small; i++) {
            run r;
            start(&r, &small[i]);
            mls_plug_table.isa = isa;
            compute(&r, 1);
            for (int j = 0; j < INPUTS && r.n[j]; j++) {
                /* loss_of writes no gradient, so r.grad stays what backward made it */
                rig_check(loss_of, &r, r.x[j], r.grad[j], r.n[j], 1, 5e-4,
                          small[i].name);
                double size = 0.0;
                for (int64_t k = 0; k < r.n[j]; k++) size += fabs((double)r.grad[j][k]);
                if (!(size > 1e-3))
                    fail_msg("%s: input %d has no gradient", small[i].name, j);
            }
            stop(&r);
        }
    mls_plug_table.isa = best;
}

static void threads_change_no_bit(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof big / sizeof *big; i++) {
        run r[2];
        for (int t = 0; t < 2; t++) {
            start(&r[t], &big[i]);
            mls_parfor_threads(t ? 3 : 1);
            compute(&r[t], 1);
        }
        mls_parfor_threads(1);
        int same = !memcmp(r[0].out, r[1].out, (size_t)r[0].n_out * sizeof(float));
        for (int j = 0; j < INPUTS && r[0].n[j]; j++)
            same &=
                !memcmp(r[0].grad[j], r[1].grad[j], (size_t)r[0].n[j] * sizeof(float));
        if (!same) fail_msg("%s: other bits with more threads", big[i].name);
        stop(&r[0]), stop(&r[1]);
    }
}

int main(void)
{
    mls_plug_init();
    for (int i = 0; i < POSITIONS; i++) labels[i] = i % 5 == 3 ? -1 : i % 7;
    for (int i = POSITIONS / 2; i < POSITIONS; i++) labels[i] = i % 7;
    mls_philox_uniform(8, targets, sizeof targets / sizeof *targets, -1.0, 1.0);
    for (size_t i = 1; i < sizeof targets / sizeof *targets; i += 6) targets[i] = NAN;
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(gradients), cmocka_unit_test(threads_change_no_bit),
    };
    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
