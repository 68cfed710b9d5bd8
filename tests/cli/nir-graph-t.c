/* mls weights with .nir: every encoder that NIR has a name for, chains and parallel nodes: the
 * spikes of Euler's rule on the graph are the encoder's, and the way back loses nothing.
 * nir-python.nir was written by nir.write of Python's nir 1.0.8 (python_nir.py --fixture).        */
#define _GNU_SOURCE
#include "nir-rig.h"

enum { T = 24, IN = 8, MOST = 12 };

static void train(const char *name, const char *nodes, const char *wire, int seed)
{
    train_network(name, seed, mls_arena_printf(&arena,
        "{ width: 8, layers: 1, nodes: { mix: { component: mixer.mlp }, %s }, wire: \"%s\" }",
        nodes, wire));
}

/* ---- Euler's rule on NIR's equations ----------------------------------------------- */

static void through(const mls_nir_node *map, const double *x, double *y)
{
    for (int64_t i = 0; i < map->n; i++) {
        y[i] += map->bias ? (double)map->bias[i] : 0.0;
        for (int64_t k = 0; k < map->in; k++) y[i] += (double)map->weight[i * map->in + k] * x[k];
    }
}

/* spikes [T][MOST] of every layer; x [T][IN] enters each Input. */
static int simulate(const mls_nir *g, const float *x, double spikes[][T][MOST], mls_nir_layer **l)
{
    mls_error e = { 0 };
    const int n = mls_nir_layers(g, "graph", l, &arena, &e);
    const double dt = 0.002;
    if (n < 0) fail_msg("%s", e.text);
    for (int k = 0; k < n; k++) {
        const mls_nir_layer *q = &(*l)[k];
        const mls_nir_node *u = &g->node[q->neurons];
        double v[MOST] = { 0 }, syn[MOST] = { 0 };
        for (int t = 0; t < T; t++) {
            double from[IN], in[MOST] = { 0 };
            for (int i = 0; i < IN; i++)
                from[i] = q->source >= 0 ? spikes[q->source][t][i] : (double)x[t * IN + i];
            if (q->map >= 0) through(&g->node[q->map], from, in);
            else memcpy(in, from, sizeof from);
            const double none[MOST] = { 0 };
            if (q->recurrent >= 0)
                through(&g->node[q->recurrent], t ? spikes[k][t - 1] : none, in);
            for (int i = 0; i < u->n; i++) {
                if (u->tau_syn) {
                    syn[i] += dt / (double)u->tau_syn[i] * (-syn[i] + (double)u->w_in[i] * in[i]);
                    in[i] = syn[i];
                }
                v[i] += dt / (double)u->tau[i] *
                        ((double)u->v_leak[i] - v[i] + (double)u->r[i] * in[i]);
                spikes[k][t][i] = v[i] > (double)u->v_threshold[i];
                if (spikes[k][t][i] > 0.0) v[i] = (double)u->v_reset[i];
            }
        }
    }
    return n;
}

/* ---- an encoder and its graph --------------------------------------------------------- */

typedef struct encoder {
    const char *name, *options;   /* as in YAML                                          */
    const char *spec;             /* and in a trace                                      */
    const char *weights;          /* its weights, with blanks between                    */
    int         layers;
} encoder;

