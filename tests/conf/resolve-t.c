#include "conf/conf.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

static mls_arena a;
static mls_error e;

static int clean(void **state)
{
    (void)state;
    mls_arena_free(&a);
    a = (mls_arena){ 0 };
    e = (mls_error){ 0 };
    return 0;
}

static mls_value *parse(const char *text)
{
    mls_value *v = mls_yaml_parse(&a, text, strlen(text), "c.yaml", &e);
    assert_string_equal(e.text, "");
    return v;
}

static mls_value *resolve(const char *text)
{
    return mls_conf_resolve(&a, parse(text), &e);
}

static const char *at(const mls_value *v, const char *path)
{
    const mls_value *x = mls_value_get_path(v, path);
    return x ? mls_value_to_json(&a, x, 1) : "absent";
}

static void fails(const char *text, const char *want)
{
    e = (mls_error){ 0 };
    assert_null(resolve(text));
    assert_string_equal(e.text, want);
    e = (mls_error){ 0 };
}

static void test_defaults(void **state)
{
    (void)state;
    const mls_value *v = resolve("task: text\n");
    assert_string_equal(e.text, "");
    static const char *const rows[][2] = {
        {"task", "{\"component\":\"task.text\"}"},
        {"seed", "1"},
        {"record", "[]"},
        {"step_ms", "absent"},
        {"locking", "absent"},
        {"network.width", "128"},
        {"network.layers", "2"},
        {"network.norm", "\"rms\""},
        {"network.residual", "true"},
        {"network.dropout", "0"},
        {"network.chunk", "32"},
        {"network.head", "{\"component\":\"head.linear\"}"},
        {"network.remat", "[]"},
        {"network.events", "\"auto\""},
        {"network.mode", "absent"},
        {"network.nodes.mix.component", "\"mixer.mamba\""},
        {"train.learning_rate", "0.003"},
        {"train.steps", "1000"},
        {"train.clip", "1"},
        {"train.beta2", "0.999"},
        {"train.epsilon", "1e-08"},
        {"train.carry", "false"},
        {"train.schedule", "\"cosine\""},
        {"train.warmup_fraction", "0.05"}};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        assert_string_equal(at(v, rows[i][0]), rows[i][1]);
}

/* A resolved experiment, written and read, resolves to itself. */
static void test_fixed_point(void **state)
{
    (void)state;
    for (int i = 0; mls_conf_modes[i]; i++) {
        const mls_value *v =
            resolve(mls_arena_printf(&a,
                                     "{task: {component: task.text, path: "
                                     "x}, network: {mode: %s, dropout: 0.1}, record: "
                                     "[enc.spikes], train: {epochs: 2}, "
                                     "output_dim: 5}",
                                     mls_conf_modes[i]));
        assert_string_equal(e.text, "");
        const mls_value *again = resolve(mls_value_to_yaml(&a, v));
        assert_string_equal(e.text, "");
        assert_string_equal(mls_value_to_json(&a, again, 1),
                            mls_value_to_json(&a, v, 1));
        assert_string_equal(at(v, "train.steps"), "0");
    }
}

static void test_modes(void **state)
{
    (void)state;
    mls_value *v =
        resolve("{task: text, network: {mode: sequential, nodes: {enc: {units: 7}}}}");
    assert_string_equal(at(v, "network.wire"),
                        "\"input -> enc -> liq -> mix -> output\"");
    assert_string_equal(at(v, "network.nodes.enc"),
                        "{\"component\":\"encoder.lif\",\"units\":7}");
    assert_string_equal(at(v, "network.nodes.fuse"), "absent");
    assert_string_equal(at(v, "network.chunk"), "0");
    v = resolve("{task: text, network: {mode: parallel}}");
    assert_string_equal(at(v, "network.nodes.fuse.component"), "\"fusion.gate\"");
    assert_null(strstr(at(v, "network.wire"), "~>"));
    v = resolve("{task: text, network: {mode: bidirectional, chunk: 4, nodes: {ad: "
                "adapter.potential}}}");
    assert_non_null(strstr(at(v, "network.wire"), "mix ~> liq.mod_tau"));
    assert_non_null(
        strstr(at(v, "network.wire"), "liq -> mix.mod_b; liq -> mix.mod_c"));
    assert_non_null(strstr(at(v, "network.wire"), "enc.membrane -> ad.membrane"));
    assert_string_equal(at(v, "network.chunk"), "4");
    v = resolve("{task: text, network: {mode: attention}}");
    assert_string_equal(at(v, "network.wire"),
                        "[\"input -> att -> output\",\"input -> ffn -> output\"]");
    assert_string_equal(e.text, "");
}

