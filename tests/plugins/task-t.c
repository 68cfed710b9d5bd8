/* task.text, selective_copying and delayed_copy: what they promise of samples. */
#include <errno.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <cmocka.h>

#include "conf/conf.h"
#include "grad/ctx.h"
#include "net/net.h"

enum { MAX_STEPS = 1024 };

static mls_registry registry;

typedef struct bench {
    mls_arena arena;
    mls_error error;
    mls_ctx c;
    const mls_task *task;
    void *self;
    mls_task_shape shape;
    int32_t token[MAX_STEPS], label[MAX_STEPS];
    mls_sample s;
} bench;

static bench k;

static int start(void **state)
{
    (void)state;
    mls_error e = { 0 };
    mls_plug_init();
    if (mls_registry_load(&registry, NULL, &e)) return 0;
    fprintf(stderr, "%s\n", e.text);
    return 1;
}

static int stop(void **state)
{
    (void)state;
    mls_registry_free(&registry);
    return 0;
}

/* options: YAML flow pairs; a failure of open stays in k.error. */
static void open_task(const char *name, const char *options)
{
    memset(&k, 0, sizeof k);
    /* fills the services of the host that need a network */
    mls_error ignored = { 0 };
    mls_net_build(&(mls_net_config){ &registry, NULL, &(mls_task_shape){ 0 }, 0, 0 },
                  &ignored);
    k.c = (mls_ctx){ &k.error, "task", NULL, &k.arena, 1, NULL, NULL };
    const mls_component *c = mls_registry_find(&registry, name, NULL, &k.error);
    if (!c) fail_msg("%s", k.error.text);
    char *text = mls_arena_printf(&k.arena, "{%s}", options);
    const mls_value *map =
        mls_yaml_parse(&k.arena, text, strlen(text), "test", &k.error);
    k.self = mls_arena_zalloc(&k.arena, c->self_size);
    assert_non_null(k.self);
    mls_option_apply(&registry, c, map, NULL, k.self, &k.arena, &k.error);
    if (k.error.set) fail_msg("%s", k.error.text);
    k.task = c->task;
    k.task->open(&k.c, k.self, &k.shape);
}

static void opened(const char *name, const char *options)
{
    open_task(name, options);
    if (k.error.set) fail_msg("%s", k.error.text);
    assert_true(k.shape.steps <= MAX_STEPS);
}

static void refused(const char *name, const char *options, const char *says)
{
    open_task(name, options);
    if (!k.error.set || !strstr(k.error.text, says))
        fail_msg("%s {%s}: \"%s\" lacks \"%s\"", name, options, k.error.text, says);
    mls_arena_free(&k.arena);
}

static void fill(int split, int64_t index, uint64_t key)
{
    for (int t = 0; t < MAX_STEPS; t++) k.token[t] = k.label[t] = -7;
    k.s = (mls_sample){ .steps = k.shape.steps, .token = k.token, .label = k.label };
    k.task->fill(&k.c, k.self, split, index, key, &k.s);
    for (int64_t t = 0; t < MAX_STEPS; t++)
        if (t < k.s.steps) {
            assert_in_range(k.token[t], 0, k.shape.vocabulary - 1);
            assert_true(k.label[t] >= -1 && k.label[t] < k.shape.output);
        } else {
            assert_true(k.token[t] == -7 && k.label[t] == -7);
        }
}

/* The same key gives the same sample, another key another. */
static void check_pure(void)
{
    static int32_t token[MAX_STEPS];
    fill(MLS_TRAINING, 1, 77);
    memcpy(token, k.token, sizeof token);
    fill(MLS_TRAINING, 2, 78);
    assert_memory_not_equal(token, k.token, sizeof token);
    fill(MLS_TRAINING, 1, 77);
    assert_memory_equal(token, k.token, sizeof token);
}

/* ---- text ---------------------------------------------- */

static char folder[256];
enum { SIZE = 500 };
static char bytes[SIZE];

static void write_file(const char *name, const char *data, size_t n)
{
    char path[512];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    FILE *f = fopen(path, "wb");
    assert_non_null(f);
    assert_int_equal(fwrite(data, 1, n, f), n);
    assert_int_equal(fclose(f), 0);
}

