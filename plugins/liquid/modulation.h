/* modulation.h - the time constant that the port mod_tau gives a liquid cell:
 * tau = 0.5 + sigmoid(W m), of every unit, between 0.5 and 1.5. */
#ifndef LIQUID_MODULATION_H
#define LIQUID_MODULATION_H

#include <mls/plugin.h>

/* [setup] NULL when unconnected; zeros: the start is tau = 1, as unconnected. */
static mls_t tau_weight(mls_ctx *c, int64_t units)
{
    if (!mls->connected(c, "mod_tau")) return NULL;
    return mls->weight(c, "mod_tau.weight", units, mls->width(c, "mod_tau"),
                       mls_init_of(MLS_CONSTANT, 0.0, 0));
}

/* [forward] 0.5 + sigmoid(w m), [T][B][units]; NULL without m. */
static mls_t tau_of(mls_ctx *c, mls_t m, mls_t w)
{
    if (!m) return NULL;
    return mls->scale(c, mls->unary(c, MLS_SIGMOID, mls->linear(c, m, w, NULL)), 1.0,
                      0.5);
}

#endif
