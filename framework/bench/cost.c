#include "bench/cost.h"

#include "base/parfor.h"
#include "bench/clock.h"

#include <string.h>

/* ---- sums ------------------------------------------------------------------------ */

void mls_bench_cost_product(mls_bench_cost *c, mls_bench_shape s, double count)
{
    if (s.m < 1 || s.n < 1 || s.k < 1 || count <= 0.0) return;
    c->flops += 2.0 * (double)s.m * (double)s.n * (double)s.k * count;
    int i = 0;
    while (i < c->n && memcmp(&c->product[i].shape, &s, sizeof s)) i++;
    if (i == MLS_COST_PRODUCTS) return;
    if (i == c->n) {
        c->product[c->n].shape = s;
        c->product[c->n++].count = 0.0;
    }
    c->product[i].count += count;
}

void mls_bench_cost_add(mls_bench_cost *to, const mls_bench_cost *more)
{
    const double flops = to->flops;
    for (int i = 0; i < more->n; i++)
        mls_bench_cost_product(to, more->product[i].shape, more->product[i].count);
    to->flops = flops + more->flops;
    to->exps += more->exps;
    to->vector += more->vector;
    to->bytes += more->bytes;
    to->near += more->near;
}

double mls_bench_limit(const mls_bench_cost *c, mls_bench_rates_of *r)
{
    double s = 0.0;
    for (int i = 0; i < c->n; i++) {
        const mls_bench_shape p = c->product[i].shape;
        const double rate = mls_bench_product_rate(r, p),
                     flops = 2.0 * (double)p.m * (double)p.n * (double)p.k;
        if (rate > 0.0) s += 1e-9 * c->product[i].count * flops / rate;
    }
    if (r->exp > 0.0) s += 1e-9 * c->exps / r->exp;
    if (r->square > 0.0) s += 1e-9 * 2.0 * c->vector / r->square;
    if (r->far > 0.0) s += 1e-9 * ((c->bytes - c->near) / r->far + c->near / r->near);
    return s;
}

/* ---- what an op costs ------------------------------------------------------------ */

/* Bytes.  Smaller arrays stay in the first caches, calls below CACHE in the last
 * one. */
enum { LARGE = 1 << 18, CACHE = 1 << 23 };

static double size(mls_t x)
{
    const double n = x ? 4.0 * (double)x->count : 0.0;
    return n < LARGE ? 0.0 : n;
}

/* Forward reads its inputs and writes its outputs; backward reads both, and the
 * gradients of its outputs, and writes those of its inputs. */
static double traffic(const mls_call *k, int backward)
{
    double in = 0.0, out = 0.0;
    for (int i = 0; i < k->n_in; i++) in += size(k->in[i]) * (backward ? 2.0 : 1.0);
    for (int i = 0; i < k->n_out; i++) out += size(k->out[i]);
    return in + out;
}

static double count(mls_t x) { return x ? (double)x->count : 0.0; }

/* y = x W^T + b */
static void product(mls_bench_cost *c, const mls_call *k, int64_t out, int backward)
{
    const int64_t m = k->in[0]->dim[0] * k->in[0]->dim[1], in = k->in[0]->dim[2];
    if (!backward) {
        mls_bench_cost_product(c, (mls_bench_shape){0, 1, m, out, in}, 1.0);
        return;
    }
    if (mls_tape_tracks(k->in[0]))
        mls_bench_cost_product(c, (mls_bench_shape){0, 0, m, in, out}, 1.0);
    if (mls_tape_tracks(k->in[1]))
        mls_bench_cost_product(c, (mls_bench_shape){1, 0, out, in, m}, 1.0);
}

static void linear(mls_bench_cost *c, const mls_call *k, int backward)
{
    product(c, k, k->out[0]->dim[2], backward);
}

/* Its forward makes the gradients too, in training; the rest of the loss is as if it had been
 * an op of its own. */
static void head_loss(mls_bench_cost *c, const mls_call *k, int backward)
{
    const int64_t out = k->in[1]->dim[1];
    const double y = count(k->in[0]) / (double)k->in[0]->dim[2] * (double)out;
    if (backward) return;
    product(c, k, out, 0);
    if (k->flags & MLS_TRAIN) product(c, k, out, 1);
    c->exps += y;
    c->vector += 2.0 * y * (k->flags & MLS_TRAIN ? 3.0 : 1.0);
    c->bytes += size(k->in[0]) * (k->flags & MLS_TRAIN ? 2.0 : 1.0);
}

#define CUBE (512.0 * 512.0 * 512.0)

/* Multiply-adds at the rate of large products, whatever their shape is. */
static void macs(mls_bench_cost *c, double n)
{
    mls_bench_cost_product(c, (mls_bench_shape){0, 1, 512, 512, 512}, n / CUBE);
}

