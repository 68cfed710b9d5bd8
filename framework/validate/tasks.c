/* tasks.c - cases of tasks: where samples come from. */
#include "validate/probe.h"
#include "validate/settings.h"

#include "train/feed.h"

#include <math.h>
#include <string.h>

enum { TRIES = 8, CANARY = 16, STEPS_MOST = 1 << 20 };

typedef struct source {
    mls_probe      *p;
    mls_feed       *feed;
    mls_task_shape  shape;
    const mls_task *task;
    const void     *self;
    mls_error       e;
    mls_ctx         ctx;
} source;

/* A sample with room for canaries behind each array. */
typedef struct buffer { mls_sample s; int64_t n_x, n_label, n_target; } buffer;

static const char *const SPLIT[] = { "training", "validation", "test" };
static const unsigned char MARK = 0xA5;

/* Does it need something to read that its defaults do not name? */
static int needs_file(const mls_probe *p)
{
    const mls_option *o;
    for (int i = 0; (o = mls_plug_option(p->registry, p->c, i)); i++)
        if (o->type == MLS_STRING) return 1;
    return 0;
}

static int open_with(source *s, mls_probe *p, const mls_value *set)
{
    mls_value *spec = set ? mls_value_copy(&p->arena, set) : mls_value_map(&p->arena);
    mls_value_set(&p->arena, spec, "component",
                  mls_value_string(&p->arena, mls_arena_printf(&p->arena, "%s.%s", p->c->kind,
                                                               p->c->name)));
    *s = (source){ .p = p };
    s->feed = mls_feed_open(p->registry, spec, p->seed, &s->e);
    if (!s->feed) return 0;
    s->shape = *mls_feed_shape(s->feed);
    s->task = mls_feed_task(s->feed, &s->self);
    s->ctx = (mls_ctx){ &s->e, p->target->name, NULL, &p->arena, p->seed, NULL, p->c };
    return 1;
}

static void open_default(source *s, mls_probe *p)
{
    if (open_with(s, p, NULL)) {
        if (s->shape.steps > STEPS_MOST) mls_probe_skip(p, "a sample is too long to try");
        return;
    }
    if (needs_file(p)) mls_probe_skip(p, "it needs a file: %s", s->e.text);
    mls_probe_fail(p, "with its defaults it does not open: %s", s->e.text);
}

static void *marked(mls_probe *p, int64_t n, size_t size)
{
    char *x = mls_arena_alloc(&p->arena, (size_t)n * size + CANARY);
    if (!x) mls_probe_fail(p, "out of memory");
    memset(x + (size_t)n * size, MARK, CANARY);
    return x;
}

static buffer make(const source *s)
{
    const mls_task_shape *h = &s->shape;
    const int64_t rows = h->per_step ? h->steps : 1;
    buffer b = { .n_x = h->vocabulary ? 0 : h->steps * h->input,
                 .n_label = h->loss == MLS_CROSS_ENTROPY ? rows : 0,
                 .n_target = h->loss != MLS_CROSS_ENTROPY ? rows * h->output : 0 };
    b.s.dt = marked(s->p, h->steps, sizeof(float));
    if (h->vocabulary) b.s.token = marked(s->p, h->steps, sizeof(int32_t));
    if (b.n_x) b.s.x = marked(s->p, b.n_x, sizeof(float));
    b.s.label = marked(s->p, b.n_label ? b.n_label : 1, sizeof(int32_t));
    b.s.target = marked(s->p, b.n_target ? b.n_target : 1, sizeof(float));
    return b;
}

static void preset(const source *s, buffer *b)
{
    b->s.steps = s->shape.steps;
    for (int64_t t = 0; t < s->shape.steps; t++) b->s.dt[t] = 1.0f;
    if (b->s.token) memset(b->s.token, 0, (size_t)s->shape.steps * sizeof(int32_t));
    if (b->s.x) memset(b->s.x, 0, (size_t)b->n_x * sizeof(float));
    for (int64_t i = 0; i < b->n_label; i++) b->s.label[i] = -1;
    for (int64_t i = 0; i < b->n_target; i++) b->s.target[i] = NAN;
}

