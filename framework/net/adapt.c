/* adapt.c - what components change in their weights between steps, beside the gradient.
 *
 * A training forward sums up what mls->adapt was given; its backward adds that, times its
 * scale, to what is pending in the network; the optimiser's step ends with it.  So a
 * change goes the way of a gradient: micro-batches share it, zero_grad forgets it, and a
 * forward without a backward moves nothing.
 */
#include "net/inner.h"

#include "grad/reuse.h"

#include <math.h>
#include <string.h>

/* One weight: in a run what its last forward gave, in the network what is pending. */
struct change {
    change *next;
    int     weight, live;         /* index; 1: something was given                     */
    double  low, high;
    float  *sum;                  /* [rows][cols]                                      */
};

static int64_t size_of(const mls_net *net, int weight)
{
    return net->weight[weight].rows * net->weight[weight].cols;
}

static change *find(const mls_net *net, change **list, int weight, mls_arena *a,
                    mls_error *e)
{
    for (change *k = *list; k; k = k->next)
        if (k->weight == weight) return k;
    change *k = mls_arena_zalloc(a, sizeof *k);
    float *sum = mls_arena_zalloc(a, (size_t)size_of(net, weight) * sizeof *sum);
    if (!k || !sum) {
        mls_error_set(e, "out of memory for the changes of %s", net->weight[weight].name);
        return NULL;
    }
    *k = (change){ .next = *list, .weight = weight, .sum = sum };
    return *list = k;
}

static void clear(const mls_net *net, change *list)
{
    for (; list; list = list->next) {
        if (list->live)
            memset(list->sum, 0, (size_t)size_of(net, list->weight) * sizeof *list->sum);
        list->live = 0;
    }
}

/* ---- the service -------------------------------------------------------------------- */

/* Under remat the second forward, in backward, is not heard. */
int mls_net_adapting(const mls_run *run)
{
    return (run->flags & MLS_TRAIN) && run->again != MLS_AGAIN;
}

static int weight_of(const node *n, mls_t w)
{
    const mls_net *net = n->net;
    for (int i = 0; i < net->n_weights; i++)
        if (net->tensor[i] == w && !strcmp(net->weight[i].node, n->path)) return i;
    return -1;
}

void mls_net_adapt_by(mls_run *run, node *n, mls_t w, mls_t by, double rate, double low,
                      double high)
{
    mls_net *net = run->net;
    const int i = weight_of(n, w);
    if (run->error.set) return;
    if (i < 0 || !by || by->count != size_of(net, i) || !isfinite(rate) || !(low <= high)) {
        mls_error_set(&run->error, "%s: adapt of %s by %lld values at rate %g, bounds %g and "
                      "%g; expected a weight of this node, as many values, a finite rate and "
                      "bounds in order", n->path, i < 0 ? "no weight" : net->weight[i].name,
                      by ? (long long)by->count : 0, rate, low, high);
        return;
    }
    mls_tape_now(&n->ctx, by);
    mls_reuse_use(&run->tape, by);
    if (!mls_net_adapting(run) || run->tape.dry || run->tape.rehearses) return;
    change *k = find(net, &run->change, i, &run->penalty_arena, &run->error);
    if (!k) return;
    k->live = 1;
    k->low = low;
    k->high = high;
    const float r = (float)rate;
    for (int64_t j = 0; j < by->count; j++) k->sum[j] += r * by->data[j];
}

/* ---- of a run ----------------------------------------------------------------------- */

void mls_net_adapt_begin(mls_run *run) { clear(run->net, run->change); }

void mls_net_adapt_pend(mls_run *run, double scale)
{
    mls_net *net = run->net;
    const float s = (float)scale;
    for (change *k = run->change; k; k = k->next) {
        if (!k->live) continue;
        change *to = find(net, &net->change, k->weight, &net->arena, &run->error);
        if (!to) return;
        to->live = 1;
        to->low = k->low;
        to->high = k->high;
        for (int64_t j = 0; j < size_of(net, k->weight); j++) to->sum[j] += s * k->sum[j];
    }
    clear(net, run->change);
}

/* ---- of the network ------------------------------------------------------------------ */

void mls_net_adapt_forget(mls_net *net) { clear(net, net->change); }

const float *mls_net_pending(const mls_net *net, int weight)
{
    for (const change *k = net->change; k; k = k->next)
        if (k->weight == weight && k->live) return k->sum;
    return NULL;
}

void mls_net_adapt(mls_net *net)
{
    net->adapted = 0.0;
    net->adaptations = 0;
    for (const change *k = net->change; k; k = k->next) {
        float *w = net->weight[k->weight].data;
        if (!k->live) continue;
        net->adaptations++;
        for (int64_t j = 0; j < size_of(net, k->weight); j++) {
            const float old = w[j], low = (float)k->low, high = (float)k->high;
            const float now = old + k->sum[j];
            w[j] = now < low ? low : now > high ? high : now;
            net->adapted += fabs((double)w[j] - (double)old);
        }
    }
    clear(net, net->change);
}

double mls_net_adapted(const mls_net *net, int *n)
{
    if (n) *n = net->adaptations;
    return net->adapted;
}
