#define _GNU_SOURCE 1
#include "study/crash.h"

#include "grad/tape.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static const struct { int number; const char *name; } caught[] = {
    { SIGSEGV, "SIGSEGV" }, { SIGBUS, "SIGBUS" }, { SIGFPE, "SIGFPE" },
    { SIGILL, "SIGILL" }, { SIGABRT, "SIGABRT" },
};

/* Only async-signal-safe calls here: the heap may be what broke. */
static void put(const char *s)
{
    size_t n = 0;
    while (s[n] && n < 200)
        n++;
    if (write(STDERR_FILENO, s, n) < 0)
        return;                                  /* nothing left to tell it to */
}

static void put_number(int64_t x)
{
    char digits[24];
    size_t n = sizeof digits;
    digits[--n] = 0;
    do {
        digits[--n] = (char)('0' + x % 10);
        x /= 10;
    } while (x > 0 && n > 0);
    put(digits + n);
}

static void last_words(int number)
{
    put("crashed: ");
    for (size_t i = 0; i < sizeof caught / sizeof *caught; i++)
        if (caught[i].number == number)
            put(caught[i].name);
    const char *words[] = { mls_run_current, mls_run_op, mls_run_phase };
    for (int i = 0; i < 3; i++)
        if (words[i]) {
            put(i == 0 ? " in " : " ");
            put(words[i]);
        }
    if (mls_run_step > 0) {
        put(", step ");
        put_number(mls_run_step);
    }
    put("\n");
    /* SA_RESETHAND has put the default action back: die of it */
    raise(number);
}

int mls_crash_install(void)
{
    static char stack[64 * 1024];                /* an overflown stack is no stack */
    const stack_t other = { .ss_sp = stack, .ss_size = sizeof stack };
    if (sigaltstack(&other, NULL) != 0)
        return 0;
    struct sigaction a;
    memset(&a, 0, sizeof a);
    a.sa_handler = last_words;
    a.sa_flags = (int)(SA_ONSTACK | SA_RESETHAND | SA_NODEFER);
    for (size_t i = 0; i < sizeof caught / sizeof *caught; i++)
        if (sigaction(caught[i].number, &a, NULL) != 0)
            return 0;
    return 1;
}

const char *mls_crash_signal(int number)
{
    static char text[32];
    const char *name = sigabbrev_np(number);
    if (name)
        snprintf(text, sizeof text, "SIG%s", name);
    else
        snprintf(text, sizeof text, "signal %d", number);
    return text;
}
