/* model.h - the language models of the benchmark: 256 bytes, two blocks. */
#ifndef MLS_BENCH_MODEL_H
#define MLS_BENCH_MODEL_H

#include "net/net.h"

/* The network of a mode, with a window of 256 where its halves exchange by
 * attention. */
mls_value *mls_bench_network(mls_arena *a, const char *mode, int64_t width,
                             mls_error *e);
mls_net *mls_bench_model(const mls_registry *r, const mls_value *spec, int64_t steps,
                         int dry, mls_error *e);
/* n random bytes. */
int32_t *mls_bench_bytes(mls_arena *a, int64_t n, uint64_t key);

#endif
