/* Attention against a plain one in double, its gradient against differences, and the
 * promises of a streaming op: chunks, exact bits, causality, padding.                  */
#include "rig.h"
#include "base/parfor.h"

typedef struct problem {
    int64_t T, B;
    mls_attention a;
    float *q, *kv, *mask, *past;        /* mask, past may be NULL                    */
    const float *d_out, *d_next;        /* weights of the loss                       */
} problem;

static int64_t state_width(const problem *p)
{
    return p->a.bidirectional ? 0 : MLS_ATTENTION_WIDTH(&p->a);
}

static problem make(int64_t T, int64_t B, int64_t heads, int64_t d, int64_t window,
                    int rotary, int bidirectional, int masked, int64_t count)
{
    problem p = { T, B, { heads, heads * d, window, rotary, bidirectional },
                  NULL, NULL, NULL, NULL, NULL, NULL };
    const int64_t D = heads * d, S = state_width(&p);
    p.q = rig_noise(T * B * D, 1);
    p.kv = rig_noise(T * B * 2 * D, 2);
    for (int64_t i = 0; i < T * B * D; i++) p.q[i] *= 3.0f;
    if (masked) {
        p.mask = rig_noise(T * B, 3);
        for (int64_t i = 0; i < T * B; i++)
            p.mask[i] = p.mask[i] < 0.3f && i % B < 2 ? 1.0f : 0.0f;  /* sample 2: none */
    }
    if (S) {
        p.past = rig_noise(B * S, 4);
        for (int64_t b = 0; b < B; b++) {
            const int64_t fill = count + b < window ? count + b : window;
            memset(p.past + b * S, 0, (size_t)((window - fill) * 2 * D) * sizeof(float));
            p.past[(b + 1) * S - 2] = (float)((count + b) % (1 << 24));
            p.past[(b + 1) * S - 1] = (float)((count + b) / (1 << 24));
        }
    }
    return p;
}

static void drop(problem *p)
{
    free(p->q);
    free(p->kv);
    free(p->mask);
    free(p->past);
}

/* Runs in chunks; next [B][state_width] is the state that is left. */
static void run(const problem *p, unsigned flags, int64_t chunk, float *out, float *next)
{
    const int64_t B = p->B, D = p->a.width, S = state_width(p);
    if (S) memcpy(next, p->past, (size_t)(B * S) * sizeof *next);
    rig r;
    rig_start(&r, flags);
    for (int64_t t = 0; t < p->T; t += chunk) {
        const int64_t n = p->T - t < chunk ? p->T - t : chunk;
        mls_state s = { next, NULL, B, S, NULL };
        mls_tape_reset(&r.tape);
        mls_t q = mls_tape_wrap(&r.c, p->q + t * B * D, NULL, 0, n, B, D);
        mls_t kv = mls_tape_wrap(&r.c, p->kv + t * B * 2 * D, NULL, 0, n, B, 2 * D);
        mls_t m = p->mask ? mls_tape_wrap(&r.c, p->mask + t * B, NULL, 0, n, B, 1) : NULL;
        mls_t o = mls_grad_attention(&r.c, q, kv, &p->a, S ? &s : NULL, m);
        if (r.error.set) break;
        memcpy(out + t * B * D, o->data, (size_t)(n * B * D) * sizeof *out);
        if (S) memcpy(next, s.now->data, (size_t)(B * S) * sizeof *next);
    }
    rig_stop(&r);
}

static void turn(double *x, int64_t d, int64_t position)
{
    for (int64_t i = 0; i < d / 2; i++) {
        const double angle = (double)position * pow(10000.0, -2.0 * (double)i / (double)d);
        const double a = x[i], b = x[d / 2 + i];
        x[i] = a * cos(angle) - b * sin(angle);
        x[d / 2 + i] = a * sin(angle) + b * cos(angle);
    }
}

