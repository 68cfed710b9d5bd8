/* trace-rig.h - files of tensors for mls trace and mls weights, and how to run those. */
#ifndef TESTS_CLI_TRACE_RIG_H
#define TESTS_CLI_TRACE_RIG_H

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/bundle.h"
#include "rec/array_write.h"
#include "rec/record.h"
#include "rec/tensors.h"

static mls_arena arena;
static char dir[64], said[20000];

static int make_dir(void **state)
{
    (void)state;
    strcpy(dir, "/tmp/mls-trace-XXXXXX");
    mls_rec_init();
    return mkdtemp(dir) ? 0 : -1;
}

static int remove_dir(void **state)
{
    char command[200];
    (void)state;
    mls_arena_free(&arena);
    snprintf(command, sizeof command, "rm -rf %s", dir);
    return system(command);
}

static const char *in_dir(const char *name)
{
    return mls_arena_printf(&arena, "%s/%s", dir, name);
}

typedef float (*filling)(int k, int j);
__attribute__((unused)) static float zero(int k, int j) { (void)k, (void)j; return 0.0f; }
__attribute__((unused)) static float sine(int k, int j) { return (float)(0.4 * sin(0.7 * k + 0.3 * j)); }
__attribute__((unused)) static float cosine(int k, int j) { (void)j; return (float)cos(0.9 * k); }
__attribute__((unused)) static float shifted(int k, int j) { (void)j; return (float)cos(0.9 * k + 0.5); }

/* One data set more; dim ends in 0. */
static void put(const char *file, const char *name, const int64_t *dim, filling f, int j)
{
    mls_error e = { 0 };
    int64_t n = 1;
    int rank = 0;
    for (; dim[rank]; rank++) n *= dim[rank];
    float *x = mls_arena_alloc(&arena, (size_t)n * sizeof *x);
    for (int k = 0; k < n; k++) x[k] = f(k, j);
    if (!mls_array_write(in_dir(file), name, x, rank, dim, &e)) fail_msg("%s", e.text);
}
#define DIM(...) ((const int64_t[]){ __VA_ARGS__, 0 })

static void text_file(const char *name, const char *text)
{
    FILE *f = fopen(in_dir(name), "w");
    assert_non_null(f);
    fputs(text, f);
    assert_int_equal(fclose(f), 0);
}

/* mls ARGUMENTS in the folder; its exit status, and what it said in `said`. */
static int mls_run_it(const char *arguments)
{
    char *build = realpath(getenv("MLS_BUILD") ? getenv("MLS_BUILD") : ".", NULL);
    const char *command = mls_arena_printf(&arena, "cd %s && %s/mls %s >said 2>&1", dir, build,
                                           arguments);
    const int status = system(command);
    free(build);
    FILE *f = fopen(in_dir("said"), "r");
    assert_non_null(f);
    said[fread(said, 1, sizeof said - 1, f)] = '\0';
    fclose(f);
    assert_true(WIFEXITED(status));
    return WEXITSTATUS(status);
}

static void runs(const char *arguments)
{
    if (mls_run_it(arguments)) fail_msg("mls %s: %s", arguments, said);
}

static void refused(const char *arguments, int status, const char *const *words)
{
    const int got = mls_run_it(arguments);
    if (got != status) fail_msg("mls %s: status %d: %s", arguments, got, said);
    for (; *words; words++)
        if (!strstr(said, *words)) fail_msg("mls %s: no \"%s\" in: %s", arguments, *words, said);
}
#define WORDS(...) ((const char *const[]){ __VA_ARGS__, NULL })

static mls_bundle all_of(const char *file)
{
    mls_error e = { 0 };
    mls_bundle b = { .arena = &arena };
    if (!mls_tensors_read(in_dir(file), NULL, &b, &e)) fail_msg("%s", e.text);
    return b;
}

static const mls_bundle_row *row(const char *file, const char *name)
{
    const mls_bundle b = all_of(file);
    for (int i = 0; i < b.n; i++)
        if (!strcmp(b.row[i].name, name)) return &b.row[i];
    fail_msg("%s: no %s", file, name);
    return NULL;
}

static int64_t count(const mls_bundle_row *r)
{
    int64_t n = 1;
    for (int i = 0; i < r->rank; i++) n *= r->dim[i];
    return n;
}

#endif
