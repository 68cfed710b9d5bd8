#include "study/model.h"

#include "conf/conf.h"
#include "net/label_loss.h"
#include "rec/record.h"
#include "study/trial.h"

#include <dirent.h>
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* The overview's input_dim and output_dim: a check, never a setting. */
static void meets(mls_arena *a, const mls_value *config, const mls_task_shape *s,
                  mls_error *e)
{
    static const char *const names[] = { "input_dim", "output_dim" };
    const mls_value *expect = mls_value_get(config, "expect");
    const mls_value *width = mls_value_get_path(config, "network.width");
    const mls_value *task = mls_value_get_path(config, "task.component");
    const int64_t has[] = { s->vocabulary > 0 ? width->integer : s->input, s->output };
    for (int i = 0; i < 2; i++) {
        const mls_value *v = mls_value_get(expect, names[i]);
        if (!v || v->integer == has[i]) continue;
        if (i == 0 && s->vocabulary > 0)
            mls_error_set(
                e,
                "%sinput_dim is %lld, but tokens are embedded in network.width = "
                "%lld features",
                mls_value_where(a, v), (long long)v->integer, (long long)has[0]);
        else
            mls_error_set(e, "%s%s is %lld, but %s has %lld %s", mls_value_where(a, v),
                          names[i], (long long)v->integer, task->string,
                          (long long)has[i], i ? "outputs" : "inputs");
        return;
    }
}

/* What of v, a component with its options, sees steps that are still to come: its name or
 * that of a part of it.  NULL: nothing.                                                  */
static const char *sees_ahead(const mls_registry *r, const mls_value *v)
{
    mls_error ignored = { 0 };
    const mls_value *name = mls_value_get(v, "component");
    const mls_component *c = name && name->kind == MLS_V_STRING
                                 ? mls_registry_find(r, name->string, NULL, &ignored)
                                 : NULL;
    if (c && (!(c->flags & MLS_CAUSAL) || mls_value_get_bool(v, "bidirectional", 0, &ignored)))
        return name->string;
    const char *found = NULL;
    for (int i = 0; v && i < v->n && !found; i++) found = sees_ahead(r, v->item[i]);
    return found;
}

/* Settings that are right each by itself and together would give figures that mean
 * nothing.                                                                              */
static void sensible(mls_arena *a, const mls_registry *r, const mls_value *config,
                     const mls_task_shape *s, mls_error *e)
{
    const mls_value *order = mls_value_get_path(config, "task.order");
    const mls_value *nodes = mls_value_get_path(config, "network.nodes");
    if (mls_value_get_bool(mls_value_get(config, "train"), "carry", 0, e) && order &&
        order->kind == MLS_V_STRING && !strcmp(order->string, "random"))
        mls_error_set(e, "train.carry gives a sample the states of the one before it in "
                         "the data, but task.order is random: set task.order to "
                         "contiguous");
    for (int i = 0; s->is_text && nodes && i < nodes->n && !e->set; i++) {
        const char *what = sees_ahead(r, nodes->item[i]);
        if (what)
            mls_error_set(e, "%snetwork.nodes.%s (%s) is bidirectional: it would see the next "
                             "character, which it is to predict",
                          mls_value_where(a, nodes->item[i]), nodes->key[i], what);
    }
}

/* Resolves, opens the task and builds the network (dry: without memory). */
static int build(mls_model *m, const mls_registry *r, const mls_value *config,
                 mls_kept_task *kept, int dry, mls_error *e)
{
    mls_arena *a = &m->arena;
    m->config = mls_conf_resolve(a, config, e);
    if (!m->config) return 0;
    m->train = mls_value_get(m->config, "train");
    mls_rec_locking(strcmp(mls_value_get_string(m->config, "locking", "on", e), "off"));
    m->seed = (uint64_t)mls_value_get_int(m->config, "seed", 1, e);
    m->batch = mls_value_get_int(m->train, "batch", 8, e);
    m->lent = kept != NULL;
    m->feed = kept ? mls_kept_task_open(kept, r, m->config, e)
                   : mls_feed_open(r, mls_value_get(m->config, "task"), m->seed, e);
    if (!m->feed) return 0;
    meets(a, m->config, mls_feed_shape(m->feed), e);
    if (e->set) return 0;
    const mls_task_shape *shape = mls_feed_shape(m->feed);
    mls_label_loss labels;
    if (!mls_label_loss_read(&labels, m->train, mls_value_get_path(m->config, "network.head"),
                             shape, e))
        return 0;
    const mls_net_config c = { r, mls_value_get(m->config, "network"), shape, m->seed, dry };
    m->net = mls_net_build(&c, e);
    if (!m->net) return 0;
    mls_net_score(m->net, &labels);
    mls_value_set(a, m->config, "task", mls_feed_resolved(m->feed, a));
    mls_value_set(a, m->config, "network", mls_net_resolved(m->net, a));
    sensible(a, r, m->config, mls_feed_shape(m->feed), e);
    return !e->set;
}

