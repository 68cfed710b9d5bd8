/* mls trace against public implementations, whose results scripts/golden/parity.py wrote
 * here: each line of cases.txt has a NAME and a component; NAME-w.h5 has its weights,
 * NAME-x.h5 the input, and NAME-y.h5 what the reference made of them in float64.  Errors
 * are relative to the largest magnitude of a tensor.                                    */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/bundle.h"
#include "rec/record.h"
#include "rec/tensors.h"

enum { MOST_CASES = 64 };

typedef struct golden { char name[40], spec[200]; } golden;

static golden list[MOST_CASES];
static mls_arena arena;
static char dir[64];

static const char *variable(const char *name)
{
    return getenv(name) ? getenv(name) : ".";
}

static int make_dir(void **state)
{
    (void)state;
    strcpy(dir, "/tmp/mls-golden-XXXXXX");
    mls_rec_init();
    return mkdtemp(dir) ? 0 : -1;
}

static int remove_dir(void **state)
{
    (void)state;
    unlink(mls_arena_printf(&arena, "%s/y.h5", dir));
    mls_arena_free(&arena);
    return rmdir(dir);
}

static mls_bundle read_all(const char *path)
{
    mls_error e = { 0 };
    mls_bundle b = { .arena = &arena };
    if (!mls_tensors_read(path, NULL, &b, &e)) fail_msg("%s", e.text);
    return b;
}

static int64_t count(const mls_bundle_row *r)
{
    int64_t n = 1;
    for (int i = 0; i < r->rank; i++) n *= r->dim[i];
    return n;
}

static const mls_bundle_row *find(const mls_bundle *b, const char *name)
{
    for (int i = 0; i < b->n; i++)
        if (!strcmp(b->row[i].name, name)) return &b->row[i];
    return NULL;
}

/* The largest difference over the largest value; infinite when one is no number. */
static double distance(const float *want, const float *got, int64_t n)
{
    double far = 0.0, size = 0.0;
    for (int64_t i = 0; i < n; i++) {
        const double d = fabs((double)want[i] - (double)got[i]);
        if (!(d <= far)) far = isfinite(d) ? d : INFINITY;
        size = fmax(size, fabs((double)want[i]));
    }
    return size > 0.0 ? far / size : far;
}

static int compare(const golden *g, const mls_bundle_row *want, const mls_bundle *all)
{
    const double tolerance = strncmp(want->name, "grad/", 5) ? 1e-5 : 1e-4;
    const mls_bundle_row *got = find(all, want->name);
    if (!got || count(got) != count(want)) {
        print_message("# %s: %s is %s\n", g->name, want->name,
                      got ? "of another size" : "missing");
        return 0;
    }
    const double far = distance(want->data, got->data, count(want));
    if (far <= tolerance) return 1;
    print_message("# %s: %s is off by %.3g, expected at most %g\n", g->name, want->name,
                  far, tolerance);
    return 0;
}

static void one_case(void **state)
{
    const golden *g = *state;
    const char *path = mls_arena_printf(&arena, "%s/tests/golden/%s",
                                        variable("MLS_SOURCE"), g->name);
    const char *y = mls_arena_printf(&arena, "%s/y.h5", dir);
    const char *command = mls_arena_printf(&arena, "%s/mls trace '%s' --weights %s-w.h5 "
                                           "--input %s-x.h5 --output %s --grad >/dev/null",
                                           variable("MLS_BUILD"), g->spec, path, path, y);
    assert_int_equal(system(command), 0);
    const mls_bundle want = read_all(mls_arena_printf(&arena, "%s-y.h5", path));
    const mls_bundle got = read_all(y);
    int bad = 0, weights = 0;
    for (int i = 0; i < want.n; i++) {
        bad += !compare(g, &want.row[i], &got);
        weights += !strncmp(want.row[i].name, "grad/weight/", 12);
    }
    assert_int_equal(bad, 0);
    assert_true(find(&want, "grad/in/in") != NULL);
    if (strncmp(g->spec, "encoder.", 8))
        assert_int_equal(weights, read_all(mls_arena_printf(&arena, "%s-w.h5", path)).n);
}

int main(void)
{
    static struct CMUnitTest test[MOST_CASES];
    char path[4096];
    int n = 0;
    cmocka_set_message_output(CM_OUTPUT_TAP);
    snprintf(path, sizeof path, "%s/tests/golden/cases.txt", variable("MLS_SOURCE"));
    FILE *f = fopen(path, "r");
    while (f && n < MOST_CASES &&
           fscanf(f, "%39s %199[^\n]", list[n].name, list[n].spec) == 2) {
        test[n] = (struct CMUnitTest){ list[n].name, one_case, NULL, NULL, &list[n] };
        n++;
    }
    if (!f || !n) {
        fprintf(stderr, "%s: no cases\n", path);
        return 1;
    }
    fclose(f);
    return _cmocka_run_group_tests("golden", test, (size_t)n, make_dir, remove_dir);
}