static const encoder encoders[] = {
    { "lif", "units: 6, threshold: 0.4, reset: zero, learn_beta: unit",
      "units=6, threshold=0.4, reset=\"zero\", learn_beta=\"unit\"", "weight bias beta", 1 },
    { "synaptic", "units: 6, threshold: 0.4, reset: zero, alpha: 0.6, learn_beta: unit, "
                  "learn_alpha: unit, learn_threshold: scalar",
      "units=6, threshold=0.4, reset=\"zero\", alpha=0.6, learn_beta=\"unit\", "
      "learn_alpha=\"unit\", learn_threshold=\"scalar\"",
      "weight bias beta alpha threshold", 1 },
    { "synaptic", "units: 6, threshold: 0.4, reset: zero, recurrent: all_to_all",
      "units=6, threshold=0.4, reset=\"zero\", recurrent=\"all_to_all\"",
      "weight bias recurrent recurrent_bias", 1 },
    { "plif", "units: 6, threshold: 0.3, reset: zero, learn_tau: unit",
      "units=6, threshold=0.3, reset=\"zero\", learn_tau=\"unit\"", "weight bias tau", 1 },
    { "plif", "units: 6, threshold: 0.3, reset: zero, decay_input: false, tau: 4",
      "units=6, threshold=0.3, reset=\"zero\", decay_input=false, tau=4", "weight bias tau", 1 },
    { "rlif", "units: 6, threshold: 0.4, reset: zero, learn_beta: scalar",
      "units=6, threshold=0.4, reset=\"zero\", learn_beta=\"scalar\"",
      "weight bias beta recurrent recurrent_bias", 1 },
    { "rlif", "units: 6, threshold: 0.4, reset: zero, recurrent: one_to_one, feedback: -0.3",
      "units=6, threshold=0.4, reset=\"zero\", recurrent=\"one_to_one\", feedback=-0.3",
      "weight bias recurrent", 1 },
    { "spike_mlp", "units: 6, hidden: 8, threshold: 0.2, reset: zero, dropout: 0",
      "units=6, hidden=8, threshold=0.2, reset=\"zero\", dropout=0",
      "weight1 bias1 weight2 bias2", 2 },
};
enum { ENCODERS = sizeof encoders / sizeof *encoders };

/* The weights of layer0.`node` from an export, as a trace reads them. */
static void weights_of(const char *from, const char *node, const encoder *x, const char *to)
{
    char list[200], *save = NULL;
    mls_error e = { 0 };
    unlink(in_dir(to));
    snprintf(list, sizeof list, "%s", x->weights);
    for (char *w = strtok_r(list, " ", &save); w; w = strtok_r(NULL, " ", &save)) {
        const mls_bundle_row *r = row(from, mls_arena_printf(&arena, "layer0.%s.%s", node, w));
        assert_true(mls_array_write(in_dir(to), w, r->data, r->rank, r->dim, &e));
    }
}

/* The spikes of an encoder with those weights on the `in/in` of a file. */
static const mls_bundle_row *spikes_of(const char *from, const char *node, const encoder *x,
                                       const char *input, const char *output)
{
    weights_of(from, node, x, "w.h5");
    runs(mls_arena_printf(&arena, "trace 'encoder.%s{%s}' --weights w.h5 --input %s --output %s",
                          x->name, x->spec, input, output));
    return row(output, "out/spikes");
}

static int same_spikes(const float *s, int64_t n, double want[T][MOST])
{
    int fired = 0;
    for (int t = 0; t < T; t++)
        for (int i = 0; i < n; i++) {
            fired += want[t][i] > 0.0;
            if (fabs((double)s[t * n + i] - want[t][i]) > 0.0)
                fail_msg("step %d, unit %d: %g, the graph's is %g", t, i, (double)s[t * n + i],
                         want[t][i]);
        }
    return fired;
}

