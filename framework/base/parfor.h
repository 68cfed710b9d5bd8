/* parfor.h - a loop over independent items on the process's threads.  Which thread
 * takes an item never changes its bits.  Nested calls run on the calling thread.     */
#ifndef MLS_BASE_PARFOR_H
#define MLS_BASE_PARFOR_H

#include <stdint.h>

void mls_parfor(int64_t n, void (*body)(int64_t i, void *arg), void *arg);
void mls_parfor_threads(int threads);   /* how many from now on; 1 at start           */
int  mls_parfor_count(void);

#endif
