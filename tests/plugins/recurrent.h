/* recurrent.h - a recurrent cell (cell.h) over a sequence: the reference's figures,
 * gradients of inputs, initial states and weights by differences, chunks. */
#ifndef TESTS_PLUGINS_RECURRENT_H
#define TESTS_PLUGINS_RECURRENT_H

#include "cell.h"
#include <mls/kernel.h>

enum { X, DT, TAU, MASK, PORTS };
static const char *const port_name[] = {"in", "dt", "mod_tau", "mask"};

static void near(const char *what, const float *got, const float *want, int64_t n,
                 double tolerance)
{
    for (int64_t i = 0; i < n; i++)
        if (!(fabs((double)got[i] - (double)want[i]) <=
              tolerance * (1.0 + fabs((double)want[i]))))
            fail_msg("%s[%lld]: %.9g, expected %.9g", what, (long long)i,
                     (double)got[i], (double)want[i]);
}

/* Sets in[] by the names of ports; a port that the component lacks may not be asked
 * for. */
static void ports_of(const cell *c, mls_t *in, const mls_t *of)
{
    for (int i = 0; i < CELL_PORTS; i++) in[i] = NULL;
    for (int i = 0; i < PORTS; i++)
        if (of[i]) in[cell_port(c, port_name[i])] = of[i];
}

static void widths_of(const char *file, int64_t *width, const int64_t *of)
{
    cell c = {0};
    mls_error e = {0};
    char path[4096];
    const char *root = getenv("MLS_PLUGIN_PATH");
    snprintf(path, sizeof path, "%s/%s", root ? root : "plugins", file);
    mls_plug_init();
    const mls_plugin_info *info = mls_plug_open(path, &e);
    if (!info) fail_msg("%s", e.text);
    c.component = info->components[0];
    for (int i = 0; i < PORTS; i++)
        if (of[i]) width[cell_port(&c, port_name[i])] = of[i];
}

/* ---- Reference figures, arrays as [batch][time][feature]
 * ------------------------------ */

typedef struct reference {
    const char *options;
    int64_t T, B, S, H;
    const double *dt, *y, *dx; /* dt may be NULL */
    double outputs, gradients; /* tolerances, of the largest value */
} reference;

typedef struct reference_gradient {
    const char *name;
    const double *gradient;
} reference_gradient;

static void closed_form(cell_weight *w, int j)
{
    for (int64_t k = 0; k < w->t->count; k++)
        w->t->data[k] = (float)(0.4 * sin(0.7 * (double)k + 0.3 * j));
}

static cell_weight *weight_named(cell *c, const char *name)
{
    for (int i = 0; i < c->n_weights; i++)
        if (!strcmp(c->weight[i].name, name)) return &c->weight[i];
    fail_msg("no weight %s", name);
    return NULL;
}

/* Largest |got - want| over the largest |want|; fails above tolerance. */
static double far_off(const char *what, const float *got, const double *want, int64_t n,
                      double tolerance)
{
    double worst = 0.0, scale = 0.0;
    for (int64_t i = 0; i < n; i++) scale = fmax(scale, fabs(want[i]));
    for (int64_t i = 0; i < n; i++) {
        const double off = fabs((double)got[i] - want[i]) / scale;
        if (!(off <= tolerance))
            fail_msg("%s[%lld]: %.9g, the reference %.9g", what, (long long)i,
                     (double)got[i], want[i]);
        if (off > worst) worst = off;
    }
    return worst;
}

