/* channels.c - cases about what a component says of itself: the channels that can be
 * recorded, and its flags.
 */
#include "validate/rewire.h"
#include "validate/states.h"
#include "validate/values.h"

#include <string.h>

/* ---- Channels ---------------------------------------------------------------------
 */

enum { CHANNELS = 256 };

typedef struct watch {
    mls_rig *r;
    mls_channel *list;
    int n;
    const char *node;
    int64_t next[CHANNELS]; /* step that is due                              */
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
        if (strcmp(w->list[i].node, ch->node) || strcmp(w->list[i].name, ch->name))
            continue;
        if (x->dim[2] != w->list[i].width || x->dim[1] != r->B)
            mls_probe_fail(r->p,
                           "%s: channel %s.%s is announced as [%lld][%lld], but is "
                           "[%lld][%lld][%lld]",
                           r->v->title, ch->node, ch->name, (long long)r->B,
                           (long long)w->list[i].width, (long long)x->dim[0],
                           (long long)x->dim[1], (long long)x->dim[2]);
        if (t0 != w->next[i])
            mls_probe_fail(
                r->p,
                "%s: channel %s.%s tells step %lld, expected %lld (is it told twice?)",
                r->v->title, ch->node, ch->name, (long long)t0, (long long)w->next[i]);
        w->next[i] += x->dim[0];
        return;
    }
    mls_probe_fail(r->p,
                   "%s: channel %s.%s is told, but a dry run does not announce it",
                   r->v->title, ch->node, ch->name);
}

static int known_unit(const char *unit)
{
    static const char *const part[] = {
        "",   "1",   "spike", "spikes", "step", "steps", "ms",   "s",     "Hz", "kHz",
        "mV", "V",   "nA",    "mA",     "A",    "nS",    "uS",   "S",     "pF", "nF",
        "F",  "rad", "nat",   "nats",   "bit",  "bits",  "byte", "bytes", "%"};
    char word[24];
    while (unit) {
        const char *slash = strchr(unit, '/');
        const size_t n = slash ? (size_t)(slash - unit) : strlen(unit);
        int found = 0;
        if (n >= sizeof word) return 0;
        memcpy(word, unit, n);
        word[n] = '\0';
        for (size_t i = 0; i < sizeof part / sizeof *part; i++)
            found |= !strcmp(part[i], word);
        if (!found) return 0;
        unit = slash ? slash + 1 : NULL;
    }
    return 1;
}

static int plain(const char *name)
{
    return name && *name &&
           strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
                        "0123456789_~-") == strlen(name);
}

static void announced(watch *w)
{
    mls_rig *r = w->r;
    for (int i = 0; i < w->n; i++) {
        const mls_channel *c = &w->list[i];
        if (!plain(c->name))
            mls_probe_fail(
                r->p, "%s: a channel of %s is called \"%s\": use letters, digits and _",
                r->v->title, c->node, c->name ? c->name : "");
        if (c->width < 1)
            mls_probe_fail(r->p, "%s: channel %s.%s is %lld wide", r->v->title, c->node,
                           c->name, (long long)c->width);
        if (c->unit && !known_unit(c->unit))
            mls_probe_fail(r->p, "%s: unit \"%s\" of channel %s.%s is not known",
                           r->v->title, c->unit, c->node, c->name);
        if (strcmp(c->node, w->node) || r->v->turned || r->v->open) continue;
        if (!c->help || !*c->help)
            mls_probe_warn(r->p, "%s: channel %s.%s has no help", r->v->title, c->node,
                           c->name);
    }
    for (int i = 0; i < mls_run_states(r->run); i++) {
        const char *name = mls_run_state(r->run, i, NULL, NULL, NULL);
        for (int k = 0; k < i; k++)
            if (!strcmp(name, mls_run_state(r->run, k, NULL, NULL, NULL)))
                mls_probe_fail(r->p, "%s: two states are called %s", r->v->title, name);
    }
}