static void fill(source *s, buffer *b, int split, int64_t index, uint64_t key)
{
    preset(s, b);
    s->task->fill(&s->ctx, s->self, split, index, key, &b->s);
    if (s->e.set) mls_probe_fail(s->p, "fill(%s, %lld): %s", SPLIT[split], (long long)index, s->e.text);
}

/* Samples spread over a split. */
static int64_t index_at(const source *s, int split, int i)
{
    const int64_t n = s->task->count(s->self, split);
    return n > TRIES ? i * (n / TRIES) : i;
}

static int tries(const source *s, int split)
{
    const int64_t n = s->task->count(s->self, split);
    return n > TRIES ? TRIES : (int)n;
}

static uint64_t key_of(int split, int64_t index)
{
    return (uint64_t)index * 0x9e3779b97f4a7c15u + (uint64_t)split + 1;
}

/* ---- cases -------------------------------------------------------------------------------- */

static void opens(mls_probe *p)
{
    source s;
    if (open_with(&s, p, NULL)) {
        int64_t n = 0;
        for (int split = 0; split < 3; split++) n += s.task->count(s.self, split);
        if (s.shape.steps < 1 || n < 1)
            mls_probe_fail(p, "it opens, with %lld steps and %lld samples, and says nothing",
                           (long long)s.shape.steps, (long long)n);
        return;
    }
    if (!*s.e.text) mls_probe_fail(p, "it does not open and does not say why");
    if (!needs_file(p)) mls_probe_fail(p, "with its defaults it does not open: %s", s.e.text);
    mls_probe_note(p, "needs a file: %s", s.e.text);
}

static void shape(mls_probe *p)
{
    source s;
    open_default(&s, p);
    const mls_task_shape *h = &s.shape;
    if (!h->vocabulary == !h->input)
        mls_probe_fail(p, "vocabulary is %lld and input %lld: exactly one of them is to be 0",
                       (long long)h->vocabulary, (long long)h->input);
    if (h->steps < 1 || h->output < 1 || h->vocabulary < 0 || h->input < 0)
        mls_probe_fail(p, "steps %lld, output %lld, vocabulary %lld, input %lld",
                       (long long)h->steps, (long long)h->output, (long long)h->vocabulary,
                       (long long)h->input);
    if (h->loss < MLS_CROSS_ENTROPY || h->loss > MLS_BINARY)
        mls_probe_fail(p, "loss is %d, which is none", h->loss);
    if (h->is_text && !h->vocabulary) mls_probe_fail(p, "is_text without a vocabulary");
    if (s.task->count(s.self, MLS_TRAINING) < 1) mls_probe_fail(p, "it has no training samples");
    for (int i = 0; i < 3; i++)
        if (s.task->count(s.self, i) < 0)
            mls_probe_fail(p, "count(%s) is %lld", SPLIT[i], (long long)s.task->count(s.self, i));
}

static int same_sample(const source *s, const buffer *a, const buffer *b)
{
    const size_t T = (size_t)s->shape.steps;
    return a->s.steps == b->s.steps && !memcmp(a->s.dt, b->s.dt, T * sizeof(float)) &&
           (!a->s.token || !memcmp(a->s.token, b->s.token, T * sizeof(int32_t))) &&
           (!a->s.x || !memcmp(a->s.x, b->s.x, (size_t)a->n_x * sizeof(float))) &&
           !memcmp(a->s.label, b->s.label, (size_t)a->n_label * sizeof(int32_t)) &&
           !memcmp(a->s.target, b->s.target, (size_t)a->n_target * sizeof(float));
}

static void pure(mls_probe *p)
{
    source s;
    open_default(&s, p);
    buffer first[TRIES], again = make(&s);
    for (int split = 0; split < 3; split++) {
        const int n = tries(&s, split);
        for (int i = 0; i < n; i++) {
            if (!split) first[i] = make(&s);
            fill(&s, &first[i], split, index_at(&s, split, i), key_of(split, i));
        }
        for (int i = n - 1; i >= 0; i--) {
            fill(&s, &again, split, index_at(&s, split, i), key_of(split, i));
            if (!same_sample(&s, &first[i], &again))
                mls_probe_fail(p, "sample %lld of %s is another one the second time, with the "
                               "same key", (long long)index_at(&s, split, i), SPLIT[split]);
        }
        if (split == 0)
            for (int i = n; i < TRIES; i++) first[i] = make(&s);
    }
}

