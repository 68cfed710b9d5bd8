/* states.c - cases about what a component keeps and shows: states through a file, a forward
 * run again, values that are not finite, channels, and what its flags promise.
 */
#include "rec/record.h"
#include "validate/rewire.h"
#include "validate/values.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* ---- Through a file ---------------------------------------------------------------- */

static mls_bundle bundle(mls_rig *r)
{
    mls_arena *a = &r->p->arena;
    mls_bundle b = { .arena = a };
    mls_run_bundle(r->run, &b);
    for (int i = 0; i < mls_net_weights(r->net); i++) {
        mls_weight *w = mls_net_weight(r->net, i);
        mls_bundle_add(&b, mls_arena_printf(a, "weight/%s", w->name), MLS_B_F32, w->data, 2,
                       (int64_t[]){ w->rows, w->cols });
    }
    return b;
}

/* A file name that nobody else has; the file is removed before anything is judged. */
static char *temporary(mls_probe *p)
{
    const char *dir = getenv("TMPDIR");
    char *path = mls_arena_printf(&p->arena, "%s/mls-validate-XXXXXX", dir && *dir ? dir : "/tmp");
    const int fd = mkstemp(path);
    if (fd < 0) mls_probe_fail(p, "no temporary file can be made: %s", path);
    close(fd);
    return path;
}

typedef struct loaded {
    int       ok, misfit;        /* loaded; a bundle that does not fit was loaded too      */
    mls_error why, missing;
} loaded;

/* Saves what r holds and loads it into `other`, and also into a bundle with one array more.*/
static loaded through_file(mls_rig *r, mls_rig *other)
{
    mls_probe *p = r->p;
    loaded l = { 0 };
    mls_bundle from = bundle(r), to = bundle(other), more = bundle(other);
    float spare[4] = { 0 };
    char *path = temporary(p), *note;
    mls_bundle_add(&more, "state/of_nobody.x", MLS_B_F32, spare, 2, (int64_t[]){ 2, 2 });
    mls_rec_init();
    l.ok = mls_checkpoint_save(path, &from, "{}", &l.why)
           && mls_checkpoint_load(path, &to, &note, &p->arena, &l.why);
    l.misfit = mls_checkpoint_load(path, &more, &note, &p->arena, &l.missing);
    unlink(path);
    return l;
}

/* r goes on after the save while `other` takes over; in between r runs something else, so
 * that what is kept beside the states cannot be right by chance.                         */
static void roundtrip(mls_rig *r, mls_rig *other)
{
    mls_probe *p = r->p;
    const int64_t half = r->T / 2, steps = r->out_steps == r->T ? r->T - half : 1;
    mls_batch first = mls_rig_piece(r, 0, half), rest = mls_rig_piece(r, half, r->T - half);
    const int64_t count = steps * r->B * r->out;
    mls_rig_fresh(r, &first);
    const loaded l = through_file(r, other);
    if (!l.ok) mls_probe_fail(p, "%s: states and weights do not come back: %s", r->v->title, l.why.text);
    if (l.misfit || !strstr(l.missing.text, "of_nobody"))
        mls_probe_fail(p, "%s: a checkpoint that lacks a state was not refused: %s", r->v->title,
                       l.missing.text);
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
    mls_rig_open(&wide, p, r->v, (mls_rig_size){ .width = 24 }, r->flags, p->seed);
    const loaded l = through_file(r, &wide);
    if (l.ok || !strstr(l.why.text, "misshapen"))
        mls_probe_fail(p, "%s: a checkpoint of another width was not refused: %s", r->v->title,
                       l.why.text);
    mls_rig_close(&wide);
}

static void state_roundtrip(mls_probe *p)
{
    const mls_variant *v;
    const int n = mls_probe_variants(p, &v);
    for (int i = 0; i < n; i++) {
        const mls_mark mark = mls_arena_mark(&p->arena);
        mls_rig r, other;
        mls_rig_open(&r, p, &v[i], (mls_rig_size){ 0 }, 0, p->seed);
        mls_rig_open(&other, p, &v[i], (mls_rig_size){ 0 }, 0, p->seed + 1);
        roundtrip(&r, &other);
        if (i == 0) refuses(&r);
        mls_rig_close(&r);
        mls_rig_close(&other);
        mls_arena_release(&p->arena, mark);
    }
}

/* ---- Run again in backward ----------------------------------------------------------- */

