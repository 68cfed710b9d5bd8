/* mean.c - the task's outputs for a sequence, from the mean of its real steps.
 *
 *   out = W mean_t(x[t]) + b
 *
 * Mean and number of steps are carried: after any chunk the output is that of the
 * sequence so far.  The mean is updated in place of a sum, m += (x - m) / k, since a
 * float sum over a million steps loses its last digits.
 */
#include <math.h>
#include <mls/kernel.h>

typedef struct head {
    mls_t w, b;
    mls_state *mean, *count;
} head;

/* in: x [T][B][N], mean [1][B][N], count [1][B][1], mask; out: mean, count after. */
MLS_INLINE void forward_body(const mls_call *k)
{
    mls_t x = k->in[0], m0 = k->in[1], c0 = k->in[2], mask = k->in[3];
    const int64_t T = x->dim[0], B = x->dim[1], N = x->dim[2];
    for (int64_t b = 0; b < B; b++) {
        float *m = k->out[0]->data + b * N, count = c0->data[b];
        memcpy(m, m0->data + b * N, (size_t)N * sizeof *m);
        for (int64_t t = 0; t < T; t++) {
            if (mask && mask->data[t * B + b] == 0.0f) continue;
            const float *xt = x->data + (t * B + b) * N;
            count += 1.0f;
            const float a = 1.0f / count;
            for (int64_t n = 0; n < N; n++) m[n] += (xt[n] - m[n]) * a;
        }
        k->out[1]->data[b] = count;
    }
}

MLS_INLINE void backward_body(const mls_call *k)
{
    mls_t x = k->in[0], m0 = k->in[1], c0 = k->in[2], mask = k->in[3];
    const int64_t T = x->dim[0], B = x->dim[1], N = x->dim[2];
    for (int64_t b = 0; b < B; b++) {
        const float *g = k->out[0]->grad + b * N, count = k->out[1]->data[b];
        const float a = count > 0.0f ? 1.0f / count : 0.0f;
        const float old = count > 0.0f ? c0->data[b] * a : 1.0f;
        for (int64_t t = 0; x->grad && t < T; t++) {
            if (mask && mask->data[t * B + b] == 0.0f) continue;
            float *dx = x->grad + (t * B + b) * N;
            for (int64_t n = 0; n < N; n++) dx[n] += a * g[n];
        }
        if (m0->grad)
            for (int64_t n = 0; n < N; n++) m0->grad[b * N + n] += old * g[n];
    }
}

MLS_KERNEL(mean_forward, forward_body)
MLS_KERNEL(mean_backward, backward_body)

static double mean_flops(const mls_call *k) { return 3.0 * (double)k->in[0]->count; }

static const mls_op running = { sizeof running, "mean.running", mean_forward,
                                mean_backward, mean_flops };

static void setup(mls_ctx *c, void *self)
{
    head *p = self;
    const int64_t in = mls->width(c, "in"), n = mls->width(c, "output");
    p->w = mls->weight(c, "weight", n, in, MLS_LINEAR);
    p->b = mls->weight(
        c, "bias", 1, n,
        mls_init_of(MLS_UNIFORM, in ? 1.0 / sqrt((double)in) : 0.0, MLS_NO_DECAY));
    p->mean = mls->state(c, "mean", in, 0.0, NULL, "mean of the real steps so far");
    p->count =
        mls->state(c, "count", 1, 0.0, "steps", "how many real steps there were");
}

static void forward(mls_ctx *c, void *self, const mls_t *in, mls_t *out)
{
    head *p = self;
    const int64_t B = in[0]->dim[1], N = in[0]->dim[2];
    mls_t m0 = mls->load(c, p->mean), c0 = mls->load(c, p->count);
    mls_t m = mls->tensor(c, 1, B, N), n = mls->tensor(c, 1, B, 1);
    MLS_APPLY(c, &running, p, ((mls_t[]){ in[0], m0, c0, in[1] }), ((mls_t[]){ m, n }));
    mls->store(c, p->mean, m);
    mls->store(c, p->count, n);
    out[0] = mls->linear(c, m, p->w, p->b);
}

static const mls_port ports[] = { { "in", MLS_IN, "T B n", "features" },
                                  { "mask", MLS_IN | MLS_MAYBE, "T B 1", "real steps" },
                                  { "out", MLS_OUT, "1 B output",
                                    "logits or predictions of the sequence so far" },
                                  MLS_PORT_END };

static const mls_component component = { sizeof component,
                                         "head",
                                         "mean",
                                         MLS_CAUSAL | MLS_STREAMS,
                                         "A linear map of the mean over real steps.",
                                         ports,
                                         NULL,
                                         sizeof(head),
                                         setup,
                                         forward,
                                         NULL };

MLS_PLUGIN("head-mean", "1.0", "Apache-2.0", &component);
