/* noise.h - uniform numbers that depend on a sample's own steps and on nothing beside
 * it.
 *
 *   u[t][n] = philox(key, number of the real step, n)
 * Neither the place in the batch nor padding nor the chunks of a sequence change a
 * value. The key, carried with the count of steps, is made at the first step of a
 * sequence: from the network's seed, the node's name and, in training, a salt that is
 * new in each training step.  Plugins do not learn which sample stands at which place,
 * so that samples of one batch meet the same numbers.
 */
#ifndef MLS_PLUGINS_NOISE_H
#define MLS_PLUGINS_NOISE_H

#include <mls/kernel.h>

enum { SALT = 32, NOISE_STATE = 5 }; /* count, and four quarters of the key */

typedef struct noise {
    uint64_t key;
    mls_state *state;
} noise;

static inline void noise_setup(mls_ctx *c, noise *p)
{
    p->key = mls->key(c, "noise");
    p->state =
        mls->state(c, "count", NOISE_STATE, 0.0, NULL,
                   "real steps so far, and the key of their noise in four parts");
}

static void ones_forward(const mls_call *k)
{
    for (int64_t i = 0; i < k->out[0]->count; i++) k->out[0]->data[i] = 1.0f;
}

static const mls_op ones_op = {sizeof ones_op, "noise.ones", ones_forward, NULL, NULL};

typedef struct noise_plan {
    const mls_call *k;
    float key[NOISE_STATE - 1]; /* of a sequence that begins; 16 bits each: exact */
} noise_plan;

/* Dropout keeps a 1 as 2, or outside of training as it is. */
static void make_key(noise_plan *g, const float *bit)
{
    uint32_t salt = 0, r[4];
    for (int i = 0; i < SALT; i++) salt = salt << 1 | (bit[i] > 1.5f);
    mls->philox(((const noise *)g->k->attr)->key, salt, r);
    for (int i = 0; i < NOISE_STATE - 1; i++) g->key[i] = (float)(r[i] & 0xffff);
}

static void draw_sample(int64_t b, void *arg)
{
    const noise_plan *g = arg;
    const mls_call *k = g->k;
    mls_t u = k->out[0];
    const float *old = k->in[0]->data + b * NOISE_STATE;
    const float *mask = k->in[2] ? k->in[2]->data : NULL;
    float *now = k->out[1]->data + b * NOISE_STATE;
    const int64_t T = u->dim[0], B = u->dim[1], N = u->dim[2];
    uint64_t n = (uint64_t)old[0], key = 0;
    uint32_t r[4];
    for (int i = 0; i < NOISE_STATE - 1; i++)
        key = key << 16 | (uint64_t)(n ? old[1 + i] : g->key[i]);
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
        now[i] = old[0] > 0.0f || !real ? old[i] : g->key[i - 1];
}

static void draw_forward(const mls_call *k)
{
    noise_plan g = {.k = k};
    make_key(&g, k->in[1]->data);
    mls->parfor(k->out[0]->dim[1], draw_sample, &g);
}

static const mls_op draw_op = {sizeof draw_op, "noise.draw", draw_forward, NULL, NULL};

/* [T][B][N], each uniform in (0, 1); 0 at masked steps. */
static inline mls_t noise_draw(mls_ctx *c, const noise *p, int64_t T, int64_t B,
                               int64_t N, mls_t mask)
{
    mls_t u = mls->tensor(c, T, B, N), next = mls->tensor(c, 1, B, NOISE_STATE);
    mls_t one = mls->tensor(c, 1, 1, SALT);
    mls->apply(c, &ones_op, NULL, NULL, 0, &one, 1);
    mls_t bit = mls->dropout(c, one, 0.5);
    MLS_APPLY(c, &draw_op, p, ((mls_t[]){mls->load(c, p->state), bit, mask}),
              ((mls_t[]){u, next}));
    mls->store(c, p->state, next);
    return u;
}

#endif
