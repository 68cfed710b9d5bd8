/* Components written in Lua against those in C, and what is said of wrong ones. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/hash.h"
#include "conf/conf.h"
#include "lua/component.h"
#include "lua/part.h"
#include "net/net.h"
#include "rig.h"

#include <math.h>

enum { T = 12, B = 3, D = 8 };

static mls_registry real;
static mls_arena arena;
static mls_error e;

static int up(void **state)
{
    (void)registry;
    return rig_up(state) || !mls_registry_load(&real, NULL, &e);
}

static int down(void **state)
{
    mls_arena_free(&arena);
    mls_registry_free(&real);
    return rig_down(state);
}

static mls_lua_file *load(const char *text)
{
    memset(&e, 0, sizeof e);
    mls_lua_file *f = mls_lua_file_load(&real, put_file("parts.lua", text), &e);
    if (!f)
        print_error("%s\n", e.text);
    assert_non_null(f);
    return f;
}

/* A network of one layer; fuse: { component: fusion.x, ... } as YAML. */
static mls_net *build(const char *nodes, const char *wire)
{
    const mls_task_shape shape = { .steps = T, .input = D, .output = D, .loss = MLS_MSE,
                                   .per_step = 1, .has_mask = 1 };
    const char *text = mls_arena_printf(&arena, "{ width: %d, layers: 1, norm: none, "
        "residual: false, nodes: { %s }, wire: \"%s\" }", D, nodes, wire);
    mls_value *spec = mls_yaml_parse(&arena, text, strlen(text), "test", &e);
    const mls_net_config c = { &real, spec, &shape, 1, 0 };
    return e.set ? NULL : mls_net_build(&c, &e);
}

static float noise(int i) { return sinf(12.9898f * (float)i) * 0.9f; }

typedef struct result { float y[T * B * D], *grad; } result;

static void fill(float *x, int n, int from)
{
    for (int i = 0; i < n; i++)
        x[i] = noise(i + from);
}

/* Output and gradients of all weights for a fixed gradient of the output. */
static int run_net(mls_net *net, result *r)
{
    float x[T * B * D], grad[T * B * D];
    fill(x, T * B * D, 1);
    fill(grad, T * B * D, 5000);
    mls_run *run = mls_run_new(net, B, MLS_TRAIN, &e);
    const mls_batch b = { .steps = T, .batch = B, .x = x };
    mls_net_zero_grad(net);
    mls_t y = mls_run_forward(run, &b, 1);
    if (y) {
        memcpy(r->y, y->data, sizeof r->y);
        mls_run_backward_from(run, grad);
    }
    if (mls_run_error(run)->set)
        e = *mls_run_error(run);
    mls_run_free(run);
    r->grad = mls_net_grad(net);
    return y != NULL;
}

static const mls_weight *weight_of(const mls_net *net, const char *name)
{
    for (int i = 0; i < mls_net_weights(net); i++)
        if (strcmp(mls_net_weight(net, i)->name, name) == 0)
            return mls_net_weight(net, i);
    return NULL;
}

static void same(const float *a, const float *b, int64_t n, const char *what)
{
    for (int64_t i = 0; i < n; i++)
        if (!(fabsf(a[i] - b[i]) <= 1e-6f * fmaxf(1.0f, fabsf(b[i])))) {
            print_error("%s[%d]: %.9g, expected %.9g\n", what, (int)i, (double)a[i],
                        (double)b[i]);
            fail();
        }
}

/* Copies weights by name, runs both, compares all. */
static void agree(mls_net *one, mls_net *two)
{
    result a, b;
    if (e.set)
        print_error("%s\n", e.text);
    assert_non_null(one);
    assert_non_null(two);
    for (int i = 0; i < mls_net_weights(two); i++) {
        const mls_weight *w = mls_net_weight(two, i), *from = weight_of(one, w->name);
        assert_non_null(from);
        assert_int_equal(w->rows * w->cols, from->rows * from->cols);
        memcpy(w->data, from->data, (size_t)(w->rows * w->cols) * sizeof(float));
    }
    if (!run_net(one, &a) || !run_net(two, &b))
        print_error("%s\n", e.text);
    assert_false(e.set);
    same(b.y, a.y, T * B * D, "output");
    for (int i = 0; i < mls_net_weights(two); i++) {
        const mls_weight *w = mls_net_weight(two, i);
        same(w->grad, weight_of(one, w->name)->grad, w->rows * w->cols, w->name);
    }
    mls_net_free(one);
    mls_net_free(two);
}