/* One head of one sample: key list from state and steps, full softmax per query. */
static void plain_head(const problem *p, int64_t b, int64_t h, double *out)
{
    const int64_t D = p->a.width, d = D / p->a.heads, W = p->a.window, S = state_width(p);
    const size_t room = (size_t)((W + p->T) * d);
    double *k = calloc(room, sizeof *k), *v = calloc(room, sizeof *v);
    double *s = calloc((size_t)(W + p->T), sizeof *s), *q = calloc((size_t)d, sizeof *q);
    assert_true(k && v && s && q);
    int64_t n = 0, position = 0;
    if (S) {
        const float *row = p->past + b * S;
        position = (int64_t)row[S - 2] + ((int64_t)row[S - 1] << 24);
        for (int64_t r = position < W ? W - position : 0; r < W; r++, n++)
            for (int64_t e = 0; e < d; e++) {
                k[n * d + e] = row[r * 2 * D + h * d + e];
                v[n * d + e] = row[r * 2 * D + D + h * d + e];
            }
    }
    const int64_t first = n, start = position;
    for (int64_t t = 0; t < p->T; t++) {
        if (p->mask && p->mask[t * p->B + b] == 0.0f) continue;
        const float *row = p->kv + (t * p->B + b) * 2 * D;
        for (int64_t e = 0; e < d; e++) {
            k[n * d + e] = row[h * d + e];
            v[n * d + e] = row[D + h * d + e];
        }
        if (p->a.rotary) turn(k + n * d, d, position);
        n++;
        position++;
    }
    for (int64_t t = 0, i = 0; t < p->T; t++) {
        double *o = out + (t * p->B + b) * D + h * d, top = -1e300, sum = 0.0;
        for (int64_t e = 0; e < d; e++) o[e] = 0.0;
        if (p->mask && p->mask[t * p->B + b] == 0.0f) continue;
        for (int64_t e = 0; e < d; e++) q[e] = p->q[(t * p->B + b) * D + h * d + e];
        if (p->a.rotary) turn(q, d, start + i);
        const int64_t hi = p->a.bidirectional ? n : first + i + 1;
        const int64_t lo = p->a.bidirectional || hi < W ? 0 : hi - W;
        for (int64_t j = lo; j < hi; j++) {
            s[j] = 0.0;
            for (int64_t e = 0; e < d; e++) s[j] += q[e] * k[j * d + e] / sqrt((double)d);
            top = fmax(top, s[j]);
        }
        for (int64_t j = lo; j < hi; j++) sum += exp(s[j] - top);
        for (int64_t j = lo; j < hi; j++)
            for (int64_t e = 0; e < d; e++) o[e] += exp(s[j] - top) / sum * v[j * d + e];
        i++;
    }
    free(k);
    free(v);
    free(s);
    free(q);
}

static double difference(const float *a, const float *b, int64_t n)
{
    double worst = 0.0;
    for (int64_t i = 0; i < n; i++) {
        const double off = fabs((double)a[i] - (double)b[i]);
        if (!(off <= worst)) worst = off;
    }
    return worst;
}

static void compare_within(problem p, double off)
{
    const int64_t n = p.T * p.B * p.a.width, S = p.B * state_width(&p);
    float *out = rig_zeros(n), *next = rig_zeros(S);
    double *want = calloc((size_t)n, sizeof *want);
    assert_non_null(want);
    for (int64_t b = 0; b < p.B; b++)
        for (int64_t h = 0; h < p.a.heads; h++) plain_head(&p, b, h, want);
    for (unsigned flags = 0; flags <= MLS_EXACT; flags += MLS_EXACT) {
        run(&p, flags, p.T, out, next);
        for (int64_t i = 0; i < n; i++)
            if (!(fabs((double)out[i] - want[i]) < off))
                fail_msg("T %lld window %lld flags %u: out[%lld] = %.9g, expected %.9g",
                         (long long)p.T, (long long)p.a.window, flags, (long long)i,
                         (double)out[i], want[i]);
    }
    free(want);
    free(out);
    free(next);
    drop(&p);
}

static void compare(problem p) { compare_within(p, 4e-6); }

/* Every other step asks loudly: some scores are far over what needs no maximum, and a
 * later tile of keys brings a larger one. */