static void channels_of(mls_rig *r)
{
    int64_t count;
    const float *want = mls_values_output(r, NULL, &count);
    const float *states = mls_rig_states(r, NULL);
    watch w = {.r = r, .node = mls_rewire_node(r)};
    w.n = mls_run_channels(r->run, &w.list, &r->p->arena);
    if (w.n > CHANNELS) w.n = CHANNELS;
    if (!w.n) mls_probe_fail(r->p, "%s: no channel can be recorded", r->v->title);
    announced(&w);
    mls_run_observe(r->run, &(mls_observer){&w, any, value});
    mls_probe_same(r->p, r->v, "output while everything is recorded",
                   mls_rig_fresh(r, NULL), want, count, r->B, r->out);
    mls_values_states(r, "while everything is recorded", states, 0.0);
    mls_run_observe(r->run, NULL);
    for (int i = 0; i < w.n; i++) {
        if (w.next[i] == r->T || w.next[i] == 1)
            continue; /* 1: a value a sequence    */
        mls_probe_fail(
            r->p,
            "%s: channel %s.%s tells %lld steps of %lld: expected all, or one value "
            "for the sequence",
            r->v->title, w.list[i].node, w.list[i].name, (long long)w.next[i],
            (long long)r->T);
    }
}

void mls_states_channels(mls_probe *p)
{
    const mls_variant *v;
    const int n = mls_probe_variants(p, &v);
    for (int i = 0; i < n; i++) {
        const mls_mark mark = mls_arena_mark(&p->arena);
        mls_rig r;
        mls_rig_open(&r, p, &v[i], (mls_rig_size){0}, 0, p->seed);
        channels_of(&r);
        mls_rig_close(&r);
        mls_arena_release(&p->arena, mark);
    }
}

/* ---- Promises ---------------------------------------------------------------------
 */

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
    mls_rig_open(&r, p, v, (mls_rig_size){.T = 4}, MLS_SMOOTH, p->seed);
    if (r.out_steps == r.T && !mls_run_states(r.run) && remembers(&r))
        mls_probe_fail(p,
                       "%s: MLS_STREAMS is promised and the output at step 3 depends "
                       "on step 0, but "
                       "there is no state that could carry it from call to call",
                       v->title);
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
        mls_rig_open(&other, p, r->v, (mls_rig_size){.T = 4}, flags, p->seed + 1);
        int64_t n;
        float *to = mls_net_data(other.net, &n);
        memcpy(to, mls_net_data(r->net, &n), (size_t)n * sizeof *to);
        by = "of another network with the same weights";
        at = changed(&other, 0, want, count);
        mls_rig_close(&other);
    }
    if (at >= 0 && !(p->c->flags & MLS_RANDOM))
        mls_probe_fail(
            p,
            "%s: %s the output at step %lld, sample %lld, unit %lld is another for the "
            "same input, but MLS_RANDOM is not among its flags",
            r->v->title, by, (long long)(at / r->out / r->B),
            (long long)(at / r->out % r->B), (long long)(at % r->out));
    return at >= 0;
}

/* Two samples that are alike in all but their keys meet noise of their own. */
static int random_by_sample(mls_rig *r)
{
    int64_t count;
    for (int64_t i = 0; i < r->T * r->B; i++) {
        const int64_t first = i / r->B * r->B;
        r->dt[i] = r->dt[first];
        memcpy(r->x + i * r->in, r->x + first * r->in, (size_t)r->in * sizeof *r->x);
    }
    const float *y = mls_values_output(r, NULL, &count);
    for (int64_t t = 0; t < r->out_steps; t++)
        if (memcmp(y + t * r->B * r->out, y + (t * r->B + 1) * r->out,
                   (size_t)r->out * sizeof *y))
            return 1;
    return 0;
}

void mls_states_promises(mls_probe *p)
{
    const mls_variant *v;
    const int n = mls_probe_variants(p, &v);
    int chance = 0, apart = 0;
    for (int i = 0; i < n; i++) {
        const mls_mark mark = mls_arena_mark(&p->arena);
        streams(p, &v[i]);
        for (unsigned train = 0; train < 2; train++) {
            mls_rig r;
            const unsigned flags = train ? MLS_TRAIN : 0;
            mls_rig_open(&r, p, &v[i], (mls_rig_size){.T = 4}, flags, p->seed);
            chance |= random_in(&r, flags);
            if (p->c->flags & MLS_RANDOM) apart |= random_by_sample(&r);
            mls_rig_close(&r);
        }
        mls_arena_release(&p->arena, mark);
    }
    if ((p->c->flags & MLS_RANDOM) && !chance)
        mls_probe_warn(p, "MLS_RANDOM is among its flags, but nothing was random");
    else if ((p->c->flags & MLS_RANDOM) && !apart)
        mls_probe_warn(p, "samples of one batch meet the same noise: mls->sample_keys "
                          "tells them apart");
}
