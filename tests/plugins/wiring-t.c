/* Wirings: the very ones that ncps draws, those of a file; and the cell made of layers.
 */
#define _GNU_SOURCE
static const char *file_name = "liquid/ltc.so";
#define FILE_NAME file_name
#include "recurrent.h"

#include "wired-golden.h"
#include "wiring-golden.h"

static uint64_t hash_of(const float *m, int64_t n, uint64_t h)
{
    for (int64_t i = 0; i < n; i++) h = (h ^ (uint8_t)(int8_t)m[i]) * 0x100000001b3u;
    return h;
}

static int count_of(const float *m, int64_t n)
{
    int sum = 0;
    for (int64_t i = 0; i < n; i++) sum += m[i] != 0.0f;
    return sum;
}

static void drawn_as_ncps(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof golden_wiring / sizeof *golden_wiring; i++) {
        const struct drawn *d = &golden_wiring[i];
        cell c;
        cell_open(&c, FILE_NAME, d->options, 1, (int64_t[CELL_PORTS]){d->inputs}, 1);
        const mls_tensor *a = weight_named(&c, "erev")->t;
        const mls_tensor *s = weight_named(&c, "sensory_erev")->t;
        assert_int_equal(s->count, d->inputs * a->dim[2]);
        if (count_of(a->data, a->count) != d->synapses ||
            count_of(s->data, s->count) != d->sensory)
            fail_msg("%s: %d and %d synapses, ncps has %d and %d", d->options,
                     count_of(a->data, a->count), count_of(s->data, s->count),
                     d->synapses, d->sensory);
        const uint64_t h = hash_of(a->data, a->count, 0xcbf29ce484222325u);
        if (hash_of(s->data, s->count, h) != d->hash)
            fail_msg("%s: other synapses than those of ncps", d->options);
        cell_close(&c);
    }
}

/* ---- A file that lies in memory -----------------------------------------------------
 */

static struct disk {
    float adjacency[19 * 19], sensory[8 * 19], layers[3];
    int64_t dim[4], inputs, layer_count;
} disk;

static int read_disk(mls_ctx *c, const char *path, const char *name, int optional,
                     mls_array *out)
{
    (void)c, (void)path;
    *out = (mls_array){disk.adjacency, 2, {disk.dim[0], disk.dim[1], 1, 1}};
    if (!strcmp(name, "sensory"))
        *out = (mls_array){disk.sensory, 2, {disk.inputs, disk.dim[0], 1, 1}};
    if (!strcmp(name, "layers"))
        *out = (mls_array){disk.layers, 1, {disk.layer_count, 1, 1, 1}};
    return !optional || disk.layer_count > 0;
}

static const mls_array_file reader = {sizeof reader, read_disk};

static void fill_disk(int with_layers)
{
    disk =
        (struct disk){.dim = {19, 19}, .inputs = 8, .layer_count = with_layers ? 3 : 0};
    for (int i = 0; i < 19 * 19; i++) disk.adjacency[i] = (float)wired_adjacency[i];
    for (int i = 0; i < 8 * 19; i++) disk.sensory[i] = (float)wired_sensory[i];
    memcpy(disk.layers, (float[]){11.0f, 7.0f, 1.0f}, sizeof disk.layers);
    mls_plug_extend("mls.array-file/1", &reader);
}

static void from_a_file(void **state)
{
    (void)state;
    cell c;
    fill_disk(0);
    cell_open(&c, "liquid/ltc.so", "outputs=1 wiring_file=w.h5", 1,
              (int64_t[CELL_PORTS]){8}, 1);
    assert_memory_equal(weight_named(&c, "erev")->t->data, disk.adjacency,
                        sizeof disk.adjacency);
    assert_memory_equal(weight_named(&c, "sensory_erev")->t->data, disk.sensory,
                        sizeof disk.sensory);
    cell_close(&c);
}

