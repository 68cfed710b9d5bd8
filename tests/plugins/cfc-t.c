/* cfc: the reference's figures, gradients by differences, chunks, masks, time steps. */
#define _GNU_SOURCE
#define FILE_NAME "liquid/cfc.so"
#include "recurrent.h"
#include "base/parfor.h"

#include "cfc-golden.h"
#include "cfc-modes-golden.h"

/* memory.h alone, from the source tree. */
#include "../../plugins/liquid/memory.h"

static void set_all(cell *c)
{
    for (int j = 0; j < c->n_weights; j++) closed_form(&c->weight[j], j);
}

static void golden(void **state)
{
    (void)state;
    const reference r = {"units=4 backbone_units=5 backbone_layers=2",
                         6,
                         2,
                         3,
                         4,
                         golden_ts,
                         golden_y,
                         golden_dx,
                         1e-6,
                         3e-6};
    cell c;
    cell_open(&c, FILE_NAME, r.options, r.B, (int64_t[CELL_PORTS]){r.S, 1}, 1);
    assert_int_equal(c.n_weights, 12);
    assert_string_equal(c.weight[2].name, "backbone.2.weight");
    assert_string_equal(c.weight[11].name, "time_b.bias");
    reference_gradient g[12];
    for (int j = 0; j < 12; j++)
        g[j] = (reference_gradient){c.weight[j].name, golden_gradient[j]};
    set_all(&c);
    compare(&c, &r, g, 12);
    cell_close(&c);
}

static void golden_modes(void **state)
{
    (void)state;
    const reference r[] = {{"units=4 backbone_units=5 backbone_layers=2 mode=pure", 6,
                            2, 3, 4, golden_ts, pure_y, pure_dx, 1e-6, 3e-6},
                           {"units=4 backbone_units=5 backbone_layers=2 mode=no_gate",
                            6, 2, 3, 4, golden_ts, no_gate_y, no_gate_dx, 1e-6, 3e-6}};
    const reference_gradient *const g[] = {pure_gradient, no_gate_gradient};
    const int n[] = {8, 12};
    for (int i = 0; i < 2; i++) {
        cell c;
        cell_open(&c, FILE_NAME, r[i].options, 2, (int64_t[CELL_PORTS]){3, 1}, 1);
        assert_int_equal(c.n_weights, n[i]);
        set_all(&c);
        compare(&c, &r[i], g[i], n[i]);
        cell_close(&c);
    }
}

/* The LSTM of mixed memory, its state being its own output. */
static void golden_lstm(void **state)
{
    (void)state;
    enum { T = 4, S = 3, H = 4, N = 4 * H };
    float wx[N * S], bx[N], wr[N * H], y[2 * T * H], dx[2 * T * S];
    float dwx[N * S] = {0}, dbx[N] = {0}, dwr[N * H] = {0};
    for (int k = 0; k < N * S; k++) wx[k] = (float)(0.4 * sin(0.7 * k));
    for (int k = 0; k < N; k++) bx[k] = (float)(0.4 * sin(0.7 * k + 0.3));
    for (int k = 0; k < N * H; k++) wr[k] = (float)(0.4 * sin(0.7 * k + 0.6));
    for (int b = 0; b < 2; b++) {
        float z[T][N], c[T + 1][H] = {{0}}, h[T + 1][H] = {{0}}, x[T][S];
        for (int t = 0; t < T; t++) {
            for (int i = 0; i < S; i++)
                x[t][i] = (float)cos(0.9 * ((b * T + t) * S + i));
            for (int n = 0; n < N; n++) {
                z[t][n] = bx[n];
                for (int i = 0; i < S; i++) z[t][n] += wx[n * S + i] * x[t][i];
                for (int i = 0; i < H; i++) z[t][n] += wr[n * H + i] * h[t][i];
            }
            memory_step(H, z[t], c[t], c[t + 1], h[t + 1]);
            memcpy(y + (b * T + t) * H, h[t + 1], sizeof h[t]);
        }
        float dh[H] = {0}, dc[H] = {0}, dz[N];
        for (int t = T - 1; t >= 0; t--) {
            for (int i = 0; i < H; i++)
                dh[i] += (float)cos(0.9 * ((b * T + t) * H + i) + 0.5);
            memory_step_back(H, z[t], c[t], c[t + 1], dh, dc, dz);
            memset(dh, 0, sizeof dh);
            float *d = dx + (b * T + t) * S;
            memset(d, 0, S * sizeof *d);
            for (int n = 0; n < N; n++) {
                dbx[n] += dz[n];
                for (int i = 0; i < S; i++) dwx[n * S + i] += dz[n] * x[t][i];
                for (int i = 0; i < S; i++) d[i] += dz[n] * wx[n * S + i];
                for (int i = 0; i < H; i++) dwr[n * H + i] += dz[n] * h[t][i];
                for (int i = 0; i < H; i++) dh[i] += dz[n] * wr[n * H + i];
            }
        }
    }
    const double of_y = far_off("out", y, lstm_y, 2 * T * H, 1e-6);
    double worst = far_off("in", dx, lstm_dx, 2 * T * S, 3e-6);
    worst = fmax(worst,
                 far_off("input_map.weight", dwx, lstm_input_map_weight, N * S, 3e-6));
    worst = fmax(worst, far_off("input_map.bias", dbx, lstm_input_map_bias, N, 3e-6));
    worst = fmax(worst, far_off("recurrent_map.weight", dwr, lstm_recurrent_map_weight,
                                N * H, 3e-6));
    print_message("# mixed memory: outputs differ by %.1e, gradients by %.1e\n", of_y,
                  worst);
}

