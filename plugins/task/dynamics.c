/* dynamics.c - the next observation of a system that moves by a known law.
 *
 *   x[t] = u(T_t) + noise e_t,   dt[t] = T_(t+1) - T_t,   target[t] = u(T_(t+1))
 *
 * The step from T_t to the next observation is drawn evenly from step (1 - jitter) ..
 * step (1 + jitter): dt says how far ahead the answer lies.  e_t is normal.  Targets
 * are without noise.
 *
 *   lorenz        x' = 10 (y - x), y' = x (28 - z) - y, z' = x y - 8/3 z, by
 *                 Runge-Kutta 4 in pieces of at most 0.005; starts near the attractor
 *                 and runs 5 units of time before T_0.  Given as (x / 8, y / 9,
 *                 (z - 23.5) / 8.6): about mean 0, variance 1.  All of it is seen.
 *   oscillators   `channels` unit masses in a ring,
 *                 q_i'' = -q_i - (2 q_i - q_(i-1) - q_(i+1)),
 *                 by the exact sum of its modes,
 *                 q_i = a sum_m cos(w_m T + f_m) cos(2 pi m i / channels + g_m),
 *                 w_m^2 = 1 + 4 sin^2(pi m / channels), phases f, g even,
 *                 a = 2 / sqrt(channels): mean 0, variance 1.  Only the q are seen: the
 *                 speeds have to be remembered.
 *
 * Floors at the defaults, mean squared error: always 0 gives 1; to repeat x[t] gives
 * 0.132 (lorenz) and 0.0074 (oscillators).
 */
#include <math.h>

#include "draw.h"

typedef struct dynamics {
    TASK_SPLITS;
    int system, loss;
    int64_t length, channels;
    double step, jitter, noise;
    double *w; /* of each mode */
} dynamics;

enum { LORENZ, OSCILLATORS };
enum { SQUARED, ABSOLUTE };

static const double PI = 3.14159265358979323846;

static void open_task(mls_ctx *c, void *self, mls_task_shape *shape)
{
    dynamics *p = self;
    const int64_t n = p->system == LORENZ ? 3 : p->channels;
    p->w = mls->alloc(c, (size_t)n * sizeof *p->w);
    if (!p->w) return;
    for (int64_t m = 0; m < n; m++) {
        const double s = sin(PI * (double)m / (double)n);
        p->w[m] = sqrt(1.0 + 4.0 * s * s);
    }
    *shape = (mls_task_shape){.steps = p->length,
                              .input = n,
                              .output = n,
                              .loss = p->loss == ABSOLUTE ? MLS_MAE : MLS_MSE,
                              .per_step = 1,
                              .has_dt = 1};
}

/* ---- Lorenz ------------------------------------------------------------ */

static void slope(const double *u, double *du)
{
    du[0] = 10.0 * (u[1] - u[0]);
    du[1] = u[0] * (28.0 - u[2]) - u[1];
    du[2] = u[0] * u[1] - 8.0 / 3.0 * u[2];
}

static void runge_kutta(double *u, double h)
{
    static const double at[4] = {0.0, 0.5, 0.5, 1.0}, share[4] = {1.0, 2.0, 2.0, 1.0};
    double k[3] = {0.0}, v[3], sum[3] = {0.0};
    for (int i = 0; i < 4; i++) {
        for (int j = 0; j < 3; j++) v[j] = u[j] + at[i] * h * k[j];
        slope(v, k);
        for (int j = 0; j < 3; j++) sum[j] += share[i] * k[j];
    }
    for (int j = 0; j < 3; j++) u[j] += h / 6.0 * sum[j];
}

static void advance(double *u, double time)
{
    const int64_t n = (int64_t)ceil(time / 0.005);
    for (int64_t i = 0; i < n; i++) runge_kutta(u, time / (double)n);
}

/* ---- samples ------------------------------------------------------------ */

/* A mode's two phases: the words 2m and 2m + 1 of the key with its last bit turned. */
static void phases(uint64_t key, int64_t m, double *f, double *g)
{
    uint32_t u[4];
    mls->philox(key ^ 1, (uint64_t)m / 2, u);
    *f = 2.0 * PI / 4294967296.0 * (double)u[m % 2 * 2];
    *g = 2.0 * PI / 4294967296.0 * (double)u[m % 2 * 2 + 1];
}

