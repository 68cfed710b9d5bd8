#include "study/quantize.h"

#include "conf/conf.h"
#include "rec/record.h"

#include <fnmatch.h>
#include <stdlib.h>
#include <string.h>

enum { LEAST_COLUMNS = 16 };

static int eligible(const mls_weight *w)
{
    return w->rows > 1 && w->cols >= LEAST_COLUMNS && !(w->flags & MLS_NO_DECAY);
}

static int is_kept(const mls_weight *w, const char *const *keep)
{
    for (; keep && *keep; keep++)
        if (!fnmatch(*keep, w->name, 0)) return 1;
    return 0;
}

/* A pattern that keeps nothing was meant to keep something. */
static int check_patterns(const mls_net *net, const char *const *keep, mls_arena *a,
                          mls_error *e)
{
    const int most = mls_net_weights(net);
    const char **name = mls_arena_alloc(a, (size_t)(most + 1) * sizeof *name);
    int n = 0;
    for (int i = 0; name && i < most; i++)
        if (eligible(mls_net_weight(net, i))) name[n++] = mls_net_weight(net, i)->name;
    for (; name && keep && *keep && !e->set; keep++) {
        int hits = 0;
        for (int i = 0; i < n; i++) hits += !fnmatch(*keep, name[i], 0);
        if (hits) continue;
        const char *near = mls_error_nearest(*keep, name, n);
        mls_error_set(e, "--keep %.80s: no matrix that would be rounded is called so%s%s%s",
                      *keep, near ? "; did you mean \"" : "", near ? near : "",
                      near ? "\"?" : "");
    }
    if (!name) mls_error_set(e, "out of memory");
    return !e->set;
}

static int room_for(mls_quantized *q, int i, const mls_weight *w, mls_arena *a,
                    mls_error *e)
{
    q->weight[i].q = mls_arena_alloc(a, (size_t)(w->rows * w->cols));
    q->weight[i].scale = mls_arena_alloc(a, (size_t)w->rows * sizeof(float));
    if (q->weight[i].q && q->weight[i].scale) return 1;
    mls_error_set(e, "out of memory for %s in 8 bits", w->name);
    return 0;
}

static void count(mls_quantized *q, const mls_weight *w, int rounded)
{
    const int64_t n = w->rows * w->cols;
    q->n += rounded;
    *(rounded ? &q->rounded : &q->kept) += n;
    q->bytes += rounded ? (double)n + 4.0 * (double)w->rows : 4.0 * (double)n;
}

static int begin(mls_quantized *q, const mls_net *net, mls_arena *a, mls_error *e)
{
    *q = (mls_quantized){ 0 };
    q->weight = mls_arena_zalloc(a, (size_t)(mls_net_weights(net) + 1) * sizeof *q->weight);
    if (!q->weight) mls_error_set(e, "out of memory for a list of weights");
    return !e->set;
}

int mls_quantize(const mls_net *net, const char *const *keep, mls_quantized *q,
                 mls_arena *a, mls_error *e)
{
    if (!begin(q, net, a, e) || !check_patterns(net, keep, a, e)) return 0;
    for (int i = 0; i < mls_net_weights(net); i++) {
        const mls_weight *w = mls_net_weight(net, i);
        const int rounded = eligible(w) && !is_kept(w, keep);
        count(q, w, rounded);
        if (!rounded) continue;
        if (!room_for(q, i, w, a, e)) return 0;
        mls_k_int8_pack(w->rows, w->cols, w->data, q->weight[i].q, q->weight[i].scale);
    }
    if (!q->n)
        mls_error_set(e, "no weight is a matrix of %d columns or more: nothing to round",
                      LEAST_COLUMNS);
    return !e->set;
}

void mls_quantize_use(mls_net *net, const mls_quantized *q)
{
    for (int i = 0; i < mls_net_weights(net); i++) {
        const mls_weight *w = mls_net_weight(net, i);
        if (!q->weight[i].q) continue;
        mls_k_int8_unpack(w->rows, w->cols, q->weight[i].q, q->weight[i].scale, w->data);
        mls_net_set_int8(net, i, &q->weight[i]);
    }
}

/* ---- the file ------------------------------------------------------------------------- */

