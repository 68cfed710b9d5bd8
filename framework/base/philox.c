#include "base/philox.h"

#include <math.h>
#include <string.h>

static void rounds(uint32_t k0, uint32_t k1, uint32_t x[4])
{
    for (int i = 0; i < MLS_PHILOX_ROUNDS; i++) {
        const uint64_t a = (uint64_t)MLS_PHILOX_M0 * x[0],
                       b = (uint64_t)MLS_PHILOX_M1 * x[2];
        x[0] = (uint32_t)(b >> 32) ^ x[1] ^ k0;
        x[1] = (uint32_t)b;
        x[2] = (uint32_t)(a >> 32) ^ x[3] ^ k1;
        x[3] = (uint32_t)a;
        k0 += MLS_PHILOX_W0;
        k1 += MLS_PHILOX_W1;
    }
}

/* 64 bits of counter are enough for any stream; the counter's upper half is 0. */
void mls_philox(uint64_t key, uint64_t counter, uint32_t out[4])
{
    uint32_t x[4] = { (uint32_t)counter, (uint32_t)(counter >> 32), 0, 0 };
    rounds((uint32_t)key, (uint32_t)(key >> 32), x);
    memcpy(out, x, sizeof x);
}

void mls_philox_block(const uint32_t key[2], const uint32_t counter[4], uint32_t out[4])
{
    uint32_t x[4];
    memcpy(x, counter, sizeof x);
    rounds(key[0], key[1], x);
    memcpy(out, x, sizeof x);
}

/* Counters of sub-streams carry a mark in their upper half, so that a derived key never
 * equals a value of the stream itself.                                               */
uint64_t mls_philox_mix(uint64_t key, uint64_t x)
{
    const uint32_t k[2] = { (uint32_t)key, (uint32_t)(key >> 32) };
    const uint32_t c[4] = { (uint32_t)x, (uint32_t)(x >> 32), 0x6d697800u, 1 };
    uint32_t out[4];
    mls_philox_block(k, c, out);
    return (uint64_t)out[1] << 32 | out[0];
}

/* FNV-1a; the length is hashed too, so that ("ab", "c") and ("a", "bc") differ. */
static uint64_t hash(uint64_t h, const char *s)
{
    uint64_t length = 0;
    for (; s && s[length]; length++)
        h = (h ^ (unsigned char)s[length]) * 0x100000001b3u;
    return (h ^ length) * 0x100000001b3u;
}

uint64_t mls_philox_key(uint64_t seed, const char *path, const char *purpose)
{
    return mls_philox_mix(seed, hash(hash(0xcbf29ce484222325u, path), purpose));
}

double mls_philox_unit(uint32_t x) { return ((double)x + 0.5) * 0x1p-32; }

void mls_philox_uniform(uint64_t key, float *out, int64_t n, double lo, double hi)
{
    for (int64_t i = 0; i < n; i += 4) {
        uint32_t r[4];
        mls_philox(key, (uint64_t)i / 4, r);
        for (int64_t j = i; j < n && j < i + 4; j++)
            out[j] = (float)(lo + (hi - lo) * mls_philox_unit(r[j - i]));
    }
}

/* Box and Muller (1958): two values from two uniforms. */
void mls_philox_normal(uint64_t key, float *out, int64_t n, double sd)
{
    for (int64_t i = 0; i < n; i += 4) {
        uint32_t r[4];
        double z[4];
        mls_philox(key, (uint64_t)i / 4, r);
        for (int j = 0; j < 4; j += 2) {
            const double size = sd * sqrt(-2.0 * log(mls_philox_unit(r[j])));
            const double turn = 6.283185307179586477 * mls_philox_unit(r[j + 1]);
            z[j] = size * cos(turn);
            z[j + 1] = size * sin(turn);
        }
        for (int64_t j = i; j < n && j < i + 4; j++) out[j] = (float)z[j - i];
    }
}

void mls_philox_shuffle(uint64_t key, int64_t *out, int64_t n)
{
    for (int64_t i = 0; i < n; i++) out[i] = i;
    for (int64_t i = n - 1; i > 0; i--) {
        uint32_t r[4];
        mls_philox(key, (uint64_t)i, r);
        /* 64 bits scaled to [0, i]: the bias is below (i + 1) 2^-64 */
        const uint64_t high = (uint64_t)r[1] << 32 | r[0];
        const int64_t j =
            (int64_t)(((unsigned __int128)high * (uint64_t)(i + 1)) >> 64);
        const int64_t x = out[i];
        out[i] = out[j];
        out[j] = x;
    }
}
