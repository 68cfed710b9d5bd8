/* The six wirings, and the exchange of other components, at the sizes of an experiment: whole sequence == chunks of 1, 7 and 64
 * (streaming is chunks of 1), within 1e-5 and, in exact mode, to the bit; causal to the
 * bit; the same bits with one and two threads.                                            */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/parfor.h"
#include "conf/conf.h"
#include "net/net.h"

enum { D = 64, B = 3, T = 160, VOCABULARY = 65 };

static mls_registry registry;
static const mls_task_shape shape = { .steps = T, .vocabulary = VOCABULARY, .output = VOCABULARY,
                                      .loss = MLS_CROSS_ENTROPY, .per_step = 1 };
static int32_t token[(T + 1) * B];

typedef struct net { mls_arena a; mls_net *net; } net;

/* A mode, and what takes the place of its liquid cell and mixer. */
typedef struct wiring { const char *mode, *liq, *mix; } wiring;

static const wiring wirings[] = {
    { "sequential", NULL, NULL },
    { "parallel", NULL, NULL },
    { "bidirectional", NULL, NULL },
    { "mamba", NULL, NULL },
    { "liquid", NULL, NULL },
    { "attention", NULL, NULL },
    { "bidirectional", "liquid.gru", "mixer.s4d" },
    { "bidirectional", "liquid.ltc", "mixer.mamba2" },
    { "bidirectional", "liquid.lstm", "mixer.attention" },
    { "bidirectional", "liquid.wired_cfc", "mixer.linear_attention" },
    { "bidirectional", "liquid.gru", "mixer.multiscale" },
};
enum { WIRINGS = sizeof wirings / sizeof *wirings, MODES = 6 };

static void replace(mls_arena *a, mls_value *parts, const char *role, const char *component)
{
    mls_value *m = mls_value_map(a);
    if (!component) return;
    mls_value_set(a, m, "component", mls_value_string(a, component));
    if (!strcmp(component, "mixer.mamba2")) mls_value_set(a, m, "state", mls_value_int(a, 16));
    if (!strcmp(component, "liquid.ltc")) mls_value_set(a, m, "ode_unfolds", mls_value_int(a, 2));
    if (!strcmp(component, "liquid.wired_cfc")) {
        mls_value_set(a, m, "units", mls_value_int(a, D + 16));
        mls_value_set(a, m, "outputs", mls_value_int(a, D));
    }
    mls_value_set(a, parts, role, m);
}

/* exchange 0: the same network without the wires of the exchange. */
static net built(wiring w, int exchange)
{
    net n = { .net = NULL };
    mls_error e = { 0 };
    mls_value *parts = mls_value_map(&n.a);
    replace(&n.a, parts, "liq", w.liq);
    replace(&n.a, parts, "mix", w.mix);
    mls_value *spec = mls_conf_mode(&n.a, w.mode, parts, &e);
    if (!exchange) {
        char *wire = mls_arena_strdup(&n.a, mls_value_get_string(spec, "wire", "", &e));
        char *end = strstr(wire, "; liq -> mix.mod_b");
        assert_non_null(end);
        *end = 0;
        mls_value_set(&n.a, spec, "wire", mls_value_string(&n.a, wire));
    }
    mls_value_set(&n.a, spec, "width", mls_value_int(&n.a, D));
    mls_value_set(&n.a, spec, "layers", mls_value_int(&n.a, 2));
    n.net = mls_net_build(&(mls_net_config){ &registry, spec, &shape, 11, 0 }, &e);
    if (!n.net) fail_msg("%s", e.text);
    /* Let the exchange speak: its weights start at zero. */
    for (int i = 0; i < mls_net_weights(n.net); i++) {
        mls_weight *w = mls_net_weight(n.net, i);
        for (int64_t k = 0; strstr(w->name, "mod_") && k < w->rows * w->cols; k++)
            w->data[k] = 0.05f * cosf((float)(3 * k));
    }
    return n;
}

static net build(wiring w) { return built(w, 1); }
static net without_exchange(wiring w) { return built(w, 0); }

static void drop(net *n)
{
    mls_net_free(n->net);
    mls_arena_free(&n->a);
}

