/* progress.h - how far a study is: bars that repaint on a terminal, a plain line at most
 * every 10 seconds elsewhere.                                                          */
#ifndef MLS_STUDY_PROGRESS_H
#define MLS_STUDY_PROGRESS_H

#include "study/runner.h"

#include <stdio.h>

typedef struct mls_meter {
    FILE  *out;
    int    terminal, lines;      /* lines painted last                                 */
    double began, painted;
} mls_meter;

void mls_meter_start(mls_meter *m, FILE *out);
/* Fits mls_runner.watch; arg is the meter. */
void mls_meter_watch(void *meter, const mls_runner *r);
/* The last picture. */
void mls_meter_end(mls_meter *m, const mls_runner *r);
/* "1:05:09", "3:20", "12 s"; room for 24 characters. */
void mls_meter_time(double seconds, char out[24]);

#endif
