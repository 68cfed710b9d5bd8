/* states.c - cases about what a component keeps and shows: states through a file, a
 * forward run again, values that are not finite, channels, and what its flags promise.
 */
#include "validate/states.h"
#include "base/temporary.h"
#include "rec/record.h"
#include "validate/rewire.h"
#include "validate/values.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* ---- Through a file ----------------------------------------------------------------
 */

static mls_bundle bundle(mls_rig *r)
{
    mls_arena *a = &r->p->arena;
    mls_bundle b = {.arena = a};
    mls_run_bundle(r->run, &b);
    for (int i = 0; i < mls_net_weights(r->net); i++) {
        mls_weight *w = mls_net_weight(r->net, i);
        mls_bundle_add(&b, mls_arena_printf(a, "weight/%s", w->name), MLS_B_F32,
                       w->data, 2, (int64_t[]){w->rows, w->cols});
    }
    return b;
}

/* A file name that nobody else has; the file is removed before anything is judged. */
static char *temporary(mls_probe *p)
{
    char *path = mls_temporary(&p->arena, "mls-validate");
    const int fd = mkstemp(path);
    if (fd < 0) mls_probe_fail(p, "no temporary file can be made: %s", path);
    close(fd);
    return path;
}

typedef struct loaded {
    int ok, misfit; /* loaded; a bundle that does not fit was loaded too      */
    mls_error why, missing;
} loaded;

/* Saves what r holds and loads it into `other`, and also into a bundle with one array
 * more.*/
static loaded through_file(mls_rig *r, mls_rig *other)
{
    mls_probe *p = r->p;
    loaded l = {0};
    mls_bundle from = bundle(r), to = bundle(other), more = bundle(other);
    float spare[4] = {0};
    char *path = temporary(p), *note;
    mls_bundle_add(&more, "state/of_nobody.x", MLS_B_F32, spare, 2, (int64_t[]){2, 2});
    mls_rec_init();
    l.ok = mls_checkpoint_save(path, &from, "{}", &l.why) &&
           mls_checkpoint_load(path, &to, &note, &p->arena, &l.why);
    l.misfit = mls_checkpoint_load(path, &more, &note, &p->arena, &l.missing);
    unlink(path);
    return l;
}

/* r goes on after the save while `other` takes over; in between r runs something else,
 * so that what is kept beside the states cannot be right by chance. */
static void roundtrip(mls_rig *r, mls_rig *other)
{
    mls_probe *p = r->p;
    const int64_t half = r->T / 2, steps = r->out_steps == r->T ? r->T - half : 1;
    mls_batch first = mls_rig_piece(r, 0, half),
              rest = mls_rig_piece(r, half, r->T - half);
    const int64_t count = steps * r->B * r->out;
    mls_rig_fresh(r, &first);
    const loaded l = through_file(r, other);
    if (!l.ok)
        mls_probe_fail(p, "%s: states and weights do not come back: %s", r->v->title,
                       l.why.text);
    if (l.misfit || !strstr(l.missing.text, "of_nobody"))
        mls_probe_fail(p, "%s: a checkpoint that lacks a state was not refused: %s",
                       r->v->title, l.missing.text);
    const float *want = mls_values_keep(p, mls_rig_forward(r, &rest), count);
    const float *last = mls_rig_states(r, NULL);
    mls_rig_fresh(r, &rest);
    mls_probe_same(p, r->v, "output after states and weights went through a file",
                   mls_rig_forward(other, &rest), want, count, r->B, r->out);
    mls_values_states(other, "continued from a file", last, 0.0);
}

/* A network that is wider has arrays of other shapes. */
static void refuses(mls_rig *r)
{
    mls_probe *p = r->p;
    mls_rig wide;
    mls_rig_open(&wide, p, r->v, (mls_rig_size){.width = r->in + 8}, r->flags, p->seed);
    const loaded l = through_file(r, &wide);
    if (l.ok || !strstr(l.why.text, "misshapen"))
        mls_probe_fail(p, "%s: a checkpoint of another width was not refused: %s",
                       r->v->title, l.why.text);
    mls_rig_close(&wide);
}

static void state_roundtrip(mls_probe *p)
{
    const mls_variant *v;
    const int n = mls_probe_variants(p, &v);
    for (int i = 0; i < n; i++) {
        const mls_mark mark = mls_arena_mark(&p->arena);
        mls_rig r, other;
        mls_rig_open(&r, p, &v[i], (mls_rig_size){0}, 0, p->seed);
        mls_rig_open(&other, p, &v[i], (mls_rig_size){0}, 0, p->seed + 1);
        roundtrip(&r, &other);
        if (i == 0) refuses(&r);
        mls_rig_close(&r);
        mls_rig_close(&other);
        mls_arena_release(&p->arena, mark);
    }
}

