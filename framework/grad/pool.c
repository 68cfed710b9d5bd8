/* pool.c - floats that a step is done with and uses again: gradients, and values by reuse.c.
 *
 * A treap of the free pieces in the order of addresses, neighbours joined, each node with
 * the largest piece below it: what is asked for comes off the first piece that has it, so
 * that a few wide buffers become many narrow ones and wide ones again.  A long sequence in
 * short chunks has thousands of pieces: both ways take a time that grows with their
 * number's logarithm.  Whole lines of a cache, which is how the arena hands them out.    */
#include "grad/tape-inner.h"

#include <stdint.h>

/* Large pieces are a few lines longer than they need be: of equal powers of two, those side
 * by side would begin at the same place of a page and be in the way of one another.       */
enum { LINE = 64, LARGE = 1 << 14, APART = 5 * LINE };

typedef struct spare {
    struct spare *left, *right;     /* at lower and at higher addresses                  */
    size_t        bytes, most;      /* of this piece; of the largest in this tree        */
} spare;

_Static_assert(sizeof(spare) <= LINE, "a free piece holds its own node");

static size_t lines(int64_t count)
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

static void sum_up(spare *s)
{
    s->most = s->bytes;
    if (s->left && s->left->most > s->most) s->most = s->left->most;
    if (s->right && s->right->most > s->most) s->most = s->right->most;
}

/* The trees of what lies below `at` and above it. */
static void split(spare *tree, const spare *at, spare **below, spare **above)
{
    if (!tree) {
        *below = *above = NULL;
    } else if ((uintptr_t)tree < (uintptr_t)at) {
        *below = tree;
        split(tree->right, at, &tree->right, above);
        sum_up(tree);
    } else {
        *above = tree;
        split(tree->left, at, below, &tree->left);
        sum_up(tree);
    }
}

static spare *join(spare *below, spare *above)
{
    if (!below) return above;
    if (!above) return below;
    spare *top = rank_of(below) > rank_of(above) ? below : above;
    if (top == below) below->right = join(below->right, above);
    else above->left = join(below, above->left);
    sum_up(top);
    return top;
}

static spare *with(spare *tree, spare *s)
{
    if (!tree || rank_of(s) > rank_of(tree)) {
        split(tree, s, &s->left, &s->right);
        tree = s;
    } else if ((uintptr_t)s < (uintptr_t)tree) {
        tree->left = with(tree->left, s);
    } else {
        tree->right = with(tree->right, s);
    }
    sum_up(tree);
    return tree;
}

static spare *without(spare *tree, const spare *s)
{
    if (tree == s) return join(tree->left, tree->right);
    if ((uintptr_t)s < (uintptr_t)tree) tree->left = without(tree->left, s);
    else tree->right = without(tree->right, s);
    sum_up(tree);
    return tree;
}

float *mls_tape_take(mls_tape *t, int64_t count)
{
    const size_t bytes = lines(count);
    spare *s = t->spare;
    if (!s || s->most < bytes) return mls_arena_alloc(&t->arena, bytes);
    for (;;) {
        if (s->left && s->left->most >= bytes) s = s->left;
        else if (s->bytes >= bytes) break;
        else s = s->right;
    }
    spare *rest = without(t->spare, s);
    s->bytes -= bytes;
    t->spare = s->bytes ? with(rest, s) : rest;
    return (float *)(void *)((char *)s + s->bytes);
}

void mls_tape_give(mls_tape *t, void *floats, int64_t count)
{
    spare *s = floats, *before = NULL, *after = NULL;
    size_t bytes = lines(count);
    for (spare *at = t->spare; at;) {
        if ((uintptr_t)at < (uintptr_t)s) before = at, at = at->right;
        else after = at, at = at->left;
    }
    if (after && (char *)s + bytes == (char *)after) {
        t->spare = without(t->spare, after);
        bytes += after->bytes;
    }
    if (before && (char *)before + before->bytes == (char *)s) {
        t->spare = without(t->spare, before);
        bytes += before->bytes;
        s = before;
    }
    s->bytes = bytes;
    t->spare = with(t->spare, s);
}