static problem loud(problem p, float by)
{
    const int64_t D = p.a.width;
    for (int64_t t = 0; t < p.T; t += 2)
        for (int64_t i = 0; i < p.B * D; i++) p.q[t * p.B * D + i] *= by;
    for (int64_t t = p.T / 2; t < p.T; t++)
        for (int64_t i = 0; i < p.B * D; i++)
            p.kv[(t * p.B + i / D) * 2 * D + i % D] *= 2.0f;
    return p;
}

static void all_values(void)
{
    compare(make(1, 1, 1, 1, 1, 0, 0, 0, 0));
    compare(make(7, 2, 2, 4, 7, 1, 0, 0, 0));
    compare(make(7, 2, 2, 6, 3, 1, 0, 0, 0));
    compare(make(5, 3, 2, 4, 9, 1, 0, 1, 4));         /* masks, some past     */
    compare(make(3, 2, 2, 4, 5, 1, 0, 0, 16777214));  /* the count's two parts */
    compare(make(64, 2, 1, 5, 64, 0, 0, 0, 0));
    compare(make(300, 3, 2, 8, 300, 1, 0, 1, 0));     /* several tiles        */
    compare(make(300, 2, 2, 16, 40, 1, 0, 0, 100));
    compare(make(300, 2, 1, 16, 200, 0, 0, 1, 77));
    compare(make(9, 2, 2, 4, 1, 1, 1, 0, 0));         /* bidirectional        */
    compare(make(200, 3, 2, 8, 1, 1, 1, 1, 0));
    compare(make(150, 1, 1, 40, 150, 0, 0, 0, 0));    /* a wide head          */
    compare(make(150, 2, 1, 32, 150, 1, 0, 0, 0));
    compare_within(loud(make(300, 2, 2, 16, 300, 0, 0, 0, 0), 30.0f), 1e-4);
    compare_within(loud(make(300, 2, 2, 8, 40, 0, 0, 0, 100), 1e3f), 1e-3);
}

/* A machine runs what it can; at least two of the three families of kernels. */
static void test_values(void **state)
{
    (void)state;
    mls_plug_init();
    const int best = mls_plug_table.isa;
    for (mls_plug_table.isa = 0; mls_plug_table.isa <= best; mls_plug_table.isa++)
        all_values();
    mls_plug_table.isa = best;
}

static double loss(void *arg)
{
    const problem *p = arg;
    const int64_t n = p->T * p->B * p->a.width, S = state_width(p);
    float *out = rig_zeros(n), *next = rig_zeros(p->B * S);
    double sum = 0.0;
    run(p, 0, p->T, out, next);
    for (int64_t i = 0; i < n; i++) sum += (double)out[i] * p->d_out[i];
    for (int64_t i = 0; i < p->B * S; i++)
        if (i % S < S - 2) sum += (double)next[i] * p->d_next[i];
    free(out);
    free(next);
    return sum;
}

static void differentiate(problem p, int64_t stride)
{
    const int64_t n = p.T * p.B * p.a.width, S = state_width(&p), B = p.B, D = p.a.width;
    float *d_out = rig_noise(n, 5), *d_next = rig_noise(B * S, 6);
    float *gq = rig_zeros(n), *gkv = rig_zeros(2 * n), *gp = rig_zeros(B * S);
    p.d_out = d_out;
    p.d_next = d_next;
    rig r;
    rig_start(&r, MLS_TRAIN);
    mls_state s = { p.past, gp, B, S, NULL };
    mls_t q = mls_tape_wrap(&r.c, p.q, gq, 1, p.T, B, D);
    mls_t kv = mls_tape_wrap(&r.c, p.kv, gkv, 1, p.T, B, 2 * D);
    mls_t m = p.mask ? mls_tape_wrap(&r.c, p.mask, NULL, 0, p.T, B, 1) : NULL;
    mls_t o = mls_grad_attention(&r.c, q, kv, &p.a, S ? &s : NULL, m);
    assert_false(r.error.set);
    memcpy(mls_tape_grad(&r.c, o), d_out, (size_t)n * sizeof *d_out);
    if (S) memcpy(mls_tape_grad(&r.c, s.now), d_next, (size_t)(B * S) * sizeof *d_next);
    mls_tape_backward(&r.c);
    rig_stop(&r);

    rig_check(loss, &p, p.q, gq, n, stride, 1e-3, "q");
    rig_check(loss, &p, p.kv, gkv, 2 * n, stride, 1e-3, "kv");
    for (int64_t b = 0; b < B && S; b++)
        rig_check(loss, &p, p.past + b * S, gp + b * S, S - 2, stride, 1e-3, "past");
    free(d_out);
    free(d_next);
    free(gq);
    free(gkv);
    free(gp);
    drop(&p);
}