/* What the context says of a file that does not fit. */
static void refuses(const char *options, const char *words)
{
    cell c;
    cell_open(&c, "liquid/ltc.so", "units=2 outputs=1", 1, (int64_t[CELL_PORTS]){8}, 1);
    void *self = mls_arena_zalloc(&c.arena, c.component->self_size);
    mls_value *map = mls_value_map(&c.arena);
    char key[40], value[40];
    if (sscanf(options, "%39[^=]=%39s", key, value) == 2)
        mls_value_set(&c.arena, map, mls_arena_strdup(&c.arena, key),
                      mls_value_real(&c.arena, atof(value)));
    mls_value_set(&c.arena, map, "wiring_file", mls_value_string(&c.arena, "w.h5"));
    if (strncmp(options, "outputs", 7))
        mls_value_set(&c.arena, map, "outputs", mls_value_real(&c.arena, 1));
    const char *const none[] = {NULL};
    mls_option_apply(&c.registry, c.component, map, none, self, &c.arena, &c.error);
    assert_false(c.error.set);
    c.component->setup(&c.c, self);
    if (!c.error.set || !strstr(c.error.text, words))
        fail_msg("said \"%s\", expected \"%s\"", c.error.set ? c.error.text : "nothing",
                 words);
    cell_close(&c);
}

static void bad_files(void **state)
{
    (void)state;
    fill_disk(0);
    refuses("units=18", "units is 18, but \"adjacency\" of w.h5 has 19");
    refuses("outputs=20", "has 19 neurons, fewer than the 20 outputs");
    disk.inputs = 7;
    refuses("", "\"sensory\" is [7][19] (2 axes), expected [8][19]");
    fill_disk(0);
    disk.adjacency[20] = 0.5f;
    refuses("", "\"adjacency\"[1][1] is 0.5, expected -1, 0 or 1");
    fill_disk(1);
    disk.layers[1] = 6.0f;
    refuses("", "\"layers\" has 18 neurons, the last layer 1; expected 19 neurons");
    disk.layers[1] = -7.0f;
    refuses("", "\"layers\"[1] is -7, expected a number of neurons");
}

/* ---- The cell made of layers
 * -------------------------------------------------------------- */

static void wired_golden_of(const char *options)
{
    enum { T = 3, B = 2, S = 8, U = 19 };
    cell c;
    double worst = 0.0;
    file_name = "liquid/wired_cfc.so";
    cell_open(&c, FILE_NAME, options, B, (int64_t[CELL_PORTS]){S}, 1);
    assert_int_equal(c.n_weights, 24);
    for (int j = 0; j < 24; j++) closed_form(&c.weight[j], j);
    assert_string_equal(c.weight[16].name, "layer_2.ff1.weight");
    for (int t = 0; t < T; t++) {
        float x[B * S];
        for (int i = 0; i < B * S; i++)
            x[i] = (float)cos(0.9 * ((i / S * T + t) * S + i % S));
        cell_begin(&c, 0);
        const mls_t in[CELL_PORTS] = {cell_input(&c, x, NULL, 1, S)};
        cell_forward(&c, in);
        memcpy(c.state[0].data, c.state[0].now->data, B * U * sizeof(float));
        for (int b = 0; b < B; b++)
            worst = fmax(worst, far_off("state", c.state[0].data + b * U,
                                        wired_y + (b * T + t) * U, U, 1e-6));
    }
    print_message("# %s: states differ by %.1e\n", options, worst);
    cell_close(&c);
}

static void wired_golden(void **state)
{
    (void)state;
    wired_golden_of("units=19 outputs=1");
    fill_disk(1);
    wired_golden_of("outputs=1 wiring_file=w.h5");
}

static void wired_gradients(void **state)
{
    (void)state;
    const int all = 1 << DT | 1 << TAU | 1 << MASK;
    file_name = "liquid/wired_cfc.so";
    gradients_of("units=15 outputs=6", all);
    gradients_of("outputs=6 wiring=random units=8 mode=pure", 1 << DT);
    gradients_of("outputs=6 wiring=ncp mode=no_gate", 0);
}

static void wired_chunks(void **state)
{
    (void)state;
    file_name = "liquid/wired_cfc.so";
    for (int exact = 0; exact < 2; exact++)
        chunks_of("units=15 outputs=6", 1 << DT | 1 << MASK, exact ? MLS_EXACT : 0);
}

int main(void)
{
    cmocka_set_message_output(CM_OUTPUT_TAP);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(drawn_as_ncps),   cmocka_unit_test(from_a_file),
        cmocka_unit_test(bad_files),       cmocka_unit_test(wired_golden),
        cmocka_unit_test(wired_gradients), cmocka_unit_test(wired_chunks),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