/* Runs the sequence in pieces of `cut` steps into out [T][B][VOCABULARY]. */
static void run_in(net *n, unsigned flags, int cut, float *out)
{
    mls_error e = { 0 };
    mls_run *run = mls_run_new(n->net, B, flags, &e);
    assert_non_null(run);
    for (int t = 0; t < T; t += cut) {
        const int len = t + cut < T ? cut : T - t;
        const mls_batch b = { len, B, token + t * B, NULL, NULL, NULL, NULL, NULL, NULL };
        mls_t y = mls_run_forward(run, &b, 0);
        if (!y) fail_msg("%s", mls_run_error(run)->text);
        memcpy(out + (size_t)t * B * VOCABULARY, y->data, (size_t)y->count * sizeof(float));
    }
    mls_run_free(run);
}

static const char *name_of(int m)
{
    static char text[100];
    snprintf(text, sizeof text, "%s%s%s%s%s", wirings[m].mode, wirings[m].liq ? " " : "",
             wirings[m].liq ? wirings[m].liq : "", wirings[m].mix ? " " : "",
             wirings[m].mix ? wirings[m].mix : "");
    return text;
}

static float whole[T * B * VOCABULARY], cut_up[T * B * VOCABULARY];
static const int cuts[] = { 1, 7, 64 };

static void cut_in_exact_mode_gives_the_same_bits(void **state)
{
    (void)state;
    for (int m = 0; m < WIRINGS; m++) {
        net n = build(wirings[m]);
        run_in(&n, MLS_EXACT, T, whole);
        for (size_t c = 0; c < sizeof cuts / sizeof *cuts; c++) {
            run_in(&n, MLS_EXACT, cuts[c], cut_up);
            if (memcmp(whole, cut_up, sizeof whole))
                fail_msg("%s: pieces of %d differ", name_of(m), cuts[c]);
        }
        drop(&n);
    }
}

/* A last bit may flip a spike, so the spikes are smooth here. */
static void cut_stays_within_1e_5(void **state)
{
    (void)state;
    for (int m = 0; m < WIRINGS; m++) {
        net n = build(wirings[m]);
        run_in(&n, MLS_SMOOTH, T, whole);
        float worst = 0.0f;
        for (size_t c = 0; c < sizeof cuts / sizeof *cuts; c++) {
            run_in(&n, MLS_SMOOTH, cuts[c], cut_up);
            for (int i = 0; i < T * B * VOCABULARY; i++) {
                const float d = fabsf(whole[i] - cut_up[i]);
                if (d > worst) worst = d;
            }
        }
        print_message("# %-44s largest difference between whole, chunks and steps %.1e\n",
                      name_of(m), (double)worst);
        assert_true(worst < 1e-5f);
        drop(&n);
    }
}

static void one_token_changes_nothing_before_it(void **state)
{
    (void)state;
    for (int m = 0; m < WIRINGS; m++) {
        net n = build(wirings[m]);
        run_in(&n, 0, T, whole);
        for (int t = 3; t < T; t += 39) {
            token[t * B + 1] = (token[t * B + 1] + 1) % VOCABULARY;
            run_in(&n, 0, T, cut_up);
            token[t * B + 1] = (token[t * B + 1] + VOCABULARY - 1) % VOCABULARY;
            assert_memory_equal(whole, cut_up, (size_t)(t * B * VOCABULARY) * sizeof(float));
            assert_memory_not_equal(whole, cut_up, sizeof whole);
        }
        drop(&n);
    }
}

