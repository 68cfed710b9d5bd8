/* bench.c - mls bench: how fast, and how far from what the machine could do. */
#include "bench/bench.h"
#include "cli/cli.h"
#include "conf/conf.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

const mls_flag mls_cli_bench_flags[] = {
    { "--steps", MLS_FLAG_VALUE, "T", "steps of a sequence (1024; ltc 256)" },
    { "--batch", MLS_FLAG_VALUE, "B", "samples (8)" },
    { "--width", MLS_FLAG_VALUE, "D", "width (128; ltc 64)" },
    { "--threads", MLS_FLAG_VALUE, "N", "threads (1)" },
    { "--repeats", MLS_FLAG_VALUE, "R", "measurements of each row (7)" },
    { "--quick", MLS_FLAG_NONE, NULL, "256 steps (ltc 64) and 3 repeats: under a minute" },
    { "--full", MLS_FLAG_NONE, NULL, "256, 1024 and 2048 steps, one after the other" },
    { "--ops", MLS_FLAG_NONE, NULL, "also the time of every op in the rows" },
    { "--peers", MLS_FLAG_VALUE, "PYTHON",
      "also the same work in PyTorch and its packages (scripts/bench/setup.sh)" },
    { "--peer-script", MLS_FLAG_VALUE, "FILE", "the peers' side (scripts/bench/peers.py)" },
    { "--json", MLS_FLAG_VALUE, "FILE", "all figures, for --compare and other programs" },
    { "--compare", MLS_FLAG_VALUE, "OLD.json", "ratios to the figures of an earlier --json" },
    { "--list", MLS_FLAG_NONE, NULL, "the rows" },
    { NULL, MLS_FLAG_NONE, NULL, NULL }
};

enum { MOST = 256 };

typedef struct chosen { const mls_bench_row *row[MOST]; int n; } chosen;

static void list(void)
{
    for (const mls_bench_row *r = mls_bench_table; r->name; r++)
        fprintf(stdout, "%-18s %-10s %s\n", r->name, r->group, r->help);
}

static void choose(chosen *c, const char *word, mls_error *e)
{
    int found = 0;
    for (const mls_bench_row *r = mls_bench_table; r->name && c->n < MOST; r++)
        if (!word || !strcmp(word, r->group)) {
            c->row[c->n++] = r;
            found = 1;
        }
    const mls_bench_row *r = found ? NULL : mls_bench_find(word, e);
    if (r && c->n < MOST) c->row[c->n++] = r;
}

static void write_json(const mls_bench *b, const char *path, mls_error *e)
{
    mls_arena a = { 0 };
    FILE *f = fopen(path, "w");
    const char *text = mls_value_to_json(&a, mls_bench_value(b, &a, mls_cli_line()), 0);
    const int ok = f && text && fprintf(f, "%s\n", text) > 0;
    if ((f && fclose(f)) || !ok) mls_error_set(e, "%s: %s", path, strerror(errno));
    mls_arena_free(&a);
}

static int start_peers(mls_bench *b, const mls_args *args, mls_error *e)
{
    const char *python = mls_args_get(args, "--peers", NULL);
    const char *script = python ? mls_bench_peers_script(
        &b->arena, mls_args_get(args, "--peer-script", NULL), e) : NULL;
    b->peers = script ? mls_arena_zalloc(&b->arena, sizeof *b->peers) : NULL;
    if (b->peers) mls_bench_peers_start(b->peers, python, script, b->threads, e);
    return !e->set;
}

static void bench(mls_bench *b, const chosen *c, const mls_args *args, mls_error *e)
{
    static const int64_t all[] = { 256, 1024, 2048 };
    const int full = mls_args_has(args, "--full"), quick = mls_args_has(args, "--quick");
    const char *old = mls_args_get(args, "--compare", NULL),
               *json = mls_args_get(args, "--json", NULL);
    /* before anything is measured: a name that is wrong must not cost the run */
    const mls_value *was = old ? mls_yaml_read(&b->arena, old, e) : NULL;
    mls_bench_size s = { mls_args_int(args, "--steps", 0, 1, 1 << 24, e),
                   mls_args_int(args, "--batch", 0, 1, 1 << 20, e),
                   mls_args_int(args, "--width", 0, 1, 1 << 16, e) };
    if (e->set || !start_peers(b, args, e) || !mls_bench_rates(b, e)) return;
    for (int i = 0; i < (full ? 3 : 1) && !e->set; i++) {
        if (full) s.T = all[i];
        chosen ltc = { .n = 0 }, rest = { .n = 0 };
        for (int j = 0; j < c->n; j++) {
            chosen *to = quick && c->row[j]->T ? &ltc : &rest;
            to->row[to->n++] = c->row[j];
        }
        mls_bench_size small = s;
        if (quick && !s.T) s.T = 256, small.T = 64;
        if (rest.n) mls_bench_rows(b, rest.row, rest.n, s, e);
        if (ltc.n && !e->set) mls_bench_rows(b, ltc.row, ltc.n, small, e);
    }
    if (e->set) return;
    mls_bench_print(b, stdout);
    if (mls_args_has(args, "--ops")) {
        fputc('\n', stdout);
        mls_bench_print_ops(b, stdout);
    }
    if (b->peers) {
        fputc('\n', stdout);
        mls_bench_print_peers(b, stdout);
    }
    if (was) {
        fputc('\n', stdout);
        mls_bench_compare(b, was, stdout, e);
    }
    if (json && !e->set) write_json(b, json, e);
}

int mls_verb_bench(int argc, char **argv, mls_registry *r, mls_error *e)
{
    mls_arena a = { 0 };
    mls_args args;
    chosen c = { .n = 0 };
    mls_bench b = { .registry = r, .stop = &mls_cli_stop };
    int status = MLS_EXIT_USAGE;
    if (mls_args_parse(&args, &a, argc, argv, mls_cli_bench_flags, e)) {
        if (mls_args_has(&args, "--list")) {
            list();
            status = MLS_EXIT_DONE;
        } else {
            for (int i = 0; i < args.n_words && !e->set; i++) choose(&c, args.word[i], e);
            if (!args.n_words) choose(&c, NULL, e);
            b.threads = (int)mls_args_int(&args, "--threads", 1, 1, 256, e);
            b.repeats = (int)mls_args_int(&args, "--repeats",
                                          mls_args_has(&args, "--quick") ? 3 : 7, 1, 10000, e);
            b.progress = isatty(2) ? stderr : NULL;
            if (!e->set) {
                mls_cli_signals();
                bench(&b, &c, &args, e);
                status = e->set ? MLS_EXIT_FAILED
                         : mls_cli_stop ? MLS_EXIT_INTERRUPTED : MLS_EXIT_DONE;
            }
        }
    }
    if (b.peers) mls_bench_peers_stop(b.peers);
    mls_bench_free(&b);
    mls_arena_free(&a);
    return status;
}
