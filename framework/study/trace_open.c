/* trace_open.c - builds what is traced and checks what is given against it. */
#include "kern/kern.h"
#include "study/misfit.h"
#include "study/trace_inner.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { LIST_WIDTH = 16 };

typedef struct checks {
    mls_trace  *t;
    mls_misfit  m;
    const char *known[600];                  /* every name that a row may have           */
    int         n_known;
} checks;

const mls_bundle_row *mls_trace_row(const mls_trace *t, const char *group, const char *name)
{
    const size_t n = strlen(group);
    for (int i = 0; t->c.input && i < t->c.input->n; i++) {
        const mls_bundle_row *r = &t->c.input->row[i];
        if (!strncmp(r->name, group, n) && !strcmp(r->name + n, name)) return r;
    }
    return NULL;
}

void mls_trace_to_time(const float *file, float *x, int64_t B, int64_t T, int64_t n,
                       int64_t stride, int64_t at)
{
    for (int64_t t = 0; t < T; t++)
        for (int64_t b = 0; b < B; b++)
            memcpy(x + (t * B + b) * stride + at, file + (b * T + t) * n,
                   (size_t)n * sizeof *x);
}

void mls_trace_to_file(const float *x, float *file, int64_t B, int64_t T, int64_t n,
                       int64_t stride, int64_t at)
{
    for (int64_t t = 0; t < T; t++)
        for (int64_t b = 0; b < B; b++)
            memcpy(file + (b * T + t) * n, x + (t * B + b) * stride + at,
                   (size_t)n * sizeof *x);
}

/* ---- checks of one row ----------------------------------------------------------------- */

static void know(checks *k, const char *group, const char *name)
{
    if (k->n_known < (int)(sizeof k->known / sizeof *k->known))
        k->known[k->n_known++] = mls_arena_printf(&k->t->arena, "%s%s", group, name);
}

static void check_finite(checks *k, const mls_bundle_row *r)
{
    int64_t n = 1;
    for (int i = 0; i < r->rank; i++) n *= r->dim[i];
    const int64_t bad = mls_k_first_bad(r->data, n);
    if (bad >= 0)
        mls_misfit_add(&k->m, "not finite %s: %s at %s", r->name,
                       isnan(((const float *)r->data)[bad]) ? "NaN" : "Inf",
                       mls_misfit_place(r->rank, r->dim, bad, &k->t->arena));
}

/* A row that may be absent.  Its axes: sample, time, then features, of which `n` in all (0:
 * none; a last axis of length 1 may be there).  steps 0: no axis of time.  Returns it if it
 * fits. */
static const mls_bundle_row *look(checks *k, const char *group, const char *name, int64_t steps,
                                  int64_t n)
{
    mls_trace *t = k->t;
    know(k, group, name);
    const mls_bundle_row *r = mls_trace_row(t, group, name);
    if (!r) return NULL;
    const int axes = steps ? 2 : 1;
    int64_t rest = 1;
    for (int i = axes; i < r->rank; i++) rest *= r->dim[i];
    const int fits = r->rank >= axes && r->dim[0] == t->B && (!steps || r->dim[1] == steps) &&
                     rest == (n ? n : 1) && (n ? r->rank > axes : r->rank <= axes + 1);
    if (fits) {
        check_finite(k, r);
        return r;
    }
    const int64_t want[3] = { t->B, steps ? steps : n, n };
    const char *shape = mls_misfit_shape(axes + (n > 0), want, &t->arena);
    mls_misfit_add(&k->m, "misshapen %s: the file has %s, %s is needed: [sample]%s%s", r->name,
                   mls_misfit_shape(r->rank, r->dim, &t->arena), shape, steps ? "[time]" : "",
                   n ? "[feature]" : "");
    return NULL;
}

/* Before there is a network only the inputs are known. */
static void unknown_rows(checks *k)
{
    const mls_trace *t = k->t;
    for (int i = 0; t->c.input && i < t->c.input->n; i++) {
        const mls_bundle_row *r = &t->c.input->row[i];
        int known = !t->net && strncmp(r->name, "in/", 3);
        for (int j = 0; j < k->n_known && !known; j++) known = !strcmp(k->known[j], r->name);
        if (known) continue;
        const char *near = mls_error_nearest(r->name, k->known, k->n_known);
        mls_misfit_add(&k->m, "unknown %s%s%s", r->name, near ? "; there is " : "",
                       near ? near : "");
    }
}