/* Every field of the overview's example, alone, changes what is resolved. */
static void test_every_alias(void **state)
{
    (void)state;
    static const struct { const char *field, *value, *path, *want;
    } rows[] = {
        {"input_dim", "77", "expect.input_dim", "77"},
        {"hidden_dim", "77", "network.width", "77"},
        {"output_dim", "77", "expect.output_dim", "77"},
        {"liquid_units", "77", "network.nodes.liq.units", "77"},
        {"liquid_backbone", "gru", "network.nodes.liq.component", "\"liquid.gru\""},
        {"spiking_units", "77", "network.nodes.enc.units", "77"},
        {"spike_threshold", "0.5", "network.nodes.enc.threshold", "0.5"},
        {"beta", "0.7", "network.nodes.enc.beta", "0.7"},
        {"num_layers", "7", "network.layers", "7"},
        {"use_mamba", "false", "network.nodes.mix.component", "\"mixer.identity\""},
        {"integration_mode", "sequential", "network.nodes.fuse", "absent"},
        {"mamba_d_state", "8", "network.nodes.mix.state", "8"},
        {"mamba_d_conv", "3", "network.nodes.mix.conv", "3"},
        {"mamba_expand", "3", "network.nodes.mix.expand", "3"},
        {"spike_to_mamba_method", "rate", "network.nodes.ad.component",
         "\"adapter.rate\""},
        {"spike_temporal_tau", "9", "network.nodes.ad.tau", "9"},
        {"use_adaptive_gating", "false", "network.nodes.fuse.component",
         "\"fusion.sum\""},
        {"num_gate_heads", "2", "network.nodes.fuse.gate_heads", "2"},
        {"use_cross_attention", "false", "network.nodes.fuse.component",
         "\"fusion.gate\""},
        {"cross_attn_heads", "2", "network.nodes.fuse.heads", "2"},
        {"sequence_length", "99", "task.length", "99"},
        {"batch_size", "3", "train.batch", "3"},
        {"learning_rate", "1e-4", "train.learning_rate", "0.0001"},
        {"num_epochs", "20", "train.epochs", "20"},
        {"task_type", "LLM", "task.component", "\"task.text\""},
    };
    const char *plain =
        mls_value_to_json(&a, resolve("task: {component: task.text}"), 1);
    int aliases = 0;
    while (mls_aliases[aliases].name) aliases++;
    assert_int_equal(aliases, (int)(sizeof rows / sizeof *rows));
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        const int is_task = !strcmp(rows[i].field, "task_type");
        const mls_value *v = resolve(mls_arena_printf(&a, "%s: %s\n%s\n", rows[i].field,
            rows[i].value, is_task ? "" : "task: {component: task.text}"));
        assert_string_equal(e.text, "");
        assert_string_equal(at(v, rows[i].path), rows[i].want);
        if (!is_task) assert_string_not_equal(mls_value_to_json(&a, v, 1), plain);
    }
}

static void test_contradictions(void **state)
{
    (void)state;
    fails(
        "num_layers: 3\nnetwork: {layers: 2}\ntask: text\n",
        "c.yaml:1:13: \"num_layers\" says 3, but \"network.layers\" says 2 at line 2");
    fails("task_type: vision\n",
          "c.yaml:1:12: task_type \"vision\" is not one of llm, text; name "
          "the task's component and its data instead, as task: { component: task.text, "
          "path: ... "
          "} (see mls list task)");
    fails("task: text\nuse_mamba: maybe\n",
          "c.yaml:2:12: \"use_mamba\" is a string; expected true or false");
    resolve("task: text\nnum_layers: 2\nnetwork: {layers: 2}\n");
    assert_false(e.set);
}

/* What the command line says in the overview's words wins over the file. */
static void test_over(void **state)
{
    (void)state;
    mls_value *v =
        parse("task: text\nnum_layers: 3\nuse_mamba: false\nmamba_d_state: 8\n"
              "network: {width: 16}\n");
    const char *notes =
        mls_conf_overview(&a, v, parse("{num_layers: 5, hidden_dim: 32}"), &e);
    assert_string_equal(e.text, "");
    assert_string_equal(
        notes, "c.yaml:4:16: mamba_d_state has no effect: use_mamba is false\n");
    assert_string_equal(at(v, "network.layers"), "5");
    assert_string_equal(at(v, "network.width"), "32");
    assert_string_equal(at(v, "num_layers"), "absent");
}

