/* mls import: files of other programs into a data file for task.hdf5. */
#include "cli/cli.h"
#include "import/import.h"

#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { WIDTH = 24, MOST = 64, SAID = 2000 };

typedef struct bar { int terminal, painted; struct timespec shown; } bar;

static int show(void *arg, const char *what, int64_t done, int64_t total)
{
    bar *b = arg;
    struct timespec now;
    if (mls_cli_stop) return 0;
    clock_gettime(CLOCK_MONOTONIC, &now);
    const double since = (double)(now.tv_sec - b->shown.tv_sec) +
                         1e-9 * (double)(now.tv_nsec - b->shown.tv_nsec);
    if (!b->terminal || (b->painted && since < 0.1)) return 1;
    const int full = total > 0 ? (int)(WIDTH * done / total) : 0;
    char text[WIDTH + 1];
    for (int i = 0; i < WIDTH; i++) text[i] = i < full ? '#' : '-';
    text[WIDTH] = '\0';
    const char *slash = strrchr(what, '/');
    fprintf(stderr, "\r\033[K[%s] %.40s %lld", text, slash ? slash + 1 : what,
            (long long)done);
    if (total > 0) fprintf(stderr, "/%lld", (long long)total);
    fflush(stderr);
    b->painted = 1;
    b->shown = now;
    return 1;
}

/* One table of the options of all formats; which formats have one stands in its help. */
const mls_flag *mls_cli_import_flags(mls_arena *a)
{
    mls_flag *out = mls_arena_zalloc(a, MOST * sizeof *out);
    int n = 0;
    if (!out) return NULL;
    out[n++] = (mls_flag){ "-o", MLS_FLAG_VALUE, "FILE.h5", "the file to write; it must not "
                                                            "exist" };
    for (int i = 0; mls_importers[i]; i++)
        for (const mls_import_option *o = mls_importers[i]->options; o && o->name; o++) {
            const char *name = mls_arena_printf(a, "--%s", o->name);
            int k = 0;
            while (k < n && strcmp(out[k].name, name)) k++;
            if (k == MOST - 1) return out;
            const char *same = k < n ? strstr(out[k].help, o->help) : NULL;
            if (same)                    /* "idx: help" becomes "idx, png: help" */
                out[k].help = mls_arena_printf(a, "%.*s, %s: %s", (int)(same - 2 - out[k].help),
                                               out[k].help, mls_importers[i]->name, same);
            else if (k < n)
                out[k].help = mls_arena_printf(a, "%s; %s: %s", out[k].help,
                                               mls_importers[i]->name, o->help);
            else
                out[n++] = (mls_flag){ name, MLS_FLAG_VALUE, o->value,
                                       mls_arena_printf(a, "%s: %s", mls_importers[i]->name,
                                                        o->help) };
        }
    return out;
}

static int part_of(const char *word)
{
    static const char *const mark[] = { NULL, "train:", "validation:", "test:" };
    for (int k = 1; k < MLS_PARTS; k++)
        if (!strcmp(word, mark[k])) return k;
    return 0;
}

/* The words after the format: files, with train: and its like between them. */
static const mls_import_input *inputs(const mls_args *args, mls_arena *a, int *n,
                                      mls_error *e)
{
    mls_import_input *in = mls_arena_alloc(a, (size_t)(args->n_words + 1) * sizeof *in);
    int part = 0;
    *n = 0;
    for (int i = 1; i < args->n_words && in; i++) {
        const int k = part_of(args->word[i]);
        if (k && !part && *n)
            mls_error_set(e, "%s belongs to no part: it stands before %s", in[0].path,
                          args->word[i]);
        if (k) part = k;
        else in[(*n)++] = (mls_import_input){ args->word[i], part };
    }
    return in;
}

static int import(mls_import *m, const mls_args *args, const char *to, mls_error *e)
{
    char said[SAID];
    bar b = { .terminal = isatty(2) };
    const char *name[MOST], *value[MOST];
    for (int i = 0; i < args->n && m->n_options < MOST; i++)
        if (strcmp(args->name[i], "-o")) {
            name[m->n_options] = args->name[i] + 2;
            value[m->n_options++] = args->value[i];
        }
    m->name = name;
    m->value = value;
    m->progress = show;
    m->progress_arg = &b;
    mls_cli_signals();
    const int ok = mls_import_run(m, args->word[0], to, said, sizeof said);
    if (b.painted) fputs("\r\033[K", stderr);
    if (ok) fprintf(stdout, "%s\n%s", to, said);
    if (!ok && !e->set) fprintf(stderr, "mls: interrupted; nothing was written\n");
    return ok ? MLS_EXIT_DONE : e->set ? MLS_EXIT_FAILED : MLS_EXIT_INTERRUPTED;
}

int mls_verb_import(int argc, char **argv, mls_registry *r, mls_error *e)
{
    (void)r;
    mls_arena a = { 0 };
    mls_args args;
    mls_import m = { .a = &a, .e = e };
    int status = MLS_EXIT_USAGE;
    if (mls_args_parse(&args, &a, argc, argv, mls_cli_import_flags(&a), e)) {
        const char *to = mls_args_get(&args, "-o", NULL);
        if (!args.n_words) mls_error_set(e, "FORMAT is missing (see mls import --help)");
        else if (!to || !*to) mls_error_set(e, "-o FILE.h5 is missing");
        else m.input = inputs(&args, &a, &m.n_inputs, e);
        if (!e->set) status = import(&m, &args, to, e);
    }
    mls_arena_free(&a);
    return status;
}

