/* host.c - the services of the host table that need a network. */
#include "net/inner.h"

#include "grad/reuse.h"
#include "plug/host.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

static node *node_of(mls_ctx *c) { return c->owner; }

static int64_t width(mls_ctx *c, const char *name)
{
    node *n = node_of(c);
    if (!strcmp(name, "model")) return n->model;
    if (!strcmp(name, "output")) return n->net->shape.output;
    for (int i = 0; i < n->n_in; i++)
        if (!strcmp(n->in_port[i]->name, name)) return n->in_width[i];
    for (int i = 0; i < n->n_out; i++)
        if (!strcmp(n->out_port[i]->name, name)) return n->out_width[i];
    for (int i = 0; i < n->n_in; i++) {
        const char *w = strrchr(n->in_port[i]->shape, ' ');
        if (w && !strcmp(w + 1, name) && n->in_width[i]) return n->in_width[i];
    }
    for (int i = 0; i < n->n_out; i++) {
        const char *w = strrchr(n->out_port[i]->shape, ' ');
        if (w && !strcmp(w + 1, name)) return n->out_width[i];
    }
    mls_error_set(c->error, "%s: asked for the width of \"%s\", which is no port of it",
                  c->path, name);
    return 0;
}

static int connected(mls_ctx *c, const char *port)
{
    node *n = node_of(c);
    for (int i = 0; i < n->n_in; i++)
        if (!strcmp(n->in_port[i]->name, port))
            return n->in[i].from != FROM_NOWHERE || n->in[i].service;
    return 0;
}

static int64_t length(mls_ctx *c)
{
    const int64_t t = node_of(c)->net->shape.steps;
    return t > 0 ? t : 1;
}

