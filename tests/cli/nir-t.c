/* mls weights with .nir: a graph of a trained encoder, its figures, and the way back. */
#define _GNU_SOURCE
#include "nir-rig.h"

#include "rec/h5.h"

static void train(const char *name, int layers, const char *reset, const char *learn)
{
    train_network(name, 1, mls_arena_printf(&arena,
        "{ width: 8, layers: %d, nodes: { enc: { component: encoder.lif, units: 6, beta: 0.8, "
        "threshold: 0.5, reset: %s, reset_delay: false, learn_beta: %s },\n"
        "  mix: { component: mixer.mlp } }, wire: \"input -> mix -> output; mix -> enc\" }",
        layers, reset, learn));
}

static mls_nir_node *node_of(const mls_nir *g, const char *name)
{
    for (int i = 0; i < g->n_nodes; i++)
        if (!strcmp(g->node[i].name, name)) return &g->node[i];
    fail_msg("no node %s", name);
    return NULL;
}

/* A copy whose nodes can be changed. */
static mls_nir copy_of(const mls_nir *g)
{
    mls_nir h = *g;
    const size_t size = (size_t)g->n_nodes * sizeof *h.node;
    h.node = memcpy(mls_arena_alloc(&arena, size), g->node, size);
    return h;
}

static void out_and_in(void **state)
{
    (void)state;
    train("t", 1, "zero", "unit");
    runs("weights export t -o a.nir");
    assert_null(strstr(said, "reset"));
    const mls_nir all = graph_of("a.nir");
    mls_nir_node g = *node_of(&all, "lif");
    g.weight = node_of(&all, "affine")->weight;
    assert_true(node_of(&all, "input")->n == 8 && g.n == 6);
    runs("weights export t -o w.h5");
    const float *beta = row("w.h5", "layer0.enc.beta")->data, *w = row("w.h5", "layer0.enc.weight")->data;
    for (int i = 0; i < 6; i++) {
        assert_float_equal(g.tau[i], 0.002 / (1.0 - (double)beta[i]), 1e-6);
        assert_float_equal(g.r[i] * 0.002f, g.tau[i], 1e-6);
        assert_float_equal(g.v_threshold[i], 0.5, 0);
        assert_float_equal(g.v_reset[i], 0, 0);
    }
    assert_memory_equal(g.weight, w, 48 * sizeof *w);
    /* another graph: half the resistance, other time constants, a leak */
    mls_nir h = copy_of(&all);
    mls_nir_node *lif = node_of(&h, "lif");
    mls_error e = { 0 };
    float tau[6], r[6], leak[6];
    for (int i = 0; i < 6; i++) {
        tau[i] = 0.01f * (float)(i + 1);
        r[i] = 0.5f * tau[i] / 0.002f;
        leak[i] = 0.1f;
    }
    lif->tau = tau;
    lif->r = r;
    lif->v_leak = leak;
    assert_true(mls_nir_write(in_dir("b.nir"), &h, &e));
    runs("weights import b.nir t --node layer0.enc -o b.h5");
    runs("weights export b.h5 -o wb.h5");
    const float *wb = row("wb.h5", "layer0.enc.weight")->data, *bb = row("wb.h5", "layer0.enc.beta")->data,
                *b = row("w.h5", "layer0.enc.bias")->data, *ob = row("wb.h5", "layer0.enc.bias")->data;
    for (int i = 0; i < 48; i++) assert_float_equal(wb[i], 0.5f * w[i], 1e-6);
    for (int i = 0; i < 6; i++) {
        assert_float_equal(bb[i], 1.0 - 0.002 / (double)tau[i], 1e-6);
        assert_float_equal(ob[i], 0.5f * b[i] + 0.002f / tau[i] * 0.1f, 1e-6);
    }
    const mls_bundle_row *m = row("w.h5", "layer0.mix.up.weight"), *n = row("wb.h5", "layer0.mix.up.weight");
    assert_memory_equal(m->data, n->data, (size_t)count(m) * sizeof(float));
}

/* What Euler's rule on the graph gives is what the encoder gives. */
static void same_spikes(void **state)
{
    (void)state;
    enum { T = 20, N = 6, IN = 8 };
    const mls_nir all = graph_of("a.nir");
    mls_nir_node g = *node_of(&all, "lif");
    g.weight = node_of(&all, "affine")->weight;
    g.bias = node_of(&all, "affine")->bias;
    put("x.h5", "in/in", DIM(1, T, IN), shifted, 0);
    mls_error e = { 0 };
    const char *names[] = { "weight", "bias", "beta" };
    for (int i = 0; i < 3; i++) {
        const mls_bundle_row *r = row("w.h5", mls_arena_printf(&arena, "layer0.enc.%s", names[i]));
        assert_true(mls_array_write(in_dir("enc.h5"), names[i], r->data, r->rank, r->dim, &e));
    }
    runs("trace 'encoder.lif{units=6, threshold=0.5, reset=\"zero\", reset_delay=false, "
         "learn_beta=\"unit\"}' --weights enc.h5 --input x.h5 --output y.h5");
    const float *s = row("y.h5", "out/spikes")->data;
    double v[N] = { 0 };
    int fired = 0;
    for (int t = 0; t < T; t++)
        for (int i = 0; i < N; i++) {
            double current = (double)g.bias[i];
            for (int k = 0; k < IN; k++)
                current += (double)g.weight[i * IN + k] * (double)shifted(t * IN + k, 0);
            v[i] += 0.002 / (double)g.tau[i] * ((double)g.v_leak[i] - v[i] + (double)g.r[i] * current);
            const int spike = v[i] > (double)g.v_threshold[i];
            if (spike) v[i] = (double)g.v_reset[i];
            fired += spike;
            assert_float_equal(s[t * N + i], spike, 0);
        }
    assert_true(fired > 5 && fired < T * N);
}

