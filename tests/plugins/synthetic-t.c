/* Tasks that make their samples up: every answer is worked out once more from what the
 * network sees, in another way than the task does. */
#include <math.h>
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
#include "grad/ctx.h"
#include "net/net.h"

enum { STEPS = 2048, VALUES = 8192 };

static mls_registry registry;

typedef struct bench {
    mls_arena arena;
    mls_error error;
    mls_ctx c;
    const mls_task *task;
    void *self;
    mls_task_shape shape;
    mls_sample s;
    int32_t token[STEPS], label[STEPS];
    float x[VALUES], dt[STEPS], target[VALUES];
} bench;

static bench k;

static int start(void **state)
{
    (void)state;
    mls_error e = {0};
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

static void try_open(const char *name, const char *options)
{
    memset(&k, 0, sizeof k);
    mls_error ignored = {0}; /* fills the services of the host that need a network */
    mls_net_build(&(mls_net_config){&registry, NULL, &(mls_task_shape){0}, 0, 0},
                  &ignored);
    const mls_component *c = mls_registry_find(&registry, name, NULL, &k.error);
    if (!c) fail_msg("%s", k.error.text);
    k.c = (mls_ctx){&k.error, "task", NULL, &k.arena, 1, NULL, NULL};
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
    try_open(name, options);
    if (k.error.set) fail_msg("%s", k.error.text);
    assert_true(k.shape.steps <= STEPS && k.shape.steps * k.shape.input <= VALUES);
    if (k.shape.loss == MLS_MSE) assert_true(k.shape.steps * k.shape.output <= VALUES);
}

static void closed(void) { mls_arena_free(&k.arena); }

static void refused(const char *name, const char *options, const char *says)
{
    try_open(name, options);
    if (!k.error.set || !strstr(k.error.text, says))
        fail_msg("%s {%s}: \"%s\" lacks \"%s\"", name, options, k.error.text, says);
    closed();
}

static void fill(int split, int64_t index, uint64_t key)
{
    for (int i = 0; i < STEPS; i++) {
        k.token[i] = 0;
        k.label[i] = -1;
        k.dt[i] = 1.0f;
    }
    for (int i = 0; i < VALUES; i++) {
        k.x[i] = 0.0f;
        k.target[i] = NAN;
    }
    k.s = (mls_sample){k.shape.steps, k.token, k.x, k.dt, k.label, k.target};
    k.task->fill(&k.c, k.self, split, index, key * UINT64_C(0x9e3779b97f4a7c15), &k.s);
    if (k.error.set) fail_msg("%s", k.error.text);
    assert_true(k.s.steps >= 1 && k.s.steps <= k.shape.steps);
}

static int scored(void)
{
    int n = 0;
    for (int i = 0; i < STEPS; i++) n += k.label[i] >= 0;
    return n;
}

/* ---- tokens ---------------------------------------------- */

static void induction_asks_what_followed(void **state)
{
    (void)state;
    opened("task.induction_heads", "length: 12, vocabulary: 5");
    int place[12] = {0}, answer[5] = {0};
    for (uint64_t key = 1; key <= 2000; key++) {
        fill(MLS_TRAINING, 0, key);
        int first = 0;
        while (k.token[first] != 4) first++;
        assert_true(first < 10 && k.token[11] == 4);
        for (int t = first + 1; t < 11; t++) assert_in_range(k.token[t], 0, 3);
        assert_int_equal(scored(), 1);
        assert_int_equal(k.label[11], k.token[first + 1]);
        place[first]++;
        answer[k.label[11]]++;
    }
    for (int t = 0; t < 10; t++) assert_in_range(place[t], 133, 267); /* 200 +- 5 sd */
    for (int v = 0; v < 4; v++) assert_in_range(answer[v], 403, 597);
    closed();
}

static void copying_repeats_after_the_delimiter(void **state)
{
    (void)state;
    for (int answers = 0; answers < 2; answers++) {
        opened("task.copying",
               answers ? "symbols: 4, delay: 9, vocabulary: 6, score: answers"
                       : "symbols: 4, delay: 9, vocabulary: 6");
        assert_int_equal(k.shape.steps, 17);
        int kind[6] = {0};
        for (uint64_t key = 1; key <= 500; key++) {
            fill(MLS_TEST, 0, key);
            assert_int_equal(scored(), answers ? 4 : 17);
            for (int t = 0; t < 17; t++) {
                if (t < 4)
                    kind[k.token[t]]++;
                else
                    assert_int_equal(k.token[t], t == 12 ? 5 : 0);
                if (t >= 13)
                    assert_int_equal(k.label[t], k.token[t - 13]);
                else
                    assert_int_equal(k.label[t], answers ? -1 : 0);
            }
        }
        for (int v = 1; v < 5; v++) assert_in_range(kind[v], 403, 597);
        closed();
    }
}

static void recall_asks_for_the_value_of_a_key(void **state)
{
    (void)state;
    opened("task.associative_recall", "pairs: 5, keys: 7, values: 4, queries: 3");
    assert_int_equal(k.shape.steps, 14);
    int first[7] = {0}, asked[5] = {0}, value[4] = {0};
    for (uint64_t key = 1; key <= 2100; key++) {
        fill(MLS_VALIDATION, 0, key);
        int of[7] = {0};
        for (int i = 0; i < 5; i++) {
            assert_in_range(k.token[2 * i], 0, 6);
            assert_in_range(k.token[2 * i + 1], 7, 10);
            assert_int_equal(of[k.token[2 * i]], 0);
            of[k.token[2 * i]] = k.token[2 * i + 1];
            value[k.token[2 * i + 1] - 7]++;
        }
        first[k.token[0]]++;
        assert_int_equal(k.token[10], 11);
        assert_int_equal(scored(), 3);
        for (int t = 11; t < 14; t++) {
            assert_int_equal(k.label[t], of[k.token[t]]);
            for (int i = 0; i < 5; i++) asked[i] += k.token[2 * i] == k.token[t];
        }
    }
    for (int i = 0; i < 7; i++) assert_in_range(first[i], 220, 380);
    for (int i = 0; i < 5; i++) assert_in_range(asked[i], 1085, 1435);
    for (int i = 0; i < 4; i++) assert_in_range(value[i], 2400, 2850);
    closed();
    opened("task.associative_recall", "pairs: 3, keys: 3, values: 2");
    fill(MLS_TRAINING, 0, 5);
    assert_int_equal(k.token[0] + k.token[2] + k.token[4], 3);
    closed();
    refused("task.associative_recall", "pairs: 9, keys: 8", "pairs = 9 need");
}

/* ---- values ---------------------------------------------- */

static void adding_sums_the_marked(void **state)
{
    (void)state;
    opened("task.adding", "length: 9");
    double sum = 0.0, error = 0.0;
    int place[9] = {0};
    for (uint64_t key = 1; key <= 4000; key++) {
        fill(MLS_TRAINING, 0, key);
        double want = 0.0;
        int marks = 0, early = 0;
        for (int t = 0; t < 9; t++) {
            assert_true(k.x[2 * t] >= 0.0f && k.x[2 * t] <= 1.0f);
            if (t < 8) assert_true(isnan(k.target[t]));
            if (k.x[2 * t + 1] == 0.0f) continue;
            assert_true(k.x[2 * t + 1] == 1.0f);
            marks++;
            early += t < 4;
            place[t]++;
            want += (double)k.x[2 * t];
        }
        assert_true(marks == 2 && early == 1);
        assert_true(fabs((double)k.target[8] - want) < 1e-6);
        sum += want;
        error += (want - 1.0) * (want - 1.0);
    }
    assert_true(fabs(sum / 4000 - 1.0) < 0.033 &&
                fabs(error / 4000 - 1.0 / 6.0) < 0.016);
    for (int t = 0; t < 9; t++) assert_in_range(place[t], 650, 1150);
    closed();
}

/* Bits from their runs: event i stands for all bits up to event i + 1. */
static void xor_is_the_parity_of_the_stream(void **state)
{
    (void)state;
    opened("task.xor_events", "length: 12, step: 0.5, elapsed_input: true");
    assert_true(k.shape.has_mask && k.shape.has_dt && k.shape.input == 2);
    int bits[12] = {0}, odd = 0;
    for (uint64_t key = 1; key <= 3000; key++) {
        fill(MLS_TRAINING, 0, key);
        int ones = 0, n = 0;
        for (int64_t i = 0; i < k.s.steps; i++) {
            const int elapsed = (int)(k.dt[i] * 2.0f), bit = (int)k.x[2 * i];
            assert_true(elapsed >= 1 && (float)elapsed == k.dt[i] * 2.0f);
            assert_true(k.x[2 * i + 1] == k.dt[i] && (float)bit == k.x[2 * i]);
            if (i == 0) assert_int_equal(elapsed, 1);
            if (i && i + 1 < k.s.steps) assert_true(bit != (int)k.x[2 * i - 2]);
            if (i) ones += (int)k.x[2 * i - 2] * (elapsed - 1);
            ones += bit;
            n += elapsed;
        }
        assert_int_equal(scored(), 1);
        assert_int_equal(k.label[k.s.steps - 1], ones % 2);
        bits[n]++;
        odd += ones % 2;
    }
    assert_int_equal(bits[0] + bits[1], 0);
    for (int n = 2; n < 12; n++) assert_in_range(bits[n], 218, 382);
    assert_in_range(odd, 1363, 1637);
    closed();
    opened("task.xor_events", "length: 24, events: false");
    for (uint64_t key = 1; key <= 200; key++) {
        fill(MLS_TRAINING, 0, key);
        int ones = 0;
        for (int64_t i = 0; i < k.s.steps; i++) {
            ones += k.x[i] == 1.0f;
            assert_true(fabsf(k.dt[i] * 24.0f - 1.0f) < 1e-6f);
        }
        assert_int_equal(k.label[k.s.steps - 1], ones % 2);
    }
    closed();
}

/* ---- dynamics ---------------------------------------------- */

static void lorenz_slope(const double *u, double *du)
{
    du[0] = 10.0 * (u[1] - u[0]);
    du[1] = u[0] * (28.0 - u[2]) - u[1];
    du[2] = u[0] * u[1] - 8.0 * u[2] / 3.0;
}

/* By the midpoint rule in small pieces. */
static void lorenz_on(double *u, double time)
{
    const int n = 400;
    const double h = time / n;
    for (int i = 0; i < n; i++) {
        double a[3], v[3];
        lorenz_slope(u, a);
        for (int j = 0; j < 3; j++) v[j] = u[j] + 0.5 * h * a[j];
        lorenz_slope(v, a);
        for (int j = 0; j < 3; j++) u[j] += h * a[j];
    }
}

static void lorenz_goes_on_by_its_law(void **state)
{
    (void)state;
    static const double scale[3] = {8.0, 9.0, 8.6}, mean[3] = {0.0, 0.0, 23.5};
    opened("task.dynamics", "length: 64, jitter: 0.8");
    double low = 1.0, high = 0.0, sum = 0.0;
    for (uint64_t key = 1; key <= 20; key++) {
        fill(MLS_TRAINING, 0, key);
        for (int t = 0; t < 64; t++) {
            double u[3];
            low = fmin(low, (double)k.dt[t]);
            high = fmax(high, (double)k.dt[t]);
            sum += (double)k.dt[t];
            for (int j = 0; j < 3; j++)
                u[j] = mean[j] + scale[j] * (double)k.x[3 * t + j];
            lorenz_on(u, (double)k.dt[t]);
            for (int j = 0; j < 3; j++) {
                const double want = (u[j] - mean[j]) / scale[j];
                assert_true(fabs((double)k.target[3 * t + j] - want) < 1e-4);
                if (t < 63) assert_true(k.target[3 * t + j] == k.x[3 * t + 3 + j]);
            }
        }
    }
    assert_true(low > 0.0099 && low < 0.012 && high < 0.0901 && high > 0.088);
    assert_true(fabs(sum / 1280 - 0.05) < 0.0033);
    closed();
}

/* q'' by five points is what the springs say. */
static void oscillators_obey_their_springs(void **state)
{
    (void)state;
    opened("task.dynamics", "system: oscillators, channels: 5, length: 200");
    for (uint64_t key = 1; key <= 10; key++) {
        fill(MLS_TRAINING, 0, key);
        for (int t = 2; t < 198; t++)
            for (int i = 0; i < 5; i++) {
                double q[5];
                for (int s = 0; s < 5; s++) q[s] = (double)k.x[(t + s - 2) * 5 + i];
                const double h = 0.05, left = (double)k.x[t * 5 + (i + 4) % 5],
                             right = (double)k.x[t * 5 + (i + 1) % 5];
                const double d =
                    (16.0 * (q[1] + q[3]) - q[0] - q[4] - 30.0 * q[2]) / (12.0 * h * h);
                assert_true(fabs(d - (left + right - 3.0 * q[2])) < 5e-3);
            }
    }
    closed();
}

/* Mean, variance, and the error of who repeats what he sees: as the header tells. */
static void dynamics_keep_to_their_floors(void **state)
{
    (void)state;
    static const double again[2] = {0.132, 0.0074};
    for (int system = 0; system < 2; system++) {
        opened("task.dynamics", system ? "system: oscillators" : "system: lorenz");
        double sum = 0.0, square = 0.0, error = 0.0, n = 0.0;
        for (uint64_t key = 1; key <= 300; key++) {
            fill(MLS_TEST, 0, key);
            for (int64_t i = 0; i < 128 * k.shape.output; i++) {
                const double y = (double)k.target[i], gap = y - (double)k.x[i];
                sum += y;
                square += y * y;
                error += gap * gap;
                n++;
            }
        }
        if (fabs(sum / n) > 0.1 || fabs(square / n - 1.0) > 0.1 ||
            fabs(error / n / again[system] - 1.0) > 0.1)
            fail_msg("system %d: mean %g, square %g, repeated %g", system, sum / n,
                     square / n, error / n);
        closed();
    }
    opened("task.dynamics", "loss: mae");
    assert_int_equal(k.shape.loss, MLS_MAE);
    closed();
    opened("task.dynamics", "noise: 0.5, length: 400");
    static float clean[1200];
    fill(MLS_TEST, 0, 3);
    double square = 0.0;
    memcpy(clean, k.target, sizeof clean);
    for (int i = 3; i < 1200; i++) {
        const double e = (double)(k.x[i] - clean[i - 3]);
        square += e * e;
    }
    assert_true(fabs(square / 1197 - 0.25) < 0.05);
    closed();
}

/* ---- listops ---------------------------------------------- */

/* By recursion over lists and sorting; counts the deepest nesting. */
typedef struct reader {
    const int32_t *token;
    int64_t at, n;
    int deepest, most;
} reader;

static int ascending(const void *a, const void *b)
{
    return *(const int *)a - *(const int *)b;
}

static int evaluate(reader *r, int depth)
{
    assert_true(r->at < r->n);
    const int op = r->token[r->at++];
    int list[64], n = 0, sum = 0;
    if (depth > r->deepest) r->deepest = depth;
    if (op < 10) return op;
    assert_true(op <= 13);
    while (r->at < r->n && r->token[r->at] != 14) {
        assert_true(n < 64);
        sum += list[n++] = evaluate(r, depth + 1);
    }
    assert_true(n > 0 && r->at++ < r->n);
    if (n > r->most) r->most = n;
    qsort(list, (size_t)n, sizeof *list, ascending);
    return op == 10   ? list[0]
           : op == 11 ? list[n - 1]
           : op == 13 ? sum % 10
           : n % 2    ? list[n / 2]
                      : (list[n / 2 - 1] + list[n / 2]) / 2;
}

static int check_value(int at, int depth, int args)
{
    reader r = {k.token, 0, k.s.steps, 0, 0};
    const int value = evaluate(&r, 1);
    assert_int_equal(r.at, r.n);
    assert_true(r.deepest <= depth && r.most <= args);
    assert_int_equal(scored(), 1);
    assert_int_equal(k.label[at < 0 ? k.s.steps - 1 : at], value);
    return value;
}

static void listops_is_evaluated(void **state)
{
    (void)state;
    opened("task.listops", "");
    int class[10] = {0};
    for (uint64_t key = 1; key <= 300; key++) {
        fill(MLS_TRAINING, 0, key);
        assert_in_range(k.s.steps, 501, 1999);
        class[check_value(-1, 10, 10)]++;
    }
    for (int v = 0; v < 10; v++) assert_in_range(class[v], 5, 90);
    closed();
    opened("task.listops", "min_length: 1, max_length: 40, max_depth: 3, max_args: 4, "
                           "answer: pooled");
    assert_int_equal(k.shape.per_step, 0);
    int64_t operators = 0, roots = 0, op[4] = {0};
    for (uint64_t key = 1; key <= 4000; key++) {
        fill(MLS_VALIDATION, 0, key);
        check_value(0, 3, 4);
        roots += k.s.steps > 1;
        for (int64_t t = 0; t < k.s.steps; t++)
            if (k.token[t] >= 10 && k.token[t] < 14) {
                operators++;
                op[k.token[t] - 10]++;
            }
    }
    assert_in_range(roots, 863, 1137); /* a quarter of 4000 */
    for (int i = 0; i < 4; i++)
        assert_true(llabs(op[i] * 4 - operators) <
                    4 * 5 * (int64_t)sqrt((double)operators * 0.19));
    closed();
    refused("task.listops", "min_length: 9, max_length: 8", "is more than max_length");
    refused("task.listops", "max_depth: 2",
            "of 20000 expressions have 501 to 1999 tokens");
}

static void listops_spells(void **state)
{
    (void)state;
    opened("task.listops", "min_length: 20, max_length: 60, max_depth: 5");
    fill(MLS_TRAINING, 0, 7);
    char text[1024] = "";
    for (int64_t t = 0; t < k.s.steps; t++)
        strcat(text, k.task->spell(k.self, k.token[t]));
    const char *at = text;
    for (int64_t t = 0; t < k.s.steps; t++) {
        int used = 0;
        assert_int_equal(k.task->token(k.self, at, &used), k.token[t]);
        at += used;
    }
    assert_true(*at == '\0');
    int used = 9;
    assert_int_equal(k.task->token(k.self, "( ( [SM 6 )", &used), 13);
    assert_int_equal(used, 8);
    assert_int_equal(k.task->token(k.self, "x", &used), -1);
    assert_int_equal(used, 1);
    assert_int_equal(k.task->token(k.self, "", &used), -1);
    assert_int_equal(used, 0);
    assert_null(k.task->spell(k.self, 15));
    closed();
}

static void write_lines(char *path, const char *text)
{
    const char *folder = getenv("TMPDIR");
    snprintf(path, 256, "%s/mls-listops-XXXXXX", folder ? folder : "/tmp");
    const int fd = mkstemp(path);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, text, strlen(text)), (long)strlen(text));
    close(fd);
}