/* ---- a component ------------------------------------------------------------------------- */

static int is_service(const mls_port *p) { return !strcmp(p->name, "mask") || !strcmp(p->name, "dt"); }

/* T and B are those of the first row of inputs with three axes. */
static void measure(checks *k)
{
    mls_trace *t = k->t;
    t->T = t->B = 0;
    for (int i = 0; i < t->c.input->n && !t->T; i++) {
        const mls_bundle_row *r = &t->c.input->row[i];
        if (strncmp(r->name, "in/", 3) || r->rank < 2) continue;
        t->B = r->dim[0];
        t->T = r->dim[1];
        if (t->T < 1 || t->B < 1)
            mls_misfit_add(&k->m, "misshapen %s: %s holds no step of a sample", r->name,
                           mls_misfit_shape(r->rank, r->dim, &t->arena));
    }
}

/* What a port is wide in a listing without numbers. */
static int64_t usual_width(const mls_trace *t, const mls_component *c, const mls_port *p)
{
    const char *word = strrchr(p->shape, ' ');
    const int64_t number = word ? strtoll(word + 1, NULL, 10) : 0,
                  width = t->c.width ? t->c.width : LIST_WIDTH;
    const mls_option *o;
    if (number > 0) return number;
    for (int i = 0; word && (o = mls_plug_option(t->c.registry, c, i)); i++) {
        if (o->type != MLS_INT || strcmp(o->name, word + 1)) continue;
        const mls_value *v = mls_value_get(t->c.component, o->name);
        const int64_t n = v && v->kind == MLS_V_INT ? v->integer : (int64_t)o->def;
        if (n > 0) return n;
    }
    return width;
}

static void add_port(mls_trace *t, const char *name, int64_t n)
{
    t->in[t->n_in++] = (mls_trace_port){ name, t->shape.input, n };
    t->shape.input += n;
}

static void input_port(checks *k, const mls_component *c, const mls_port *p)
{
    mls_trace *t = k->t;
    if (!t->c.input) {
        add_port(t, p->name, usual_width(t, c, p));
        return;
    }
    const mls_bundle_row *r = mls_trace_row(t, "in/", p->name);
    know(k, "in/", p->name);
    if (!r && !(p->flags & MLS_MAYBE))
        mls_misfit_add(&k->m, "missing in/%s [sample][time][feature]", p->name);
    if (!r) return;
    const int64_t n = r->rank == 3 ? r->dim[2] : 0;
    if (n < 1)
        mls_misfit_add(&k->m, "misshapen %s: the file has %s, expected [sample][time][feature]",
                       r->name, mls_misfit_shape(r->rank, r->dim, &t->arena));
    else if (look(k, "in/", p->name, t->T, n)) add_port(t, p->name, n);
}

static void services(checks *k, const mls_component *c)
{
    mls_trace *t = k->t;
    const mls_port *p;
    for (int i = 0; (p = mls_plug_port(t->c.registry, c, i)); i++)
        if ((p->flags & MLS_IN) && is_service(p)) look(k, "", p->name, t->T, 0);
}

static int pools(const mls_trace *t, const mls_component *c)
{
    const mls_port *p;
    for (int i = 0; (p = mls_plug_port(t->c.registry, c, i)); i++)
        if (p->flags & MLS_OUT) return p->shape[0] == '1';
    return 0;
}

/* How wide a head's output is. */
static int64_t classes_of(const mls_trace *t, const mls_component *c, mls_error *e)
{
    if (strcmp(c->kind, "head") || t->c.classes) return t->c.classes ? t->c.classes : 1;
    for (int i = 0; t->c.input && i < t->c.input->n; i++) {
        const mls_bundle_row *r = &t->c.input->row[i];
        if (!strncmp(r->name, "grad_out/", 9) && r->rank > 1 && r->dim[r->rank - 1] > 0)
            return r->dim[r->rank - 1];
    }
    if (t->c.input)
        mls_error_set(e, "%s: how wide is its output? There is no grad_out that tells; give "
                      "--classes N", t->name);
    return LIST_WIDTH;
}