static void check_canary(const source *s, const void *array, int64_t n, size_t size,
                         const char *what)
{
    for (int i = 0; array && i < CANARY; i++)
        if (((const unsigned char *)array)[(size_t)n * size + (size_t)i] != MARK)
            mls_probe_fail(s->p, "fill writes behind the end of %s[%lld]", what, (long long)n);
}

static void check_sample(const source *s, const buffer *b, int split, int64_t index)
{
    const mls_task_shape *h = &s->shape;
    mls_probe *p = s->p;
    const char *w = SPLIT[split];
    const long long at = (long long)index, T = (long long)b->s.steps;
    if (b->s.steps < 1 || b->s.steps > h->steps)
        mls_probe_fail(p, "sample %lld of %s has %lld steps, expected 1 to %lld", at, w, T,
                       (long long)h->steps);
    if (b->s.steps < h->steps && !h->has_mask)
        mls_probe_fail(p, "sample %lld of %s has %lld of %lld steps, but has_mask is 0", at, w, T,
                       (long long)h->steps);
    for (int64_t t = 0; t < b->s.steps; t++) {
        if (b->s.token && (b->s.token[t] < 0 || b->s.token[t] >= h->vocabulary))
            mls_probe_fail(p, "token[%lld] of sample %lld of %s is %d, expected 0 to %lld",
                           (long long)t, at, w, b->s.token[t], (long long)h->vocabulary - 1);
        if (!(b->s.dt[t] >= 0.0f) || !isfinite(b->s.dt[t]))
            mls_probe_fail(p, "dt[%lld] of sample %lld of %s is %g", (long long)t, at, w,
                           (double)b->s.dt[t]);
        if (b->s.dt[t] != 1.0f && !h->has_dt)
            mls_probe_fail(p, "dt[%lld] of sample %lld of %s is %g, but has_dt is 0",
                           (long long)t, at, w, (double)b->s.dt[t]);
        for (int64_t i = 0; b->s.x && i < h->input; i++)
            if (!isfinite(b->s.x[t * h->input + i]))
                mls_probe_fail(p, "x[%lld][%lld] of sample %lld of %s is %g", (long long)t,
                               (long long)i, at, w, (double)b->s.x[t * h->input + i]);
    }
    for (int64_t i = 0; i < b->n_label; i++)
        if (b->s.label[i] < -1 || b->s.label[i] >= h->output)
            mls_probe_fail(p, "label[%lld] of sample %lld of %s is %d, expected -1 to %lld",
                           (long long)i, at, w, b->s.label[i], (long long)h->output - 1);
    for (int64_t i = 0; i < b->n_target; i++)
        if (isinf(b->s.target[i]))
            mls_probe_fail(p, "target[%lld] of sample %lld of %s is infinite", (long long)i, at, w);
    check_canary(s, b->s.dt, h->steps, sizeof(float), "dt");
    check_canary(s, b->s.token, h->steps, sizeof(int32_t), "token");
    check_canary(s, b->s.x, b->n_x, sizeof(float), "x");
    check_canary(s, b->s.label, b->n_label ? b->n_label : 1, sizeof(int32_t), "label");
    check_canary(s, b->s.target, b->n_target ? b->n_target : 1, sizeof(float), "target");
}

static void in_range(mls_probe *p)
{
    source s;
    open_default(&s, p);
    buffer b = make(&s);
    for (int split = 0; split < 3; split++)
        for (int i = 0; i < tries(&s, split); i++) {
            const int64_t index = index_at(&s, split, i);
            fill(&s, &b, split, index, key_of(split, i));
            check_sample(&s, &b, split, index);
        }
}

/* Keys differ between splits, so generated samples must; read ones must by their index. */
static void splits_differ(mls_probe *p)
{
    source s;
    open_default(&s, p);
    buffer a = make(&s), b = make(&s);
    for (int split = 1; split < 3; split++) {
        const int n = tries(&s, split) < tries(&s, 0) ? tries(&s, split) : tries(&s, 0);
        int same = 0;
        for (int i = 0; i < n; i++) {
            fill(&s, &a, MLS_TRAINING, i, key_of(0, i));
            fill(&s, &b, split, i, key_of(split, i));
            same += same_sample(&s, &a, &b);
        }
        if (n && same == n)
            mls_probe_fail(p, "the first %d samples of %s are those of training", n, SPLIT[split]);
    }
}

