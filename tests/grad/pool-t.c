/* The pool: pieces do not overlap, and all of them given back are whole again. */
#include "grad/tape-inner.h"
#include "base/philox.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

enum { PIECES = 700, TURNS = 20000, MOST = 3000 };

typedef struct piece { float *at; int64_t count; } piece;

static void fill(const piece *p, float x)
{
    for (int64_t i = 0; i < p->count; i++) p->at[i] = x;
}

static void check(const piece *p, float x)
{
    assert_int_equal((uintptr_t)p->at % 64, 0);
    for (int64_t i = 0; i < p->count; i++) assert_true(p->at[i] == x);
}

static void pieces_keep_apart_and_join(void **state)
{
    (void)state;
    mls_tape t = { 0 };
    static piece p[PIECES];
    uint32_t u[4];
    for (uint64_t turn = 0; turn < TURNS; turn++) {
        mls_philox(7, turn, u);
        const int i = (int)(u[0] % PIECES);
        if (p[i].at) {
            check(&p[i], (float)i);
            mls_tape_give(&t, p[i].at, p[i].count);
            p[i].at = NULL;
        } else {
            p[i].count = 1 + u[1] % (u[2] % 8 ? 200 : MOST);
            p[i].at = mls_tape_take(&t, p[i].count);
            assert_non_null(p[i].at);
            fill(&p[i], (float)i);
        }
    }
    for (int i = 0; i < PIECES; i++)
        if (p[i].at) {
            check(&p[i], (float)i);
            mls_tape_give(&t, p[i].at, p[i].count);
        }
    /* everything is free: what was ever handed out is there again, without more memory */
    const size_t used = t.floats.used;
    assert_true(used < (size_t)PIECES * MOST * sizeof(float) / 4);
    size_t found = 0;
    while (mls_tape_take(&t, 512) && t.floats.used == used) found += 512 * sizeof(float);
    assert_true((double)found > 0.9 * (double)used);
    mls_tape_free(&t);
}

static void neighbours_are_one_piece(void **state)
{
    (void)state;
    mls_tape t = { 0 };
    float *x[64];
    for (int i = 0; i < 64; i++) x[i] = mls_tape_take(&t, 256);
    for (int i = 0; i < 64; i += 2) mls_tape_give(&t, x[i], 256);
    const size_t used = t.floats.used;
    for (int i = 1; i < 64; i += 2) mls_tape_give(&t, x[i], 256);
    assert_non_null(mls_tape_take(&t, 4000));     /* 64 x 256 floats, all in one block */
    assert_int_equal(t.floats.used, used);
    mls_tape_free(&t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(pieces_keep_apart_and_join),
        cmocka_unit_test(neighbours_are_one_piece),
    };
    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests_name("pool", tests, NULL, NULL);
}