static void open_component(checks *k, mls_error *e)
{
    mls_trace *t = k->t;
    const mls_value *v = mls_value_get(t->c.component, "component");
    const mls_component *c = v && v->kind == MLS_V_STRING
        ? mls_registry_find(t->c.registry, v->string, t->c.component, e) : NULL;
    const mls_port *p;
    if (!c) {
        mls_error_set(e, "this is no component");
        return;
    }
    t->name = v->string;
    if (c->task) {
        mls_error_set(e, "%s is a task: it has neither inputs nor weights to trace", t->name);
        return;
    }
    for (int i = 0; (p = mls_plug_port(t->c.registry, c, i)); i++)
        if ((p->flags & MLS_IN) && !is_service(p) && t->n_in < MLS_TRACE_PORTS)
            input_port(k, c, p);
    services(k, c);
    if (!t->n_in && !k->m.n) mls_misfit_add(&k->m, "missing in/<port>: nothing goes in");
    if (k->m.n) return;
    const int head = !strcmp(c->kind, "head");
    const int64_t width = t->c.width && !head ? t->c.width : t->in[0].n;
    t->node = head ? "head" : "layer0.node";
    t->prefix = head ? "head." : "layer0.node.";
    t->shape = (mls_task_shape){ .steps = t->T, .input = t->shape.input, .loss = MLS_MSE,
        .output = classes_of(t, c, e), .per_step = !pools(t, c) };
    t->shape.has_mask = !t->c.input || mls_trace_row(t, "", "mask");
    t->shape.has_dt = !t->c.input || mls_trace_row(t, "", "dt");
    if (e->set || !mls_trace_parts(t->c.registry, e)) return;
    t->net = mls_net_build(&(mls_net_config){ t->c.registry, mls_trace_specification(t, c, width),
                                              &t->shape, t->c.seed, 0 }, e);
}

/* ---- a network --------------------------------------------------------------------------- */

static void open_network(checks *k, mls_error *e)
{
    mls_trace *t = k->t;
    t->name = "the network";
    t->prefix = "";
    t->shape = *t->c.shape;
    if (t->c.input) {
        if (!mls_trace_row(t, "in/", "input"))
            mls_misfit_add(&k->m, "missing in/input [sample][time]%s",
                           t->shape.vocabulary ? " of tokens" : "[feature]");
        look(k, "in/", "input", t->T, t->shape.vocabulary ? 0 : t->shape.input);
        look(k, "", "mask", t->T, 0);
        look(k, "", "dt", t->T, 0);
        t->shape.steps = t->T;
        t->shape.has_mask = mls_trace_row(t, "", "mask") != NULL;
        t->shape.has_dt = mls_trace_row(t, "", "dt") != NULL;
    }
    if (!t->shape.vocabulary) t->in[t->n_in++] = (mls_trace_port){ "input", 0, t->shape.input };
    if (!k->m.n)
        t->net = mls_net_build(&(mls_net_config){ t->c.registry, t->c.network, &t->shape,
                                                  t->c.seed, 0 }, e);
}

/* ---- what depends on the network ---------------------------------------------------------- */

static void check_outputs(checks *k)
{
    mls_trace *t = k->t;
    mls_channel *list;
    const int64_t steps = t->shape.per_step ? t->T : 1;
    if (!t->node) {
        look(k, "grad_out/", "output", steps, t->shape.output);
        return;
    }
    const mls_component *c = mls_registry_find(t->c.registry, t->name, NULL, &(mls_error){ 0 });
    const int n = mls_run_channels(t->run, &list, &t->arena);
    const mls_port *p;
    for (int i = 0; c && (p = mls_plug_port(t->c.registry, c, i)); i++)
        for (int j = 0; (p->flags & MLS_OUT) && j < n; j++)
            if (!strcmp(list[j].node, t->node) && !strcmp(list[j].name, p->name))
                look(k, "grad_out/", p->name, steps, list[j].width);
}

static void set_states(checks *k)
{
    mls_trace *t = k->t;
    for (int i = 0; i < mls_run_states(t->run); i++) {
        float *value;
        int64_t width;
        const char *name = mls_run_state(t->run, i, &value, &width, NULL) + strlen(t->prefix);
        const mls_bundle_row *r = look(k, "state/", name, 0, width);
        if (r) memcpy(value, r->data, (size_t)(t->B * width) * sizeof *value);
        r = look(k, "grad_state/", name, 0, width);
        if (r) mls_run_seed_state(t->run, i, r->data);
    }
}

