/* bench.c - mls bench: how fast, and how far from what the machine could do. */
#include "bench/bench.h"
#include "bench/table.h"
#include "cli/cli.h"
#include "conf/conf.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

const mls_flag mls_cli_bench_flags[] = {
    {"--steps", MLS_FLAG_VALUE, "T", "steps of a sequence (1024; ltc 256)"},
    {"--batch", MLS_FLAG_VALUE, "B", "samples (8)"},
    {"--width", MLS_FLAG_VALUE, "D", "width (128; ltc 64)"},
    {"--precision", MLS_FLAG_VALUE, "float32|mixed",
     "of training steps, as train.precision (float32)"},
    {"--threads", MLS_FLAG_VALUE, "N", "threads (1)"},
    {"--repeats", MLS_FLAG_VALUE, "R", "measurements of each row (7)"},
    {"--quick", MLS_FLAG_NONE, NULL,
     "256 steps (ltc 64) and 3 repeats: under a minute"},
    {"--full", MLS_FLAG_NONE, NULL, "256, 1024 and 2048 steps, one after the other"},
    {"--events", MLS_FLAG_NONE, NULL, "instead: products with spikes at several rates"},
    {"--ops", MLS_FLAG_NONE, NULL, "also the time of every op in the rows"},
    {"--peers", MLS_FLAG_VALUE, "PYTHON",
     "also the same work in PyTorch (scripts/bench/setup.sh); may be repeated"},
    {"--peer-script", MLS_FLAG_VALUE, "FILE",
     "the peers' side (scripts/bench/peers.py)"},
    {"--generation", MLS_FLAG_NONE, NULL,
     "instead: models one token after the other, up to 100,000 (--steps)"},
    {"--growth", MLS_FLAG_NONE, NULL,
     "instead: memory of a training step from 512 to 16,384 steps (--steps)"},
    {"--million", MLS_FLAG_NONE, NULL,
     "instead: models over a sequence of 1,048,576 steps (--steps)"},
    {"--markdown", MLS_FLAG_VALUE, "FILE", "the tables for a page"},
    {"--json", MLS_FLAG_VALUE, "FILE", "all figures, for --compare and other programs"},
    {"--compare", MLS_FLAG_VALUE, "OLD.json",
     "ratios to the figures of an earlier --json"},
    {"--list", MLS_FLAG_NONE, NULL, "the rows"},
    {NULL, MLS_FLAG_NONE, NULL, NULL}};

enum { MOST = 256 };

typedef struct chosen {
    const mls_bench_row *row[MOST];
    int n;
} chosen;

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
    mls_arena a = {0};
    FILE *f = fopen(path, "w");
    const char *text = mls_value_to_json(&a, mls_bench_value(b, &a, mls_cli_line()), 0);
    const int ok = f && text && fprintf(f, "%s\n", text) > 0;
    if ((f && fclose(f)) || !ok) mls_error_set(e, "%s: %s", path, strerror(errno));
    mls_arena_free(&a);
}

static int start_peers(mls_bench *b, const mls_args *args, mls_error *e)
{
    const char *given = mls_args_get(args, "--peer-script", NULL);
    for (int i = 0; i < args->n && !e->set; i++) {
        if (strcmp(args->name[i], "--peers")) continue;
        if (b->n_peers == MLS_BENCH_PEERS) {
            mls_error_set(e, "--peers: at most %d Pythons", MLS_BENCH_PEERS);
            break;
        }
        const char *script = mls_bench_peers_script(&b->arena, given, e);
        if (script)
            mls_bench_peers_start(&b->peers[b->n_peers++], args->value[i], script,
                                  b->threads, e);
    }
    return !e->set;
}

/* Everything that was measured. */
static void print(const mls_bench *b, const mls_args *args, const mls_value *was,
                  FILE *f, int markdown, mls_error *e)
{
    if (markdown) fprintf(f, "`%s`\n\n", mls_cli_line());
    if (b->n) mls_bench_print(b, f, markdown);
    if (b->n && mls_args_has(args, "--ops")) {
        fputc('\n', f);
        mls_bench_print_ops(b, f, markdown);
    }
    if (b->n_peers) {
        fputc('\n', f);
        mls_bench_print_peers(b, f, markdown);
    }
    for (int i = 0; i < b->n_tables; i++) {
        fprintf(f, "%s%s:\n%s", i ? "\n" : "", b->table[i].title, markdown ? "\n" : "");
        mls_bench_text_maps(b->table[i].list, f, markdown);
    }
    if (was) {
        fputc('\n', f);
        mls_bench_compare(b, was, f, markdown, e);
    }
}

static void write_markdown(const mls_bench *b, const mls_args *args,
                           const mls_value *was, const char *path, mls_error *e)
{
    FILE *f = fopen(path, "w");
    if (f) print(b, args, was, f, 1, e);
    if (!f || ferror(f) || fclose(f)) mls_error_set(e, "%s: %s", path, strerror(errno));
}

