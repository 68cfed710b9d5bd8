/* regular.h - penalties that keep spiking neurons at work, and at little of it.
 *
 *   rate_distance   mean of max(0, rate_low - r, r - rate_high)^2,  r the mean spikes of a
 *                   unit per (inner) step over the real steps of a sample
 *   activity        mean of S
 *   voltage_excess  mean of max(0, |U| - theta)^2
 * each times its weight, which is 0 by default: then nothing is computed.  theta is what
 * the option says, also where a threshold learns: a penalty is no reason to raise it.
 *
 * Reference: the bounds on rates and the penalty on activity are those of Zenke and
 * Vogels 2021 (there one-sided, of sums); the voltage's is Bellec et al. 2020's, there
 * scaled by theta.  A sequence in pieces (feedback) has a rate in each piece.
 */
#ifndef MLS_PLUGINS_REGULAR_H
#define MLS_PLUGINS_REGULAR_H

#include "spiking.h"

typedef struct regular {
    double rate_low, rate_high, rate_weight, l1_weight, voltage_weight;
    double threshold; /* not an option: what voltages are measured against */
} regular;

#define REGULAR_OPTION(S, at, name, def, hi, unit, help)                               \
    {                                                                                  \
#name, MLS_REAL, offsetof(S, at.name), def, 0, hi, NULL, unit, help            \
    }
#define REGULAR_RATES(S, at)                                                           \
    REGULAR_OPTION(S, at, rate_low, 0.02, 1, "1/step",                                 \
                   "least rate of a unit, spikes per inner step, with rate_weight"),   \
        REGULAR_OPTION(S, at, rate_high, 0.2, 1, "1/step",                             \
                       "greatest rate of a unit, likewise"),                           \
        REGULAR_OPTION(S, at, rate_weight, 0, 1e6, NULL,                               \
                       "weight in the training loss of the squared distance of rates " \
                       "from that band"),                                              \
        REGULAR_OPTION(S, at, l1_weight, 0, 1e6, NULL,                                 \
                       "weight in the training loss of the mean spikes")
#define REGULAR_VOLTAGE(S, at)                                                         \
    REGULAR_OPTION(S, at, voltage_weight, 0, 1e6, NULL,                                \
                   "weight in the training loss of the squared excess of the "         \
                   "membrane over threshold, up or down")

static inline void regular_check(mls_ctx *c, const regular *r)
{
    if (r->rate_weight > 0.0 && r->rate_low > r->rate_high)
        mls->fail(c, "rate_low = %g lies above rate_high = %g", r->rate_low, r->rate_high);
    if ((r->rate_weight > 0.0 || r->l1_weight > 0.0 || r->voltage_weight > 0.0) &&
        !MLS_HAS(mls, penalty))
        mls->fail(c, "rate_weight, l1_weight and voltage_weight need a newer mls");
}

/* share: of an inner step in a value of spikes. */
static inline void regular_apply(mls_ctx *c, const regular *r, mls_t spikes,
                                 mls_t membrane, mls_t mask, double share)
{
    if (r->rate_weight > 0.0) {
        mls_t rate = mls->scale(c, mls->pool(c, spikes, MLS_POOL_MEAN, mask), share, 0.0);
        mls_t low = mls->unary(c, MLS_RELU, mls->scale(c, rate, -1.0, r->rate_low));
        mls_t high = mls->unary(c, MLS_RELU, mls->scale(c, rate, 1.0, -r->rate_high));
        mls_t far = mls->binary(c, MLS_ADD, low, high);
        mls->penalty(c, "rate_distance", mls->unary(c, MLS_SQUARE, far), r->rate_weight);
    }
    if (r->l1_weight > 0.0)
        mls->penalty(c, "activity", share < 1.0 ? mls->scale(c, spikes, share, 0.0) : spikes,
                     r->l1_weight);
    if (r->voltage_weight > 0.0) {
        mls_t size = mls->unary(c, MLS_ABS, membrane);
        mls_t over = mls->unary(c, MLS_RELU, mls->scale(c, size, 1.0, -r->threshold));
        mls->penalty(c, "voltage_excess", mls->unary(c, MLS_SQUARE, over),
                     r->voltage_weight);
    }
}

#endif