static void scored(mls_probe *p)
{
    source s;
    open_default(&s, p);
    buffer b = make(&s);
    for (int split = 0; split < 3; split++) {
        int64_t n = 0;
        for (int i = 0; i < tries(&s, split); i++) {
            fill(&s, &b, split, index_at(&s, split, i), key_of(split, i));
            for (int64_t k = 0; k < b.n_label; k++) n += b.s.label[k] >= 0;
            for (int64_t k = 0; k < b.n_target; k++) n += !isnan(b.s.target[k]);
        }
        if (!n && tries(&s, split))
            mls_probe_fail(p, "none of %d samples of %s has a position that is scored",
                           tries(&s, split), SPLIT[split]);
    }
}

static void spelling(mls_probe *p)
{
    source s;
    open_default(&s, p);
    if (!s.task->spell && !s.task->token) mls_probe_skip(p, "it does not spell its tokens");
    if (!s.task->spell || !s.task->token) mls_probe_fail(p, "it has one of spell and token only");
    if (s.task->spell(s.self, -1) || s.task->spell(s.self, (int32_t)s.shape.vocabulary))
        mls_probe_fail(p, "it spells a token that is outside of its vocabulary");
    for (int32_t t = 0; t < s.shape.vocabulary; t++) {
        const char *text = s.task->spell(s.self, t);
        int used = 0;
        if (!text) continue;
        const int32_t back = s.task->token(s.self, text, &used);
        if (back != t || used != (int)strlen(text))
            mls_probe_fail(p, "token %d is spelt \"%s\", which is read as token %d (%d bytes)", t,
                           text, back, used);
    }
}

static mls_value *at_bound(mls_probe *p, const mls_option *o, int which)
{
    const double cap = 4096.0, lo = o->min < o->max ? o->min : o->def;
    const double hi = o->min < o->max && o->max < cap ? o->max : fmax(lo, fmin(cap, o->def * 2 + 8));
    const double u = 0.5 + 0.5 * (double)mls_probe_noise(p->seed, (uint64_t)which);
    const double x = which == 0 ? lo : which == 1 ? hi : lo + (hi - lo) * u;
    if (o->type == MLS_INT) return mls_value_int(&p->arena, (int64_t)x);
    if (o->type == MLS_REAL) return mls_value_real(&p->arena, x);
    return NULL;
}

static void bounds(mls_probe *p)
{
    const mls_option *o;
    source s;
    open_default(&s, p);
    for (int i = 0; (o = mls_plug_option(p->registry, p->c, i)); i++)
        for (int which = 0; which < 4; which++) {
            mls_value *x = at_bound(p, o, which), *set = mls_value_map(&p->arena);
            if (!x) break;
            mls_value_set(&p->arena, set, o->name, x);
            if (!open_with(&s, p, set)) {
                if (!*s.e.text) mls_probe_fail(p, "%s at a bound: it fails without a word", o->name);
                continue;
            }
            if (s.shape.steps > STEPS_MOST || s.shape.steps < 1) continue;
            buffer b = make(&s);
            for (int split = 0; split < 3; split++)
                if (s.task->count(s.self, split) > 0) {
                    fill(&s, &b, split, 0, key_of(split, 0));
                    check_sample(&s, &b, split, 0);
                }
            mls_feed_free(s.feed);
        }
}

/* ---- every option has an effect */

static uint64_t mixed(uint64_t h, const void *data, int64_t bytes)
{
    const unsigned char *b = data;
    for (int64_t i = 0; b && i < bytes; i++) h = (h ^ b[i]) * UINT64_C(0x100000001b3);
    return h;
}