static int make_folder(void **state)
{
    snprintf(folder, sizeof folder, "%s/mls-text-XXXXXX",
             getenv("TMPDIR") ? getenv("TMPDIR") : "/tmp");
    if (!mkdtemp(folder)) return 1;
    char path[512];
    snprintf(path, sizeof path, "%s/b", folder);
    if (mkdir(path, 0700)) return 1;
    uint32_t x = 1;
    for (int i = 0; i < SIZE; i++) {
        x = x * 1664525u + 1013904223u;
        bytes[i] = "acegik\xe4\n"[x >> 29];
    }
    write_file("a.txt", bytes, 200);
    write_file("b/inner.c", bytes + 200, 100);
    write_file("c.md", bytes + 300, 200);
    write_file("d.bin", "zzzz", 4);
    write_file("all.one", bytes, SIZE);
    return start(state);
}

static int remove_folder(void **state)
{
    static const char *const names[] = { "a.txt",   "b/inner.c", "c.md", "d.bin",
                                         "all.one", "b",         "" };
    for (int i = 0; i < 7; i++) {
        char path[512];
        snprintf(path, sizeof path, "%s/%s", folder, names[i]);
        if (remove(path)) fprintf(stderr, "%s: %s\n", path, strerror(errno));
    }
    return stop(state);
}

static void open_text(const char *name, const char *options)
{
    char text[1024];
    snprintf(text, sizeof text, "path: '%s%s', %s", folder, name, options);
    opened("task.text", text);
}

static char byte_of(int32_t token)
{
    const char *s = k.task->spell(k.self, token);
    assert_non_null(s);
    return s[0];
}

static void text_is_the_files_in_order(void **state)
{
    (void)state;
    static const char *const where[] = { "", "/all.one" };
    for (int i = 0; i < 2; i++) {
        open_text(where[i],
                  "length: 50, validation: 0.1, test: 0.2, order: contiguous");
        assert_int_equal(k.shape.vocabulary, 8);
        assert_int_equal(k.shape.is_text, 1);
        assert_int_equal(k.task->count(k.self, MLS_TRAINING), 6); /* 349 / 50 */
        assert_int_equal(k.task->count(k.self, MLS_VALIDATION), 1);
        assert_int_equal(k.task->count(k.self, MLS_TEST), 2);
        static const int from[] = { 0, 350, 400 }, size[] = { 350, 50, 100 };
        for (int split = 0; split < 3; split++) {
            int scored = 0;
            for (int64_t w = 0; w < k.task->count(k.self, split); w++) {
                fill(split, w, 5);
                for (int t = 0; t < 50; t++) {
                    const int64_t at = from[split] + w * 50 + t;
                    if (k.label[t] < 0) {
                        assert_true(at + 1 >= from[split] + size[split] &&
                                    k.token[t] == 0);
                        continue;
                    }
                    scored++;
                    assert_int_equal(byte_of(k.token[t]), bytes[at]);
                    assert_int_equal(byte_of(k.label[t]), bytes[at + 1]);
                }
            }
            assert_int_equal(scored, split == MLS_TRAINING ? 300 : size[split] - 1);
        }
        mls_arena_free(&k.arena);
    }
}

static void text_is_drawn_anywhere(void **state)
{
    (void)state;
    open_text("", "length: 340, validation: 0.2");
    int seen[60] = { 0 }, different = 0;
    for (uint64_t key = 0; key < 400; key++) {
        fill(MLS_TRAINING, 0, key * 7919);
        int found = -1;
        for (int at = 0; at + 341 <= 400 && found < 0; at++) {
            found = at;
            for (int t = 0; t < 340 && found >= 0; t++)
                if (byte_of(k.token[t]) != bytes[at + t] ||
                    byte_of(k.label[t]) != bytes[at + t + 1])
                    found = -1;
        }
        assert_true(found >= 0);
        different += !seen[found]++;
    }
    assert_true(different > 55); /* of 60 places */
    check_pure();
    mls_arena_free(&k.arena);
}

static void text_short_of_a_sample_is_padded(void **state)
{
    (void)state;
    open_text("/d.bin", "length: 8, validation: 0");
    assert_int_equal(k.task->count(k.self, MLS_TRAINING), 1);
    assert_int_equal(k.task->count(k.self, MLS_VALIDATION), 0);
    fill(MLS_TRAINING, 0, 3);
    static const int32_t label[] = { 0, 0, 0, -1, -1, -1, -1, -1 };
    assert_memory_equal(k.label, label, sizeof label);
    mls_arena_free(&k.arena);
}

