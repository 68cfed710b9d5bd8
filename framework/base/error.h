/* error.h - an error that sticks: the first one set wins, later ones are ignored. */
#ifndef MLS_BASE_ERROR_H
#define MLS_BASE_ERROR_H

#include <stdarg.h>

typedef struct mls_error {
    int  set;            /* 1 once something failed                            */
    char text[4000];     /* one message, no newline at the end                 */
} mls_error;

void mls_error_set(mls_error *e, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
void mls_error_setv(mls_error *e, const char *fmt, va_list ap);
/* Puts "fmt: " in front of the message that is already there; nothing when none is. */
void mls_error_prefix(mls_error *e, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* The best of n names for a misspelt one by Damerau-Levenshtein distance (at most
 * 1 + len/3), or NULL.                                                              */
const char *mls_error_nearest(const char *word, const char *const *names, int n);

#endif
