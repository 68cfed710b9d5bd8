/* cfc: the reference's figures, gradients by differences, chunks, masks, time steps. */
#define _GNU_SOURCE
#include "cell.h"
#include "cfc-golden.h"
#include <mls/kernel.h>

enum { X, DT, TAU, MASK };
#define FILE_NAME "liquid/cfc.so"

static void near(const char *what, const float *got, const float *want, int64_t n,
                 double tolerance)
{
    for (int64_t i = 0; i < n; i++)
        if (!(fabs((double)got[i] - (double)want[i]) <=
              tolerance * (1.0 + fabs((double)want[i]))))
            fail_msg("%s[%lld]: %.9g, expected %.9g", what, (long long)i,
                     (double)got[i], (double)want[i]);
}

static void golden(void **state)
{
    (void)state;
    enum { T = 6, B = 2, S = 3, H = 4 };
    cell c;
    cell_open(&c, FILE_NAME, "units=4 backbone_units=5 backbone_layers=2", B,
              (int64_t[CELL_PORTS]){S, 1}, 1);
    assert_int_equal(c.n_weights, 12);
    assert_string_equal(c.weight[2].name, "backbone.2.weight");
    assert_string_equal(c.weight[11].name, "time_b.bias");
    for (int j = 0; j < c.n_weights; j++)
        for (int64_t k = 0; k < c.weight[j].t->count; k++)
            c.weight[j].t->data[k] = (float)(0.4 * sin(0.7 * (double)k + 0.3 * j));
    float x[T * B * S], dx[T * B * S] = {0}, dt[T * B];
    for (int t = 0; t < T; t++)
        for (int b = 0; b < B; b++) {
            dt[t * B + b] = (float)golden_ts[b * T + t];
            for (int i = 0; i < S; i++)
                x[(t * B + b) * S + i] = (float)cos(0.9 * ((b * T + t) * S + i));
        }
    cell_begin(&c, MLS_TRAIN);
    const mls_t in[] = {cell_input(&c, x, dx, T, S), cell_input(&c, dt, NULL, T, 1),
                        NULL, NULL};
    const mls_t y = cell_forward(&c, in);
    float *g = mls_tape_grad(&c.c, y);
    for (int t = 0; t < T; t++)
        for (int b = 0; b < B; b++)
            for (int i = 0; i < H; i++) {
                const int k = (b * T + t) * H + i, at = (t * B + b) * H + i;
                assert_float_equal(y->data[at], (float)golden_y[k], 1e-6f);
                g[at] = (float)cos(0.9 * k + 0.5);
            }
    mls_tape_backward(&c.c);
    for (int t = 0; t < T; t++)
        for (int b = 0; b < B; b++)
            for (int i = 0; i < S; i++)
                assert_float_equal(dx[(t * B + b) * S + i],
                                   (float)golden_dx[(b * T + t) * S + i], 1e-6f);
    for (int j = 0; j < c.n_weights; j++)
        for (int64_t k = 0; k < c.weight[j].t->count; k++)
            assert_float_equal(c.weight[j].grad[k], (float)golden_gradient[j][k],
                               3e-6f * (1.0f + (float)fabs(golden_gradient[j][k])));
    cell_close(&c);
}

/* ---- a pass over some steps, whole or cut */

typedef struct data {
    cell c;
    int64_t T, B, S, H, M;
    float *x, *dt, *m, *mask, *dx, *ddt, *dm, *wy, *wh, *y, *h;
    unsigned flags;
} data;