static void plugins(mls_arena *a, const mls_registry *r, const mls_value *v,
                    mls_value *out)
{
    mls_error ignored = { 0 };
    const mls_value *name = mls_value_get(v, "component");
    const mls_component *c = name && name->kind == MLS_V_STRING
                                 ? mls_registry_find(r, name->string, NULL, &ignored)
                                 : NULL;
    const mls_plugin_file *f = c ? mls_registry_file(r, c) : NULL;
    if (f) mls_value_set(a, out, name->string, mls_value_string(a, f->sha256));
    for (int i = 0; v && i < v->n; i++) plugins(a, r, v->item[i], out);
}

/* What does not change a bit of the result is left out. */
static void identify(mls_model *m, const mls_registry *r)
{
    static const char *const idle[] = {"threads", "timeout", "name", "budget",
                                       "expect", "locking"};
    mls_value *all = mls_value_map(&m->arena), *files = mls_value_map(&m->arena);
    mls_value *config = mls_value_copy(&m->arena, m->config);
    for (size_t i = 0; i < sizeof idle / sizeof *idle; i++)
        mls_value_remove(config, idle[i]);
    plugins(&m->arena, r, config, files);
    mls_value_set(&m->arena, all, "config", config);
    mls_value_set(&m->arena, all, "plugins", files);
    mls_value_hash(all, m->identity);
}

int mls_model_open(mls_model *m, const mls_registry *r, const mls_value *config,
                   const mls_sink *sink, mls_error *e)
{
    *m = (mls_model){ 0 };
    if (!build(m, r, config, NULL, 0, e)) return 0;
    identify(m, r);
    m->loop = mls_loop_new(m->net, m->feed, m->train, m->seed, sink, e);
    return m->loop != NULL;
}

void mls_model_close(mls_model *m)
{
    if (m->loop) mls_loop_free(m->loop);
    if (m->net) mls_net_free(m->net);
    if (m->feed && !m->lent) mls_feed_free(m->feed);
    mls_arena_free(&m->arena);
    *m = (mls_model){ 0 };
}

int mls_model_read(mls_model *m, const char *path, mls_value **note, mls_error *e)
{
    char *text = NULL;
    mls_bundle b = { .arena = &m->arena };
    mls_loop_bundle(m->loop, &b);
    if (!mls_checkpoint_load(path, &b, &text, &m->arena, e)) return 0;
    mls_loop_resumed(m->loop);
    /* JSON is YAML. */
    mls_value *v =
        text && *text ? mls_yaml_parse(&m->arena, text, strlen(text), path, e) : NULL;
    if (note) *note = v;
    return !e->set;
}

int mls_model_checkpoints(const char *dir, int64_t *step, int room)
{
    DIR *d = opendir(dir);
    int n = 0;
    for (struct dirent *f; d && n < room && (f = readdir(d));) {
        long long s;
        int used = 0;
        if (sscanf(f->d_name, "checkpoint-%lld.h5%n", &s, &used) != 1 || !used ||
            f->d_name[used] || s < 0)
            continue;
        int at = n++;
        for (; at > 0 && step[at - 1] < s; at--) step[at] = step[at - 1];
        step[at] = s;
    }
    if (d) closedir(d);
    return n;
}

enum { MOST = 64 };

