/* places.c - see places.h.  Intervals of time by size, each at the first gap that is large
 * enough among those that overlap it: "greedy by size" of Pisarchyk and Lee (2020),
 * arXiv:2001.03288.                                                                      */
#include "grad/places.h"

#include <stdlib.h>
#include <string.h>

/* Each is compared with those before it: this many take some tenths of a second. */
enum { MOST = 1 << 14 };

typedef struct place {
    size_t      bytes, offset;
    int32_t     born, gone;       /* takes and gives are counted                           */
    const void *at;               /* while it is noted and there                           */
    int         brief;            /* nobody will ask for it                                */
} place;

struct mls_places {
    place   *all;
    int32_t *there;               /* of these, which are there, while it notes             */
    int32_t  n, n_there, room, clock, next;
    int      notes;
    uint64_t key;
    size_t   total;
};

mls_places *mls_places_new(uint64_t key)
{
    mls_places *p = calloc(1, sizeof *p);
    if (p) *p = (mls_places){ .notes = 1, .key = key };
    return p;
}

void mls_places_free(mls_places *p)
{
    if (p) free(p->all), free(p->there);
    free(p);
}

uint64_t mls_places_key(const mls_places *p) { return p ? p->key : 0; }
size_t   mls_places_bytes(const mls_places *p) { return p ? p->total : 0; }
int      mls_places_notes(const mls_places *p) { return p && p->notes; }

static void add(mls_places *p, const place *x)
{
    if (p->n > MOST) return;
    if (p->n == p->room) {
        const int32_t room = p->room ? 2 * p->room : 256;
        place *more = realloc(p->all, (size_t)room * sizeof *more);
        if (more) p->all = more;
        int32_t *there = realloc(p->there, (size_t)room * sizeof *there);
        if (there) p->there = there;
        if (!more || !there) {
            p->n = MOST + 1;
            return;
        }
        p->room = room;
    }
    if (!x->brief) p->there[p->n_there++] = p->n;
    p->all[p->n++] = *x;
}

void mls_places_taken(mls_places *p, const void *at, size_t bytes)
{
    add(p, &(place){ bytes, 0, p->clock, INT32_MAX, at, 0 });
    p->clock++;
}

void mls_places_brief(mls_places *p, size_t bytes)
{
    /* several pieces, each in whole lines of the cache and a few more; and what a product asks
     * for without its op (lists of events) */
    const size_t room = (bytes / 64 + bytes / 1024 + 64) * 64;
    add(p, &(place){ room, 0, p->clock, p->clock, NULL, 1 });
    p->clock++;
}

/* The i-th of those that are there is not any more. */
static void end(mls_places *p, int32_t i)
{
    place *x = &p->all[p->there[i]];
    x->gone = p->clock++;
    p->there[i] = p->there[--p->n_there];
}

void mls_places_given(mls_places *p, const void *at)
{
    for (int32_t i = p->n_there - 1; p->n <= MOST && i >= 0; i--)
        if (p->all[p->there[i]].at == at) {
            end(p, i);
            return;
        }
}

int32_t mls_places_count(const mls_places *p) { return p ? p->n : 0; }

void mls_places_end(mls_places *p, int32_t n)
{
    for (int32_t i = p->n_there - 1; i >= 0; i--)
        if (p->there[i] >= n) end(p, i);
}

static int larger(const void *a, const void *b)
{
    const place *x = *(const place *const *)a, *y = *(const place *const *)b;
    if (x->bytes != y->bytes) return x->bytes < y->bytes ? 1 : -1;
    return x->born < y->born ? -1 : x->born > y->born;
}

typedef struct span { size_t from, to; int32_t born, gone; } span;

/* The lowest gap for x between those of n spans, by where they begin, that are there while it
 * is. */
static size_t gap(const place *x, const span *s, int32_t n)
{
    size_t end = 0;
    for (const span *last = s + n; s < last; s++) {
        if (s->born > x->gone || x->born > s->gone || s->to <= end) continue;
        if (s->from >= end + x->bytes) break;
        end = s->to;
    }
    return end;
}

static void insert(span *s, int32_t n, const place *x)
{
    int32_t at = n;
    while (at > 0 && s[at - 1].from > x->offset) at--;
    memmove(s + at + 1, s + at, (size_t)(n - at) * sizeof *s);
    s[at] = (span){ x->offset, x->offset + x->bytes, x->born, x->gone };
}

size_t mls_places_settle(mls_places *p)
{
    const size_t n = p->n <= MOST ? (size_t)p->n : 0;
    place **by_size = malloc(n * sizeof *by_size + 1);
    span *spans = malloc(n * sizeof *spans + 1);
    p->notes = 0;
    p->total = 0;
    p->n = by_size && spans ? (int32_t)n : 0;
    for (int32_t i = 0; i < p->n; i++) by_size[i] = &p->all[i];
    if (p->n) qsort(by_size, n, sizeof *by_size, larger);
    for (int32_t i = 0; i < p->n; i++) {
        place *x = by_size[i];
        x->offset = gap(x, spans, i);
        insert(spans, i, x);
        if (x->offset + x->bytes > p->total) p->total = x->offset + x->bytes;
    }
    free(by_size);
    free(spans);
    return p->total;
}

void mls_places_rewind(mls_places *p) { p->next = 0; }

int64_t mls_places_next(mls_places *p, size_t bytes)
{
    while (p->next < p->n && p->all[p->next].brief) p->next++;
    if (p->next >= p->n) return -1;
    const place *x = &p->all[p->next++];
    return x->bytes == bytes ? (int64_t)x->offset : -1;
}
