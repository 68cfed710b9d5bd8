/* rig.h - one op on a tape of its own, without a network: states are plain arrays. */
#ifndef TESTS_GRAD_RIG_H
#define TESTS_GRAD_RIG_H

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "base/philox.h"
#include "grad/ops.h"
#include "grad/tape.h"
#include "plug/host.h"
#include "plug/plug.h"

struct mls_state { float *data, *grad; int64_t batch, width; mls_t now; };

typedef struct rig {
    mls_error error;
    mls_tape  tape;
    mls_arena network;
    mls_ctx   c;
} rig;

static mls_t rig_load(mls_ctx *c, mls_state *s)
{
    if (!s->now) s->now = mls_tape_wrap(c, s->data, s->grad, 0, 1, s->batch, s->width);
    return s->now;
}

static void rig_store(mls_ctx *c, mls_state *s, mls_t value)
{
    (void)c;
    s->now = value;
}

static void rig_start(rig *r, unsigned flags)
{
    mls_plug_init();
    mls_plug_table.load = rig_load;
    mls_plug_table.store = rig_store;
    *r = (rig){ 0 };
    r->tape.flags = flags;
    r->c = (mls_ctx){ &r->error, "test", &r->tape, &r->network, 1, NULL, NULL };
}

static void rig_stop(rig *r)
{
    if (r->error.set) fail_msg("%s", r->error.text);
    mls_tape_free(&r->tape);
    mls_arena_free(&r->network);
}

/* n values uniform in (-1, 1) from a stream of their own. */
static float *rig_noise(int64_t n, uint64_t key)
{
    float *x = malloc((size_t)(n > 0 ? n : 1) * sizeof *x);
    assert_non_null(x);
    uint32_t u[4];
    for (int64_t i = 0; i < n; i++) {
        if (i % 4 == 0) mls_philox(key, (uint64_t)i, u);
        x[i] = (float)((double)u[i % 4] / 2147483648.0 - 1.0);
    }
    return x;
}

static inline float *rig_zeros(int64_t n)
{
    float *x = calloc((size_t)(n > 0 ? n : 1), sizeof *x);
    assert_non_null(x);
    return x;
}

/* Fails where a gradient differs from four-point differences of `loss` over every
 * `stride`-th value of x; errors are relative to the largest gradient seen.            */
static inline void rig_check(double (*loss)(void *arg), void *arg, float *x, const float *grad,
                      int64_t n, int64_t stride, double tolerance, const char *name)
{
    const float h = 0.0078125f;
    double largest = 0.05, worst = 0.0;
    int64_t where = -1;
    for (int64_t i = 0; i < n; i++) largest = fmax(largest, fabs((double)grad[i]));
    for (int64_t i = 0; i < n; i += stride) {
        const float old = x[i];
        double f[4];
        for (int j = 0; j < 4; j++) {
            x[i] = old + h * (float)(j < 2 ? j - 2 : j - 1);
            f[j] = loss(arg);
        }
        x[i] = old;
        const double d = (8.0 * (f[2] - f[1]) - (f[3] - f[0])) / (12.0 * (double)h);
        const double off = fabs(d - (double)grad[i]) / largest;
        if (!(off <= worst)) {
            worst = off;
            where = i;
        }
    }
    if (!(worst <= tolerance))
        fail_msg("gradient of %s[%lld]: off by %g of the largest, %g", name,
                 (long long)where, worst, largest);
}

#endif