#define GATE "local mls = require 'mls'\n" \
    "mls.component { kind = 'fusion', name = 'lua_gate', help = 'as fusion.gate',\n" \
    "  options = { heads = { 4, min = 1, max = 1024, help = 'gates' } },\n" \
    "  setup = function (c)\n" \
    "    local n = c:width 'a'\n" \
    "    if n % c.heads ~= 0 then c:fail 'heads must divide the width' end\n" \
    "    c.q, c.k = c:weight('query', n, n), c:weight('key', n, n)\n" \
    "    c.w, c.b = c:weight('weight', 1, n), c:weight('bias', 1, c.heads, 'zeros')\n" \
    "    c.t = c:weight('temperature', 1, 1, { 'constant', 0.5413, no_decay = true })\n" \
    "    c.size = n // c.heads\n" \
    "  end,\n" \
    "  forward = function (c, a, b)\n" \
    "    local p = c:linear(a, c.q) * c:linear(b, c.k) * c.w\n" \
    "    local sums = {}\n" \
    "    for h = 0, c.heads - 1 do sums[#sums + 1] = c:sum(p:slice(h * c.size, c.size)) end\n" \
    "    local s = sums[1]\n" \
    "    for h = 2, c.heads do s = s:concat(sums[h]) end\n" \
    "    local g = c:sigmoid((s + c.b) / c:softplus(c.t))\n" \
    "    c:tap('gate', g, nil, 'share of a in each head')\n" \
    "    local out\n" \
    "    for h = 0, c.heads - 1 do\n" \
    "      local from, gh = h * c.size, g:slice(h, 1)\n" \
    "      local y = a:slice(from, c.size) * gh + b:slice(from, c.size) * (1 - gh)\n" \
    "      out = out and out:concat(y) or y\n" \
    "    end\n" \
    "    return out\n" \
    "  end }\n"

static void equals_the_gate_in_c(void **state)
{
    (void)state;
    static const char *const wire = "input -> liq; liq -> f.a; input -> f.b; f -> output";
    mls_lua_file *f = load(GATE);
    agree(build("liq: { component: liquid.cfc }, f: { component: fusion.gate, heads: 2 }",
                wire),
          build("liq: { component: liquid.cfc }, f: { component: fusion.lua_gate, heads: 2 }",
                wire));
    mls_lua_file_free(f);
}

/* ---- recurrence --------------------------------------------------------------------------- */

#define LEAK "local mls = require 'mls'\n" \
    "local function setup (c)\n" \
    "  local n = c:width 'in'\n" \
    "  c.w = c:weight('w', n, n)\n" \
    "  c.a = c:weight('a', 1, n, { 'constant', 0.7 })\n" \
    "  c.h = c:state('h', n, { reset = 0.25, help = 'what is left' })\n" \
    "end\n" \
    "mls.component { kind = 'liquid', name = 'loop', setup = setup,\n" \
    "  forward = function (c, x)\n" \
    "    local u, h, list = c:linear(x, c.w), c:load(c.h), {}\n" \
    "    for t = 0, #x - 1 do\n" \
    "      h = h * c.a + u:steps(t, 1)\n" \
    "      list[#list + 1] = h\n" \
    "    end\n" \
    "    c:store(c.h, h)\n" \
    "    return c:join(list)\n" \
    "  end }\n" \
    "mls.component { kind = 'liquid', name = 'scanned', setup = setup,\n" \
    "  forward = function (c, x)\n" \
    "    local u = c:linear(x, c.w)\n" \
    "    return c:scan(u * 0 + c.a, u, c.h)\n" \
    "  end }\n"

static void a_loop_equals_the_scan(void **state)
{
    (void)state;
    mls_lua_file *f = load(LEAK);
    agree(build("n: { component: liquid.scanned }", "input -> n -> output"),
          build("n: { component: liquid.loop }", "input -> n -> output"));
    mls_lua_file_free(f);
}

