#define _GNU_SOURCE 1
#include "validate/report.h"

#include "study/crash.h"
#include "validate/probe.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include <fcntl.h>

#if defined(__SANITIZE_ADDRESS__)
enum { SANITIZED = 1 };
#else
enum { SANITIZED = 0 };
#endif

static int told = -1;                            /* where this child tells things       */

/* ---- in the child ------------------------------------------------------------------- */

static void put(char kind, const char *text)
{
    size_t n = strlen(text) + 1;
    if (told < 0 || write(told, &kind, 1) != 1) return;
    for (ssize_t did; n > 0 && (did = write(told, text, n)) > 0; n -= (size_t)did)
        text += did;
}

void mls_report_note(const char *text) { put('#', text); }

void mls_report_verdict(int status, const char *reason) { put((char)('0' + status), reason); }

static void limit(int what, rlim_t most)
{
    const struct rlimit l = { most, most + (what == RLIMIT_CPU) };    /* SIGXCPU, then KILL */
    setrlimit(what, &l);         /* without it the parent's clock is still there          */
}

_Noreturn static void child(void (*work)(void *), void *arg, int to, int err, double seconds,
                            int verbose)
{
    told = to;
    setpgid(0, 0);                               /* so that all it starts can be ended    */
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    const int null = open("/dev/null", O_RDWR | O_CLOEXEC);
    if (null >= 0) dup2(null, STDIN_FILENO);
    if (null >= 0) dup2(null, STDOUT_FILENO);    /* standard output is the results'       */
    if (err >= 0 && !verbose) dup2(err, STDERR_FILENO);
    limit(RLIMIT_CORE, 0);
    limit(RLIMIT_CPU, (rlim_t)seconds + 1);
    if (!SANITIZED) limit(RLIMIT_AS, (rlim_t)8 << 30);
    signal(SIGINT, SIG_DFL);
    mls_crash_install();
    work(arg);
    _exit(0);
}

/* ---- in the parent -------------------------------------------------------------------- */

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

/* Does it end in a whole verdict?  Whatever holds the pipe open then has nothing to say. */
static int is_verdict(const char *text, size_t n)
{
    if (!n || text[n - 1]) return 0;
    const char *before = memrchr(text, '\0', n - 1);
    const char kind = before ? before[1] : *text;
    return kind >= '0' && kind <= '9';
}

/* All that comes until the end, a verdict or the deadline; 0: the deadline came first. */
static int read_all(int fd, double until, char *text, size_t room, size_t *n)
{
    char lost[512];
    for (*n = 0;;) {
        struct pollfd p = { .fd = fd, .events = POLLIN };
        const double left = until - now();
        const int ready = left > 0.0 ? poll(&p, 1, (int)(1000.0 * left) + 1) : 0;
        if (ready < 0 && errno == EINTR) continue;
        if (ready <= 0) return 0;
        const size_t free = room - 1 - *n;
        const ssize_t did = read(fd, free ? text + *n : lost, free ? free : sizeof lost);
        if (did < 0 && errno == EINTR) continue;
        if (did <= 0) return 1;
        if (free) *n += (size_t)did;
        if (is_verdict(text, *n)) return 1;
    }
}

/* The child's last words on standard error that say where it crashed, or its last line. */
static const char *last_words(int err, mls_arena *a)
{
    enum { MOST = 65536 };
    char *text = mls_arena_alloc(a, MOST + 1);
    const off_t end = lseek(err, 0, SEEK_END);
    const off_t from = end > MOST ? end - MOST : 0;
    const ssize_t n = text && end > 0 ? pread(err, text, MOST, from) : 0;
    if (n <= 0) return "";
    text[n] = '\0';
    const char *found = NULL;
    for (char *line = text, *next; line && *line; line = next) {
        next = strchr(line, '\n');
        if (next) *next++ = '\0';
        if (strstr(line, "crashed: ") || strstr(line, "ERROR: ") || (!found && *line))
            found = line;
    }
    return found ? found : "";
}

static void parse(mls_verdict *v, char *text, size_t n, mls_arena *a)
{
    text[n] = '\0';
    for (size_t i = 0; i < n;) {
        const char kind = text[i++];
        const char *words = text + i;
        i += strlen(words) + 1;
        if (kind == '#') {
            v->notes = mls_arena_printf(a, "%s%s\n", v->notes, words);
        } else {
            v->status = kind - '0';
            v->reason = words;
        }
    }
}

static void ended(mls_verdict *v, int in_time, int status, double seconds, int err,
                  mls_arena *a)
{
    const char *words = err >= 0 ? last_words(err, a) : "";
    const int number = WIFSIGNALED(status) ? WTERMSIG(status) : 0;
    v->status = MLS_CASE_FAILED;
    v->late = !in_time || number == SIGXCPU || number == SIGKILL;
    if (v->late)
        v->reason = mls_arena_printf(a, "no answer after %g s%s", seconds,
                                     number == SIGXCPU ? " of processor time" : "");
    else if (number)
        v->reason = *words ? words
                           : mls_arena_printf(a, "crashed: %s", mls_crash_signal(number));
    else
        v->reason = mls_arena_printf(a, "ended itself with status %d%s%s", WEXITSTATUS(status),
                                     *words ? ": " : "", words);
}

mls_verdict mls_report_of(void (*work)(void *arg), void *arg, double seconds, int verbose,
                          mls_arena *a)
{
    enum { ROOM = 1 << 16 };
    mls_verdict v = { .status = -1, .reason = "", .notes = "" };
    const double began = now(), wall = 4.0 * seconds + 2.0;
    char *text = mls_arena_alloc(a, ROOM);
    int fd[2];
    const int err = memfd_create("stderr", MFD_CLOEXEC);
    if (!text || pipe2(fd, O_CLOEXEC)) {
        v.status = MLS_CASE_FAILED;
        v.reason = mls_arena_printf(a, "no process for it: %s", strerror(errno));
        return v;
    }
    fflush(NULL);
    const pid_t pid = fork();
    if (pid == 0) {
        close(fd[0]);
        child(work, arg, fd[1], err, seconds, verbose || SANITIZED);
    }
    close(fd[1]);
    size_t n = 0;
    int status = 0, in_time = 0;
    if (pid > 0) {
        in_time = read_all(fd[0], began + wall, text, ROOM, &n);
        if (!in_time) kill(pid, SIGKILL);
        while (waitpid(pid, &status, 0) < 0 && errno == EINTR) continue;
        kill(-pid, SIGKILL);
    }
    close(fd[0]);
    parse(&v, text, n, a);
    if (pid < 0) {
        v.status = MLS_CASE_FAILED;
        v.reason = mls_arena_printf(a, "no process for it: %s", strerror(errno));
    } else if (v.status < 0 || WIFSIGNALED(status)) {
        ended(&v, in_time, status, in_time ? seconds : wall, err, a);
    }
    if (err >= 0) close(err);
    v.seconds = now() - began;
    return v;
}