static void all_gradients(void)
{
    differentiate(make(6, 2, 2, 4, 6, 1, 0, 0, 0), 1);
    differentiate(make(6, 3, 2, 4, 4, 1, 0, 1, 3), 1);
    differentiate(make(9, 2, 1, 6, 3, 1, 0, 0, 9), 1);
    differentiate(make(6, 2, 2, 4, 1, 1, 1, 1, 0), 1);
    differentiate(make(160, 1, 2, 4, 160, 1, 0, 0, 5), 37);
    differentiate(make(160, 2, 1, 8, 50, 1, 0, 1, 60), 41);
    differentiate(make(140, 1, 1, 20, 1, 0, 1, 0, 0), 43);
    differentiate(make(140, 1, 1, 16, 140, 0, 0, 0, 0), 43);
    /* heads and steps of whole panels, which need no copies; then with steps left out */
    differentiate(make(48, 2, 2, 16, 20, 1, 0, 0, 16), 47);
    differentiate(make(48, 2, 2, 16, 48, 1, 0, 1, 0), 47);
    differentiate(make(64, 1, 2, 32, 64, 0, 0, 0, 0), 61);
}

static void test_gradients(void **state)
{
    (void)state;
    mls_plug_init();
    const int best = mls_plug_table.isa;
    for (mls_plug_table.isa = 0; mls_plug_table.isa <= best; mls_plug_table.isa++)
        all_gradients();
    mls_plug_table.isa = best;
}

/* q | k | v in one tensor: the same values and gradients to the bit, in both of them. */
static void packed(problem p)
{
    const int64_t n = p.T * p.B, D = p.a.width, S = state_width(&p);
    float *qkv = rig_zeros(3 * n * D), *d_out = rig_noise(n * D, 5);
    float *grad[3] = { rig_zeros(n * D), rig_zeros(2 * n * D), rig_zeros(3 * n * D) };
    float *next[2] = { rig_zeros(p.B * S), rig_zeros(p.B * S) }, *out[2];
    for (int64_t i = 0; i < n; i++) {
        memcpy(qkv + 3 * i * D, p.q + i * D, (size_t)D * sizeof *qkv);
        memcpy(qkv + 3 * i * D + D, p.kv + 2 * i * D, 2 * (size_t)D * sizeof *qkv);
    }
    for (int one = 0; one < 2; one++) {
        rig r;
        rig_start(&r, MLS_TRAIN);
        mls_state s = { p.past, NULL, p.B, S, NULL };
        mls_t q = one ? mls_tape_wrap(&r.c, qkv, grad[2], 1, p.T, p.B, 3 * D)
                      : mls_tape_wrap(&r.c, p.q, grad[0], 1, p.T, p.B, D);
        mls_t kv = one ? NULL : mls_tape_wrap(&r.c, p.kv, grad[1], 1, p.T, p.B, 2 * D);
        mls_t m = p.mask ? mls_tape_wrap(&r.c, p.mask, NULL, 0, p.T, p.B, 1) : NULL;
        mls_t o = mls_grad_attention(&r.c, q, kv, &p.a, S ? &s : NULL, m);
        assert_false(r.error.set);
        out[one] = rig_zeros(n * D);
        memcpy(out[one], o->data, (size_t)(n * D) * sizeof **out);
        if (S) memcpy(next[one], s.now->data, (size_t)(p.B * S) * sizeof **next);
        memcpy(mls_tape_grad(&r.c, o), d_out, (size_t)(n * D) * sizeof *d_out);
        mls_tape_backward(&r.c);
        rig_stop(&r);
    }
    assert_memory_equal(out[0], out[1], (size_t)(n * D) * sizeof **out);
    assert_memory_equal(next[0], next[1], (size_t)(p.B * S) * sizeof **next);
    for (int64_t i = 0; i < n; i++) {
        const float *g = grad[2] + 3 * i * D;
        assert_memory_equal(g, grad[0] + i * D, (size_t)D * sizeof *g);
        assert_memory_equal(g + D, grad[1] + 2 * i * D, 2 * (size_t)D * sizeof *g);
    }
    free(qkv);
    free(d_out);
    for (int i = 0; i < 3; i++) free(grad[i]);
    for (int i = 0; i < 2; i++) free(next[i]), free(out[i]);
    drop(&p);
}