static void try_lines(const char *text)
{
    char path[256], options[600];
    write_lines(path, text);
    snprintf(options, sizeof options, "max_length: 600, path: '%s'", path);
    try_open("task.listops", options);
    unlink(path);
}

static void listops_reads_files(void **state)
{
    (void)state;
    static const char *const good[] = {
        "0\t( ( ( [SM 6 ) 4 ) ] )\n4\t( ( ( ( [MED 7 ) 2 ) ] )\n7\t7\n",
        "Source\tTarget\r\n( ( ( [SM 6 ) 4 ) ] )\t0\r\n[MED 7 2 ]\t4\r\n7\t7"};
    for (int i = 0; i < 2; i++) {
        try_lines(good[i]);
        if (k.error.set) fail_msg("%s", k.error.text);
        assert_int_equal(k.task->count(k.self, MLS_TEST), 3);
        assert_int_equal(k.task->count(k.self, MLS_VALIDATION), 512);
        static const int steps[] = {4, 4, 1}, value[] = {0, 4, 7};
        for (int line = 0; line < 3; line++) {
            fill(MLS_TEST, line, 1);
            assert_int_equal(k.s.steps, steps[line]);
            assert_int_equal(check_value(-1, 2, 2), value[line]);
        }
        closed();
    }
    static const char *const bad[][2] = {
        {"1\t[SM 6 4 ]\n", ":1: says 1, but the expression is 0"},
        {"7\t7\n2\t[MIN 2\n", ":2: expected a digit and an expression"},
        {"7\t7\n2\t[MIN ]\n", ":2: expected a digit and an expression"},
        {"7\t7\n2\t2 3\n", ":2: expected a digit and an expression"},
        {"7\t7\n2\t[FOO 2 ]\n", ":2: expected a digit and an expression"},
        {"7\t7\nab\n", ":2: no tab"},
        {"Source\tTarget\n", "holds no expression"}};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        try_lines(bad[i][0]);
        if (!k.error.set || !strstr(k.error.text, bad[i][1]))
            fail_msg("\"%s\" lacks \"%s\"", k.error.text, bad[i][1]);
        closed();
    }
    refused("task.listops", "path: /nonexistent/x.tsv", "/nonexistent/x.tsv");
}

