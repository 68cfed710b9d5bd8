/* cfc_ports.h - the scan of cfc and wired_cfc with its outputs. */
#ifndef LIQUID_CFC_PORTS_H
#define LIQUID_CFC_PORTS_H

#include "cfc_scan.h"
#include "modulation.h"

static void ones_forward(const mls_call *k)
{
    for (int64_t i = 0; i < k->out[0]->count; i++) k->out[0]->data[i] = 1.0f;
}
static const mls_op ones = {sizeof ones, "cfc.ones", ones_forward, NULL, NULL};

static void tap_tau(mls_ctx *c, mls_t tau, int64_t T, int64_t B, int64_t units)
{
    if (!mls->wanted(c, "tau")) return;
    mls_t value = tau ? tau : mls->tensor(c, T, B, units);
    if (!tau) mls->apply(c, &ones, NULL, NULL, 0, &value, 1);
    mls->tap(c, "tau", value, NULL, "time constant that divides the step length");
}

/* [forward] Runs the scan on from[]; `to` receives what it gives. */
static void run_scan(mls_ctx *c, const cfc_cell *p, const mls_t *from, mls_t *to)
{
    const int64_t T = from[IN_X]->dim[0], B = from[IN_X]->dim[1], H = p->units;
    const int heads = p->mode == CFC_PURE ? 1 : from[IN_DT] || from[IN_TAU] ? 4 : 3;
    const int n = cfc_outputs(p), act = p->mixed_memory ? OUT_ACT_MIXED : OUT_ACT;
    to[OUT_Y] = mls->tensor(c, T, B, H);
    to[OUT_H] = mls->tensor(c, 1, B, H);
    to[OUT_HEADS] = mls->tensor(c, T, B, heads * H);
    if (p->mixed_memory) {
        to[OUT_Z] = mls->tensor(c, T, B, 4 * H);
        to[OUT_C] = mls->tensor(c, T, B, H);
        to[OUT_M] = mls->tensor(c, T, B, H);
        to[OUT_CLAST] = mls->tensor(c, 1, B, H);
    }
    for (int i = act; i < n; i++) to[i] = mls->tensor(c, T, B, p->backbone_units);
    /* scan_backward's rooms; its copies of the weights, as they are, in panels, and their
     * gradients */
    const int64_t Z = p->backbone_layers ? p->backbone_units : from[IN_X]->dim[2] + H;
    const int64_t each = heads * H + (p->mixed_memory ? 4 * H : 0) +
                         p->backbone_layers * p->backbone_units;
    mls_expect(c, (size_t)(T * B * each + 3 * heads * H * Z) * sizeof(float));
    const int inputs = IN_WEIGHT + 2 * (int)p->backbone_layers + 2 * cfc_heads(p);
    mls_apply_as(c, MLS_WRITES | MLS_OMITS, &cfc_scan, p, from, inputs, to, n);
}

#endif
