#define _GNU_SOURCE 1
#include "study/plot.h"

#include "rec/read_spikes.h"
#include "study/child.h"

#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct dot { double step, value; } dot;
typedef struct dots { dot *list; size_t n, room; } dots;

static int add(dots *d, double step, double value)
{
    if (d->n == d->room) {
        const size_t room = d->room ? 2 * d->room : 256;
        dot *list = realloc(d->list, room * sizeof *list);
        if (!list)
            return 0;
        d->list = list;
        d->room = room;
    }
    d->list[d->n++] = (dot){ step, value };
    return 1;
}

/* Lines of metrics.jsonl: those with a split are evaluations, the others training. */
static void read_metrics(const char *dir, dots *training, dots *validation)
{
    char path[4300];
    char *line = NULL;
    size_t room = 0;
    snprintf(path, sizeof path, "%s/metrics.jsonl", dir);
    FILE *f = fopen(path, "re");
    while (f && getline(&line, &room, f) > 0) {
        json_t *o = json_loads(line, 0, NULL);
        const json_t *step = json_object_get(o, "step"), *loss = json_object_get(o, "loss");
        const char *split = json_string_value(json_object_get(o, "split"));
        dots *to = !split ? training : strcmp(split, "validation") == 0 ? validation
            : strcmp(split, "training") == 0 ? training : NULL;
        const int ok = !to || !json_is_number(step) || !json_is_number(loss)
            || add(to, json_number_value(step), json_number_value(loss));
        json_decref(o);
        if (!ok)
            break;
    }
    free(line);
    if (f)
        fclose(f);
}

static int by_step(const void *a, const void *b)
{
    const double x = ((const dot *)a)->step, y = ((const dot *)b)->step;
    return (x > y) - (x < y);
}

/* Means over dots whose steps fall into one bin of `width` steps; a block of gnuplot's
 * `index`. */
static int block(FILE *f, dots *d, double width)
{
    qsort(d->list, d->n, sizeof *d->list, by_step);
    for (size_t i = 0; i < d->n;) {
        const double bin = floor(d->list[i].step / width);
        double step = 0.0, value = 0.0, n = 0.0;
        for (; i < d->n && floor(d->list[i].step / width) == bin; i++, n++) {
            step += d->list[i].step;
            value += d->list[i].value;
        }
        fprintf(f, "%.10g %.10g\n", step / n, value / n);
    }
    const int some = d->n > 0;
    fprintf(f, some ? "\n\n" : "0 NaN\n\n\n");
    return some;
}

/* For gnuplot's single quotes. */
static void title(FILE *f, const char *s)
{
    for (; *s; s++)
        fputc(*s == '\'' ? ' ' : *s, f);
}

static void outputs(FILE *f, const char *name, const char *plot)
{
    fprintf(f, "set terminal svg size 960,540 dynamic background rgb 'white'\n"
            "set output '%s.svg'\n%sset terminal pngcairo size 960,540\n"
            "set output '%s.png'\nreplot\nset output\n", name, plot, name);
}

static int draw(const char *dir, const char *script)
{
    return mls_child_wait("gnuplot", script, dir) == 0 ? 1 : -1;
}

static int close_file(FILE *f, const char *path, mls_error *e)
{
    const int bad = ferror(f);
    if (fclose(f) == 0 && !bad)
        return 1;
    mls_error_set(e, "cannot write %s", path);
    return 0;
}

static FILE *open_file(const char *dir, const char *name, char path[4300], mls_error *e)
{
    snprintf(path, 4300, "%s/%s", dir, name);
    FILE *f = fopen(path, "we");
    if (!f)
        mls_error_set(e, "cannot write %s", path);
    return f;
}

typedef struct curve { const char *variant; int training, validation; } curve;