/* 10,000 expressions that others made and evaluated. */
static void listops_agrees_with_the_published_set(void **state)
{
    (void)state;
    char path[1024], options[1100];
    const char *data = getenv("MLS_DATA");
    snprintf(path, sizeof path, "%s/listops/test_d20s.tsv",
             data ? data : "../shared/data");
    if (access(path, R_OK)) {
        print_message("# not compared: there is no %s\n", path);
        skip();
    }
    snprintf(options, sizeof options, "path: '%s'", path);
    opened("task.listops", options);
    assert_int_equal(k.task->count(k.self, MLS_TEST), 10000);
    for (int i = 0; i < 10000; i += 7) {
        fill(MLS_TEST, i, 1);
        check_value(-1, 64, 64);
    }
    closed();
}

/* ---- all ---------------------------------------------- */

static void samples_depend_on_their_key(void **state)
{
    (void)state;
    static const char *const name[] = {
        "task.induction_heads", "task.copying",    "task.associative_recall",
        "task.adding",          "task.xor_events", "task.dynamics",
        "task.listops"};
    static bench first;
    for (size_t i = 0; i < sizeof name / sizeof *name; i++) {
        opened(name[i], "training: 3, validation: 2, test: 0");
        assert_int_equal(k.task->count(k.self, MLS_TRAINING), 3);
        assert_int_equal(k.task->count(k.self, MLS_VALIDATION), 2);
        assert_int_equal(k.task->count(k.self, MLS_TEST), 0);
        fill(MLS_TRAINING, 1, 77);
        first = k;
        fill(MLS_TRAINING, 2, 78);
        assert_true(memcmp(first.token, k.token, sizeof k.token) ||
                    memcmp(first.x, k.x, sizeof k.x));
        fill(MLS_TRAINING, 1, 77);
        assert_int_equal(first.s.steps, k.s.steps);
        assert_memory_equal(first.token, k.token, sizeof k.token);
        assert_memory_equal(first.label, k.label, sizeof k.label);
        assert_memory_equal(first.x, k.x, sizeof k.x);
        assert_memory_equal(first.dt, k.dt, sizeof k.dt);
        assert_memory_equal(first.target, k.target, sizeof k.target);
        closed();
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(induction_asks_what_followed),
        cmocka_unit_test(copying_repeats_after_the_delimiter),
        cmocka_unit_test(recall_asks_for_the_value_of_a_key),
        cmocka_unit_test(adding_sums_the_marked),
        cmocka_unit_test(xor_is_the_parity_of_the_stream),
        cmocka_unit_test(lorenz_goes_on_by_its_law),
        cmocka_unit_test(oscillators_obey_their_springs),
        cmocka_unit_test(dynamics_keep_to_their_floors),
        cmocka_unit_test(listops_is_evaluated),
        cmocka_unit_test(listops_spells),
        cmocka_unit_test(listops_reads_files),
        cmocka_unit_test(listops_agrees_with_the_published_set),
        cmocka_unit_test(samples_depend_on_their_key),
    };
    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests_name("synthetic tasks", tests, start, stop);
}
