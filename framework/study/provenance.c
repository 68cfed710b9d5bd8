#define _GNU_SOURCE 1
#include "study/provenance.h"

#include "kern/kern.h"

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#ifdef HAVE_CONFIG_H
#include "config.h"
#define MLS_VERSION PACKAGE_VERSION
#else
#define MLS_VERSION "0.1.0"
#endif

enum { MOST_FACTS = 400, MOST_OUTPUT = 1 << 20 };

static void add(mls_provenance *p, const char *name, const char *text)
{
    if (p->n >= MOST_FACTS || !name || !text) return;
    p->fact[p->n][0] = name;
    p->fact[p->n++][1] = text;
}

/* What git prints, at most 1 MiB of it; NULL when it fails. */
static char *git(mls_arena *a, char *const argv[])
{
    int ends[2];
    if (pipe2(ends, O_CLOEXEC) != 0) return NULL;
    posix_spawn_file_actions_t actions;
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0);
    posix_spawn_file_actions_addopen(&actions, 2, "/dev/null", O_WRONLY, 0);
    posix_spawn_file_actions_adddup2(&actions, ends[1], 1);
    pid_t pid = -1;
    const int started = posix_spawnp(&pid, "git", &actions, NULL, argv, environ) == 0;
    posix_spawn_file_actions_destroy(&actions);
    close(ends[1]);
    char *text = started ? mls_arena_alloc(a, MOST_OUTPUT + 1) : NULL;
    size_t used = 0;
    while (text && used < MOST_OUTPUT) {
        const ssize_t n = read(ends[0], text + used, MOST_OUTPUT - used);
        if (n < 0 && errno == EINTR) continue;
        if (n <= 0) break;
        used += (size_t)n;
    }
    close(ends[0]);
    int status = 1;
    while (started && waitpid(pid, &status, 0) < 0)
        if (errno != EINTR) return NULL;
    if (!text || !started) return NULL;
    text[used] = '\0';
    /* A diff above the limit ends git by SIGPIPE; what was read is kept. */
    const int cut = used == MOST_OUTPUT;
    return cut || (WIFEXITED(status) && WEXITSTATUS(status) == 0) ? text : NULL;
}

static void sources(mls_provenance *p, mls_arena *a)
{
    char *const head[] = { "git", "--no-optional-locks", "rev-parse", "HEAD", NULL };
    char *const state[] = { "git", "--no-optional-locks", "status", "--porcelain",
                            "--untracked-files=no", NULL };
    char *const change[] = { "git", "--no-optional-locks", "diff", "--no-color",
                             "--no-ext-diff", "HEAD", NULL };
    char *commit = git(a, head);
    if (commit) commit[strcspn(commit, "\n")] = '\0';
    add(p, "git_commit", commit ? commit : "none");
    const char *dirty = commit ? git(a, state) : NULL;
    const int is = dirty && *dirty;
    add(p, "git_dirty", !commit ? "none" : is ? "true" : "false");
    const char *diff = is ? git(a, change) : NULL;
    add(p, "git_diff", !commit ? "none" : diff ? diff : "");
}

/* The line of /proc/cpuinfo that names the processor. */
static const char *processor(mls_arena *a)
{
    char line[512];
    const char *name = "unknown";
    FILE *f = fopen("/proc/cpuinfo", "re");
    while (f && fgets(line, sizeof line, f)) {
        char *colon = strchr(line, ':');
        if (strncmp(line, "model name", 10) || !colon) continue;
        colon[strcspn(colon, "\n")] = '\0';
        name = mls_arena_strdup(a, colon + 2);
        break;
    }
    if (f) fclose(f);
    return name;
}

/* Versions are asked of the libraries as they run, by name: this layer must not include
 * their headers, and the version that runs is the one that matters.                     */