static void each_encoder(void **state)
{
    (void)state;
    static const char wire[] = "input -> mix -> output; mix -> enc";
    static double spikes[MOST][T][MOST];
    for (int i = 0; i < ENCODERS; i++) {
        const encoder *x = &encoders[i];
        const char *nodes =
            mls_arena_printf(&arena, "enc: { component: encoder.%s, %s }", x->name, x->options);
        const char *a = mls_arena_printf(&arena, "a%d", i), *b = mls_arena_printf(&arena, "b%d", i);
        train(a, nodes, wire, 1);
        runs(mls_arena_printf(&arena, "weights export %s -o %s.nir", a, a));
        if (strstr(said, "mls:")) fail_msg("%s: %s", x->name, said);
        runs(mls_arena_printf(&arena, "weights export %s -o %s.h5", a, a));
        const char *h5 = mls_arena_printf(&arena, "%s.h5", a);
        unlink(in_dir("x.h5"));
        put("x.h5", "in/in", DIM(1, T, IN), shifted, 0);
        const float *s =
            spikes_of(h5, "enc", x, "x.h5", mls_arena_printf(&arena, "y%d.h5", i))->data;
        const mls_nir g = graph_of(mls_arena_printf(&arena, "%s.nir", a));
        mls_nir_layer *l;
        assert_int_equal(simulate(&g, row("x.h5", "in/in")->data, spikes, &l), x->layers);
        const int fired = same_spikes(s, 6, spikes[x->layers - 1]);
        print_message("# %s: %d spikes of %d\n", x->name, fired, T * 6);
        assert_in_range(fired, 5, T * 6 - 5);
        /* into another network, which has other weights, and out again */
        train(b, nodes, wire, 2);
        runs(mls_arena_printf(&arena, "weights import %s.nir %s -o %s-new.h5", a, b, b));
        runs(mls_arena_printf(&arena, "weights export %s-new.h5 -o out.h5", b));
        weights_of("out.h5", "enc", x, "again.h5");
        const mls_bundle was = all_of("w.h5"), is = all_of("again.h5");
        assert_int_equal(was.n, is.n);
        for (int k = 0; k < was.n; k++)
            for (int64_t j = 0; j < count(&was.row[k]); j++) {
                const double p = (double)((const float *)was.row[k].data)[j];
                const double q = (double)((const float *)is.row[k].data)[j];
                if (!(fabs(p - q) <= 2e-6 * (1.0 + fabs(p))))
                    fail_msg("%s: %s[%d] was %.9g and comes back as %.9g", x->name,
                             was.row[k].name, (int)j, p, q);
            }
    }
}

/* e1 -> e2 is a chain; e3 stands beside; e4 hears e2 late, e5 has no name in NIR. */
static void several(void **state)
{
    (void)state;
    static double spikes[MOST][T][MOST];
    const char *nodes =
        "e2: { component: encoder.synaptic, units: 6, threshold: 0.2, reset: zero }, "
        "e1: { component: encoder.lif, units: 8, threshold: 0.2, reset: zero }, "
        "e3: { component: encoder.rlif, units: 5, reset: zero }, "
        "e4: { component: encoder.lif, units: 4, reset: zero }, "
        "e5: { component: encoder.alif, units: 4 }";
    const char *wire =
        "input -> mix -> output; mix -> e1; e1 -> e2; mix -> e3; e2 ~> e4; mix -> e5";
    train("many", nodes, wire, 1);
    runs("weights export many -o many.nir");
    assert_non_null(strstr(said, "23 neurons"));
    assert_non_null(strstr(said, "layer0.e5 is encoder.alif, which has no name in NIR"));
    assert_non_null(strstr(said, "layer0.e4: spikes that come by a late wire"));
    const mls_nir g = graph_of("many.nir");
    int inputs = 0, outputs = 0;
    for (int i = 0; i < g.n_nodes; i++) {
        inputs += g.node[i].type == MLS_NIR_INPUT;
        outputs += g.node[i].type == MLS_NIR_OUTPUT;
    }
    assert_int_equal(inputs, 3);
    assert_int_equal(outputs, 3);                    /* e2, e3, e4 */
    runs("weights export many -o many.h5");
    const encoder one[] = { { "lif", "", "units=8, threshold=0.2, reset=\"zero\"", "weight bias", 1 },
                            { "synaptic", "", "units=6, threshold=0.2, reset=\"zero\"",
                              "weight bias", 1 } };
    unlink(in_dir("in0.h5"));
    put("in0.h5", "in/in", DIM(1, T, IN), shifted, 0);
    mls_nir_layer *l;
    assert_int_equal(simulate(&g, row("in0.h5", "in/in")->data, spikes, &l), 4);
    for (int i = 0; i < 2; i++) {
        mls_error e = { 0 };
        const mls_bundle_row *s = spikes_of("many.h5", i ? "e2" : "e1", &one[i],
                                            i ? "in1.h5" : "in0.h5", i ? "m1.h5" : "m0.h5");
        const char *name = i ? "layer0_e2_cubalif" : "layer0_e1_lif";
        int at = -1;
        for (int k = 0; k < 4; k++)
            if (!strcmp(g.node[l[k].neurons].name, name)) at = k;
        assert_true(at >= 0 && same_spikes(s->data, s->dim[2], spikes[at]) > 5);
        if (!i) assert_true(mls_array_write(in_dir("in1.h5"), "in/in", s->data, 3, s->dim, &e));
    }
    /* back by name, and refused where the wires are others */
    train("many2", nodes, wire, 2);
    runs("weights import many.nir many2 -o many2-new.h5");
    runs("weights export many2-new.h5 -o back.h5");
    const char *const same[] = { "e1.weight", "e2.bias", "e3.recurrent", "e4.weight" };
    for (int i = 0; i < 4; i++) {
        const mls_bundle_row *p = row("many.h5", mls_arena_printf(&arena, "layer0.%s", same[i]));
        const mls_bundle_row *q = row("back.h5", mls_arena_printf(&arena, "layer0.%s", same[i]));
        for (int64_t j = 0; j < count(p); j++)
            assert_float_equal(((const float *)p->data)[j], ((const float *)q->data)[j], 2e-6);
    }
    train("apart", nodes, "input -> mix -> output; mix -> e1; mix -> e2; mix -> e3; e2 ~> e4; "
          "mix -> e5", 2);
    refused("weights import many.nir apart -o n.h5", 1,
            WORDS("\"layer0_e2_cubalif\" gets the spikes of layer0_e1_lif",
                  "layer0.e2 gets no neurons' spikes"));
    runs("weights export many -o e3.nir --node layer0.e3");
    refused("weights import e3.nir many --node layer0.e2 -o n.h5", 1,
            WORDS("\"lif\" is LIF", "encoder.synaptic of layer0.e2 is CubaLIF"));
    refused("weights export many -o n.nir --node layer0.e5", 1,
            WORDS("layer0.e5 is none that NIR has a name for"));
}