static void rows(mls_bench *b, const chosen *c, const mls_args *args, mls_bench_size s,
                 mls_error *e)
{
    static const int64_t all[] = {256, 1024, 2048};
    const int full = mls_args_has(args, "--full"),
              quick = mls_args_has(args, "--quick");
    if (!start_peers(b, args, e) || !mls_bench_rates(b, e)) return;
    for (int i = 0; i < (full ? 3 : 1) && !e->set; i++) {
        if (full) s.T = all[i];
        chosen own = {.n = 0}, rest = {.n = 0};
        for (int j = 0; j < c->n; j++) {
            chosen *to = quick && c->row[j]->T ? &own : &rest;
            to->row[to->n++] = c->row[j];
        }
        mls_bench_size small = s;
        if (quick && !s.T) s.T = 256, small.T = 64;
        if (rest.n) mls_bench_rows(b, rest.row, rest.n, s, e);
        if (own.n && !e->set) mls_bench_rows(b, own.row, own.n, small, e);
    }
}

/* The tables of long sequences that were asked for; 0: none was. */
static int tables(mls_bench *b, const chosen *c, const mls_args *args, mls_bench_size s,
                  mls_error *e)
{
    chosen m = {.n = 0};
    if (mls_args_has(args, "--events")) return mls_bench_events(b, s, e) || 1;
    const int generation = mls_args_has(args, "--generation"),
              growth = mls_args_has(args, "--growth"),
              million = mls_args_has(args, "--million");
    for (int i = 0; i < c->n; i++)
        if (!strcmp(c->row[i]->group, "training")) m.row[m.n++] = c->row[i];
    if (!generation && !growth && !million) return 0;
    if (!m.n)
        mls_error_set(e,
                      "these tables are of models: name rows of the group training, or "
                      "none for all of them");
    /* growth first: its processes are forked from one that has run nothing yet */
    if (growth && !e->set) mls_bench_growth(b, m.row, m.n, s.T ? s.T : 16384, s, e);
    if (generation && !e->set)
        mls_bench_generation(b, m.row, m.n, s.T ? s.T : 100000, s, e);
    if (million && !e->set) mls_bench_million(b, m.row, m.n, s.T ? s.T : 1 << 20, s, e);
    if (b->progress) fputs("\r\033[K", b->progress);
    return 1;
}

static int is_mixed(const mls_args *args, mls_error *e)
{
    static const char *const names[] = {"float32", "mixed"};
    const char *given = mls_args_get(args, "--precision", "float32"),
               *near = mls_error_nearest(given, names, 2);
    const int mixed = !strcmp(given, "mixed");
    if (!mixed && strcmp(given, "float32"))
        mls_error_set(e, "--precision %.40s: expected float32 or mixed%s%s%s", given,
                      near ? "; did you mean " : "", near ? near : "", near ? "?" : "");
    return mixed;
}

static void bench(mls_bench *b, const chosen *c, const mls_args *args, mls_error *e)
{
    const char *old = mls_args_get(args, "--compare", NULL),
               *json = mls_args_get(args, "--json", NULL),
               *markdown = mls_args_get(args, "--markdown", NULL);
    /* before anything is measured: a name that is wrong must not cost the run */
    const mls_value *was = old ? mls_yaml_read(&b->arena, old, e) : NULL;
    const mls_bench_size s = {mls_args_int(args, "--steps", 0, 1, 1 << 24, e),
                              mls_args_int(args, "--batch", 0, 1, 1 << 20, e),
                              mls_args_int(args, "--width", 0, 1, 1 << 16, e),
                              is_mixed(args, e)};
    if (e->set) return;
    if (!tables(b, c, args, s, e)) rows(b, c, args, s, e);
    if (e->set) return;
    print(b, args, was, stdout, 0, e);
    if (markdown && !e->set) write_markdown(b, args, was, markdown, e);
    if (json && !e->set) write_json(b, json, e);
}

int mls_verb_bench(int argc, char **argv, mls_registry *r, mls_error *e)
{
    mls_arena a = {0};
    mls_args args;
    chosen c = {.n = 0};
    mls_bench b = {.registry = r, .stop = &mls_cli_stop};
    int status = MLS_EXIT_USAGE;
    if (mls_args_parse(&args, &a, argc, argv, mls_cli_bench_flags, e)) {
        if (mls_args_has(&args, "--list")) {
            list();
            status = MLS_EXIT_DONE;
        } else {
            for (int i = 0; i < args.n_words && !e->set; i++)
                choose(&c, args.word[i], e);
            if (!args.n_words) choose(&c, NULL, e);
            b.threads = (int)mls_args_int(&args, "--threads", 1, 1, 256, e);
            b.repeats =
                (int)mls_args_int(&args, "--repeats",
                                  mls_args_has(&args, "--quick") ? 3 : 7, 1, 10000, e);
            b.progress = isatty(2) ? stderr : NULL;
            if (!e->set) {
                mls_cli_signals();
                bench(&b, &c, &args, e);
                status = e->set         ? MLS_EXIT_FAILED
                         : mls_cli_stop ? MLS_EXIT_INTERRUPTED
                                        : MLS_EXIT_DONE;
            }
        }
    }
    for (int i = 0; i < b.n_peers; i++) mls_bench_peers_stop(&b.peers[i]);
    mls_bench_free(&b);
    mls_arena_free(&a);
    return status;
}
