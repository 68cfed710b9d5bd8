#include "train/metrics.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

const char *const mls_loss_names[] = { [MLS_CROSS_ENTROPY] = "cross_entropy",
                                       [MLS_MSE] = "mse",
                                       [MLS_MAE] = "mae",
                                       [MLS_BINARY] = "binary",
                                       NULL };

int mls_loss_find(const char *name)
{
    for (int i = 0; mls_loss_names[i]; i++)
        if (!strcmp(name, mls_loss_names[i])) return i;
    return -1;
}

int mls_metrics_of(const mls_task_shape *shape, const mls_loss_stats *sum,
                   mls_metric *out, int room)
{
    if (!(sum->count > 0.0)) return 0;
    const double loss = sum->sum / sum->count;
    mls_metric all[MLS_METRICS];
    int n = 0;
    all[n++] = (mls_metric){"loss", loss};
    if (shape->loss == MLS_MSE)
        all[n++] = (mls_metric){"mse", loss};
    else if (shape->loss == MLS_MAE)
        all[n++] = (mls_metric){"mae", loss};
    else if (shape->loss == MLS_BINARY)
        all[n++] = (mls_metric){"nll", loss};
    else
        all[n++] = (mls_metric){"accuracy", sum->correct / sum->decided};
    if (shape->loss == MLS_CROSS_ENTROPY && shape->is_text) {
        all[n++] = (mls_metric){"nats", loss};
        all[n++] = (mls_metric){"bits", loss / 0.69314718055994530942};
        all[n++] = (mls_metric){"perplexity", exp(loss)};
    }
    if (n > room) n = room;
    for (int i = 0; i < n; i++) out[i] = all[i];
    return n;
}

/* ---- area under the ROC curve */

int mls_scores_add(mls_scores *s, mls_t y, const int32_t *label)
{
    const int64_t rows = y->dim[0] * y->dim[1];
    if (s->n + rows > s->room) {
        const int64_t room = 2 * (s->n + rows);
        mls_score *at = realloc(s->at, (size_t)room * sizeof *at);
        if (!at) return 0;
        s->at = at;
        s->room = room;
    }
    for (int64_t r = 0; r < rows; r++)
        if (label[r] >= 0)
            s->at[s->n++] = (mls_score){y->data[2 * r + 1] - y->data[2 * r], label[r] > 0};
    return 1;
}

static int ascending(const void *a, const void *b)
{
    const float x = ((const mls_score *)a)->score, y = ((const mls_score *)b)->score;
    return (x > y) - (x < y);
}

double mls_scores_auc(mls_scores *s)
{
    double pairs = 0.0, negatives = 0.0, positives = 0.0;
    if (s->n > 1) qsort(s->at, (size_t)s->n, sizeof *s->at, ascending);
    for (int64_t i = 0, end; i < s->n; i = end) {
        double p = 0.0, n = 0.0;
        for (end = i; end < s->n && s->at[end].score <= s->at[i].score; end++) {
            p += s->at[end].positive;
            n += !s->at[end].positive;
        }
        if (end == i) return NAN; /* a score that is NaN has no rank */
        pairs += p * (negatives + 0.5 * n);
        negatives += n;
        positives += p;
    }
    return negatives * positives > 0.0 ? pairs / (negatives * positives) : NAN;
}

void mls_scores_free(mls_scores *s)
{
    free(s->at);
    *s = (mls_scores){0};
}