/* The weights of c are set; its output, and gradients of every weight named. */
__attribute__((unused)) static void compare(cell *c, const reference *r,
                                            const reference_gradient *g, int n)
{
    const int64_t T = r->T, B = r->B, S = r->S, H = r->H;
    float *x = cell_noise(c, T * B * S, 1, 0, 0),
          *dx = cell_noise(c, T * B * S, 1, 0, 0);
    float *dt = r->dt ? cell_noise(c, T * B, 1, 0, 0) : NULL;
    float *y = cell_noise(c, T * B * H, 1, 0, 0),
          *turned = cell_noise(c, T * B * S, 1, 0, 0);
    for (int64_t t = 0; t < T; t++)
        for (int64_t b = 0; b < B; b++) {
            if (dt) dt[t * B + b] = (float)r->dt[b * T + t];
            for (int64_t i = 0; i < S; i++)
                x[(t * B + b) * S + i] =
                    (float)cos(0.9 * (double)((b * T + t) * S + i));
        }
    cell_begin(c, MLS_TRAIN);
    mls_t in[CELL_PORTS];
    const mls_t of[PORTS] = {cell_input(c, x, dx, T, S), cell_input(c, dt, NULL, T, 1)};
    ports_of(c, in, of);
    const mls_t out = cell_forward(c, in);
    float *gout = mls_tape_grad(&c->c, out);
    for (int64_t t = 0; t < T; t++)
        for (int64_t b = 0; b < B; b++)
            for (int64_t i = 0; i < H; i++) {
                const int64_t k = (b * T + t) * H + i, at = (t * B + b) * H + i;
                y[k] = out->data[at];
                gout[at] = (float)cos(0.9 * (double)k + 0.5);
            }
    mls_tape_backward(&c->c);
    for (int64_t t = 0; t < T; t++)
        for (int64_t b = 0; b < B; b++)
            memcpy(turned + (b * T + t) * S, dx + (t * B + b) * S, (size_t)S * 4);
    const double of_y = far_off("out", y, r->y, T * B * H, r->outputs);
    double worst = far_off("in", turned, r->dx, T * B * S, r->gradients);
    for (int i = 0; i < n; i++) {
        const cell_weight *w = weight_named(c, g[i].name);
        worst = fmax(
            worst, far_off(w->name, w->grad, g[i].gradient, w->t->count, r->gradients));
    }
    print_message("# %s: outputs differ by %.1e, gradients by %.1e\n", r->options, of_y,
                  worst);
}

/* ---- a pass over some steps, whole or cut */

typedef struct data {
    cell c;
    int64_t T, B, S, H, M, W; /* W: of all states */
    float *x, *dt, *m, *mask, *dx, *ddt, *dm, *wy, *wh, *y, *h;
    unsigned flags;
    const char *options;
} data;