static void rows_of(const mls_net *net, const mls_quantized *q, mls_bundle *b)
{
    for (int i = 0; i < mls_net_weights(net); i++) {
        const mls_weight *w = mls_net_weight(net, i);
        const int64_t dim[] = { w->rows, w->cols };
        const int rounded = q->weight[i].q != NULL;
        const char *name = mls_arena_printf(b->arena, "%s/%s", rounded ? "int8" : "float",
                                            w->name);
        if (rounded) mls_bundle_add(b, name, MLS_B_I8, q->weight[i].q, 2, dim);
        else mls_bundle_add(b, name, MLS_B_F32, w->data, 2, dim);
        if (rounded)
            mls_bundle_add(b, mls_arena_printf(b->arena, "scale/%s", w->name), MLS_B_F32,
                           q->weight[i].scale, 1, dim);
    }
}

static const char *note_of(const mls_model *m, const mls_quantized *q, mls_arena *a)
{
    mls_value *note = mls_value_map(a), *names = mls_value_list(a);
    for (int i = 0; i < mls_net_weights(m->net); i++)
        if (q->weight[i].q)
            mls_value_push(a, names, mls_value_string(a, mls_net_weight(m->net, i)->name));
    mls_value_set(a, note, "identity", mls_value_string(a, m->identity));
    mls_value_set(a, note, "int8", names);
    return mls_value_to_json(a, note, 0);
}

int mls_quantize_save(const char *path, const mls_model *m, const mls_quantized *q,
                      mls_error *e)
{
    mls_arena a = { 0 };
    mls_bundle b = { .arena = &a };
    rows_of(m->net, q, &b);
    const int ok = mls_checkpoint_save(path, &b, note_of(m, q, &a), e);
    mls_arena_free(&a);
    return ok;
}

/* The list of its rounded weights; NULL without e: a checkpoint of another kind. */
static const mls_value *names_in(const char *path, mls_arena *a, mls_error *e)
{
    const char *text = mls_checkpoint_note(path, a, e);
    const mls_value *note = !e->set && text && *text
                                ? mls_yaml_parse(a, text, strlen(text), path, e) : NULL;
    const mls_value *v = mls_value_get(note, "int8");
    return v && v->kind == MLS_V_LIST ? v : NULL;
}

static int listed(const mls_value *names, const char *name)
{
    for (int i = 0; i < names->n; i++)
        if (names->item[i]->kind == MLS_V_STRING && !strcmp(names->item[i]->string, name))
            return 1;
    return 0;
}

/* Fills weights and q from the file; the loader tells what is missing, extra, misshapen. */
static int read(mls_model *m, const char *path, const mls_value *names, mls_error *e)
{
    mls_arena *a = &m->arena;
    mls_quantized *q = mls_arena_alloc(a, sizeof *q);
    mls_bundle b = { .arena = a };
    if (!q) {
        mls_error_set(e, "out of memory");
        return 0;
    }
    if (!begin(q, m->net, a, e)) return 0;
    for (int i = 0; i < mls_net_weights(m->net); i++) {
        const mls_weight *w = mls_net_weight(m->net, i);
        const int rounded = listed(names, w->name);
        count(q, w, rounded);
        if (rounded && !room_for(q, i, w, a, e)) return 0;
    }
    rows_of(m->net, q, &b);
    if (!mls_checkpoint_load(path, &b, NULL, a, e)) return 0;
    mls_quantize_use(m->net, q);
    return 1;
}

int mls_quantize_load(mls_model *m, const mls_registry *r, const char *dir,
                      const char *file, const char **from, mls_error *e)
{
    if (!file) return mls_model_load(m, r, dir, from, e);
    mls_arena a = { 0 };
    *m = (mls_model){ 0 };
    *from = file;
    const mls_value *names = names_in(file, &a, e);
    const mls_value *config =
        e->set ? NULL : mls_yaml_read(&a, mls_arena_printf(&a, "%s/config.yaml", dir), e);
    const int ok = config && mls_model_open(m, r, config, NULL, e) &&
                   (names ? read(m, file, names, e) : mls_model_read(m, file, NULL, e));
    mls_arena_free(&a);
    return ok;
}