/* Names become data sets of files and words of record patterns. */
void mls_net_check_name(mls_ctx *c, const char *what, const char *name)
{
    static const char allowed[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
                                  "0123456789_-.";
    if (!name || !*name || name[strspn(name, allowed)])
        mls_error_set(c->error, "%s: a %s is called \"%.60s\"; names consist of letters, "
                      "digits, _, - and .", c->path, what, name ? name : "");
}

static mls_t weight(mls_ctx *c, const char *name, int64_t rows, int64_t cols, mls_init init)
{
    mls_net_check_name(c, "weight", name);
    return mls_net_add_weight(node_of(c), name, rows, cols, init);
}

mls_state *mls_net_add_state(node *n, const char *name, int64_t width, double reset,
                             const char *unit, const char *help)
{
    mls_net *net = n->net;
    static mls_state none;
    if (net->error->set) return &none;
    if (width < 1) {
        mls_error_set(net->error, "%s: state %s of width %lld", n->path, name, (long long)width);
        return &none;
    }
    if (net->n_states == net->room_states) {
        const int room = net->room_states ? 2 * net->room_states : 32;
        mls_state **s = mls_arena_alloc(&net->arena, (size_t)room * sizeof *s);
        if (s && net->n_states) memcpy(s, net->state, (size_t)net->n_states * sizeof *s);
        net->state = s;
        net->room_states = room;
    }
    mls_state *s = net->state ? mls_arena_alloc(&net->arena, sizeof *s) : NULL;
    if (!s) {
        mls_error_set(net->error, "out of memory for the list of states");
        return &none;
    }
    *s = (mls_state){ mls_arena_printf(&net->arena, "%s.%s", n->path, name), NULL, width, reset,
                      unit, help, net->n_states, n };
    s->channel = s->name + strlen(n->path) + 1;
    net->state[net->n_states++] = s;
    return s;
}

static mls_state *state(mls_ctx *c, const char *name, int64_t w, double reset, const char *unit,
                        const char *help)
{
    const mls_net *net = node_of(c)->net;
    const size_t at = strlen(c->path);
    mls_net_check_name(c, "state", name);
    for (int i = 0; !c->error->set && i < net->n_states; i++) {
        const char *other = net->state[i]->name;         /* a part's may be called so too */
        if (!strncmp(other, c->path, at) && other[at] == '.' && !strcmp(other + at + 1, name))
            mls_error_set(c->error, "%s: two states are called %s", c->path, name);
    }
    return mls_net_add_state(node_of(c), name, w, reset, unit, help);
}

static void *alloc(mls_ctx *c, size_t bytes)
{
    void *p = mls_arena_zalloc(c->network, bytes);
    if (!p) mls_error_set(c->error, "%s: out of memory (%zu bytes)", c->path, bytes);
    return p;
}

static const char *file(mls_ctx *c, const char *path, size_t *size)
{
    *size = 0;
    FILE *f = fopen(path, "rb");
    struct stat s;
    if (!f || fstat(fileno(f), &s) || !S_ISREG(s.st_mode)) {
        mls_error_set(c->error, "%s: cannot read %s: %s", c->path, path,
                      f ? "not a file" : strerror(errno));
        if (f) fclose(f);
        return "";
    }
    char *p = mls_arena_alloc(c->network, (size_t)s.st_size + 1);
    const size_t n = p ? fread(p, 1, (size_t)s.st_size, f) : 0;
    if (!p || n < (size_t)s.st_size || ferror(f))
        mls_error_set(c->error, "%s: reading %s stopped after %zu of %lld bytes", c->path, path,
                      n, (long long)s.st_size);
    fclose(f);
    if (!p) return "";
    p[n] = '\0';
    *size = n;
    return p;
}

static int visible(const struct dirent *d) { return d->d_name[0] != '.'; }

static int by_bytes(const struct dirent **a, const struct dirent **b)
{
    return strcmp((*a)->d_name, (*b)->d_name);       /* not strcoll: same in every locale */
}

static const char *const *folder(mls_ctx *c, const char *path, int *count)
{
    struct dirent **d = NULL;
    *count = 0;
    const int n = scandir(path, &d, visible, by_bytes);
    if (n < 0) return NULL;
    const char **names = alloc(c, (size_t)(n + 1) * sizeof *names);
    for (int i = 0; i < n; i++) {
        if (names) names[i] = mls_arena_strdup(c->network, d[i]->d_name);
        free(d[i]);
    }
    free(d);
    *count = names ? n : 0;
    return names;
}

static mls_t load(mls_ctx *c, mls_state *s)
{
    return node_of(c)->net->run->now[s->index];
}

static void store(mls_ctx *c, mls_state *s, mls_t value)
{
    if (c->error->set) return;
    mls_run *run = node_of(c)->net->run;
    if (value->count != run->batch * s->width) {
        mls_error_set(c->error, "%s: state %s is [%lld][%lld], but [%lld][%lld][%lld] is stored",
                      c->path, s->channel, (long long)run->batch, (long long)s->width,
                      (long long)value->dim[0], (long long)value->dim[1], (long long)value->dim[2]);
        return;
    }
    mls_tape_now(c, value);
    run->now[s->index] = value;
}

static void tap(mls_ctx *c, const char *name, mls_t value, const char *unit, const char *help)
{
    node *n = node_of(c);
    mls_run *run = n->net->run;
    if (!c->error->set && value && mls_net_wanted(run, n, name))
        mls_net_observe(run, n, name, unit, help, 0, value, n->t0);
}

static void penalty_of(mls_ctx *c, const char *name, mls_t x, double weight)
{
    node *n = node_of(c);
    if (c->error->set) return;
    mls_net_check_name(c, "penalty", name);
    mls_net_penalty(n->net->run, n, name, x, weight);
}

static int wanted(mls_ctx *c, const char *name)
{
    node *n = node_of(c);
    return mls_net_wanted(n->net->run, n, name);
}

static int adapting(mls_ctx *c) { return mls_net_adapting(node_of(c)->net->run); }

static void adapt(mls_ctx *c, mls_t w, mls_t change, double rate, double low, double high)
{
    node *n = node_of(c);
    if (!c->error->set) mls_net_adapt_by(n->net->run, n, w, change, rate, low, high);
}

static const uint64_t *sample_keys(mls_ctx *c) { return node_of(c)->net->run->key; }

static void say(mls_ctx *c, int level, const char *fmt, ...)
{
    static const char *const word[] = { "debug", "info", "warning" };
    if (level == MLS_DEBUG || (c->tape && mls_reuse_planning(c->tape))) return;   /* not twice */
    va_list ap;
    va_start(ap, fmt);
    fprintf(stderr, "mls: %s: %s: ", word[level > MLS_WARN ? MLS_WARN : level], c->path);
    vfprintf(stderr, fmt, ap);
    fputc('\n', stderr);
    va_end(ap);
}

void mls_net_init(void)
{
    mls_plug_init();
    mls_host *h = &mls_plug_table;
    h->width = width;
    h->connected = connected;
    h->length = length;
    h->weight = weight;
    h->state = state;
    h->alloc = alloc;
    h->file = file;
    h->folder = folder;
    h->load = load;
    h->store = store;
    h->tap = tap;
    h->wanted = wanted;
    h->penalty = penalty_of;
    h->sample_keys = sample_keys;
    h->adapting = adapting;
    h->adapt = adapt;
    h->log = say;
    mls_net_part_services(h);
}