static void text_spells(void **state)
{
    (void)state;
    open_text("", "length: 8");
    int used = 9;
    for (int32_t t = 0; t < 8; t++) {
        const char c[2] = { byte_of(t), 0 };
        if (t > 0) assert_true((uint8_t)byte_of(t - 1) < (uint8_t)c[0]);
        assert_int_equal(k.task->token(k.self, c, &used), t);
        assert_int_equal(used, 1);
    }
    assert_int_equal(k.task->token(k.self, "Z", &used), -1);
    assert_int_equal(used, 1);
    assert_int_equal(k.task->token(k.self, "", &used), -1);
    assert_int_equal(used, 0);
    assert_null(k.task->spell(k.self, 8));
    assert_null(k.task->spell(k.self, -1));
    mls_arena_free(&k.arena);
}

static void text_says_what_is_missing(void **state)
{
    (void)state;
    char text[512];
    refused("task.text", "", "path is not set");
    refused("task.text", "path: /nonexistent/x.txt", "/nonexistent/x.txt");
    snprintf(text, sizeof text, "path: %s, extensions: 'xyz'", folder);
    refused("task.text", text, "ends in one of xyz");
    snprintf(text, sizeof text, "path: %s/d.bin", folder);
    refused("task.text", text, "the validation part has 0 of the 4 bytes");
    snprintf(text, sizeof text, "path: %s, validation: 0.6, test: 0.4", folder);
    refused("task.text", text, "leave nothing to train on");
}

/* ---- copying ---------------------------------------------- */

static void copying_asks_for_the_data_in_order(void **state)
{
    (void)state;
    opened("task.selective_copying",
           "length: 64, symbols: 8, vocabulary: 6, training: 5, test: 0");
    assert_int_equal(k.shape.steps, 72);
    assert_int_equal(k.task->count(k.self, MLS_TRAINING), 5);
    assert_int_equal(k.task->count(k.self, MLS_TEST), 0);
    int place[64] = { 0 }, kind[6] = { 0 };
    for (uint64_t key = 1; key <= 800; key++) {
        fill(MLS_TRAINING, 0, key * UINT64_C(0x9e3779b97f4a7c15));
        int found = 0;
        for (int t = 0; t < 64; t++) {
            assert_int_equal(k.label[t], -1);
            assert_int_not_equal(k.token[t], 5);
            if (k.token[t] == 0) continue;
            assert_int_equal(k.label[64 + found++], k.token[t]);
            place[t]++;
            kind[k.token[t]]++;
        }
        assert_int_equal(found, 8);
        for (int t = 64; t < 72; t++) assert_int_equal(k.token[t], 5);
    }
    /* 100 and 1600 expected; 5 standard deviations */
    for (int t = 0; t < 64; t++) assert_in_range(place[t], 53, 147);
    for (int v = 1; v < 5; v++) assert_in_range(kind[v], 1425, 1775);
    check_pure();
    mls_arena_free(&k.arena);
    opened("task.selective_copying", "length: 5, symbols: 5");
    fill(MLS_VALIDATION, 0, 9);
    for (int t = 0; t < 5; t++)
        assert_true(k.token[t] != 0 && k.token[t] == k.label[5 + t]);
    mls_arena_free(&k.arena);
    refused("task.selective_copying", "length: 5, symbols: 6",
            "do not fit into length = 5");
}

static void copy_is_of_delay_steps_ago(void **state)
{
    (void)state;
    opened("task.delayed_copy", "length: 400, symbols: 5, delay: 7");
    int kind[5] = { 0 };
    for (uint64_t key = 0; key < 10; key++) {
        fill(MLS_TEST, 3, key);
        for (int t = 0; t < 400; t++) {
            assert_int_equal(k.label[t], t < 7 ? -1 : k.token[t - 7]);
            kind[k.token[t]]++;
        }
    }
    for (int v = 0; v < 5; v++) assert_in_range(kind[v], 673, 927);
    check_pure();
    mls_arena_free(&k.arena);
    refused("task.delayed_copy", "length: 8, delay: 8", "leaves nothing to score");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(text_is_the_files_in_order),
        cmocka_unit_test(text_is_drawn_anywhere),
        cmocka_unit_test(text_short_of_a_sample_is_padded),
        cmocka_unit_test(text_spells),
        cmocka_unit_test(text_says_what_is_missing),
        cmocka_unit_test(copying_asks_for_the_data_in_order),
        cmocka_unit_test(copy_is_of_delay_steps_ago),
    };
    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests_name("tasks", tests, make_folder, remove_folder);
}