/* ---- Run again in backward
 * ----------------------------------------------------------- */

static void again(mls_rig *r, mls_rig *remat)
{
    int64_t count;
    const float *want = mls_values_output(r, NULL, &count);
    mls_probe_same(r->p, r->v, "output of a node under remat",
                   mls_rig_fresh(remat, NULL), want, count, r->B, r->out);
    mls_rig_backward(r);
    mls_rig_backward(remat);
    mls_values_grads(remat, "of a node under remat", mls_net_grad(r->net), 1e-6);
    mls_values_states(remat, "of a node under remat", mls_rig_states(r, NULL), 0.0);
    want = mls_values_keep(r->p, mls_rig_forward(r, NULL), count);
    mls_probe_same(r->p, r->v, "output after a backward of a node under remat",
                   mls_rig_forward(remat, NULL), want, count, r->B, r->out);
}

static void rematerialises(mls_probe *p)
{
    const mls_variant *v;
    const int n = mls_probe_variants(p, &v);
    mls_arena *a = &p->arena;
    if (!strcmp(p->c->kind, "head")) mls_probe_skip(p, "a head is never run again");
    for (int i = 0; i < n; i++) {
        const mls_mark mark = mls_arena_mark(a);
        mls_rig r, remat;
        mls_error e = {0};
        mls_rig_open(&r, p, &v[i], (mls_rig_size){0}, MLS_TRAIN, p->seed);
        mls_value *spec = mls_net_resolved(r.net, a), *list = mls_value_list(a);
        mls_value_push(a, list, mls_value_string(a, mls_rewire_name(&r)));
        mls_value_set(a, spec, "remat", list);
        if (!mls_rewire_open(&remat, &r, spec, &e))
            mls_probe_fail(p, "%s: %s", v[i].title, e.text);
        again(&r, &remat);
        mls_rig_close(&r);
        mls_rig_close(&remat);
        mls_arena_release(a, mark);
    }
}

/* ---- Memory that is used again ------------------------------------------------------ */

/* As training runs it: what an op says that its backward does not read is gone, and what it
 * is done with is NaN. */
static void in_less_memory(mls_rig *r, mls_rig *less)
{
    int64_t count;
    const float *want = mls_values_output(r, NULL, &count);
    mls_probe_same(r->p, r->v, "output in memory that is used again", mls_rig_fresh(less, NULL),
                   want, count, r->B, r->out);
    mls_rig_backward(r);
    mls_rig_backward(less);
    mls_values_grads(less, "in memory that is used again", mls_net_grad(r->net), 0.0);
    mls_values_states(less, "in memory that is used again", mls_rig_states(r, NULL), 0.0);
}

static void reuses_memory(mls_probe *p)
{
    const mls_variant *v;
    const int n = mls_probe_variants(p, &v);
    for (int i = 0; i < n; i++)
        for (int masked = 0; masked < 2; masked++) {
            const mls_mark mark = mls_arena_mark(&p->arena);
            const mls_rig_size long_enough = {.T = 48};        /* short ones are left alone */
            mls_rig r, less;
            mls_rig_open(&r, p, &v[i], long_enough, MLS_TRAIN, p->seed);
            mls_rig_open(&less, p, &v[i], long_enough, MLS_TRAIN, p->seed);
            if (!mls_run_reuse(less.run, 0)) mls_probe_fail(p, "out of memory");
            mls_run_tape(less.run)->spoils = 1;
            if (masked) r.batch.mask = r.mask, less.batch.mask = less.mask;
            in_less_memory(&r, &less);
            mls_rig_close(&r);
            mls_rig_close(&less);
            mls_arena_release(&p->arena, mark);
        }
}

/* ---- Not a number -------------------------------------------------------------------
 */

static int64_t first_bad(const float *x, int64_t n)
{
    for (int64_t i = 0; i < n; i++)
        if (!isfinite(x[i])) return i;
    return -1;
}

/* Everything of the other samples, against a run without it. */
static void others_same(mls_rig *r, const float *y, const float *want_y,
                        const float *want_states)
{
    const int64_t row = r->B * r->out;
    for (int64_t s = 0; s < r->out_steps; s++)
        mls_probe_same(r->p, r->v, "output of another sample than the one with NaN",
                       y + s * row + r->out, want_y + s * row + r->out, row - r->out,
                       r->B, r->out);
    for (int i = 0; i < mls_run_states(r->run); i++) {
        float *value;
        int64_t width;
        const char *name = mls_run_state(r->run, i, &value, &width, NULL);
        char what[200];
        snprintf(what, sizeof what, "state %s of another sample than the one with NaN",
                 name);
        mls_probe_same(r->p, r->v, what, value + width, want_states + width,
                       (r->B - 1) * width, r->B, width);
        want_states += r->B * width;
    }
}

