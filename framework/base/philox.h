/* philox.h - Philox4x32-10 (Salmon et al. 2011): a counter-based random generator.
 * A stream is a 64-bit key made from a seed and names; its values are addressed, not
 * drawn, so that nothing shifts when something else is added.                         */
#ifndef MLS_BASE_PHILOX_H
#define MLS_BASE_PHILOX_H

#include <stdint.h>

/* The generator's published constants: two multipliers, and the steps by which the key's
 * halves grow from round to round (golden ratio, sqrt(3) - 1).                          */
#define MLS_PHILOX_M0     0xD2511F53u
#define MLS_PHILOX_M1     0xCD9E8D57u
#define MLS_PHILOX_W0     0x9E3779B9u
#define MLS_PHILOX_W1     0xBB67AE85u
#define MLS_PHILOX_ROUNDS 10

void     mls_philox(uint64_t key, uint64_t counter, uint32_t out[4]);
/* The generator itself, with its whole 128-bit counter. */
void     mls_philox_block(const uint32_t key[2], const uint32_t counter[4], uint32_t out[4]);
uint64_t mls_philox_key(uint64_t seed, const char *path, const char *purpose);
uint64_t mls_philox_mix(uint64_t key, uint64_t x);      /* a sub-stream                */
double   mls_philox_unit(uint32_t x);                   /* (0, 1): (x + 0.5) 2^-32     */
void     mls_philox_uniform(uint64_t key, float *out, int64_t n, double lo, double hi);
void     mls_philox_normal(uint64_t key, float *out, int64_t n, double sd);
/* A permutation of 0..n-1 for this key (Fisher-Yates). */
void     mls_philox_shuffle(uint64_t key, int64_t *out, int64_t n);

#endif