static void threads_change_no_bit(void **state)
{
    (void)state;
    for (int m = 0; m < WIRINGS; m++) {
        float *kept = NULL;
        int64_t count = 0;
        for (int threads = 1; threads <= 2; threads++) {
            mls_parfor_threads(threads);
            net n = build(wirings[m]);
            mls_error e = { 0 };
            mls_run *run = mls_run_new(n.net, B, MLS_TRAIN, &e);
            const mls_batch b = { T, B, token, NULL, NULL, NULL, token + B, NULL, NULL };
            for (int i = 0; i < 2; i++) {
                mls_run_loss(run, &b, (uint64_t)i, NULL);
                mls_run_backward(run, 1.0);
            }
            assert_string_equal(mls_run_error(run)->text, "");
            mls_net_data(n.net, &count);
            if (threads == 1) {
                kept = malloc((size_t)count * sizeof *kept);
                memcpy(kept, mls_net_grad(n.net), (size_t)count * sizeof *kept);
            } else {
                assert_memory_equal(kept, mls_net_grad(n.net), (size_t)count * sizeof *kept);
            }
            mls_run_free(run);
            drop(&n);
        }
        free(kept);
    }
    mls_parfor_threads(1);
}

static void every_mode_is_here(void **state)
{
    (void)state;
    for (int m = 0; m < MODES; m++) assert_string_equal(wirings[m].mode, mls_conf_modes[m]);
    assert_null(mls_conf_modes[MODES]);
}

/* With the weights that it begins with, zeros, all is as without the wires. */
static void exchange_starts_at_nothing(void **state)
{
    (void)state;
    for (int m = MODES; m < WIRINGS; m++) {
        net n = build(wirings[m]);
        int found = 0;
        for (int i = 0; i < mls_net_weights(n.net); i++) {
            mls_weight *w = mls_net_weight(n.net, i);
            if (!strstr(w->name, "mod_")) continue;
            memset(w->data, 0, (size_t)(w->rows * w->cols) * sizeof *w->data);
            found++;
        }
        assert_int_equal(found, 2 * 3);               /* layers x (mod_b, mod_c, mod_tau) */
        /* without tau and dt the two time gates of a CfC are one: other roundings */
        const int rounds = strstr(wirings[m].liq, "cfc") != NULL;
        const unsigned flags = MLS_EXACT | (rounds ? MLS_SMOOTH : 0);
        run_in(&n, flags, T, whole);
        drop(&n);
        n = without_exchange(wirings[m]);
        run_in(&n, flags, T, cut_up);
        if (!rounds && memcmp(whole, cut_up, sizeof whole))
            fail_msg("%s: not the same bits", name_of(m));
        for (int i = 0; i < T * B * VOCABULARY; i++)
            assert_float_equal(whole[i], cut_up[i], 1e-5);
        drop(&n);
    }
}

/* What lacks a port is refused, with the names of what has it. */
static void a_lack_is_named(void **state)
{
    (void)state;
    mls_arena a = { 0 };
    mls_error e = { 0 };
    mls_value *parts = mls_value_map(&a);
    replace(&a, parts, "mix", "mixer.mlp");
    mls_value *spec = mls_conf_mode(&a, "bidirectional", parts, &e);
    mls_value_set(&a, spec, "width", mls_value_int(&a, D));
    assert_null(mls_net_build(&(mls_net_config){ &registry, spec, &shape, 11, 0 }, &e));
    assert_non_null(strstr(e.text, "mix (mixer.mlp) has no port \"mod_b\""));
    assert_non_null(strstr(e.text, "components with such a port: mixer.attention, "));
    assert_non_null(strstr(e.text, "mixer.s4d"));
    mls_arena_free(&a);
}

int main(void)
{
    cmocka_set_message_output(CM_OUTPUT_TAP);
    mls_net_init();
    mls_error e = { 0 };
    if (!mls_registry_load(&registry, NULL, &e)) {
        print_error("# %s\n", e.text);
        return 99;
    }
    for (int i = 0; i < (T + 1) * B; i++) token[i] = (i * 31 + i / 7 + i * i / 11) % VOCABULARY;
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_mode_is_here),
        cmocka_unit_test(exchange_starts_at_nothing),
        cmocka_unit_test(a_lack_is_named),
        cmocka_unit_test(cut_in_exact_mode_gives_the_same_bits),
        cmocka_unit_test(cut_stays_within_1e_5),
        cmocka_unit_test(one_token_changes_nothing_before_it),
        cmocka_unit_test(threads_change_no_bit),
    };
    const int failed = cmocka_run_group_tests_name("modes", tests, NULL, NULL);
    mls_registry_free(&registry);
    return failed;
}
