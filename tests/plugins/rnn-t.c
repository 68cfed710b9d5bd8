/* gru and lstm: PyTorch's formulas written out in double, a reference's figures of an
 * LSTM, gradients by differences, chunks and masks, with and without mod_tau. */
#define _GNU_SOURCE
static const char *file_name = "liquid/gru.so";
#define FILE_NAME file_name
#include "recurrent.h"

#include "cfc-modes-golden.h"

static double sigmoid(double x) { return 1.0 / (1.0 + exp(-x)); }

typedef struct weights {
    const float *wi, *wh, *bi, *bh;
} weights;

static weights weights_of(cell *c)
{
    return (weights){weight_named(c, "weight_ih_l0")->t->data,
                     weight_named(c, "weight_hh_l0")->t->data,
                     weight_named(c, "bias_ih_l0")->t->data,
                     weight_named(c, "bias_hh_l0")->t->data};
}

enum { S = 5, H = 6 };

static double of_x(const weights *w, int row, const float *x)
{
    double sum = (double)w->bi[row];
    for (int i = 0; i < S; i++) sum += (double)w->wi[row * S + i] * (double)x[i];
    return sum;
}

static double of_h(const weights *w, int row, const double *h)
{
    double sum = (double)w->bh[row];
    for (int i = 0; i < H; i++) sum += (double)w->wh[row * H + i] * h[i];
    return sum;
}

static void gru_step(const weights *w, const float *x, const double *tau, double *h,
                     double *c)
{
    double next[H];
    (void)c;
    for (int j = 0; j < H; j++) {
        const double r = sigmoid(of_x(w, j, x) + of_h(w, j, h));
        const double z = sigmoid(of_x(w, H + j, x) + of_h(w, H + j, h));
        const double n = tanh(of_x(w, 2 * H + j, x) + r * of_h(w, 2 * H + j, h));
        next[j] = h[j] + ((1.0 - z) * n + z * h[j] - h[j]) / tau[j];
    }
    memcpy(h, next, sizeof next);
}

static void lstm_step(const weights *w, const float *x, const double *tau, double *h,
                      double *c)
{
    double next[H];
    for (int j = 0; j < H; j++) {
        double s[4];
        for (int g = 0; g < 4; g++)
            s[g] = of_x(w, g * H + j, x) + of_h(w, g * H + j, h);
        c[j] += (sigmoid(s[1]) * c[j] + sigmoid(s[0]) * tanh(s[2]) - c[j]) / tau[j];
        next[j] = sigmoid(s[3]) * tanh(c[j]);
    }
    memcpy(h, next, sizeof next);
}

typedef void step_of(const weights *, const float *, const double *, double *, double *);

/* tau[H] of a row: 0.5 + sigmoid(W m), or 1. */
static void taus(const data *d, int64_t row, double *tau)
{
    for (int j = 0; j < H; j++) {
        double sum = 0.0;
        const float *w = d->m ? weight_named((cell *)&d->c, "mod_tau.weight")->t->data : NULL;
        for (int i = 0; w && i < d->M; i++)
            sum += (double)w[j * d->M + i] * (double)d->m[row * d->M + i];
        tau[j] = 0.5 + sigmoid(sum);
    }
}

static void formula(const char *file, int with, step_of *step)
{
    enum { T = 7, B = 3 };
    data d;
    file_name = file;
    prepare(&d, "units=6", T, B, with);
    const weights w = weights_of(&d.c);
    pass(&d, T, 0);
    double worst = 0.0;
    for (int b = 0; b < B; b++) {
        double h[H], c[H] = {0}, want[H];
        for (int j = 0; j < H; j++) {
            h[j] = (double)d.c.state[0].data[b * H + j];
            if (d.c.n_states > 1) c[j] = (double)d.c.state[1].data[b * H + j];
        }
        for (int t = 0; t < T; t++) {
            double tau[H];
            taus(&d, t * B + b, tau);
            if (d.mask[t * B + b] != 0.0f) step(&w, d.x + (t * B + b) * S, tau, h, c);
            memcpy(want, h, sizeof h);
            worst = fmax(worst, far_off("out", d.y + (t * B + b) * H, want, H, 1e-6));
        }
    }
    print_message("# %s: outputs differ by %.1e\n", file, worst);
    cell_close(&d.c);
}

static void formulas(void **state)
{
    (void)state;
    for (int tau = 0; tau < 2; tau++) {
        formula("liquid/gru.so", 1 << MASK | tau << TAU, gru_step);
        formula("liquid/lstm.so", 1 << MASK | tau << TAU, lstm_step);
    }
}

/* ncps' LSTM has its gates in the order g i f o and adds 1 to f. */
static void golden(void **state)
{
    (void)state;
    enum { N = 4, IN = 3 };
    static const int from[] = {1, 2, 0, 3};
    const reference r = {"units=4", 4, 2, IN, N, NULL, lstm_y, lstm_dx, 1e-6, 3e-6};
    cell c, plain;
    file_name = "liquid/lstm.so";
    cell_open(&c, FILE_NAME, r.options, 2, (int64_t[CELL_PORTS]){IN}, 1);
    cell_open(&plain, FILE_NAME, r.options, 2, (int64_t[CELL_PORTS]){IN}, 1);
    double dwi[4 * N * IN], dwh[4 * N * N], db[4 * N];
    const char *const name[] = {"weight_ih_l0", "bias_ih_l0", "weight_hh_l0"};
    const int cols[] = {IN, 1, N};
    const double *const want[] = {lstm_input_map_weight, lstm_input_map_bias,
                                  lstm_recurrent_map_weight};
    double *const to[] = {dwi, db, dwh};
    reference_gradient g[3];
    for (int j = 0; j < 3; j++) {
        cell_weight *w = weight_named(&c, name[j]), *v = weight_named(&plain, name[j]);
        closed_form(v, j);
        const int n = N * cols[j];
        for (int q = 0; q < 4; q++) {
            memcpy(w->t->data + q * n, v->t->data + from[q] * n, (size_t)n * 4);
            memcpy(to[j] + q * n, want[j] + from[q] * n, (size_t)n * sizeof(double));
        }
        g[j] = (reference_gradient){name[j], to[j]};
    }
    float *bh = weight_named(&c, "bias_hh_l0")->t->data;
    for (int k = 0; k < 4 * N; k++) bh[k] = k / N == 1 ? 1.0f : 0.0f;
    compare(&c, &r, g, 3);
    cell_close(&c);
    cell_close(&plain);
}

static void gradients(void **state)
{
    (void)state;
    static const char *const file[] = {"liquid/gru.so", "liquid/lstm.so"};
    for (int i = 0; i < 2; i++) {
        file_name = file[i];
        gradients_of("units=6", 0);
        gradients_of("units=6", 1 << MASK);
        gradients_of("units=6", 1 << TAU | 1 << MASK);
    }
}

static void chunks(void **state)
{
    (void)state;
    static const char *const file[] = {"liquid/gru.so", "liquid/lstm.so"};
    for (int i = 0; i < 8; i++) {
        file_name = file[i / 4];
        chunks_of("units=6", 1 << MASK | (i & 2 ? 1 << TAU : 0), i % 2 ? MLS_EXACT : 0);
    }
}

int main(void)
{
    cmocka_set_message_output(CM_OUTPUT_TAP);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(formulas),
        cmocka_unit_test(golden),
        cmocka_unit_test(gradients),
        cmocka_unit_test(chunks),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
