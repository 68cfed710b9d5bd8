/* long.c - what is claimed of long sequences, measured: generation at a steady pace
 * from a state of fixed size, training memory that grows with the length and no faster,
 * and evaluation of a sequence of any length in constant memory. */
#include "base/memory.h"
#include "bench/bench.h"
#include "bench/model.h"

#include "base/parfor.h"
#include "train/optimiser.h"

#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

enum { PIECE = 1024 }; /* steps that an evaluation takes at a time */

static mls_value *table(mls_bench *b, const char *name, const char *title)
{
    mls_value *list = mls_value_list(&b->arena);
    b->table[b->n_tables].name = name;
    b->table[b->n_tables].title = title;
    b->table[b->n_tables++].list = list;
    return list;
}

static mls_value *line(mls_bench *b, mls_value *list, const char *mode)
{
    mls_value *v = mls_value_map(&b->arena);
    mls_value_set(&b->arena, v, "mode", mls_value_string(&b->arena, mode));
    mls_value_push(&b->arena, list, v);
    return v;
}

static void real(mls_bench *b, mls_value *v, const char *key, double x)
{
    mls_value_set(&b->arena, v, key, mls_value_real(&b->arena, x));
}

static void whole(mls_bench *b, mls_value *v, const char *key, int64_t x)
{
    mls_value_set(&b->arena, v, key, mls_value_int(&b->arena, x));
}

static void say(const mls_bench *b, const char *what, const char *mode, int64_t at)
{
    if (!b->progress) return;
    fprintf(b->progress, "\r\033[K%s %s %lld", what, mode, (long long)at);
    fflush(b->progress);
}

static int stopped(const mls_bench *b) { return b->stop && *b->stop; }

/* Processor time with one thread, else the wall's. */
static double seconds(const mls_bench *b, mls_bench_time begin)
{
    const mls_bench_time t = mls_bench_since(begin);
    return b->threads == 1 ? t.cpu : t.wall;
}

static double state_bytes(mls_run *run)
{
    double n = 0.0;
    for (int i = 0; i < mls_run_states(run); i++) {
        int64_t width;
        mls_run_state(run, i, NULL, &width, NULL);
        n += 4.0 * (double)width;
    }
    return n;
}

typedef struct stream {
    mls_arena arena;
    mls_net *net;
    mls_run *run;
    int32_t *byte;
} stream;

/* A model to run forward, one sample, and bytes for a piece with the one after it. */
static int open_stream(stream *s, const mls_bench *b, const char *mode,
                       mls_bench_size size, mls_error *e)
{
    *s = (stream){.net = NULL};
    const mls_value *spec =
        mls_bench_network(&s->arena, mode, size.D ? size.D : 128, e);
    s->net = spec ? mls_bench_model(b->registry, spec, PIECE, 0, e) : NULL;
    s->run = s->net ? mls_run_new(s->net, 1, 0, e) : NULL;
    s->byte = mls_bench_bytes(&s->arena, PIECE + 1, 6);
    if (!s->byte) mls_error_set(e, "out of memory for a text");
    return !e->set;
}

static void close_stream(stream *s, mls_error *e)
{
    if (s->run && mls_run_error(s->run)->set)
        mls_error_set(e, "%s", mls_run_error(s->run)->text);
    mls_run_free(s->run);
    mls_net_free(s->net);
    mls_arena_free(&s->arena);
}

/* ---- generation ------------------------------------------------------------------ */

/* Seconds for tokens [from, to); what comes out is chosen greedily, as a generator
 * would. */
static double generate(const mls_bench *b, stream *s, int32_t *token, int64_t from,
                       int64_t to)
{
    const mls_bench_time begin = mls_bench_now();
    for (int64_t i = from; i < to && !mls_run_error(s->run)->set && !stopped(b); i++) {
        const mls_batch one = {.steps = 1, .batch = 1, .token = token};
        mls_t y = mls_run_forward(s->run, &one, (uint64_t)i);
        int32_t best = 0;
        for (int32_t c = 1; y && c < 256; c++)
            if (y->data[c] > y->data[best]) best = c;
        *token = (best + s->byte[i % PIECE]) % 256; /* or it would soon repeat itself */
    }
    return seconds(b, begin);
}