static void again(mls_rig *r, mls_rig *remat)
{
    int64_t count;
    const float *want = mls_values_output(r, NULL, &count);
    mls_probe_same(r->p, r->v, "output of a node under remat", mls_rig_fresh(remat, NULL), want, count,
                   r->B, r->out);
    mls_rig_backward(r);
    mls_rig_backward(remat);
    mls_values_grads(remat, "of a node under remat", mls_net_grad(r->net), 1e-6);
    mls_values_states(remat, "of a node under remat", mls_rig_states(r, NULL), 0.0);
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
        mls_error e = { 0 };
        mls_rig_open(&r, p, &v[i], (mls_rig_size){ 0 }, MLS_TRAIN, p->seed);
        mls_value *spec = mls_net_resolved(r.net, a), *list = mls_value_list(a);
        mls_value_push(a, list, mls_value_string(a, mls_rewire_name(&r)));
        mls_value_set(a, spec, "remat", list);
        if (!mls_rewire_open(&remat, &r, spec, &e)) mls_probe_fail(p, "%s: %s", v[i].title, e.text);
        again(&r, &remat);
        mls_rig_close(&r);
        mls_rig_close(&remat);
        mls_arena_release(a, mark);
    }
}

/* ---- Not a number ------------------------------------------------------------------- */

static int64_t first_bad(const float *x, int64_t n)
{
    for (int64_t i = 0; i < n; i++)
        if (!isfinite(x[i])) return i;
    return -1;
}

/* Everything of the other samples, against a run without it. */
static void others_same(mls_rig *r, const float *y, const float *want_y, const float *want_states)
{
    const int64_t row = r->B * r->out;
    for (int64_t s = 0; s < r->out_steps; s++)
        mls_probe_same(r->p, r->v, "output of another sample than the one with NaN",
                       y + s * row + r->out, want_y + s * row + r->out, row - r->out, r->B, r->out);
    for (int i = 0; i < mls_run_states(r->run); i++) {
        float *value;
        int64_t width;
        const char *name = mls_run_state(r->run, i, &value, &width, NULL);
        char what[200];
        snprintf(what, sizeof what, "state %s of another sample than the one with NaN", name);
        mls_probe_same(r->p, r->v, what, value + width, want_states + width, (r->B - 1) * width,
                       r->B, width);
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
    mls_probe_fail(r->p, "%s: NaN in the input at step %lld of sample 0 shows in no output and no "
                   "state of that sample: it was swallowed, and nobody would hear of it",
                   r->v->title, (long long)t);
}

/* The report of training: which op, of which node, at which step of which sample. */
static void named(mls_rig *r, const char *node, int64_t t, int64_t b)
{
    mls_tape_bad bad = { 0 };
    if (!mls_tape_first_bad(mls_run_tape(r->run), &bad))
        mls_probe_fail(r->p, "%s: NaN at step %lld of sample %lld is in no value of any op",
                       r->v->title, (long long)t, (long long)b);
    if ((t >= 0 && (bad.t != t || bad.b != b)) || (node && strcmp(bad.path, node)))
        mls_probe_fail(r->p, "%s: NaN put into %s at step %lld of sample %lld is reported as output "
                       "%d of op %s in node %s at step %lld, sample %lld, unit %lld", r->v->title,
                       node ? node : "the input", (long long)t, (long long)b, bad.out, bad.op,
                       bad.path, (long long)bad.t, (long long)bad.b, (long long)bad.n);
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
        mls_tape_bad bad = { 0 };
        /* a weight may be read where it decides nothing: then there is nothing to name   */
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
        mls_rig_open(&r, p, &v[i], (mls_rig_size){ 0 }, 0, p->seed);
        nan_in_input(&r, r.T - 1);
        nan_in_input(&r, 4);
        nan_in_weight(&r);
        mls_rig_close(&r);
        mls_arena_release(&p->arena, mark);
    }
}

/* ---- Channels --------------------------------------------------------------------- */

enum { CHANNELS = 256 };

typedef struct watch {
    mls_rig     *r;
    mls_channel *list;
    int          n;
    const char  *node;
    int64_t      next[CHANNELS];          /* step that is due                              */
} watch;

static int any(void *arg, const char *node, const char *name)
{
    (void)arg, (void)node, (void)name;
    return 1;
}

static void value(void *arg, const mls_channel *ch, mls_t x, int64_t t0)
{
    watch *w = arg;
    mls_rig *r = w->r;
    for (int i = 0; i < w->n; i++) {
        if (strcmp(w->list[i].node, ch->node) || strcmp(w->list[i].name, ch->name)) continue;
        if (x->dim[2] != w->list[i].width || x->dim[1] != r->B)
            mls_probe_fail(r->p, "%s: channel %s.%s is announced as [%lld][%lld], but is "
                           "[%lld][%lld][%lld]", r->v->title, ch->node, ch->name, (long long)r->B,
                           (long long)w->list[i].width, (long long)x->dim[0], (long long)x->dim[1],
                           (long long)x->dim[2]);
        if (t0 != w->next[i])
            mls_probe_fail(r->p, "%s: channel %s.%s tells step %lld, expected %lld (is it told twice?)",
                           r->v->title, ch->node, ch->name, (long long)t0, (long long)w->next[i]);
        w->next[i] += x->dim[0];
        return;
    }
    mls_probe_fail(r->p, "%s: channel %s.%s is told, but a dry run does not announce it", r->v->title,
                   ch->node, ch->name);
}

