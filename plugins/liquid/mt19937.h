/* mt19937.h - the generators of numpy that wirings are drawn with, to the bit.
 *
 *   RandomState(seed)   MT19937; integers below n by masking and rejection
 *   default_rng(seed)   PCG64 (XSL-RR 128/64) seeded through SeedSequence; integers
 *                       below n by Lemire's method on halves of its 64 bits
 *
 * As numpy 1.17 to 2.4 draw them; the legacy stream is frozen, and the other has not
 * changed since.  No memory is asked for.
 */
#ifndef LIQUID_MT19937_H
#define LIQUID_MT19937_H

#include <stdint.h>

/* ---- RandomState --------------------------------------------------------------------
 */

enum { MT_WORDS = 624, MT_LAG = 397 };
typedef struct mt19937 {
    uint32_t word[MT_WORDS];
    int at;
} mt19937;

static void mt_seed(mt19937 *g, uint32_t seed)
{
    for (uint32_t i = 0; i < MT_WORDS; i++) {
        g->word[i] = seed;
        seed = 1812433253u * (seed ^ (seed >> 30)) + i + 1;
    }
    g->at = MT_WORDS;
}

static uint32_t mt_next(mt19937 *g)
{
    if (g->at == MT_WORDS) {
        for (int i = 0; i < MT_WORDS; i++) {
            const uint32_t y = (g->word[i] & 0x80000000u) |
                               (g->word[(i + 1) % MT_WORDS] & 0x7fffffffu);
            g->word[i] = g->word[(i + MT_LAG) % MT_WORDS] ^ (y >> 1) ^
                         (y & 1 ? 0x9908b0dfu : 0u);
        }
        g->at = 0;
    }
    uint32_t y = g->word[g->at++];
    y ^= y >> 11;
    y ^= (y << 7) & 0x9d2c5680u;
    y ^= (y << 15) & 0xefc60000u;
    return y ^ (y >> 18);
}

/* Uniform in 0..most; draws nothing when most is 0. */
static uint32_t mt_upto(mt19937 *g, uint32_t most)
{
    uint32_t mask = most, x;
    if (!most) return 0;
    for (int s = 1; s < 32; s *= 2) mask |= mask >> s;
    do x = mt_next(g) & mask;
    while (x > most);
    return x;
}

/* RandomState.permutation(n) */
static void mt_permutation(mt19937 *g, uint32_t n, uint32_t *to)
{
    for (uint32_t i = 0; i < n; i++) to[i] = i;
    for (uint32_t i = n; i-- > 1;) {
        const uint32_t j = mt_upto(g, i), swap = to[i];
        to[i] = to[j];
        to[j] = swap;
    }
}

/* ---- default_rng
 * ----------------------------------------------------------------------- */

typedef struct u128 {
    uint64_t high, low;
} u128;
typedef struct pcg64 {
    u128 state, step;
    uint32_t half; /* the other half of the last 64 bits */
    int has_half;
} pcg64;

static u128 u128_add(u128 a, u128 b)
{
    const uint64_t low = a.low + b.low;
    return (u128){a.high + b.high + (low < a.low), low};
}

static u128 u128_mul(u128 a, u128 b)
{
    const uint64_t al = (uint32_t)a.low, ah = a.low >> 32;
    const uint64_t bl = (uint32_t)b.low, bh = b.low >> 32;
    const uint64_t ll = al * bl, lh = al * bh, hl = ah * bl;
    const uint64_t middle = (ll >> 32) + (uint32_t)lh + (uint32_t)hl;
    return (u128){a.high * b.low + a.low * b.high + ah * bh + (lh >> 32) + (hl >> 32) +
                      (middle >> 32),
                  (middle << 32) | (uint32_t)ll};
}

static void pcg_step(pcg64 *g)
{
    const u128 by = {0x2360ed051fc65da4u, 0x4385df649fccf645u};
    g->state = u128_add(u128_mul(g->state, by), g->step);
}

static uint32_t seed_hash(uint32_t x, uint32_t *by, uint32_t mul)
{
    x ^= *by;
    *by *= mul;
    x *= *by;
    return x ^ (x >> 16);
}

