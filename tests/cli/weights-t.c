/* mls weights: of a trained trial to files and back to the same figures, and every refusal. */
#define _GNU_SOURCE
#include "trace-rig.h"

static const char config[] =
    "task: { component: task.delayed_copy, length: 8, symbols: 4, delay: 2, training: 8, "
    "validation: 4, test: 4 }\n"
    "network: { width: 8, layers: 1, nodes: { mix: { component: mixer.mamba, state: 2 } },\n"
    "  wire: \"input -> mix -> output\" }\n"
    "train: { steps: 3, batch: 4 }\n";

static char first[2000];

static int make_trial(void **state)
{
    if (make_dir(state)) return -1;
    text_file("c.yaml", config);
    runs("train c.yaml --out t --quiet");
    runs("eval t");
    const char *figures = strstr(said, "samples:");
    snprintf(first, sizeof first, "%s", figures ? figures : "");
    return 0;
}

static void same_figures(void)
{
    runs("eval t");
    assert_non_null(strstr(said, "loss"));
    assert_string_equal(strstr(said, "samples:"), first);
}

static void same_tensors(const char *a, const char *b)
{
    const mls_bundle x = all_of(a), y = all_of(b);
    assert_int_equal(x.n, y.n);
    int same = 0;
    for (int i = 0; i < x.n; i++)
        for (int j = 0; j < y.n; j++)
            if (!strcmp(x.row[i].name, y.row[j].name)) {
                assert_int_equal(x.row[i].rank, y.row[j].rank);
                assert_memory_equal(x.row[i].dim, y.row[j].dim, sizeof x.row[i].dim);
                assert_memory_equal(x.row[i].data, y.row[j].data,
                                    (size_t)count(&x.row[i]) * sizeof(float));
                same++;
            }
    assert_int_equal(same, x.n);
}

static void there_and_back(void **state)
{
    (void)state;
    runs("weights export t -o w.safetensors");
    runs("weights export t/checkpoint-3.h5 -o w.h5");
    same_tensors("w.safetensors", "w.h5");
    const mls_bundle_row *r = row("w.h5", "layer0.mix.conv1d.weight");
    assert_true(r->rank == 3 && r->dim[0] == 16 && r->dim[1] == 1);
    assert_int_equal(row("w.h5", "layer0.mix.D")->rank, 1);
    assert_int_equal(row("w.h5", "layer0.norm0.weight")->rank, 1);
    assert_int_equal(row("w.h5", "head.weight")->rank, 2);
    runs("weights list w.safetensors");
    assert_non_null(strstr(said, "layer0.mix.in_proj.weight"));
    /* weights of another seed in between, so that a file that is not read is noticed */
    runs("trace t --init 9 --input x.h5 --output y9.h5");
    runs("weights import y9.h5 t -o t/checkpoint-best.h5");
    runs("eval t");
    assert_string_not_equal(strstr(said, "samples:"), first);
    runs("weights import w.safetensors t -o t/checkpoint-best.h5");
    same_figures();
    runs("weights import w.h5 t -o t/checkpoint-best.h5");
    same_figures();
    runs("weights export t -o w2.h5");
    same_tensors("w.h5", "w2.h5");
}

static void in_a_trace(void **state)
{
    (void)state;
    runs("trace t --weights w.safetensors --input x.h5 --output y1.h5");
    runs("trace t --weights t/checkpoint-3.h5 --input x.h5 --output y2.h5");
    same_tensors("y1.h5", "y2.h5");
    assert_int_equal(row("y1.h5", "out/output")->dim[1], 5);
}

static float halves(int k, int j) { (void)j; return 0.5f * (float)k; }
static float large(int k, int j) { (void)j; return (float)k; }

static void bad_tokens(void **state)
{
    (void)state;
    put("h.h5", "in/input", DIM(1, 5), halves, 0);
    put("l.h5", "in/input", DIM(1, 5), large, 0);
    refused("trace t --weights w.h5 --input h.h5 --output n.h5", 1,
            WORDS("in/input has 0.5 at step 1 of sample 0, expected a token"));
    refused("trace t --weights w.h5 --input l.h5 --output n.h5", 1,
            WORDS("token 4 at step 4 of sample 0 lies outside 0 to 3"));
}

/* A folder whose only checkpoint is of step 0 is trained from there. */
static void begins_there(void **state)
{
    (void)state;
    assert_int_equal(system(mls_arena_printf(&arena, "cd %s && mkdir u && cp t/config.yaml u",
                                             dir)), 0);
    runs("weights import w.h5 u -o u/checkpoint-0.h5");
    runs("train c.yaml --out u --quiet");
    runs("weights export u/checkpoint-3.h5 -o w3.h5");
    const float *a = row("w.h5", "head.weight")->data, *b = row("w3.h5", "head.weight")->data;
    double far = 0.0;
    for (int i = 0; i < 32; i++) far += fabs((double)a[i] - (double)b[i]);
    assert_true(far > 0.0 && far / 32 < 0.02);   /* three steps away, not a fresh draw   */
}

static void refusals(void **state)
{
    (void)state;
    refused("weights", 2, WORDS("expected export, import or list"));
    refused("weights exprt t", 2, WORDS("did you mean \"export\""));
    refused("weights export t", 2, WORDS("mls weights export DIR"));
    refused("weights import w.h5 -o x", 2, WORDS("mls weights import"));
    refused("weights list w.h5 -o x", 2, WORDS("mls weights list"));
    refused("weights export absent -o n.h5", 1, WORDS("absent: No such file"));
    refused("weights export t -o nowhere/n.safetensors", 1, WORDS("nowhere/n.safetensors"));
    refused("weights import absent.h5 t -o n.h5", 1, WORDS("absent.h5: No such file"));
    refused("weights import w.h5 absent -o n.h5", 1, WORDS("absent/config.yaml"));
    put("few.h5", "head.weight", DIM(4, 7), sine, 0);
    put("few.h5", "head.wait", DIM(4), sine, 0);
    refused("weights import few.h5 t -o n.h5", 1,
            WORDS("few.h5 does not fit the network of t", "extra head.wait [4]",
                  "misshapen head.weight: the file has [4][7], [4][8] is needed",
                  "missing layer0.mix.A_log [16][2]", "missing embedding.weight"));
    assert_int_not_equal(access(in_dir("n.h5"), F_OK), 0);
}

static void damaged(void **state)
{
    (void)state;
    assert_int_equal(system(mls_arena_printf(&arena, "cd %s && cp t/checkpoint-3.h5 d.h5 && "
        "printf x | dd of=d.h5 bs=1 seek=5000 conv=notrunc 2>/dev/null && mkdir none", dir)), 0);
    refused("weights export d.h5 -o n.h5", 1, WORDS("d.h5: is damaged"));
    refused("weights export none -o n.h5", 1, WORDS("no checkpoint-*.h5"));
}

static float tokens(int k, int j) { (void)j; return (float)(k % 4); }

static int start(void **state)
{
    if (make_trial(state)) return -1;
    put("x.h5", "in/input", DIM(2, 5), tokens, 0);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(there_and_back), cmocka_unit_test(in_a_trace),
        cmocka_unit_test(bad_tokens),
        cmocka_unit_test(begins_there), cmocka_unit_test(refusals), cmocka_unit_test(damaged)
    };
    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests(tests, start, remove_dir);
}