int mls_bench_generation(mls_bench *b, const mls_bench_row *const *row, int n,
                         int64_t tokens, mls_bench_size size, mls_error *e)
{
    mls_value *list =
        table(b, "generation", "Generation, tokens a second after so many tokens");
    mls_parfor_threads(b->threads);
    for (int k = 0; k < n && !e->set && !stopped(b); k++) {
        stream s;
        int32_t token = 0;
        if (open_stream(&s, b, row[k]->spec, size, e)) {
            mls_value *v = line(b, list, row[k]->spec);
            int64_t at = 0, memory = 0;
            whole(b, v, "bytes of state", (int64_t)state_bytes(s.run));
            for (int64_t next = 10; next <= tokens && !e->set; next *= 10) {
                say(b, "generation", row[k]->spec, next);
                const int64_t some =
                    next / 10 < 1000 ? next / 10 < 100 ? 9 : next / 10 : 1000;
                generate(b, &s, &token, at, next - some);
                const double took = generate(b, &s, &token, next - some, next);
                at = next;
                real(b, v, mls_arena_printf(&b->arena, "at %lld", (long long)next),
                     took > 0.0 ? (double)some / took : 0.0);
                if (next == 10) memory = mls_memory();
            }
            whole(b, v, "memory grew by", mls_memory() - memory);
        }
        close_stream(&s, e);
    }
    return !e->set;
}

/* ---- growth ---------------------------------------------------------------------- */

typedef struct cell {
    const mls_bench *b;
    const char *mode;
    int64_t T, B, D;
    int remat, mixed;
} cell;

static mls_value *all_nodes(mls_arena *a, const mls_value *spec)
{
    mls_value *list = mls_value_list(a);
    const mls_value *nodes = mls_value_get(spec, "nodes");
    for (int i = 0; i < nodes->n; i++)
        mls_value_push(a, list, mls_value_string(a, nodes->key[i]));
    return list;
}

/* bytes above the built model, seconds of a step */
static void step(const cell *c, double out[2], mls_error *e)
{
    mls_arena a = {0};
    mls_value *spec = mls_bench_network(&a, c->mode, c->D, e);
    if (spec && c->remat) mls_value_set(&a, spec, "remat", all_nodes(&a, spec));
    mls_net *net = spec ? mls_bench_model(c->b->registry, spec, c->T, 0, e) : NULL;
    mls_run *run = net ? mls_run_new(net, c->B, MLS_TRAIN, e) : NULL;
    mls_optimiser o = {
        .kind = MLS_ADAMW, .beta1 = 0.9, .beta2 = 0.999, .epsilon = 1e-8,
        .mixed = c->mixed};
    const mls_batch batch = {.steps = c->T,
                             .batch = c->B,
                             .token = mls_bench_bytes(&a, c->T * c->B, 4),
                             .label = mls_bench_bytes(&a, c->T * c->B, 5)};
    if (!run || !mls_run_reuse(run, c->mixed) || !batch.token || !batch.label ||
        !mls_optimiser_open(&o, net, &a)) {
        mls_error_set(e, "out of memory for %lld steps", (long long)c->T);
        return;
    }
    mls_run_blocks(run, 1);
    mls_run_transient(run, 1);
    mls_parfor_threads(c->b->threads);
    const int64_t before = mls_memory();
    mls_memory_reset();
    double best = 0.0;
    for (int i = 0; i < 3 && !mls_run_error(run)->set; i++) {
        const mls_bench_time begin = mls_bench_now();
        mls_run_reset(run);
        mls_net_zero_grad(net);
        mls_run_loss(run, &batch, (uint64_t)i, NULL);
        mls_run_backward(run, 1.0);
        mls_optimiser_step(&o, net, 1e-3, i + 1);
        const double took = seconds(c->b, begin);
        if (i == 0) out[0] = (double)(mls_memory_peak() - before);
        if (i == 1 || (i > 1 && took < best)) best = took;
    }
    out[1] = best;
    if (mls_run_error(run)->set) mls_error_set(e, "%s", mls_run_error(run)->text);
}

