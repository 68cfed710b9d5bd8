/* bidirectional.c - a component twice: over the sequence, and over it from its end.
 *
 *   f = part(in)         b = R part'(R in)         R: real steps in the opposite order
 *   out = W (f | b) + c        join concat         out = f + b        join sum
 *
 * part and part' are made alike and have weights of their own; R turns each sample within
 * its real steps, and dt with it.  Both start from their reset states in every call, so
 * that the output is a function of the sequence given and of nothing before it.  Schuster
 * and Paliwal 1997, "Bidirectional Recurrent Neural Networks".
 */
#include <mls/plugin.h>

typedef struct bidirectional {
    const mls_spec *part;
    int             join;
    mls_part       *forth, *back;
    mls_t           weight, bias;
} bidirectional;

enum { CONCAT, SUM };

static void setup(mls_ctx *c, void *self)
{
    bidirectional *p = self;
    const int64_t n = mls->width(c, "in");
    p->forth = mls->part(c, p->part, "forward", n, n);
    p->back = mls->part(c, p->part, "backward", n, n);
    if (p->join == SUM && p->forth->out != n)
        mls->fail(c, "join = sum needs a part that gives %lld features, as many as it is fed; "
                  "%s.%s gives %lld: set join = concat", (long long)n, p->part->component->kind,
                  p->part->component->name, (long long)p->forth->out);
    if (p->join == SUM) return;
    p->weight = mls->weight(c, "out_proj.weight", n, 2 * p->forth->out, MLS_LINEAR);
    p->bias = mls->weight(c, "out_proj.bias", 1, n, MLS_ZEROS);
}

static void forward(mls_ctx *c, void *self, const mls_t *in, mls_t *out)
{
    bidirectional *p = self;
    const mls_t x = in[0], mask = in[1], dt = in[2];
    mls->restart(c, p->forth);
    mls->restart(c, p->back);
    const mls_t f = mls->run(c, p->forth, x, mask, dt);
    const mls_t r = mls->run(c, p->back, mls->reverse(c, x, mask), mask,
                             dt ? mls->reverse(c, dt, mask) : NULL);
    const mls_t b = mls->reverse(c, r, mask);
    out[0] = p->join == SUM ? mls->binary(c, MLS_ADD, f, b)
                            : mls->linear(c, mls->concat(c, f, b), p->weight, p->bias);
}

static const mls_port ports[] = {
    { "in",   MLS_IN,             "T B n", "sequence" },
    { "mask", MLS_IN | MLS_MAYBE, "T B 1", "1 for real steps, 0 for padding" },
    { "dt",   MLS_IN | MLS_MAYBE, "T B 1", "length of each step" },
    { "out",  MLS_OUT,            "T B n", "both directions joined" },
    MLS_PORT_END };

static const mls_option options[] = {
    MLS_OPT_COMPONENT(bidirectional, part, "mixer.mamba",
                      "what runs in each direction, with weights of its own"),
    MLS_OPT_CHOICE(bidirectional, join, "concat|sum",
                   "a linear layer over both side by side, or their sum"),
    MLS_OPT_END };

static const mls_component bidirectional_mixer = {
    sizeof bidirectional_mixer, "mixer", "bidirectional", 0,
    "A mixer or liquid cell run forward and backward in time.\n"
    "For classification: every step sees the whole sequence, so it is neither causal nor does "
    "it stream, and a text task refuses it. Each sample is turned within its real steps. "
    "Channels of the part `backward` are recorded in the order in which it runs.",
    ports, options, sizeof(bidirectional), setup, forward, NULL };

MLS_PLUGIN("bidirectional", "1.0", "Apache-2.0", &bidirectional_mixer);
