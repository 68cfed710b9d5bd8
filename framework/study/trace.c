/* trace.c - runs what trace_open.c made, and names all that came of it. */
#include "study/trace.h"

#include "study/trace_inner.h"
#include "study/weights.h"

#include <string.h>

/* ---- observing ----------------------------------------------------------------------------- */

/* "" for the traced node, ".forward" for a part of it; NULL for any other. */
static const char *below(const mls_trace *t, const char *node)
{
    const size_t n = strlen(t->node);
    return !strncmp(t->node, node, n) && (!node[n] || node[n] == '.') ? node + n : NULL;
}

static int wanted(void *arg, const char *node, const char *name)
{
    const mls_trace *t = arg;
    (void)name;
    return !t->node || below(t, node);
}

/* "out/" for a port of the traced component, else "tap/". */
static const char *row_of(const mls_trace *t, const mls_channel *ch)
{
    mls_arena *a = (mls_arena *)(uintptr_t)&t->arena;
    if (!t->node) return mls_arena_printf(a, "tap/%s.%s", ch->node, ch->name);
    const char *part = below(t, ch->node);
    if (part && *part) return mls_arena_printf(a, "tap/%s.%s", part + 1, ch->name);
    const mls_component *c = mls_registry_find(t->c.registry, t->name, NULL, &(mls_error){ 0 });
    const mls_port *p;
    for (int i = 0; c && (p = mls_plug_port(t->c.registry, c, i)); i++)
        if ((p->flags & MLS_OUT) && !strcmp(p->name, ch->name))
            return mls_arena_printf(a, "out/%s", ch->name);
    return mls_arena_printf(a, "tap/%s", ch->name);
}

static mls_trace_seen *seen_of(mls_trace *t, const mls_channel *ch)
{
    const char *row = row_of(t, ch);
    for (mls_trace_seen *s = t->seen; row && s; s = s->next)
        if (!strcmp(s->row, row)) return s;
    mls_trace_seen *s = row ? mls_arena_zalloc(&t->arena, sizeof *s) : NULL;
    if (!s) return NULL;
    s->row = row;
    s->n = ch->width;
    *t->last = s;
    t->last = &s->next;
    return s;
}

static int make_room(mls_trace *t, mls_trace_seen *s, int64_t T)
{
    if (T <= s->room) return 1;
    const int64_t room = T > t->T ? 2 * T : t->T, plane = t->B * s->n;
    float *x = mls_arena_zalloc(&t->arena, (size_t)(room * plane) * sizeof *x);
    if (!x) return 0;
    if (s->T) memcpy(x, s->data, (size_t)(s->T * plane) * sizeof *x);
    s->data = x;
    s->room = room;
    return 1;
}

static void value(void *arg, const mls_channel *ch, mls_t v, int64_t t0)
{
    mls_trace *t = arg;
    if (ch->flags & MLS_OF_STATE) return;
    mls_trace_seen *s = seen_of(t, ch);
    mls_trace_piece *p = mls_arena_zalloc(&t->arena, sizeof *p);
    if (!s || !p || v->dim[1] != t->B || v->dim[2] != s->n || !make_room(t, s, t0 + v->dim[0])) {
        t->failed = 1;
        return;
    }
    memcpy(s->data + t0 * t->B * s->n, v->data, (size_t)v->count * sizeof *v->data);
    if (t0 + v->dim[0] > s->T) s->T = t0 + v->dim[0];
    *p = (mls_trace_piece){ v, t0, s->piece };
    s->piece = p;
}

/* ---- rows that are written -------------------------------------------------------------------- */

static void add(mls_trace *t, mls_bundle *out, const char *name, const float *x, int64_t T,
                int64_t n, int64_t stride, int64_t at)
{
    float *y = mls_arena_zalloc(&t->arena, (size_t)(t->B * T * n) * sizeof *y);
    if (!y) t->failed = 1;
    else if (x) mls_trace_to_file(x, y, t->B, T, n, stride, at);
    mls_bundle_add(out, name, MLS_B_F32, y, 3, (int64_t[]){ t->B, T, n });
}

static void add_states(mls_trace *t, mls_bundle *out, const char *group, int gradient)
{
    for (int i = 0; i < mls_run_states(t->run); i++) {
        float *x;
        int64_t width;
        const char *name = mls_run_state(t->run, i, &x, &width, NULL) + strlen(t->prefix);
        if (gradient) x = mls_run_state_grad(t->run, i);
        float *y = mls_arena_zalloc(&t->arena, (size_t)(t->B * width) * sizeof *y);
        if (!y) t->failed = 1;
        else if (x) memcpy(y, x, (size_t)(t->B * width) * sizeof *y);
        mls_bundle_add(out, mls_arena_printf(&t->arena, "%s%s", group, name), MLS_B_F32, y, 2,
                       (int64_t[]){ t->B, width });
    }
}