int mls_model_load(mls_model *m, const mls_registry *r, const char *dir,
                   const char **path, mls_error *e)
{
    mls_arena a = { 0 };
    int64_t step[MOST];
    mls_error first = { 0 };
    *m = (mls_model){ 0 };
    const mls_value *config =
        mls_yaml_read(&a, mls_arena_printf(&a, "%s/config.yaml", dir), e);
    int ok = config && mls_model_open(m, r, config, NULL, e);
    const int n = ok ? mls_model_checkpoints(dir, step, MOST) : 0;
    int found = 0;
    for (int i = -1; ok && !found && i < n; i++) {
        const char *file =
            i < 0 ? mls_arena_printf(&m->arena, "%s/checkpoint-best.h5", dir)
                  : mls_arena_printf(&m->arena, "%s/checkpoint-%lld.h5", dir,
                                     (long long)step[i]);
        mls_error why = { 0 };
        if (access(file, F_OK) != 0) continue;
        found = mls_model_read(m, file, NULL, &why);
        if (found && path) *path = file;
        if (!found) mls_error_set(&first, "%s", why.text);
    }
    if (ok && !found) {
        if (first.set) mls_error_set(e, "%s", first.text);
        else mls_error_set(e, "%s: no checkpoint-*.h5 here; was it trained?", dir);
    }
    mls_arena_free(&a);
    return found;
}

static void hash_task(mls_arena *a, const mls_value *task, int64_t seed, char hash[65])
{
    mls_value *all = mls_value_map(a);
    if (task) mls_value_set(a, all, "task", mls_value_copy(a, task));
    mls_value_set(a, all, "seed", mls_value_int(a, seed));
    mls_value_hash(all, hash);
}

mls_feed *mls_kept_task_open(mls_kept_task *k, const mls_registry *r,
                             const mls_value *config, mls_error *e)
{
    char hash[65];
    mls_arena a = { 0 };
    const mls_value *task = mls_value_get(config, "task");
    const int64_t seed = mls_value_get_int(config, "seed", 1, e);
    hash_task(&a, task, seed, hash);
    if (!k->feed || (strcmp(hash, k->asked) && strcmp(hash, k->resolved))) {
        mls_kept_task_free(k);
        k->feed = mls_feed_open(r, task, (uint64_t)seed, e);
        memcpy(k->asked, hash, sizeof hash);
        if (k->feed) hash_task(&a, mls_feed_resolved(k->feed, &a), seed, k->resolved);
    }
    mls_arena_free(&a);
    return k->feed;
}

void mls_kept_task_free(mls_kept_task *k)
{
    if (k->feed) mls_feed_free(k->feed);
    *k = (mls_kept_task){ 0 };
}

/* At the peak of a step: tensors, gradients of the weights and what the optimiser keeps. */
static double peak_bytes(const mls_model *m, double tensors, mls_error *e)
{
    const int mixed = !strcmp(mls_value_get_string(m->train, "precision", "float32", e), "mixed");
    const int sgd = !strcmp(mls_value_get_string(m->train, "optimiser", "adamw", e), "sgd");
    const unsigned exact = mls_value_get_bool(m->train, "exact", 0, e) ? MLS_EXACT : 0;
    const double each = sizeof(float) + (sgd ? 1.0 : 2.0) * (mixed ? 2.0 : 4.0);
    const double step = mls_net_memory(m->net, mls_feed_shape(m->feed)->steps, m->batch, exact,
                                       mixed, mls_value_get_bool(m->train, "carry", 0, e));
    return (isnan(step) ? tensors : step) + each * (double)mls_net_parameters(m->net);
}

mls_value *mls_trial_resolve(mls_arena *a, const mls_registry *r,
                             const mls_value *config, mls_kept_task *kept,
                             double *flops_per_step, double *bytes, int64_t *parameters,
                             mls_error *e)
{
    mls_model m = { 0 };
    mls_cost cost = { 0 };
    mls_value *out = NULL;
    if (build(&m, r, config, kept, 1, e) &&
        mls_net_cost(m.net, mls_feed_shape(m.feed)->steps, m.batch, &cost, e)) {
        const double n = (double)mls_value_get_int(m.train, "accumulate", 1, e);
        if (flops_per_step) *flops_per_step = cost.flops * n;
        if (bytes) *bytes = peak_bytes(&m, cost.bytes, e);
        if (parameters) *parameters = cost.parameters;
        out = mls_value_copy(a, m.config);
    }
    mls_model_close(&m);
    return e->set ? NULL : out;
}
