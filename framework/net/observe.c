/* observe.c - who looks at what while a network runs. */
#include "net/inner.h"

#include "grad/reuse.h"

#include <string.h>

void mls_run_observe(mls_run *run, const mls_observer *o)
{
    run->observed = o != NULL;
    if (o) run->observer = *o;
}

int mls_net_wanted(mls_run *run, const node *n, const char *name)
{
    if (run->list_arena) return 1;
    if (run->tape.dry && !mls_reuse_planning(&run->tape)) return 0;
    return run->observed && run->observer.wanted(run->observer.arg, n->path, name);
}

static void add_to_list(mls_run *run, const mls_channel *ch)
{
    for (int i = 0; i < run->n_list; i++)
        if (!strcmp(run->list[i].node, ch->node) && !strcmp(run->list[i].name, ch->name)) return;
    if (run->n_list == run->room_list) {
        const int room = run->room_list ? 2 * run->room_list : 64;
        mls_channel *l = mls_arena_alloc(run->list_arena, (size_t)room * sizeof *l);
        if (!l) return;
        if (run->n_list) memcpy(l, run->list, (size_t)run->n_list * sizeof *l);
        run->list = l;
        run->room_list = room;
    }
    run->list[run->n_list++] = *ch;
}

void mls_net_observe(mls_run *run, node *n, const char *name, const char *unit, const char *help,
                     unsigned flags, mls_t value, int64_t t0)
{
    const mls_channel ch = { n->path, name, unit, help, flags, value->dim[2] };
    mls_tape_now(&n->ctx, value);
    if (run->error.set) return;
    if (run->list_arena) add_to_list(run, &ch);
    else if (mls_reuse_planning(&run->tape)) mls_reuse_use(&run->tape, value);
    else run->observer.value(run->observer.arg, &ch, value, t0);
}

int mls_run_channels(const mls_run *run, mls_channel **list, mls_arena *a)
{
    mls_run *r = mls_run_new(run->net, 1, run->flags & ~(unsigned)MLS_TRAIN, NULL);
    *list = NULL;
    if (!r) return 0;
    r->tape.dry = 1;
    r->list_arena = a;
    const mls_task_shape *s = &run->net->shape;
    static const int32_t token;
    static const float x;
    /* Shapes only: in a dry run nobody reads the data behind these pointers. */
    const mls_batch b = { s->steps, 1, s->vocabulary ? &token : NULL, s->vocabulary ? NULL : &x,
                          s->has_mask ? &x : NULL, s->has_dt ? &x : NULL, NULL, NULL, NULL };
    mls_run_forward(r, &b, 0);
    const int n = r->error.set ? 0 : r->n_list;
    *list = r->list;
    mls_run_free(r);
    return n;
}