static void add_input_gradients(mls_trace *t, mls_bundle *out)
{
    const mls_t x = mls_run_input(t->run);
    for (int i = 0; x && i < t->n_in; i++)
        add(t, out, mls_arena_printf(&t->arena, "grad/in/%s", t->in[i].name), x->grad, t->T,
            t->in[i].n, t->shape.input, t->in[i].from);
}

/* ---- backward ----------------------------------------------------------------------------------- */

/* The gradient of one port, given for the whole sequence, to the pieces that it came in. */
static void seed(mls_trace *t, const mls_trace_seen *s)
{
    const mls_bundle_row *r = mls_trace_row(t, "grad_", s->row);
    const int64_t plane = t->B * s->n;
    float *g = r ? mls_arena_alloc(&t->arena, (size_t)(s->T * plane) * sizeof *g) : NULL;
    if (r && !g) t->failed = 1;
    if (!g) return;
    mls_trace_to_time(r->data, g, t->B, s->T, s->n, s->n, 0);
    for (const mls_trace_piece *p = s->piece; p; p = p->next) {
        float *to = mls_tape_tracks(p->value)
            ? mls_tape_grad(mls_run_ctx(t->run), p->value) : NULL;
        for (int64_t i = 0; to && i < p->value->count; i++) to[i] += g[p->t0 * plane + i];
    }
}

static void backward(mls_trace *t, mls_t y)
{
    float *g = NULL;
    mls_net_zero_grad(t->net);
    for (const mls_trace_seen *s = t->seen; t->node && s; s = s->next)
        if (!strncmp(s->row, "out/", 4)) seed(t, s);
    const mls_bundle_row *r = t->node ? NULL : mls_trace_row(t, "grad_out/", "output");
    if (r) {
        g = mls_arena_alloc(&t->arena, (size_t)y->count * sizeof *g);
        if (g) mls_trace_to_time(r->data, g, t->B, y->dim[0], y->dim[2], y->dim[2], 0);
        else t->failed = 1;
    }
    mls_run_backward_from(t->run, g);
}

static int any_gradient(const mls_trace *t)
{
    for (int i = 0; i < t->c.input->n; i++)
        if (!strncmp(t->c.input->row[i].name, "grad_", 5)) return 1;
    return 0;
}

int mls_trace_run(mls_trace *t, mls_bundle *out, mls_error *e)
{
    const mls_observer o = { t, wanted, value };
    if (t->c.grad && !any_gradient(t))
        mls_error_set(e, "%s: a backward needs grad_out/<port> or grad_state/<name>", t->c.file);
    if (e->set) return 0;
    mls_run_observe(t->run, &o);
    const mls_t y = mls_run_forward(t->run, &t->batch, 0);
    mls_run_observe(t->run, NULL);
    if (y) {
        if (!t->node) add(t, out, "out/output", y->data, y->dim[0], y->dim[2], y->dim[2], 0);
        for (const mls_trace_seen *s = t->seen; s; s = s->next)
            add(t, out, s->row, s->data, s->T, s->n, s->n, 0);
        add_states(t, out, "state/", 0);
    }
    if (y && t->c.grad) {
        backward(t, y);
        add_input_gradients(t, out);
        add_states(t, out, "grad/state/", 1);
        mls_weights_add(t->net, t->prefix, "grad/weight/", MLS_WEIGHTS_GRADIENTS, out);
    }
    const mls_error *why = mls_run_error(t->run);
    if (why->set) mls_error_set(e, "%s", why->text);
    if (t->failed) mls_error_set(e, "out of memory for the values of %s", t->name);
    return !e->set;
}

/* ---- a listing ------------------------------------------------------------------------------------ */

static void list(mls_trace *t, mls_bundle *out, const char *group, const char *name, int64_t n)
{
    mls_bundle_add(out, mls_arena_printf(&t->arena, "%s%s", group, name), MLS_B_F32, NULL,
                   n ? 3 : 2, (int64_t[]){ MLS_TRACE_SAMPLE, MLS_TRACE_TIME, n });
}

void mls_trace_list(mls_trace *t, mls_bundle *out)
{
    mls_channel *ch;
    const int n = mls_run_channels(t->run, &ch, &t->arena);
    for (int i = 0; i < t->n_in; i++) list(t, out, "in/", t->in[i].name, t->in[i].n);
    if (t->shape.vocabulary) list(t, out, "in/", "input", 0);
    if (!t->node) list(t, out, "out/", "output", t->shape.output);
    for (int i = 0; i < n; i++)
        if (!(ch[i].flags & MLS_OF_STATE) && wanted(t, ch[i].node, NULL))
            list(t, out, "", row_of(t, &ch[i]), ch[i].width);
    for (int i = 0; i < mls_run_states(t->run); i++) {
        int64_t width;
        const char *name = mls_run_state(t->run, i, NULL, &width, NULL) + strlen(t->prefix);
        mls_bundle_add(out, mls_arena_printf(&t->arena, "state/%s", name), MLS_B_F32, NULL, 2,
                       (int64_t[]){ MLS_TRACE_SAMPLE, width });
    }
    mls_weights_add(t->net, t->prefix, "weight/", MLS_WEIGHTS_SHAPES, out);
}
