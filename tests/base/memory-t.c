/* A process's peak is its own: not that of who started it, which getrusage goes on from. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "base/memory.h"

enum { LARGE = 300 << 20 };
static const char *self;

static void a_large_parent_does_not_show(void **state)
{
    (void)state;
    if (!mls_memory_peak()) skip();
    char *large = malloc(LARGE), command[4200];
    assert_non_null(large);
    memset(large, 1, LARGE);
    assert_true(mls_memory() > LARGE && mls_memory_peak() > LARGE);
    snprintf(command, sizeof command, "'%s' child", self);
    FILE *child = popen(command, "r");
    long long peak = 0;
    assert_non_null(child);
    assert_int_equal(fscanf(child, "%lld", &peak), 1);
    pclose(child);
    free(large);
    assert_true(peak > 0 && peak < LARGE);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(a_large_parent_does_not_show) };
    self = argv[0];
    if (argc > 1) return printf("%lld\n", (long long)mls_memory_peak()) < 0;
    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
