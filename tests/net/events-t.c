/* Products with spikes: of events, of whole matrices, and the choice between them. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/parfor.h"
#include "base/philox.h"
#include "kern/events.h"
#include "net/net.h"

static float noise(uint64_t key, int64_t i)
{
    uint32_t u[4];
    mls_philox(key, (uint64_t)i, u);
    return (float)((double)u[0] / 2147483648.0 - 1.0);
}

static float *values(int64_t n, uint64_t key)
{
    float *x = malloc((size_t)(n + 1) * sizeof *x);
    for (int64_t i = 0; x && i < n; i++) x[i] = noise(key, i);
    return x;
}

static void near(const char *what, const float *got, const float *want, int64_t n, double by)
{
    for (int64_t i = 0; i < n; i++)
        if (!(fabs((double)got[i] - (double)want[i]) <= by * (1.0 + fabs((double)want[i]))))
            fail_msg("%s[%lld]: %.9g, expected %.9g", what, (long long)i, (double)got[i],
                     (double)want[i]);
}

/* ---- the kernels against sums in double --------------------------------------------- */

static void product(int64_t rows, int64_t n, int64_t k, double rate, int binary)
{
    float *x = values(rows * k, 1), *w = values(n * (k + 3), 2), *bias = values(n, 3);
    float *dy = values(rows * n, 4), *dw = values(n * (k + 3), 5), *y = values(rows * n, 6);
    float *dw0 = values(n * (k + 3), 5), *y0 = values(rows * n, 6);
    int64_t events = 0;
    for (int64_t i = 0; i < rows * k; i++) {
        const int fires = 0.5 * (1.0 + (double)noise(7, i)) < rate;
        x[i] = !fires ? 0.0f : binary ? 1.0f : x[i];
        events += x[i] != 0.0f;
    }
    assert_int_equal(mls_k_events_count(x, rows * k), events);
    const int64_t more = mls_k_events_weight_room(rows, n, k, events);
    const int64_t less = mls_k_events_room(k, n);
    float *room = malloc((size_t)(more > less ? more : less) * sizeof *room);
    for (int add = 0; add < 2; add++) {
        mls_k_events_linear(rows, n, k, events, x, w, k + 3, bias, add, y, room);
        for (int64_t r = 0; r < rows; r++)
            for (int64_t j = 0; j < n; j++) {
                double sum = add ? (double)y0[r * n + j] : (double)bias[j];
                for (int64_t i = 0; i < k; i++)
                    sum += (double)x[r * k + i] * (double)w[j * (k + 3) + i];
                y0[r * n + j] = (float)sum;
            }
        near("y", y, y0, rows * n, 5e-5);
    }
    mls_k_events_weight(rows, n, k, events, x, dy, dw, k + 3, room);
    for (int64_t j = 0; j < n; j++)
        for (int64_t i = 0; i < k; i++) {
            double sum = (double)dw0[j * (k + 3) + i];
            for (int64_t r = 0; r < rows; r++)
                sum += (double)x[r * k + i] * (double)dy[r * n + j];
            dw0[j * (k + 3) + i] = (float)sum;
        }
    near("dw", dw, dw0, n * (k + 3), 2e-5);
    free(x), free(w), free(bias), free(dy), free(dw), free(y), free(dw0), free(y0), free(room);
}

static void products(void **state)
{
    (void)state;
    static const double rate[] = { 0.0, 0.02, 0.2, 1.0 };
    for (int i = 0; i < 4; i++) {
        product(1, 1, 1, rate[i], 1);
        product(300, 128, 128, rate[i], 1);
        product(70, 37, 1030, rate[i], 0);
        product(257, 101, 9, rate[i], 0);
    }
}

/* A value that is no number is an event. */
static void no_number_is_lost(void **state)
{
    (void)state;
    float x[] = { 0.0f, NAN, 0.0f }, w[] = { 1, 2, 3 }, y, room[64];
    assert_int_equal(mls_k_events_count(x, 3), 1);
    mls_k_events_linear(1, 1, 3, 1, x, w, 3, NULL, 0, &y, room);
    assert_true(isnan(y));
}

/* ---- networks ----------------------------------------------------------------------- */

enum { T = 40, B = 3, D = 16 };

typedef struct rig {
    mls_arena a;
    mls_net *net;
    mls_run *run;
    float *x, *mask, *wy, *y, *dw;
    int64_t count;
} rig;

static mls_registry registry;

static const char *again; /* a node to run again in backward, or NULL */

