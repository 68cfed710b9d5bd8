#include "lua/study_print.h"

#include "conf/conf.h"
#include "kern/kern.h"
#include "study/plot.h"
#include "study/progress.h"
#include "study/study_file.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* ---- plan -------------------------------------------------------------------------- */

/* Flops per second of matrix products of a middling size on this machine, now. */
static double gemm_rate(void)
{
    enum { N = 192 };
    float *x = calloc(3 * N * N, sizeof *x);
    if (!x)
        return NAN;
    double began = mls_runner_now(), now = began, n = 0.0;
    for (; now < began + 0.3; n++, now = mls_runner_now())
        mls_k_gemm(0, 0, N, N, N, 1.0f, x, N, x + N * N, N, 0.0f, x + 2 * N * N, N);
    free(x);
    return n * 2.0 * N * N * N / (now - began);
}

void mls_study_print_plan(FILE *out, const mls_plan *p, int parallel)
{
    char text[24];
    int width = 8;
    double flops = 0.0;
    int known = 1;
    for (int i = 0; i < p->n; i++) {
        const int w = (int)strlen(p->trial[i].label);
        width = w > width ? w : width;
        flops += p->trial[i].flops * (double)p->trial[i].steps;
        known &= p->trial[i].steps > 0;
    }
    const double rate = gemm_rate();
    fprintf(out, "%-12s  %-*s  %5s  %12s  %8s  %12s  %14s\n", "trial", width, "variant",
            "seed", "parameters", "steps", "MiB a step", "Mflop a step");
    for (int i = 0; i < p->n; i++) {
        const mls_plan_trial *t = &p->trial[i];
        fprintf(out, "%s  %-*s  %5lld  %12lld  %8lld  %12.1f  %14.1f\n", t->id, width,
                t->label, (long long)t->seed, (long long)t->parameters,
                (long long)t->steps, t->bytes / 1048576.0, t->flops / 1e6);
    }
    /* the rest of a step (scans, copies, the optimiser) costs about as much as products */
    mls_meter_time(2.0 * flops / rate / (parallel > 0 ? parallel : 1), text);
    fprintf(out, "%d trials of %d variants; ", p->n, p->n_variants);
    if (known)
        fprintf(out, "about %s with -j%d: an estimate from the flops at half of the %.1f "
                "Gflop/s that a matrix product reaches here\n", text, parallel, rate / 1e9);
    else
        fprintf(out, "how long they take is not known before they run\n");
}

/* ---- end ------------------------------------------------------------------------------ */

static void read_results(mls_arena *a, const mls_plan *p, const mls_runner *r,
                         mls_table_trial *t)
{
    for (int i = 0; i < p->n; i++) {
        const mls_plan_trial *from = &p->trial[i];
        const mls_job *job = &r->job[i];
        t[i] = (mls_table_trial){ .id = from->id, .label = from->label,
                                  .point = from->asked, .variant = from->variant,
                                  .seed = from->seed, .parameters = from->parameters };
        if (job->state == MLS_JOB_DONE || job->state == MLS_JOB_KEPT) {
            mls_error e = { 0 };
            t[i].result = mls_yaml_read(a, mls_arena_printf(a, "%s/result.yaml", job->dir),
                                        &e);
            t[i].reason = t[i].result ? NULL : mls_arena_strdup(a, e.text);
        } else if (job->state == MLS_JOB_FAILED) {
            t[i].reason = strncmp(job->reason, "crashed", 7) == 0 ? job->reason
                : mls_arena_printf(a, "failed: %s", job->reason);
        } else {
            t[i].reason = job->state == MLS_JOB_STOPPED
                ? mls_arena_printf(a, "stopped at step %lld", (long long)job->step)
                : job->state == MLS_JOB_ELSEWHERE ? "run by another driver" : "not run";
        }
    }
}

/* Pictures; says in one line each what there is to see. */
static void pictures(FILE *out, mls_arena *a, const char *dir, const mls_plan *p,
                     const mls_runner *r, const mls_table_trial *t)
{
    mls_error e = { 0 };
    mls_plot_trial *trial = mls_arena_alloc(a, (size_t)(p->n + 1) * sizeof *trial);
    int n = 0, raster = 0;
    for (int i = 0; trial && i < p->n; i++)
        if (t[i].result)
            trial[n++] = (mls_plot_trial){ p->trial[i].label, r->job[i].dir };
    const int curves = mls_plot_curves(dir, p->name, trial, n, &e);
    for (int i = 0; i < p->n && !raster && curves >= 0 && !e.set; i++) {
        const char *record = mls_arena_printf(a, "%s/record.h5", r->job[i].dir);
        if (t[i].result && access(record, R_OK) == 0)
            raster = mls_plot_raster(dir, record, p->trial[i].label, &e);
    }
    if (curves < 0 || raster < 0)
        fprintf(out, "no pictures: gnuplot is absent or failed (data: %s/curves.dat)\n",
                dir);
    else if (e.set)
        fprintf(out, "no pictures: %s\n", e.text);
    if (raster > 0)
        fprintf(out, "spikes:   %s/raster.svg\n", dir);
    if (curves > 0)
        fprintf(out, "xdg-open %s/curves.svg\n", dir);
}

int mls_study_print_end(FILE *out, const char *dir, const mls_plan *p,
                        const mls_value *settings, const mls_runner *r, mls_error *e)
{
    mls_arena a = { 0 };
    mls_table table;
    mls_table_trial *t = mls_arena_zalloc(&a, (size_t)(p->n + 1) * sizeof *t);
    if (!t) {
        mls_error_set(e, "no memory for the table");
        return 0;
    }
    read_results(&a, p, r, t);
    mls_table_make(&a, settings, t, p->n, &table, e);
    const char *text = e->set ? NULL : mls_table_text(&a, &table);
    if (text)
        fprintf(out, "\n%s\n", text);
    int records = 0, done = 0;
    for (int i = 0; i < p->n; i++) {
        records += access(mls_arena_printf(&a, "%s/record.h5", r->job[i].dir), R_OK) == 0;
        done += t[i].result != NULL;
    }
    if (text && mls_study_files(dir, &table, e))
        fprintf(out, "table:    %s/table.csv\nHDF5:     %s/study.h5\n", dir, dir);
    if (records)
        fprintf(out, "records:  %s/<trial>/record.h5 (%d)\n", dir, records);
    if (done)
        pictures(out, &a, dir, p, r, t);
    mls_arena_free(&a);
    return !e->set;
}
