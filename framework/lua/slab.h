/* slab.h - memory of a Lua state: small blocks from free lists, so that a step whose values
 * come and go takes nothing from the system once it has run a few times.               */
#ifndef MLS_LUA_SLAB_H
#define MLS_LUA_SLAB_H

#include <stddef.h>

enum { MLS_SLAB_CLASSES = 40 };

typedef struct mls_slab {
    void  *spare[MLS_SLAB_CLASSES];   /* lists of free blocks of one size              */
    char  *at;                        /* the rest of the newest chunk                  */
    size_t left;
    void  *chunk;                     /* list of chunks, for free                      */
} mls_slab;

/* As realloc, but told the old size (0 with NULL); want 0 frees.  NULL: no memory, and old
 * is as it was.                                                                         */
void *mls_slab_resize(mls_slab *p, void *old, size_t had, size_t want);
void  mls_slab_free(mls_slab *p);     /* every chunk; blocks above 64 KiB must be gone  */

#endif
