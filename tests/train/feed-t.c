/* Batches: order, carrying, padding, random streams, refusals. */
#include "rig.h"
#include "study/trial.h"
#include "train/inner.h"

static void shuffled_is_a_permutation(void **state)
{
    (void)state;
    for (int64_t n = 1; n < 70; n++) {
        char seen[70] = {0};
        for (int64_t i = 0; i < n; i++) {
            const int64_t at = mls_feed_shuffled(42, n, i);
            assert_true(at >= 0 && at < n && !seen[at]);
            seen[at] = 1;
        }
    }
    int moved = 0, other = 0;
    for (int64_t i = 0; i < 1000; i++) {
        moved += mls_feed_shuffled(1, 1000, i) != i;
        other += mls_feed_shuffled(1, 1000, i) != mls_feed_shuffled(2, 1000, i);
    }
    assert_true(moved > 980 && other > 980);
    const int64_t big = INT64_C(3000000000);
    assert_in_range(mls_feed_shuffled(1, big, big - 1), 0, big - 1);
}

static void samples_do_not_depend_on_the_batch(void **state)
{
    (void)state;
    mls_arena a = {0};
    mls_error e = {0};
    mls_feed *f = open_feed(&a, "component=task.echo", 3);
    mls_stage *s = mls_stage_new(f, 4, &e), *whole = mls_stage_new(f, 8, &e);
    assert_int_equal(mls_feed_batches(f, MLS_TRAINING, 8), 5);
    int32_t first[4 * 12];
    const mls_batch *b = mls_stage_train(s, 2, 3, 0, &e);
    assert_int_equal(b->steps, 12);
    assert_null(b->mask);
    assert_null(b->dt);
    assert_null(b->x);
    memcpy(first, b->token, sizeof first);
    mls_stage_train(s, 3, 0, 0, &e);
    assert_memory_not_equal(b->token, first, sizeof first);
    b = mls_stage_train(s, 2, 3, 0, &e);
    assert_memory_equal(b->token, first, sizeof first);
    const mls_batch *w =
        mls_stage_train(whole, 2, 1, 0, &e); /* batches 2 and 3 of four */
    for (int t = 0; t < 12; t++)
        for (int i = 0; i < 4; i++) {
            assert_int_equal(w->token[t * 8 + 4 + i], first[t * 4 + i]);
            assert_int_equal(w->label[t * 8 + 4 + i], t ? first[(t - 1) * 4 + i] : -1);
        }
    /* So are the keys of their noise, of other samples and epochs other ones. */
    uint64_t key[4];
    b = mls_stage_train(s, 2, 3, 0, &e);
    memcpy(key, b->key, sizeof key);
    assert_memory_equal(mls_stage_train(whole, 2, 1, 0, &e)->key + 4, key, sizeof key);
    assert_true(key[0] != key[1] && key[1] != key[2] && key[2] != key[3]);
    mls_stage_train(s, 3, 3, 0, &e);
    assert_memory_not_equal(b->key, key, sizeof key);
    mls_stage_train(s, 2, 3, 0, &e);
    assert_memory_equal(b->key, key, sizeof key);
    /* The same indices in another epoch are other draws, in evaluation the same. */
    b = mls_stage_eval(s, MLS_VALIDATION, 1, &e);
    memcpy(first, b->token, sizeof first);
    mls_stage_train(s, 0, 0, 0, &e);
    b = mls_stage_eval(s, MLS_VALIDATION, 1, &e);
    assert_memory_equal(b->token, first, sizeof first);
    assert_int_equal(e.set, 0);
    mls_stage_free(s);
    mls_stage_free(whole);
    mls_feed_free(f);
    mls_arena_free(&a);
}

static void ragged_samples_are_padded(void **state)
{
    (void)state;
    mls_arena a = {0};
    mls_error e = {0};
    mls_feed *f = open_feed(&a, "component=task.ragged", 3);
    mls_stage *s = mls_stage_new(f, 4, &e);
    assert_int_equal(mls_feed_batches(f, MLS_VALIDATION, 4), 3);
    const mls_batch *b = mls_stage_eval(s, MLS_VALIDATION, 0, &e);
    assert_int_equal(b->steps, 4); /* as long as the longest: samples 0 to 3 */
    for (int t = 0; t < 4; t++)
        for (int i = 0; i < 4; i++) {
            const int r = t * 4 + i, real = t <= i;
            assert_float_equal(b->mask[r], (float)real, 0.0f);
            assert_float_equal(b->x[2 * r], real ? (float)i : 0.0f, 0.0f);
            assert_float_equal(b->dt[r], real ? 0.5f + (float)i : 1.0f, 0.0f);
            if (real)
                assert_float_equal(b->target[r], (float)(i + t), 0.0f);
            else
                assert_true(isnan(b->target[r]));
        }
    b = mls_stage_eval(s, MLS_VALIDATION, 2,
                       &e); /* samples 8, 9, 10 and a row unscored */
    assert_float_equal(b->x[2 * 2], 10.0f, 0.0f);
    for (int64_t t = 0; t < b->steps; t++) assert_true(isnan(b->target[t * 4 + 3]));
    assert_float_equal(b->mask[3], 1.0f, 0.0f);
    assert_int_equal(e.set, 0);
    assert_null(mls_stage_eval(s, MLS_VALIDATION, 3, &e));
    assert_int_equal(e.set, 1);
    mls_stage_free(s);
    mls_feed_free(f);
    mls_arena_free(&a);
}

