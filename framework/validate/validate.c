/* validate.c - every case on every target, each in a process of its own. */
#include "validate/validate.h"

#include "validate/cases.h"
#include "validate/parts.h"
#include "validate/print.h"
#include "validate/report.h"

#include <stdlib.h>
#include <string.h>

typedef struct job {
    const mls_registry *registry;
    const mls_target   *target;
    const mls_case     *k;
    uint64_t            seed;
} job;

/* ---- in a case's process -------------------------------------------------------------- */

static int by_name(const void *a, const void *b)
{
    const mls_component *x = *(const mls_component *const *)a;
    const mls_component *y = *(const mls_component *const *)b;
    const int d = strcmp(x->kind, y->kind);
    return d ? d : strcmp(x->name, y->name);
}

/* A registry of its own for the probe's parts and the file under test: the caller's stays
 * as it is.                                                                              */
static void copy_registry(mls_registry *to, const mls_registry *from, mls_error *e)
{
    *to = (mls_registry){ .warnings = from->warnings, .n_files = from->n_files,
                          .n_components = from->n_components };
    enum { FILES = 2, COMPONENTS = 4096 };       /* what may come besides                 */
    to->file = mls_arena_zalloc(&to->arena, (size_t)(from->n_files + FILES) * sizeof *to->file);
    to->component = mls_arena_zalloc(&to->arena, (size_t)(from->n_components + COMPONENTS)
                                                     * sizeof *to->component);
    if (!to->file || !to->component) {
        mls_error_set(e, "out of memory");
        return;
    }
    memcpy(to->file, from->file, (size_t)from->n_files * sizeof *to->file);
    memcpy(to->component, from->component,
           (size_t)from->n_components * sizeof *to->component);
    qsort(to->component, (size_t)to->n_components, sizeof *to->component, by_name);
    mls_parts_add(to, e);
}

/* Of a file that nobody has opened before, but for the cases about that opening. */
static const mls_component *component(mls_registry *r, const job *j, mls_error *e)
{
    const mls_target *t = j->target;
    if (t->c || !t->component || j->k->applies == MLS_FILES_ONLY) return t->c;
    return mls_registry_open(r, t->path, e) ? mls_registry_find(r, t->component, NULL, e) : NULL;
}

static void work(void *arg)
{
    const job *j = arg;
    static mls_probe p;                          /* longjmp leaves statics as they are    */
    static mls_registry own;
    mls_error e = { 0 };
    copy_registry(&own, j->registry, &e);
    p = (mls_probe){ .registry = &own, .target = j->target, .seed = j->seed };
    if (!e.set) p.c = component(&own, j, &e);
    if (e.set) {
        mls_report_verdict(MLS_CASE_FAILED, e.text);
        return;
    }
    const int status = setjmp(p.end);
    if (!status) {
        j->k->run(&p);
        mls_report_verdict(p.warned ? MLS_CASE_WARNED : MLS_CASE_PASSED, p.reason);
    } else {
        mls_report_verdict(status, p.reason);
    }
}

/* ---- all of them ---------------------------------------------------------------------- */

static int chosen(const mls_case *k, const char *const *only)
{
    if (!only || !*only) return 1;
    for (; *only; only++)
        if (!strcmp(*only, k->name)) return 1;
    return 0;
}

enum { PATIENCE = 3 };            /* time-outs of one target, and no case more is begun   */

static void one(mls_printer *out, job *j, const mls_validate_options *o, int *silent)
{
    mls_arena a = { 0 };
    const char *excuse = mls_cases_excuse(j->k, j->target, j->target->c);
    mls_verdict v = { .status = MLS_CASE_SKIPPED, .reason = excuse, .notes = "" };
    /* A file that did not open can only be asked why. */
    if (!excuse && !j->target->c && !j->target->component && j->k->applies != MLS_FILES_ONLY)
        v.reason = "the plugin was not loaded";
    else if (!excuse && *silent >= PATIENCE)
        v.reason = "no case before it was answered in time";
    else if (!excuse)
        v = mls_report_of(work, j, o->seconds > 0.0 ? o->seconds : j->k->seconds, o->verbose,
                          &a);
    *silent = v.late ? *silent + 1 : v.status == MLS_CASE_SKIPPED ? *silent : 0;
    mls_print_verdict(out, j->target, j->k, &v, j->seed);
    mls_arena_free(&a);
}

int mls_validate(const mls_registry *r, const mls_target *target, int n,
                 const mls_validate_options *o, FILE *out, mls_error *e)
{
    for (int i = 0; o->only && o->only[i]; i++)
        if (!mls_cases_find(o->only[i], e)) return -1;
    mls_printer p = { .out = out, .json = o->json, .verbose = o->verbose,
                      .seconds = o->seconds };
    mls_print_begin(&p);
    for (int i = 0; i < n; i++) {
        const mls_case *k;
        int silent = 0;
        for (int c = 0; (k = mls_cases_at(c)); c++) {
            job j = { r, &target[i], k, o->seed };
            if (chosen(k, o->only)) one(&p, &j, o, &silent);
        }
    }
    mls_print_end(&p, n);
    return p.failed;
}

void mls_validate_list(FILE *out)
{
    const mls_case *k;
    for (int i = 0; (k = mls_cases_at(i)); i++)
        fprintf(out, "%-26s %s\n", k->name, k->sentence);
}