static void states_go_from_chunk_to_chunk(void **state)
{
    (void)state;
    float x[T * B * D], whole[T * B * D];
    mls_lua_file *f = load(LEAK);
    fill(x, T * B * D, 1);
    mls_net *net = build("n: { component: liquid.loop }", "input -> n -> output");
    assert_non_null(net);
    mls_run *run = mls_run_new(net, B, MLS_EXACT, &e);
    const mls_batch all = { .steps = T, .batch = B, .x = x };
    const mls_batch first = { .steps = 5, .batch = B, .x = x };
    const mls_batch rest = { .steps = T - 5, .batch = B, .x = x + 5 * B * D };
    mls_t y = mls_run_forward(run, &all, 0);
    assert_non_null(y);
    memcpy(whole, y->data, sizeof whole);
    mls_run_reset(run);
    assert_memory_equal(mls_run_forward(run, &first, 0)->data, whole, 5 * B * D * 4);
    assert_memory_equal(mls_run_forward(run, &rest, 0)->data, whole + 5 * B * D,
                        (T - 5) * B * D * 4);
    mls_run_free(run);
    mls_net_free(net);
    mls_lua_file_free(f);
}

/* The dry forward that plans what is read when is made once, not before each forward: n counts
 * how often the function was called.                                                       */
static void forward_runs_once_a_step(void **state)
{
    (void)state;
    static const float want[] = { 2, 3, 4, 6, 7, 8 };
    float x[T * B * D];
    mls_lua_file *f = load("local mls = require 'mls'\n"
                           "local n = 0\n"
                           "mls.component { kind = 'liquid', name = 'calls', setup = function (c) end,\n"
                           "  forward = function (c, x)\n"
                           "    n = n + 1\n"
                           "    return x * 0 + n\n"
                           "  end }\n");
    fill(x, T * B * D, 1);
    mls_net *net = build("n: { component: liquid.calls }", "input -> n -> output");
    assert_non_null(net);
    mls_run *run = mls_run_new(net, B, MLS_TRAIN, &e);
    float seen[6] = { 0 };
    const mls_weight *w = weight_of(net, "head.weight"), *bias = weight_of(net, "head.bias");
    memset(w->data, 0, (size_t)(w->rows * w->cols) * sizeof(float));
    memset(bias->data, 0, (size_t)bias->cols * sizeof(float));
    w->data[0] = 1.0f;
    assert_true(mls_run_reuse(run, 0));
    for (int i = 0; i < 6; i++) {
        const mls_batch b = { .steps = i < 3 ? T : T - 1, .batch = B, .x = x };
        mls_t y = mls_run_forward(run, &b, (uint64_t)i);
        if (!y) fail_msg("%s", mls_run_error(run)->text);
        seen[i] = y->data[0];
    }
    assert_memory_equal(seen, want, sizeof want);
    mls_run_free(run);
    mls_net_free(net);
    mls_lua_file_free(f);
}

/* ---- errors ---------------------------------------------------------------------------------- */

static void refused(const char *text, const char *words)
{
    memset(&e, 0, sizeof e);
    mls_lua_file *f = mls_lua_file_load(&real, put_file("parts.lua", text), &e);
    assert_null(f);
    if (strcmp(e.text, words))
        print_error("found:    %s\nexpected: %s\n", e.text, words);
    assert_string_equal(e.text, words);
}

#define HEAD "local mls = require 'mls'\n"
#define BODY " forward = function (c, a) return a end"
#define AT "parts.lua:2: "

