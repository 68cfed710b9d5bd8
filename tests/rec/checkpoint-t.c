#include "scene.h"

#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>

typedef struct contents {
    float   w[3][4], state[2][1][5];
    double  best;
    int64_t step;
    unsigned char random[16];
} contents;

static void table(mls_bundle *b, contents *c)
{
    const int64_t w[2] = { 3, 4 }, s[3] = { 2, 1, 5 }, r[1] = { 16 },
                  none[2] = { 0, 4 };
    mls_bundle_add(b, "weight/layer0.enc.w", MLS_B_F32, c->w, 2, w);
    mls_bundle_add(b, "state/layer0.liq.h", MLS_B_F32, c->state, 3, s);
    mls_bundle_add(b, "loop/best", MLS_B_F64, &c->best, 0, NULL);
    mls_bundle_add(b, "loop/step", MLS_B_I64, &c->step, 0, NULL);
    mls_bundle_add(b, "loop/random", MLS_B_U8, c->random, 1, r);
    mls_bundle_add(b, "loop/nothing", MLS_B_F32, NULL, 2, none);
}

static void fill(contents *c)
{
    for (int i = 0; i < 12; i++) c->w[i / 4][i % 4] = 0.1f * (float)i - 0.3f;
    for (int i = 0; i < 10; i++) c->state[i / 5][0][i % 5] = -(float)i;
    c->best = 1.0 / 3.0;
    c->step = INT64_C(1) << 60;
    for (int i = 0; i < 16; i++) c->random[i] = (unsigned char)(251 * i);
}

static char *dir, *path;

static int set_up(void **state)
{
    (void)state;
    dir = scene_dir();
    path = strdup(scene_path(dir, "checkpoint-1.h5"));
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    scene_remove(dir);
    free(path);
    return 0;
}

static void save(void)
{
    mls_arena a = { 0 };
    mls_bundle b = { .arena = &a };
    mls_error e = { 0 };
    contents c;
    memset(&c, 0, sizeof c);
    fill(&c);
    table(&b, &c);
    if (!mls_checkpoint_save(path, &b, "{\"config\": \"\xc3\xa9\"}", &e))
        fail_msg("%s", e.text);
    assert_int_equal(access(scene_path(dir, "checkpoint-1.h5.new"), F_OK), -1);
    mls_arena_free(&a);
}

static int load(contents *c, mls_error *e)
{
    mls_arena a = { 0 };
    mls_bundle b = { .arena = &a };
    char *note = NULL;
    memset(e, 0, sizeof *e);
    table(&b, c);
    const int ok = mls_checkpoint_load(path, &b, &note, &a, e);
    if (ok) assert_string_equal(note, "{\"config\": \"\xc3\xa9\"}");
    mls_arena_free(&a);
    return ok;
}

static void test_round_trip(void **state)
{
    (void)state;
    contents in, out;
    mls_error e;
    memset(&in, 0, sizeof in);
    memset(&out, 0, sizeof out);
    fill(&in);
    save();
    save();                                            /* over an older one */
    if (!load(&out, &e)) fail_msg("%s", e.text);
    assert_memory_equal(&in, &out, sizeof in);
}

static void test_misfit(void **state)
{
    (void)state;
    save();
    mls_arena a = { 0 };
    mls_bundle b = { .arena = &a };
    mls_error e = { 0 };
    contents c;
    const int64_t w[2] = { 4, 3 }, s[3] = { 2, 1, 5 }, r[1] = { 16 };
    mls_bundle_add(&b, "weight/layer0.enc.w", MLS_B_F32, c.w, 2, w);
    mls_bundle_add(&b, "state/layer0.liq.h", MLS_B_F64, c.state, 3, s);
    mls_bundle_add(&b, "loop/random", MLS_B_U8, c.random, 1, r);
    mls_bundle_add(&b, "weight/layer1.enc.w", MLS_B_F32, c.w, 2, w);
    memset(&c, 7, sizeof c);
    assert_false(mls_checkpoint_load(path, &b, NULL, &a, &e));
    assert_non_null(
        strstr(e.text, "misshapen weight/layer0.enc.w: the file has f32 [3 x 4], the "
                       "network needs f32 [4 x 3]"));
    assert_non_null(strstr(e.text, "misshapen state/layer0.liq.h: the file has f32"));
    assert_non_null(strstr(e.text, "missing weight/layer1.enc.w"));
    assert_non_null(strstr(e.text, "extra loop/best"));
    assert_non_null(strstr(e.text, "extra loop/step"));
    assert_non_null(strstr(e.text, "6 of its arrays"));
    assert_int_equal(c.random[0], 7);                  /* nothing was touched */
    mls_arena_free(&a);
}

static void test_damage(void **state)
{
    (void)state;
    contents c;
    mls_error e;
    struct stat st;
    save();
    assert_int_equal(stat(path, &st), 0);
    char *whole = malloc((size_t)st.st_size);
    int fd = open(path, O_RDWR);
    assert_int_equal(read(fd, whole, (size_t)st.st_size), st.st_size);
    for (off_t n = 0; n < st.st_size; n += 61) {       /* truncated */
        assert_int_equal(ftruncate(fd, 0), 0);
        assert_int_equal(pwrite(fd, whole, (size_t)n, 0), n);
        assert_false(load(&c, &e));
        assert_non_null(strstr(e.text, path));
    }
    assert_int_equal(pwrite(fd, whole, (size_t)st.st_size, 0), st.st_size);
    for (int i = 0; i < 2000; i++) {                   /* one bit */
        const off_t at = (off_t)((uint64_t)i * 2654435761u % (uint64_t)st.st_size);
        const char flipped = (char)(whole[at] ^ (1 << (i % 8)));
        assert_int_equal(pwrite(fd, &flipped, 1, at), 1);
        assert_false(load(&c, &e));
        assert_int_equal(pwrite(fd, whole + at, 1, at), 1);
    }
    assert_true(load(&c, &e));
    assert_int_equal(pwrite(fd, "x", 1, st.st_size), 1);   /* one byte more */
    assert_false(load(&c, &e));
    close(fd);
    free(whole);
    unlink(path);
    assert_false(load(&c, &e));
    assert_non_null(strstr(e.text, "No such file"));
}

/* No room: an error, and the checkpoint before it is still there. */
static void test_full(void **state)
{
    (void)state;
    contents c;
    mls_error e;
    save();
    for (int k = 0; k < 8; k++) {
        const pid_t p = fork();
        if (p == 0) {
            const struct rlimit rl = { (rlim_t)(700 * k), (rlim_t)(700 * k) };
            mls_arena a = { 0 };
            mls_bundle b = { .arena = &a };
            mls_error mine = { 0 };
            signal(SIGXFSZ, SIG_IGN);
            setrlimit(RLIMIT_FSIZE, &rl);
            table(&b, &c);
            exit(mls_checkpoint_save(path, &b, "", &mine) ? 1
                 : strstr(mine.text, path)                ? 0
                                                          : 2);
        }
        int status;
        assert_int_equal(waitpid(p, &status, 0), p);
        assert_true(WIFEXITED(status));
        assert_int_equal(WEXITSTATUS(status), 0);
        assert_int_equal(access(scene_path(dir, "checkpoint-1.h5.new"), F_OK), -1);
    }
    assert_true(load(&c, &e));
}

int main(void)
{
    cmocka_set_message_output(CM_OUTPUT_TAP);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_round_trip, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_misfit, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_damage, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_full, set_up, tear_down),
    };
    return cmocka_run_group_tests_name("checkpoint", tests, NULL, NULL);
}
