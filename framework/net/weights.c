/* weights.c - every weight of a network, in one array, drawn from a stream of its own. */
#include "net/inner.h"

#include "base/philox.h"

#include <math.h>
#include <string.h>

mls_t mls_net_add_weight(node *n, const char *name, int64_t rows, int64_t cols, mls_init init)
{
    mls_net *net = n->net;
    mls_arena *a = &net->arena;
    static mls_tensor none;
    if (net->error->set) return &none;
    if (rows < 1 || cols < 1 || rows > INT64_C(1) << 40 || cols > (INT64_C(1) << 40) / rows) {
        mls_error_set(net->error, "%s: weight %s of %lld x %lld", n->path, name,
                      (long long)rows, (long long)cols);
        return &none;
    }
    const char *full = mls_arena_printf(a, "%s%s%s", n->path, *n->path ? "." : "", name);
    for (int i = 0; i < net->n_weights; i++)
        if (!strcmp(net->weight[i].name, full))
            mls_error_set(net->error, "%s: two weights are called %s", n->path, name);
    if (net->n_weights == net->room_weights) {
        const int room = net->room_weights ? 2 * net->room_weights : 64;
        mls_weight *w = mls_arena_alloc(a, (size_t)room * sizeof *w);
        mls_tensor **t = mls_arena_alloc(a, (size_t)room * sizeof *t);
        mls_init *in = mls_arena_alloc(a, (size_t)room * sizeof *in);
        void **s = mls_arena_alloc(a, (size_t)room * sizeof *s);
        if (!w || !t || !in || !s) {
            mls_error_set(net->error, "out of memory for the list of weights");
            return &none;
        }
        if (net->n_weights) {
            memcpy(w, net->weight, (size_t)net->n_weights * sizeof *w);
            memcpy(t, net->tensor, (size_t)net->n_weights * sizeof *t);
            memcpy(in, net->init, (size_t)net->n_weights * sizeof *in);
            memcpy(s, net->weight_self, (size_t)net->n_weights * sizeof *s);
        }
        net->weight = w;
        net->tensor = t;
        net->init = in;
        net->weight_self = s;
        net->room_weights = room;
    }
    const int i = net->n_weights++;
    net->weight[i] = (mls_weight){ full, n->path, rows, cols, init.flags, NULL, NULL };
    net->init[i] = init;
    net->weight_self[i] = n->self;
    net->tensor[i] = mls_tape_leaf(a, !(init.flags & MLS_FROZEN), 1, rows, cols);
    net->count += rows * cols;
    if (net->tensor[i]) return net->tensor[i];
    mls_error_set(net->error, "out of memory for weight %s", full);
    return &none;
}

static void draw(const mls_net *net, int i)
{
    const mls_weight *w = &net->weight[i];
    const mls_init *in = &net->init[i];
    const int64_t n = w->rows * w->cols;
    const uint64_t key = mls_philox_key(net->seed, w->name, "init");
    double a = in->a;
    switch (in->kind) {
    case MLS_CONSTANT:
        for (int64_t k = 0; k < n; k++) w->data[k] = (float)a;
        break;
    case MLS_NORMAL: mls_philox_normal(key, w->data, n, a); break;
    case MLS_RANGE:  mls_philox_uniform(key, w->data, n, a, in->b); break;
    case MLS_XAVIER: a *= sqrt(6.0 / (double)(w->rows + w->cols));
        mls_philox_uniform(key, w->data, n, -a, a);
        break;
    case MLS_FAN_IN: a /= sqrt((double)w->cols);
        mls_philox_uniform(key, w->data, n, -a, a);
        break;
    case MLS_UNIFORM: mls_philox_uniform(key, w->data, n, -a, a); break;
    }
    if (in->adjust) in->adjust(w->data, w->rows, w->cols, net->weight_self[i]);
}

void mls_net_make_weights(mls_net *net, mls_error *e)
{
    if (net->dry || e->set) return;
    net->data = mls_arena_zalloc(&net->arena, (size_t)net->count * sizeof(float));
    net->grad = mls_arena_zalloc(&net->arena, (size_t)net->count * sizeof(float));
    if (!net->data || !net->grad) {
        mls_error_set(e, "out of memory for %lld parameters", (long long)net->count);
        return;
    }
    int64_t at = 0;
    for (int i = 0; i < net->n_weights; i++) {
        mls_weight *w = &net->weight[i];
        w->data = net->data + at;
        w->grad = net->grad + at;
        net->tensor[i]->data = w->data;
        if (!(w->flags & MLS_FROZEN)) net->tensor[i]->grad = w->grad;
        at += w->rows * w->cols;
        draw(net, i);
    }
}

void mls_net_set_int8(mls_net *net, int i, const struct mls_int8 *q)
{
    mls_tape_set_int8(net->tensor[i], q);
}

int64_t mls_net_parameters(const mls_net *net) { return net->count; }
int mls_net_weights(const mls_net *net) { return net->n_weights; }
mls_weight *mls_net_weight(const mls_net *net, int i) { return &net->weight[i]; }

float *mls_net_data(const mls_net *net, int64_t *count)
{
    *count = net->count;
    return net->data;
}

float *mls_net_grad(const mls_net *net) { return net->grad; }

void mls_net_zero_grad(mls_net *net)
{
    if (net->grad) memset(net->grad, 0, (size_t)net->count * sizeof(float));
    mls_net_adapt_forget(net);
}