/* A graph of Python's own: gzip, float64, w_in and r that no encoder has. */
static void from_python(void **state)
{
    (void)state;
    const char *source = getenv("MLS_SOURCE") ? getenv("MLS_SOURCE") : ".";
    runs(mls_arena_printf(&arena, "weights export many -o x.h5; cp '%s/tests/cli/nir-python.nir' .",
                          source));
    const mls_nir g = graph_of("nir-python.nir");
    mls_nir_layer *l;
    static double spikes[MOST][T][MOST];
    assert_int_equal(simulate(&g, row("in0.h5", "in/in")->data, spikes, &l), 2);
    train("py", "e1: { component: encoder.lif, units: 8, reset: zero, learn_beta: unit, "
          "learn_threshold: unit }, e2: { component: encoder.synaptic, units: 6, threshold: 0.4, reset: zero, "
          "recurrent: all_to_all, learn_alpha: unit, learn_beta: unit }",
          "input -> mix -> output; mix -> e1; e1 -> e2", 1);
    runs("weights import nir-python.nir py -o py-new.h5");
    assert_non_null(strstr(said, "14 neurons"));
    runs("weights export py-new.h5 -o py.h5");
    const encoder one[] = {
        { "lif", "", "units=8, reset=\"zero\", learn_beta=\"unit\", learn_threshold=\"unit\"",
          "weight bias beta threshold", 1 },
        { "synaptic", "", "units=6, threshold=0.4, reset=\"zero\", recurrent=\"all_to_all\", learn_alpha=\"unit\", "
          "learn_beta=\"unit\"", "weight bias alpha beta recurrent recurrent_bias", 1 } };
    unlink(in_dir("in1.h5"));
    for (int i = 0; i < 2; i++) {
        mls_error e = { 0 };
        const mls_bundle_row *s = spikes_of("py.h5", i ? "e2" : "e1", &one[i],
                                            i ? "in1.h5" : "in0.h5", i ? "p1.h5" : "p0.h5");
        const int fired = same_spikes(s->data, s->dim[2], spikes[i]);
        print_message("# layer %d of Python's graph: %d spikes\n", i, fired);
        assert_true(fired > 5);
        if (!i) assert_true(mls_array_write(in_dir("in1.h5"), "in/in", s->data, 3, s->dim, &e));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(each_encoder), cmocka_unit_test(several),
                                        cmocka_unit_test(from_python) };
    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests(tests, make_dir, remove_dir);
}