static void carried_rows_walk_through_their_part(void **state)
{
    (void)state;
    mls_arena a = {0};
    mls_error e = {0};
    mls_feed *f = open_feed(&a, "component=task.ragged", 3);
    mls_stage *s = mls_stage_new(f, 3, &e);
    assert_int_equal(mls_feed_batches(f, MLS_TRAINING, 3), 3); /* of 11 samples */
    for (int64_t i = 0; i < 3; i++) {
        const mls_batch *b = mls_stage_train(s, 5, i, 1, &e);
        for (int64_t r = 0; r < 3; r++)
            assert_float_equal(b->x[2 * r], (float)(3 * r + i), 0.0f);
    }
    /* Without carry an epoch takes every sample at most once, in another order each
     * time. */
    int seen[11] = {0}, same = 0;
    float order[2][9];
    for (int64_t i = 0; i < 9; i++)
        for (int epoch = 0; epoch < 2; epoch++) {
            const mls_batch *b = mls_stage_train(s, epoch, i / 3, 0, &e);
            order[epoch][i] = b->x[2 * (i % 3)];
            if (!epoch) seen[(int)order[0][i]]++;
        }
    for (int i = 0; i < 11; i++) assert_true(seen[i] <= 1);
    for (int i = 0; i < 9; i++) same += order[0][i] == order[1][i];
    assert_true(same < 9);
    mls_stage_free(s);
    mls_feed_free(f);
    mls_arena_free(&a);
}

/* A plan asks for one task again and again: in the form that was written, in the one with
 * every option filled in; with another seed it is another task.                          */
static void a_kept_task_is_opened_once(void **state)
{
    (void)state;
    mls_arena a = {0};
    mls_error e = {0};
    mls_kept_task k = {0};
    mls_value *task = mls_value_map(&a), *config = mls_value_map(&a);
    mls_value_set(&a, task, "component", mls_value_string(&a, "task.echo"));
    mls_value_set(&a, config, "task", task);
    mls_value_set(&a, config, "seed", mls_value_int(&a, 3));
    mls_feed *f = mls_kept_task_open(&k, &registry, config, &e);
    assert_non_null(f);
    assert_ptr_equal(mls_kept_task_open(&k, &registry, config, &e), f);
    mls_value_set(&a, config, "task", mls_feed_resolved(f, &a));
    assert_ptr_equal(mls_kept_task_open(&k, &registry, config, &e), f);
    char asked[65];
    memcpy(asked, k.asked, sizeof asked);
    mls_value_set(&a, config, "seed", mls_value_int(&a, 4));
    assert_non_null(mls_kept_task_open(&k, &registry, config, &e));
    assert_string_not_equal(k.asked, asked);
    assert_int_equal(e.set, 0);
    mls_kept_task_free(&k);
    assert_null(k.feed);
    mls_arena_free(&a);
}

static void refusals(void **state)
{
    (void)state;
    mls_arena a = {0};
    mls_error e = {0};
    assert_null(mls_feed_open(&registry, NULL, 1, &e));
    assert_non_null(strstr(e.text, "task is absent"));
    e.set = 0;
    assert_null(mls_feed_open(&registry, settings(&a, "component=liquid.leak"), 1, &e));
    assert_non_null(strstr(e.text, "not a task"));
    e.set = 0;
    assert_null(
        mls_feed_open(&registry, settings(&a, "component=task.echo trainin=4"), 1, &e));
    assert_non_null(strstr(e.text, "training"));
    e.set = 0;
    mls_feed *f = open_feed(&a, "component=task.ragged bad=2", 1);
    mls_stage *s = mls_stage_new(f, 4, &e);
    assert_null(mls_stage_eval(s, MLS_VALIDATION, 0, &e));
    assert_non_null(strstr(e.text, "sample 2 is nan at step 0, feature 1"));
    e.set = 0;
    const mls_value *all = mls_feed_resolved(f, &a);
    assert_int_equal(mls_value_get_int(all, "bad", 0, &e), 2);
    mls_stage_free(s);
    mls_feed_free(f);
    mls_arena_free(&a);
}

int main(void)
{
    cmocka_set_message_output(CM_OUTPUT_TAP);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(shuffled_is_a_permutation),
        cmocka_unit_test(samples_do_not_depend_on_the_batch),
        cmocka_unit_test(ragged_samples_are_padded),
        cmocka_unit_test(carried_rows_walk_through_their_part),
        cmocka_unit_test(a_kept_task_is_opened_once),
        cmocka_unit_test(refusals),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
