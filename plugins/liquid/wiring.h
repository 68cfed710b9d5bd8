/* wiring.h - who is connected to whom in a liquid cell: the wirings of ncps 1.0.1,
 * drawn to the bit for its seeds, or read from a file.
 *
 *   full      every pair; polarity 1 with probability 2/3, else -1
 *   random    a share 1 - sparsity of all pairs, likewise
 *   ncp       sensory -> inter -> command -> motor, recurrence among command neurons
 *   auto_ncp  ncp with sizes that follow from units, outputs and sparsity
 *
 * Neurons are numbered motor | command | inter, as in ncps.
 */
#ifndef LIQUID_WIRING_H
#define LIQUID_WIRING_H

#include <math.h>
#include <mls/plugin.h>
#include <string.h>

#include "mt19937.h"

enum { WIRING_FULL, WIRING_RANDOM, WIRING_NCP, WIRING_AUTO_NCP };
enum { WIRING_LAYERS = 8 };

typedef struct wiring_options { /* a component's, see WIRING_OPTIONS */
    int wiring, self_connections;
    int64_t units, outputs, wiring_seed, inter, command, sensory_fanout, inter_fanout,
        recurrent_command, motor_fanin;
    double sparsity;
    const char *wiring_file;
} wiring_options;

typedef struct wiring {
    int64_t units, outputs, inputs;
    int layers; /* in the order of computation; their neurons are consecutive */
    int64_t from[WIRING_LAYERS], size[WIRING_LAYERS];
    float *adjacency; /* [units from][units to], -1, 0 or 1: the polarity     */
    float *sensory;   /* [inputs from][units to]                              */
} wiring;

/* ---- full, random: default_rng
 * --------------------------------------------------------- */

static float wiring_pole(pcg64 *g) { return pcg_upto(g, 2) ? 1.0f : -1.0f; }

static void wiring_full(const wiring *w, pcg64 *g, int self_connections)
{
    for (int64_t i = 0; i < w->units; i++)
        for (int64_t j = 0; j < w->units; j++)
            if (i != j || self_connections)
                w->adjacency[i * w->units + j] = wiring_pole(g);
    for (int64_t i = 0; i < w->inputs * w->units; i++) w->sensory[i] = wiring_pole(g);
}

/* twice: ncps 1.0.1 draws the polarity of a sensory synapse twice and keeps the second.
 */
static void wiring_some(mls_ctx *c, pcg64 *g, int64_t pairs, double share, int twice,
                        float *to)
{
    const int64_t n = (int64_t)nearbyint((double)pairs * share);
    uint32_t *table = mls->alloc(c, (size_t)pcg_choice_room(pairs, n) * sizeof *table);
    if (!table) return;
    const uint32_t *at = pcg_choice(g, pairs, n, table);
    for (int64_t i = 0; i < n; i++) {
        if (twice) wiring_pole(g);
        to[at[i]] = wiring_pole(g);
    }
}

/* ---- ncp: RandomState
 * -------------------------------------------------------------------- */

typedef struct ncp {
    int64_t inter, command, motor, sensory_fanout, inter_fanout, recurrent, motor_fanin;
} ncp;

/* One neuron of a group joined to `n` others of `pool`, drawn without return.  out: the
 * one is the source.  met (or NULL) marks who of the pool was drawn. */
static void ncp_join(mt19937 *g, int64_t one, int64_t pool_from, int64_t pool,
                     int64_t n, int out, float *m, int64_t cols, uint32_t *perm,
                     uint8_t *met)
{
    mt_permutation(g, (uint32_t)pool, perm);
    for (int64_t i = 0; i < n; i++) {
        const int64_t other = pool_from + perm[i];
        if (met) met[perm[i]] = 1;
        m[out ? one * cols + other : other * cols + one] = mt_upto(g, 1) ? 1.0f : -1.0f;
    }
}

static int64_t ncp_mean(int64_t a, int64_t b, int64_t over, int64_t most)
{
    const int64_t n = (int64_t)((double)(a * b) / (double)over);
    return n < 1 ? 1 : n > most ? most : n;
}

/* perm and met: room for the largest group. */
static void wiring_ncp(const wiring *w, const ncp *p, mt19937 *g, uint32_t *perm,
                       uint8_t *met)
{
    const int64_t U = w->units, S = w->inputs, C0 = p->motor, I0 = C0 + p->command;
    float *A = w->adjacency;
    memset(met, 0, (size_t)p->inter);
    for (int64_t i = 0; i < S; i++)
        ncp_join(g, i, I0, p->inter, p->sensory_fanout, 1, w->sensory, U, perm, met);
    int64_t n = ncp_mean(S, p->sensory_fanout, p->inter, S);
    for (int64_t i = 0; i < p->inter; i++) /* forgotten ones */
        if (!met[i]) ncp_join(g, I0 + i, 0, S, n, 0, w->sensory, U, perm, NULL);

    memset(met, 0, (size_t)p->command);
    for (int64_t i = 0; i < p->inter; i++)
        ncp_join(g, I0 + i, C0, p->command, p->inter_fanout, 1, A, U, perm, met);
    n = ncp_mean(p->inter, p->inter_fanout, p->command, p->command);
    for (int64_t i = 0; i < p->command; i++)
        if (!met[i]) ncp_join(g, C0 + i, I0, p->inter, n, 0, A, U, perm, NULL);

    for (int64_t i = 0; i < p->recurrent; i++) {
        const int64_t from = C0 + mt_upto(g, (uint32_t)p->command - 1);
        const int64_t to = C0 + mt_upto(g, (uint32_t)p->command - 1);
        A[from * U + to] = mt_upto(g, 1) ? 1.0f : -1.0f;
    }

    memset(met, 0, (size_t)p->command);
    for (int64_t i = 0; i < p->motor; i++)
        ncp_join(g, i, C0, p->command, p->motor_fanin, 0, A, U, perm, met);
    n = ncp_mean(p->motor, p->motor_fanin, p->command, p->motor);
    for (int64_t i = 0; i < p->command; i++)
        if (!met[i]) ncp_join(g, C0 + i, 0, p->motor, n, 1, A, U, perm, NULL);
}

static int64_t ncp_share(double x) { return x >= 1.0 ? (int64_t)x : 1; }

static ncp wiring_auto(int64_t units, int64_t outputs, double sparsity)
{
    const double dense = 1.0 - sparsity;
    const int64_t both = units - outputs;
    ncp p = {.motor = outputs, .command = ncp_share(0.4 * (double)both)};
    p.inter = both - p.command;
    p.sensory_fanout = ncp_share((double)p.inter * dense);
    p.inter_fanout = p.motor_fanin = ncp_share((double)p.command * dense);
    p.recurrent = ncp_share((double)p.command * dense * 2.0);
    return p;
}

#endif
