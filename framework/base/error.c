#include "base/error.h"

#include <stdio.h>
#include <string.h>

void mls_error_setv(mls_error *e, const char *fmt, va_list ap)
{
    if (!e || e->set) return;
    e->set = 1;
    vsnprintf(e->text, sizeof e->text, fmt, ap);
    for (size_t n = strlen(e->text); n && e->text[n - 1] == '\n'; n--)
        e->text[n - 1] = '\0';
}

void mls_error_set(mls_error *e, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    mls_error_setv(e, fmt, ap);
    va_end(ap);
}

void mls_error_prefix(mls_error *e, const char *fmt, ...)
{
    if (!e || !e->set) return;
    char front[512];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(front, sizeof front, fmt, ap);
    va_end(ap);
    const size_t f = strlen(front), room = sizeof e->text - 1;
    size_t n = strlen(e->text);
    if (f + 2 >= room) return;
    if (f + 2 + n > room) n = room - f - 2;
    memmove(e->text + f + 2, e->text, n);
    memcpy(e->text, front, f);
    memcpy(e->text + f, ": ", 2);
    e->text[f + 2 + n] = '\0';
}

enum { LONGEST = 64 };

/* Optimal string alignment: insertions, deletions, changes and swaps of neighbours. */
static int distance(const char *a, const char *b)
{
    const int n = (int)strlen(a), m = (int)strlen(b);
    if (n > LONGEST || m > LONGEST) return LONGEST;
    int row[3][LONGEST + 1];
    for (int j = 0; j <= m; j++) row[0][j] = j;
    for (int i = 1; i <= n; i++) {
        int *now = row[i % 3], *up = row[(i + 2) % 3], *up2 = row[(i + 1) % 3];
        now[0] = i;
        for (int j = 1; j <= m; j++) {
            const int same = a[i - 1] == b[j - 1];
            int d = up[j - 1] + !same;
            if (up[j] + 1 < d) d = up[j] + 1;
            if (now[j - 1] + 1 < d) d = now[j - 1] + 1;
            if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] &&
                up2[j - 2] + 1 < d)
                d = up2[j - 2] + 1;
            now[j] = d;
        }
    }
    return row[n % 3][m];
}

const char *mls_error_nearest(const char *word, const char *const *names, int n)
{
    const char *best = NULL;
    int least = 2 + (int)strlen(word) / 3;            /* one more than is allowed */
    for (int i = 0; i < n; i++) {
        const int d = names[i] ? distance(word, names[i]) : LONGEST;
        if (d < least) {
            least = d;
            best = names[i];
        }
    }
    return best;
}
