#define _GNU_SOURCE 1
#include "study/journal.h"

#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <search.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>
#include <zlib.h>

typedef struct lifeline {
    char            trial[48];
    mls_trial_state state;
    char           *detail;
    int64_t         pid, start;
    char            boot[40];
} lifeline;

struct mls_journal {
    char   *dir;
    int     fd, lock;
    off_t   read;                /* bytes understood so far                            */
    void   *tree;                /* entries by trial                                   */
    char    boot[40], repaired[200];
    int64_t start;
};

static const char *const state_name[] = { "new", "planned", "leased", "done", "failed",
                                          "stopped" };

/* ---- owners --------------------------------------------------------------------- */

static void boot_id(char out[40])
{
    FILE *f = fopen("/proc/sys/kernel/random/boot_id", "r");
    if (!f || !fgets(out, 40, f))
        snprintf(out, 40, "unknown");
    out[strcspn(out, "\n")] = 0;
    if (f)
        fclose(f);
}

/* Start of a process in clock ticks after boot: a pid that was given out again has
 * another one.  -1 when there is no such process. */
static int64_t start_time(int64_t pid)
{
    char path[64], text[1024];
    snprintf(path, sizeof path, "/proc/%lld/stat", (long long)pid);
    FILE *f = fopen(path, "r");
    if (!f)
        return -1;
    const size_t n = fread(text, 1, sizeof text - 1, f);
    fclose(f);
    text[n] = 0;
    const char *at = strrchr(text, ')');        /* the name may hold spaces */
    for (int field = 2; at && field < 22; field++)
        at = strchr(at + 1, ' ');
    return at ? strtoll(at, NULL, 10) : -1;
}

static int alive_elsewhere(const mls_journal *j, const lifeline *e)
{
    return strcmp(e->boot, j->boot) == 0 && e->pid != (int64_t)getpid()
        && start_time(e->pid) == e->start;
}

/* ---- entries ----------------------------------------------------------------------- */

static int by_trial(const void *a, const void *b)
{
    return strcmp(((const lifeline *)a)->trial, ((const lifeline *)b)->trial);
}

static lifeline *find(const mls_journal *j, const char *trial)
{
    lifeline key = { 0 };
    snprintf(key.trial, sizeof key.trial, "%s", trial);
    lifeline **hit = tfind(&key, &j->tree, by_trial);
    return hit ? *hit : NULL;
}

static lifeline *make(mls_journal *j, const char *trial)
{
    lifeline *e = find(j, trial);
    if (e)
        return e;
    e = calloc(1, sizeof *e);
    if (!e)
        return NULL;
    snprintf(e->trial, sizeof e->trial, "%s", trial);
    if (!tsearch(e, &j->tree, by_trial)) {
        free(e);
        return NULL;
    }
    return e;
}

static void take(mls_journal *j, const char *line)
{
    json_t *o = json_loads(line, 0, NULL);
    const char *event = json_string_value(json_object_get(o, "event"));
    const char *trial = json_string_value(json_object_get(o, "trial"));
    lifeline *e = event && trial ? make(j, trial) : NULL;
    for (int i = 0; e && i <= MLS_TRIAL_STOPPED; i++) {
        if (strcmp(event, state_name[i]) != 0)
            continue;
        /* a second driver plans what the first has already done */
        if (i == MLS_TRIAL_PLANNED && e->state != MLS_TRIAL_NEW)
            break;
        const char *detail = json_string_value(json_object_get(o, "detail"));
        const char *boot = json_string_value(json_object_get(o, "boot"));
        e->state = (mls_trial_state)i;
        free(e->detail);
        e->detail = detail ? strdup(detail) : NULL;
        e->pid = json_integer_value(json_object_get(o, "pid"));
        e->start = json_integer_value(json_object_get(o, "start"));
        snprintf(e->boot, sizeof e->boot, "%s", boot ? boot : "");
    }
    json_decref(o);
}

/* ---- lines ----------------------------------------------------------------------------- */

enum { TAIL = 18 };              /* ,"crc":"01234567"} */

static int sound(const char *line, size_t n)
{
    char tail[TAIL + 1];
    if (n < TAIL + 1 || memcmp(line + n - TAIL, ",\"crc\":\"", 8) != 0)
        return 0;
    const uLong crc = crc32(crc32(0, NULL, 0), (const Bytef *)line, (uInt)(n - TAIL));
    snprintf(tail, sizeof tail, ",\"crc\":\"%08lx\"}", crc & 0xffffffffUL);
    return memcmp(line + n - TAIL, tail, TAIL) == 0;
}

