/* sum.c - two streams added, as they are or with a weight.
 *
 *   none            out = a + b
 *   fixed           out = alpha a + (1 - alpha) b
 *   scalar, vector  the same with alpha = sigmoid(r), r one weight or one for each
 *                   feature, so that alpha starts at the option's value
 *
 * With scalar or vector and alpha 0.5 this is the learned weight of the bidirectional
 * fusion of the Mamba-Liquid overview, with fixed and 0.5 what its first program has.
 */
#include <math.h>
#include <mls/plugin.h>

typedef struct sum {
    int weight;
    double alpha;
    mls_t r;
} sum;

enum { NONE, FIXED, SCALAR, VECTOR };

static void setup(mls_ctx *c, void *self)
{
    sum *p = self;
    if (p->weight < SCALAR) return;
    if (p->alpha <= 0.0 || p->alpha >= 1.0) {
        mls->fail(
            c,
            "alpha = %g cannot be the start of a learned weight: expected more than "
            "0 and less than 1",
            p->alpha);
        return;
    }
    p->r = mls->weight(
        c, "alpha", 1, p->weight == VECTOR ? mls->width(c, "a") : 1,
        mls_init_of(MLS_CONSTANT, log(p->alpha / (1.0 - p->alpha)), MLS_NO_DECAY));
}

static void forward(mls_ctx *c, void *self, const mls_t *in, mls_t *out)
{
    sum *p = self;
    mls_t a = in[0], b = in[1];
    if (p->weight == FIXED) {
        a = mls->scale(c, a, p->alpha, 0.0);
        b = mls->scale(c, b, 1.0 - p->alpha, 0.0);
    } else if (p->weight != NONE) {
        mls_t alpha = mls->unary(c, MLS_SIGMOID, p->r);
        a = mls->binary(c, MLS_MUL, a, alpha);
        b = mls->binary(c, MLS_MUL, b, mls->scale(c, alpha, -1.0, 1.0));
    }
    out[0] = mls->binary(c, MLS_ADD, a, b);
}

static const mls_port ports[] = {{"a", MLS_IN, "T B n", "first stream"},
                                 {"b", MLS_IN, "T B n", "second stream"},
                                 {"out", MLS_OUT, "T B n", "their sum"},
                                 MLS_PORT_END};

static const mls_option options[] = {
    MLS_OPT_CHOICE(
        sum, weight, "none|fixed|scalar|vector",
        "add as they are, or a share alpha of a and 1 - alpha of b: fixed, one "
        "learned, or one learned for each feature"),
    MLS_OPT(sum, alpha, MLS_REAL, 0.5, 0.0, 1.0, NULL,
            "share of a: of weight = fixed, and the start of the learned ones"),
    MLS_OPT_END};

static const mls_component fusion = {
    sizeof fusion,
    "fusion",
    "sum",
    MLS_CAUSAL | MLS_STREAMS,
    "Adds two streams, as they are or with a fixed or learned weight.",
    ports,
    options,
    sizeof(sum),
    setup,
    forward,
    NULL};

MLS_PLUGIN("sum", "1.0", "Apache-2.0", &fusion);
