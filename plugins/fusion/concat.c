/* concat.c - two streams side by side, then one linear map.
 *
 *   out = W [a | b] + c
 *
 * The plainest fusion that can learn anything about each stream's share: the floor that
 * gates and attention are measured against.
 */
#include <mls/plugin.h>

typedef struct concat {
    int bias;
    mls_t w, c;
} concat;

static void setup(mls_ctx *c, void *self)
{
    concat *p = self;
    const int64_t n = mls->width(c, "a"), m = mls->width(c, "b");
    p->w = mls->weight(c, "weight", n, n + m, MLS_LINEAR);
    p->c = p->bias ? mls->weight(c, "bias", 1, n, MLS_ZEROS) : NULL;
}

static void forward(mls_ctx *c, void *self, const mls_t *in, mls_t *out)
{
    concat *p = self;
    out[0] = mls->linear(c, mls->concat(c, in[0], in[1]), p->w, p->c);
}

static const mls_port ports[] = {
    {"a", MLS_IN, "T B n", "first stream"},
    {"b", MLS_IN, "T B m", "second stream, of any width"},
    {"out", MLS_OUT, "T B n", "a linear map of both, as wide as a"},
    MLS_PORT_END};

static const mls_option options[] = {
    MLS_OPT(concat, bias, MLS_BOOL, 1, 0, 0, NULL, "add a bias"), MLS_OPT_END};

static const mls_component fusion = {
    sizeof fusion,
    "fusion",
    "concat",
    MLS_CAUSAL | MLS_STREAMS,
    "Puts two streams side by side and maps them linearly to the width of the first.",
    ports,
    options,
    sizeof(concat),
    setup,
    forward,
    NULL};

MLS_PLUGIN("concat", "1.0", "Apache-2.0", &fusion);
