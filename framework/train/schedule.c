#include "train/schedule.h"

#include <math.h>

double mls_schedule_rate(const mls_schedule *s, int64_t step)
{
    if (step < s->warmup) return s->peak * (double)step / (double)s->warmup;
    const int64_t rest = s->steps - s->warmup;
    double done = rest > 0 ? (double)(step - s->warmup) / (double)rest : 1.0;
    if (done > 1.0) done = 1.0;
    double part = 1.0;
    if (s->kind == MLS_RATE_LINEAR) part = 1.0 - done;
    if (s->kind == MLS_RATE_COSINE)
        part = 0.5 + 0.5 * cos(3.14159265358979323846 * done);
    return s->peak * (s->final_rate + (1.0 - s->final_rate) * part);
}