static void wrong_declarations_are_told(void **state)
{
    (void)state;
    refused(HEAD "mls.component { kind = 'fusin', name = 'x'," BODY " }",
            AT "there is no kind 'fusin', did you mean 'fusion'? (there are adapter, encoder, "
            "fusion, head, liquid, mixer, task)");
    refused(HEAD "mls.component { kind = 'liquid', name = 'x', optoins = {}," BODY " }",
            AT "a component has no 'optoins', did you mean 'options'? (there are flags, "
            "forward, help, kind, name, options, ports, setup)");
    refused(HEAD "mls.component { kind = 'liquid', name = 'x' }",
            AT "forward is a nil value, expected a function");
    refused(HEAD "mls.component { kind = 'liquid', name = '1x'," BODY " }",
            AT "name is '1x'; a name is made of letters, digits and _");
    refused(HEAD "mls.component { kind = 'liquid', name = 'x', flags = { 'casual' }," BODY " }",
            AT "flags: there is no 'casual', did you mean 'causal'? (there are causal, "
            "random, streams)");
    refused(HEAD "mls.component { kind = 'liquid', name = 'x', options = { g = { 2, max = 1 } },"
            BODY " }", AT "option 'g': the default 2 does not lie in the range -inf to 1");
    refused(HEAD "mls.component { kind = 'liquid', name = 'x', options = { g = {} }," BODY " }",
            AT "option 'g' has a nil value as its default, expected a number, text, true or "
            "false, as g = { 1.0, help = \"...\" }");
    refused(HEAD "mls.component { kind = 'liquid', name = 'x', options = "
            "{ g = { 'a', choices = { 'b', 'c' } } }," BODY " }",
            AT "option 'g': the default is a, which is not one of its choices b, c, did you "
            "mean 'b'?");
    refused(HEAD "mls.component { kind = 'liquid', name = 'x', ports = { { 'in', 'inn' } },"
            BODY " }", AT "port 'in': its second field is 'inn', expected \"in\" or \"out\"");
    refused(HEAD "mls.component { kind = 'liquid', name = 'x', ports = { { 'in', 'in' } },"
            BODY " }", AT "1 inputs and 0 outputs; a component has 1 to 16 of each");
    refused(HEAD "mls.component { kind = 'fusion', name = 'gate'," BODY " }",
            mls_arena_printf(&arena, AT "two components are called fusion.gate: one in %s, "
            "one in parts.lua:2", mls_registry_file(&real, mls_registry_find(&real,
            "fusion.gate", NULL, &e))->path));
    refused(HEAD "local a = { kind = 'fusion', name = 'x'," BODY " }\nmls.component(a)\n"
            "mls.component(a)", "parts.lua:4: two components are called fusion.x: one in "
            "parts.lua:3, one in parts.lua:4");
}

/* What goes wrong in setup or forward of liquid.x, whose body is text. */
static void goes_wrong(const char *setup, const char *forward, const char *words)
{
    result r;
    const char *text = mls_arena_printf(&arena, "local mls = require 'mls'\n"
        "mls.component { kind = 'liquid', name = 'x',\n"
        "setup = function (c)\n%s\nend,\nforward = function (c, x)\n%s\nend }", setup, forward);
    mls_lua_file *f = load(text);
    mls_net *net = build("n: { component: liquid.x }", "input -> n -> output");
    if (net)
        run_net(net, &r);
    assert_true(e.set);
    if (strcmp(e.text, words))
        print_error("found:    %s\nexpected: %s\n", e.text, words);
    assert_string_equal(e.text, words);
    mls_net_free(net);
    mls_lua_file_free(f);
}

