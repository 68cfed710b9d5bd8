/* The contract that every shipped component must pass, in a network of that one node.
 * A case is a component with its defaults and all ports wired, with its optional ports
 * left open, or with one choice or switch turned; each property is tested on each. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE             /* dl_iterate_phdr */
#endif
#include "count.h"

#include <stdio.h>

#include "base/parfor.h"
#include "case.h"

/* ---- Properties ------------------------------------------------------------------ */

static void finite_at_start(void **state)
{
    const scene *s = *state;
    for (uint64_t seed = 0; seed < 5; seed++) {
        rig r;
        start(&r, s, B, 0, seed);
        const float *y = ahead(&r, s, &r.batch);
        for (int i = 0; i < T * B * D; i++)
            if (!isfinite(y[i])) fail_msg("%s: seed %d: output %d is %g", s->title, (int)seed, i,
                                          (double)y[i]);
        stop(&r);
    }
}

static void causal(void **state)
{
    const scene *s = *state;
    rig r;
    float whole[T * B * D];
    start(&r, s, B, 0, 1);
    memcpy(whole, ahead(&r, s, &r.batch), sizeof whole);
    for (int t = 0; t < T; t++) {
        for (int i = 0; i < B * D; i++) r.x[t * B * D + i] += 3.0f;
        mls_run_reset(r.run);
        same_bits(s, "an output before the change", ahead(&r, s, &r.batch), whole, t * B * D);
        for (int i = 0; i < B * D; i++) r.x[t * B * D + i] = 1.5f * noise((uint64_t)(t * B * D + i));
    }
    stop(&r);
}

/* cut 0: two pieces, split at `at`; else pieces of `cut`. */
static void in_pieces(rig *r, const scene *s, int cut, int at, int exact, const float *whole,
                      const float *last)
{
    mls_run_reset(r->run);
    for (int t = 0, n; t < T; t += n) {
        n = cut ? cut : t ? T - t : at;
        if (t + n > T) n = T - t;
        const mls_batch b = piece_of(r, t, n);
        const float *y = ahead(r, s, &b);
        if (exact) same_bits(s, "a piece's output", y, whole + t * B * D, n * B * D);
        else near_all(s, "a piece's output", y, whole + t * B * D, n * B * D, 1e-5);
    }
    for (int i = 0; i < mls_run_states(r->run); i++) {
        float *value;
        int64_t width;
        mls_run_state(r->run, i, &value, &width, NULL);
        if (exact) same_bits(s, "a final state", value, last, B * width);
        else near_all(s, "a final state", value, last, B * width, 1e-5);
        last += B * width;
    }
}

static void pieces(const scene *s, unsigned flags)
{
    rig r;
    float whole[T * B * D], *last = NULL, *value;
    int64_t width, at = 0, all = 0;
    start(&r, s, B, flags, 2);
    memcpy(whole, ahead(&r, s, &r.batch), sizeof whole);
    for (int i = 0; i < mls_run_states(r.run); i++) {
        mls_run_state(r.run, i, NULL, &width, NULL);
        all += B * width;
    }
    last = mls_arena_alloc(&r.arena, (size_t)(all + 1) * sizeof *last);
    assert_non_null(last);
    for (int i = 0; i < mls_run_states(r.run); i++) {
        mls_run_state(r.run, i, &value, &width, NULL);
        memcpy(last + at, value, (size_t)(B * width) * sizeof *last);
        at += B * width;
    }
    in_pieces(&r, s, 1, 0, (flags & MLS_EXACT) != 0, whole, last);
    in_pieces(&r, s, 3, 0, (flags & MLS_EXACT) != 0, whole, last);
    for (int k = 1; k < T; k++) in_pieces(&r, s, 0, k, (flags & MLS_EXACT) != 0, whole, last);
    stop(&r);
}

static void pieces_are_the_whole(void **state)
{
    const scene *s = *state;
    pieces(s, MLS_SMOOTH);
}

static void exact_pieces_keep_every_bit(void **state)
{
    const scene *s = *state;
    pieces(s, MLS_EXACT);
}

static void padding_is_absence(void **state)
{
    const scene *s = *state;
    rig r, one;
    start(&r, s, B, MLS_SMOOTH, 3);
    start(&one, s, 1, MLS_SMOOTH, 3);
    r.batch.mask = r.mask;
    for (int t = 6; t < T; t++)             /* garbage where nobody may look */
        for (int i = 0; i < D; i++) r.x[(t * B + 1) * D + i] = 50.0f;
    for (int t = 0; t < 6; t++) {
        memcpy(one.x + t * D, r.x + (t * B + 1) * D, D * sizeof(float));
        one.dt[t] = r.dt[t * B + 1];
    }
    one.batch.steps = 6;
    const float *y = ahead(&r, s, &r.batch), *z = ahead(&one, s, &one.batch);
    for (int t = 0; t < 6; t++)
        near_all(s, "a real step", y + (t * B + 1) * D, z + t * D, D, 1e-5);
    for (int i = 0; i < T * B * D; i++) assert_true(isfinite(y[i]));
    for (int i = 0; i < mls_run_states(r.run); i++) {
        float *a, *b;
        int64_t width;
        const char *name = mls_run_state(r.run, i, &a, &width, NULL);
        mls_run_state(one.run, i, &b, &width, NULL);
        near_all(s, name, a + width, b, width, 1e-5);
    }
    stop(&r);
    stop(&one);
}

