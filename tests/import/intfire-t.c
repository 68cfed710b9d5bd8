/* The example 300_intfire of the SONATA repository, simulated event by event from its files
 * (nodes, edges, tables of types, inputs) and compared with NEURON's own spikes.
 *
 * IntFire1: m decays by exp(-t / tau); an event adds sign weight nsyns; m > 1 is a spike, after
 * which the cell is deaf for refrac and m is 0.                                           */
#include "import.h"
#include "import/types.h"
#include "rec/sonata.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#define EXAMPLES "sonata-conformance/AllenInstitute_sonata/examples"
enum { CELLS = 300, SOURCES = 3 };

typedef struct event { double time; int64_t order; int cell; double weight; } event;
typedef struct edge { int target; double weight, delay; } edge;
typedef struct net {                       /* edges of each source node, in file order   */
    int64_t n, *first;
    edge   *edge;
} net;

static mls_arena  arena;
static mls_error  error;
static mls_import tools = { .a = &arena, .e = &error };
static event  *heap;
static int64_t n_heap, room, pushed;

static int before(const event *a, const event *b)
{
    return a->time < b->time || (a->time == b->time && a->order < b->order);
}

static void push(double time, int cell, double weight)
{
    if (n_heap == room) heap = realloc(heap, (size_t)(room = 2 * room + 1024) * sizeof *heap);
    assert_non_null(heap);
    int64_t i = n_heap++;
    heap[i] = (event){ time, pushed++, cell, weight };
    for (; i > 0 && before(&heap[i], &heap[(i - 1) / 2]); i = (i - 1) / 2) {
        const event keep = heap[i];
        heap[i] = heap[(i - 1) / 2];
        heap[(i - 1) / 2] = keep;
    }
}

static event pop(void)
{
    const event top = heap[0];
    heap[0] = heap[--n_heap];
    for (int64_t i = 0, k; (k = 2 * i + 1) < n_heap; i = k) {
        if (k + 1 < n_heap && before(&heap[k + 1], &heap[k])) k++;
        if (before(&heap[i], &heap[k])) break;
        const event keep = heap[i];
        heap[i] = heap[k];
        heap[k] = keep;
    }
    return top;
}

static const char *in_example(const char *format, const char *name)
{
    char path[400], relative[300];
    snprintf(relative, sizeof relative, format, name);
    snprintf(path, sizeof path, EXAMPLES "/%s", relative);
    return data_path(path);
}

/* "sign": -1 of a small JSON file. */
static double from_json(const char *folder, const char *file, const char *key)
{
    char relative[300], quoted[60];
    snprintf(relative, sizeof relative, "shared_components/%s/%s", folder, file);
    const char *path = in_example("%s", relative);
    assert_non_null(path);
    const char *text = mls_import_text(&tools, path, 1 << 20, NULL);
    assert_non_null(text);
    snprintf(quoted, sizeof quoted, "\"%s\":", key);
    const char *at = strstr(text, quoted);
    assert_non_null(at);
    return atof(at + strlen(quoted));
}

/* {"level_of_detail": ..., "sign": -1}: without a sign it is excitatory */
static void read_net(const char *name, int64_t nodes, net *out)
{
    mls_sonata_edges e;
    mls_types t;
    if (!mls_sonata_edges_read(in_example("300_intfire/network/%s_edges.h5", name), "nsyns",
                               &arena, &e, &error) ||
        !mls_types_read(&tools, in_example("300_intfire/network/%s_edge_types.csv", name), &t))
        fail_msg("%s", error.text);
    out->n = nodes;
    out->first = calloc((size_t)nodes + 2, sizeof *out->first);
    out->edge = calloc((size_t)e.n + 1, sizeof *out->edge);
    for (int64_t i = 0; i < e.n; i++) {
        assert_true(e.source[i] < nodes && e.target[i] < CELLS);
        out->first[e.source[i] + 1]++;
    }
    for (int64_t s = 0; s < nodes; s++) out->first[s + 1] += out->first[s];
    int64_t *at = malloc((size_t)nodes * sizeof *at);
    memcpy(at, out->first, (size_t)nodes * sizeof *at);
    double weight[200] = { 0 }, delay[200] = { 0 };
    for (int64_t i = 0; i < e.n; i++) {
        const int64_t k = e.type[i];
        assert_in_range(k, 0, 199);
        if (delay[k] == 0) {
            const char *file = mls_types_text(&tools, &t, k, "dynamics_params");
            delay[k] = mls_types_number(&tools, &t, k, "delay");
            weight[k] = mls_types_number(&tools, &t, k, "syn_weight");
            if (error.set) fail_msg("%s", error.text);
            weight[k] *= from_json("synaptic_models", file, "sign");
        }
        out->edge[at[e.source[i]]++] = (edge){ (int)e.target[i], weight[k] * e.value[i],
                                               delay[k] };
    }
    free(at);
}

static void send(const net *n, int64_t source, double time)
{
    for (int64_t k = n->first[source]; k < n->first[source + 1]; k++)
        push(time + n->edge[k].delay, n->edge[k].target, n->edge[k].weight);
}

