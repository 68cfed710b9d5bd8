#include "cli/cli.h"
#include "study/progress.h"
#include "study/trial.h"

#include <math.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum { WIDTH = 24 };

void mls_bar_start(mls_bar *b)
{
    *b = (mls_bar){ .terminal = isatty(2), .began = mls_runner_now(), .first = -1 };
}

static void clear(mls_bar *b)
{
    if (b->painted) fputs("\r\033[K", stderr);
    b->painted = 0;
}

/* "1.23M" */
static void short_number(double x, char out[24])
{
    const char *unit = x >= 1e6 ? "M" : x >= 1e3 ? "k" : "";
    snprintf(out, 24, "%.3g%s", x >= 1e6 ? x / 1e6 : x >= 1e3 ? x / 1e3 : x, unit);
}

static void paint(mls_bar *b, const mls_progress *p)
{
    char bar[WIDTH + 1], left[24] = "", rate[24];
    const double part = p->steps > 0 ? (double)p->step / (double)p->steps : 0.0;
    const double took = mls_runner_now() - b->began;
    const int full = (int)(part * WIDTH);
    for (int i = 0; i < WIDTH; i++) bar[i] = i < full ? '#' : '-';
    bar[WIDTH] = '\0';
    const int64_t done = p->step - b->first;
    if (done > 0 && p->steps > p->step)
        mls_meter_time(took / (double)done * (double)(p->steps - p->step), left);
    short_number(p->rate, rate);
    if (b->terminal) {
        fprintf(stderr, "\r\033[K[%s] %lld/%lld  loss %.4g  %s tokens/s%s%s%s", bar,
                (long long)p->step, (long long)p->steps, p->loss, rate,
                *left ? "  " : "", left, *left ? " left" : "");
        b->painted = 1;
    } else {
        fprintf(stderr, "step %lld of %lld  loss %.4g  %s tokens/s%s%s%s\n",
                (long long)p->step, (long long)p->steps, p->loss, rate,
                *left ? "  " : "", left, *left ? " left" : "");
    }
    fflush(stderr);
}

static void evaluated(mls_bar *b, const mls_progress *p)
{
    clear(b);
    fprintf(stderr, "step %lld  validation", (long long)p->step);
    for (int i = 0; i < p->evaluation->n; i++)
        fprintf(stderr, "  %s %.4g", p->evaluation->key[i],
                p->evaluation->item[i]->real);
    fputc('\n', stderr);
}

void mls_bar_show(void *bar, const mls_progress *p)
{
    mls_bar *b = bar;
    const double now = mls_runner_now();
    if (b->first < 0) {
        b->first = p->step > 0 ? p->step - 1 : 0;
        b->began = now;
        b->shown = now - (b->terminal ? 1.0 : 9.0);
        b->evaluation = p->evaluation;
    }
    if (p->evaluation && p->evaluation != b->evaluation) {
        b->evaluation = p->evaluation;
        evaluated(b, p);
    }
    if (now - b->shown < (b->terminal ? 0.1 : 10.0)) return;
    b->shown = now;
    paint(b, p);
}

void mls_bar_end(mls_bar *b)
{
    clear(b);
    fflush(stderr);
}
