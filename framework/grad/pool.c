/* pool.c - floats that a step is done with and uses again: gradients, and values by reuse.c.
 *
 * Free pieces, neighbours joined, lie in two treaps, by address and by size: what is asked
 * for comes off the smallest piece that has it, so that a few wide buffers become many
 * narrow ones and wide ones again, and the wide ones last.  A long sequence in short chunks
 * has thousands of pieces: both ways take a time that grows with their number's logarithm.
 * Whole lines of a cache, which is how the arena hands them out.                          */
#include "grad/tape-inner.h"

#include <stdint.h>
#include <string.h>

/* Large pieces are a few lines longer than they need be: of equal powers of two, those side
 * by side would begin at the same place of a page and be in the way of one another.       */
enum { LINE = 64, LARGE = 1 << 14, APART = 5 * LINE };

enum { PLACE, SIZE };               /* the two orders                                    */

typedef struct spare {
    struct spare *low[2], *high[2]; /* in each order, what comes before it and after it  */
    size_t        bytes;
} spare;

_Static_assert(sizeof(spare) <= LINE, "a free piece holds its own node");

size_t mls_tape_bytes(int64_t count)
{
    const size_t bytes = ((size_t)count * sizeof(float) + LINE - 1) / LINE * LINE;
    return bytes >= LARGE ? bytes + APART : bytes ? bytes : LINE;
}

/* A node's rank is above those below it; any hash does, since it is seldom the same. */
static uint32_t rank_of(const spare *s)
{
    uint32_t x = (uint32_t)((uintptr_t)s / LINE) * 2654435769u;
    x ^= x >> 15;
    return x * 2246822519u;
}

static int before(int by, const spare *a, const spare *b)
{
    if (by == SIZE && a->bytes != b->bytes) return a->bytes < b->bytes;
    return (uintptr_t)a < (uintptr_t)b;
}

/* The trees of what comes before `at` and after it. */
static void split(int by, spare *tree, const spare *at, spare **low, spare **high)
{
    if (!tree) {
        *low = *high = NULL;
    } else if (before(by, tree, at)) {
        *low = tree;
        split(by, tree->high[by], at, &tree->high[by], high);
    } else {
        *high = tree;
        split(by, tree->low[by], at, low, &tree->low[by]);
    }
}

static spare *join(int by, spare *low, spare *high)
{
    if (!low) return high;
    if (!high) return low;
    if (rank_of(low) > rank_of(high)) {
        low->high[by] = join(by, low->high[by], high);
        return low;
    }
    high->low[by] = join(by, low, high->low[by]);
    return high;
}

static spare *with(int by, spare *tree, spare *s)
{
    if (!tree || rank_of(s) > rank_of(tree)) {
        split(by, tree, s, &s->low[by], &s->high[by]);
        return s;
    }
    spare **side = before(by, s, tree) ? &tree->low[by] : &tree->high[by];
    *side = with(by, *side, s);
    return tree;
}

static spare *without(int by, spare *tree, const spare *s)
{
    if (tree == s) return join(by, tree->low[by], tree->high[by]);
    spare **side = before(by, s, tree) ? &tree->low[by] : &tree->high[by];
    *side = without(by, *side, s);
    return tree;
}

static void add(mls_spare *of, spare *s)
{
    for (int by = 0; by < 2; by++) of->root[by] = with(by, of->root[by], s);
}

static void drop(mls_spare *of, const spare *s)
{
    for (int by = 0; by < 2; by++) of->root[by] = without(by, of->root[by], s);
}

static void put(mls_spare *of, spare *s, size_t bytes);

/* The piece at `at`, if it is free. */
static float *carved(mls_spare *of, char *at, size_t bytes)
{
    spare *s = NULL;
    for (spare *x = of->root[PLACE]; x;) {
        if ((char *)x <= at) s = x, x = x->high[PLACE];
        else x = x->low[PLACE];
    }
    if (!s || (char *)s + s->bytes < at + bytes) return NULL;
    const size_t below = (size_t)(at - (char *)s), above = s->bytes - below - bytes;
    drop(of, s);
    if (below) s->bytes = below, add(of, s);
    if (above) {
        spare *rest = (spare *)(void *)(at + bytes);
        rest->bytes = above;
        add(of, rest);
    }
    return (float *)(void *)at;
}

