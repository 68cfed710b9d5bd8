/* ltc: the reference's figures, gradients by differences, chunks, solvers and their
 * guard. */
#define _GNU_SOURCE
#define FILE_NAME "liquid/ltc.so"
#include "recurrent.h"

#include "ltc-golden.h"

enum { ALL = 1 << DT | 1 << TAU | 1 << MASK };

static void golden(void **state)
{
    (void)state;
    static const char *const order[] = {
        "gleak",  "vleak",         "cm",         "sigma",     "mu",           "w",
        "erev",   "sensory_sigma", "sensory_mu", "sensory_w", "sensory_erev", "input_w",
        "input_b"};
    const reference r[] = {{"units=4 outputs=4 output_mapping=none", 5, 2, 3, 4,
                            golden_dt, softplus_y, softplus_dx, 1e-6, 3e-6},
                           {"units=4 outputs=4 output_mapping=none positivity=clip", 5,
                            2, 3, 4, golden_dt, plain_y, plain_dx, 1e-6, 3e-6}};
    const reference_gradient *const g[] = {softplus_gradient, plain_gradient};
    for (int i = 0; i < 2; i++) {
        cell c;
        cell_open(&c, FILE_NAME, r[i].options, 2, (int64_t[CELL_PORTS]){3, 1}, 1);
        assert_int_equal(c.n_weights, 13);
        for (int j = 0; j < 13; j++) {
            cell_weight *w = weight_named(&c, order[j]);
            const int positive = j == 0 || j == 2 || j == 5 || j == 9;
            closed_form(w, j);
            for (int64_t k = 0; k < w->t->count; k++) {
                float *p = &w->t->data[k];
                if (positive) *p = fabsf(*p) + 0.1f;
                if (j == 3 || j == 7) *p = 5.0f * *p + 4.0f;
            }
        }
        compare(&c, &r[i], g[i], 13);
        cell_close(&c);
    }
}

static void gradients(void **state)
{
    (void)state;
    gradients_of("units=6 outputs=6", ALL);
    gradients_of("units=6 outputs=6 positivity=clip ode_unfolds=3", 0);
    gradients_of("units=9 outputs=6 wiring=random sparsity=0.3", ALL);
    gradients_of("units=12 outputs=6 wiring=auto_ncp", 1 << DT);
    gradients_of("units=6 outputs=6 solver=euler ode_unfolds=30", ALL);
    gradients_of("units=6 outputs=6 solver=rk4 ode_unfolds=10", ALL);
    gradients_of("units=6 outputs=6 input_mapping=none output_mapping=linear", 0);
}

/* Where the guard cuts every step short, what remains has gradients. */
static void guarded_gradients(void **state)
{
    (void)state;
    static const char *const options[] = {
        "units=6 outputs=6 solver=euler ode_unfolds=1 output_mapping=none",
        "units=6 outputs=6 solver=rk4 ode_unfolds=1 output_mapping=none"};
    for (int i = 0; i < 2; i++) {
        data d;
        prepare(&d, options[i], 4, 2, 0);
        float *cm = weight_named(&d.c, "cm")->t->data;
        for (int j = 0; j < 6; j++) cm[j] = -3.0f;
        pass(&d, d.T, 1);
        for (int j = 0; j < 6; j++)
            assert_float_equal(weight_named(&d.c, "cm")->grad[j], 0.0f, 0.0f);
        static const char *const name[] = {"w", "gleak", "sensory_w", "erev", "mu"};
        float *g[5];
        for (int j = 0; j < 5; j++) {
            const cell_weight *w = weight_named(&d.c, name[j]);
            g[j] = copy(&d, w->grad, w->t->count);
        }
        for (int j = 0; j < 5; j++) {
            cell_weight *w = weight_named(&d.c, name[j]);
            differ(&d, name[j], w->t->data, g[j], w->t->count);
        }
        cell_close(&d.c);
    }
}

static void chunks(void **state)
{
    (void)state;
    for (int exact = 0; exact < 2; exact++) {
        const unsigned flag = exact ? MLS_EXACT : 0;
        chunks_of("units=6 outputs=6", ALL, flag);
        chunks_of("units=12 outputs=6 wiring=auto_ncp", 0, flag);
        chunks_of("units=6 outputs=6 solver=rk4", ALL, flag);
    }
}

/* With many substeps all three solvers come to the same. */
static void solvers_agree(void **state)
{
    (void)state;
    static const char *const solver[] = {"semi_implicit", "euler", "rk4"};
    float *y[3];
    data d[3];
    for (int i = 0; i < 3; i++) {
        char options[200];
        snprintf(options, sizeof options,
                 "units=6 outputs=6 ode_unfolds=64 epsilon=0 solver=%s", solver[i]);
        prepare(&d[i], options, 6, 2, 1 << DT);
        pass(&d[i], 6, 0);
        y[i] = d[i].y;
    }
    double off[2] = {0.0, 0.0};
    for (int k = 0; k < 6 * 2 * 6; k++) {
        off[0] = fmax(off[0], fabs((double)y[0][k] - (double)y[2][k]));
        off[1] = fmax(off[1], fabs((double)y[1][k] - (double)y[2][k]));
    }
    print_message("# semi_implicit is off rk4 by %.1e, euler by %.1e\n", off[0],
                  off[1]);
    assert_true(off[0] < 0.03 && off[1] < 0.03 && off[0] > 0.0 && off[1] > 0.0);
    for (int i = 0; i < 3; i++) cell_close(&d[i].c);
}

