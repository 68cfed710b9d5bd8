/* attention.c - causal multi-head self-attention (Vaswani et al. 2017), the control for
 * the recurrent mixers.
 *
 *   q | k | v = Win in + bin        o_t = sum_s softmax_s(q_t . k_s / sqrt(d)) v_s
 *   out = Wout o + bout             s in the last `window` real steps up to t
 *
 * mod_b and mod_c add W mod_t to k_t and q_t, which are here what B and C are to a state
 * space model: what another branch knows steers how a step is found, and what it looks
 * for.  v_t, what is found, stays the input's own.
 *
 * Everything is per head of size d = D / heads; q and k turned by their positions (RoPE, Su et al.
 * 2021, base 10,000, pairs i and i + d/2).  The state kv holds the window.
 */
#include <mls/plugin.h>

typedef struct attention {
    int64_t       heads, window;
    int           positions, bidirectional;
    mls_attention a;
    mls_t         in, in_bias, out, out_bias;
    mls_t         mod_b, mod_c;                     /* NULL when unconnected         */
    mls_state    *kv;
} attention;

enum { ROTARY, NONE };

static void setup(mls_ctx *c, void *self)
{
    attention *p = self;
    const int64_t D = mls->width(c, "in");
    if (D % p->heads) {
        mls->fail(c, "heads = %lld does not divide the width %lld", (long long)p->heads,
                  (long long)D);
        return;
    }
    if (p->positions == ROTARY && D / p->heads % 2) {
        mls->fail(c, "positions = rotary needs heads of even size, but width %lld over %lld "
                  "heads gives %lld: change heads or set positions = none", (long long)D,
                  (long long)p->heads, (long long)(D / p->heads));
        return;
    }
    p->a = (mls_attention){ p->heads, D, p->window ? p->window : mls->length(c),
                            p->positions == ROTARY, p->bidirectional };
    p->in = mls->weight(c, "in_proj.weight", 3 * D, D, MLS_LINEAR);
    p->in_bias = mls->weight(c, "in_proj.bias", 1, 3 * D, MLS_ZEROS);
    p->out = mls->weight(c, "out_proj.weight", D, D, MLS_LINEAR);
    p->out_bias = mls->weight(c, "out_proj.bias", 1, D, MLS_ZEROS);
    const mls_init zero = mls_init_of(MLS_CONSTANT, 0.0, 0);
    if (mls->connected(c, "mod_b"))
        p->mod_b = mls->weight(c, "mod_b.weight", D, mls->width(c, "mod_b"), zero);
    if (mls->connected(c, "mod_c"))
        p->mod_c = mls->weight(c, "mod_c.weight", D, mls->width(c, "mod_c"), zero);
    if (!p->bidirectional)
        p->kv = mls->state(c, "kv", MLS_ATTENTION_WIDTH(&p->a), 0.0, NULL,
                           "keys and values of the window, then the count of steps");
}

static void forward(mls_ctx *c, void *self, const mls_t *in, mls_t *out)
{
    attention *p = self;
    const int64_t D = p->a.width;
    mls_t qkv = mls->linear(c, in[0], p->in, p->in_bias);
    const int whole = mls->abi_minor >= 2 && !p->mod_b && !p->mod_c;
    mls_t q = whole ? qkv : mls->slice(c, qkv, 0, D);
    mls_t kv = whole ? NULL : mls->slice(c, qkv, D, 2 * D);
    if (p->mod_b) {
        mls_t k = mls->binary(c, MLS_ADD, mls->slice(c, kv, 0, D),
                              mls->linear(c, in[1], p->mod_b, NULL));
        kv = mls->concat(c, k, mls->slice(c, kv, D, D));
    }
    if (p->mod_c)
        q = mls->binary(c, MLS_ADD, q, mls->linear(c, in[2], p->mod_c, NULL));
    mls_t o = mls->attention(c, q, kv, &p->a, p->kv, in[3]);
    mls->tap(c, "mixed", o, NULL, "all heads before the output projection");
    out[0] = mls->linear(c, o, p->out, p->out_bias);
}

static const mls_port ports[] = {
    { "in",   MLS_IN,             "T B n", "sequence" },
    { "mod_b", MLS_IN | MLS_MAYBE, "T B p",
      "added to the keys through a weight that starts at 0" },
    { "mod_c", MLS_IN | MLS_MAYBE, "T B q",
      "added to the queries through a weight that starts at 0" },
    { "mask", MLS_IN | MLS_MAYBE, "T B 1", "1 for real steps, 0 for padding" },
    { "out",  MLS_OUT,            "T B n", "mixed sequence" },
    MLS_PORT_END };

static const mls_option options[] = {
    MLS_OPT(attention, heads, MLS_INT, 4, 1, 4096, NULL, "heads; must divide the width"),
    MLS_OPT(attention, window, MLS_INT, 0, 0, 1 << 24, "steps",
            "how many steps a step sees, itself included; 0 is the sequence length"),
    MLS_OPT_CHOICE(attention, positions, "rotary|none",
                   "rotate queries and keys by their positions, or not"),
    MLS_OPT(attention, bidirectional, MLS_BOOL, 0, 0, 0, NULL,
            "every step sees the whole sequence; for classification, keeps no state"),
    MLS_OPT_END };

static const mls_component attention_mixer = {
    sizeof attention_mixer, "mixer", "attention", MLS_CAUSAL | MLS_STREAMS,
    "Causal multi-head self-attention with rotary positions.\n"
    "Memory in training grows with T, not T squared; time with T times `window`. The "
    "state carries the keys and values of the window from chunk to chunk, so a long "
    "window makes a wide state. With `bidirectional` it is neither causal nor streaming. "
    "Another branch may steer keys (`mod_b`) and queries (`mod_c`).",
    ports, options, sizeof(attention), setup, forward, NULL };

MLS_PLUGIN("attention", "1.1", "Apache-2.0", &attention_mixer);
