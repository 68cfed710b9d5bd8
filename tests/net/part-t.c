/* Parts: components inside of components, from the option that names them to remat.      */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "conf/conf.h"
#include "net/net.h"

/* ---- leak: h[t] = decay h[t-1] + (1 - decay) W x[t], by scan; a penalty on h -------------- */

typedef struct leak { int64_t units; double decay, penalty; mls_t w; mls_state *h; } leak;

static void leak_setup(mls_ctx *c, void *self)
{
    leak *p = self;
    p->w = mls->weight(c, "w", p->units, mls->width(c, "in"), MLS_LINEAR);
    p->h = mls->state(c, "h", p->units, 0.25, NULL, "what is kept");
}

static void leak_run(mls_ctx *c, void *self, const mls_t *in, mls_t *out)
{
    const leak *p = self;
    mls_t x = mls->linear(c, in[0], p->w, NULL);
    mls_t a = mls->scale(c, x, 0.0, p->decay), b = mls->scale(c, x, 1.0 - p->decay, 0.0);
    if (in[2]) b = mls->binary(c, MLS_MUL, b, in[2]);
    out[0] = mls->scan(c, a, b, p->h, in[1]);
    mls->tap(c, "input", x, NULL, "W x");
    if (p->penalty > 0.0)
        mls->penalty(c, "size", mls->unary(c, MLS_SQUARE, out[0]), p->penalty);
}

static const mls_port leak_ports[] = {
    { "in", MLS_IN, "T B in", "" }, { "mask", MLS_IN | MLS_MAYBE, "T B 1", "" },
    { "dt", MLS_IN | MLS_MAYBE, "T B 1", "" }, { "mod", MLS_IN | MLS_MAYBE, "T B m", "" },
    { "out", MLS_OUT, "T B units", "" }, MLS_PORT_END };
static const mls_option leak_options[] = {
    MLS_OPT(leak, units, MLS_INT, 0, 0, 64, NULL, "units; 0: the network's width"),
    MLS_OPT(leak, decay, MLS_REAL, 0.5, 0, 1, NULL, "of a step"),
    MLS_OPT(leak, penalty, MLS_REAL, 0, 0, 10, NULL, "on h"), MLS_OPT_END };
static const mls_component leak_component = {
    sizeof leak_component, "liquid", "leak", MLS_CAUSAL | MLS_STREAMS, "Test.", leak_ports,
    leak_options, sizeof(leak), leak_setup, leak_run, NULL };

/* The same without a mask. */
static void deaf_run(mls_ctx *c, void *self, const mls_t *in, mls_t *out)
{
    leak_run(c, self, (mls_t[]){ in[0], NULL, NULL, NULL }, out);
}
static const mls_port deaf_ports[] = { { "in", MLS_IN, "T B in", "" },
                                       { "out", MLS_OUT, "T B units", "" }, MLS_PORT_END };
static const mls_component deaf_component = {
    sizeof deaf_component, "liquid", "deaf", MLS_CAUSAL, "Test.", deaf_ports, leak_options,
    sizeof(leak), leak_setup, deaf_run, NULL };

/* ---- owner: parts one after the other, and what an owner may do wrong ---------------------- */

enum { AT_ONCE, IN_PIECES, TWICE, TOO_WIDE, DOTTED, SAME_NAME, LATE, STEADY, BLIND,
       MOST = 40 };

typedef struct owner {
    const mls_spec *parts, *last;
    int64_t         mode;
    int             n;
    mls_part       *part[MOST];
} owner;

static void owner_setup(mls_ctx *c, void *self)
{
    owner *p = self;
    int64_t n = mls->width(c, "in");
    p->n = 0;
    for (const mls_spec *s = p->parts; s; s = s->next, p->n++) {
        char name[16];
        snprintf(name, sizeof name, p->mode == DOTTED ? "p.%d" : "p%d",
                 p->mode == SAME_NAME ? 0 : p->n);
        p->part[p->n] = mls->part(c, s, name, n, n + 1);
        n = p->part[p->n]->out;
    }
    p->part[p->n] = mls->part(c, p->last, "last", n, mls->width(c, "out"));
    p->n++;
}

