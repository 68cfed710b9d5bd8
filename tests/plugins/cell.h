/* cell.h - one component on a tape of its own, without a network: weights and states
 * are plain arrays that a test can set, and gradients at both ends can be read. */
#ifndef TESTS_PLUGINS_CELL_H
#define TESTS_PLUGINS_CELL_H

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/philox.h"
#include "grad/ops.h"
#include "grad/tape.h"
#include "plug/host.h"
#include "plug/plug.h"

enum { CELL_WEIGHTS = 64, CELL_STATES = 8, CELL_PORTS = 8 };

struct mls_state {
    const char *name;
    float *data, *grad;
    int64_t width;
    mls_t now;
};

typedef struct cell_weight {
    char name[64];
    mls_tensor *t;
    int64_t rows, cols;
    mls_init init;
    float *grad;
} cell_weight;

typedef struct cell {
    mls_registry registry;
    mls_plugin_file file;
    const mls_component *component;
    void *self;
    mls_arena arena; /* of the test: weights, inputs */
    mls_error error;
    mls_tape tape;
    mls_ctx c;
    uint64_t seed;
    int64_t batch, width[CELL_PORTS]; /* of in ports; 0: unconnected */
    cell_weight weight[CELL_WEIGHTS];
    int n_weights, n_states;
    mls_state state[CELL_STATES];
} cell;

static cell *cell_of(mls_ctx *c) { return c->owner; }

static int cell_port(const cell *x, const char *name)
{
    int at = 0;
    for (const mls_port *p = x->component->ports; p->name; p++)
        if (p->flags & MLS_IN) {
            if (!strcmp(p->name, name)) return at;
            at++;
        }
    fail_msg("no input %s", name);
    return -1;
}

static int64_t cell_width(mls_ctx *c, const char *port)
{
    return cell_of(c)->width[cell_port(cell_of(c), port)];
}
static int cell_connected(mls_ctx *c, const char *port)
{
    return cell_width(c, port) != 0;
}

static void *cell_alloc(mls_ctx *c, size_t bytes)
{
    return mls_arena_zalloc(&cell_of(c)->arena, bytes);
}

static mls_t cell_add_weight(mls_ctx *c, const char *name, int64_t rows, int64_t cols,
                             mls_init init)
{
    cell *x = cell_of(c);
    assert_true(x->n_weights < CELL_WEIGHTS);
    cell_weight *w = &x->weight[x->n_weights++];
    snprintf(w->name, sizeof w->name, "%s", name);
    w->t = mls_tape_leaf(&x->arena, 1, 1, rows, cols);
    w->rows = rows;
    w->cols = cols;
    w->init = init;
    w->t->data = mls_arena_zalloc(&x->arena, (size_t)(rows * cols) * sizeof(float));
    w->grad = w->t->grad =
        mls_arena_zalloc(&x->arena, (size_t)(rows * cols) * sizeof(float));
    double a = init.a, b = init.b;
    if (init.kind == MLS_XAVIER) a *= sqrt(6.0 / (double)(rows + cols));
    if (init.kind == MLS_FAN_IN) a /= sqrt((double)cols);
    const uint64_t key = mls_philox_key(x->seed, name, "init");
    if (init.kind == MLS_CONSTANT)
        for (int64_t i = 0; i < rows * cols; i++) w->t->data[i] = (float)a;
    else if (init.kind == MLS_NORMAL)
        mls_philox_normal(key, w->t->data, rows * cols, a);
    else
        mls_philox_uniform(key, w->t->data, rows * cols,
                           init.kind == MLS_RANGE ? a : -a,
                           init.kind == MLS_RANGE ? b : a);
    if (init.adjust) init.adjust(w->t->data, rows, cols, x->self);
    return w->t;
}

static mls_state *cell_add_state(mls_ctx *c, const char *name, int64_t width,
                                 double reset, const char *unit, const char *help)
{
    cell *x = cell_of(c);
    (void)unit, (void)help;
    assert_true(x->n_states < CELL_STATES);
    mls_state *s = &x->state[x->n_states++];
    const int64_t n = x->batch * width;
    *s = (mls_state){name, mls_arena_zalloc(&x->arena, (size_t)n * sizeof(float)),
                     mls_arena_zalloc(&x->arena, (size_t)n * sizeof(float)), width,
                     NULL};
    for (int64_t i = 0; i < n; i++) s->data[i] = (float)reset;
    return s;
}

static mls_t cell_load(mls_ctx *c, mls_state *s)
{
    if (!s->now)
        s->now = mls_tape_wrap(c, s->data, s->grad, 0, 1, cell_of(c)->batch, s->width);
    return s->now;
}