static float *plane(mls_trace *t, const char *name)
{
    const mls_bundle_row *r = mls_trace_row(t, "", name);
    float *x = r ? mls_arena_alloc(&t->arena, (size_t)(t->T * t->B) * sizeof *x) : NULL;
    if (x) mls_trace_to_time(r->data, x, t->B, t->T, 1, 1, 0);
    return x;
}

static void lay_out(mls_trace *t, mls_error *e)
{
    const int64_t rows = t->T * t->B;
    int32_t *token = NULL;
    if (t->shape.vocabulary) {
        const mls_bundle_row *r = mls_trace_row(t, "in/", "input");
        const float *from = r->data;
        token = mls_arena_alloc(&t->arena, (size_t)rows * sizeof *token);
        for (int64_t i = 0; token && i < rows && !e->set; i++) {
            const float x = from[i % t->B * t->T + i / t->B];
            if (!(x == floorf(x) && fabsf(x) < 1e9f))
                mls_error_set(e, "%s: in/input has %g at step %lld of sample %lld, expected a "
                              "token", t->c.file, (double)x, (long long)(i / t->B),
                              (long long)(i % t->B));
            else token[i] = (int32_t)x;
        }
    } else {
        t->x = mls_arena_zalloc(&t->arena, (size_t)(rows * t->shape.input) * sizeof *t->x);
        for (int i = 0; t->x && i < t->n_in; i++)
            mls_trace_to_time(mls_trace_row(t, "in/", t->in[i].name)->data, t->x, t->B, t->T,
                              t->in[i].n, t->shape.input, t->in[i].from);
    }
    t->batch = (mls_batch){ .steps = t->T, .batch = t->B, .token = token, .x = t->x,
                            .mask = plane(t, "mask"), .dt = plane(t, "dt") };
    if (!(token || t->x) || !t->batch.mask != !t->shape.has_mask ||
        !t->batch.dt != !t->shape.has_dt)
        mls_error_set(e, "out of memory for %lld samples of %lld steps", (long long)t->B,
                      (long long)t->T);
}

static void prepare(checks *k, mls_error *e)
{
    mls_trace *t = k->t;
    t->run = mls_run_new(t->net, t->B, t->c.grad ? MLS_TRAIN : 0, e);
    if (!t->run) return;
    mls_run_track(t->run, t->c.grad);
    mls_run_tape(t->run)->steady = 1;
    if (!t->c.input) return;
    check_outputs(k);
    set_states(k);
    unknown_rows(k);
    if (!k->m.n) lay_out(t, e);
}

mls_trace *mls_trace_open(const mls_trace_config *c, mls_error *e)
{
    mls_trace *t = calloc(1, sizeof *t);
    checks *k = calloc(1, sizeof *k);
    if (t && k) {
        *t = (mls_trace){ .c = *c, .T = 1, .B = 1, .last = &t->seen };
        k->t = t;
        if (c->input) measure(k);
        if (c->component) open_component(k, e);
        else open_network(k, e);
        if (k->m.n && !t->net) unknown_rows(k);
        if (t->net && !e->set) prepare(k, e);
        mls_misfit_tell(&k->m, c->file ? c->file : "", t->name ? t->name : "", e);
    } else {
        mls_error_set(e, "out of memory for a trace");
    }
    free(k);
    if (!e->set) return t;
    mls_trace_free(t);
    return NULL;
}

void mls_trace_free(mls_trace *t)
{
    if (!t) return;
    if (t->run) mls_run_free(t->run);
    if (t->net) mls_net_free(t->net);
    mls_arena_free(&t->arena);
    free(t);
}

mls_net *mls_trace_net(mls_trace *t) { return t->net; }
mls_run *mls_trace_running(mls_trace *t) { return t->run; }
const mls_batch *mls_trace_batch(const mls_trace *t) { return &t->batch; }
const char *mls_trace_prefix(const mls_trace *t) { return t->prefix; }
const char *mls_trace_name(const mls_trace *t) { return t->name; }
