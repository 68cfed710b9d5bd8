/* kinds.c - what the kinds of components are for. */
#include "cli/facts.h"

#include <string.h>

const mls_kind mls_kinds[] = {
    { "encoder", "Turns the stream of real values into spikes (or, as a control, into "
                 "values). It stands at the input of a branch; its membrane is there for "
                 "adapters that read more than spikes.",
      "in -> spikes, membrane" },
    { "adapter", "Turns spikes back into values for what follows: a rate, a trace, the "
                 "membrane, or the spikes as they are.",
      "spikes, membrane -> out" },
    { "liquid", "A recurrent cell in continuous time whose state is carried from step to "
                "step. It takes the length of each step, and another branch may steer its "
                "time constant.",
      "in, dt, mod_tau -> out" },
    { "mixer", "Mixes over time: a state space model, attention or, as a control, nothing. "
               "Another branch may steer what its state takes in and gives out.",
      "in, mod_b, mod_c -> out" },
    { "fusion", "Makes one stream of two.", "a, b -> out" },
    { "head", "Makes the output of the network from the last layer: one at every step, or "
              "one for the sequence.",
      "in -> out" },
    { "task", "Where samples come from: their shape, their splits, and how they are "
              "scored. A task has no ports.",
      "" },
    { NULL, NULL, NULL }
};

static int known(const mls_kind *list, int n, const char *name)
{
    for (int i = 0; i < n; i++)
        if (!strcmp(list[i].name, name)) return 1;
    return 0;
}

static int present(const mls_registry *r, const char *name)
{
    for (int i = 0; i < r->n_components; i++)
        if (!strcmp(r->component[i]->kind, name)) return 1;
    return 0;
}

const mls_kind *mls_kinds_of(const mls_registry *r, int *n, mls_arena *a)
{
    mls_kind *list = mls_arena_zalloc(a, (size_t)(r->n_components + 16) * sizeof *list);
    *n = 0;
    for (const mls_kind *k = mls_kinds; list && k->name; k++)
        if (present(r, k->name)) list[(*n)++] = *k;
    for (int i = 0; list && i < r->n_components; i++)
        if (!known(list, *n, r->component[i]->kind))
            list[(*n)++] = (mls_kind){ r->component[i]->kind, "", "" };
    return list;
}