static int known_unit(const char *unit)
{
    static const char *const part[] = { "", "1", "spike", "spikes", "step", "steps", "ms", "s", "Hz",
                                        "kHz", "mV", "V", "nA", "mA", "A", "nS", "uS", "S", "pF", "nF",
                                        "F", "rad", "nat", "nats", "bit", "bits", "byte", "bytes", "%" };
    char word[24];
    while (unit) {
        const char *slash = strchr(unit, '/');
        const size_t n = slash ? (size_t)(slash - unit) : strlen(unit);
        int found = 0;
        if (n >= sizeof word) return 0;
        memcpy(word, unit, n);
        word[n] = '\0';
        for (size_t i = 0; i < sizeof part / sizeof *part; i++) found |= !strcmp(part[i], word);
        if (!found) return 0;
        unit = slash ? slash + 1 : NULL;
    }
    return 1;
}

static int plain(const char *name)
{
    return name && *name && strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
                                         "0123456789_~-") == strlen(name);
}

static void announced(watch *w)
{
    mls_rig *r = w->r;
    for (int i = 0; i < w->n; i++) {
        const mls_channel *c = &w->list[i];
        if (!plain(c->name))
            mls_probe_fail(r->p, "%s: a channel of %s is called \"%s\": use letters, digits and _",
                           r->v->title, c->node, c->name ? c->name : "");
        if (c->width < 1)
            mls_probe_fail(r->p, "%s: channel %s.%s is %lld wide", r->v->title, c->node, c->name,
                           (long long)c->width);
        if (c->unit && !known_unit(c->unit))
            mls_probe_fail(r->p, "%s: unit \"%s\" of channel %s.%s is not known", r->v->title, c->unit,
                           c->node, c->name);
        if (strcmp(c->node, w->node)) continue;
        if (!c->help || !*c->help)
            mls_probe_warn(r->p, "%s: channel %s.%s has no help", r->v->title, c->node, c->name);
    }
    for (int i = 0; i < mls_run_states(r->run); i++) {
        const char *name = mls_run_state(r->run, i, NULL, NULL, NULL);
        for (int k = 0; k < i; k++)
            if (!strcmp(name, mls_run_state(r->run, k, NULL, NULL, NULL)))
                mls_probe_fail(r->p, "%s: two states are called %s", r->v->title, name);
    }
}

/* Is channel i a state?  One is told of it a sequence, not one a step. */
static int is_state(mls_rig *r, const mls_channel *c)
{
    const size_t n = strlen(c->node);
    for (int i = 0; i < mls_run_states(r->run); i++) {
        const char *name = mls_run_state(r->run, i, NULL, NULL, NULL);
        if (!strncmp(name, c->node, n) && name[n] == '.' && !strcmp(name + n + 1, c->name)) return 1;
    }
    return 0;
}

static void channels_of(mls_rig *r)
{
    int64_t count;
    const float *want = mls_values_output(r, NULL, &count);
    const float *states = mls_rig_states(r, NULL);
    watch w = { .r = r, .node = mls_rewire_node(r) };
    w.n = mls_run_channels(r->run, &w.list, &r->p->arena);
    if (w.n > CHANNELS) w.n = CHANNELS;
    if (!w.n) mls_probe_fail(r->p, "%s: no channel can be recorded", r->v->title);
    announced(&w);
    mls_run_observe(r->run, &(mls_observer){ &w, any, value });
    mls_probe_same(r->p, r->v, "output while everything is recorded", mls_rig_fresh(r, NULL), want,
                   count, r->B, r->out);
    mls_values_states(r, "while everything is recorded", states, 0.0);
    mls_run_observe(r->run, NULL);
    for (int i = 0; i < w.n; i++) {
        if (w.next[i] == r->T || (w.next[i] == 1 && (r->out_steps == 1 || is_state(r, &w.list[i]))))
            continue;
        mls_probe_fail(r->p, "%s: channel %s.%s tells %lld of %lld steps", r->v->title, w.list[i].node,
                       w.list[i].name, (long long)w.next[i], (long long)r->T);
    }
}

