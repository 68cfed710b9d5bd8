/* wiring_setup.h - a wiring from a component's options, with every refusal in words. */
#ifndef LIQUID_WIRING_SETUP_H
#define LIQUID_WIRING_SETUP_H

#include "wiring.h"

/* Rows for the option table of struct S with a member `wiring_options net`. */
#define WIRING_ROW(S, name, field, type, def, lo, hi, text, help)                      \
    {                                                                                  \
        name, type, offsetof(S, net.field), def, lo, hi, text, NULL, help              \
    }
#define WIRING_OPTIONS(S, wirings)                                                     \
    WIRING_ROW(S, "units", units, MLS_INT, 0, 0, 65536, NULL,                          \
               "neurons in all, 0 for as few as the wiring needs"),                    \
        WIRING_ROW(                                                                    \
            S, "outputs", outputs, MLS_INT, 0, 0, 65536, NULL,                         \
            "motor neurons, whose values are given; 0 for the width of the network"),  \
        WIRING_ROW(S, "wiring", wiring, MLS_CHOICE, 0, 0, 0, wirings,                  \
                   "who is connected to whom"),                                        \
        WIRING_ROW(                                                                    \
            S, "sparsity", sparsity, MLS_REAL, 0.5, 0, 1, NULL,                        \
            "wiring random: share of pairs left out, below 1; auto_ncp: from 0.1"),    \
        WIRING_ROW(S, "wiring_seed", wiring_seed, MLS_INT, -1, -1, 4294967295.0, NULL, \
                   "seed of the wiring alone; -1 for that of ncps, 1111 or 22222"),    \
        WIRING_ROW(S, "inter", inter, MLS_INT, 12, 1, 65536, NULL,                     \
                   "wiring ncp: inter neurons"),                                       \
        WIRING_ROW(S, "command", command, MLS_INT, 8, 1, 65536, NULL,                  \
                   "wiring ncp: command neurons"),                                     \
        WIRING_ROW(S, "sensory_fanout", sensory_fanout, MLS_INT, 4, 1, 65536, NULL,    \
                   "wiring ncp: inter neurons that an input reaches"),                 \
        WIRING_ROW(S, "inter_fanout", inter_fanout, MLS_INT, 4, 1, 65536, NULL,        \
                   "wiring ncp: command neurons that an inter neuron reaches"),        \
        WIRING_ROW(S, "recurrent_command", recurrent_command, MLS_INT, 4, 0, 65536,    \
                   NULL, "wiring ncp: synapses drawn among command neurons"),          \
        WIRING_ROW(S, "motor_fanin", motor_fanin, MLS_INT, 4, 1, 65536, NULL,          \
                   "wiring ncp: command neurons that reach a motor neuron"),           \
        WIRING_ROW(S, "wiring_file", wiring_file, MLS_STRING, 0, 0, 0, NULL,           \
                   "HDF5 file with the wiring, in place of a drawn one")

/* Where recurrence follows the wiring too. */
#define WIRING_SELF(S)                                                                 \
    WIRING_ROW(S, "self_connections", self_connections, MLS_BOOL, 1, 0, 0, NULL,       \
               "wiring full: neurons are connected to themselves too")

#define WIRING_HELP                                                                    \
    "Wirings are those of ncps 1.0.1, bit for bit at the same seed: `full`\n"          \
    "(FullyConnected), `random` (Random), `ncp` (NCP) and `auto_ncp` (AutoNCP).\n"     \
    "Neurons are numbered motor, command, inter. `wiring_file` names an HDF5 file\n"   \
    "with `adjacency` [units from][units to] and `sensory` [inputs][units] of -1, 0\n" \
    "and 1; `layers`, if there, has the sizes of the layers in the order of\n"         \
    "computation, of which the last has the neurons numbered first.\n"

static void wiring_layers(wiring *w, int n, const int64_t *size)
{
    int64_t end = w->units;
    w->layers = n;
    for (int i = 0; i < n; i++) {
        w->size[i] = size[i];
        w->from[i] = end -= size[i];
    }
}

