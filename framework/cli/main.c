#define _GNU_SOURCE 1
#include "cli/cli.h"
#include "conf/conf.h"
#include "kern/kern.h"
#include "rec/record.h"
#include "study/provenance.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#ifdef HAVE_CONFIG_H
#include "config.h"
#define MLS_VERSION PACKAGE_VERSION
#else
#define MLS_VERSION "0.1.0"
#endif

volatile int mls_cli_stop;
static char *line;

const char *mls_cli_line(void) { return line ? line : ""; }

/* The first signal asks, the second SIGINT does not wait for an answer. */
static void on_signal(int number)
{
    if (mls_cli_stop && number == SIGINT) _exit(MLS_EXIT_INTERRUPTED);
    mls_cli_stop = 1;
}

void mls_cli_signals(void)
{
    struct sigaction s = { .sa_handler = on_signal, .sa_flags = SA_RESTART };
    sigemptyset(&s.sa_mask);
    sigaction(SIGINT, &s, NULL);
    sigaction(SIGTERM, &s, NULL);
}

/* "path:line:column: ..." at the start of a message: the line itself under it. */
static void show_source(const char *text)
{
    mls_arena a = { 0 };
    for (const char *p = strchr(text, ':'); p && p - text < 4000;
         p = strchr(p + 1, ':')) {
        int row, column, used = 0;
        if (sscanf(p, ":%d:%d:%n", &row, &column, &used) != 2 || !used) continue;
        const char *path = mls_arena_printf(&a, "%.*s", (int)(p - text), text);
        const char *excerpt = mls_yaml_excerpt(&a, path, row, column);
        if (*excerpt) fprintf(stderr, "%s\n", excerpt + 1);
        break;
    }
    mls_arena_free(&a);
}

void mls_cli_complain(const mls_error *e)
{
    if (!strchr(e->text, '\n') && strchr(e->text, ':')) {
        fprintf(stderr, "mls: %s\n", e->text);
        show_source(e->text);
    } else {
        fprintf(stderr, "mls: %s\n", e->text);
    }
}

/* OpenBLAS and OpenMP read their environment when they are loaded, before main: so the
 * program starts itself once more with what they must read.                             */
static void pin_libraries(char **argv)
{
    const char *core = getenv("OPENBLAS_CORETYPE") ? NULL
                       : mls_k_blas_core(mls_k_init(), mls_k_blas_family());
    if (getenv("OPENBLAS_NUM_THREADS") && getenv("OMP_NUM_THREADS") && !core) return;
    /* the second tells mls bench that its peers had none */
    if (core && (setenv("OPENBLAS_CORETYPE", core, 0) || setenv("MLS_CORETYPE", core, 1)))
        return;
    if (setenv("OPENBLAS_NUM_THREADS", "1", 0) || setenv("OMP_NUM_THREADS", "1", 0))
        return;
    execv("/proc/self/exe", argv);
    /* No /proc: mls_plug_init pins what can be pinned from here. */
}

static char *joined(int argc, char **argv)
{
    size_t n = 1;
    for (int i = 0; i < argc; i++) n += strlen(argv[i]) + 3;
    char *s = malloc(n), *p = s;
    for (int i = 0; s && i < argc; i++) {
        const int quote = !*argv[i] || strpbrk(argv[i], " \t\n'\"$&;()<>|*?") != NULL;
        p += snprintf(p, n - (size_t)(p - s), "%s%s%s%s", i ? " " : "",
                      quote ? "'" : "", argv[i], quote ? "'" : "");
    }
    return s;
}

static const mls_verb *find_verb(const char *name, mls_error *e)
{
    enum { MOST = 64 };
    const char *names[MOST];
    int n = 0;
    for (const mls_verb *v = mls_verbs; v->name && n < MOST; v++) {
        names[n++] = v->name;
        if (!strcmp(name, v->name)) return v;
    }
    const char *near = mls_error_nearest(name, names, n);
    mls_error_set(e, "there is no \"mls %.60s\"%s%s%s (see mls help)", name,
                  near ? "; did you mean \"mls " : "", near ? near : "",
                  near ? "\"?" : "");
    return NULL;
}

