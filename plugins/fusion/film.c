/* film.c - one stream scales and shifts the other, feature by feature.
 *
 *   out = (1 + gamma) * a + beta
 *   gamma = Wg b + cg          or tanh(Wg b + cg): scales between 0 and 2
 *   beta  = Wb b + cb
 *
 * Wg | Wb and their biases start at 0, so that the start is out = a; for that, the
 * first gradients of b are 0 as well, and follow once the weights have moved.
 *
 * Reference: E. Perez et al., FiLM: Visual Reasoning with a General Conditioning Layer,
 * AAAI 2018 (there for the feature maps of images, here for each step of a sequence).
 */
#include <mls/plugin.h>

typedef struct film {
    int bound;
    mls_t w, c;
} film;

enum { NONE, TANH };

static void setup(mls_ctx *c, void *self)
{
    film *p = self;
    const int64_t n = mls->width(c, "a"), m = mls->width(c, "b");
    p->w = mls->weight(c, "weight", 2 * n, m, mls_init_of(MLS_CONSTANT, 0.0, 0));
    p->c = mls->weight(c, "bias", 1, 2 * n, MLS_ZEROS);
}

static void forward(mls_ctx *c, void *self, const mls_t *in, mls_t *out)
{
    film *p = self;
    const int64_t n = in[0]->dim[2];
    mls_t both = mls->linear(c, in[1], p->w, p->c);
    mls_t gamma = mls->slice(c, both, 0, n), beta = mls->slice(c, both, n, n);
    if (p->bound == TANH) gamma = mls->unary(c, MLS_TANH, gamma);
    mls_t scale = mls->scale(c, gamma, 1.0, 1.0);
    out[0] = mls->binary(c, MLS_ADD, mls->binary(c, MLS_MUL, in[0], scale), beta);
    mls->tap(c, "gamma", gamma, NULL, "what is added to the scale 1 of each feature");
    mls->tap(c, "beta", beta, NULL, "what is added to each feature");
}

static const mls_port ports[] = {
    {"a", MLS_IN, "T B n", "the stream that is scaled and shifted"},
    {"b", MLS_IN, "T B m", "the stream that says how; of any width"},
    {"out", MLS_OUT, "T B n", "a, scaled and shifted"},
    MLS_PORT_END};

static const mls_option options[] = {
    MLS_OPT_CHOICE(film, bound, "none|tanh",
                   "what gamma goes through; tanh keeps the scale between 0 and 2"),
    MLS_OPT_END};

static const mls_component fusion = {
    sizeof fusion,
    "fusion",
    "film",
    MLS_CAUSAL | MLS_STREAMS,
    "Feature-wise affine: one stream scales and shifts the other.\n"
    "`out = (1 + gamma(b)) * a + beta(b)`, where gamma and beta are linear in b at the "
    "same "
    "step. All their weights start at 0, so that a network begins as if b were not "
    "there.",
    ports,
    options,
    sizeof(film),
    setup,
    forward,
    NULL};

MLS_PLUGIN("film", "1.0", "Apache-2.0", &fusion);