static void test_packed(void **state)
{
    (void)state;
    packed(make(100, 3, 2, 8, 60, 1, 0, 1, 9));
    packed(make(90, 2, 3, 16, 90, 0, 0, 0, 0));
    packed(make(50, 2, 2, 4, 1, 1, 1, 0, 0));
}

/* Whole, chunks and single steps: near in general, the same bits when exact. */
static void test_chunks(void **state)
{
    (void)state;
    const int64_t window[] = { 150, 30, 1 }, chunk[] = { 64, 7, 1 };
    for (int w = 0; w < 3; w++)
        for (int masked = 0; masked < 2; masked++) {
            problem p = make(150, 3, 2, 10, window[w], 1, 0, masked, 2);
            const int64_t n = p.T * p.B * p.a.width, S = p.B * state_width(&p);
            float *a = rig_zeros(n), *sa = rig_zeros(S), *b = rig_zeros(n), *sb = rig_zeros(S);
            for (unsigned flags = 0; flags <= MLS_EXACT; flags += MLS_EXACT) {
                run(&p, flags, p.T, a, sa);
                for (int c = 0; c < 3; c++) {
                    run(&p, flags, chunk[c], b, sb);
                    if (flags) assert_memory_equal(a, b, (size_t)n * sizeof *a);
                    assert_true(difference(a, b, n) < 1e-5);
                    assert_memory_equal(sa, sb, (size_t)S * sizeof *sa);
                }
            }
            free(a);
            free(b);
            free(sa);
            free(sb);
            drop(&p);
        }
}

static void test_causality(void **state)
{
    (void)state;
    for (int64_t window = 20; window <= 200; window += 180) {
        problem p = make(200, 2, 2, 8, window, 1, 0, 0, 0);
        const int64_t row = p.B * p.a.width, n = p.T * row, S = p.B * state_width(&p);
        float *a = rig_zeros(n), *b = rig_zeros(n), *s = rig_zeros(S);
        run(&p, 0, p.T, a, s);
        for (int64_t i = 0; i < row; i++) p.q[120 * row + i] += 1.0f;
        for (int64_t i = 0; i < 2 * row; i++) p.kv[120 * 2 * row + i] -= 1.0f;
        run(&p, 0, p.T, b, s);
        assert_memory_equal(a, b, (size_t)(120 * row) * sizeof *a);
        assert_true(difference(a + 120 * row, b + 120 * row, row) > 1e-3);
        /* a window forgets: past it the change is gone */
        const double later = difference(a + 140 * row, b + 140 * row, 60 * row);
        assert_true(window == 20 ? later == 0.0 : later > 1e-4);
        free(a);
        free(b);
        free(s);
        drop(&p);
    }
}

static void test_threads(void **state)
{
    (void)state;
    problem p = make(100, 3, 2, 8, 60, 1, 0, 1, 9);
    const int64_t n = p.T * p.B * p.a.width, S = p.B * state_width(&p);
    float *a = rig_zeros(n), *sa = rig_zeros(S), *b = rig_zeros(n), *sb = rig_zeros(S);
    run(&p, 0, p.T, a, sa);
    mls_parfor_threads(2);
    run(&p, 0, p.T, b, sb);
    mls_parfor_threads(1);
    assert_memory_equal(a, b, (size_t)n * sizeof *a);
    assert_memory_equal(sa, sb, (size_t)S * sizeof *sa);
    free(a);
    free(b);
    free(sa);
    free(sb);
    drop(&p);
}

