/* places.c - see places.h.  Intervals of time by size, each at the first gap that is large
 * enough among those that overlap it: "greedy by size" of Pisarchyk and Lee (2020),
 * arXiv:2001.03288.                                                                      */
#include "grad/places.h"

#include <stdlib.h>

/* Each is compared with those before it: this many take a second. */
enum { MOST = 1 << 15 };

typedef struct place {
    size_t      bytes, offset;
    int32_t     born, gone;       /* takes and gives are counted                           */
    const void *at;               /* while it is noted and there, else NULL                */
    int         brief;            /* nobody will ask for it                                */
} place;

struct mls_places {
    place   *all;
    int32_t  n, room, clock, next;
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
    if (p) free(p->all);
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
        if (!more) {
            p->n = MOST + 1;
            return;
        }
        p->all = more;
        p->room = room;
    }
    p->all[p->n++] = *x;
}

void mls_places_taken(mls_places *p, const void *at, size_t bytes)
{
    add(p, &(place){ bytes, 0, p->clock, INT32_MAX, at, 0 });
    p->clock++;
}

void mls_places_brief(mls_places *p, size_t bytes)
{
    /* several pieces, each in whole lines of the cache and a few more */
    const size_t room = (bytes / 64 + 64) * 64;
    add(p, &(place){ room, 0, p->clock, p->clock, NULL, 1 });
    p->clock++;
}

void mls_places_given(mls_places *p, const void *at)
{
    if (p->n > MOST) return;
    for (int32_t i = p->n - 1; i >= 0; i--)
        if (p->all[i].at == at) {
            p->all[i].gone = p->clock++;
            p->all[i].at = NULL;
            return;
        }
}

int32_t mls_places_count(const mls_places *p) { return p ? p->n : 0; }

void mls_places_end(mls_places *p, int32_t n)
{
    for (int32_t i = n; i < p->n && p->n <= MOST; i++)
        if (p->all[i].at) {
            p->all[i].gone = p->clock++;
            p->all[i].at = NULL;
        }
}

static int larger(const void *a, const void *b)
{
    const place *x = *(const place *const *)a, *y = *(const place *const *)b;
    if (x->bytes != y->bytes) return x->bytes < y->bytes ? 1 : -1;
    return x->born < y->born ? -1 : x->born > y->born;
}

/* `by_place` holds n pieces by their offset: x goes to the lowest gap between those that are
 * there while it is; returns where in the list. */
static int32_t fit(place *x, place *const *by_place, int32_t n)
{
    size_t end = 0;
    x->offset = 0;
    for (int32_t i = 0; i < n; i++) {
        const place *y = by_place[i];
        if (y->born > x->gone || x->born > y->gone) continue;
        if (y->offset >= end + x->bytes) break;
        if (y->offset + y->bytes > end) end = y->offset + y->bytes;
    }
    x->offset = end;
    int32_t at = n;
    while (at > 0 && by_place[at - 1]->offset > end) at--;
    return at;
}

size_t mls_places_settle(mls_places *p)
{
    p->notes = 0;
    p->total = 0;
    place **by_size = p->n <= MOST ? malloc(2 * (size_t)p->n * sizeof *by_size + 1) : NULL;
    if (!by_size) {
        p->n = 0;
        return 0;
    }
    place **by_place = by_size + p->n;
    for (int32_t i = 0; i < p->n; i++) by_size[i] = &p->all[i];
    qsort(by_size, (size_t)p->n, sizeof *by_size, larger);
    for (int32_t i = 0; i < p->n; i++) {
        place *x = by_size[i];
        const int32_t at = fit(x, by_place, i);
        for (int32_t j = i; j > at; j--) by_place[j] = by_place[j - 1];
        by_place[at] = x;
        if (x->offset + x->bytes > p->total) p->total = x->offset + x->bytes;
    }
    free(by_size);
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
