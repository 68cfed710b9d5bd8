#define _GNU_SOURCE 1
#include "bench/peers.h"
#include "base/temporary.h"

#include "conf/conf.h"

#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <signal.h>
#include <spawn.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

/* A variant that takes long is measured less often: no more once it had this much
 * time. */
static const double ENOUGH = 8.0;

/* ---- asking ---------------------------------------------------------------------- */

/* Sends one line, gets one; what it says, in p's arena. */
static const mls_value *ask(mls_bench_peers *p, const mls_value *question, mls_error *e)
{
    const char *text = mls_value_to_json(&p->arena, question, 0);
    if (e->set) return NULL;
    const int sent = text && fprintf(p->to, "%s\n", text) > 0 && !fflush(p->to);
    if (!sent && errno != EPIPE) {
        mls_error_set(e, "the peers' process takes no more requests: %s",
                      strerror(errno));
        return NULL;
    }
    /* whether it ended before it was asked or after is a matter of who was quicker */
    const ssize_t n = sent ? getline(&p->line, &p->room, p->from) : 0;
    if (n <= 0) {
        mls_error_set(e, "the peers' process ended without an answer to %s", text);
        return NULL;
    }
    const mls_value *v =
        mls_yaml_parse(&p->arena, p->line, (size_t)n, "the peers' answer", e);
    const char *failed =
        v && !e->set ? mls_value_get_string(v, "failed", NULL, e) : NULL;
    if (failed) mls_error_set(e, "peers: %s", failed);
    return e->set ? NULL : v;
}

static const mls_value *ask_row(mls_bench_peers *p, const char *verb, const char *row,
                                const char *key, const char *word, mls_error *e)
{
    mls_arena *a = &p->arena;
    mls_value *q = mls_value_map(a);
    mls_value_set(a, q, verb, mls_value_string(a, row));
    if (key) mls_value_set(a, q, key, mls_value_string(a, word));
    return ask(p, q, e);
}

/* ---- the process ----------------------------------------------------------------- */

const char *mls_bench_peers_script(mls_arena *a, const char *given, mls_error *e)
{
    static const char below[] = "scripts/bench/peers.py";
    char self[4000];
    const ssize_t n = readlink("/proc/self/exe", self, sizeof self - 1);
    self[n > 0 ? n : 0] = '\0';
    char *slash = strrchr(self, '/');
    if (slash) *slash = '\0';
    const char *source = getenv("MLS_SOURCE");
    const char *const place[] = {
        given, source ? mls_arena_printf(a, "%s/%s", source, below) : NULL,
        mls_arena_printf(a, "%s/../%s", self, below), below};
    for (int i = given ? 0 : 1; i < (given ? 1 : 4); i++)
        if (place[i] && !access(place[i], R_OK)) return place[i];
    mls_error_set(
        e, "%s is not there: --peer-script FILE says where scripts/bench/peers.py is",
        given ? given : place[2]);
    return NULL;
}

/* The environment with as many threads for the libraries that read it when they
 * start, and without the OpenBLAS kernels that mls chose for itself. */
static char **environment(mls_arena *a, int threads)
{
    static const char *const names[] = {
        "OPENBLAS_NUM_THREADS=", "OMP_NUM_THREADS=", "MKL_NUM_THREADS="};
    static const char *const chosen[] = {"OPENBLAS_CORETYPE=", "MLS_CORETYPE="};
    const int without = getenv("MLS_CORETYPE") ? 2 : 0;
    int n = 0, m = 0;
    while (environ[n]) n++;
    char **all = mls_arena_alloc(a, (size_t)(n + 4) * sizeof *all);
    for (int i = 0; all && i < n; i++) {
        int ours = 0;
        for (int j = 0; j < 3; j++)
            ours |= !strncmp(environ[i], names[j], strlen(names[j]));
        for (int j = 0; j < without; j++)
            ours |= !strncmp(environ[i], chosen[j], strlen(chosen[j]));
        if (!ours) all[m++] = environ[i];
    }
    for (int j = 0; all && j < 3; j++)
        all[m++] = mls_arena_printf(a, "%s%d", names[j], threads);
    if (all) all[m] = NULL;
    return all;
}

static int spawn(mls_bench_peers *p, const char *python, const char *script,
                 mls_error *e)
{
    int to[2] = {-1, -1}, from[2] = {-1, -1};
    char *const argv[] = {(char *)python, "-u", (char *)script, NULL};
    char **all = environment(&p->arena, p->threads);
    if (!all || pipe2(to, O_CLOEXEC) || pipe2(from, O_CLOEXEC)) {
        mls_error_set(e, "no pipe to the peers: %s", strerror(errno));
        return 0;
    }
    posix_spawn_file_actions_t actions;
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_adddup2(&actions, to[0], 0);
    posix_spawn_file_actions_adddup2(&actions, from[1], 1);
    const int wrong = posix_spawnp(&p->pid, python, &actions, NULL, argv, all);
    posix_spawn_file_actions_destroy(&actions);
    close(to[0]);
    close(from[1]);
    p->to = fdopen(to[1], "w");
    p->from = fdopen(from[0], "r");
    if (wrong) {
        p->pid = 0;
        mls_error_set(e, "%s: %s", python, strerror(wrong));
    } else if (!p->to || !p->from) {
        mls_error_set(e, "no pipe to the peers: %s", strerror(errno));
    }
    return !e->set;
}