static void open_rig(rig *r, const char *way, const char *wire, unsigned flags, double threshold)
{
    static const char *const node[][2] = { { "enc", "encoder.lif" }, { "ad", "adapter.identity" },
        { "liq", "liquid.cfc" }, { "gru", "liquid.gru" }, { "mix", "mixer.mamba" } };
    mls_error e = { 0 };
    *r = (rig){ 0 };
    mls_arena *a = &r->a;
    mls_value *spec = mls_value_map(a), *nodes = mls_value_map(a);
    for (int i = 0; i < 5; i++) {
        if (!strstr(wire, node[i][0])) continue;
        mls_value *v = mls_value_map(a);
        mls_value_set(a, v, "component", mls_value_string(a, node[i][1]));
        if (i == 0) mls_value_set(a, v, "threshold", mls_value_real(a, threshold));
        mls_value_set(a, nodes, node[i][0], v);
    }
    mls_value_set(a, spec, "width", mls_value_int(a, D));
    mls_value_set(a, spec, "layers", mls_value_int(a, 1));
    mls_value_set(a, spec, "nodes", nodes);
    mls_value_set(a, spec, "wire", mls_value_string(a, wire));
    if (again) {
        mls_value *list = mls_value_list(a);
        mls_value_push(a, list, mls_value_string(a, again));
        mls_value_set(a, spec, "remat", list);
    }
    if (way) mls_value_set(a, spec, "events", mls_value_string(a, way));
    const mls_task_shape shape = { .steps = T, .input = D, .output = D, .loss = MLS_MSE,
                                   .per_step = 1, .has_mask = 1 };
    r->net = mls_net_build(&(mls_net_config){ &registry, spec, &shape, 3, 0 }, &e);
    if (!r->net) fail_msg("%s", e.text);
    r->run = mls_run_new(r->net, B, flags, &e);
    r->x = values(T * B * D, 11);
    for (int64_t i = 0; i < T * B * D; i++) r->x[i] *= 3.0f;
    r->mask = values(T * B, 12);
    for (int64_t i = 0; i < T * B; i++) r->mask[i] = i % 7 == 3 ? 0.0f : 1.0f;
    r->wy = values(T * B * D, 13);
    r->y = values(T * B * D, 14);
    mls_net_data(r->net, &r->count);
    r->dw = mls_net_grad(r->net);
}

/* Outputs of the sequence, run in pieces; gradients of the last piece. */
static void go(rig *r, int64_t piece)
{
    mls_run_reset(r->run);
    mls_net_zero_grad(r->net);
    for (int64_t t = 0; t < T; t += piece) {
        const int64_t n = T - t < piece ? T - t : piece, at = t * B;
        const mls_batch b = { .steps = n, .batch = B, .x = r->x + at * D, .mask = r->mask + at };
        mls_t y = mls_run_forward(r->run, &b, 0);
        if (!y) fail_msg("%s", mls_run_error(r->run)->text);
        memcpy(r->y + at * D, y->data, (size_t)y->count * sizeof(float));
        mls_run_backward_from(r->run, r->wy + at * D);
        if (mls_run_error(r->run)->set) fail_msg("%s", mls_run_error(r->run)->text);
    }
}

static void close_rig(rig *r)
{
    mls_run_free(r->run);
    mls_net_free(r->net);
    mls_arena_free(&r->a);
    free(r->x), free(r->mask), free(r->wy), free(r->y);
}

static const char *const wires[] = { "input -> enc -> liq -> output", "input -> enc -> gru -> output",
                                     "input -> enc -> ad -> mix -> output", "input -> enc -> output" };

/* All ways give the same but for rounding, with few spikes and with many. */
static void ways_agree(void **state)
{
    (void)state;
    static const char *const way[] = { "never", "always", "auto", NULL };
    for (int wire = 0; wire < 4; wire++)
        for (int many = 0; many < 2; many++) {
            float *y = NULL, *dw = NULL;
            for (int i = 0; i < 4; i++) {
                rig r;
                open_rig(&r, way[i], wires[wire], MLS_TRAIN, many ? 0.01 : 1.5);
                go(&r, T);
                if (i == 0) {
                    y = memcpy(malloc(T * B * D * 4), r.y, T * B * D * 4);
                    dw = memcpy(malloc((size_t)r.count * 4), r.dw, (size_t)r.count * 4);
                }
                near("y", r.y, y, T * B * D, 1e-5);
                near("dw", r.dw, dw, r.count, 3e-5);
                close_rig(&r);
            }
            free(y), free(dw);
        }
}

