/* Places: what is there at the same time lies apart, in little more memory than that takes, and
 * a tape that goes another way than was noted gets memory that is nobody else's.           */
#include "base/philox.h"
#include "grad/tape-inner.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

enum { EVENTS = 1200, SLOTS = 60, MOST = 40000 };

typedef struct piece { float *at; int64_t count; float mark; } piece;
typedef struct course { size_t peak, used; } course;

static void put_down(mls_tape *t, piece *p, course *c)
{
    for (int64_t i = 0; i < p->count; i++) assert_true(p->at[i] == p->mark);
    c->used -= mls_tape_bytes(p->count);
    mls_tape_give(t, p->at, p->count);
    p->at = NULL;
}

/* Pieces of all sizes come and go; from event `astray` on others than before. */
static course walk(mls_tape *t, int astray)
{
    static piece slot[SLOTS];
    course c = { 0, 0 };
    mls_tape_reset(t);
    for (int k = 0; k < EVENTS; k++) {
        uint32_t u[4];
        mls_philox(k < astray ? 1 : 2, (uint64_t)k, u);
        piece *p = &slot[u[0] % SLOTS];
        if (p->at) {
            put_down(t, p, &c);
            continue;
        }
        p->count = 1 + u[1] % (u[2] % 4 ? 2000 : MOST);
        p->at = mls_tape_take(t, p->count);
        p->mark = (float)k;
        assert_non_null(p->at);
        assert_int_equal((uintptr_t)p->at % 64, 0);
        for (int64_t i = 0; i < p->count; i++) p->at[i] = p->mark;
        c.used += mls_tape_bytes(p->count);
        if (c.used > c.peak) c.peak = c.used;
    }
    for (int i = 0; i < SLOTS; i++)
        if (slot[i].at) put_down(t, &slot[i], &c);
    return c;
}

static mls_places *noted(course *c, size_t *pool)
{
    mls_tape t = { .places = mls_places_new(5) };
    assert_true(mls_places_notes(t.places));
    *c = walk(&t, EVENTS);
    *pool = t.floats.used;
    const size_t all = mls_places_settle(t.places);
    assert_int_equal(all, mls_places_bytes(t.places));
    assert_int_equal(mls_places_key(t.places), 5);
    mls_places *p = t.places;
    mls_tape_free(&t);
    return p;
}

static void little_is_left_between(void **state)
{
    (void)state;
    course c;
    size_t pool;
    mls_places *p = noted(&c, &pool);
    print_message("# %zu bytes at once; places %zu, the pool %zu\n", c.peak, mls_places_bytes(p),
                  pool);
    assert_true(mls_places_bytes(p) >= c.peak && mls_places_bytes(p) < 1.06 * (double)c.peak);
    assert_true(mls_places_bytes(p) < pool);
    mls_tape t = { .places = p };
    for (int i = 0; i < 3; i++) {
        walk(&t, EVENTS);
        assert_int_equal(t.floats.used, mls_places_bytes(p));   /* every one was where it was to be */
    }
    mls_tape_free(&t);
    mls_places_free(p);
}

static void who_goes_astray_gets_more(void **state)
{
    (void)state;
    course c;
    size_t pool;
    mls_tape t = { .places = noted(&c, &pool) };
    for (int astray = 0; astray < EVENTS; astray += 97) walk(&t, astray);
    walk(&t, EVENTS);
    assert_int_equal(t.floats.used, mls_places_bytes(t.places));
    mls_places_free(t.places);
    mls_tape_free(&t);
}

static void what_is_brief_is_left_room(void **state)
{
    (void)state;
    mls_places *p = mls_places_new(1);
    static char memory[4];
    mls_places_taken(p, &memory[0], 64);
    mls_places_brief(p, 10000);
    mls_places_taken(p, &memory[1], 128);
    mls_places_given(p, &memory[0]);
    mls_places_taken(p, &memory[2], 64);         /* where the first was */
    const int32_t n = mls_places_count(p);
    mls_places_taken(p, &memory[3], 256);
    mls_places_end(p, n);
    mls_places_taken(p, &memory[3], 256);        /* where the one that ended was */
    assert_true(mls_places_settle(p) >= 10000 + 64);
    assert_true(mls_places_bytes(p) < 10000 + 64 + 5000);
    mls_places_rewind(p);
    const int64_t a = mls_places_next(p, 64), b = mls_places_next(p, 128);
    assert_true(a >= 0 && b >= 0 && (b >= a + 64 || a >= b + 128));
    const int64_t d = mls_places_next(p, 64);
    assert_true(d >= b + 128 || b >= d + 64);
    assert_int_equal(mls_places_next(p, 256), mls_places_next(p, 256));
    assert_int_equal(mls_places_next(p, 64), -1);
    mls_places_rewind(p);
    assert_int_equal(mls_places_next(p, 65), -1);
    mls_places_free(p);
}

static void too_many_have_none(void **state)
{
    (void)state;
    static char memory[1 << 16];
    mls_places *p = mls_places_new(1);
    for (size_t i = 0; i < sizeof memory; i++) mls_places_taken(p, &memory[i], 64);
    mls_places_given(p, &memory[0]);
    assert_int_equal(mls_places_settle(p), 0);
    assert_int_equal(mls_places_next(p, 64), -1);
    mls_places_free(p);
    mls_places_free(NULL);
    p = mls_places_new(2);
    assert_int_equal(mls_places_settle(p), 0);   /* and none has none */
    mls_places_free(p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(little_is_left_between),
        cmocka_unit_test(who_goes_astray_gets_more),
        cmocka_unit_test(what_is_brief_is_left_room),
        cmocka_unit_test(too_many_have_none),
    };
    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests_name("places", tests, NULL, NULL);
}