static void prepare(data *d, const char *options, int64_t T, int64_t B, int with)
{
    const int64_t S = 5, H = 6, M = 3;
    const int64_t of[PORTS] = {S, with & 1 << DT ? 1 : 0, with & 1 << TAU ? M : 0,
                               with & 1 << MASK ? 1 : 0};
    int64_t width[CELL_PORTS] = {0};
    widths_of(FILE_NAME, width, of);
    *d = (data){
        .T = T, .B = B, .S = S, .H = H, .M = M, .flags = MLS_TRAIN, .options = options};
    cell_open(&d->c, FILE_NAME, options, B, width, 7);
    cell *c = &d->c;
    d->x = cell_noise(c, T * B * S, 1, -1.5, 1.5);
    d->dx = cell_noise(c, T * B * S, 1, 0, 0);
    if (of[DT]) d->dt = cell_noise(c, T * B, 2, 0.3, 2.0);
    d->ddt = cell_noise(c, T * B, 2, 0, 0);
    if (of[TAU]) d->m = cell_noise(c, T * B * M, 3, -1, 1);
    d->dm = cell_noise(c, T * B * M, 3, 0, 0);
    if (of[MASK]) d->mask = cell_noise(c, T * B, 4, 1, 1);
    for (int64_t i = 0; d->mask && i < T * B; i += 3) d->mask[i] = 0.0f;
    d->wy = cell_noise(c, T * B * H, 5, -1, 1);
    for (int i = 0; i < c->n_states; i++) d->W += c->state[i].width;
    d->wh = cell_noise(c, B * d->W, 6, -1, 1);
    d->y = cell_noise(c, T * B * H, 7, 0, 0);
    d->h = cell_noise(c, B * d->W, 8, 0, 0);
    for (int s = 0; s < c->n_states; s++)
        for (int64_t i = 0; i < B * c->state[s].width; i++)
            c->state[s].data[i] = 0.5f * (float)sin((double)(i + s));
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
        const mls_t of[PORTS] = {
            cell_input(c, d->x + r * S, d->dx + r * S, n[i], S),
            cell_input(c, d->dt ? d->dt + r : NULL, d->ddt + r, n[i], 1),
            cell_input(c, d->m ? d->m + r * M : NULL, d->dm + r * M, n[i], M),
            cell_input(c, d->mask ? d->mask + r : NULL, NULL, n[i], 1)};
        mls_t in[CELL_PORTS];
        ports_of(c, in, of);
        y[i] = cell_forward(c, in);
        memcpy(d->y + r * H, y[i]->data, (size_t)(n[i] * B * H) * 4);
    }
    float *h = d->h;
    for (int i = 0; i < c->n_states; h += B * c->state[i++].width)
        memcpy(h, c->state[i].now->data, (size_t)(B * c->state[i].width) * 4);
    double loss = 0.0;
    for (int64_t i = 0; i < T * B * H; i++) loss += (double)d->y[i] * (double)d->wy[i];
    for (int64_t i = 0; i < B * d->W; i++) loss += (double)d->h[i] * (double)d->wh[i];
    if (!backward) return loss;
    for (int i = 0; i < 2; i++)
        if (y[i])
            memcpy(mls_tape_grad(&c->c, y[i]), d->wy + from[i] * B * H,
                   (size_t)(n[i] * B * H) * 4);
    const float *wh = d->wh;
    for (int i = 0; i < c->n_states; wh += B * c->state[i++].width)
        memcpy(mls_tape_grad(&c->c, c->state[i].now), wh,
               (size_t)(B * c->state[i].width) * 4);
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
        if (!(fabs(want - (double)grad[i]) <= 2e-3 * largest))
            fail_msg("%s: gradient of %s[%lld]: %g, by differences %g", d->options,
                     name, (long long)i, (double)grad[i], want);
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
    float *dm = copy(&d, d.dm, d.T * d.B * d.M), *dh[CELL_STATES];
    for (int i = 0; i < c->n_states; i++)
        dh[i] = copy(&d, c->state[i].grad, d.B * c->state[i].width);
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
    for (int i = 0; i < c->n_states; i++)
        differ(&d, c->state[i].name, c->state[i].data, dh[i], d.B * c->state[i].width);
    if (d.dt) differ(&d, "dt", d.dt, ddt, d.T * d.B);
    if (d.m) differ(&d, "mod_tau", d.m, dm, d.T * d.B * d.M);
    for (int i = 0; i < c->n_weights; i++)
        differ(&d, c->weight[i].name, c->weight[i].t->data, dw[i],
               c->weight[i].t->count);
    cell_close(c);
}

/* Every split gives the same outputs and states: the same bits in exact mode. */
static void chunks_of(const char *options, int with, unsigned exact)
{
    data d;
    prepare(&d, options, 9, 3, with);
    d.flags |= exact;
    pass(&d, d.T, 1);
    const int64_t ny = d.T * d.B * d.H, nh = d.B * d.W, nx = d.T * d.B * d.S;
    float *y = copy(&d, d.y, ny), *h = copy(&d, d.h, nh), *dx = copy(&d, d.dx, nx);
    float *dh = copy(&d, d.c.state[0].grad, d.B * d.c.state[0].width);
    float *dw[CELL_WEIGHTS];
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
        near("d h", d.c.state[0].grad, dh, d.B * d.c.state[0].width, 5e-6);
        for (int i = 0; i < d.c.n_weights; i++)
            near(d.c.weight[i].name, d.c.weight[i].grad, dw[i], d.c.weight[i].t->count,
                 1e-5);
    }
    cell_close(&d.c);
}

#endif