/* "always" really takes another way than "never", or this file tests nothing. */
static void ways_differ(void **state)
{
    (void)state;
    for (int wire = 0; wire < 3; wire++) {
        rig a, b;
        open_rig(&a, "never", wires[wire], MLS_TRAIN, 0.5);
        open_rig(&b, "always", wires[wire], MLS_TRAIN, 0.5);
        go(&a, T);
        go(&b, T);
        assert_memory_not_equal(a.dw, b.dw, (size_t)a.count * 4);
        close_rig(&a);
        close_rig(&b);
    }
}

/* The same bits twice and with two threads; in exact mode also in pieces of any length. */
static void bits(void **state)
{
    (void)state;
    static const char *const way[] = { "never", "always", "auto" };
    for (int wire = 0; wire < 3; wire++)
        for (int i = 0; i < 3; i++)
            for (int exact = 0; exact < 2; exact++) {
                rig r;
                open_rig(&r, way[i], wires[wire], MLS_TRAIN | (exact ? MLS_EXACT : 0), 0.8);
                go(&r, T);
                float *y = memcpy(malloc(T * B * D * 4), r.y, T * B * D * 4);
                float *dw = memcpy(malloc((size_t)r.count * 4), r.dw, (size_t)r.count * 4);
                for (int threads = 1; threads <= 2; threads++) {
                    mls_parfor_threads(threads);
                    go(&r, T);
                    assert_memory_equal(r.y, y, T * B * D * 4);
                    assert_memory_equal(r.dw, dw, (size_t)r.count * 4);
                }
                mls_parfor_threads(1);
                for (int64_t piece = 1; exact && piece < T; piece += 13) {
                    go(&r, piece);
                    assert_memory_equal(r.y, y, T * B * D * 4);
                }
                free(y), free(dw);
                close_rig(&r);
            }
}

/* A node that runs again in backward takes the same way as it did before. */
static void remat_changes_no_bit(void **state)
{
    (void)state;
    rig once, twice;
    open_rig(&once, "always", wires[0], MLS_TRAIN, 0.8);
    go(&once, T);
    again = "liq";
    open_rig(&twice, "always", wires[0], MLS_TRAIN, 0.8);
    again = NULL;
    go(&twice, T);
    assert_memory_equal(once.y, twice.y, T * B * D * 4);
    assert_memory_equal(once.dw, twice.dw, (size_t)once.count * 4);
    close_rig(&once);
    close_rig(&twice);
}

/* Work enough for threads to be asked: the kernels' sums do not notice. */
static void threads_share(void **state)
{
    (void)state;
    enum { rows = 3000, n = 200, k = 96 };
    float *x = values(rows * k, 1), *w = values(n * k, 2), *dy = values(rows * n, 3), *y[2], *dw[2];
    const int64_t events = mls_k_events_count(x, rows * k);
    float *room = malloc((size_t)mls_k_events_weight_room(rows, n, k, events) * sizeof *room);
    for (int i = 0; i < 2; i++) {
        mls_parfor_threads(i + 1);
        y[i] = values(rows * n, 4);
        dw[i] = values(n * k, 5);
        mls_k_events_linear(rows, n, k, events, x, w, k, NULL, 1, y[i], room);
        mls_k_events_weight(rows, n, k, events, x, dy, dw[i], k, room);
    }
    mls_parfor_threads(1);
    assert_memory_equal(y[0], y[1], rows * n * 4);
    assert_memory_equal(dw[0], dw[1], n * k * 4);
    for (int i = 0; i < 2; i++) free(y[i]), free(dw[i]);
    free(x), free(w), free(dy), free(room);
}

static void bad_way(void **state)
{
    (void)state;
    mls_arena a = { 0 };
    mls_error e = { 0 };
    mls_value *spec = mls_value_map(&a);
    mls_value_set(&a, spec, "events", mls_value_string(&a, "sometimes"));
    const mls_task_shape shape = { .steps = T, .input = D, .output = D, .loss = MLS_MSE, .per_step = 1 };
    assert_null(mls_net_build(&(mls_net_config){ &registry, spec, &shape, 3, 0 }, &e));
    assert_non_null(strstr(e.text, "events = \"sometimes\" is not one of auto|never|always"));
    mls_arena_free(&a);
}

int main(void)
{
    mls_error e = { 0 };
    mls_plug_init();
    mls_net_init();
    if (!mls_registry_load(&registry, NULL, &e)) fail_msg("%s", e.text);
    cmocka_set_message_output(CM_OUTPUT_TAP);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(products), cmocka_unit_test(no_number_is_lost),
        cmocka_unit_test(ways_agree), cmocka_unit_test(ways_differ), cmocka_unit_test(bits),
        cmocka_unit_test(remat_changes_no_bit),
        cmocka_unit_test(threads_share), cmocka_unit_test(bad_way),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
