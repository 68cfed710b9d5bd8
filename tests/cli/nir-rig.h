/* nir-rig.h - NIR graphs of trained networks, for the tests of mls weights. */
#ifndef TESTS_CLI_NIR_RIG_H
#define TESTS_CLI_NIR_RIG_H

#include "trace-rig.h"

#include "rec/nir.h"

/* Trains a network of this text (what follows "network: ") in the folder `name`. */
static void train_network(const char *name, int seed, const char *network)
{
    text_file("c.yaml", mls_arena_printf(&arena,
        "step_ms: 2\nseed: %d\n"
        "task: { component: task.delayed_copy, length: 8, symbols: 4, delay: 2, training: 8, "
        "validation: 4, test: 4 }\n"
        "network: %s\ntrain: { steps: 3, batch: 4, optimiser: adamw }\n", seed, network));
    runs(mls_arena_printf(&arena, "train c.yaml --out %s --quiet", name));
}

static mls_nir graph_of(const char *file)
{
    mls_nir g;
    mls_error e = { 0 };
    if (!mls_nir_read(in_dir(file), &g, &arena, &e)) fail_msg("%s", e.text);
    return g;
}

#endif
