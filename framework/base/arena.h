/* arena.h - a bump allocator.  Memory is released all at once or back to a mark and
 * is kept for reuse: after warm-up a reset arena calls malloc no more.              */
#ifndef MLS_BASE_ARENA_H
#define MLS_BASE_ARENA_H

#include <stddef.h>
#include <stdint.h>

typedef struct mls_block mls_block;

typedef struct mls_arena {
    mls_block *first, *at;   /* blocks in use up to `at`, spare ones after it       */
    size_t     used, peak;   /* bytes handed out now, and at most                   */
    size_t     mallocs;      /* times it had to ask the system                      */
    int        bare;         /* 1: asks for no large pages: little of it is touched */
    struct mls_leave *leave; /* what is called when it is freed                     */
} mls_arena;

typedef struct mls_mark { mls_block *block; size_t offset, used; } mls_mark;

/* 64-byte aligned, not zeroed.  NULL only when the system has no memory. */
void    *mls_arena_alloc(mls_arena *a, size_t bytes);
void    *mls_arena_zalloc(mls_arena *a, size_t bytes);
char    *mls_arena_strdup(mls_arena *a, const char *s);
char    *mls_arena_printf(mls_arena *a, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
mls_mark mls_arena_mark(const mls_arena *a);
void     mls_arena_release(mls_arena *a, mls_mark m);
void     mls_arena_reset(mls_arena *a);
void     mls_arena_free(mls_arena *a);
/* Calls f(arg) when the arena is freed, newest first: for things that lie elsewhere and must
 * go with it.  Not for an arena that is reset or released.  0: no memory.              */
int      mls_arena_at_free(mls_arena *a, void (*f)(void *arg), void *arg);
/* Asks the system now for what a step will need, so that no step has to. */
int      mls_arena_reserve(mls_arena *a, size_t bytes);

#endif
