/* report.h - what a case's process tells the one that started it. */
#ifndef MLS_VALIDATE_REPORT_H
#define MLS_VALIDATE_REPORT_H

#include "base/arena.h"

typedef struct mls_verdict {
    int         status;           /* MLS_CASE_...                                       */
    const char *reason;           /* "" when it passed without a word                    */
    const char *notes;            /* lines, or ""                                        */
    double      seconds;          /* of wall time                                        */
    int         late;             /* 1: it did not answer in time                        */
} mls_verdict;

/* Runs work(arg) in a child with limits on processor time (`seconds`), wall time (four times
 * that and two seconds) and memory; processes that it starts end with it.  work tells
 * through the functions below.  A crash, a time-out and an unexpected exit are failed
 * verdicts.  Texts lie in a.                                                             */
mls_verdict mls_report_of(void (*work)(void *arg), void *arg, double seconds, int verbose,
                          mls_arena *a);

/* In the child: the end, and a line of comment on the way.  Outside of one: nothing. */
void mls_report_verdict(int status, const char *reason);
void mls_report_note(const char *text);

#endif