static mls_t pieces(mls_ctx *c, mls_part *p, mls_t x, mls_t mask)
{
    mls_t y[64];
    const int64_t T = x->dim[0];
    for (int64_t t = 0; t < T; t++)
        y[t] = mls->run(c, p, mls->steps(c, x, t, 1), mask ? mls->steps(c, mask, t, 1) : NULL,
                        NULL);
    return mls->join(c, y, (int)T);
}

static void owner_run(mls_ctx *c, void *self, const mls_t *in, mls_t *out)
{
    owner *p = self;
    mls_t x = in[0], mask = in[1];
    if (p->mode == BLIND) mask = mls->scale(c, mask, 0.0, 0.0);
    for (int i = 0; i < p->n; i++) {
        if (p->mode == STEADY) mls->restart(c, p->part[i]);
        const mls_t y = p->mode == IN_PIECES ? pieces(c, p->part[i], x, mask)
                                             : mls->run(c, p->part[i], x, mask, NULL);
        if (p->mode == TWICE) mls->run(c, p->part[i], x, in[1], NULL);
        x = p->mode == TOO_WIDE ? mls->concat(c, y, y) : y;
    }
    if (p->mode == LATE) mls->part(c, p->last, "late", 3, 3);
    out[0] = x;
}

static const mls_port owner_ports[] = {
    { "in", MLS_IN, "T B n", "" }, { "mask", MLS_IN | MLS_MAYBE, "T B 1", "" },
    { "out", MLS_OUT, "T B n", "" }, MLS_PORT_END };
static const mls_option owner_options[] = {
    MLS_OPT_COMPONENTS(owner, parts, "liquid.leak, liquid.leak", "one after the other"),
    MLS_OPT_COMPONENT(owner, last, "liquid.leak", "after them"),
    MLS_OPT(owner, mode, MLS_INT, 0, 0, 8, NULL, "of the test"), MLS_OPT_END };
static const mls_component owner_component = {
    sizeof owner_component, "mixer", "owner", MLS_CAUSAL | MLS_STREAMS, "Test.", owner_ports,
    owner_options, sizeof(owner), owner_setup, owner_run, NULL };

/* One that is its own part. */
static const mls_option self_options[] = {
    MLS_OPT_COMPONENT(owner, last, "mixer.self", "itself"), MLS_OPT_END };
static const mls_component self_component = {
    sizeof self_component, "mixer", "self", MLS_CAUSAL, "Test.", owner_ports, self_options,
    sizeof(owner), owner_setup, owner_run, NULL };

/* Two inputs that must be fed. */
static const mls_port two_ports[] = { { "a", MLS_IN, "T B n", "" }, { "b", MLS_IN, "T B n", "" },
                                      { "out", MLS_OUT, "T B n", "" }, MLS_PORT_END };
static const mls_component two_component = {
    sizeof two_component, "fusion", "two", MLS_CAUSAL, "Test.", two_ports, NULL,
    1, leak_setup, leak_run, NULL };

typedef struct head { mls_t w; } head;
static void head_setup(mls_ctx *c, void *self)
{
    ((head *)self)->w = mls->weight(c, "w", mls->width(c, "output"), mls->width(c, "in"),
                                    MLS_LINEAR);
}
static void head_run(mls_ctx *c, void *self, const mls_t *in, mls_t *out)
{
    out[0] = mls->linear(c, in[0], ((head *)self)->w, NULL);
}
static const mls_port head_ports[] = { { "in", MLS_IN, "T B in", "" },
                                       { "out", MLS_OUT, "T B output", "" }, MLS_PORT_END };
static const mls_component head_component = {
    sizeof head_component, "head", "linear", MLS_CAUSAL, "Test.", head_ports, NULL,
    sizeof(head), head_setup, head_run, NULL };

static const mls_component *list[] = { &two_component, &head_component, &deaf_component,
                                       &leak_component, &owner_component, &self_component };
static mls_registry registry = { .component = list, .n_components = 6, .warnings = "" };

/* ---- a network of one owner ----------------------------------------------------------------- */

enum { D = 3, B = 2, T = 7 };
static const mls_task_shape shape = { .steps = T, .input = D, .output = 2, .loss = MLS_MSE,
                                      .per_step = 1, .has_mask = 1 };
static float x[T * B * D], target[T * B * 2], mask[T * B];
static const mls_batch batch = { T, B, NULL, x, mask, NULL, NULL, target };

