/* rows.c - what can be measured.  `$` in a component is the width. */
#include "bench/work.h"

#include <string.h>

const mls_bench_row mls_bench_table[] = {
    {"gemm", "kernel", "product of 512 x 512 matrices", mls_bench_open_product,
     .spec = "512 512 512 0 1 4", .fixed = 1},
    {"gemm-tall", "kernel", "projection of a sequence: T B x D to 4 D",
     mls_bench_open_product, .spec = "0 -3 -2 0 1 1"},
    {"gemm-weight", "kernel", "gradient of its weight: 4 D x D, sum over T B",
     mls_bench_open_product, .spec = "-3 -2 0 1 0 1"},
    {"gemm-step", "kernel", "a recurrent step: B x D to 4 D, 1,024 times",
     mls_bench_open_product, .spec = "-1 -3 -2 0 1 1024"},
    {"conv", "kernel", "causal depthwise convolution of 2 D channels, as in mamba",
     mls_bench_open_component, .spec = "{ component: mixer.mamba }", .op = "conv"},
    {"norm", "kernel", "gate and rms norm of 2 D features, as in mamba2",
     mls_bench_open_component, .spec = "{ component: mixer.mamba2 }", .op = "mamba2.gate"},
    {"scan", "kernel", "selective scan of mamba: 2 D channels, 16 states each",
     mls_bench_open_component, .spec = "{ component: mixer.mamba }", .op = "mamba.scan",
     .peers = 1},
    {"ssd", "kernel", "scan of mamba2: 2 D channels, 128 states each",
     mls_bench_open_component, .spec = "{ component: mixer.mamba2 }", .op = "outer"},
    {"attention-core", "kernel", "causal attention of 8 heads without its projections",
     mls_bench_open_component,
     .spec = "{ component: mixer.attention, heads: 8, positions: none }",
     .op = "attention"},
    {"adamw", "kernel", "a step of AdamW over 4,194,304 weights", mls_bench_open_adamw,
     .spec = NULL, .fixed = 1},
    {"data", "kernel", "16 batches of a text, laid out", mls_bench_open_data,
     .spec = NULL},

    {"lif", "component",
     "leaky integrate-and-fire neurons, fast sigmoid, no projection",
     mls_bench_open_component,
     .spec = "{ component: encoder.lif, project: false, units: $ }"},
    {"cfc", "component", "closed-form cell, a backbone layer of 128 units",
     mls_bench_open_component, .spec = "{ component: liquid.cfc, units: $ }"},
    {"ltc", "component", "liquid time-constant cell of as many neurons, 6 unfolds",
     mls_bench_open_component,
     .spec = "{ component: liquid.ltc, units: $, outputs: $ }", .T = 256, .D = 64,
     .tolerance = 1e-3},
    {"mamba", "component", "Mamba-1 block, 16 states, convolution of 4, expand 2",
     mls_bench_open_component, .spec = "{ component: mixer.mamba }"},
    {"mamba2", "component", "Mamba-2 block, 128 states, heads of 64, expand 2",
     mls_bench_open_component, .spec = "{ component: mixer.mamba2 }"},
    {"attention", "component", "causal self-attention, 8 heads, no positions",
     mls_bench_open_component,
     .spec = "{ component: mixer.attention, heads: 8, positions: none }"},
    {"entropy", "component", "projection to 256 classes and cross-entropy",
     mls_bench_open_entropy, .spec = NULL},

    {"lm-sequential", "training",
     "a training step: encoder, liquid cell, mixer in turn", mls_bench_open_training,
     .spec = "sequential", .tolerance = 1e-2},
    {"lm-parallel", "training", "a training step: liquid cell beside mixer, a gate",
     mls_bench_open_training, .spec = "parallel", .tolerance = 1e-2},
    {"lm-bidirectional", "training",
     "a training step: both steer each other, window 256", mls_bench_open_training,
     .spec = "bidirectional", .tolerance = 1e-2},
    {"lm-mamba", "training", "a training step: Mamba alone", mls_bench_open_training,
     .spec = "mamba"},
    {"lm-attention", "training", "a training step: attention and feed-forward",
     mls_bench_open_training, .spec = "attention"},
    {.name = NULL}};

const mls_bench_row *mls_bench_find(const char *name, mls_error *e)
{
    enum { MOST = 64 };
    const char *names[MOST] = {"kernel", "component", "training"};
    int n = 3;
    for (const mls_bench_row *r = mls_bench_table; r->name; r++) {
        if (!strcmp(r->name, name)) return r;
        if (n < MOST) names[n++] = r->name;
    }
    const char *near = mls_error_nearest(name, names, n);
    mls_error_set(e, "there is no row \"%.60s\"%s%s%s (mls bench --list has them all)",
                  name, near ? "; did you mean \"" : "", near ? near : "",
                  near ? "\"?" : "");
    return NULL;
}
