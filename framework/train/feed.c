#include "train/inner.h"

#include "base/philox.h"

#include <stdlib.h>

static const char *const not_options[] = {"component", NULL};

static void check_shape(const mls_feed *f, mls_error *e)
{
    const mls_task_shape *s = &f->shape;
    if (s->steps < 1 || s->output < 1 || (s->vocabulary > 0) == (s->input > 0) ||
        s->vocabulary < 0 || s->input < 0)
        mls_error_set(
            e,
            "%s: its shape is %lld steps, vocabulary %lld, input %lld, output %lld; "
            "expected at least one step and output, and either a vocabulary or an "
            "input",
            f->name, (long long)s->steps, (long long)s->vocabulary, (long long)s->input,
            (long long)s->output);
    else if (s->loss < MLS_CROSS_ENTROPY || s->loss > MLS_BINARY)
        mls_error_set(
            e, "%s: its loss is number %d, expected MLS_CROSS_ENTROPY, MLS_MSE, MLS_MAE or "
            "MLS_BINARY", f->name, s->loss);
}

static const mls_component *find_task(const mls_registry *r, const mls_value *spec,
                                      mls_error *e)
{
    mls_arena a = {0};
    const mls_component *c = NULL;
    if (!spec || spec->kind != MLS_V_MAP) {
        mls_error_set(e, "%stask is %s, expected a map, as { component: task.text }",
                      mls_value_where(&a, spec),
                      spec ? mls_value_kind_name(spec) : "absent");
    } else {
        const char *name = mls_value_get_string(spec, "component", NULL, e);
        if (!name)
            mls_error_set(e, "%stask has no component, as task.text",
                          mls_value_where(&a, spec));
        else
            c = mls_registry_find(r, name, mls_value_get(spec, "component"), e);
        if (c && !c->task) {
            mls_error_set(e,
                          "%stask is %s, which is a component of kind %s, not a task",
                          mls_value_where(&a, spec), name, c->kind);
            c = NULL;
        }
    }
    mls_arena_free(&a);
    return c;
}

mls_feed *mls_feed_open(const mls_registry *r, const mls_value *spec, uint64_t seed,
                        mls_error *e)
{
    mls_net_init();
    const mls_component *c = find_task(r, spec, e);
    if (!c) return NULL;
    mls_feed *f = calloc(1, sizeof *f);
    if (f) {
        *f = (mls_feed){.registry = r, .component = c, .seed = seed};
        f->name = mls_arena_printf(&f->arena, "%s.%s", c->kind, c->name);
        f->self = mls_arena_zalloc(&f->arena, c->self_size + 1);
    }
    if (!f || !f->name || !f->self) mls_error_set(e, "out of memory for a task");
    if (!e->set) mls_option_apply(r, c, spec, not_options, f->self, &f->arena, e);
    if (!e->set) {
        mls_ctx ctx = {e, f->name, NULL, &f->arena, seed, NULL, f->component};
        c->task->open(&ctx, f->self, &f->shape);
    }
    if (!e->set) check_shape(f, e);
    if (!e->set) return f;
    mls_feed_free(f);
    return NULL;
}

void mls_feed_free(mls_feed *f)
{
    if (!f) return;
    mls_arena_free(&f->arena);
    free(f);
}

const mls_task_shape *mls_feed_shape(const mls_feed *f) { return &f->shape; }

const mls_task *mls_feed_task(const mls_feed *f, const void **self)
{
    if (self) *self = f->self;
    return f->component->task;
}

mls_value *mls_feed_resolved(const mls_feed *f, mls_arena *a)
{
    return mls_option_dump(f->registry, f->component, f->self, a);
}

int64_t mls_feed_count(const mls_feed *f, int split)
{
    const int64_t n = f->component->task->count(f->self, split);
    return n > 0 ? n : 0;
}

/* A training epoch leaves out what fills no batch (other samples each time, as they are
 * shuffled); a split smaller than a batch is repeated to fill one.  Evaluation leaves
 * nothing out. */
int64_t mls_feed_batches(const mls_feed *f, int split, int64_t batch)
{
    const int64_t n = mls_feed_count(f, split);
    if (split != MLS_TRAINING) return (n + batch - 1) / batch;
    return n == 0 ? 0 : n < batch ? 1 : n / batch;
}

/* ---- order */

enum { ROUNDS = 6 };

/* A Feistel network permutes the numbers of 2h bits; walking on until the value is
 * below count (fewer than four times on average) makes it a permutation of those. */
int64_t mls_feed_shuffled(uint64_t key, int64_t count, int64_t index)
{
    int half = 1;
    while (half < 31 && INT64_C(1) << 2 * half < count) half++;
    const uint64_t low = (UINT64_C(1) << half) - 1;
    uint64_t x = (uint64_t)index;
    do {
        uint64_t l = x >> half, r = x & low;
        for (uint64_t i = 0; i < ROUNDS; i++) {
            uint32_t u[4];
            mls_philox(key, i << 32 | r, u);
            const uint64_t next = l ^ (u[0] & low);
            l = r;
            r = next;
        }
        x = l << half | r;
    } while (x >= (uint64_t)count);
    return (int64_t)x;
}