static void wrong_callbacks_are_told(void **state)
{
    (void)state;
#define NODE "layer0.n: parts.lua:"
    goes_wrong("c:wieght('w', 1, 1)", "return x",
               NODE "4: c has no 'wieght'; did you mean 'weight'?");
    goes_wrong("c:weight('w', 1.5, 1)", "return x",
               NODE "4: c:weight: rows: expected a whole number, found 1.5");
    goes_wrong("c:weight('w', 1, 1, 'zeroes')", "return x", NODE "4: c:weight: there is no "
               "init 'zeroes'; did you mean 'zeros'? (there are linear, zeros, ones, constant, "
               "uniform, normal, xavier and range)");
    goes_wrong("c:weight('w', 1, 1, 'normal')", "return x", NODE "4: c:weight: the init "
               "'normal' wants a number, as { \"normal\", 0.02 }");
    goes_wrong("c:weight('w', 1, 1) c:weight('w', 1, 1)", "return x",
               NODE "4: two weights are called w");
    goes_wrong("c:weight('w/1', 1, 1)", "return x", NODE "4: a weight is called \"w/1\"; "
               "names consist of letters, digits, _, - and .");
    goes_wrong("c:state('', 1)", "return x", NODE "4: a state is called \"\"; names consist "
               "of letters, digits, _, - and .");
    goes_wrong("c:state('h', 1) c:state('h', 1)", "return x",
               NODE "4: two states are called h");
    goes_wrong("c:width 'b'", "return x",
               NODE "4: asked for the width of \"b\", which is no port of it");
    goes_wrong("c:connected 'mod_tao'", "return x",
               NODE "4: c:connected: there is no input 'mod_tao'; did you mean 'mod_tau'?");
    goes_wrong("c:state('h', 4, { rest = 1 })", "return x",
               NODE "4: a state has no 'rest'; did you mean 'reset'?");
    goes_wrong("c:load(c)", "return x", NODE "4: c:load belongs in forward, not in setup");
    goes_wrong("c.linear = 1", "return x",
               NODE "4: c.linear cannot be set: c has a method or field of that name");
    goes_wrong("c:fail('no good')", "return x", NODE "4: no good");
    goes_wrong("return 1", "return x", "layer0.n: parts.lua:2: setup returned a number value; "
               "expected a table of fields for c, or nothing");
    goes_wrong("", "c.seen = 1 return x", NODE "7: c.seen can be set in setup only; what lasts "
               "from step to step is a state (c:state)");
    goes_wrong("", "c:weight('w', 1, 1)", NODE "7: c:weight belongs in setup, not in forward");
    goes_wrong("", "", NODE "6: forward of liquid.x returned 0 values; it has 1 output (out)");
    goes_wrong("", "return x, x",
               NODE "6: forward of liquid.x returned 2 values; it has 1 output (out)");
    goes_wrong("", "return 3", NODE "6: forward of liquid.x returned a number value as output "
               "'out'; expected a tensor");
    goes_wrong("", "return x:slice(0, 2)", NODE "6: forward of liquid.x returned output 'out' "
               "as [12][3][2]; its port says [12][3][8]");
    goes_wrong("", "local y = nil\nreturn x + y.z",
               NODE "8: attempt to index a nil value (local 'y')");
    goes_wrong("", "\nwhile true do end",
               NODE "8: stopped after 200 million instructions: an endless loop?");
    goes_wrong("c.w = c:weight('w', 2, 3)", "return c:linear(x, c.w)", NODE "7: linear: "
               "x has 8 features, the weight is [2][3] and the bias has 2 values");
}

/* ---- lifetimes -------------------------------------------------------------------------------- */

static void tensors_of_a_step_die_with_it(void **state)
{
    (void)state;
    mls_lua_file *f = load(HEAD "local old\n"
        "mls.component { kind = 'liquid', name = 'x', forward = function (c, x)\n"
        "  if old then return x + old end\n  old = x\n  return x\nend }");
    result r;
    mls_net *net = build("n: { component: liquid.x }", "input -> n -> output");
    assert_true(run_net(net, &r));
    assert_false(run_net(net, &r));
    assert_non_null(strstr(e.text, "layer0.n: parts.lua:4: "));
    assert_non_null(strstr(e.text, "this tensor is gone"));
    mls_net_free(net);
    mls_lua_file_free(f);
}

static void the_order_of_leaving_does_not_matter(void **state)
{
    (void)state;
    mls_lua_file *f = load(GATE);
    const int before = real.n_components, files = real.n_files;
    mls_net *a = build("f: { component: fusion.lua_gate, heads: 2 }",
                       "input -> f.a; input -> f.b; f -> output");
    mls_net *b = build("f: { component: fusion.lua_gate, heads: 2 }",
                       "input -> f.a; input -> f.b; f -> output");
    assert_non_null(a);
    assert_non_null(b);
    mls_net_free(a);
    mls_lua_file_free(f);                        /* before the second network */
    mls_net_free(b);
    assert_int_equal(real.n_components, before - 1);
    assert_int_equal(real.n_files, files - 1);
    assert_null(mls_registry_find(&real, "fusion.lua_gate", NULL, &e));
}