typedef struct rig { mls_arena a; mls_error e; mls_net *net; mls_run *run; } rig;

/* options: of the owner, as YAML. */
static void build(rig *r, const char *options, const char *more)
{
    *r = (rig){ 0 };
    const char *text = mls_arena_printf(&r->a, "{width: 3, layers: 1, nodes: {o: {component: "
                                        "mixer.owner%s%s}}, wire: input -> o -> output%s}",
                                        *options ? ", " : "", options, more);
    const mls_value *v = mls_yaml_parse(&r->a, text, strlen(text), "t.yaml", &r->e);
    assert_string_equal(r->e.text, "");
    r->net = mls_net_build(&(mls_net_config){ &registry, v, &shape, 7, 0 }, &r->e);
}

static void open_rig(rig *r, const char *options, const char *more, unsigned flags)
{
    build(r, options, more);
    assert_string_equal(r->e.text, "");
    r->run = mls_run_new(r->net, B, flags, &r->e);
    assert_non_null(r->run);
}

static void close_rig(rig *r)
{
    if (r->run) mls_run_free(r->run);
    mls_net_free(r->net);
    mls_arena_free(&r->a);
}

static void refuses(const char *options, const char *words)
{
    rig r;
    build(&r, options, "");
    if (!strstr(r.e.text, words)) fail_msg("%s: \"%s\" lacks \"%s\"", options, r.e.text, words);
    assert_null(r.net);
    close_rig(&r);
}

static double loss_of(rig *r)
{
    mls_run_reset(r->run);
    const double loss = mls_run_loss(r->run, &batch, 0, NULL);
    assert_string_equal(mls_run_error(r->run)->text, "");
    return loss;
}

static void fill(void)
{
    for (int i = 0; i < T * B * D; i++) x[i] = 0.9f * sinf(1.7f * (float)i);
    for (int i = 0; i < T * B * 2; i++) target[i] = 0.5f * cosf(0.9f * (float)i);
    for (int i = 0; i < T * B; i++) mask[i] = i % B == 0 || i / B % 3 != 1;
}

/* ---- tests ------------------------------------------------------------------------------------ */

static void options(void **state)
{
    (void)state;
    refuses("last: liquid.laek", "t.yaml:1:");
    refuses("last: liquid.laek", "mixer.owner: last: no component is called \"liquid.laek\"; "
            "did you mean \"liquid.leak\"?");
    refuses("parts: [liquid.leak, liquid.laek]", "mixer.owner: parts[1]: no component");
    refuses("last: {component: liquid.leak, decya: 0.1}",
            "liquid.leak has no option \"decya\"; did you mean \"decay\"?");
    refuses("parts: [{component: liquid.leak, decay: 2}]",
            "liquid.leak: decay = 2 lies outside 0 to 1");
    refuses("last: {decay: 0.1}", "mixer.owner: last is a map without component, expected a "
            "component");
    refuses("last: 3", "mixer.owner: last is an integer, expected a component");
    refuses("last: [liquid.leak]", "mixer.owner: last is a list");
    refuses("parts: []", "mixer.owner: parts is an empty list");
    refuses("parts: liquid.leak", "mixer.owner: parts is a string, expected a list of comp");
    refuses("parts: {component: liquid.leak}", "parts is one component, expected a list");
    refuses("last: head.linear", "last is head.linear, which is the end of a network");
    refuses("last: fusion.two", "last is fusion.two, whose input \"b\" would stay open");
    refuses("last: mixer.self", "(one is its own part)");
}

static void setup_errors(void **state)
{
    (void)state;
    refuses("last: liquid.deaf", "layer0.o.last: liquid.deaf keeps the state h and has no input "
            "\"mask\"");
    refuses("mode: 4", "layer0.o: a part is called \"p.0\"; its name has no dot");
    refuses("mode: 5", "layer0.o: two parts are called p0");
    refuses("last: {component: mixer.owner, last: liquid.deaf}", "layer0.o.last.last: liquid.deaf");
}