/* The text from the last byte understood to the end; NULL at the end or on error. */
static char *rest(mls_journal *j, size_t *size, mls_error *e)
{
    struct stat s;
    *size = 0;
    if (fstat(j->fd, &s) != 0) {
        mls_error_set(e, "%s/journal.jsonl: %s", j->dir, strerror(errno));
        return NULL;
    }
    if (s.st_size <= j->read)
        return NULL;
    const size_t n = (size_t)(s.st_size - j->read);
    char *text = malloc(n + 1);
    if (!text) {
        mls_error_set(e, "no memory to read %s/journal.jsonl", j->dir);
        return NULL;
    }
    while (*size < n) {
        const ssize_t got = pread(j->fd, text + *size, n - *size,
                                  j->read + (off_t)*size);
        if (got < 0 && errno == EINTR)
            continue;
        if (got <= 0)
            break;
        *size += (size_t)got;
    }
    text[*size] = 0;
    return text;
}

/* Takes every sound line; returns how many bytes at the end are none.  A damaged line
 * with sound ones after it is passed over: its trial is then run again at worst. */
static size_t digest(mls_journal *j, char *text, size_t size)
{
    size_t at = 0, good = 0;
    while (at < size) {
        char *end = memchr(text + at, '\n', size - at);
        if (!end)
            break;
        const size_t n = (size_t)(end - (text + at));
        if (sound(text + at, n)) {
            *end = 0;
            take(j, text + at);
            *end = '\n';
            good = at + n + 1;
        }
        at += n + 1;
    }
    j->read += (off_t)good;
    return size - good;
}

static int write_all(int fd, const char *text, size_t n)
{
    while (n > 0) {
        const ssize_t put = write(fd, text, n);
        if (put < 0 && errno == EINTR)
            continue;
        if (put <= 0)
            return 0;
        text += put;
        n -= (size_t)put;
    }
    return 1;
}

static int locked(mls_journal *j, mls_error *e)
{
    while (flock(j->lock, LOCK_EX) != 0)
        if (errno != EINTR) {
            mls_error_set(e, "cannot lock %s/journal.lock: %s", j->dir, strerror(errno));
            return 0;
        }
    return 1;
}

static void unlock(mls_journal *j) { flock(j->lock, LOCK_UN); }

/* Under the lock nobody else is in the middle of a line: what is unsound at the end is
 * a crash's.  It goes to a file of its own, then away. */
static int repair(mls_journal *j, const char *tail, size_t n, mls_error *e)
{
    char path[4200];
    snprintf(path, sizeof path, "%s/journal.torn-%lld", j->dir, (long long)time(NULL));
    const int fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0666);
    const int kept = fd >= 0 && write_all(fd, tail, n) && fsync(fd) == 0;
    if (fd >= 0)
        close(fd);
    if (!kept || ftruncate(j->fd, j->read) != 0) {
        mls_error_set(e, "cannot repair the torn end of %s/journal.jsonl: %s", j->dir,
                      strerror(errno));
        return 0;
    }
    snprintf(j->repaired, sizeof j->repaired,
             "journal: cut %zu bytes of a torn line, kept in journal.torn-*", n);
    return 1;
}

static int refresh(mls_journal *j, mls_error *e)
{
    size_t size;
    char *text = rest(j, &size, e);
    int ok = !e->set;
    if (text && ok) {
        const size_t bad = digest(j, text, size);
        if (bad > 0)
            ok = repair(j, text + size - bad, bad, e);
    }
    free(text);
    return ok;
}

int mls_journal_refresh(mls_journal *j, mls_error *e)
{
    if (!locked(j, e))
        return 0;
    const int ok = refresh(j, e);
    unlock(j);
    return ok;
}

static int append(mls_journal *j, const char *trial, mls_trial_state state,
                  const char *detail, mls_error *e)
{
    json_t *o = json_pack("{s:I, s:s, s:s}", "time", (json_int_t)time(NULL), "event",
                          state_name[state], "trial", trial);
    if (o && detail)
        json_object_set_new(o, "detail", json_string(detail));
    if (o && state == MLS_TRIAL_LEASED) {
        json_object_set_new(o, "pid", json_integer(getpid()));
        json_object_set_new(o, "start", json_integer(j->start));
        json_object_set_new(o, "boot", json_string(j->boot));
    }
    char *text = o ? json_dumps(o, JSON_COMPACT) : NULL;
    json_decref(o);
    char *line = text ? malloc(strlen(text) + TAIL + 2) : NULL;
    int ok = line != NULL;
    if (ok) {
        const size_t n = strlen(text) - 1;       /* without the brace */
        const uLong crc = crc32(crc32(0, NULL, 0), (const Bytef *)text, (uInt)n);
        memcpy(line, text, n);
        snprintf(line + n, TAIL + 2, ",\"crc\":\"%08lx\"}\n", crc & 0xffffffffUL);
        ok = write_all(j->fd, line, n + TAIL + 1) && fdatasync(j->fd) == 0;
        if (!ok && ftruncate(j->fd, j->read) != 0)
            ok = 0;                              /* the next opening will cut it */
    }
    if (!ok)
        mls_error_set(e, "cannot write to %s/journal.jsonl: %s", j->dir, strerror(errno));
    free(text);
    free(line);
    return ok && refresh(j, e);
}