static void memory_stays_as_it_is(void **state)
{
    (void)state;
    float x[T * B * D];
    fill(x, T * B * D, 1);
    mls_lua_file *f = load(LEAK);
    const mls_component *const *list;
    assert_int_equal(mls_lua_file_components(f, &list), 2);
    assert_string_equal(list[0]->name, "loop");
    mls_sandbox *box = ((const mls_lua_part *)(const void *)list[0])->box;
    mls_net *net = build("n: { component: liquid.loop }", "input -> n -> output");
    mls_run *run = mls_run_new(net, B, 0, &e);
    const mls_batch b = { .steps = T, .batch = B, .x = x };
    void *chunk = NULL;
    size_t most = 0, later = 0;
    for (int i = 0; i < 6000; i++) {
        assert_non_null(mls_run_forward(run, &b, 0));
        size_t *peak = i < 1000 ? &most : &later;
        *peak = box->used > *peak ? box->used : *peak;
        if (i == 1000)
            chunk = box->slab.chunk;
    }
    assert_true(later <= most + most / 10);
    assert_ptr_equal(chunk, box->slab.chunk);    /* no memory of the system since */
    mls_run_free(run);
    /* networks come and go */
    for (int i = 0; i < 200; i++) {
        mls_net_free(net);
        net = build("n: { component: liquid.loop }", "input -> n -> output");
    }
    lua_gc(box->L, LUA_GCCOLLECT);
    assert_true(box->used <= most);
    mls_net_free(net);
    mls_lua_file_free(f);
}

/* ---- tasks ---------------------------------------------------------------------------------- */

#define TASK(fill) "local mls = require 'mls'\n" \
    "mls.component { kind = 'task', name = 'x', options = { length = 4 },\n" \
    "setup = function (c) c.more = 1\n" \
    "  return { steps = c.length, vocabulary = 8, output = 8, per_step = true } end,\n" \
    "count = function (c, split) return split == 'test' and 0 or 10 + c.more end,\n" \
    "fill = function (c, split, index, random)\n" fill "\nend }"

typedef struct sample { int32_t token[4], label[4]; int64_t steps; } sample;

/* Sample `index` of the task in text; e says what went wrong. */
static sample sample_of(const char *text, int64_t index, uint64_t key)
{
    sample s = { .steps = -1 };
    mls_lua_file *f = load(text);
    const mls_component *c = mls_registry_find(&real, "task.x", NULL, &e);
    mls_arena own = { 0 };
    void *self = mls_arena_zalloc(&own, c->self_size);
    mls_option_apply(&real, c, NULL, NULL, self, &own, &e);
    mls_ctx ctx = { &e, "task.x", NULL, &own, 1, NULL, c };
    mls_task_shape shape;
    c->task->open(&ctx, self, &shape);
    if (!e.set) {
        assert_int_equal(shape.steps, 4);
        assert_int_equal(c->task->count(self, MLS_TEST), 0);
        assert_int_equal(c->task->count(self, MLS_VALIDATION), 11);
        mls_sample one = { .steps = 4, .token = s.token, .label = s.label };
        c->task->fill(&ctx, self, MLS_TRAINING, index, key, &one);
        s.steps = one.steps;
    }
    mls_arena_free(&own);
    mls_lua_file_free(f);
    return s;
}

static void a_task_fills_samples(void **state)
{
    (void)state;
    static const char text[] = TASK("local t = {}\nfor i = 1, 4 do t[i] = random(0, 7) end\n"
                                    "return { token = t, label = { index, -1, t[1], t[2] } }");
    const sample a = sample_of(text, 3, 77), b = sample_of(text, 3, 77);
    const sample other = sample_of(text, 3, 78);
    assert_false(e.set);
    assert_int_equal(a.steps, 4);
    assert_memory_equal(&a, &b, sizeof a);
    assert_memory_not_equal(a.token, other.token, sizeof a.token);
    assert_int_equal(a.label[0], 3);
    assert_int_equal(a.label[1], -1);
    assert_int_equal(a.label[2], a.token[0]);
}

static void wrong_sample(const char *text, const char *words)
{
    sample_of(text, 2, 5);
    if (strcmp(e.text, words))
        print_error("found:    %s\nexpected: %s\n", e.text, words);
    assert_string_equal(e.text, words);
}

