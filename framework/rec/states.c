/* /states/<node>.<channel>: f32 [record][step][sample][unit]; NaN where a forward was
 * shorter or narrower than what is kept.                                                */
#include "rec/track.h"

#include <math.h>
#include <string.h>

int mls_states_plan(mls_track *t, mls_arena *a, mls_error *e)
{
    const int64_t dim[4] = { 0, t->T, t->B, t->U };
    const char *path = mls_arena_printf(a, "/states/%s", t->name);
    const char *step = mls_arena_printf(a, "/states/%s_step", t->name);
    return path && step &&
           mls_column_plan(&t->value, path, H5T_NATIVE_FLOAT, 4, dim, 0, MLS_REC_NAN, a,
                           e) &&
           mls_column_plan(&t->step, step, H5T_NATIVE_INT64, 1, dim, MLS_INDEX_CHUNK, 0,
                           a, e);
}

int mls_states_create(mls_track *t, hid_t file, double step_ms, mls_scales *s,
                      mls_error *e)
{
    if (!mls_column_create(&t->value, file, e) || !mls_column_create(&t->step, file, e))
        return 0;
    const char *path[4] = {
        t->step.path, mls_arena_printf(s->arena, "/states/time_%lld", (long long)t->T),
        mls_arena_printf(s->arena, "/states/sample_%lld", (long long)t->B),
        mls_arena_printf(s->arena, "/states/unit_%lld", (long long)t->U)
    };
    static const char *const label[4] = { "record", "step", "sample", "unit" };
    int ok =
        path[1] && path[2] && path[3] &&
        mls_scales_range(s, file, path[1], t->T, step_ms, "ms",
                         "time in the sequence") &&
        mls_scales_range(s, file, path[2], t->B, 0, NULL, "sample of the batch") &&
        mls_scales_range(s, file, path[3], t->U, 0, NULL, "unit, counted from 0") &&
        mls_scales_attach(s, file, t->value.path, 4, path, label) &&
        mls_rec_text(t->step.set, "long_name", "training step of the record") &&
        mls_rec_text(t->value.set, "units", t->unit ? t->unit : "1") &&
        mls_rec_text(t->value.set, "long_name", t->help ? t->help : t->name);
    if (t->round_bits)
        ok = ok && mls_rec_number(t->value.set, "significant_bits", H5T_NATIVE_INT, 1,
                                  &t->round_bits);
    if (ok) return 1;
    char why[300];
    mls_rec_why(why, sizeof why);
    mls_error_set(e, "%s: the data set cannot be described: %s", t->value.path, why);
    return 0;
}

/* To `bits` bits of mantissa, to nearest, ties to even; NaN and Inf stay. */
static float rounded(float x, int bits)
{
    uint32_t u;
    memcpy(&u, &x, sizeof u);
    if ((u & 0x7f800000u) == 0x7f800000u) return x;
    const int drop = 23 - bits;
    const uint32_t half = 1u << (drop - 1), odd = (u >> drop) & 1u;
    u = (u + half - 1 + odd) & ~((1u << drop) - 1);
    memcpy(&x, &u, sizeof x);
    return x;
}

void mls_states_add(mls_track *t, const float *x, int64_t T, int64_t B, int64_t U,
                    int64_t t0)
{
    float *out = mls_column_next(&t->value);
    const int64_t b_end = B < t->B ? B : t->B, u_end = U < t->U ? U : t->U;
    if (!t->open)
        for (int64_t i = 0; i < t->T * t->B * t->U; i++) out[i] = NAN;
    for (int64_t i = 0; i < T && t0 + i < t->T; i++)
        for (int64_t b = 0; b < b_end; b++) {
            float *to = out + ((t0 + i) * t->B + b) * t->U;
            memcpy(to, x + (i * B + b) * U, (size_t)u_end * sizeof *to);
            if (t->round_bits && t->round_bits < 23)
                for (int64_t u = 0; u < u_end; u++)
                    to[u] = rounded(to[u], t->round_bits);
        }
}

/* The values go first: a record exists when its step does. */
void mls_states_end(mls_track *t, int64_t now, mls_error *e)
{
    if (!mls_column_push(&t->value, e)) return;
    *(int64_t *)mls_column_next(&t->step) = now;
    mls_column_push(&t->step, e);
}