static void threads_change_nothing(void **state)
{
    const scene *s = *state;
    float *first = NULL;
    int64_t count;
    for (int threads = 1; threads <= 2; threads++) {
        rig r;
        mls_parfor_threads(threads);
        start(&r, s, B, MLS_TRAIN, 4);
        const float *y = ahead(&r, s, &r.batch);
        mls_net_data(r.net, &count);
        if (!first) first = test_malloc((size_t)(T * B * D + count) * sizeof *first);
        if (threads == 1) memcpy(first, y, T * B * D * sizeof *first);
        else same_bits(s, "output", y, first, T * B * D);
        mls_run_backward_from(r.run, r.coef);
        float *g = mls_net_grad(r.net);
        if (threads == 1) memcpy(first + T * B * D, g, (size_t)count * sizeof *first);
        else same_bits(s, "gradient", g, first + T * B * D, count);
        stop(&r);
    }
    mls_parfor_threads(1);
    test_free(first);
}

static double objective(rig *r, const scene *s)
{
    double sum = 0.0;
    mls_run_reset(r->run);
    const float *y = ahead(r, s, &r->batch);
    for (int i = 0; i < T * B * D; i++) sum += (double)y[i] * (double)r->coef[i];
    return sum;
}

static double slope(rig *r, const scene *s, float *w, float h)
{
    const float keep = *w;
    double f[4];
    for (int p = 0; p < 4; p++) {
        *w = keep + h * (float)(p < 2 ? p - 2 : p - 1);
        f[p] = objective(r, s);
    }
    *w = keep;
    return (f[0] - 8.0 * f[1] + 8.0 * f[2] - f[3]) / (12.0 * (double)h);
}

/* Every weight has a gradient, and it is the slope: by a wide step, which drowns
 * rounding, or by a narrow one, where a surrogate's second derivative jumps. */
static void gradients(void **state)
{
    const scene *s = *state;
    rig r;
    start(&r, s, B, MLS_SMOOTH | MLS_TRAIN, 5);
    objective(&r, s);
    mls_run_backward_from(r.run, r.coef);
    for (int i = 0; i < mls_net_weights(r.net); i++) {
        mls_weight *w = mls_net_weight(r.net, i);
        const int64_t n = w->rows * w->cols;
        double top = 0.0;
        if (w->flags & MLS_FROZEN) continue;
        for (int64_t k = 0; k < n; k++) {
            if (!isfinite(w->grad[k])) fail_msg("%s: %s[%lld]: gradient %g", s->title, w->name,
                                                (long long)k, (double)w->grad[k]);
            top = fmax(top, fabs((double)w->grad[k]));
        }
        if (!(top > 0.0) && !strncmp(w->name, "layer0.n.", 9))
            fail_msg("%s: %s has no gradient", s->title, w->name);
        const int kink = s->value && s->value->kind == MLS_V_STRING
                         && listed(kinked, s->value->string);
        for (int64_t k = 0; k < n && !kink; k += 1 + n / 5) {
            const double limit = 2e-3 * fmax(top, 0.1), g = (double)w->grad[k];
            const double d = slope(&r, s, w->data + k, 0.015625f);
            if (fabs(d - g) <= limit) continue;
            const double e = slope(&r, s, w->data + k, 0.00390625f);
            if (!(fabs(e - g) <= limit))
                fail_msg("%s: %s[%lld]: %g and %g by differences, %g by backward (largest %g)",
                         s->title, w->name, (long long)k, d, e, g, top);
        }
    }
    stop(&r);
}

#if COUNTED
static void no_malloc_once_warm(void **state)
{
    const scene *s = *state;
    rig r;
    start(&r, s, B, 0, 6);
    for (int t = 0; t < 3; t++) {
        const mls_batch b = piece_of(&r, t, 1);
        ahead(&r, s, &b);
    }
    int64_t before = taken;
    size_t asked = mls_run_tape(r.run)->arena.mallocs;
    for (int t = 0; t < 60; t++) {
        const mls_batch b = piece_of(&r, t % T, 1);
        ahead(&r, s, &b);
    }
    if (taken != before || mls_run_tape(r.run)->arena.mallocs != asked)
        fail_msg("%s: %lld allocations in 60 steps", s->title, (long long)(taken - before));
    stop(&r);
    start(&r, s, B, MLS_TRAIN, 6);
    for (int i = 0; i < 8; i++) {
        if (i == 3) before = taken;
        mls_run_reset(r.run);
        ahead(&r, s, &r.batch);
        mls_run_backward_from(r.run, r.coef);
    }
    if (taken != before)
        fail_msg("%s: %lld allocations in 5 training steps", s->title, (long long)(taken - before));
    stop(&r);
}
#endif

