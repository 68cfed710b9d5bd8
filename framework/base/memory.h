/* memory.h - what this process has in memory, by /proc; 0 where that is not there. */
#ifndef MLS_BASE_MEMORY_H
#define MLS_BASE_MEMORY_H

#include <stdint.h>

/* Bytes now; the most since the last reset, or since the program began.  getrusage's
 * ru_maxrss is another figure: it begins with what the parent had.                      */
int64_t mls_memory(void);
int64_t mls_memory_peak(void);
void    mls_memory_reset(void);

#endif