/* In a process of its own: nothing that ran before has left memory behind. */
static int apart(const cell *c, double out[2], mls_error *e)
{
    int ends[2];
    struct {
        double out[2];
        mls_error e;
    } said = {{0.0, 0.0}, {0, ""}};
    if (pipe(ends)) {
        mls_error_set(e, "no pipe could be made");
        return 0;
    }
    const pid_t pid = fork();
    if (pid == 0) {
        close(ends[0]);
        step(c, said.out, &said.e);
        const ssize_t done = write(ends[1], &said, sizeof said);
        _exit(done == (ssize_t)sizeof said ? 0 : 1);
    }
    close(ends[1]);
    size_t got = 0;
    for (ssize_t n = 1; pid > 0 && got < sizeof said && n > 0;
         got += n > 0 ? (size_t)n : 0)
        n = read(ends[0], (char *)&said + got, sizeof said - got);
    close(ends[0]);
    if (pid > 0) waitpid(pid, NULL, 0);
    if (pid < 0 || got != sizeof said)
        mls_error_set(e, "%s: the process for %lld steps died", c->mode,
                      (long long)c->T);
    else if (said.e.set)
        mls_error_set(e, "%s: %s", c->mode, said.e.text);
    memcpy(out, said.out, sizeof said.out);
    return !e->set;
}

int mls_bench_growth(mls_bench *b, const mls_bench_row *const *row, int n,
                     int64_t longest, mls_bench_size size, mls_error *e)
{
    mls_value *list =
        table(b, "growth", "A training step: memory above the model, and time");
    cell c = {b, NULL, 0, size.B ? size.B : 1, size.D ? size.D : 128, 0,
              size.mixed};
    for (int k = 0; k < n && !e->set; k++)
        for (c.T = longest < 512 ? longest : 512;
             c.T <= longest && !e->set && !stopped(b); c.T *= 2) {
            double out[2][2] = {{0}};
            c.mode = row[k]->spec;
            say(b, "growth", c.mode, c.T);
            for (c.remat = 0; c.remat < 2 && !e->set; c.remat++)
                apart(&c, out[c.remat], e);
            mls_value *v = line(b, list, c.mode);
            const double tokens = (double)(c.T * c.B);
            whole(b, v, "steps", c.T);
            whole(b, v, "samples", c.B);
            real(b, v, "MiB", out[0][0] / 1048576.0);
            real(b, v, "bytes a token", out[0][0] / tokens);
            real(b, v, "us a token", 1e6 * out[0][1] / tokens);
            real(b, v, "remat MiB", out[1][0] / 1048576.0);
            real(b, v, "remat bytes a token", out[1][0] / tokens);
            real(b, v, "remat us a token", 1e6 * out[1][1] / tokens);
        }
    return !e->set;
}

/* ---- a million ------------------------------------------------------------------- */

static double evaluate(const mls_bench *b, stream *s, int64_t from, int64_t to,
                       double *nats)
{
    const mls_bench_time begin = mls_bench_now();
    const mls_batch piece = {
        .steps = PIECE, .batch = 1, .token = s->byte, .label = s->byte + 1};
    for (int64_t i = from; i < to && !mls_run_error(s->run)->set && !stopped(b); i++)
        *nats += mls_run_loss(s->run, &piece, (uint64_t)i, NULL);
    return seconds(b, begin);
}

int mls_bench_million(mls_bench *b, const mls_bench_row *const *row, int n,
                      int64_t tokens, mls_bench_size size, mls_error *e)
{
    mls_value *list =
        table(b, "million", "Evaluation of one sequence, its states carried along");
    const int64_t pieces = tokens > PIECE ? tokens / PIECE : 1,
                  some = pieces < 32 ? (pieces + 1) / 2 : 16;
    mls_parfor_threads(b->threads);
    for (int k = 0; k < n && !e->set && !stopped(b); k++) {
        stream s;
        double nats = 0.0;
        say(b, "evaluation", row[k]->spec, tokens);
        if (open_stream(&s, b, row[k]->spec, size, e)) {
            mls_run_blocks(s.run, 1);
            const double first = evaluate(b, &s, 0, some, &nats);
            const int64_t before = mls_memory();
            mls_memory_reset();
            double all = first + evaluate(b, &s, some, pieces - some, &nats);
            const double last = evaluate(b, &s, pieces - some, pieces, &nats);
            all += last;
            mls_value *v = line(b, list, row[k]->spec);
            whole(b, v, "steps", pieces * PIECE);
            whole(b, v, "bytes of state", (int64_t)state_bytes(s.run));
            real(b, v, "seconds", all);
            real(b, v, "tokens/s at first", (double)(some * PIECE) / first);
            real(b, v, "tokens/s at last", (double)(some * PIECE) / last);
            whole(b, v, "memory grew by", mls_memory_peak() - before);
            real(b, v, "nats", nats / (double)pieces);
        }
        close_stream(&s, e);
    }
    return !e->set;
}