static void state_width_honest(mls_probe *p)
{
    const mls_variant *v;
    const int n = mls_probe_variants(p, &v);
    for (int i = 0; i < n; i++) {
        const mls_mark mark = mls_arena_mark(&p->arena);
        mls_rig r;
        mls_rig_open(&r, p, &v[i], (mls_rig_size){ 0 }, 0, p->seed);
        channels_of(&r);
        mls_rig_close(&r);
        mls_arena_release(&p->arena, mark);
    }
}

/* ---- Promises --------------------------------------------------------------------- */

/* Does the last output depend on the first step? */
static int remembers(mls_rig *r)
{
    int64_t count;
    const int64_t row = r->B * r->out;
    const float *y = mls_values_output(r, NULL, &count);
    for (int64_t k = 0; k < r->B * r->in; k++) r->x[k] = r->x[k] == 1.0f ? 0.0f : 1.0f;
    const float *z = mls_rig_fresh(r, NULL);
    return memcmp(y + count - row, z + count - row, (size_t)row * sizeof *y) != 0;
}

static void streams(mls_probe *p, const mls_variant *v)
{
    mls_rig r;
    if (!(v->promises & MLS_STREAMS)) return;
    mls_rig_open(&r, p, v, (mls_rig_size){ .T = 4 }, MLS_SMOOTH, p->seed);
    if (r.out_steps == r.T && !mls_run_states(r.run) && remembers(&r))
        mls_probe_fail(p, "%s: MLS_STREAMS is promised and the output at step 3 depends on step 0, but "
                       "there is no state that could carry it from call to call", v->title);
    mls_rig_close(&r);
}

static int64_t changed(mls_rig *r, uint64_t step, const float *want, int64_t count)
{
    mls_run_reset(r->run);
    const mls_t y = mls_run_forward(r->run, &r->batch, step);
    if (!y) mls_probe_fail(r->p, "%s: %s", r->v->title, mls_run_error(r->run)->text);
    for (int64_t i = 0; i < count; i++)
        if (memcmp(y->data + i, want + i, sizeof *want)) return i;
    return -1;
}

/* Chance comes in by the number of the step and by the network's seed. */
static int random_in(mls_rig *r, unsigned flags)
{
    mls_probe *p = r->p;
    mls_rig other;
    int64_t count;
    const float *want = mls_values_output(r, NULL, &count);
    int64_t at = changed(r, 1, want, count);
    const char *by = "of another training step";
    if (at < 0) {
        mls_rig_open(&other, p, r->v, (mls_rig_size){ .T = 4 }, flags, p->seed + 1);
        int64_t n;
        memcpy(mls_net_data(other.net, &n), mls_net_data(r->net, &n), (size_t)n * sizeof(float));
        by = "of another network with the same weights";
        at = changed(&other, 0, want, count);
        mls_rig_close(&other);
    }
    if (at >= 0 && !(p->c->flags & MLS_RANDOM))
        mls_probe_fail(p, "%s: %s the output at step %lld, sample %lld, unit %lld is another for the "
                       "same input, but MLS_RANDOM is not among its flags", r->v->title, by,
                       (long long)(at / r->out / r->B), (long long)(at / r->out % r->B),
                       (long long)(at % r->out));
    return at >= 0;
}

static void promises(mls_probe *p)
{
    const mls_variant *v;
    const int n = mls_probe_variants(p, &v);
    int chance = 0;
    for (int i = 0; i < n; i++) {
        const mls_mark mark = mls_arena_mark(&p->arena);
        streams(p, &v[i]);
        for (unsigned train = 0; train < 2; train++) {
            mls_rig r;
            const unsigned flags = train ? MLS_TRAIN : 0;
            mls_rig_open(&r, p, &v[i], (mls_rig_size){ .T = 4 }, flags, p->seed);
            chance |= random_in(&r, flags);
            mls_rig_close(&r);
        }
        mls_arena_release(&p->arena, mark);
    }
    if ((p->c->flags & MLS_RANDOM) && !chance)
        mls_probe_warn(p, "MLS_RANDOM is among its flags, but nothing was random");
}

const mls_case mls_cases_states[] = {
    { "state-roundtrip", "States and weights go through a file and continue to the bit",
      MLS_NETWORK_KINDS, 20, state_roundtrip },
    { "rematerialises", "Run again in backward, a node gives the same outputs and gradients",
      MLS_NETWORK_KINDS, 20, rematerialises },
    { "bad-input", "A NaN is found where it was put and reaches no other sample",
      MLS_NETWORK_KINDS, 20, bad_input },
    { "state-width-honest", "Channels are named, as wide as announced, and change nothing",
      MLS_NETWORK_KINDS, 20, state_width_honest },
    { "promises", "What streams has states, and what is random says so", MLS_NETWORK_KINDS, 20,
      promises },
    { 0 }
};