static void run_errors(void **state)
{
    (void)state;
    static const char *const said[][2] = {
        { "mode: 2", "layer0.o.p0 runs over 7 steps and then 7 more, but there are 7" },
        { "mode: 3", "layer0.o.p1 is fed [7][2][8], expected [T][2][4]" },
        { "mode: 6", "layer0.o: part late: parts are made in setup" } };
    for (int i = 0; i < 3; i++) {
        rig r;
        open_rig(&r, said[i][0], "", 0);
        assert_null(mls_run_forward(r.run, &batch, 0));
        if (!strstr(mls_run_error(r.run)->text, said[i][1]))
            fail_msg("\"%s\" lacks \"%s\"", mls_run_error(r.run)->text, said[i][1]);
        close_rig(&r);
    }
}

static int has_channel(rig *r, const char *node, const char *name)
{
    mls_channel *ch;
    int found = 0;
    const int n = mls_run_channels(r->run, &ch, &r->a);
    for (int i = 0; i < n; i++)
        found += !strcmp(ch[i].node, node) && !strcmp(ch[i].name, name);
    return found;
}

/* Widths: where a part says "the network's width", its owner says how much that is. */
static void names_and_sizes(void **state)
{
    (void)state;
    rig r;
    open_rig(&r, "parts: [{component: liquid.leak, units: 5}, liquid.leak]", "", 0);
    assert_non_null(strstr(mls_net_summary(r.net, &r.a),
        "layer0.o         mixer.owner  3 -> 3  0 parameters\n"
        "layer0.o.p0      liquid.leak  3 -> 5  15 parameters\n"
        "layer0.o.p1      liquid.leak  5 -> 6  30 parameters\n"
        "layer0.o.last    liquid.leak  6 -> 3  18 parameters\n"));
    assert_int_equal(mls_net_parameters(r.net), 9 + 3 + 2 * 3 + 15 + 30 + 18 + 2 * 3);
    int found = 0;
    for (int i = 0; i < mls_net_weights(r.net); i++)
        found += !strcmp(mls_net_weight(r.net, i)->name, "layer0.o.p1.w");
    assert_int_equal(found, 1);
    assert_int_equal(mls_run_states(r.run), 3);
    assert_string_equal(mls_run_state(r.run, 0, NULL, NULL, NULL), "layer0.o.p0.h");
    assert_int_equal(has_channel(&r, "layer0.o.p1", "input"), 1);
    assert_int_equal(has_channel(&r, "layer0.o.p1", "out"), 1);
    assert_int_equal(has_channel(&r, "layer0.o.last", "h"), 1);
    close_rig(&r);
}

/* What is recorded as /config builds the same network again. */
static void resolved(void **state)
{
    (void)state;
    rig r;
    open_rig(&r, "parts: [{component: liquid.leak, units: 5}], last: {component: mixer.owner}",
             "", 0);
    const mls_value *spec = mls_net_resolved(r.net, &r.a);
    const mls_value *v = mls_value_get_path(spec, "nodes.o.parts.0.decay");
    assert_true(v && v->real == 0.5);
    v = mls_value_get_path(spec, "nodes.o.last.parts.1.component");
    assert_true(v && !strcmp(v->string, "liquid.leak"));
    mls_net *again = mls_net_build(&(mls_net_config){ &registry, spec, &shape, 7, 0 }, &r.e);
    assert_string_equal(r.e.text, "");
    assert_true(mls_value_equal(spec, mls_net_resolved(again, &r.a)));
    assert_string_equal(mls_net_summary(again, &r.a), mls_net_summary(r.net, &r.a));
    mls_net_free(again);
    close_rig(&r);
}

typedef struct seen { int64_t steps; int bad; } seen;

static int wanted(void *arg, const char *node, const char *name)
{
    (void)arg;
    return !strcmp(node, "layer0.o.p1") && !strcmp(name, "out");
}

static void look(void *arg, const mls_channel *ch, mls_t v, int64_t t0)
{
    seen *s = arg;
    (void)ch;
    s->bad += t0 != s->steps;
    s->steps += v->dim[0];
}

static void in_pieces(void **state)
{
    (void)state;
    rig r;
    double loss[2];
    for (int mode = 0; mode < 2; mode++) {
        seen s = { 0 };
        open_rig(&r, mode ? "mode: 1" : "mode: 0", "", MLS_EXACT);
        mls_run_observe(r.run, &(mls_observer){ &s, wanted, look });
        loss[mode] = loss_of(&r);
        assert_int_equal(s.steps, T);
        assert_int_equal(s.bad, 0);
        close_rig(&r);
    }
    assert_true(loss[0] == loss[1]);
}