static void observe_ring(const dynamics *p, uint64_t key, double time, float *out)
{
    const int64_t n = p->channels;
    for (int64_t i = 0; i < n; i++) {
        double q = 0.0;
        for (int64_t m = 0; m < n; m++) {
            double f, g;
            phases(key, m, &f, &g);
            q += cos(p->w[m] * time + f) *
                 cos(2.0 * PI * (double)(m * i % n) / (double)n + g);
        }
        out[i] = (float)(2.0 / sqrt((double)n) * q);
    }
}

static void observe_lorenz(const double *u, float *out)
{
    out[0] = (float)(u[0] / 8.0);
    out[1] = (float)(u[1] / 9.0);
    out[2] = (float)((u[2] - 23.5) / 8.6);
}

static double normal(draw *d)
{
    const double r = sqrt(-2.0 * log(draw_unit(d)));
    return r * cos(2.0 * PI * draw_unit(d));
}

static void fill(mls_ctx *c, const void *self, int split, int64_t index, uint64_t key,
                 mls_sample *s)
{
    (void)c;
    (void)split;
    (void)index;
    const dynamics *p = self;
    const int64_t n = p->system == LORENZ ? 3 : p->channels;
    draw d = draw_from(key);
    double u[3] = {0.0}, time = 0.0;
    for (int j = 0; j < 3; j++)
        u[j] = 16.0 * draw_unit(&d) - 8.0 + (j == 2 ? 25.0 : 0.0);
    if (p->system == LORENZ) {
        advance(u, 5.0);
        observe_lorenz(u, s->x);
    } else {
        observe_ring(p, key, 0.0, s->x);
    }
    for (int64_t t = 0; t < p->length; t++) {
        const double gap = p->step * (1.0 + p->jitter * (2.0 * draw_unit(&d) - 1.0));
        float *next = s->target + t * n;
        s->dt[t] = (float)gap;
        time += gap;
        if (p->system == LORENZ) {
            advance(u, gap);
            observe_lorenz(u, next);
        } else {
            observe_ring(p, key, time, next);
        }
        for (int64_t j = 0; t + 1 < p->length && j < n; j++)
            s->x[(t + 1) * n + j] = next[j];
    }
    for (int64_t i = 0; p->noise > 0.0 && i < p->length * n; i++)
        s->x[i] += (float)(p->noise * normal(&d));
}

static const mls_option options[] = {
    MLS_OPT_CHOICE(
        dynamics, system, "lorenz|oscillators",
        "chaotic and seen whole, or a ring of oscillators whose speeds are hidden"),
    MLS_OPT(dynamics, length, MLS_INT, 128, 1, 1 << 20, "steps", "length of a sample"),
    MLS_OPT(dynamics, channels, MLS_INT, 4, 1, 256, NULL, "oscillators in the ring"),
    MLS_OPT(
        dynamics, step, MLS_REAL, 0.05, 0.0001, 10, NULL,
        "mean time from one observation to the next, in the units of the equations"),
    MLS_OPT(dynamics, jitter, MLS_REAL, 0, 0, 1, NULL,
            "how much that time varies, as a share of it; 0 is regular sampling"),
    MLS_OPT(
        dynamics, noise, MLS_REAL, 0, 0, 10, NULL,
        "standard deviation of the noise on the inputs, where the signal has about 1"),
    MLS_OPT_CHOICE(dynamics, loss, "mse|mae", "mean squared or mean absolute error"),
    TASK_SPLIT_OPTIONS(dynamics),
    MLS_OPT_END};

static const mls_port ports[] = {MLS_PORT_END};

static const mls_task task = {sizeof task, open_task, task_count, fill, NULL, NULL};

static const mls_component component = {
    sizeof component,
    "task",
    "dynamics",
    0,
    "The next observation of the Lorenz system or of a ring of oscillators.\n"
    "Several channels, by mean squared error, at regular or, with `jitter`, irregular "
    "times: "
    "dt is the time to the observation that is asked for. Channels have about mean 0 "
    "and "
    "variance 1, so that always to say 0 gives an error of about 1.",
    ports,
    options,
    sizeof(dynamics),
    NULL,
    NULL,
    &task};

MLS_PLUGIN("dynamics", "1.0", "Apache-2.0", &component);