/* A weight among the inputs: a matrix of one "step" that is no state of the batch. */
static int is_weight(const mls_call *k, int i)
{
    mls_t w = k->in[i];
    return i > 0 && w && w->dim[0] == 1 && w->dim[1] > 1 &&
           w->dim[1] != k->in[0]->dim[1];
}

/* cfc.scan.  The first weight, [U][S + H], multiplies the input of the whole sequence
 * as one product, and its other part and the heads the state, step by step: those get
 * the rate of large products (a floor: small ones are slower).  Without dt and tau the
 * last two heads are one. */
static void cfc(mls_bench_cost *c, const mls_call *k, int backward)
{
    const int64_t m = k->in[0]->dim[0] * k->in[0]->dim[1], S = k->in[0]->dim[2];
    int64_t U = 0;
    double rest = 0.0, last = 0.0;
    for (int i = 1; i < k->n_in; i++) {
        if (!is_weight(k, i)) continue;
        if (!U) U = k->in[i]->dim[1];
        last = count(k->in[i]);
        rest += last;
    }
    const int gates = k->n_in > 3 && (k->in[2] || k->in[3]);
    rest -= (double)(U * S) + (gates ? 0.0 : last);
    mls_bench_cost_product(c,
                           backward ? (mls_bench_shape){0, 0, m, S, U}
                                    : (mls_bench_shape){0, 1, m, U, S},
                           1.0);
    if (backward) mls_bench_cost_product(c, (mls_bench_shape){1, 0, U, S, m}, 1.0);
    macs(c, (backward ? 2.0 : 1.0) * rest * (double)m);
    /* two squashed heads, a sigmoid, and the backbone; backward has their values */
    if (!backward) c->exps += 3.0 * count(k->out[0]) + (double)(m * U);
    c->vector += (backward ? 12.0 : 6.0) * count(k->out[0]);
    c->bytes += traffic(k, backward);
}

/* mamba.scan: in u, raw, B, C ...  For each of E N: dt A, exp, two multiply-adds, a
 * product; backward takes h again and has nine more.  Softplus: two exps or the like;
 * the gate one; in backward again, since what they give is not kept. */
static void selective(mls_bench_cost *c, const mls_call *k, int backward)
{
    const double tokens = count(k->in[0]), N = (double)k->in[2]->dim[2];
    c->exps += tokens * (N + 3.0);
    c->vector += tokens * N * (backward ? 13.0 : 4.0);
    c->bytes += traffic(k, backward);
}

/* mixer.outer: S [N][P] of each head takes two multiply-adds for each element, which
 * can be written as products of whole chunks of steps; its flops are 5 N + 4 for each
 * channel.  Backward has four products over S, and S itself where chunks begin. */
static void outer(mls_bench_cost *c, const mls_op *op, const mls_call *k, int backward)
{
    macs(c, (backward ? 2.0 : 1.0) * 0.4 * op->flops(k));
    c->bytes += traffic(k, backward);
}

/* Two products for each query and key it sees, backward five (scores again), at the
 * rate of large ones: a tile can be of any shape; an exp for each score, and again. Its
 * flops are 4 D + 5 H for each pair. */
static void attention(mls_bench_cost *c, const mls_op *op, const mls_call *k,
                      int backward)
{
    const double D = (double)k->out[0]->dim[2], H = (double)k->out[1]->dim[2],
                 pairs = op->flops(k) / (4.0 * D + 5.0 * H);
    macs(c, (backward ? 5.0 : 2.0) * pairs * D);
    c->exps += pairs * H;
    c->bytes += traffic(k, backward);
}

/* ltc.scan: a sigmoid for each synapse and substep, forward and again in backward; its
 * flops are 12 for each of them. */
static void ltc(mls_bench_cost *c, const mls_op *op, const mls_call *k, int backward)
{
    const double synapses = op->flops(k) / 12.0;
    c->exps += synapses;
    c->vector += synapses * (backward ? 8.0 : 4.0);
    c->bytes += traffic(k, backward);
}

static void conv(mls_bench_cost *c, const mls_call *k, int backward)
{
    c->vector += count(k->out[0]) * (double)k->in[1]->dim[2] * (backward ? 2.0 : 1.0);
    c->bytes += traffic(k, backward);
}

/* mamba.conv: the convolution of half of its input and a SiLU, for which its flops
 * have 20; backward makes both again, since only the result is kept. */
static void conv_silu(mls_bench_cost *c, const mls_op *op, const mls_call *k,
                      int backward)
{
    const double n = count(k->out[0]);
    c->exps += n;
    c->vector += (backward ? 3.0 : 1.0) * 0.5 * (op->flops(k) - 20.0 * n);
    c->bytes += (backward ? 4.0 : 2.0) * size(k->out[0]);
}

static int is_any(const char *name, const char *const *names)
{
    while (*names && strcmp(name, *names)) names++;
    return *names != NULL;
}

