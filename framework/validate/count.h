/* count.h - counts what a plugin (and mls itself) asks of malloc and its kin, by
 * putting functions of our own into the tables through which they call it.
 */
#ifndef MLS_VALIDATE_COUNT_H
#define MLS_VALIDATE_COUNT_H

#include <stdint.h>

/* Of the loaded object that contains `inside`, and of the program.  Counting starts; it
 * cannot be undone, so it belongs into a process that ends.  Returns how many calls are
 * watched in the object: 0, it makes none; -1: not known on this system. */
int mls_count_watch(const void *inside);
/* How many calls were made so far; *who: the last function called, "malloc", or NULL;
 * *plugin: how many of them by the object. */
int64_t mls_count_calls(const char **who, int64_t *plugin);

#endif