/* A masked step leaves a part's state alone: it ends where its last real step left it. */
static void masks(void **state)
{
    (void)state;
    rig r;
    float *h, kept[3];
    float keep[T * B];
    memcpy(keep, mask, sizeof keep);
    open_rig(&r, "parts: [liquid.leak]", "", 0);
    for (int t = 0; t < T; t++) mask[t * B + 1] = t < 4;
    loss_of(&r);
    mls_run_state(r.run, 1, &h, NULL, NULL);
    memcpy(kept, h + D, sizeof kept);
    for (int i = 0; i < D; i++) x[(5 * B + 1) * D + i] += 3.0f;
    loss_of(&r);
    mls_run_state(r.run, 1, &h, NULL, NULL);
    assert_memory_equal(kept, h + D, sizeof kept);
    mask[5 * B + 1] = 1.0f;
    loss_of(&r);
    mls_run_state(r.run, 1, &h, NULL, NULL);
    assert_memory_not_equal(kept, h + D, sizeof kept);
    close_rig(&r);
    fill();
    memcpy(mask, keep, sizeof keep);
}

/* Restarted, a part knows nothing of the call before. */
static void restarts(void **state)
{
    (void)state;
    for (int mode = 0; mode < 8; mode += STEADY) {
        rig r;
        open_rig(&r, mode ? "mode: 7" : "", "", 0);
        const double first = loss_of(&r), second = mls_run_loss(r.run, &batch, 0, NULL);
        assert_true(mode ? first == second : fabs(first - second) > 1e-4);
        close_rig(&r);
    }
}

/* 20 parts have more states than a node has ports. */
static void remat_changes_no_bit(void **state)
{
    (void)state;
    static float kept[2000];
    float last[60];
    char text[1000] = "parts: [";
    for (int i = 0; i < 19; i++)
        strcat(text, i ? ", {component: liquid.leak, units: 3, penalty: 0.5}" : "liquid.leak");
    strcat(text, "], last: {component: mixer.owner}");
    for (int remat = 0; remat < 2; remat++) {
        rig r;
        int64_t n;
        float *h;
        open_rig(&r, text, remat ? ", remat: [o]" : "", MLS_TRAIN);
        mls_net_data(r.net, &n);
        assert_true(n < 2000);
        mls_net_zero_grad(r.net);
        loss_of(&r);
        assert_true(mls_run_penalty(r.run, NULL) > 1e-4);
        mls_run_backward(r.run, 1.0);
        assert_string_equal(mls_run_error(r.run)->text, "");
        mls_run_state(r.run, 21, &h, NULL, NULL);
        if (remat) {
            assert_memory_equal(kept, mls_net_grad(r.net), (size_t)n * sizeof *kept);
            assert_memory_equal(last, h, B * D * sizeof *last);
        } else {
            memcpy(kept, mls_net_grad(r.net), (size_t)n * sizeof *kept);
            memcpy(last, h, B * D * sizeof *last);
        }
        close_rig(&r);
    }
}

static void gradients(void **state)
{
    (void)state;
    rig r;
    int64_t n;
    open_rig(&r, "parts: [liquid.leak, {component: liquid.leak, penalty: 2}]", "", MLS_TRAIN);
    float *w = mls_net_data(r.net, &n), *g = mls_net_grad(r.net);
    mls_net_zero_grad(r.net);
    loss_of(&r);
    mls_run_backward(r.run, 1.0);
    for (int64_t i = 0; i < n; i++) {
        const float keep = w[i], h = 2e-2f;
        double f[4];
        for (int k = 0; k < 4; k++) {
            w[i] = keep + h * (float)(k < 2 ? k - 2 : k - 1);
            f[k] = loss_of(&r) + mls_run_penalty(r.run, NULL);
        }
        w[i] = keep;
        const double d = (f[0] - 8.0 * f[1] + 8.0 * f[2] - f[3]) / (12.0 * (double)h);
        if (fabs(d - (double)g[i]) > 3e-4 * (1.0 + fabs(d)))
            fail_msg("parameter %lld: %g by differences, %g by backward", (long long)i, d,
                     (double)g[i]);
    }
    close_rig(&r);
}