static void cell_store(mls_ctx *c, mls_state *s, mls_t value)
{
    (void)c;
    s->now = value;
}

static void cell_tap(mls_ctx *c, const char *name, mls_t v, const char *unit,
                     const char *help)
{
    (void)c, (void)name, (void)v, (void)unit, (void)help;
}

static int cell_wanted(mls_ctx *c, const char *name)
{
    (void)c, (void)name;
    return 0;
}

/* Sets the component up; width[i] is that of in port i, 0 for unconnected. */
static void cell_open(cell *x, const char *path, const char *options, int64_t batch,
                      const int64_t *width, uint64_t seed)
{
    char file[4096];
    const char *root = getenv("MLS_PLUGIN_PATH");
    *x = (cell){.batch = batch, .seed = seed};
    mls_plug_init();
    mls_host *h = &mls_plug_table;
    h->width = cell_width;
    h->connected = cell_connected;
    h->weight = cell_add_weight;
    h->state = cell_add_state;
    h->alloc = cell_alloc;
    h->load = cell_load;
    h->store = cell_store;
    h->tap = cell_tap;
    h->wanted = cell_wanted;
    snprintf(file, sizeof file, "%s/%s", root ? root : "plugins", path);
    const mls_plugin_info *info = mls_plug_open(file, &x->error);
    if (!info) fail_msg("%s", x->error.text);
    x->component = info->components[0];
    x->file = (mls_plugin_file){mls_arena_strdup(&x->arena, file), info, ""};
    x->registry = (mls_registry){.file = &x->file,
                                 .n_files = 1,
                                 .component = &x->component,
                                 .n_components = 1,
                                 .warnings = ""};
    x->self = mls_arena_zalloc(&x->arena, x->component->self_size + 1);
    mls_value *map = mls_value_map(&x->arena);
    char text[512], *rest = text;
    snprintf(text, sizeof text, "%s", options);
    for (char *o; (o = strsep(&rest, " "));) { /* "units=4 activation=relu" */
        char *is = strchr(o, '=');
        if (!is) continue;
        *is++ = '\0';
        char *end;
        const double v = strtod(is, &end);
        mls_value_set(&x->arena, map, mls_arena_strdup(&x->arena, o),
                      !strcmp(is, "true") || !strcmp(is, "false")
                          ? mls_value_bool(&x->arena, *is == 't')
                      : *end ? mls_value_string(&x->arena, is)
                             : mls_value_real(&x->arena, v));
    }
    const char *const none[] = {NULL};
    mls_option_apply(&x->registry, x->component, map, none, x->self, &x->arena,
                     &x->error);
    if (x->error.set) fail_msg("%s", x->error.text);
    memcpy(x->width, width, sizeof x->width);
    x->c = (mls_ctx){&x->error, "cell", NULL, &x->arena, seed, x, NULL};
    x->component->setup(&x->c, x->self);
    x->c.tape = &x->tape;
    if (x->error.set) fail_msg("%s", x->error.text);
}

static void cell_close(cell *x)
{
    mls_tape_free(&x->tape);
    mls_arena_free(&x->arena);
}

/* Begins a pass: tensors of the last one are gone, states start from their arrays. */
static void cell_begin(cell *x, unsigned flags)
{
    mls_tape_reset(&x->tape);
    x->tape.flags = flags;
    for (int i = 0; i < x->n_states; i++) {
        x->state[i].now = NULL;
        memset(x->state[i].grad, 0,
               (size_t)(x->batch * x->state[i].width) * sizeof(float));
    }
    for (int i = 0; i < x->n_weights; i++)
        memset(x->weight[i].grad, 0, (size_t)x->weight[i].t->count * sizeof(float));
}

/* An input [t][b][n] over data, whose gradient is added to grad (NULL: not wanted). */
static mls_t cell_input(cell *x, float *data, float *grad, int64_t t, int64_t n)
{
    return data ? mls_tape_wrap(&x->c, data, grad, 0, t, x->batch, n) : NULL;
}

static mls_t cell_forward(cell *x, const mls_t *in)
{
    mls_t out[CELL_PORTS] = {NULL};
    x->component->forward(&x->c, x->self, in, out);
    if (x->error.set) fail_msg("%s", x->error.text);
    return out[0];
}

/* n values uniform in (lo, hi) from a stream of their own, in the test's memory. */
static float *cell_noise(cell *x, int64_t n, uint64_t key, double lo, double hi)
{
    float *v = mls_arena_zalloc(&x->arena, (size_t)(n + 1) * sizeof *v);
    mls_philox_uniform(key, v, n, lo, hi);
    return v;
}

#endif
