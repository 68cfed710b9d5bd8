#include "study/misfit.h"

#include <stdio.h>
#include <string.h>

void mls_misfit_add(mls_misfit *m, const char *fmt, ...)
{
    char line[600] = "\n  ";
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(line + 3, sizeof line - 3, fmt, ap);
    va_end(ap);
    m->n++;
    if (m->used + (int)strlen(line) >= (int)sizeof m->text) return;
    m->used += snprintf(m->text + m->used, sizeof m->text - (size_t)m->used, "%s", line);
    m->told++;
}

void mls_misfit_tell(const mls_misfit *m, const char *file, const char *what, mls_error *e)
{
    char more[60] = "";
    if (!m->n) return;
    if (m->told < m->n) snprintf(more, sizeof more, "\n  and %d more", m->n - m->told);
    mls_error_set(e, "%.300s does not fit %.200s (%d fault%s):%s%s", file, what, m->n,
                  m->n == 1 ? "" : "s", m->text, more);
}

const char *mls_misfit_shape(int rank, const int64_t *dim, mls_arena *a)
{
    char s[120];
    int n = 0;
    s[0] = '\0';
    for (int i = 0; i < rank && i < 4; i++)
        n += snprintf(s + n, sizeof s - (size_t)n, "[%lld]", (long long)dim[i]);
    return mls_arena_strdup(a, rank ? s : "a single number");
}

const char *mls_misfit_place(int rank, const int64_t *dim, int64_t at, mls_arena *a)
{
    int64_t place[4] = { 0 };
    for (int i = rank - 1; i >= 0; i--) {
        place[i] = at % dim[i];
        at /= dim[i];
    }
    return mls_misfit_shape(rank, place, a);
}