static int wiring_room(mls_ctx *c, wiring *w)
{
    w->adjacency = mls->alloc(c, (size_t)(w->units * w->units) * sizeof(float));
    w->sensory = mls->alloc(c, (size_t)(w->inputs * w->units) * sizeof(float));
    return w->adjacency && w->sensory;
}

/* ---- From a file
 * ------------------------------------------------------------------------- */

static int wiring_poles(mls_ctx *c, const char *path, const char *name,
                        const mls_array *a, int64_t rows, int64_t cols)
{
    if (a->rank != 2 || a->dim[0] != rows || a->dim[1] != cols) {
        mls->fail(c, "%s: \"%s\" is [%lld][%lld] (%d axes), expected [%lld][%lld]",
                  path, name, (long long)a->dim[0], (long long)a->dim[1], a->rank,
                  (long long)rows, (long long)cols);
        return 0;
    }
    for (int64_t i = 0; i < rows * cols; i++)
        if (a->data[i] != 0.0f && a->data[i] != 1.0f && a->data[i] != -1.0f) {
            mls->fail(c, "%s: \"%s\"[%lld][%lld] is %g, expected -1, 0 or 1", path,
                      name, (long long)(i / cols), (long long)(i % cols),
                      (double)a->data[i]);
            return 0;
        }
    return 1;
}

static void wiring_file_layers(mls_ctx *c, const char *path, const mls_array *a,
                               wiring *w)
{
    int64_t size[WIRING_LAYERS] = {0}, sum = 0;
    const int n = (int)a->dim[0];
    if (a->rank != 1 || a->dim[0] < 1 || a->dim[0] > WIRING_LAYERS) {
        mls->fail(c, "%s: \"layers\" must be one row of 1 to %d sizes", path,
                  WIRING_LAYERS);
        return;
    }
    for (int i = 0; i < n; i++) {
        const float x = a->data[i];
        size[i] = x >= 1.0f && x <= 65536.0f && x == (float)(int64_t)x ? (int64_t)x : 0;
        sum += size[i];
        if (!size[i]) {
            mls->fail(c, "%s: \"layers\"[%d] is %g, expected a number of neurons", path,
                      i, (double)x);
            return;
        }
    }
    if (sum != w->units || (n > 1 && size[n - 1] != w->outputs))
        mls->fail(c,
                  "%s: \"layers\" has %lld neurons, the last layer %lld; expected %lld "
                  "neurons, as in \"adjacency\", and outputs %lld in the last layer",
                  path, (long long)sum, (long long)size[n - 1], (long long)w->units,
                  (long long)w->outputs);
    else
        wiring_layers(w, n, size);
}

static void wiring_read(mls_ctx *c, const wiring_options *o, wiring *w)
{
    const mls_array_file *f = mls->extension("mls.array-file/1");
    mls_array adjacency, sensory, layers;
    const char *path = o->wiring_file;
    if (!f) {
        mls->fail(c, "wiring_file: this build of the host reads no arrays");
        return;
    }
    if (!f->read(c, path, "adjacency", 0, &adjacency) ||
        !f->read(c, path, "sensory", 0, &sensory))
        return;
    const int64_t U = adjacency.rank > 0 ? adjacency.dim[0] : 0;
    if (o->units && U != o->units) {
        mls->fail(c, "units is %lld, but \"adjacency\" of %s has %lld",
                  (long long)o->units, path, (long long)U);
        return;
    }
    if (U < w->outputs || U < 1) {
        mls->fail(c, "%s: \"adjacency\" has %lld neurons, fewer than the %lld outputs",
                  path, (long long)U, (long long)w->outputs);
        return;
    }
    w->units = U;
    if (!wiring_poles(c, path, "adjacency", &adjacency, U, U) ||
        !wiring_poles(c, path, "sensory", &sensory, w->inputs, U) || !wiring_room(c, w))
        return;
    memcpy(w->adjacency, adjacency.data, (size_t)(U * U) * sizeof(float));
    memcpy(w->sensory, sensory.data, (size_t)(w->inputs * U) * sizeof(float));
    wiring_layers(w, 1, &U);
    if (f->read(c, path, "layers", 1, &layers)) wiring_file_layers(c, path, &layers, w);
}

/* ---- Drawn
 * ------------------------------------------------------------------------------- */

