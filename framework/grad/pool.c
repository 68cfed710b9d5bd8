/* pool.c - floats that a step is done with and uses again: gradients, and values by reuse.c.
 *
 * A list in the order of addresses, neighbours joined; what is asked for comes off the
 * smallest piece that has it, so that a few wide buffers become many narrow ones and wide
 * ones again.  Whole lines of a cache, which is how the arena hands them out.            */
#include "grad/tape-inner.h"

#include <stdint.h>

/* Large pieces are a few lines longer than they need be: of equal powers of two, those side
 * by side would begin at the same place of a page and be in the way of one another.       */
enum { LINE = 64, LARGE = 1 << 14, APART = 5 * LINE };

typedef struct spare { struct spare *next; size_t bytes; } spare;

static size_t lines(int64_t count)
{
    const size_t bytes = ((size_t)count * sizeof(float) + LINE - 1) / LINE * LINE;
    return bytes >= LARGE ? bytes + APART : bytes ? bytes : LINE;
}

float *mls_tape_take(mls_tape *t, int64_t count)
{
    const size_t bytes = lines(count);
    spare **best = NULL;
    for (spare **s = (spare **)&t->spare; *s; s = &(*s)->next)
        if ((*s)->bytes >= bytes && (!best || (*s)->bytes < (*best)->bytes)) {
            best = s;
            if ((*s)->bytes == bytes) break;
        }
    if (!best) return mls_arena_alloc(&t->arena, bytes);
    spare *s = *best;
    if (s->bytes == bytes) {
        *best = s->next;
        return (float *)s;
    }
    s->bytes -= bytes;
    return (float *)(void *)((char *)s + s->bytes);
}

static int touch(const spare *a, const spare *b)
{
    return (const char *)a + a->bytes == (const char *)b;
}

void mls_tape_give(mls_tape *t, void *floats, int64_t count)
{
    spare *s = floats, *before = NULL, *next = t->spare;
    while (next && (uintptr_t)next < (uintptr_t)s) {
        before = next;
        next = next->next;
    }
    *s = (spare){ next, lines(count) };
    if (next && touch(s, next)) *s = (spare){ next->next, s->bytes + next->bytes };
    if (!before) t->spare = s;
    else if (touch(before, s)) *before = (spare){ s->next, before->bytes + s->bytes };
    else before->next = s;
}