/* Takes "--plugin-path DIRS" out of argv, wherever it stands.  Trials are processes of
 * their own and learn of it through the environment.                                     */
static const char *plugin_path(int *argc, char **argv, mls_error *e)
{
    static const char flag[] = "--plugin-path";
    const char *path = NULL;
    int n = 0;
    for (int i = 0; i < *argc; i++) {
        if (strncmp(argv[i], flag, sizeof flag - 1)) {
            argv[n++] = argv[i];
        } else if (argv[i][sizeof flag - 1] == '=') {
            path = argv[i] + sizeof flag;
        } else if (!argv[i][sizeof flag - 1] && i + 1 < *argc) {
            path = argv[++i];
        } else if (!argv[i][sizeof flag - 1]) {
            mls_error_set(e, "--plugin-path needs a folder or a plugin file");
        } else {
            argv[n++] = argv[i];
        }
    }
    argv[*argc = n] = NULL;
    if (!path) return NULL;
    mls_arena a = { 0 };
    const char *old = getenv("MLS_PLUGIN_PATH");
    const char *all = old && *old ? mls_arena_printf(&a, "%s:%s", path, old) : path;
    if (setenv("MLS_PLUGIN_PATH", all, 1))
        mls_error_set(e, "--plugin-path: out of memory");
    mls_arena_free(&a);
    return path;
}

/* The first line is the program's own; then the libraries that it runs with. */
int mls_verb_version(int argc, char **argv, mls_registry *r, mls_error *e)
{
    (void)argc, (void)argv, (void)r, (void)e;
    mls_arena a = { 0 };
    const mls_provenance p = mls_provenance_libraries(&a);
    fputs("mls " MLS_VERSION "\n", stdout);
    for (int i = 0; i < p.n; i++)
        fprintf(stdout, "%s %s\n", p.fact[i][0], p.fact[i][1]);
    mls_arena_free(&a);
    return MLS_EXIT_DONE;
}

static int asks_for_help(const char *word)
{
    return !strcmp(word, "--help") || !strcmp(word, "-h");
}

/* mls VERB --help, or --help at the end; what follows a script's name is the script's.  */
static int verb_help(int argc, char **argv, const mls_verb *v)
{
    return argc > 2 && (asks_for_help(argv[2]) ||
                        (strcmp(v->name, "lua") && !strcmp(argv[argc - 1], "--help")));
}

static int run(int argc, char **argv, mls_error *e)
{
    const char *extra = plugin_path(&argc, argv, e);
    if (e->set) return MLS_EXIT_USAGE;
    const char *name = argc > 1 ? argv[1] : "help";
    if (asks_for_help(name)) name = "help";
    if (!strcmp(name, "--version")) name = "version";
    const mls_verb *v = find_verb(name, e);
    if (!v) return MLS_EXIT_USAGE;
    if (v->flags & MLS_VERB_BARE && !verb_help(argc, argv, v))
        return v->run(argc - 1, argv + 1, &(mls_registry){ 0 }, e);
    mls_registry r = { 0 };
    char *help[] = { "help", (char *)v->name, NULL };
    const int asks = verb_help(argc, argv, v);
    mls_rec_init();
    mls_plug_extend("mls.array-file/1", &mls_rec_array_file);
    mls_plug_init();
    int status = MLS_EXIT_FAILED;
    if (mls_registry_load(&r, extra, e))
        status = asks       ? mls_verb_help(2, help, &r, e)
                 : argc > 1 ? v->run(argc - 1, argv + 1, &r, e)
                            : v->run(1, help, &r, e);
    mls_registry_free(&r);
    return status;
}

int main(int argc, char **argv)
{
    static mls_error e;
    pin_libraries(argv);
    signal(SIGXFSZ, SIG_IGN);         /* a file that may not grow is a failed write, said as such */
    line = joined(argc, argv);
    int status = run(argc, argv, &e);
    if (e.set) {
        mls_cli_complain(&e);
        if (status == MLS_EXIT_DONE) status = MLS_EXIT_FAILED;
    }
    if (fflush(stdout) != 0 && status == MLS_EXIT_DONE) {
        fprintf(stderr, "mls: standard output: %s\n", strerror(errno));
        status = MLS_EXIT_FAILED;
    }
    free(line);
    return status;
}
