#include "study/metrics.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <zlib.h>

static unsigned checksum(const char *text, size_t n)
{
    return (unsigned)crc32(crc32(0, NULL, 0), (const unsigned char *)text, (unsigned)n);
}

/* A line {"step":12,...,"crc32":"89abcdef"} that is what was written: its step; else -1. */
static int64_t step_of(const char *line, ssize_t n)
{
    static const char mark[] = ",\"crc32\":\"";
    const ssize_t tail = (ssize_t)sizeof mark - 1 + 8 + 3;      /* and "}\n */
    if (n <= tail || strncmp(line, "{\"step\":", 8) ||
        strncmp(line + n - tail, mark, sizeof mark - 1))
        return -1;
    char *end;
    const unsigned long told = strtoul(line + n - 11, &end, 16);
    if (strcmp(end, "\"}\n") || told != checksum(line, (size_t)(n - tail))) return -1;
    return strtoll(line + 8, NULL, 10);
}

int mls_metrics_open(mls_metrics *f, const char *dir, int64_t step, int64_t bytes,
                     mls_error *e)
{
    *f = (mls_metrics){ 0 };
    snprintf(f->path, sizeof f->path, "%s/metrics.jsonl", dir);
    f->file = fopen(f->path, step > 0 ? "a+e" : "we");
    long keep = 0;
    char *line = NULL;
    size_t room = 0;
    int ok = f->file != NULL;
    if (ok && step > 0) {
        rewind(f->file);
        for (ssize_t n; keep < bytes && (n = getline(&line, &room, f->file)) > 0;
             keep += n) {
            const int64_t s = step_of(line, n);
            if (s < 0 || s > step) break;
        }
        ok = fflush(f->file) == 0 && ftruncate(fileno(f->file), keep) == 0 &&
             fseek(f->file, 0, SEEK_END) == 0;
    }
    free(line);
    if (!ok) mls_error_set(e, "%s: %s", f->path, strerror(errno));
    return ok;
}

void mls_metrics_line(mls_metrics *f, int64_t step, const char *split,
                      const mls_metric *m, int n)
{
    char text[4096];
    if (!f->file) return;
    size_t used =
        (size_t)snprintf(text, sizeof text, "{\"step\":%lld", (long long)step);
    if (split)
        used += (size_t)snprintf(text + used, sizeof text - used, ",\"split\":\"%s\"",
                                 split);
    for (int i = 0; i < n && used < sizeof text - 200; i++) {
        const char *form =
            isfinite(m[i].value) ? ",\"%.100s\":%.17g" : ",\"%.100s\":null";
        used += (size_t)snprintf(text + used, sizeof text - used, form, m[i].name,
                                 m[i].value);
    }
    if (fprintf(f->file, "%s,\"crc32\":\"%08x\"}\n", text, checksum(text, used)) < 0)
        f->failed = 1;
}

int mls_metrics_sync(mls_metrics *f)
{
    if (f->file && (fflush(f->file) != 0 || fsync(fileno(f->file)) != 0)) f->failed = 1;
    return !f->failed;
}

int64_t mls_metrics_bytes(const mls_metrics *f)
{
    return f->file ? (int64_t)ftello(f->file) : 0;
}

int mls_metrics_close(mls_metrics *f)
{
    if (!f->file) return 1;
    mls_metrics_sync(f);
    if (fclose(f->file) != 0) f->failed = 1;
    f->file = NULL;
    return !f->failed;
}
