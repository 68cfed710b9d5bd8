#include "train/metrics.h"

#include <math.h>

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
    else
        all[n++] = (mls_metric){"accuracy", sum->correct / sum->count};
    if (shape->loss == MLS_CROSS_ENTROPY && shape->is_text) {
        all[n++] = (mls_metric){"nats", loss};
        all[n++] = (mls_metric){"bits", loss / 0.69314718055994530942};
        all[n++] = (mls_metric){"perplexity", exp(loss)};
    }
    if (n > room) n = room;
    for (int i = 0; i < n; i++) out[i] = all[i];
    return n;
}