static void refusals(void **state)
{
    (void)state;
    mls_error e = { 0 };
    mls_nir g = graph_of("a.nir");
    float other[6] = { 0.6f, 0.5f, 0.5f, 0.5f, 0.5f, 0.5f };
    mls_nir bad = copy_of(&g);
    node_of(&bad, "lif")->v_threshold = other;
    assert_true(mls_nir_write(in_dir("n1.nir"), &bad, &e));
    refused("weights import n1.nir t -o n.h5", 1, WORDS("unit 0 has threshold 0.6", "learn_threshold"));
    bad = copy_of(&g);
    node_of(&bad, "lif")->v_reset = other;
    assert_true(mls_nir_write(in_dir("n2.nir"), &bad, &e));
    refused("weights import n2.nir t -o n.h5", 1, WORDS("unit 0 is reset to 0.6"));
    bad = copy_of(&g);
    mls_nir_node plain[] = { *node_of(&g, "input"), *node_of(&g, "lif"), *node_of(&g, "output") };
    int edges[][2] = { { 0, 1 }, { 1, 2 } };
    plain[0].n = plain[0].in = 6;
    bad = (mls_nir){ plain, edges, 3, 2 };
    assert_true(mls_nir_write(in_dir("n3.nir"), &bad, &e));
    refused("weights import n3.nir t -o n.h5", 1, WORDS("6 inputs and 6 neurons"));
    plain[0].n = plain[0].in = 8;
    assert_true(mls_nir_write(in_dir("n4.nir"), &bad, &e));
    refused("weights import n4.nir t -o n.h5", 1, WORDS("gives 8 values", "takes 6"));
    bad.n_edges = 1;
    edges[0][0] = 1, edges[0][1] = 2;
    assert_true(mls_nir_write(in_dir("n5.nir"), &bad, &e));
    refused("weights import n5.nir t -o n.h5", 1, WORDS("0 edges enter node \"lif\""));
    refused("weights import absent.nir t -o n.h5", 1, WORDS("absent.nir: No such file"));
    refused("weights export t -o n.nir --node layer0.ec", 1, WORDS("did you mean layer0.enc"));
    text_file("text.nir", "words");
    refused("weights import text.nir t -o n.h5", 1, WORDS("is no HDF5 file"));
    put("other.nir", "x", DIM(2), zero, 0);
    refused("weights import other.nir t -o n.h5", 1, WORDS("is no NIR graph"));
    const hid_t f = H5Fopen(in_dir("a.nir"), H5F_ACC_RDWR, H5P_DEFAULT);
    H5Ldelete(f, "node/nodes/lif/type", H5P_DEFAULT);
    mls_rec_text_set(f, "node/nodes/lif/type", "Conv2d");
    H5Fclose(f);
    refused("weights import a.nir t -o n.h5", 1, WORDS("\"lif\" has type Conv2d", "LIF and CubaLIF"));
}

static void several(void **state)
{
    (void)state;
    train("two", 2, "subtract", "none");
    runs("weights export two -o both.nir");
    const mls_nir both = graph_of("both.nir");
    assert_true(both.n_nodes == 8 && both.n_edges == 6);
    refused("weights import both.nir t -o n.h5", 1, WORDS("has 2 layers", "layer0.enc has 1"));
    runs("weights export two -o n.nir --node layer1.enc");
    assert_non_null(strstr(said, "mls: layer1.enc: reset subtract: NIR's neurons"));
    const mls_nir g = graph_of("n.nir");
    assert_float_equal(node_of(&g, "lif")->tau[3], 0.01, 1e-7);
    assert_memory_equal(node_of(&g, "affine")->weight,
                        node_of(&both, "layer1_enc_affine")->weight, 48 * sizeof(float));
    assert_string_equal(mls_rec_read_text_set(mls_rec_open(in_dir("n.nir"), &(mls_error){ 0 }),
                                              "node/nodes/lif/metadata/reset", &arena), "subtract");
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(out_and_in), cmocka_unit_test(same_spikes),
                                        cmocka_unit_test(refusals), cmocka_unit_test(several) };
    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests(tests, make_dir, remove_dir);
}
