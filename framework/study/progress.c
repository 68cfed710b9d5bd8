#include "study/progress.h"

#include <math.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

void mls_meter_time(double seconds, char out[24])
{
    if (!isfinite(seconds) || seconds < 0.0 || seconds > 1e8) {
        snprintf(out, 24, "?");
        return;
    }
    const long s = (long)(seconds + 0.5);
    if (s >= 3600)
        snprintf(out, 24, "%ld:%02ld:%02ld", s / 3600, s / 60 % 60, s % 60);
    else if (s >= 60)
        snprintf(out, 24, "%ld:%02ld", s / 60, s % 60);
    else
        snprintf(out, 24, "%ld s", s);
}

void mls_meter_start(mls_meter *m, FILE *out)
{
    *m = (mls_meter){ .out = out, .began = mls_runner_now() };
    m->painted = m->began - 8.0;                 /* plain: the first line after 2 s */
    m->terminal = isatty(fileno(out)) == 1;
}

static double part(const mls_job *job)
{
    return job->steps > 0 ? fmin(1.0, (double)job->step / (double)job->steps) : 0.0;
}

typedef struct sums {
    int    done, kept, failed, running, other;
    double fraction, left, rate;
} sums;

static sums add_up(const mls_meter *m, const mls_runner *r)
{
    sums s = { 0 };
    double progress = 0.0;                       /* made by this driver, in trials */
    for (int i = 0; i < r->n_jobs; i++) {
        const mls_job *job = &r->job[i];
        s.kept += job->state == MLS_JOB_KEPT;
        s.done += job->state == MLS_JOB_DONE;
        s.failed += job->state == MLS_JOB_FAILED;
        if (job->state == MLS_JOB_RUNNING) {
            s.running++;
            s.rate += job->rate;
            progress += part(job);
        }
    }
    progress += s.done + s.failed;
    const double n = r->n_jobs > 0 ? r->n_jobs : 1, spent = mls_runner_now() - m->began;
    s.fraction = (progress + s.kept) / n;
    s.left = progress > 0.0 ? spent / progress * (n - s.kept - progress) : INFINITY;
    return s;
}

/* One line cut to the terminal's width, so that the cursor's arithmetic holds. */
static void paint(mls_meter *m, int width, const char *line)
{
    fprintf(m->out, "\033[2K%.*s\n", width > 0 ? width - 1 : 79, line);
    m->lines++;
}

static void bar(char *out, int width, double fraction)
{
    const int full = (int)(fraction * width + 0.5);
    for (int i = 0; i < width; i++)
        out[i] = i < full ? '#' : '.';
    out[width] = 0;
}

static void picture(mls_meter *m, const mls_runner *r)
{
    struct winsize w = { .ws_col = 80, .ws_row = 24 };
    char marks[32], left[24], line[400];
    if (ioctl(fileno(m->out), TIOCGWINSZ, &w) != 0 || w.ws_col < 20)
        w.ws_col = 80;
    if (m->lines > 0)
        fprintf(m->out, "\033[%dA", m->lines);
    const int before = m->lines;
    m->lines = 0;
    int shown = 0;
    for (int i = 0; i < r->n_jobs && shown < 16; i++) {
        const mls_job *job = &r->job[i];
        if (job->state != MLS_JOB_RUNNING)
            continue;
        shown++;
        const double f = part(job), spent = mls_runner_now() - job->began;
        bar(marks, 20, f);
        mls_meter_time(f > 0.0 ? spent / f * (1.0 - f) : INFINITY, left);
        snprintf(line, sizeof line, "[%s] %3.0f %%  loss %-8.4g %8.0f tokens/s  left %-7s "
                 "%s", marks, 100.0 * f, job->loss, job->rate, left, job->label);
        paint(m, w.ws_col, line);
    }
    const sums s = add_up(m, r);
    bar(marks, 20, s.fraction);
    mls_meter_time(s.left, left);
    snprintf(line, sizeof line, "[%s] %3.0f %%  %d of %d trials done, %d failed, %d kept  "
             "%.0f tokens/s  left %s", marks, 100.0 * s.fraction,
             s.done + s.kept, r->n_jobs, s.failed, s.kept, s.rate, left);
    paint(m, w.ws_col, line);
    const int now = m->lines;
    while (m->lines < before)                    /* wipe what a longer picture left */
        paint(m, w.ws_col, "");
    if (m->lines > now)
        fprintf(m->out, "\033[%dA", m->lines - now);
    m->lines = now;
    fflush(m->out);
}

static void plain(mls_meter *m, const mls_runner *r)
{
    char left[24];
    const sums s = add_up(m, r);
    mls_meter_time(s.left, left);
    fprintf(m->out, "%d of %d trials done, %d failed, %d running, %.0f tokens/s, left %s",
            s.done + s.kept, r->n_jobs, s.failed, s.running, s.rate, left);
    int shown = 0;
    for (int i = 0; i < r->n_jobs && shown < 4; i++)
        if (r->job[i].state == MLS_JOB_RUNNING)
            fprintf(m->out, "%s%s step %lld/%lld", shown++ ? ", " : "; ", r->job[i].label,
                    (long long)r->job[i].step, (long long)r->job[i].steps);
    fprintf(m->out, "\n");
    fflush(m->out);
}

void mls_meter_watch(void *meter, const mls_runner *r)
{
    mls_meter *m = meter;
    const double now = mls_runner_now();
    if (now - m->painted < (m->terminal ? 0.1 : 10.0))
        return;
    m->painted = now;
    if (m->terminal)
        picture(m, r);
    else
        plain(m, r);
}

void mls_meter_end(mls_meter *m, const mls_runner *r)
{
    if (m->terminal)
        picture(m, r);
    else
        plain(m, r);
    m->lines = 0;
}
