/* value.c - the results as a value, for JSON. */
#include "bench/bench.h"
#include "bench/table.h"

#include "kern/kern.h"

#include <math.h>

/* ---- as a value ------------------------------------------------------------------ */

static void real(mls_arena *a, mls_value *map, const char *key, double x)
{
    mls_value_set(a, map, key, isfinite(x) ? mls_value_real(a, x) : mls_value_null(a));
}

static void integer(mls_arena *a, mls_value *map, const char *key, int64_t x)
{
    mls_value_set(a, map, key, mls_value_int(a, x));
}

static mls_value *spread(mls_arena *a, const mls_bench_middle *s)
{
    mls_value *v = mls_value_map(a);
    real(a, v, "median", s->median);
    real(a, v, "low", s->low);
    real(a, v, "high", s->high);
    real(a, v, "least", s->least);
    return v;
}

static mls_value *result(mls_arena *a, const mls_bench_result *r)
{
    mls_value *v = mls_value_map(a), *ops = mls_value_list(a),
              *peers = mls_value_list(a);
    const double s = mls_bench_seconds(r);
    mls_value_set(a, v, "row", mls_value_string(a, r->row->name));
    mls_value_set(a, v, "group", mls_value_string(a, r->row->group));
    integer(a, v, "steps", r->size.T);
    integer(a, v, "batch", r->size.B);
    integer(a, v, "width", r->size.D);
    integer(a, v, "threads", r->threads);
    integer(a, v, "repeats", r->repeats);
    real(a, v, "seconds", s);
    mls_value_set(a, v, "wall", spread(a, &r->wall));
    mls_value_set(a, v, "cpu", spread(a, &r->cpu));
    real(a, v, "forward", r->forward);
    real(a, v, "backward", r->backward);
    real(a, v, "tokens", r->tokens);
    real(a, v, "tokens_per_second", mls_bench_ratio(r->tokens, s));
    real(a, v, "flops", r->cost.flops);
    real(a, v, "exps", r->cost.exps);
    real(a, v, "bytes", r->cost.bytes);
    real(a, v, "limit", r->limit);
    real(a, v, "saved_bytes_per_token", mls_bench_ratio(r->saved, r->tokens));
    integer(a, v, "peak_bytes", r->peak);
    for (int i = 0; i < r->ops.n; i++) {
        mls_value *o = mls_value_map(a);
        mls_value_set(a, o, "op", mls_value_string(a, r->ops.op[i].name));
        integer(a, o, "calls", r->ops.op[i].calls);
        real(a, o, "forward", r->ops.op[i].forward);
        real(a, o, "backward", r->ops.op[i].backward);
        mls_value_push(a, ops, o);
    }
    mls_value_set(a, v, "ops", ops);
    for (int i = 0; i < r->rivals; i++) {
        const mls_bench_rival *p = &r->rival[i];
        mls_value *o = mls_value_map(a);
        mls_value_set(a, o, "peer", mls_value_string(a, p->name));
        mls_value_set(a, o, "torch", mls_value_string(a, p->peers->torch));
        mls_value_set(a, o, "what", mls_value_string(a, p->label));
        if (p->why) mls_value_set(a, o, "left_out", mls_value_string(a, p->why));
        real(a, o, "seconds", mls_bench_rival_seconds(r, p));
        integer(a, o, "repeats", p->n);
        mls_value_set(a, o, "wall", spread(a, &p->wall));
        mls_value_set(a, o, "cpu", spread(a, &p->cpu));
        real(a, o, "forward", p->forward);
        real(a, o, "backward", p->backward);
        real(a, o, "saved_bytes_per_token", mls_bench_ratio(p->saved, r->tokens));
        real(a, o, "error", p->error);
        mls_value_set(a, o, "worst", mls_value_string(a, p->worst ? p->worst : ""));
        mls_value_push(a, peers, o);
    }
    mls_value_set(a, v, "peers", peers);
    return v;
}

mls_value *mls_bench_value(const mls_bench *b, mls_arena *a, const char *command)
{
    mls_value *v = mls_value_map(a), *rates = mls_value_map(a),
              *rows = mls_value_list(a),
              *peers = mls_value_list(a);
    mls_value_set(a, v, "command", mls_value_string(a, command));
    mls_value_set(a, v, "isa", mls_value_string(a, mls_k_isa_name(mls_k_init())));
    mls_value_set(a, v, "blas", mls_value_string(a, mls_k_blas_version()));
    real(a, rates, "gemm", b->rates.square);
    real(a, rates, "exp", b->rates.exp);
    real(a, rates, "near", b->rates.near);
    real(a, rates, "far", b->rates.far);
    mls_value_set(a, v, "rates", rates);
    for (int i = 0; i < b->n; i++)
        if (b->result[i].repeats) mls_value_push(a, rows, result(a, &b->result[i]));
    mls_value_set(a, v, "rows", rows);
    for (int i = 0; i < b->n_peers; i++)
        mls_value_push(a, peers, mls_value_string(a, b->peers[i].versions));
    mls_value_set(a, v, "peers", peers);
    for (int i = 0; i < b->n_tables; i++)
        mls_value_set(a, v, b->table[i].name, b->table[i].list);
    return v;
}