int mls_journal_note(mls_journal *j, const char *trial, mls_trial_state state,
                     const char *detail, mls_error *e)
{
    if (!locked(j, e))
        return 0;
    const int ok = refresh(j, e) && append(j, trial, state, detail, e);
    unlock(j);
    return ok;
}

int mls_journal_claim(mls_journal *j, const char *trial, const char *trial_dir, int *lock,
                      mls_error *e)
{
    char path[4200];
    *lock = -1;
    if (!locked(j, e))
        return -1;
    int got = refresh(j, e) ? 1 : -1;
    const lifeline *known = find(j, trial);
    snprintf(path, sizeof path, "%s/result.yaml", trial_dir);
    if (got == 1 && known && known->state == MLS_TRIAL_DONE && access(path, F_OK) == 0)
        got = 0;
    if (got == 1 && known && known->state == MLS_TRIAL_LEASED && alive_elsewhere(j, known))
        got = 0;
    if (got == 1 && mkdir(trial_dir, 0777) != 0 && errno != EEXIST) {
        mls_error_set(e, "cannot make %s: %s", trial_dir, strerror(errno));
        got = -1;
    }
    if (got == 1) {
        snprintf(path, sizeof path, "%s/lock", trial_dir);
        *lock = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0666);
        /* held also by the process of a dead driver's trial, while it lives */
        if (*lock >= 0 && flock(*lock, LOCK_EX | LOCK_NB) != 0 && errno == EWOULDBLOCK)
            got = 0;
        else if (*lock < 0) {
            mls_error_set(e, "cannot open %s: %s", path, strerror(errno));
            got = -1;
        }
    }
    if (got == 1 && !append(j, trial, MLS_TRIAL_LEASED, NULL, e))
        got = -1;
    if (got != 1 && *lock >= 0) {
        close(*lock);
        *lock = -1;
    }
    unlock(j);
    return got;
}

/* ---- open and close ---------------------------------------------------------------- */

mls_journal *mls_journal_open(const char *dir, mls_error *e)
{
    char path[4200];
    if (mkdir(dir, 0777) != 0 && errno != EEXIST) {
        mls_error_set(e, "cannot make %s: %s", dir, strerror(errno));
        return NULL;
    }
    mls_journal *j = calloc(1, sizeof *j);
    if (!j || !(j->dir = strdup(dir))) {
        mls_error_set(e, "no memory for a journal");
        free(j);
        return NULL;
    }
    boot_id(j->boot);
    j->start = start_time(getpid());
    snprintf(path, sizeof path, "%s/journal.lock", dir);
    j->lock = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0666);
    snprintf(path, sizeof path, "%s/journal.jsonl", dir);
    j->fd = open(path, O_RDWR | O_CREAT | O_APPEND | O_CLOEXEC, 0666);
    if (j->lock < 0 || j->fd < 0)
        mls_error_set(e, "cannot open %s: %s", path, strerror(errno));
    if (e->set || !mls_journal_refresh(j, e)) {
        mls_journal_close(j);
        return NULL;
    }
    return j;
}

static void drop(void *p)
{
    free(((lifeline *)p)->detail);
    free(p);
}

void mls_journal_close(mls_journal *j)
{
    if (!j)
        return;
    if (j->fd >= 0)
        close(j->fd);
    if (j->lock >= 0)
        close(j->lock);
    tdestroy(j->tree, drop);
    free(j->dir);
    free(j);
}

const char *mls_journal_repaired(const mls_journal *j)
{
    return j->repaired[0] ? j->repaired : NULL;
}

mls_trial_state mls_journal_state(const mls_journal *j, const char *trial)
{
    const lifeline *e = find(j, trial);
    return e ? e->state : MLS_TRIAL_NEW;
}

const char *mls_journal_reason(const mls_journal *j, const char *trial)
{
    const lifeline *e = find(j, trial);
    return e ? e->detail : NULL;
}