/* Of the shape, the counts and some samples; 0: it does not open so. */
static uint64_t print_of(mls_probe *p, const mls_value *set)
{
    source s;
    uint64_t h = UINT64_C(0xcbf29ce484222325);
    if (!open_with(&s, p, set)) return 0;
    const mls_task_shape *k = &s.shape;
    h = mixed(h, k, sizeof *k);
    buffer b = k->steps > STEPS_MOST ? (buffer){ 0 } : make(&s);
    for (int split = 0; split < 3; split++) {
        const int64_t n = s.task->count(s.self, split);
        h = mixed(h, &n, sizeof n);
        for (int i = 0; b.s.dt && i < tries(&s, split); i++) {
            fill(&s, &b, split, index_at(&s, split, i), key_of(split, i));
            h = mixed(h, &b.s.steps, sizeof b.s.steps);
            h = mixed(h, b.s.dt, k->steps * (int64_t)sizeof(float));
            h = mixed(h, b.s.token, b.s.token ? k->steps * (int64_t)sizeof(int32_t) : 0);
            h = mixed(h, b.s.x, b.n_x * (int64_t)sizeof(float));
            h = mixed(h, b.s.label, b.n_label * (int64_t)sizeof(int32_t));
            h = mixed(h, b.s.target, b.n_target * (int64_t)sizeof(float));
        }
    }
    mls_feed_free(s.feed);
    return h | 1;
}

/* With a choice or a switch turned (or none of them), one of the values has an effect. */
static int has_effect(mls_probe *p, const mls_option *o, mls_value *only)
{
    const mls_option *turn = NULL;
    for (int i = -1; i < 0 || (turn = mls_plug_option(p->registry, p->c, i)); i++) {
        const int kind = i < 0 ? MLS_BOOL : (int)turn->type;
        if (turn == o || (kind != MLS_BOOL && kind != MLS_CHOICE)) continue;
        mls_value *x = NULL, *y;
        for (int k = 0; i < 0 ? !k : (x = mls_settings_other(p, turn, k)) != NULL; k++) {
            mls_value *set = mls_value_map(&p->arena);
            if (x) mls_value_set(&p->arena, set, turn->name, x);
            const uint64_t base = print_of(p, set);
            for (int which = 0; base && (y = only ? only : mls_settings_other(p, o, which)); which++) {
                mls_value *with = mls_value_copy(&p->arena, set);
                mls_value_set(&p->arena, with, o->name, y);
                const uint64_t h = print_of(p, with);
                if (h && h != base) return 1;
                if (only) break;
            }
        }
    }
    return 0;
}

static void options_matter(mls_probe *p)
{
    const mls_option *o;
    mls_value *x;
    source s;
    open_default(&s, p);
    for (int i = 0; (o = mls_plug_option(p->registry, p->c, i)); i++) {
        if (o->type == MLS_STRING) continue;
        if (o->type != MLS_CHOICE && !has_effect(p, o, NULL))
            mls_probe_fail(p, "%s changes neither shape, nor counts, nor samples", o->name);
        for (int k = 0; o->type == MLS_CHOICE && (x = mls_settings_other(p, o, k)); k++)
            if (!has_effect(p, o, x))
                mls_probe_fail(p, "%s = %s gives the samples of its default", o->name, x->string);
    }
}

const mls_case mls_cases_tasks[] = {
    { "opens-or-says-why", "With its defaults it opens, or says what it needs",
      MLS_TASKS_ONLY, 10, opens },
    { "task-shape-sane", "It has either tokens or values, and something to answer",
      MLS_TASKS_ONLY, 10, shape },
    { "fill-is-pure", "A sample depends on its index and key alone",
      MLS_TASKS_ONLY, 20, pure },
    { "fill-in-range", "Tokens, labels, values and lengths are in range and within the arrays",
      MLS_TASKS_ONLY, 20, in_range },
    { "splits-differ", "Validation and test are not training once more",
      MLS_TASKS_ONLY, 20, splits_differ },
    { "something-is-scored", "Every split has positions with an answer",
      MLS_TASKS_ONLY, 20, scored },
    { "spell-and-token-agree", "What it writes for a token it reads as that token",
      MLS_TASKS_ONLY, 20, spelling },
    { "task-bounds", "Any option in range opens with samples in range, or says why not",
      MLS_TASKS_ONLY, 30, bounds },
    { "task-options-matter", "Every option, and every choice of one, changes shape or samples",
      MLS_TASKS_ONLY, 60, options_matter },
    { NULL, NULL, 0, 0, NULL }
};