static const char *joined(mls_arena *a, const mls_value *v, int keys)
{
    const char *s = "";
    for (int i = 0; v && i < v->n; i++)
        s = mls_arena_printf(a, "%s%s%s%s%s", s, i ? ", " : "", keys ? v->key[i] : "",
                             keys ? " " : "",
                             v->item[i]->string ? v->item[i]->string : "");
    return s;
}

int mls_bench_peers_start(mls_bench_peers *p, const char *python, const char *script,
                          int threads, mls_error *e)
{
    *p = (mls_bench_peers){.threads = threads};
    char *folder = mls_temporary(&p->arena, "mls-peers");
    if (!folder || !mkdtemp(folder)) {
        mls_error_set(e, "%s: no folder could be made: %s", folder ? folder : "the peers",
                      strerror(errno));
        return 0;
    }
    p->folder = folder;
    signal(SIGPIPE, SIG_IGN);
    if (!spawn(p, python, script, e)) return 0;
    mls_arena *a = &p->arena;
    mls_value *q = mls_value_map(a);
    mls_value_set(a, q, "hello", mls_value_int(a, threads));
    const mls_value *v = ask(p, q, e);
    if (!v) {
        mls_error_prefix(e, "%s %s", python, script);
        return 0;
    }
    p->versions = joined(a, mls_value_get(v, "versions"), 1);
    p->torch = mls_value_get_string(mls_value_get(v, "versions"), "torch", "?", e);
    p->absent = joined(a, mls_value_get(v, "absent"), 0);
    return 1;
}

void mls_bench_peers_stop(mls_bench_peers *p)
{
    if (p->to) fclose(p->to); /* it ends with its input */
    if (p->from) fclose(p->from);
    if (p->pid > 0) waitpid(p->pid, NULL, 0);
    if (p->folder) rmdir(p->folder);
    free(p->line);
    mls_arena_free(&p->arena);
    *p = (mls_bench_peers){0};
}

/* ---- rows ------------------------------------------------------------------------ */

static int check(mls_bench_peers *p, const char *row, double tolerance, int repeats,
                 mls_bench_rival *r)
{
    mls_error e = {0};
    double *x = mls_arena_alloc(&p->arena, 4 * (size_t)repeats * sizeof *x);
    const mls_value *v = ask_row(p, "check", row, "variant", r->name, &e);
    for (int i = 0; x && i < 4; i++) r->sample[i] = x + i * repeats;
    if (!x) mls_error_set(&e, "out of memory");
    r->error = v ? mls_value_get_real(v, "error", NAN, &e) : NAN;
    r->saved = v ? mls_value_get_real(v, "saved", NAN, &e) : NAN;
    r->worst = v ? mls_value_get_string(v, "worst", "", &e) : "";
    if (e.set)
        r->why = mls_arena_strdup(&p->arena, e.text);
    else if (!(r->error <= tolerance))
        r->why = mls_arena_printf(&p->arena,
                                  "%s is off by %.2g, at most %g is the same work",
                                  r->worst, r->error, tolerance);
    return !r->why;
}

int mls_bench_peers_open(mls_bench_peers *p, const char *row, const char *file,
                         double tolerance, int repeats, mls_bench_rival *out,
                         mls_error *e)
{
    const mls_value *v = ask_row(p, "open", row, "file", file, e);
    const mls_value *list = v ? mls_value_get(v, "variants") : NULL;
    int n = 0;
    for (; list && n < list->n && n < MLS_BENCH_RIVALS && !e->set; n++) {
        out[n] = (mls_bench_rival){
            .peers = p,
            
            .name = mls_value_get_string(list->item[n], "name", "", e),
            .label = mls_value_get_string(list->item[n], "label", "", e)};
        check(p, row, tolerance, repeats, &out[n]);
    }
    return e->set ? -1 : n;
}

int mls_bench_peers_run(const char *row, mls_bench_rival *r, mls_error *e)
{
    mls_bench_peers *p = r->peers;
    const int once = !strcmp(r->name, "shipped");
    if (r->why || (r->n && (once || r->spent > ENOUGH))) return 1;
    const mls_mark mark = mls_arena_mark(&p->arena);
    const mls_value *v = ask_row(p, "run", row, "variant", r->name, e);
    if (v) {
        const double f = mls_value_get_real(v, "forward", 0, e),
                     b = mls_value_get_real(v, "backward", 0, e),
                     fc = mls_value_get_real(v, "forward_cpu", 0, e),
                     bc = mls_value_get_real(v, "backward_cpu", 0, e);
        const int one = p->threads == 1;
        r->sample[0][r->n] = f + b;
        r->sample[1][r->n] = fc + bc;
        r->sample[2][r->n] = one ? fc : f;
        r->sample[3][r->n++] = one ? bc : b;
        r->spent += f + b;
    }
    mls_arena_release(&p->arena, mark);
    return !e->set;
}

void mls_bench_peers_finish(const char *row, mls_bench_rival *r, int n)
{
    mls_error e = {0};
    for (int i = 0; i < n; i++) {
        r[i].wall = mls_bench_spread(r[i].sample[0], r[i].n);
        r[i].cpu = mls_bench_spread(r[i].sample[1], r[i].n);
        r[i].forward = mls_bench_spread(r[i].sample[2], r[i].n).median;
        r[i].backward = mls_bench_spread(r[i].sample[3], r[i].n).median;
        if (i == 0 || r[i].peers != r[i - 1].peers)
            ask_row(r[i].peers, "close", row, NULL, NULL, &e);
    }
}
