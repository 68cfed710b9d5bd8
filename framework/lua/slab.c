#include "lua/slab.h"

#include <stdlib.h>
#include <string.h>

/* Sizes in steps of 16 bytes up to SMALL, then powers of two up to BIG; above that the
 * system's own allocator is as good. */
enum { STEP = 16, SMALL = 512, BIG = 1 << 16, CHUNK = 1 << 20 };

static int class_of(size_t n)
{
    if (n <= SMALL)
        return (int)((n + STEP - 1) / STEP);
    int c = SMALL / STEP + 1;
    for (size_t room = 2 * SMALL; room < n; room *= 2)
        c++;
    return c;
}

static size_t room_of(int class)
{
    return class <= SMALL / STEP ? (size_t)class * STEP
        : (size_t)SMALL << (class - SMALL / STEP);
}

static void *take(mls_slab *p, size_t n)
{
    if (n > BIG)
        return malloc(n);
    const int c = class_of(n);
    void *block = p->spare[c];
    if (block) {
        memcpy(&p->spare[c], block, sizeof block);
        return block;
    }
    const size_t room = room_of(c);
    if (p->left < room) {
        char *chunk = malloc(CHUNK);
        if (!chunk)
            return NULL;
        memcpy(chunk, &p->chunk, sizeof p->chunk);
        p->chunk = chunk;
        p->at = chunk + STEP;
        p->left = CHUNK - STEP;
    }
    block = p->at;
    p->at += room;
    p->left -= room;
    return block;
}

static void give(mls_slab *p, void *block, size_t n)
{
    if (n > BIG) {
        free(block);
        return;
    }
    const int c = class_of(n);
    memcpy(block, &p->spare[c], sizeof(void *));
    p->spare[c] = block;
}

void *mls_slab_resize(mls_slab *p, void *old, size_t had, size_t want)
{
    if (!old || had == 0)
        return want ? take(p, want) : NULL;
    if (want == 0) {
        give(p, old, had);
        return NULL;
    }
    if (had > BIG && want > BIG)
        return realloc(old, want);
    if (had <= BIG && want <= BIG && class_of(had) == class_of(want))
        return old;
    void *new = take(p, want);
    if (!new)
        return NULL;
    memcpy(new, old, had < want ? had : want);
    give(p, old, had);
    return new;
}

void mls_slab_free(mls_slab *p)
{
    for (void *c = p->chunk, *next; c; c = next) {
        memcpy(&next, c, sizeof next);
        free(c);
    }
    *p = (mls_slab){ .at = NULL };
}