/* One step of mixed memory is the LSTM and then the cell from its output. */
static void mixed_is_lstm_then_cell(void **state)
{
    (void)state;
    const char *options = "units=6 backbone_units=7";
    data a, b;
    prepare(&a, "units=6 backbone_units=7 mixed_memory=true", 1, 1, 1 << DT);
    prepare(&b, options, 1, 1, 1 << DT);
    for (int i = 0; i < b.c.n_weights; i++) {
        cell_weight *w = weight_named(&a.c, b.c.weight[i].name);
        memcpy(w->t->data, b.c.weight[i].t->data, (size_t)w->t->count * 4);
    }
    const float *wx = weight_named(&a.c, "lstm.input_map.weight")->t->data;
    const float *bx = weight_named(&a.c, "lstm.input_map.bias")->t->data;
    const float *wr = weight_named(&a.c, "lstm.recurrent_map.weight")->t->data;
    float z[24], c[6];
    for (int n = 0; n < 24; n++) {
        z[n] = bx[n];
        for (int i = 0; i < 5; i++) z[n] += wx[n * 5 + i] * a.x[i];
        for (int i = 0; i < 6; i++) z[n] += wr[n * 6 + i] * a.c.state[0].data[i];
    }
    memory_step(6, z, a.c.state[1].data, c, b.c.state[0].data);
    pass(&a, 1, 0);
    pass(&b, 1, 0);
    near("out", a.y, b.y, 6, 2e-6);
    near("c", a.h + 6, c, 6, 2e-6);
    cell_close(&a.c);
    cell_close(&b.c);
}

/* recurrent_map starts with orthonormal columns. */
static void lstm_init(void **state)
{
    (void)state;
    data d;
    prepare(&d, "units=6 mixed_memory=true", 1, 1, 0);
    const float *w = weight_named(&d.c, "lstm.recurrent_map.weight")->t->data;
    for (int i = 0; i < 6; i++)
        for (int j = 0; j < 6; j++) {
            double dot = 0.0;
            for (int r = 0; r < 24; r++)
                dot += (double)w[r * 6 + i] * (double)w[r * 6 + j];
            assert_true(fabs(dot - (i == j)) < 1e-5);
        }
    cell_close(&d.c);
}

static void gradients(void **state)
{
    (void)state;
    const int all = 1 << DT | 1 << TAU | 1 << MASK;
    gradients_of("units=6 backbone_units=7", all);
    gradients_of("units=6 backbone_units=7", 0);
    gradients_of("units=6 backbone_units=7 head_activation=lecun_tanh", 1 << TAU);
    gradients_of("units=6 backbone_layers=0", all);
    gradients_of("units=6 backbone_layers=0", 0);
    gradients_of("units=6 backbone_units=7 backbone_layers=3 activation=silu", 1 << DT);
    gradients_of("units=6 backbone_units=7 backbone_layers=2 activation=gelu",
                 1 << MASK);
    gradients_of("units=6 backbone_units=7 activation=tanh", all);
    gradients_of("units=6 backbone_units=7 mode=no_gate", all);
    gradients_of("units=6 backbone_layers=0 mode=no_gate", 0);
    gradients_of("units=6 backbone_units=7 mode=pure", all);
    gradients_of("units=6 backbone_layers=0 mode=pure", 1 << TAU);
    gradients_of("units=6 backbone_units=7 mode=pure", 0);
    gradients_of("units=6 backbone_units=7 mixed_memory=true", all);
    gradients_of("units=6 backbone_layers=0 mixed_memory=true mode=pure", 0);
}

