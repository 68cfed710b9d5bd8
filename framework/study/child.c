#define _GNU_SOURCE 1
#include "study/child.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

int mls_child_write(const char *path, const char *text, mls_error *e)
{
    char temporary[8500];
    snprintf(temporary, sizeof temporary, "%s.%ld", path, (long)getpid());
    FILE *f = fopen(temporary, "we");
    int ok = f != NULL;
    if (f) {
        ok = fputs(text, f) >= 0 && fflush(f) == 0 && fsync(fileno(f)) == 0;
        ok &= fclose(f) == 0;
    }
    ok = ok && rename(temporary, path) == 0;
    if (!ok) {
        mls_error_set(e, "cannot write %s: %s", path, strerror(errno));
        unlink(temporary);
    }
    return ok;
}

static int write_config(const mls_job *job, mls_error *e)
{
    char path[4200];
    mls_arena a = { 0 };
    snprintf(path, sizeof path, "%s/config.yaml", job->dir);
    const char *yaml = mls_value_to_yaml(&a, job->config);
    const int ok = yaml && mls_child_write(path, yaml, e);
    if (!yaml)
        mls_error_set(e, "no memory to write %s", path);
    mls_arena_free(&a);
    return ok;
}

/* The folders of a path below dir. */
static void make_folders(const char *path, size_t from)
{
    char part[8400];
    for (size_t i = from; path[i] && i < sizeof part; i++)
        if (path[i] == '/') {
            snprintf(part, sizeof part, "%.*s", (int)i, path);
            mkdir(part, 0777);                   /* writing tells if it failed */
        }
}

static int write_files(const mls_job *job, mls_error *e)
{
    char path[8400];
    for (int i = 0; job->files && i < job->files->n; i++) {
        if (snprintf(path, sizeof path, "%s/%s", job->dir, job->files->key[i])
            >= (int)sizeof path - 40) {
            mls_error_set(e, "the path %s is too long", job->files->key[i]);
            return 0;
        }
        make_folders(path, strlen(job->dir) + 1);
        if (!mls_child_write(path, job->files->item[i]->string, e))
            return 0;
    }
    return 1;
}

/* "A=value" strings for the child, made before the fork: setenv may take locks. */
typedef struct surroundings { char **list; char *added[3]; } surroundings;

static int surround(surroundings *s, const char *plugin_path)
{
    static const char *const names[] = { "OMP_NUM_THREADS=", "OPENBLAS_NUM_THREADS=",
                                         "MLS_PLUGIN_PATH=" };
    const char *old = getenv("MLS_PLUGIN_PATH");
    size_t n = 0;
    while (environ[n])
        n++;
    memset(s, 0, sizeof *s);
    s->list = calloc(n + 4, sizeof *s->list);
    int ok = s->list && asprintf(&s->added[0], "%s1", names[0]) > 0
        && asprintf(&s->added[1], "%s1", names[1]) > 0;
    if (ok && (plugin_path || old))
        ok = asprintf(&s->added[2], "%s%s%s%s", names[2], plugin_path ? plugin_path : "",
                      plugin_path && old ? ":" : "", old ? old : "") > 0;
    size_t k = 0;
    for (size_t i = 0; ok && i < n; i++) {
        int ours = 0;
        for (int x = 0; x < 3; x++)
            ours |= strncmp(environ[i], names[x], strlen(names[x])) == 0;
        if (!ours)
            s->list[k++] = environ[i];
    }
    for (int x = 0; ok && x < 3; x++)
        if (s->added[x])
            s->list[k++] = s->added[x];
    return ok;
}

static void release(surroundings *s)
{
    free(s->list);
    for (int i = 0; i < 3; i++)
        free(s->added[i]);
}

/* In the child: nothing here may return, allocate or take a lock. */
static void become(const mls_job *job, const char *exe, char *const *environment,
                   const int pipe[2], int log, pid_t parent)
{
    char *const argv[] = { (char *)"mls", (char *)"trial", (char *)job->dir, NULL };
    const struct rlimit none = { 0, 0 };
    sigset_t all;
    sigemptyset(&all);
    sigprocmask(SIG_SETMASK, &all, NULL);
    signal(SIGINT, SIG_DFL);
    signal(SIGTERM, SIG_DFL);
    signal(SIGHUP, SIG_DFL);
    /* its own group: Ctrl-C at the terminal is for the driver, which passes it on */
    setpgid(0, 0);
    setrlimit(RLIMIT_CORE, &none);
    prctl(PR_SET_PDEATHSIG, SIGTERM);
    if (getppid() != parent)                     /* it died before the line above */
        _exit(3);
    const int null = open("/dev/null", O_RDONLY);
    if (null >= 0 && dup2(null, 0) == 0 && dup2(pipe[1], 1) == 1 && dup2(log, 2) == 2
        && fcntl(job->lock, F_SETFD, 0) == 0)
        execve(exe, argv, environment);
    static const char words[] = "cannot start the trial's program\n";
    if (write(log, words, sizeof words - 1) < 0)
        _exit(126);
    _exit(127);
}

int mls_child_start(mls_job *job, const char *exe, const char *plugin_path, mls_error *e)
{
    char path[4200];
    int ends[2] = { -1, -1 };
    surroundings s = { 0 };
    if (!write_files(job, e) || !write_config(job, e))
        return 0;
    snprintf(path, sizeof path, "%s/log.txt", job->dir);
    /* a resumed trial has a log of its own: the last line tells why it failed */
    const int log = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_APPEND | O_CLOEXEC, 0666);
    const pid_t parent = getpid();
    job->step = 0;
    job->used = job->told = 0;
    *job->reason = 0;
    int ok = log >= 0 && pipe2(ends, O_CLOEXEC) == 0 && surround(&s, plugin_path);
    job->pid = ok ? fork() : -1;
    if (job->pid == 0)
        become(job, exe ? exe : "/proc/self/exe", s.list, ends, log, parent);
    ok = job->pid > 0;
    if (!ok) {
        mls_error_set(e, "cannot start trial %s: %s", job->id, strerror(errno));
        if (ends[0] >= 0)
            close(ends[0]);
    }
    job->pipe = ends[0];
    if (ok && fcntl(ends[0], F_SETFL, O_NONBLOCK) != 0)
        mls_error_set(e, "trial %s: %s", job->id, strerror(errno));
    if (ends[1] >= 0)
        close(ends[1]);
    if (log >= 0)
        close(log);
    release(&s);
    return ok && !e->set;
}

int mls_child_wait(const char *program, const char *argument, const char *dir)
{
    char *const argv[] = { (char *)program, (char *)argument, NULL };
    const pid_t pid = fork();
    if (pid < 0)
        return -1;
    if (pid == 0) {
        const int null = open("/dev/null", O_RDWR);
        if (null >= 0) {
            dup2(null, 0);
            dup2(null, 1);
            dup2(null, 2);
        }
        if (chdir(dir) == 0)
            execvp(program, argv);
        _exit(errno == ENOENT ? 127 : 126);
    }
    int status;
    while (waitpid(pid, &status, 0) < 0)
        if (errno != EINTR)
            return -1;
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}
