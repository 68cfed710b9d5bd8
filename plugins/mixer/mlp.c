/* mlp.c - the feed-forward half of a transformer block (Vaswani et al. 2017), step by
 * step and without state.
 *
 *   out = W2 gelu(W1 in + b1) + b2        W1 [F][D]   W2 [D][F]   F = ratio D + more
 */
#include <mls/plugin.h>

typedef struct mlp {
    int64_t ratio, more;
    mls_t   up, up_bias, down, down_bias;
} mlp;

static void setup(mls_ctx *c, void *self)
{
    mlp *p = self;
    const int64_t D = mls->width(c, "in"), F = p->ratio * D + p->more;
    p->up = mls->weight(c, "up.weight", F, D, MLS_LINEAR);
    p->up_bias = mls->weight(c, "up.bias", 1, F, MLS_ZEROS);
    p->down = mls->weight(c, "down.weight", D, F, MLS_LINEAR);
    p->down_bias = mls->weight(c, "down.bias", 1, D, MLS_ZEROS);
}

static void forward(mls_ctx *c, void *self, const mls_t *in, mls_t *out)
{
    mlp *p = self;
    mls_t hidden = mls->unary(c, MLS_GELU, mls->linear(c, in[0], p->up, p->up_bias));
    mls->tap(c, "hidden", hidden, NULL, "activations between the two layers");
    out[0] = mls->linear(c, hidden, p->down, p->down_bias);
}

static const mls_port ports[] = {
    { "in",  MLS_IN,  "T B n", "sequence" },
    { "out", MLS_OUT, "T B n", "transformed sequence" },
    MLS_PORT_END };

static const mls_option options[] = {
    MLS_OPT(mlp, ratio, MLS_INT, 4, 1, 64, NULL, "hidden width over the width of the input"),
    MLS_OPT(mlp, more, MLS_INT, 0, 0, 65536, NULL, "hidden units on top of that"),
    MLS_OPT_END };

static const mls_component mlp_mixer = {
    sizeof mlp_mixer, "mixer", "mlp", MLS_CAUSAL | MLS_STREAMS,
    "Two linear layers with a GELU between them, applied to each step.\n"
    "The feed-forward half of a transformer block; follows `mixer.attention` in a "
    "second residual branch.",
    ports, options, sizeof(mlp), setup, forward, NULL };

MLS_PLUGIN("mlp", "1.0", "Apache-2.0", &mlp_mixer);
