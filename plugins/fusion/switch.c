/* switch.c - at each step one of two streams goes on, and the other does not.
 *
 *   s = wa . a + wb . b + c          one number a step
 *   g = 1 where s > 0, else 0
 *   out = a where g is 1, else b
 *
 * g is a step and has no gradient of its own: backward takes that of sigmoid(s / T), T
 * the temperature, so that s learns from the difference that the other choice would
 * have made at once ("straight through", Y. Bengio et al., Estimating or Propagating
 * Gradients Through Stochastic Neurons, 2013, section 4).  Nothing is drawn at
 * random.  The streams themselves get exact gradients, only at the steps where they
 * were chosen.
 */
#include <mls/plugin.h>

typedef struct route {
    double temperature;
    mls_t wa, wb, c;
} route;

static void setup(mls_ctx *c, void *self)
{
    route *p = self;
    p->wa = mls->weight(c, "a.weight", 1, mls->width(c, "a"), MLS_LINEAR);
    p->wb = mls->weight(c, "b.weight", 1, mls->width(c, "b"), MLS_LINEAR);
    p->c = mls->weight(c, "bias", 1, 1, MLS_ZEROS);
}

static void forward(mls_ctx *c, void *self, const mls_t *in, mls_t *out)
{
    route *p = self;
    mls_t s = mls->binary(c, MLS_ADD, mls->linear(c, in[0], p->wa, p->c),
                          mls->linear(c, in[1], p->wb, NULL));
    mls_t g = mls->spike(c, s, MLS_LOGISTIC, 1.0 / p->temperature);
    /* g a + (1 - g) b, not b + g (a - b): the chosen stream's very bits */
    out[0] = mls->binary(c, MLS_ADD, mls->binary(c, MLS_MUL, in[0], g),
                         mls->binary(c, MLS_MUL, in[1], mls->scale(c, g, -1.0, 1.0)));
    mls->tap(c, "logit", s, NULL, "what is compared with 0: above it, a is chosen");
    mls->tap(c, "choice", g, NULL, "1 where a was chosen, 0 where b was");
}

static const mls_port ports[] = {{"a", MLS_IN, "T B n", "first stream"},
                                 {"b", MLS_IN, "T B n", "second stream"},
                                 {"out", MLS_OUT, "T B n", "one of them, at each step"},
                                 MLS_PORT_END};

static const mls_option options[] = {MLS_OPT(route, temperature, MLS_REAL, 1.0, 0.01,
                                             100.0, NULL,
                                             "width of the slope that learning sees; "
                                             "the choice itself does not depend on it"),
                                     MLS_OPT_END};

static const mls_component fusion = {
    sizeof fusion,
    "fusion",
    "switch",
    MLS_CAUSAL | MLS_STREAMS,
    "Hard routing: at each step one of two streams goes on, chosen by a learned test.\n"
    "The choice is `wa . a + wb . b + c > 0`; it is learned through the slope of a "
    "sigmoid "
    "in its place. Deterministic. Taps `choice` and `logit` show what was chosen and "
    "how "
    "clearly.",
    ports,
    options,
    sizeof(route),
    setup,
    forward,
    NULL};

MLS_PLUGIN("switch", "1.0", "Apache-2.0", &fusion);
