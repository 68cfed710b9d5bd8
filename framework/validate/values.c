/* values.c - outputs, states and gradients of a rig, kept, picked apart and compared. */
#include "validate/values.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

void *mls_values_room(mls_probe *p, int64_t count, size_t size)
{
    void *x = mls_arena_zalloc(&p->arena, (size_t)(count + 1) * size);
    if (!x)
        mls_probe_fail(p, "out of memory for %lld values of the check",
                       (long long)count);
    return x;
}

float *mls_values_keep(mls_probe *p, const float *x, int64_t count)
{
    float *copy = mls_values_room(p, count, sizeof *copy);
    if (count) memcpy(copy, x, (size_t)count * sizeof *copy);
    return copy;
}

float *mls_values_output(mls_rig *r, const mls_batch *b, int64_t *count)
{
    *count = r->out_steps * r->B * r->out;
    return mls_values_keep(r->p, mls_rig_fresh(r, b), *count);
}

float *mls_values_grad(mls_rig *r, int64_t *count)
{
    int64_t n;
    mls_net_data(r->net, &n);
    if (count) *count = n;
    return mls_values_keep(r->p, mls_net_grad(r->net), n);
}

double mls_values_states(mls_rig *r, const char *when, const float *want, double tol)
{
    double worst = 0.0;
    for (int i = 0; i < mls_run_states(r->run); i++) {
        float *value;
        int64_t width;
        char what[256];
        const char *name = mls_run_state(r->run, i, &value, &width, NULL);
        snprintf(what, sizeof what, "state %s, %s", name, when);
        if (tol > 0.0)
            worst = fmax(worst, mls_probe_near(r->p, r->v, what, value, want,
                                               r->B * width, r->B, width, tol));
        else
            mls_probe_same(r->p, r->v, what, value, want, r->B * width, r->B, width);
        want += r->B * width;
    }
    return worst;
}

/* What a weight gets by its gradient, or beside it. */
typedef struct part {
    const char *name;
    const float *got, *want;
} part;

/* [row][column], where mls_probe_near would speak of steps and samples. */
static double part_near(mls_rig *r, const mls_weight *w, const char *when, part x,
                        double tol)
{
    const float *got = x.got, *want = x.want;
    const int64_t n = w->rows * w->cols;
    double top = 1.0, worst = 0.0;
    for (int64_t k = 0; k < n; k++) top = fmax(top, fabs((double)want[k]));
    for (int64_t k = 0; k < n; k++) {
        const double off = fabs((double)got[k] - (double)want[k]) / top;
        if (tol > 0.0 ? off <= tol : !memcmp(got + k, want + k, sizeof *want)) {
            worst = fmax(worst, off);
            continue;
        }
        mls_probe_fail(
            r->p, "%s: %s of %s[%lld][%lld], %s, is %.9g, expected %.9g%s", r->v->title,
            x.name, w->name, (long long)(k / w->cols), (long long)(k % w->cols), when,
            (double)got[k], (double)want[k], tol > 0.0 ? "" : " to the bit");
    }
    return worst;
}

double mls_values_grads(mls_rig *r, const char *when, const float *want, double tol)
{
    const float *all = mls_net_grad(r->net);
    double worst = 0.0;
    for (int i = 0; i < mls_net_weights(r->net); i++) {
        const mls_weight *w = mls_net_weight(r->net, i);
        const part x = {"gradient", w->grad, want + (w->grad - all)};
        worst = fmax(worst, part_near(r, w, when, x, tol));
    }
    return worst;
}

float *mls_values_pending(mls_rig *r)
{
    int64_t n;
    mls_net_data(r->net, &n);
    float *all = mls_values_room(r->p, n, sizeof *all);
    for (int i = 0; i < mls_net_weights(r->net); i++) {
        const mls_weight *w = mls_net_weight(r->net, i);
        const float *x = mls_net_pending(r->net, i);
        if (x)
            memcpy(all + (w->grad - mls_net_grad(r->net)), x,
                   (size_t)(w->rows * w->cols) * sizeof *x);
    }
    return all;
}

double mls_values_changes(mls_rig *r, const char *when, const float *want, double tol)
{
    const float *all = mls_net_grad(r->net), *got = mls_values_pending(r);
    double worst = 0.0;
    for (int i = 0; i < mls_net_weights(r->net); i++) {
        const mls_weight *w = mls_net_weight(r->net, i);
        const int64_t at = w->grad - all;
        const part x = {"change beside the gradient", got + at, want + at};
        worst = fmax(worst, part_near(r, w, when, x, tol));
    }
    return worst;
}

void mls_values_restore(mls_rig *r, const float *states)
{
    mls_run_reset(r->run); /* or a training forward's values would win later */
    for (int i = 0; i < mls_run_states(r->run); i++) {
        float *value;
        int64_t width;
        mls_run_state(r->run, i, &value, &width, NULL);
        memcpy(value, states, (size_t)(r->B * width) * sizeof *value);
        states += r->B * width;
    }
}

int64_t mls_values_sample(mls_rig *one, const mls_rig *r, int64_t b, const float *mask)
{
    int64_t n = 0;
    for (int64_t t = 0; t < r->T; t++) {
        const int64_t at = t * r->B + b;
        if (mask && mask[at] == 0.0f) continue;
        memcpy(one->x + n * r->in, r->x + at * r->in, (size_t)r->in * sizeof *one->x);
        one->dt[n] = r->dt[at];
        if (r->out_steps == r->T)
            memcpy(one->weight + n * r->out, r->weight + at * r->out,
                   (size_t)r->out * sizeof *one->weight);
        n++;
    }
    if (r->out_steps != r->T)
        memcpy(one->weight, r->weight + b * r->out,
               (size_t)r->out * sizeof *one->weight);
    one->key[0] = r->key[b];
    one->batch.steps = n;
    return n;
}

int64_t mls_values_pick(float *out, const float *y, const float *mask, int64_t T,
                        int64_t B, int64_t N, int64_t b)
{
    int64_t n = 0;
    for (int64_t t = 0; t < T; t++) {
        if (mask && mask[t * B + b] == 0.0f) continue;
        memcpy(out + n++ * N, y + (t * B + b) * N, (size_t)N * sizeof *out);
    }
    return n;
}

void mls_values_pick_states(mls_rig *r, float *out, const float *states, int64_t b)
{
    for (int i = 0; i < mls_run_states(r->run); i++) {
        int64_t width;
        mls_run_state(r->run, i, NULL, &width, NULL);
        memcpy(out, states + b * width, (size_t)width * sizeof *out);
        out += width;
        states += r->B * width;
    }
}

const mls_port *mls_values_port(const mls_probe *p, const char *name)
{
    const mls_port *port;
    for (int i = 0; (port = mls_plug_port(p->registry, p->c, i)); i++)
        if (!strcmp(port->name, name)) return port;
    return NULL;
}