/* No solver diverges, however large the conductances and the steps. */
static void stays_bounded(void **state)
{
    (void)state;
    static const char *const options[] = {
        "units=16 outputs=6 solver=semi_implicit ode_unfolds=1",
        "units=16 outputs=6 solver=euler ode_unfolds=1",
        "units=16 outputs=6 solver=rk4 ode_unfolds=1",
        "units=16 outputs=6 solver=rk4 positivity=clip"};
    for (int i = 0; i < 4; i++) {
        data d;
        prepare(&d, options[i], 40, 2, 1 << DT);
        float *w = weight_named(&d.c, "w")->t->data;
        float *cm = weight_named(&d.c, "cm")->t->data;
        for (int k = 0; k < 16 * 16; k++) w[k] = 50.0f;
        for (int k = 0; k < 16; k++) cm[k] = k % 2 ? -100.0f : 0.01f;
        for (int k = 0; k < 80; k++) d.dt[k] = k % 3 ? 1000.0f : 0.0f;
        pass(&d, 40, 1);
        for (int k = 0; k < 40 * 2 * 6; k++) assert_true(fabsf(d.y[k]) <= 10.0f);
        for (int j = 0; j < d.c.n_weights; j++)
            for (int64_t k = 0; k < d.c.weight[j].t->count; k++)
                assert_true(isfinite(d.c.weight[j].grad[k]));
        cell_close(&d.c);
    }
}

/* A step of no length changes nothing, and one step is the formula of the paper. */
static void no_time_no_change(void **state)
{
    (void)state;
    data d;
    prepare(&d, "units=6 outputs=6", 1, 2, 1 << DT);
    d.dt[0] = d.dt[1] = 0.0f;
    pass(&d, 1, 0);
    assert_memory_equal(d.h, d.c.state[0].data, 12 * 4);
    cell_close(&d.c);
}

/* Samples run side by side, by fours, twos or alone.  Whatever its company a sample gets
 * the same bits, what it gives to the weights adds up, and what stands in its padding is
 * never seen; also where slopes are so steep that exponents leave the range of floats. */
static void in_company(const char *options, int64_t B, float steep)
{
    enum { T = 5, S = 5, H = 6 };
    data all;
    prepare(&all, options, T, B, 1 << DT | 1 << MASK);
    float *sigma = weight_named(&all.c, "sigma")->t->data;
    for (int i = 0; i < H * H; i++) sigma[i] *= steep;
    for (int64_t i = 0; i < T * B; i++)
        for (int k = 0; all.mask[i] == 0.0f && k < S; k++) all.x[i * S + k] = NAN;
    pass(&all, T, 1);
    double sum[CELL_WEIGHTS][H * H] = {{0.0}};
    for (int64_t b = 0; b < B; b++) {
        data one;
        prepare(&one, options, T, 1, 1 << DT | 1 << MASK);
        for (int i = 0; i < one.c.n_weights; i++)
            memcpy(one.c.weight[i].t->data, all.c.weight[i].t->data,
                   (size_t)one.c.weight[i].t->count * 4);
        memcpy(one.c.state[0].data, all.c.state[0].data + b * H, H * 4);
        memcpy(one.wh, all.wh + b * H, H * 4);
        for (int t = 0; t < T; t++) {
            one.dt[t] = all.dt[t * B + b];
            one.mask[t] = all.mask[t * B + b];
            for (int k = 0; k < S; k++) /* its padding is not that of `all` */
                one.x[t * S + k] = one.mask[t] == 0.0f ? 7.0f : all.x[(t * B + b) * S + k];
            memcpy(one.wy + t * H, all.wy + (t * B + b) * H, H * 4);
        }
        pass(&one, T, 1);
        for (int t = 0; t < T; t++) {
            assert_memory_equal(one.y + t * H, all.y + (t * B + b) * H, H * 4);
            near("d in", all.dx + (t * B + b) * S, one.dx + t * S, S, 2e-6);
            near("d dt", &all.ddt[t * B + b], &one.ddt[t], 1, 2e-6);
        }
        for (int i = 0; i < one.c.n_weights; i++)
            for (int64_t k = 0; k < one.c.weight[i].t->count; k++)
                sum[i][k] += (double)one.c.weight[i].grad[k];
        cell_close(&one.c);
    }
    for (int i = 0; i < all.c.n_weights; i++)
        for (int64_t k = 0; k < all.c.weight[i].t->count; k++) {
            const float want = (float)sum[i][k];
            near(all.c.weight[i].name, &all.c.weight[i].grad[k], &want, 1, 2e-5);
        }
    cell_close(&all.c);
}

static void company(void **state)
{
    (void)state;
    static const int64_t size[] = {3, 6, 11, 37};
    for (int i = 0; i < 4; i++)
        for (int wild = 0; wild < 2; wild++) {
            const float steep = wild ? 400.0f : 1.0f;
            in_company("units=6 outputs=6 input_mapping=none", size[i], steep);
            in_company("units=6 outputs=6 input_mapping=none solver=rk4", size[i], steep);
            in_company("units=6 outputs=6 input_mapping=none ode_unfolds=9", size[i],
                       steep);
        }
}

int main(void)
{
    cmocka_set_message_output(CM_OUTPUT_TAP);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(golden),
        cmocka_unit_test(gradients),
        cmocka_unit_test(guarded_gradients),
        cmocka_unit_test(chunks),
        cmocka_unit_test(solvers_agree),
        cmocka_unit_test(stays_bounded),
        cmocka_unit_test(no_time_no_change),
        cmocka_unit_test(company),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