static void prepare(data *d, const char *options, int64_t T, int64_t B, int with)
{
    const int64_t S = 5, H = 6, M = 3,
                  width[CELL_PORTS] = {S, with & 1 << DT ? 1 : 0,
                                       with & 1 << TAU ? M : 0,
                                       with & 1 << MASK ? 1 : 0};
    *d = (data){.T = T, .B = B, .S = S, .H = H, .M = M, .flags = MLS_TRAIN};
    cell_open(&d->c, FILE_NAME, options, B, width, 7);
    cell *c = &d->c;
    d->x = cell_noise(c, T * B * S, 1, -1.5, 1.5);
    d->dx = cell_noise(c, T * B * S, 1, 0, 0);
    if (width[DT]) d->dt = cell_noise(c, T * B, 2, 0.3, 2.0);
    d->ddt = cell_noise(c, T * B, 2, 0, 0);
    if (width[TAU]) d->m = cell_noise(c, T * B * M, 3, -1, 1);
    d->dm = cell_noise(c, T * B * M, 3, 0, 0);
    if (width[MASK]) d->mask = cell_noise(c, T * B, 4, 1, 1);
    for (int64_t i = 0; d->mask && i < T * B; i += 3) d->mask[i] = 0.0f;
    d->wy = cell_noise(c, T * B * H, 5, -1, 1);
    d->wh = cell_noise(c, B * H, 6, -1, 1);
    d->y = cell_noise(c, T * B * H, 7, 0, 0);
    d->h = cell_noise(c, B * H, 8, 0, 0);
    for (int64_t i = 0; i < B * H; i++)
        c->state[0].data[i] = 0.5f * (float)sin((double)i);
    for (int i = 0; i < c->n_weights; i++)
        if (!strcmp(c->weight[i].name, "mod_tau.weight"))
            for (int64_t k = 0; k < c->weight[i].t->count; k++)
                c->weight[i].t->data[k] = (float)cos((double)k);
}

/* Runs [0, cut) and [cut, T); y, h and the loss from them, gradients if asked for. */
static double pass(data *d, int64_t cut, int backward)
{
    cell *c = &d->c;
    const int64_t T = d->T, B = d->B, S = d->S, H = d->H, M = d->M;
    cell_begin(c, d->flags);
    memset(d->dx, 0, (size_t)(T * B * S) * 4);
    memset(d->ddt, 0, (size_t)(T * B) * 4);
    memset(d->dm, 0, (size_t)(T * B * M) * 4);
    const int64_t from[] = {0, cut}, n[] = {cut, T - cut};
    mls_t y[2] = {NULL, NULL};
    for (int i = 0; i < 2; i++) {
        if (!n[i]) continue;
        const int64_t r = from[i] * B;
        const mls_t in[] = {
            cell_input(c, d->x + r * S, d->dx + r * S, n[i], S),
            cell_input(c, d->dt ? d->dt + r : NULL, d->ddt + r, n[i], 1),
            cell_input(c, d->m ? d->m + r * M : NULL, d->dm + r * M, n[i], M),
            cell_input(c, d->mask ? d->mask + r : NULL, NULL, n[i], 1)};
        y[i] = cell_forward(c, in);
        memcpy(d->y + r * H, y[i]->data, (size_t)(n[i] * B * H) * 4);
    }
    const mls_t h = c->state[0].now;
    memcpy(d->h, h->data, (size_t)(B * H) * 4);
    double loss = 0.0;
    for (int64_t i = 0; i < T * B * H; i++) loss += (double)d->y[i] * (double)d->wy[i];
    for (int64_t i = 0; i < B * H; i++) loss += (double)d->h[i] * (double)d->wh[i];
    if (!backward) return loss;
    for (int i = 0; i < 2; i++)
        if (y[i])
            memcpy(mls_tape_grad(&c->c, y[i]), d->wy + from[i] * B * H,
                   (size_t)(n[i] * B * H) * 4);
    memcpy(mls_tape_grad(&c->c, h), d->wh, (size_t)(B * H) * 4);
    mls_tape_backward(&c->c);
    if (c->error.set) fail_msg("%s", c->error.text);
    return loss;
}

static float *copy(data *d, const float *from, int64_t n)
{
    float *v = mls_arena_alloc(&d->c.arena, (size_t)n * sizeof *v + 4);
    return memcpy(v, from, (size_t)n * sizeof *v);
}

