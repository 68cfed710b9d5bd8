#include "base/arena.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

/* Blocks double up to BIG, so that a step of any size ends up in few of them. */
enum { ALIGN = 64, SMALL = 1 << 16, BIG = 1 << 26, HUGE_PAGE = 1 << 21 };

struct mls_block {
    mls_block *next;
    size_t     size, used;        /* of data, which starts ALIGN bytes after this       */
};

struct mls_leave { struct mls_leave *next; void (*f)(void *arg); void *arg; };

static char *data_of(mls_block *b) { return (char *)b + ALIGN; }

/* Large blocks ask for large pages: rows of a batch lie many small pages apart, and looking
 * those up slows whatever walks over time.  Only a hint.                               */
static mls_block *new_block(mls_arena *a, size_t bytes)
{
    const size_t align = bytes >= 2 * HUGE_PAGE ? HUGE_PAGE : ALIGN;
    void *p = NULL;
    if (bytes > SIZE_MAX - ALIGN || posix_memalign(&p, align, bytes + ALIGN)) return NULL;
    a->mallocs++;
#ifdef MADV_HUGEPAGE
    if (align == HUGE_PAGE && !a->bare) madvise(p, bytes + ALIGN, MADV_HUGEPAGE);
#endif
    mls_block *b = p;
    *b = (mls_block){ .size = bytes };
    return b;
}

/* Finds room in the blocks after `at`, or links a new one in behind it. */
static mls_block *room(mls_arena *a, size_t bytes)
{
    mls_block *b = a->at ? a->at->next : a->first;
    size_t last = a->at ? a->at->size : SMALL / 2;
    mls_block *before = a->at;
    for (; b; before = b, b = b->next) {
        b->used = 0;
        if (b->size >= bytes) {
            /* bring it directly behind `at`, so that marks stay in list order */
            if (before != a->at) {
                before->next = b->next;
                b->next = a->at ? a->at->next : a->first;
                if (a->at) a->at->next = b; else a->first = b;
            }
            return b;
        }
        last = b->size;
    }
    size_t size = last < BIG / 2 ? last * 2 : BIG;
    if (size < bytes) size = bytes;
    b = new_block(a, size);
    if (!b) return NULL;
    b->next = a->at ? a->at->next : a->first;
    if (a->at) a->at->next = b; else a->first = b;
    return b;
}

void *mls_arena_alloc(mls_arena *a, size_t bytes)
{
    if (bytes > SIZE_MAX - 2 * ALIGN) return NULL;
    bytes = bytes ? (bytes + ALIGN - 1) / ALIGN * ALIGN : ALIGN;
    mls_block *b = a->at;
    if (!b || b->size - b->used < bytes) {
        b = room(a, bytes);
        if (!b) return NULL;
        b->used = 0;
        a->at = b;
    }
    void *p = data_of(b) + b->used;
    b->used += bytes;
    a->used += bytes;
    if (a->used > a->peak) a->peak = a->used;
    return p;
}

void *mls_arena_zalloc(mls_arena *a, size_t bytes)
{
    void *p = mls_arena_alloc(a, bytes);
    return p ? memset(p, 0, bytes) : NULL;
}

char *mls_arena_strdup(mls_arena *a, const char *s)
{
    const size_t n = strlen(s) + 1;
    char *p = mls_arena_alloc(a, n);
    return p ? memcpy(p, s, n) : NULL;
}

char *mls_arena_printf(mls_arena *a, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    const int n = vsnprintf(NULL, 0, fmt, ap);
    va_end(ap);
    char *p = n < 0 ? NULL : mls_arena_alloc(a, (size_t)n + 1);
    if (!p) return NULL;
    va_start(ap, fmt);
    vsnprintf(p, (size_t)n + 1, fmt, ap);
    va_end(ap);
    return p;
}

mls_mark mls_arena_mark(const mls_arena *a)
{
    return (mls_mark){ a->at, a->at ? a->at->used : 0, a->used };
}

void mls_arena_release(mls_arena *a, mls_mark m)
{
    a->at = m.block;
    if (m.block) m.block->used = m.offset;
    a->used = m.used;
}

void mls_arena_reset(mls_arena *a)
{
    mls_arena_release(a, (mls_mark){ NULL, 0, 0 });
}

int mls_arena_at_free(mls_arena *a, void (*f)(void *arg), void *arg)
{
    struct mls_leave *l = mls_arena_alloc(a, sizeof *l);
    if (!l) return 0;
    *l = (struct mls_leave){ a->leave, f, arg };
    a->leave = l;
    return 1;
}

void mls_arena_free(mls_arena *a)
{
    for (struct mls_leave *l = a->leave; l; l = l->next) l->f(l->arg);
    for (mls_block *b = a->first, *next; b; b = next) {
        next = b->next;
        free(b);
    }
    *a = (mls_arena){ 0 };
}

int mls_arena_reserve(mls_arena *a, size_t bytes)
{
    const mls_mark m = mls_arena_mark(a);
    const size_t peak = a->peak;
    const int ok = mls_arena_alloc(a, bytes) != NULL;
    mls_arena_release(a, m);
    a->peak = peak;
    return ok;
}