static void wrong_samples_are_told(void **state)
{
    (void)state;
#define SAMPLE "task.x: parts.lua:6: fill: sample 2 of training: "
    wrong_sample(TASK("return 1"), SAMPLE "returned a number value, expected a table");
    wrong_sample(TASK("return { label = {} }"), SAMPLE "there is no field 'token'");
    wrong_sample(TASK("return { token = { 1, 2 }, label = { 1 } }"),
                 SAMPLE "'label' holds 1 numbers, expected 2");
    wrong_sample(TASK("return { token = { 8 }, label = { 1 } }"),
                 SAMPLE "'token' holds 8; expected 0 to 7");
    wrong_sample(TASK("return { token = { 1, 2, 3, 4, 5 }, label = { 1 } }"),
                 SAMPLE "'token' holds more than 4 numbers");
    wrong_sample(TASK("return { token = { 1.5 }, label = { 1 } }"),
                 SAMPLE "'token' holds 1.5, expected whole numbers");
    wrong_sample(TASK("return { tokens = { 1 } }"), SAMPLE "there is no field 'tokens' (there "
                 "are token, x, dt, label, target)");
    wrong_sample(TASK("c:weight('w', 1, 1)"), "task.x: parts.lua:7: c:weight is for components "
                 "of networks; a task has no weights, states or tensors");
    wrong_sample(TASK("return random(3, 2)"),
                 "task.x: parts.lua:7: random: there is no whole number from 3 to 2 to draw");
}

/* ---- fingerprints -------------------------------------------------------------------------------- */

static const char *fingerprint(const char *text)
{
    mls_lua_file *f = load(text);
    const char *hash = mls_arena_strdup(&arena, mls_registry_file(&real,
        mls_registry_find(&real, "liquid.x", NULL, &e))->sha256);
    mls_lua_file_free(f);
    assert_int_equal(strlen(hash), 64);
    return hash;
}

#define PRINT(before, gain, half, option, body, after) fingerprint(HEAD before \
    "local gain, table = " gain ", { 1, { 2 } }\n" \
    "local half\n" \
    "mls.component { kind = 'liquid', name = 'x', help = 'y', options = { o = " option " },\n" \
    "  forward = function (c, x)\n    return half(x * gain * table[1])" body "\n  end }\n" \
    "function half (x)\n  return x * " half "\nend\n" after)

static void only_what_counts_is_in_the_fingerprint(void **state)
{
    (void)state;
    const char *plain = PRINT("", "2", "0.5", "1", "", "");
    assert_string_equal(plain, PRINT("", "2", "0.5", "1", "", ""));
    assert_string_equal(plain, PRINT("-- a comment\n", "2", "0.5", "1", "", "seeds = 7\n"));
    assert_string_equal(plain, PRINT("", "2", "0.5", "{ 1, help = 'z' }", "",
        "mls.component { kind = 'liquid', name = 'other', forward = function (c, x) return x "
        "end }"));
    assert_string_not_equal(plain, PRINT("", "3", "0.5", "1", "", ""));
    assert_string_not_equal(plain, PRINT("", "2.0", "0.5", "1", "", ""));
    assert_string_not_equal(plain, PRINT("", "2", "0.4", "1", "", ""));
    assert_string_not_equal(plain, PRINT("", "2", "0.5", "2", "", ""));
    assert_string_not_equal(plain, PRINT("", "2", "0.5", "{ 1, max = 5 }", "", ""));
    assert_string_not_equal(plain, PRINT("", "2", "0.5", "1", " * 1", ""));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(equals_the_gate_in_c),
        cmocka_unit_test(a_loop_equals_the_scan),
        cmocka_unit_test(states_go_from_chunk_to_chunk),
        cmocka_unit_test(forward_runs_once_a_step),
        cmocka_unit_test(wrong_declarations_are_told),
        cmocka_unit_test(wrong_callbacks_are_told),
        cmocka_unit_test(tensors_of_a_step_die_with_it),
        cmocka_unit_test(the_order_of_leaving_does_not_matter),
        cmocka_unit_test(memory_stays_as_it_is),
        cmocka_unit_test(a_task_fills_samples),
        cmocka_unit_test(wrong_samples_are_told),
        cmocka_unit_test(only_what_counts_is_in_the_fingerprint),
    };
    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests(tests, up, down);
}