static void test_messages(void **state)
{
    (void)state;
    fails("train: {steps: 1}\n",
          "c.yaml:1:1: no task: an experiment needs task: { component: "
          "task.text, ... } (see mls list task)");
    fails(
        "[1]\n",
        "c.yaml:1:1: an experiment is a map with task, network and train, not a list");
    fails("task: text\ntrain:\n  optimizer: sgd\n",
          "c.yaml:3:3: unknown key \"optimizer\" in train; did you mean \"optimiser\"? "
          "(known: "
          "optimiser, loss, loss_on, loss_off, learning_rate, beta1, beta2, epsilon, weight_decay, momentum, "
          "schedule, "
          "final_rate, warmup_steps, warmup_fraction, clip, accumulate, batch, steps, "
          "epochs, "
          "tokens, minutes, evaluate_every, evaluate_batches, patience, "
          "checkpoint_every, precision, carry, "
          "exact)");
    fails("task: text\ntrain: {schedule: cosin}\n",
          "c.yaml:2:19: train.schedule = \"cosin\" is "
          "not one of constant|cosine|linear; did you mean \"cosine\"?");
    fails("task: text\nnetwork: {width: 0}\n",
          "c.yaml:2:18: network.width = 0 lies outside 1 to 65536");
    fails("task: text\nnetwork: {residual: yes}\n",
          "c.yaml:2:21: \"residual\" is the string \"yes\"; expected true or false");
    fails("task: text\nnetwork: {mode: sequential, wire: a}\n",
          "c.yaml:2:35: network.wire and "
          "network.mode exclude each other: a mode is a wiring");
    fails("task: text\nnetwork: {nodes: {foo: liquid.cfc}}\n",
          "c.yaml:2:24: network.wire is "
          "missing: say how \"foo\" is connected, as wire: \"input -> foo -> output\", "
          "or name a "
          "mode");
    fails("task: text\nnetwork: {nodes: {enc: {units: 3}}, wire: x}\n",
          "c.yaml:2:24: "
          "network.nodes.enc has no component; expected component: kind.name (see mls "
          "list)");
    fails("task: text\nnetwork: {remat: [nope]}\n",
          "c.yaml:2:19: network.remat names \"nope\", which is no node");
}

static void test_set(void **state)
{
    (void)state;
    mls_value *v = parse("task: text\nnetwork: {nodes: {enc: encoder.lif}}\n");
    mls_conf_set(&a, v, "train.steps=100", &e);
    mls_conf_set(&a, v, "network.nodes.enc.units=12", &e);
    mls_conf_set(&a, v, "record=[enc.spikes, {selector: liq.out, every: 5}]", &e);
    mls_conf_set(&a, v, "task.path=a=b", &e);
    assert_string_equal(e.text, "");
    v = mls_conf_resolve(&a, v, &e);
    assert_string_equal(e.text, "");
    assert_string_equal(at(v, "train.steps"), "100");
    assert_string_equal(at(v, "network.nodes.enc"),
                        "{\"component\":\"encoder.lif\",\"units\":12}");
    assert_string_equal(at(v, "record.1.every"), "5");
    assert_string_equal(at(v, "task"),
                        "{\"component\":\"task.text\",\"path\":\"a=b\"}");
    mls_conf_set(&a, v, "steps", &e);
    assert_string_equal(e.text, "\"steps\" is no assignment; expected path=value, as "
                        "train.steps=100");
}

static void test_unused(void **state)
{
    (void)state;
    assert_string_equal(
        mls_conf_unused(&a, parse("{network: {mode: mamba, nodes: {mix: {}, enc: "
                                  "{}}}}")),
        "c.yaml:1:47: network.nodes.enc has no effect: the mode mamba has no place for "
        "it\n");
    assert_string_equal(mls_conf_unused(&a, parse("{network: {wire: x}}")), "");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(test_defaults, clean),
        cmocka_unit_test_teardown(test_fixed_point, clean),
        cmocka_unit_test_teardown(test_modes, clean),
        cmocka_unit_test_teardown(test_every_alias, clean),
        cmocka_unit_test_teardown(test_contradictions, clean),
        cmocka_unit_test_teardown(test_over, clean),
        cmocka_unit_test_teardown(test_messages, clean),
        cmocka_unit_test_teardown(test_set, clean),
        cmocka_unit_test_teardown(test_unused, clean),
    };
    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests_name("resolve", tests, NULL, NULL);
}
