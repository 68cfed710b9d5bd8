/* noise.h - uniform numbers that depend on a sample and its own steps and on nothing
 * beside it.
 *
 *   u[t][n] = philox(key, number of the real step, n)
 * Neither the place in the batch nor padding nor the chunks of a sequence change a
 * value.  The key, carried with the count of steps, is made at the first step of a
 * sequence: from the network's seed, the node's name and the sample's key, which the
 * host makes of the task's seed, the split, the epoch and the sample's number.
 */
#ifndef MLS_PLUGINS_NOISE_H
#define MLS_PLUGINS_NOISE_H

#include <mls/kernel.h>

enum { NOISE_STATE = 5 }; /* count, and four quarters of the key */

typedef struct noise {
    uint64_t key;
    mls_state *state;
} noise;

static inline void noise_setup(mls_ctx *c, noise *p)
{
    if (!MLS_HAS(mls, sample_keys)) mls->fail(c, "its noise needs a newer mls");
    p->key = mls->key(c, "noise");
    p->state =
        mls->state(c, "count", NOISE_STATE, 0.0, NULL,
                   "real steps so far, and the key of their noise in four parts");
}

/* 16 bits each: exact as floats. */
static void make_key(const mls_call *k, int64_t b, float *key)
{
    uint32_t r[4];
    mls->philox(((const noise *)k->attr)->key, mls->sample_keys(k->ctx)[b], r);
    for (int i = 0; i < NOISE_STATE - 1; i++) key[i] = (float)(r[i] & 0xffff);
}

static void draw_sample(int64_t b, void *arg)
{
    const mls_call *k = arg;
    mls_t u = k->out[0];
    const float *old = k->in[0]->data + b * NOISE_STATE;
    const float *mask = k->in[1] ? k->in[1]->data : NULL;
    float first[NOISE_STATE - 1], *now = k->out[1]->data + b * NOISE_STATE;
    const int64_t T = u->dim[0], B = u->dim[1], N = u->dim[2];
    uint64_t n = (uint64_t)old[0], key = 0;
    uint32_t r[4];
    make_key(k, b, first);
    for (int i = 0; i < NOISE_STATE - 1; i++)
        key = key << 16 | (uint64_t)(n ? old[1 + i] : first[i]);
    const uint64_t each = (uint64_t)(N + 3) / 4;
    int64_t real = 0;
    for (int64_t t = 0; t < T; t++) {
        float *row = u->data + (t * B + b) * N;
        if (mask && mask[t * B + b] == 0.0f) {
            memset(row, 0, (size_t)N * sizeof *row);
            continue;
        }
        for (int64_t i = 0; i < N; i += 4) {
            mls->philox(key, n * each + (uint64_t)(i / 4), r);
            for (int64_t j = i; j < N && j < i + 4; j++)
                row[j] = ((float)(r[j - i] >> 8) + 0.5f) * 0x1p-24f;
        }
        n = (n + 1) & 0xffffff;
        real++;
    }
    now[0] = (float)n;
    for (int i = 1; i < NOISE_STATE; i++)
        now[i] = old[0] > 0.0f || !real ? old[i] : first[i - 1];
}

static void draw_forward(const mls_call *k)
{
    mls->parfor(k->out[0]->dim[1], draw_sample, (void *)(uintptr_t)k);
}

static const mls_op draw_op = {sizeof draw_op, "noise.draw", draw_forward, NULL, NULL};

/* [T][B][N], each uniform in (0, 1); 0 at masked steps. */
static inline mls_t noise_draw(mls_ctx *c, const noise *p, int64_t T, int64_t B,
                               int64_t N, mls_t mask)
{
    mls_t u = mls->tensor(c, T, B, N), next = mls->tensor(c, 1, B, NOISE_STATE);
    MLS_APPLY(c, &draw_op, p, ((mls_t[]){mls->load(c, p->state), mask}),
              ((mls_t[]){u, next}));
    mls->store(c, p->state, next);
    return u;
}

#endif