static int wiring_too_many(mls_ctx *c, const char *what, int64_t n, const char *of,
                           int64_t most)
{
    if (n <= most) return 0;
    mls->fail(c, "%s is %lld, but there are only %lld %s neurons", what, (long long)n,
              (long long)most, of);
    return 1;
}

static void wiring_draw_ncp(mls_ctx *c, const wiring_options *o, wiring *w)
{
    ncp p = {o->inter,        o->command,           o->outputs,    o->sensory_fanout,
             o->inter_fanout, o->recurrent_command, o->motor_fanin};
    if (o->wiring == WIRING_AUTO_NCP) {
        const int64_t U = o->units         ? o->units
                          : o->outputs > 1 ? 3 * o->outputs
                                           : o->outputs + 3;
        if (o->outputs >= U - 2 || o->sparsity < 0.1) {
            mls->fail(
                c,
                "wiring \"auto_ncp\" needs outputs below units - 2 and sparsity from "
                "0.1; units is %lld, outputs %lld, sparsity %g",
                (long long)U, (long long)o->outputs, o->sparsity);
            return;
        }
        p = wiring_auto(U, o->outputs, o->sparsity);
    }
    w->units = p.inter + p.command + p.motor;
    if (o->units && o->units != w->units) {
        mls->fail(
            c,
            "units is %lld, but inter, command and outputs are %lld neurons: leave "
            "units at 0",
            (long long)o->units, (long long)w->units);
        return;
    }
    if (wiring_too_many(c, "sensory_fanout", p.sensory_fanout, "inter", p.inter) ||
        wiring_too_many(c, "inter_fanout", p.inter_fanout, "command", p.command) ||
        wiring_too_many(c, "motor_fanin", p.motor_fanin, "command", p.command))
        return;
    const int64_t most = w->units > w->inputs ? w->units : w->inputs;
    uint32_t *perm = mls->alloc(c, (size_t)most * sizeof *perm);
    uint8_t *met = mls->alloc(c, (size_t)most);
    mt19937 *g = mls->alloc(c, sizeof *g);
    if (!perm || !met || !g || !wiring_room(c, w)) return;
    mt_seed(g, o->wiring_seed < 0 ? 22222u : (uint32_t)o->wiring_seed);
    wiring_ncp(w, &p, g, perm, met);
    wiring_layers(w, 3, (int64_t[]){p.inter, p.command, p.motor});
}

static void wiring_draw(mls_ctx *c, const wiring_options *o, wiring *w)
{
    pcg64 g;
    w->units = o->units ? o->units : o->outputs;
    if (w->units < o->outputs) {
        mls->fail(c, "outputs is %lld, but there are only %lld units",
                  (long long)o->outputs, (long long)w->units);
        return;
    }
    if (o->wiring == WIRING_RANDOM && o->sparsity >= 1.0) {
        mls->fail(
            c, "wiring \"random\" needs sparsity below 1: nothing is connected at %g",
            o->sparsity);
        return;
    }
    if (!wiring_room(c, w)) return;
    pcg_seed(&g, o->wiring_seed < 0 ? 1111u : (uint64_t)o->wiring_seed);
    wiring_layers(w, 1, &w->units);
    if (o->wiring == WIRING_FULL) {
        wiring_full(w, &g, o->self_connections);
        return;
    }
    wiring_some(c, &g, w->units * w->units, 1.0 - o->sparsity, 0, w->adjacency);
    wiring_some(c, &g, w->inputs * w->units, 1.0 - o->sparsity, 1, w->sensory);
}

/* [setup] o->wiring is one of WIRING_FULL...; 0 when refused, which the context knows.
 */
static int wiring_setup(mls_ctx *c, const wiring_options *o, int64_t inputs, wiring *w)
{
    *w = (wiring){.outputs = o->outputs, .inputs = inputs};
    if (o->wiring_file && *o->wiring_file)
        wiring_read(c, o, w);
    else if (o->wiring == WIRING_NCP || o->wiring == WIRING_AUTO_NCP)
        wiring_draw_ncp(c, o, w);
    else
        wiring_draw(c, o, w);
    return w->layers > 0;
}

#endif