/* Swallowed: neither an output from that step on nor a state shows it. */
static void shows(mls_rig *r, const float *y, int64_t t)
{
    const int64_t from = r->out_steps == r->T ? t : 0;
    for (int64_t s = from; s < r->out_steps; s++)
        if (first_bad(y + s * r->B * r->out, r->out) >= 0) return;
    for (int i = 0; i < mls_run_states(r->run); i++) {
        float *value;
        int64_t width;
        mls_run_state(r->run, i, &value, &width, NULL);
        if (first_bad(value, width) >= 0) return;
    }
    mls_probe_fail(
        r->p,
        "%s: NaN in the input at step %lld of sample 0 shows in no output and no "
        "state of that sample: it was swallowed, and nobody would hear of it",
        r->v->title, (long long)t);
}

/* The report of training: which op, of which node, at which step of which sample. */
static void named(mls_rig *r, const char *node, int64_t t, int64_t b)
{
    mls_tape_bad bad = {0};
    if (!mls_tape_first_bad(mls_run_tape(r->run), &bad))
        mls_probe_fail(r->p,
                       "%s: NaN at step %lld of sample %lld is in no value of any op",
                       r->v->title, (long long)t, (long long)b);
    if ((t >= 0 && (bad.t != t || bad.b != b)) || (node && strcmp(bad.path, node)))
        mls_probe_fail(
            r->p,
            "%s: NaN put into %s at step %lld of sample %lld is reported as output "
            "%d of op %s in node %s at step %lld, sample %lld, unit %lld",
            r->v->title, node ? node : "the input", (long long)t, (long long)b, bad.out,
            bad.op, bad.path, (long long)bad.t, (long long)bad.b, (long long)bad.n);
}

static void nan_in_input(mls_rig *r, int64_t t)
{
    int64_t count;
    const float *y = mls_values_output(r, NULL, &count);
    const float *states = mls_rig_states(r, NULL);
    float *x = r->x + t * r->B * r->in;
    const float *kept = mls_values_keep(r->p, x, r->in);
    for (int64_t k = 0; k < r->in; k++) x[k] = NAN;
    mls_run_tape(r->run)->check = 1;
    const float *got = mls_rig_fresh(r, NULL);
    named(r, NULL, t, 0);
    others_same(r, got, y, states);
    if (r->out_steps == r->T || t == r->T - 1) shows(r, got, t);
    mls_run_tape(r->run)->check = 0;
    memcpy(x, kept, (size_t)r->in * sizeof *x);
}

static void nan_in_weight(mls_rig *r)
{
    const char *node = mls_rewire_node(r);
    for (int i = 0; i < mls_net_weights(r->net); i++) {
        mls_weight *w = mls_net_weight(r->net, i);
        const float kept = w->data[0];
        if (strcmp(w->node, node)) continue;
        w->data[0] = NAN;
        mls_run_tape(r->run)->check = 1;
        mls_rig_fresh(r, NULL);
        mls_tape_bad bad = {0};
        /* a weight may be read where it decides nothing: then there is nothing to name
         */
        if (mls_tape_first_bad(mls_run_tape(r->run), &bad)) named(r, node, -1, -1);
        mls_run_tape(r->run)->check = 0;
        w->data[0] = kept;
    }
}

static void bad_input(mls_probe *p)
{
    const mls_variant *v;
    const int n = mls_probe_variants(p, &v);
    for (int i = 0; i < n; i++) {
        const mls_mark mark = mls_arena_mark(&p->arena);
        mls_rig r;
        mls_rig_open(&r, p, &v[i], (mls_rig_size){0}, 0, p->seed);
        nan_in_input(&r, r.T - 1);
        nan_in_input(&r, 4);
        nan_in_weight(&r);
        mls_rig_close(&r);
        mls_arena_release(&p->arena, mark);
    }
}

const mls_case mls_cases_states[] = {
    {"state-roundtrip", "States and weights go through a file and continue to the bit",
     MLS_NETWORK_KINDS, 20, state_roundtrip},
    {"rematerialises",
     "Run again in backward, a node gives the same outputs and gradients",
     MLS_NETWORK_KINDS, 20, rematerialises},
    {"reuses-memory", "Backward does without what it says that it does not read",
     MLS_NETWORK_KINDS, 30, reuses_memory},
    {"bad-input", "A NaN is found where it was put and reaches no other sample",
     MLS_NETWORK_KINDS, 20, bad_input},
    {"state-width-honest",
     "Channels are named, as wide as announced, and change nothing", MLS_NETWORK_KINDS,
     20, mls_states_channels},
    {"promises", "What streams has states, and what is random says so",
     MLS_NETWORK_KINDS, 20, mls_states_promises},
    {0}};