/* relu has corners, so differences are taken where no sum lies near one. */
static void gradient_relu(void **state)
{
    (void)state;
    data d;
    prepare(&d, "units=6 backbone_units=8 activation=relu", 5, 3, 1 << DT);
    float *bias = d.c.weight[1].t->data;
    for (int i = 0; i < 8; i++) bias[i] = i % 2 ? 6.0f : -6.0f;
    pass(&d, d.T, 1);
    float *dw = copy(&d, d.c.weight[0].grad, d.c.weight[0].t->count);
    float *dx = copy(&d, d.dx, d.T * d.B * d.S);
    differ(&d, "in", d.x, dx, d.T * d.B * d.S);
    differ(&d, "backbone.0.weight", d.c.weight[0].t->data, dw, d.c.weight[0].t->count);
    for (int64_t k = 0; k < d.S + d.H; k++) assert_float_equal(dw[k], 0.0f, 0.0f);
    cell_close(&d.c);
}

static void chunks(void **state)
{
    (void)state;
    const int all = 1 << DT | 1 << TAU | 1 << MASK;
    for (int exact = 0; exact < 2; exact++) {
        chunks_of("units=6 backbone_units=37", all, exact ? MLS_EXACT : 0);
        chunks_of("units=6 backbone_units=7 backbone_layers=2", 0,
                  exact ? MLS_EXACT : 0);
        chunks_of("units=6 backbone_layers=0", 1 << DT, exact ? MLS_EXACT : 0);
        chunks_of("units=6 backbone_units=7 mode=pure", all, exact ? MLS_EXACT : 0);
        chunks_of("units=6 backbone_units=7 mixed_memory=true", all,
                  exact ? MLS_EXACT : 0);
    }
}

/* Threads take samples of their own: they change no bit. */
static void threads_of(const char *options, int with)
{
    data d;
    prepare(&d, options, 700, 7, with);
    pass(&d, d.T, 1);
    const int64_t ny = d.T * d.B * d.H, nx = d.T * d.B * d.S;
    float *y = copy(&d, d.y, ny), *dx = copy(&d, d.dx, nx), *dw[CELL_WEIGHTS];
    for (int i = 0; i < d.c.n_weights; i++)
        dw[i] = copy(&d, d.c.weight[i].grad, d.c.weight[i].t->count);
    for (int threads = 2; threads <= 3; threads++) {
        mls_parfor_threads(threads);
        pass(&d, d.T, 1);
        mls_parfor_threads(1);
        assert_memory_equal(d.y, y, (size_t)ny * sizeof *y);
        assert_memory_equal(d.dx, dx, (size_t)nx * sizeof *dx);
        for (int i = 0; i < d.c.n_weights; i++)
            assert_memory_equal(d.c.weight[i].grad, dw[i],
                                (size_t)d.c.weight[i].t->count * sizeof *y);
    }
    cell_close(&d.c);
}

static void threads(void **state)
{
    (void)state;
    threads_of("units=6 backbone_units=37", 1 << DT | 1 << MASK);
    threads_of("units=6 backbone_units=37 backbone_layers=2", 0);
    threads_of("units=6 backbone_units=37 mode=pure", 1 << TAU);
    threads_of("units=6 backbone_units=37 mixed_memory=true", 1 << MASK);
}

/* Samples of unequal lengths in one padded batch are what each is alone. */
static void ragged(void **state)
{
    (void)state;
    enum { T = 7 };
    const int64_t length[] = {7, 4, 1};
    data d;
    prepare(&d, "units=6 backbone_units=7", T, 3, 1 << DT | 1 << MASK);
    const int64_t B = d.B, H = d.H, S = d.S;
    for (int64_t t = 0; t < T; t++)
        for (int64_t b = 0; b < B; b++) d.mask[t * B + b] = t < length[b] ? 1.0f : 0.0f;
    pass(&d, T, 1);
    float *wsum[CELL_WEIGHTS];
    for (int i = 0; i < d.c.n_weights; i++)
        wsum[i] = cell_noise(&d.c, d.c.weight[i].t->count, 1, 0, 0);
    for (int64_t b = 0; b < B; b++) {
        data o;
        prepare(&o, "units=6 backbone_units=7", length[b], 1, 1 << DT);
        for (int64_t t = 0; t < length[b]; t++) {
            memcpy(o.x + t * S, d.x + (t * B + b) * S, (size_t)S * 4);
            memcpy(o.wy + t * H, d.wy + (t * B + b) * H, (size_t)H * 4);
            o.dt[t] = d.dt[t * B + b];
        }
        memcpy(o.c.state[0].data, d.c.state[0].data + b * H, (size_t)H * 4);
        memcpy(o.wh, d.wh + b * H, (size_t)H * 4);
        for (int64_t t = length[b]; t < T; t++) /* padding repeats h in the loss */
            for (int64_t j = 0; j < H; j++) o.wh[j] += d.wy[(t * B + b) * H + j];
        pass(&o, o.T, 1);
        near("h of a padded sample", d.h + b * H, o.h, H, 1e-6);
        for (int64_t t = 0; t < T; t++)
            near("out of a padded sample", d.y + (t * B + b) * H,
                 t < length[b] ? o.y + t * H : d.h + b * H, H, 1e-6);
        for (int64_t t = 0; t < length[b]; t++)
            near("d in of a padded sample", d.dx + (t * B + b) * S, o.dx + t * S, S,
                 2e-6);
        for (int i = 0; i < d.c.n_weights; i++)
            for (int64_t k = 0; k < d.c.weight[i].t->count; k++)
                wsum[i][k] += o.c.weight[i].grad[k];
        cell_close(&o.c);
    }
    for (int i = 0; i < d.c.n_weights; i++)
        near(d.c.weight[i].name, d.c.weight[i].grad, wsum[i], d.c.weight[i].t->count,
             5e-6);
    cell_close(&d.c);
}

