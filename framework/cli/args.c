#include "cli/cli.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MOST_NAMES = 256 };

static const mls_flag *find(const mls_flag *table, const char *name, size_t n)
{
    for (; table && table->name; table++)
        if (strlen(table->name) == n && !strncmp(table->name, name, n)) return table;
    return NULL;
}

static void unknown(const char *word, const mls_flag *table, mls_error *e)
{
    const char *names[MOST_NAMES];
    char asked[100];
    int n = 0;
    snprintf(asked, sizeof asked, "%.*s", (int)strcspn(word, "="), word);
    if (!strcmp(asked, "--mixed-precision") || !strcmp(asked, "--multi-gpu") ||
        !strcmp(asked, "--gpu-strategy")) {
        mls_error_set(
            e,
            "%s: mls computes in single precision on the CPU; there is no such "
            "choice (--threads says on how many cores, --precision mixed keeps less "
            "in memory)",
            asked);
        return;
    }
    for (; table && table->name && n < MOST_NAMES; table++) names[n++] = table->name;
    const char *near = mls_error_nearest(asked, names, n);
    mls_error_set(e, "unknown option %s%s%s%s (see mls help)", asked,
                  near ? "; did you mean " : "", near ? near : "", near ? "?" : "");
}

static void keep(mls_args *args, const char *name, const char *value)
{
    args->name[args->n] = name;
    args->value[args->n++] = value;
}

/* "-j4": a short option and its value in one word. */
static const mls_flag *attached(const mls_flag *table, const char *word)
{
    const mls_flag *f = word[1] != '-' && word[2] ? find(table, word, 2) : NULL;
    return f && f->kind == MLS_FLAG_VALUE ? f : NULL;
}

/* One option at argv[i]; returns how many further arguments it took. */
static int option(mls_args *args, int argc, char **argv, int i, const mls_flag *table,
                  mls_error *e)
{
    const char *word = argv[i], *equal = strchr(word, '=');
    const size_t n = equal ? (size_t)(equal - word) : strlen(word);
    const mls_flag *f = find(table, word, n);
    if (!f && attached(table, word)) {
        f = attached(table, word);
        keep(args, f->name, word + 2 + (word[2] == '='));
        return 0;
    }
    if (!f && !strncmp(word, "--no-", 5) && !equal) {
        const char *plain = mls_arena_printf(args->a, "--%s", word + 5);
        f = find(table, plain, strlen(plain));
        if (f && f->kind == MLS_FLAG_MAYBE) {
            keep(args, f->name, "false");
            return 0;
        }
        f = NULL;
    }
    if (!f) {
        unknown(word, table, e);
    } else if (f->kind == MLS_FLAG_NONE && equal) {
        mls_error_set(e, "%s takes no value", f->name);
    } else if (f->kind != MLS_FLAG_VALUE || equal) {
        keep(args, f->name, equal ? equal + 1 : "true");
    } else if (i + 1 >= argc) {
        mls_error_set(e, "%s needs a value: %s %s", f->name, f->name,
                      f->value ? f->value : "VALUE");
    } else {
        keep(args, f->name, argv[i + 1]);
        return 1;
    }
    return 0;
}

int mls_args_parse(mls_args *args, mls_arena *a, int argc, char **argv,
                   const mls_flag *table, mls_error *e)
{
    const size_t room = (size_t)(argc + 1) * sizeof(char *);
    *args = (mls_args){.a = a,
                       .name = mls_arena_alloc(a, room),
                       .value = mls_arena_alloc(a, room),
                       .word = mls_arena_alloc(a, room)};
    int only_words = 0;
    for (int i = 1; i < argc && !e->set; i++) {
        if (!only_words && !strcmp(argv[i], "--")) only_words = 1;
        else if (!only_words && argv[i][0] == '-' && argv[i][1])
            i += option(args, argc, argv, i, table, e);
        else args->word[args->n_words++] = argv[i];
    }
    return !e->set;
}

const char *mls_args_get(const mls_args *args, const char *name, const char *def)
{
    for (int i = args->n - 1; i >= 0; i--)
        if (!strcmp(args->name[i], name)) return args->value[i];
    return def;
}

int mls_args_has(const mls_args *args, const char *name)
{
    return mls_args_get(args, name, NULL) != NULL;
}

int64_t mls_args_int(const mls_args *args, const char *name, int64_t def, int64_t min,
                     int64_t max, mls_error *e)
{
    const char *s = mls_args_get(args, name, NULL);
    char *end;
    if (!s) return def;
    errno = 0;
    const long long x = strtoll(s, &end, 10);
    if (!*s || *end || errno || x < min || x > max)
        mls_error_set(e, "%s is \"%.60s\"; expected a whole number from %lld to %lld",
                      name, s, (long long)min, (long long)max);
    return x;
}

double mls_args_real(const mls_args *args, const char *name, double def, double min,
                     double max, mls_error *e)
{
    const char *s = mls_args_get(args, name, NULL);
    char *end;
    if (!s) return def;
    const double x = strtod(s, &end);
    if (!*s || *end || !(x >= min && x <= max))
        mls_error_set(e, "%s is \"%.60s\"; expected a number from %g to %g", name, s,
                      min, max);
    return x;
}

const char *mls_args_word(const mls_args *args, const char *what, mls_error *e)
{
    if (args->n_words == 1) return args->word[0];
    if (args->n_words)
        mls_error_set(e, "one %s is expected, and \"%.100s\" is a second one", what,
                      args->word[1]);
    else mls_error_set(e, "%s is missing", what);
    return NULL;
}

void mls_args_print(const mls_flag *table)
{
    for (; table && table->name; table++) {
        char left[80];
        snprintf(left, sizeof left, "%s%s%s", table->name,
                 table->kind == MLS_FLAG_VALUE ? " " : "",
                 table->kind == MLS_FLAG_VALUE ? table->value ? table->value : "VALUE"
                                               : "");
        fprintf(stdout, "  %-34s %s\n", left, table->help ? table->help : "");
    }
}