static void differ(data *d, const char *name, float *x, const float *grad, int64_t n)
{
    const float h = 0.0078125f;
    double largest = 0.05;
    for (int64_t i = 0; i < n; i++) largest = fmax(largest, fabs((double)grad[i]));
    for (int64_t i = 0; i < n; i += 1 + n / 24) {
        const float old = x[i];
        double f[4];
        for (int j = 0; j < 4; j++) {
            x[i] = old + h * (float)(j < 2 ? j - 2 : j - 1);
            f[j] = pass(d, d->T, 0);
        }
        x[i] = old;
        const double want = (8.0 * (f[2] - f[1]) - (f[3] - f[0])) / (12.0 * (double)h);
        if (!(fabs(want - (double)grad[i]) <= 1e-3 * largest))
            fail_msg("gradient of %s[%lld]: %g, by differences %g", name, (long long)i,
                     (double)grad[i], want);
    }
}

static void gradients_of(const char *options, int with)
{
    data d;
    prepare(&d, options, 5, 3, with);
    pass(&d, d.T, 1);
    cell *c = &d.c;
    float *dw[CELL_WEIGHTS], *dx = copy(&d, d.dx, d.T * d.B * d.S),
                             *ddt = copy(&d, d.ddt, d.T * d.B);
    float *dm = copy(&d, d.dm, d.T * d.B * d.M),
          *dh = copy(&d, c->state[0].grad, d.B * d.H);
    for (int i = 0; i < c->n_weights; i++) {
        dw[i] = copy(&d, c->weight[i].grad, c->weight[i].t->count);
        double sum = 0.0;
        for (int64_t k = 0; k < c->weight[i].t->count; k++)
            sum += fabs((double)dw[i][k]);
        if (!(sum > 0.0))
            fail_msg("%s: no gradient reaches %s", options, c->weight[i].name);
    }
    d.flags = 0;
    differ(&d, "in", d.x, dx, d.T * d.B * d.S);
    differ(&d, "h", c->state[0].data, dh, d.B * d.H);
    if (d.dt) differ(&d, "dt", d.dt, ddt, d.T * d.B);
    if (d.m) differ(&d, "mod_tau", d.m, dm, d.T * d.B * d.M);
    for (int i = 0; i < c->n_weights; i++)
        differ(&d, c->weight[i].name, c->weight[i].t->data, dw[i],
               c->weight[i].t->count);
    cell_close(c);
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

/* Every split gives the same outputs and states: the same bits in exact mode. */
static void chunks_of(const char *options, int with, unsigned exact)
{
    data d;
    prepare(&d, options, 9, 3, with);
    d.flags |= exact;
    pass(&d, d.T, 1);
    const int64_t ny = d.T * d.B * d.H, nh = d.B * d.H, nx = d.T * d.B * d.S;
    float *y = copy(&d, d.y, ny), *h = copy(&d, d.h, nh), *dx = copy(&d, d.dx, nx);
    float *dh = copy(&d, d.c.state[0].grad, nh), *dw[CELL_WEIGHTS];
    for (int i = 0; i < d.c.n_weights; i++)
        dw[i] = copy(&d, d.c.weight[i].grad, d.c.weight[i].t->count);
    for (int64_t cut = 1; cut < d.T; cut++) {
        pass(&d, cut, 1);
        if (exact) {
            assert_memory_equal(d.y, y, (size_t)ny * 4);
            assert_memory_equal(d.h, h, (size_t)nh * 4);
        }
        near("out", d.y, y, ny, 2e-6);
        near("h", d.h, h, nh, 2e-6);
        near("d in", d.dx, dx, nx, 5e-6);
        near("d h", d.c.state[0].grad, dh, nh, 5e-6);
        for (int i = 0; i < d.c.n_weights; i++)
            near(d.c.weight[i].name, d.c.weight[i].grad, dw[i], d.c.weight[i].t->count,
                 1e-5);
    }
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
    }
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
        cmocka_unit_test(golden),        cmocka_unit_test(gradients),
        cmocka_unit_test(gradient_relu), cmocka_unit_test(chunks),
        cmocka_unit_test(ragged),        cmocka_unit_test(neutral_ports),
        cmocka_unit_test(families),      cmocka_unit_test(finite_at_init),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
