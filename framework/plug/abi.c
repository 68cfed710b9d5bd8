#include "plug/abi.h"

#include <string.h>

#if UINTPTR_MAX == UINT64_MAX
_Static_assert(MLS_INFO_1_0 == 56 && MLS_COMPONENT_1_0 == 88 && MLS_TASK_1_0 == 48 &&
                   MLS_PORT_1_0 == 32 && MLS_OPTION_1_0 == 72 &&
                   MLS_UPTO(mls_op, flops) == 40,
               "a field of ABI 1.0 has moved");
#endif

static int is_short(const mls_plugin_info *p)
{
    if (p->size < sizeof *p || p->port_size < sizeof(mls_port) ||
        p->option_size < sizeof(mls_option))
        return 1;
    for (int i = 0; p->components[i]; i++) {
        const mls_component *c = p->components[i];
        if (c->size < sizeof *c || (c->task && c->task->size < sizeof *c->task)) return 1;
    }
    return 0;
}

/* `to` bytes that begin with the `from` bytes at p; what is missing is 0. */
static void *longer(mls_arena *a, const void *p, size_t from, size_t to)
{
    void *q = mls_arena_zalloc(a, to);
    return q ? memcpy(q, p, from < to ? from : to) : NULL;
}

/* A table of rows, each of which begins with its name, up to and with the nameless end. */
static void *rows(mls_arena *a, const void *table, size_t from, size_t to)
{
    size_t n = 0;
    const char *name = NULL;
    do {
        memcpy(&name, (const char *)table + n++ * from, sizeof name);
    } while (name);
    char *copy = mls_arena_zalloc(a, n * to);
    for (size_t i = 0; copy && i < n; i++)
        memcpy(copy + i * to, (const char *)table + i * from, from < to ? from : to);
    return copy;
}

static const mls_component *component(mls_arena *a, const mls_plugin_info *p,
                                      const mls_component *old)
{
    mls_component *c = longer(a, old, old->size, sizeof *c);
    if (!c) return NULL;
    c->size = sizeof *c;
    if (old->ports) c->ports = rows(a, old->ports, p->port_size, sizeof(mls_port));
    if (old->options)
        c->options = rows(a, old->options, p->option_size, sizeof(mls_option));
    if (old->task) {
        mls_task *t = longer(a, old->task, old->task->size, sizeof *t);
        if (t) t->size = sizeof *t;
        c->task = t;
    }
    const int whole = !c->ports == !old->ports && !c->options == !old->options &&
                      !c->task == !old->task;
    return whole ? c : NULL;
}

const mls_plugin_info *mls_abi_adopt(mls_arena *a, const mls_plugin_info *p, mls_error *e)
{
    if (!is_short(p)) return p;
    int n = 0;
    while (p->components[n]) n++;
    mls_plugin_info *q = longer(a, p, p->size, sizeof *q);
    const mls_component **list = mls_arena_zalloc(a, (size_t)(n + 1) * sizeof *list);
    int whole = q && list;
    for (int i = 0; whole && i < n; i++)
        whole = (list[i] = component(a, p, p->components[i])) != NULL;
    if (!whole) {
        mls_error_set(e, "out of memory for the tables of plugin %s", p->name);
        return NULL;
    }
    q->size = sizeof *q;
    q->port_size = sizeof(mls_port);
    q->option_size = sizeof(mls_option);
    q->components = list;
    return q;
}
