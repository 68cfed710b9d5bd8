/* step_bias.h - how the step size of a state space model starts. */
#ifndef PLUGINS_MIXER_STEP_BIAS_H
#define PLUGINS_MIXER_STEP_BIAS_H

#include <math.h>
#include <stdint.h>

/* U(0, 1) -> the bias whose softplus is log-uniform in [low, high], at least floor. */
static void step_bias(float *w, int64_t n, double low, double high, double floor)
{
    const double lo = log(low), hi = log(high);
    for (int64_t i = 0; i < n; i++) {
        const double dt = fmax(exp(lo + (double)w[i] * (hi - lo)), floor);
        w[i] = (float)(dt + log(-expm1(-dt)));
    }
}

#endif