/* A step of length 1 is no dt; a modulation that is still zero is none, to the bit. */
static void neutral_ports(void **state)
{
    (void)state;
    data a, b, e;
    prepare(&a, "units=6", 6, 3, 0);
    prepare(&b, "units=6", 6, 3, 1 << DT);
    prepare(&e, "units=6", 6, 3, 1 << DT | 1 << TAU);
    for (int64_t i = 0; i < 18; i++) b.dt[i] = e.dt[i] = 1.0f;
    memset(e.c.weight[e.c.n_weights - 1].t->data, 0, (size_t)(6 * 3) * 4);
    assert_int_equal(e.c.n_weights, b.c.n_weights + 1);
    pass(&a, 6, 0);
    pass(&b, 6, 0);
    pass(&e, 6, 0);
    near("dt of 1", b.y, a.y, 6 * 3 * 6, 1e-6);
    assert_memory_equal(e.y, b.y, 6 * 3 * 6 * 4);
    cell_close(&a.c);
    cell_close(&b.c);
    cell_close(&e.c);
}

/* Every kernel family and every number of rows gives the same values. */
static void families(void **state)
{
    (void)state;
    for (int64_t B = 1; B <= 14; B += B < 4 ? 1 : 5) {
        data d;
        prepare(&d, "units=6 backbone_units=70", 6, B, 1 << DT);
        const int best = mls_plug_table.isa;
        pass(&d, 6, 1);
        float *y = copy(&d, d.y, 6 * B * 6),
              *w = copy(&d, d.c.weight[0].grad, d.c.weight[0].t->count);
        for (int isa = MLS_ISA_PLAIN; isa < best; isa++) {
            mls_plug_table.isa = isa;
            pass(&d, 6, 1);
            near("out of another family", d.y, y, 6 * B * 6, 3e-6);
            near("weights of another family", d.c.weight[0].grad, w,
                 d.c.weight[0].t->count, 1e-5);
        }
        mls_plug_table.isa = best;
        cell_close(&d.c);
    }
}

static void finite_at_init(void **state)
{
    (void)state;
    for (uint64_t seed = 0; seed < 100; seed++) {
        cell c;
        cell_open(&c, FILE_NAME, "units=16 backbone_units=32", 2,
                  (int64_t[CELL_PORTS]){8, 1}, seed);
        float *x = cell_noise(&c, 20 * 2 * 8, seed, -100.0, 100.0),
              *dt = cell_noise(&c, 40, seed, 0.0, 1e4);
        cell_begin(&c, 0);
        const mls_t in[] = {cell_input(&c, x, NULL, 20, 8),
                            cell_input(&c, dt, NULL, 20, 1), NULL, NULL};
        const mls_t y = cell_forward(&c, in);
        for (int64_t i = 0; i < y->count; i++)
            assert_true(fabsf(y->data[i]) <= 1.0001f);
        const double bound = 1.0 / sqrt(24.0); /* torch: 1 / sqrt(fan in) */
        for (int i = 0; i < 32; i++)
            assert_true(fabs((double)c.weight[1].t->data[i]) <= bound);
        cell_close(&c);
    }
}

int main(void)
{
    cmocka_set_message_output(CM_OUTPUT_TAP);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(golden),        cmocka_unit_test(golden_modes),
        cmocka_unit_test(golden_lstm),   cmocka_unit_test(mixed_is_lstm_then_cell),
        cmocka_unit_test(lstm_init),     cmocka_unit_test(gradients),
        cmocka_unit_test(gradient_relu), cmocka_unit_test(chunks),
        cmocka_unit_test(threads),
        cmocka_unit_test(ragged),        cmocka_unit_test(neutral_ports),
        cmocka_unit_test(families),      cmocka_unit_test(finite_at_init),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
