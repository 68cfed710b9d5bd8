/* Preloaded into mls: the k-th call that touches a file below MLS_FAULT_DIR fails, and with
 * MLS_FAULT_STAYS every later one of its sort too, as on a full disk.
 *   MLS_FAULT_AT=k  (0: none)   MLS_FAULT_ERRNO=n   MLS_FAULT_LOG=file: calls met, and which
 * The C library writes its streams without a call that can be replaced: so flushing and
 * closing them stand for their writes.                                                  */
#define _GNU_SOURCE 1
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static long calls;
static int failed;

static long number(const char *name)
{
    const char *v = getenv(name);
    return v ? strtol(v, NULL, 10) : 0;
}

static int below(const char *path)
{
    const char *dir = getenv("MLS_FAULT_DIR");
    return dir && path && !strncmp(path, dir, strlen(dir));
}

static int below_fd(int fd)
{
    char link[40], path[4096];
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    const ssize_t n = readlink(link, path, sizeof path - 1);
    if (n < 0) return 0;
    path[n] = '\0';
    return below(path);
}

static void tell(const char *what, long k)
{
    static int (*real_open)(const char *, int, ...);
    static ssize_t (*real_write)(int, const void *, size_t);
    char line[120];
    const char *log = getenv("MLS_FAULT_LOG");
    if (!real_open) *(void **)&real_open = dlsym(RTLD_NEXT, "open");
    if (!real_write) *(void **)&real_write = dlsym(RTLD_NEXT, "write");
    const int fd = log ? real_open(log, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600) : -1;
    if (fd < 0) return;
    const int n = snprintf(line, sizeof line, "%ld %s\n", k, what);
    if (real_write(fd, line, (size_t)n) != n) calls = 0;
    close(fd);
}

/* 1 when this call is to fail. */
static int fails(int ours, const char *what, int grows)
{
    if (!ours) return 0;
    const long k = ++calls, at = number("MLS_FAULT_AT");
    const int now = at > 0 && (k == at || (failed && grows && getenv("MLS_FAULT_STAYS")));
    if (!at || k == at) tell(what, k);
    if (!now) return 0;
    failed = 1;
    errno = (int)number("MLS_FAULT_ERRNO");
    return 1;
}

#define REAL(name)                                                                     \
    static __typeof__(&name) real;                                                     \
    if (!real) *(void **)&real = dlsym(RTLD_NEXT, #name)

#define OPEN(name)                                                                     \
    int name(const char *path, int flags, ...)                                         \
    {                                                                                  \
        va_list ap;                                                                    \
        REAL(name);                                                                    \
        va_start(ap, flags);                                                           \
        const mode_t mode = flags & O_CREAT ? va_arg(ap, mode_t) : 0;                  \
        va_end(ap);                                                                    \
        if (fails(below(path), #name, flags & O_CREAT)) return -1;                     \
        return real(path, flags, mode);                                                \
    }
OPEN(open)
OPEN(open64)

#define FOPEN(name)                                                                    \
    FILE *name(const char *path, const char *mode)                                     \
    {                                                                                  \
        REAL(name);                                                                    \
        return fails(below(path), #name, *mode != 'r') ? NULL : real(path, mode);      \
    }
FOPEN(fopen)
FOPEN(fopen64)

ssize_t write(int fd, const void *data, size_t n)
{
    REAL(write);
    return fails(below_fd(fd), "write", 1) ? -1 : real(fd, data, n);
}

ssize_t pwrite(int fd, const void *data, size_t n, off_t at)
{
    REAL(pwrite);
    return fails(below_fd(fd), "pwrite", 1) ? -1 : real(fd, data, n, at);
}

ssize_t pwrite64(int fd, const void *data, size_t n, off64_t at)
{
    REAL(pwrite64);
    return fails(below_fd(fd), "pwrite64", 1) ? -1 : real(fd, data, n, at);
}

int fflush(FILE *f)
{
    REAL(fflush);
    return fails(f && below_fd(fileno(f)), "fflush", 1) ? EOF : real(f);
}

int fclose(FILE *f)
{
    REAL(fclose);
    const int bad = fails(below_fd(fileno(f)), "fclose", 0), error = errno;
    const int status = real(f);
    if (!bad) return status;
    errno = error;
    return EOF;
}

#define ON_FD(name)                                                                    \
    int name(int fd)                                                                   \
    {                                                                                  \
        REAL(name);                                                                    \
        return fails(below_fd(fd), #name, 1) ? -1 : real(fd);                          \
    }
ON_FD(fsync)
ON_FD(fdatasync)

#define TRUNCATE(name, type)                                                           \
    int name(int fd, type size)                                                        \
    {                                                                                  \
        REAL(name);                                                                    \
        return fails(below_fd(fd), #name, 0) ? -1 : real(fd, size);                    \
    }
TRUNCATE(ftruncate, off_t)
TRUNCATE(ftruncate64, off64_t)

#define TWO_NAMES(name)                                                                \
    int name(const char *from, const char *to)                                         \
    {                                                                                  \
        REAL(name);                                                                    \
        return fails(below(to), #name, 0) ? -1 : real(from, to);                       \
    }
TWO_NAMES(rename)
TWO_NAMES(link)

int mkdir(const char *path, mode_t mode)
{
    REAL(mkdir);
    return fails(below(path), "mkdir", 1) ? -1 : real(path, mode);
}