/* The real steps of a part are those of its own mask, also to its penalties. */
static void a_mask_of_its_own(void **state)
{
    (void)state;
    for (int mode = 0; mode <= BLIND; mode += BLIND) {
        rig r;
        int n;
        float *h;
        open_rig(&r, mode ? "mode: 8, last: {component: liquid.leak, penalty: 2}"
                          : "last: {component: liquid.leak, penalty: 2}", "", MLS_TRAIN);
        loss_of(&r);
        const double penalty = mls_run_penalty(r.run, &n);
        assert_int_equal(n, 1);
        assert_true(mode ? !(penalty > 0.0) : penalty > 1e-3);
        mls_run_state(r.run, 2, &h, NULL, NULL);
        for (int i = 0; mode && i < B * D; i++) assert_true(h[i] == 0.25f);
        close_rig(&r);
    }
}

static void cost(void **state)
{
    (void)state;
    rig r, more;
    mls_cost a, b;
    open_rig(&r, "parts: [liquid.leak]", "", MLS_TRAIN);
    open_rig(&more, "", "", MLS_TRAIN);
    assert_true(mls_net_cost(r.net, T, B, &a, &r.e) && mls_net_cost(more.net, T, B, &b, &r.e));
    assert_true(b.flops > a.flops && b.parameters == a.parameters - 3 * 4 + 4 * 5 + 5 * 3);
    close_rig(&r);
    close_rig(&more);
}

/* Real steps turn round, the others stay; twice is once. */
static void reverse(void **state)
{
    (void)state;
    float v[6] = { 1, 2, 3, 4, 5, 6 }, m[6] = { 1, 1, 0, 1, 1, 1 };
    rig r;
    open_rig(&r, "", "", MLS_TRAIN);
    loss_of(&r);
    mls_ctx *c = mls_run_ctx(r.run);
    /* [T = 3][B = 2][1]: sample 0 is 1, 3, 5 with step 1 masked; sample 1 is 2, 4, 6 */
    mls_t a = mls_tape_wrap(c, v, NULL, 1, 3, 2, 1), k = mls_tape_wrap(c, m, NULL, 0, 3, 2, 1);
    mls_t y = mls->reverse(c, a, k);
    const float one[6] = { 5, 6, 3, 4, 1, 2 };
    assert_memory_equal(y->data, one, sizeof one);
    m[2] = 1.0f;
    m[4] = 0.0f;                                  /* now 1, 3 are real and 5 is not */
    y = mls->reverse(c, a, k);
    const float two[6] = { 3, 6, 1, 4, 5, 2 };
    assert_memory_equal(y->data, two, sizeof two);
    assert_memory_equal(mls->reverse(c, y, k)->data, v, sizeof v);
    const float weight[6] = { 10, 20, 30, 40, 50, 60 };
    mls_t w = mls_tape_wrap(c, (float *)(uintptr_t)weight, NULL, 0, 3, 2, 1);
    mls_t sum = mls->pool(c, mls->binary(c, MLS_MUL, y, w), MLS_POOL_SUM, NULL);
    float *g = mls_tape_grad(c, sum);
    g[0] = g[1] = 1.0f;
    mls_tape_backward(c);
    const float grad[6] = { 30, 60, 10, 40, 50, 20 };
    assert_memory_equal(a->grad, grad, sizeof grad);
    mls->reverse(c, a, mls_tape_wrap(c, m, NULL, 0, 2, 2, 1));
    assert_non_null(strstr(mls_run_error(r.run)->text, "reverse: a mask of [2][2][1]"));
    close_rig(&r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(options), cmocka_unit_test(setup_errors), cmocka_unit_test(run_errors),
        cmocka_unit_test(names_and_sizes), cmocka_unit_test(resolved),
        cmocka_unit_test(in_pieces), cmocka_unit_test(masks), cmocka_unit_test(restarts),
        cmocka_unit_test(remat_changes_no_bit), cmocka_unit_test(gradients),
        cmocka_unit_test(a_mask_of_its_own), cmocka_unit_test(cost), cmocka_unit_test(reverse) };
    mls_net_init();
    fill();
    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