static void libraries(mls_provenance *p, mls_arena *a)
{
    static const char *const asked[][2] = { { "libyaml", "yaml_get_version_string" },
        { "zlib", "zlibVersion" }, { "jansson", "jansson_version_str" } };
    for (size_t i = 0; i < sizeof asked / sizeof *asked; i++) {
        const char *(*version)(void);
        *(void **)&version = dlsym(RTLD_DEFAULT, asked[i][1]);
        if (version) add(p, asked[i][0], mls_arena_strdup(a, version()));
    }
    int (*h5)(unsigned *, unsigned *, unsigned *);
    unsigned x, y, z;
    *(void **)&h5 = dlsym(RTLD_DEFAULT, "H5get_libversion");
    if (h5 && h5(&x, &y, &z) >= 0)
        add(p, "hdf5", mls_arena_printf(a, "%u.%u.%u", x, y, z));
    add(p, "openblas", mls_k_blas_version());
    /* "$LuaVersion: Lua 5.4.4  Copyright ..." */
    const char *ident = dlsym(RTLD_DEFAULT, "lua_ident");
    const char *lua = ident ? strstr(ident, "Lua 5") : NULL;
    if (lua) add(p, "lua", mls_arena_printf(a, "%.*s", (int)strcspn(lua + 4, " "),
                                            lua + 4));
    /* libmd does not tell: its file has the version in its name */
    Dl_info where;
    void *hash = dlsym(RTLD_DEFAULT, "SHA256Init");
    char *file = hash && dladdr(hash, &where) ? realpath(where.dli_fname, NULL) : NULL;
    const char *so = file ? strstr(file, "libmd.so.") : NULL;
    if (so) add(p, "libmd", mls_arena_strdup(a, so + 9));
    free(file);
}

mls_provenance mls_provenance_libraries(mls_arena *a)
{
    mls_provenance p = { mls_arena_zalloc(a, MOST_FACTS * sizeof *p.fact), 0 };
    if (p.fact) libraries(&p, a);
    return p;
}

static void machine(mls_provenance *p, mls_arena *a)
{
    struct utsname u;
    if (uname(&u) == 0) {
        add(p, "host", mls_arena_strdup(a, u.nodename));
        add(p, "system",
            mls_arena_printf(a, "%s %s %s", u.sysname, u.release, u.machine));
    }
    add(p, "cpu", processor(a));
    add(p, "isa", mls_k_isa_name(mls_plug_host()->isa));
    add(p, "blas_family", mls_k_blas_family());
}

mls_provenance mls_provenance_make(mls_arena *a, const mls_registry *r,
                                   const char *command_line, int threads, uint64_t seed)
{
    mls_provenance p = { mls_arena_zalloc(a, MOST_FACTS * sizeof *p.fact), 0 };
    char when[40] = "unknown";
    const time_t now = time(NULL);
    struct tm t;
    if (!p.fact) return p;
    if (gmtime_r(&now, &t)) strftime(when, sizeof when, "%Y-%m-%dT%H:%M:%SZ", &t);
    char *cwd = getcwd(NULL, 0);
    add(&p, "command_line", command_line ? command_line : "");
    add(&p, "directory", cwd ? mls_arena_strdup(a, cwd) : "unknown");
    free(cwd);
    add(&p, "started", mls_arena_strdup(a, when));
    add(&p, "mls", MLS_VERSION);
    add(&p, "compiler", __VERSION__);
    libraries(&p, a);
    for (int i = 0; r && i < r->n_files; i++) {
        const mls_plugin_file *f = &r->file[i];
        add(&p, mls_arena_printf(a, "plugin.%s", f->info->name),
            mls_arena_printf(a, "%s sha256 %s %s", f->info->version, f->sha256,
                             f->path));
    }
    machine(&p, a);
    add(&p, "threads", mls_arena_printf(a, "%d", threads));
    add(&p, "seed", mls_arena_printf(a, "%llu", (unsigned long long)seed));
    sources(&p, a);
    return p;
}