static void read_cells(double tau[CELLS], double refrac[CELLS])
{
    mls_sonata_nodes nodes;
    mls_types t;
    if (!mls_sonata_nodes_read(in_example("%s", "300_intfire/network/v1_nodes.h5"), &arena,
                               &nodes, &error) ||
        !mls_types_read(&tools, in_example("%s", "300_intfire/network/v1_node_types.csv"), &t))
        fail_msg("%s", error.text);
    assert_int_equal(nodes.n, CELLS);
    for (int64_t i = 0; i < CELLS; i++) {
        const char *file = mls_types_text(&tools, &t, nodes.type[i], "dynamics_params");
        if (!file) fail_msg("%s", error.text);
        tau[nodes.id[i]] = 1000.0 * from_json("point_neuron_models_dir", file, "tau");
        refrac[nodes.id[i]] = 1000.0 * from_json("point_neuron_models_dir", file, "refrac");
    }
}

static int by_time(const void *a, const void *b)
{
    const event *x = a, *y = b;
    if (fabs(x->time - y->time) > 1e-9) return x->time < y->time ? -1 : 1;
    return (x->cell > y->cell) - (x->cell < y->cell);
}

static void spike_for_spike(void **state)
{
    (void)state;
    static const char *const name[SOURCES] = { "v1_v1", "lgn_v1", "tw_v1" };
    static const int64_t nodes[SOURCES] = { CELLS, 4096, 4096 };
    net n[SOURCES];
    double tau[CELLS], refrac[CELLS], m[CELLS] = { 0 }, last[CELLS] = { 0 }, deaf[CELLS];
    mls_sonata_spikes *s, *golden;
    int populations;
    if (!in_example("%s", "300_intfire/network/v1_v1_edges.h5")) skip();
    read_cells(tau, refrac);
    for (int i = 0; i < SOURCES; i++) read_net(name[i], nodes[i], &n[i]);
    for (int i = 0; i < CELLS; i++) deaf[i] = -1;
    for (int i = 1; i < SOURCES; i++) {
        const char *path = in_example("300_intfire/inputs/%s_spikes.h5", i == 1 ? "lgn" : "tw");
        if (!mls_sonata_spikes_read(path, &arena, &s, &populations, &error))
            fail_msg("%s", error.text);
        assert_int_equal(s->n, i == 1 ? 2738 : 295);
        for (int64_t k = 0; k < s->n; k++) send(&n[i], s->node[k], s->time[k]);
    }
    event *out = malloc(20000 * sizeof *out);
    int64_t spikes = 0;
    while (n_heap) {
        const event v = pop();
        const int c = v.cell;
        if (v.time > 3000.0) break;
        if (v.time < deaf[c]) continue;
        if (deaf[c] >= 0) {
            last[c] = deaf[c];
            m[c] = 0;
            deaf[c] = -1;
        }
        m[c] = m[c] * exp(-(v.time - last[c]) / tau[c]) + v.weight;
        last[c] = v.time;
        if (m[c] <= 1) continue;
        assert_true(spikes < 20000);
        out[spikes++] = (event){ .time = v.time, .cell = c };
        deaf[c] = v.time + refrac[c];
        send(&n[0], c, v.time);
    }
    if (!mls_sonata_spikes_read(in_example("%s", "300_intfire/output/spikes.h5"), &arena,
                                &golden, &populations, &error))
        fail_msg("%s", error.text);
    event *want = malloc((size_t)golden->n * sizeof *want);
    for (int64_t k = 0; k < golden->n; k++)
        want[k] = (event){ .time = golden->time[k], .cell = (int)golden->node[k] };
    qsort(want, (size_t)golden->n, sizeof *want, by_time);
    qsort(out, (size_t)spikes, sizeof *out, by_time);
    int64_t same = 0;
    double worst = 0;
    for (int64_t k = 0; k < spikes && k < golden->n; k++) {
        const double off = fabs(out[k].time - want[k].time);
        if (out[k].cell != want[k].cell || off > 1e-9) continue;
        if (off > worst) worst = off;
        same++;
    }
    printf("# %lld of %lld spikes (%lld simulated), times within %.1e ms\n", (long long)same,
           (long long)golden->n, (long long)spikes, worst);
    assert_int_equal(golden->n, 4322);
    assert_int_equal(spikes, golden->n);
    assert_int_equal(same, golden->n);
    for (int i = 0; i < SOURCES; i++) {
        free(n[i].first);
        free(n[i].edge);
    }
    free(want);
    free(out);
    free(heap);
}

static void other_writers(void **state)
{
    (void)state;
    const char *spikes = in_example("%s", "300_intfire/output/spikes.h5");
    if (!spikes) skip();
    assert_true(import(dir_path("v1.h5"), "sonata", spikes, "--window", "100", "--channels",
                       "300", NULL));
    hsize_t dim[4];
    int64_t *length = column(dir_path("v1.h5"), "length", H5T_NATIVE_INT64, dim), all = 0;
    for (hsize_t i = 0; i < dim[0]; i++) all += length[i];
    assert_int_equal(all, 4322);
    free(length);
    const char *other = data_path("sonata-conformance/BlueBrain_libsonata/tests/data/spikes.h5");
    if (!other) return;
    mls_sonata_spikes *s;
    int n;
    if (!mls_sonata_spikes_read(other, &arena, &s, &n, &error)) fail_msg("%s", error.text);
    int empty = 0;
    for (int i = 0; i < n; i++) empty += s[i].n == 0;
    assert_true(n > 1 && empty == 1);
    assert_true(import(dir_path("bb.h5"), "sonata", other, NULL));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(spike_for_spike),
        cmocka_unit_test(other_writers),
    };
    cmocka_set_message_output(CM_OUTPUT_TAP);
    dir_make();
    const int failed = cmocka_run_group_tests(tests, NULL, NULL);
    mls_arena_free(&arena);
    dir_remove();
    return failed;
}