/* ---- The list of cases ----------------------------------------------------------- */

static const struct { const char *name; CMUnitTestFunction run; unsigned promise; } property[] = {
    { "finite at start", finite_at_start, 0 }, { "causal", causal, MLS_CAUSAL },
    { "pieces are the whole", pieces_are_the_whole, MLS_CAUSAL | MLS_STREAMS },
    { "exact pieces keep every bit", exact_pieces_keep_every_bit, MLS_CAUSAL | MLS_STREAMS },
    { "padding is absence", padding_is_absence, 0 },
    { "threads change nothing", threads_change_nothing, 0 }, { "gradients", gradients, 0 },
#if COUNTED
    { "no malloc once warm", no_malloc_once_warm, 0 },
#endif
};
enum { PROPERTIES = sizeof property / sizeof *property, MOST = 256 };

static scene scenes[MOST];
static int n_scenes;

static void add(const mls_component *c, const char *suffix, const char *wire,
                const char *option, mls_value *value)
{
    if (n_scenes == MOST) return;
    const int turned = option && value->kind == MLS_V_BOOL && value->boolean;
    scenes[n_scenes++] = (scene){
        c, mls_arena_printf(&arena, "%s.%s%s", c->kind, c->name, suffix), wire, option, value,
        turned && listed(not_causal, option) ? 0 : c->flags };
}

/* Wires "input" to the ports; to those that may stay open only when asked. */
static char *wire_of(const mls_component *c, int all, int *open)
{
    char *wire = mls_arena_strdup(&arena, "");
    const mls_port *p;
    int wired = 0;
    *open = 0;
    for (int i = 0; (p = mls_plug_port(&registry, c, i)); i++) {
        if (!(p->flags & MLS_IN) || !strcmp(p->name, "mask") || !strcmp(p->name, "dt")) continue;
        if (p->flags & MLS_MAYBE) ++*open;
        if ((p->flags & MLS_MAYBE) && !all) continue;
        wire = mls_arena_printf(&arena, "%s%s -> n.%s; ", wire, wired ? "side" : "input",
                                p->name);
        if (wired++ == 1) wire = mls_arena_printf(&arena, "input -> side; %s", wire);
    }
    return wired ? mls_arena_printf(&arena, "%sn -> output", wire) : NULL;
}

static void add_component(const mls_component *c)
{
    int open;
    char *wire = wire_of(c, 1, &open);
    const mls_option *o;
    add(c, "", wire, NULL, NULL);
    char *bare = wire_of(c, 0, &open);
    if (open && bare) add(c, ", ports open", bare, NULL, NULL);
    for (int i = 0; (o = mls_plug_option(&registry, c, i)); i++) {
        if (o->type == MLS_BOOL)
            add(c, mls_arena_printf(&arena, ", %s %s", o->name, o->def != 0.0 ? "off" : "on"),
                wire, o->name, mls_value_bool(&arena, o->def == 0.0));
        if (o->type != MLS_CHOICE || !o->choices) continue;
        char *list = mls_arena_strdup(&arena, o->choices), *save;
        char *word = strtok_r(list, "|", &save);         /* the default comes first */
        while (word && (word = strtok_r(NULL, "|", &save)))
            add(c, mls_arena_printf(&arena, ", %s %s", o->name, word), wire, o->name,
                mls_value_string(&arena, word));
    }
}

int main(void)
{
    static struct CMUnitTest tests[MOST * PROPERTIES];
    static const char *const kinds[] = { "encoder", "adapter", "liquid", "mixer", "fusion", NULL };
    mls_error e = { 0 };
    size_t n = 0;
    cmocka_set_message_output(CM_OUTPUT_TAP);
#if COUNTED
    dl_iterate_phdr(find_blas, NULL);
#endif
    mls_plug_init();
    if (!mls_registry_load(&registry, NULL, &e)) {
        printf("Bail out! %s\n", e.text);
        return 1;
    }
    const mls_component **list =
        mls_arena_alloc(&arena, (size_t)(registry.n_components + 2) * sizeof *list);
    if (!list) return 1;
    for (int i = 0; i < registry.n_components; i++) {
        list[i] = registry.component[i];
        if (listed(kinds, list[i]->kind)) add_component(list[i]);
    }
    list[registry.n_components++] = &copy;
    list[registry.n_components++] = &side;
    registry.component = list;
    for (int i = 0; i < n_scenes; i++)
        for (int p = 0; p < PROPERTIES; p++)
            if ((property[p].promise & scenes[i].promises) == property[p].promise)
                tests[n++] = (struct CMUnitTest){
                mls_arena_printf(&arena, "%s: %s", scenes[i].title, property[p].name),
                property[p].run, NULL, NULL, &scenes[i] };
    if (!n) {
        printf("Bail out! no component found; is MLS_PLUGIN_PATH set?\n");
        return 1;
    }
    return _cmocka_run_group_tests("contract", tests, n, NULL, NULL);
}