/* A sample with padding anywhere is the sample without it, in outputs and state. */
static void test_padding(void **state)
{
    (void)state;
    problem p = make(40, 2, 2, 4, 12, 1, 0, 1, 0), r = make(40, 1, 2, 4, 12, 1, 0, 0, 0);
    const int64_t D = p.a.width, S = state_width(&p);
    r.T = 0;
    for (int64_t t = 0; t < p.T; t++)
        if (p.mask[t * 2] != 0.0f) {
            memcpy(r.q + r.T * D, p.q + t * 2 * D, (size_t)D * sizeof *r.q);
            memcpy(r.kv + r.T * 2 * D, p.kv + t * 4 * D, 2 * (size_t)D * sizeof *r.kv);
            r.T++;
        }
    float *a = rig_zeros(p.T * 2 * D), *sa = rig_zeros(2 * S), *b = rig_zeros(p.T * D);
    float *sb = rig_zeros(S);
    run(&p, MLS_EXACT, p.T, a, sa);
    run(&r, MLS_EXACT, r.T, b, sb);
    for (int64_t t = 0, i = 0; t < p.T; t++) {
        const float *row = a + t * 2 * D;
        if (p.mask[t * 2] != 0.0f) assert_memory_equal(row, b + i++ * D, (size_t)D * 4);
        else for (int64_t e = 0; e < D; e++) assert_true(row[e] == 0.0f);
    }
    assert_memory_equal(sa, sb, (size_t)S * sizeof *sa);
    free(a);
    free(b);
    free(sa);
    free(sb);
    drop(&p);
    drop(&r);
}

static void refused(mls_attention a, const char *why)
{
    rig r;
    rig_start(&r, 0);
    mls_t q = mls_tape_tensor(&r.c, 2, 1, 6), kv = mls_tape_tensor(&r.c, 2, 1, 12);
    float *data = rig_zeros(64);
    mls_state s = { data, NULL, 1, 38, NULL };
    mls_grad_attention(&r.c, q, kv, &a, a.window == 7 ? NULL : &s, NULL);
    assert_true(r.error.set);
    assert_non_null(strstr(r.error.text, why));
    r.error.set = 0;
    free(data);
    rig_stop(&r);
}

static void test_refusals(void **state)
{
    (void)state;
    refused((mls_attention){ 4, 6, 3, 0, 0 }, "4 heads do not divide the width 6");
    refused((mls_attention){ 2, 6, 3, 1, 0 }, "even size");
    refused((mls_attention){ 2, 6, 0, 0, 0 }, "window is 0");
    refused((mls_attention){ 2, 6, 7, 0, 0 }, "needs a state");
    refused((mls_attention){ 2, 4, 3, 0, 0 }, "q and kv are 6 and 12 wide");
    refused((mls_attention){ 2, 6, 4, 0, 0 }, "the state is 38 wide");
    rig r;
    rig_start(&r, 0);
    mls_attention a = { 2, 6, 3, 0, 0 };
    mls_grad_attention(&r.c, mls_tape_tensor(&r.c, 2, 1, 6), NULL, &a, NULL, NULL);
    assert_non_null(strstr(r.error.text, "needs a state"));
    r.error = (mls_error){ 0 };
    a.bidirectional = 1;
    mls_grad_attention(&r.c, mls_tape_tensor(&r.c, 2, 1, 6), NULL, &a, NULL, NULL);
    assert_non_null(strstr(r.error.text, "q | k | v is 6 wide, expected 18"));
    r.error.set = 0;
    rig_stop(&r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_values),    cmocka_unit_test(test_gradients),
        cmocka_unit_test(test_chunks),    cmocka_unit_test(test_causality),
        cmocka_unit_test(test_threads),   cmocka_unit_test(test_padding),
        cmocka_unit_test(test_refusals),  cmocka_unit_test(test_packed),
    };
    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