/* Where the plan of the step has it; the memory of all is there from the first on. */
static float *placed(mls_tape *t, size_t bytes)
{
    const size_t all = mls_places_bytes(t->places);
    if (!all) return NULL;
    if (!t->ground) {
        t->ground = mls_arena_alloc(&t->floats, all);
        if (!t->ground) return NULL;
        put(&t->spare, (spare *)(void *)t->ground, all);
        mls_places_rewind(t->places);
    }
    const int64_t offset = mls_places_next(t->places, bytes);
    return offset < 0 ? NULL : carved(&t->spare, t->ground + offset, bytes);
}

float *mls_tape_take(mls_tape *t, int64_t count)
{
    const size_t bytes = mls_tape_bytes(count);
    float *x = t->places ? placed(t, bytes) : NULL;
    if (!x) x = mls_tape_take_free(t, count);
    if (!x) x = mls_arena_alloc(&t->floats, bytes);
    if (x && mls_places_notes(t->places)) mls_places_taken(t->places, x, bytes);
    return x;
}

float *mls_tape_take_free(mls_tape *t, int64_t count)
{
    const size_t bytes = mls_tape_bytes(count);
    spare *s = NULL;
    for (spare *at = t->spare.root[SIZE]; at;) {
        if (at->bytes < bytes) at = at->high[SIZE];
        else s = at, at = at->low[SIZE];
    }
    if (!s) return NULL;
    drop(&t->spare, s);
    s->bytes -= bytes;
    float *end = (float *)(void *)((char *)s + s->bytes);
    if (s->bytes) add(&t->spare, s);
    return end;
}

static void put(mls_spare *of, spare *s, size_t bytes)
{
    spare *below = NULL, *above = NULL;
    for (spare *at = of->root[PLACE]; at;) {
        if ((uintptr_t)at < (uintptr_t)s) below = at, at = at->high[PLACE];
        else above = at, at = at->low[PLACE];
    }
    if (above && (char *)s + bytes == (char *)above) {
        drop(of, above);
        bytes += above->bytes;
    }
    if (below && (char *)below + below->bytes == (char *)s) {
        drop(of, below);
        bytes += below->bytes;
        s = below;
    }
    s->bytes = bytes;
    add(of, s);
}

void mls_tape_give(mls_tape *t, void *floats, int64_t count)
{
    if (mls_places_notes(t->places)) mls_places_given(t->places, floats);
    if (t->spoils && !t->rehearses) memset(floats, 0xff, (size_t)count * sizeof(float));
    put(&t->spare, floats, mls_tape_bytes(count));
}

static size_t bytes_of(const spare *tree)
{
    return tree ? tree->bytes + bytes_of(tree->low[PLACE]) + bytes_of(tree->high[PLACE]) : 0;
}

size_t mls_tape_in_use(const mls_tape *t)
{
    return t->arena.used + t->floats.used - bytes_of(t->spare.root[PLACE]);
}

/* ---- lending all of it ----------------------------------------------------------------- */

struct mls_pieces {
    struct mls_pieces *next;
    spare             *at;
    size_t             bytes;
};

static struct mls_pieces *list(mls_arena *a, spare *tree, struct mls_pieces *rest, int *ok)
{
    if (!tree || !*ok) return rest;
    struct mls_pieces *p = mls_arena_alloc(a, sizeof *p);
    *ok = p != NULL;
    if (!p) return rest;
    *p = (struct mls_pieces){ list(a, tree->high[PLACE], rest, ok), tree, tree->bytes };
    return list(a, tree->low[PLACE], p, ok);
}

struct mls_pieces *mls_tape_pieces(const mls_tape *t, mls_arena *a)
{
    int ok = 1;
    struct mls_pieces *p = list(a, t->spare.root[PLACE], NULL, &ok);
    return ok ? p : NULL;
}

mls_spare mls_tape_whole_pieces(const struct mls_pieces *p)
{
    mls_spare of = { { NULL, NULL } };
    for (; p; p = p->next) put(&of, p->at, p->bytes);
    return of;
}
