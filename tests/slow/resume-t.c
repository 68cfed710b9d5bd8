/* A checkpoint at every step of a 40-step run, by file; continuing from each gives the
 * bits of the whole run: three wirings, two optimisers, accumulated batches and carried
 * states.  Every step with MLS_SLOW, else every ninth.                                  */
#include <dirent.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "conf/conf.h"
#include "rec/record.h"
#include "study/model.h"

enum { STEPS = 40, EVALUATE = 10 };

static mls_registry registry;
static char dir[] = "/tmp/mls-resume-XXXXXX";

/* What one run told, and whether it writes checkpoints. */
typedef struct story {
    mls_model model;
    mls_error e;
    int keep;
    int64_t steps, last;
    double loss[STEPS + 1], valid[STEPS + 1];
} story;

static const char *checkpoint(int64_t step)
{
    static char path[80];
    snprintf(path, sizeof path, "%s/checkpoint-%lld.h5", dir, (long long)step);
    return path;
}

static double loss_of(const mls_metric *m, int n)
{
    for (int i = 0; i < n; i++)
        if (!strcmp(m[i].name, "loss")) return m[i].value;
    return -1.0;
}

static void on_step(void *arg, int64_t step, const mls_metric *m, int n)
{
    story *s = arg;
    assert_in_range(step, 1, STEPS);
    s->steps++;
    s->last = step;
    s->loss[step] = loss_of(m, n);
}

static void on_evaluation(void *arg, int64_t step, int split, const mls_metric *m, int n,
                          int best)
{
    story *s = arg;
    (void)split;
    (void)best;
    s->valid[step] = loss_of(m, n);
}

static int on_checkpoint(void *arg, int64_t step, int best)
{
    story *s = arg;
    mls_arena a = { 0 };
    mls_bundle b = { .arena = &a };
    (void)best;
    if (!s->keep) return 1;
    mls_loop_bundle(s->model.loop, &b);
    const int ok = mls_checkpoint_save(checkpoint(step), &b, "{}", &s->e);
    mls_arena_free(&a);
    return ok;
}

static void begin(story *s, const char *config, int keep)
{
    mls_arena a = { 0 };
    *s = (story){ .keep = keep };
    const mls_sink sink = { s, on_step, on_evaluation, on_checkpoint, NULL };
    const mls_value *v = mls_yaml_parse(&a, config, strlen(config), "resume", &s->e);
    if (!v || !mls_model_open(&s->model, &registry, v, &sink, &s->e))
        fail_msg("%s", s->e.text);
    mls_arena_free(&a);
}

static size_t bytes_of(const mls_bundle_row *r)
{
    static const size_t size[] = { 4, 8, 8, 1 };
    size_t n = size[r->type];
    for (int i = 0; i < r->rank; i++) n *= (size_t)r->dim[i];
    return n;
}

static void compare(story *a, story *b, const char *what, int64_t at)
{
    mls_arena arena = { 0 };
    mls_bundle x = { .arena = &arena }, y = { .arena = &arena };
    mls_loop_bundle(a->model.loop, &x);
    mls_loop_bundle(b->model.loop, &y);
    assert_int_equal(x.n, y.n);
    assert_true(x.n > 10);
    for (int i = 0; i < x.n; i++) {
        assert_string_equal(x.row[i].name, y.row[i].name);
        if (memcmp(x.row[i].data, y.row[i].data, bytes_of(&x.row[i])))
            fail_msg("%s, continued after step %lld: %s differs", what, (long long)at,
                     x.row[i].name);
    }
    for (int64_t k = at + 1; k <= STEPS; k++)
        if (a->loss[k] != b->loss[k] || a->valid[k] != b->valid[k])
            fail_msg("%s, continued after step %lld: step %lld is told differently", what,
                     (long long)at, (long long)k);
    mls_arena_free(&arena);
}

static void every_step(const char *mode, const char *task, const char *optimiser)
{
    char config[800];
    story whole, rest;
    const char *env = getenv("MLS_SLOW");
    const int stride = env && *env ? 1 : 9;
    snprintf(config, sizeof config,
             "task: { component: task.%s }\n"
             "network: { mode: %s, width: 8, layers: 1, dropout: 0.1, chunk: 4 }\n"
             "train: { steps: %d, batch: 2, checkpoint_every: 1, evaluate_every: %d, %s }\n",
             task, mode, STEPS, EVALUATE, optimiser);
    begin(&whole, config, 1);
    assert_int_equal(mls_loop_go(whole.model.loop), MLS_DONE);
    assert_int_equal(whole.steps, STEPS);
    for (int64_t at = 1; at < STEPS; at += stride) {
        begin(&rest, config, 0);
        if (!mls_model_read(&rest.model, checkpoint(at), NULL, &rest.e))
            fail_msg("%s", rest.e.text);
        assert_int_equal(mls_loop_go(rest.model.loop), MLS_DONE);
        assert_int_equal(rest.steps, STEPS - at);
        assert_int_equal(rest.last, STEPS);
        compare(&whole, &rest, config, at);
        mls_model_close(&rest.model);
    }
    mls_model_close(&whole.model);
    for (int64_t at = 1; at <= STEPS; at++) unlink(checkpoint(at));
}

static const char *const copying =
    "delayed_copy, length: 12, delay: 2, training: 24, validation: 4, test: 4";

static void mode(const char *name)
{
    every_step(name, copying, "optimiser: adamw, clip: 0.5");
    every_step(name, copying, "optimiser: sgd, momentum: 0.9, learning_rate: 0.05, accumulate: 2");
}

static void sequential(void **state) { (void)state; mode("sequential"); }
static void parallel(void **state) { (void)state; mode("parallel"); }
static void bidirectional(void **state) { (void)state; mode("bidirectional"); }

/* States that go from batch to batch over one long text. */
static void carried(void **state)
{
    char text[80], task[200];
    (void)state;
    snprintf(text, sizeof text, "%s/text", dir);
    FILE *f = fopen(text, "w");
    assert_non_null(f);
    for (int i = 0; i < 4000; i++) fputc("abcdefgh \n"[(i * i / 7) % 10], f);
    assert_int_equal(fclose(f), 0);
    snprintf(task, sizeof task, "text, path: %s, length: 12, order: contiguous", text);
    every_step("sequential", task, "carry: true");
    every_step("bidirectional", task, "optimiser: sgd, carry: true");
    unlink(text);
}

int main(void)
{
    static mls_error e;
    cmocka_set_message_output(CM_OUTPUT_TAP);
    mls_rec_init();
    mls_plug_extend("mls.array-file/1", &mls_rec_array_file);
    mls_plug_init();
    if (!mkdtemp(dir) || !mls_registry_load(&registry, NULL, &e)) {
        fprintf(stderr, "# %s\n", e.text);
        return 99;
    }
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sequential), cmocka_unit_test(parallel),
        cmocka_unit_test(bidirectional), cmocka_unit_test(carried),
    };
    const int failed = cmocka_run_group_tests(tests, NULL, NULL);
    mls_registry_free(&registry);
    rmdir(dir);
    return failed;
}