static void other(mls_bench_cost *c, const mls_op *op, const mls_call *k, int backward)
{
    static const char *const one_exp[] = {
        "sigmoid",    "tanh", "silu",    "gelu",     "softplus",      "exp",
        "lecun_tanh", "log",  "softmax", "gate.mix", "cross_entropy", "mamba2.gate", NULL};
    if (!backward && is_any(op->name, one_exp))
        c->exps += count(!strcmp(op->name, "cross_entropy") ? k->in[0] : k->out[0]);
    if (op->flops) c->vector += 0.5 * op->flops(k) * (backward ? 2.0 : 1.0);
    c->bytes += traffic(k, backward);
}

mls_bench_cost mls_bench_cost_of_call(const mls_op *op, const mls_call *k, int backward)
{
    mls_bench_cost c = {0};
    /* what remat runs is told itself; copies can be done without */
    static const char *const free_of_cost[] = {
        "net.remat",      "slice",          "concat", "join",
        "net.delay_read", "net.delay_push", NULL};
    if (is_any(op->name, free_of_cost)) return c;
    if (!strcmp(op->name, "linear"))
        linear(&c, k, backward);
    else if (!strcmp(op->name, "head_loss"))
        head_loss(&c, k, backward);
    else if (!strcmp(op->name, "cfc.scan"))
        cfc(&c, k, backward);
    else if (!strcmp(op->name, "mamba.scan"))
        selective(&c, k, backward);
    else if (!strcmp(op->name, "mixer.outer") && op->flops)
        outer(&c, op, k, backward);
    else if (!strcmp(op->name, "attention") && op->flops)
        attention(&c, op, k, backward);
    else if (!strcmp(op->name, "ltc.scan") && op->flops)
        ltc(&c, op, k, backward);
    else if (!strcmp(op->name, "conv"))
        conv(&c, k, backward);
    else if (!strcmp(op->name, "mamba.conv") && op->flops)
        conv_silu(&c, op, k, backward);
    else
        other(&c, op, k, backward);
    /* flops: of the products, and two for each multiply-add */
    c.flops += 2.0 * c.vector;
    if (c.bytes <= CACHE) c.near = c.bytes;
    return c;
}

/* ---- the tally ------------------------------------------------------------------- */

/* As a row's own: threads that wait for each other take processor time too. */
static double seconds(void)
{
    const mls_bench_time t = mls_bench_now();
    return mls_parfor_count() > 1 ? t.wall : t.cpu;
}

static mls_bench_op *find(mls_bench_tally *t, const char *name)
{
    for (int i = 0; i < t->n; i++)
        if (!strcmp(t->op[i].name, name)) return &t->op[i];
    if (t->n == MLS_TALLY_OPS) return NULL;
    memset(&t->op[t->n], 0, sizeof *t->op);
    t->op[t->n].name = name;
    return &t->op[t->n++];
}

static void tell(void *arg, const mls_op *op, const mls_call *k, int backward,
                 int after)
{
    mls_bench_tally *t = arg;
    if (!after) {
        if (t->depth < MLS_TALLY_DEPTH) t->began[t->depth] = seconds();
        t->depth++;
        return;
    }
    if (--t->depth >= MLS_TALLY_DEPTH) return;
    const double took = seconds() - t->began[t->depth];
    if (t->only && strcmp(t->only, k->ctx->path)) {
        t->outside[backward] += took;
        for (int i = 0; i < k->n_out && !backward; i++)
            t->outside_bytes += 4.0 * count(k->out[i]);
        return;
    }
    mls_bench_op *o = find(t, op->name);
    if (!o) return;
    const mls_bench_cost c = mls_bench_cost_of_call(op, k, backward);
    mls_bench_cost_add(&o->cost, &c);
    o->calls += !backward;
    if (backward)
        o->backward += took;
    else
        o->forward += took;
}

int mls_bench_tally_open(mls_bench_tally *t, mls_arena *a)
{
    *t = (mls_bench_tally){.op = mls_arena_alloc(a, MLS_TALLY_OPS * sizeof *t->op)};
    t->watch = (mls_tape_watch){tell, t};
    return t->op != NULL;
}

void mls_bench_tally_reset(mls_bench_tally *t)
{
    t->n = t->depth = 0;
    t->outside[0] = t->outside[1] = t->outside_bytes = 0.0;
}

const mls_bench_op *mls_bench_tally_find(const mls_bench_tally *t, const char *name)
{
    for (int i = 0; i < t->n; i++)
        if (strstr(t->op[i].name, name)) return &t->op[i];
    return NULL;
}

mls_bench_cost mls_bench_cost_of_tally(const mls_bench_tally *t)
{
    mls_bench_cost c = {0};
    for (int i = 0; i < t->n; i++) mls_bench_cost_add(&c, &t->op[i].cost);
    return c;
}