/* SeedSequence(seed).generate_state(4, uint64) starts the generator. */
static void pcg_seed(pcg64 *g, uint64_t seed)
{
    uint32_t pool[4] = {(uint32_t)seed, (uint32_t)(seed >> 32)}, by = 0x43b0d7e5u;
    uint64_t word[4];
    for (int i = 0; i < 4; i++) pool[i] = seed_hash(pool[i], &by, 0x931e8875u);
    for (int i = 0; i < 4; i++)
        for (int j = 0; j < 4; j++)
            if (i != j) {
                const uint32_t h = seed_hash(pool[i], &by, 0x931e8875u);
                const uint32_t x = 0xca01f9ddu * pool[j] - 0x4973f715u * h;
                pool[j] = x ^ (x >> 16);
            }
    by = 0x8b51f9ddu;
    for (int i = 0; i < 4; i++) {
        const uint64_t low = seed_hash(pool[2 * i % 4], &by, 0x58f38dedu);
        word[i] = low | (uint64_t)seed_hash(pool[(2 * i + 1) % 4], &by, 0x58f38dedu)
                            << 32;
    }
    g->has_half = 0;
    g->state = (u128){0, 0};
    g->step = (u128){word[2] << 1 | word[3] >> 63, word[3] << 1 | 1};
    pcg_step(g);
    g->state = u128_add(g->state, (u128){word[0], word[1]});
    pcg_step(g);
}

static uint32_t pcg_next(pcg64 *g)
{
    if (g->has_half) {
        g->has_half = 0;
        return g->half;
    }
    pcg_step(g);
    const uint64_t x = g->state.high ^ g->state.low;
    const unsigned turn = (unsigned)(g->state.high >> 58);
    const uint64_t y = x >> turn | x << (-turn & 63);
    g->half = (uint32_t)(y >> 32);
    g->has_half = 1;
    return (uint32_t)y;
}

/* Uniform in 0..most, most < 2^32 - 1; draws nothing when most is 0. */
static uint32_t pcg_upto(pcg64 *g, uint32_t most)
{
    if (!most) return 0;
    const uint32_t n = most + 1, least = (uint32_t)(0u - n) % n;
    uint64_t m;
    do m = (uint64_t)pcg_next(g) * n;
    while ((uint32_t)m < least);
    return (uint32_t)(m >> 32);
}

/* The last n - first of x[n], shuffled among all, as Generator.choice does. */
static void pcg_shuffle(pcg64 *g, int64_t n, int64_t first, uint32_t *x)
{
    for (int64_t i = n; i-- > first;) {
        const uint32_t j = pcg_upto(g, (uint32_t)i), swap = x[j];
        x[j] = x[i];
        x[i] = swap;
    }
}

/* Generator.choice(n, size, replace=False) for a table of `room` words: n of them, or
 * pcg_choice_room().  Returns where in the table the size numbers lie. */
static int64_t pcg_choice_room(int64_t n, int64_t size)
{
    int64_t room = 1;
    if (n > 10000 && size > n / 50) return n;
    while (room <= (int64_t)(1.2 * (double)size)) room *= 2;
    return size + room;
}

static uint32_t *pcg_choice(pcg64 *g, int64_t n, int64_t size, uint32_t *table)
{
    const int64_t room = pcg_choice_room(n, size) - size;
    if (n > 10000 && size > n / 50) { /* shuffles the tail of all */
        for (int64_t i = 0; i < n; i++) table[i] = (uint32_t)i;
        pcg_shuffle(g, n, n - size > 1 ? n - size : 1, table);
        return table + n - size;
    }
    const uint32_t mask = (uint32_t)room - 1, none = UINT32_MAX; /* Floyd's algorithm */
    uint32_t *set = table + size;
    for (int64_t i = 0; i < room; i++) set[i] = none;
    for (int64_t j = n - size; j < n; j++) {
        const uint32_t x = pcg_upto(g, (uint32_t)j);
        uint32_t at = x & mask, take = x;
        while (set[at] != none && set[at] != x) at = (at + 1) & mask;
        if (set[at] == x) {
            take = (uint32_t)j;
            at = take & mask;
            while (set[at] != none) at = (at + 1) & mask;
        }
        set[at] = take;
        table[j - n + size] = take;
    }
    pcg_shuffle(g, size, 1, table);
    return table;
}

#endif
