/* wide.h - functions of WIDE vectors at once, after lanes.h: a polynomial's constants are
 * then loaded once for all of them, and no chain of multiply-adds waits for itself.
 */
#ifndef PLUGINS_MIXER_WIDE_H
#define PLUGINS_MIXER_WIDE_H
enum { WIDE = 4 };
#define EACH for (int i = 0; i < WIDE; i++)
#endif

/* Rows lie whole pages apart, where no hardware looks ahead: AHEAD of them. */
FUN void FN(ahead)(const float *row, int64_t stride, int64_t width, int write)
{
    for (int64_t c = 0; row && c < width; c += 16) {
        if (write) __builtin_prefetch(row + AHEAD * stride + c, 1);
        else __builtin_prefetch(row + AHEAD * stride + c, 0);
    }
}

/* The first n of WIDE * LANES values; the rest 0. */
FUN void FN(take_wide)(const float *p, int64_t n, VF *x)
{
    if (n >= WIDE * LANES) EACH x[i] = FN(load)(p + i * LANES);
    else EACH x[i] = FN(take)(p + i * LANES, n - i * LANES);
}

/* p = x, or p += x. */
FUN void FN(give_wide)(float *p, const VF *x, int64_t n, int add)
{
    if (n < WIDE * LANES) EACH FN(give)(p + i * LANES, x[i], n - i * LANES, add);
    else if (add) EACH FN(save)(p + i * LANES, FN(load)(p + i * LANES) + x[i]);
    else EACH FN(save)(p + i * LANES, x[i]);
}

/* e = exp(-|x|), as fade of lanes.h. */
FUN void FN(fade_wide)(const VF *x, VF *e)
{
    const float big = 12582912.0f;
    VF f[WIDE], r[WIDE], p[WIDE];
    EACH f[i] = (VF)((VI)x[i] | INT32_MIN) * MLS_LOG2E;
    EACH f[i] = FN(pick)((VI)(f[i] < -127.0f), (VF){ 0 } - 127.0f, f[i]);
    EACH r[i] = f[i] + big;
    EACH f[i] -= r[i] - big;
    EACH p[i] = f[i] * 1.3264722049e-3f + 9.6715129970e-3f;
    EACH p[i] = p[i] * f[i] + 5.5507337604e-2f;
    EACH p[i] = p[i] * f[i] + 2.4022242078e-1f;
    EACH p[i] = p[i] * f[i] + 6.9314697759e-1f;
    EACH p[i] = p[i] * f[i] + 1.0f;
    EACH e[i] = (VF)((VI)p[i] + ((VI)r[i] << 23));
}

FUN void FN(sigmoid_wide)(const VF *x, VF *s)
{
    VF e[WIDE];
    FN(fade_wide)(x, e);
    EACH s[i] = FN(sigmoid_of)(x[i], e[i]);
}

/* Given e = fade(x), ln(1 + e^x) = max(x, 0) + ln(1 + e), and ln(1 + e) = e p(e) for e in
 * [0, 1]; 1.5e-7 of itself. */
FUN void FN(softplus_wide)(const VF *x, const VF *e, VF *y)
{
    VF p[WIDE];
    EACH p[i] = e[i] * -3.2563784825e-3f + 1.9907160967e-2f;
    EACH p[i] = p[i] * e[i] - 5.7064200836e-2f;
    EACH p[i] = p[i] * e[i] + 1.0614264694e-1f;
    EACH p[i] = p[i] * e[i] - 1.5311863106e-1f;
    EACH p[i] = p[i] * e[i] + 1.9678117258e-1f;
    EACH p[i] = p[i] * e[i] - 2.4954558871e-1f;
    EACH p[i] = p[i] * e[i] + 3.3330004035e-1f;
    EACH p[i] = p[i] * e[i] - 4.9999903993e-1f;
    EACH p[i] = p[i] * e[i] + 1.0f;
    EACH y[i] = (VF)((VI)(x[i] > 0.0f) & (VI)x[i]) + p[i] * e[i];
}