static int curves_data(const char *dir, const mls_plot_trial *trial, int n, curve *of,
                       int *n_curves, mls_error *e)
{
    char path[4300];
    FILE *f = open_file(dir, "curves.dat", path, e);
    int some = 0;
    *n_curves = 0;
    for (int i = 0; f && i < n; i++) {
        int first = 1;
        for (int k = 0; k < i; k++)
            first &= strcmp(trial[k].variant, trial[i].variant) != 0;
        if (!first)
            continue;
        dots training = { 0 }, validation = { 0 };
        for (int k = i; k < n; k++)
            if (strcmp(trial[k].variant, trial[i].variant) == 0)
                read_metrics(trial[k].dir, &training, &validation);
        double last = 1.0;
        for (size_t k = 0; k < training.n; k++)
            last = fmax(last, training.list[k].step);
        curve *c = &of[(*n_curves)++];
        c->variant = trial[i].variant;
        c->training = block(f, &training, fmax(1.0, last / 150.0));
        c->validation = block(f, &validation, 1.0);
        some |= c->training | c->validation;
        free(training.list);
        free(validation.list);
    }
    return f && close_file(f, path, e) ? some : 0;
}

int mls_plot_curves(const char *dir, const char *study, const mls_plot_trial *trial, int n,
                    mls_error *e)
{
    char path[4300];
    int n_curves, drawn = 0;
    curve *of = calloc((size_t)n + 1, sizeof *of);
    if (!of || !curves_data(dir, trial, n, of, &n_curves, e)) {
        free(of);
        return 0;
    }
    FILE *f = open_file(dir, "curves.gp", path, e);
    char *plot = NULL;
    size_t size = 0;
    FILE *p = open_memstream(&plot, &size);
    if (f && p) {
        fprintf(f, "set title '");
        title(f, study);
        fprintf(f, "' noenhanced\nset xlabel 'training step'\nset ylabel 'loss'\nset grid\n"
                "set key outside right noenhanced\n");
        for (int i = 0; i < n_curves; i++) {
            /* training thin and pale, validation thick, in one colour a variant */
            fprintf(p, "%s 'curves.dat' index %d using 1:2 with lines lc %d lw 1 dt 3 "
                    "notitle, '' index %d using 1:2 with linespoints lc %d lw 2 pt 7 ps 0.4 "
                    "title '", drawn++ ? "," : "plot", 2 * i, i + 1, 2 * i + 1, i + 1);
            title(p, of[i].variant);
            fprintf(p, "'");
        }
        fprintf(p, "\n");
        fflush(p);
        outputs(f, "curves", plot);
    }
    const int ok = f && close_file(f, path, e) && p && drawn;
    if (p)
        fclose(p);
    free(plot);
    free(of);
    return ok ? draw(dir, "curves.gp") : 0;
}

int mls_plot_raster(const char *dir, const char *record, const char *name, mls_error *e)
{
    char path[4300];
    mls_arena a = { 0 };
    mls_spikes s;
    FILE *f = NULL;
    int ok = mls_spikes_read(record, NULL, 200000, &a, &s, e) && s.n > 0;
    if (ok && (f = open_file(dir, "raster.dat", path, e))) {
        for (int64_t i = 0; i < s.n; i++)
            fprintf(f, "%.10g %lld\n", s.time[i], (long long)s.unit[i]);
        ok = close_file(f, path, e);
    }
    ok = ok && f && (f = open_file(dir, "raster.gp", path, e));
    if (ok) {
        fprintf(f, "set title '");
        title(f, name);
        fprintf(f, ", %s, training step %lld' noenhanced\nset xlabel 'time (ms)'\n"
                "set ylabel 'unit'\nunset key\n", s.population, (long long)s.record_step);
        outputs(f, "raster", "plot 'raster.dat' using 1:2 with points pt 7 ps 0.35 lc 'black'\n");
        ok = close_file(f, path, e);
    }
    mls_arena_free(&a);
    return ok ? draw(dir, "raster.gp") : 0;
}
