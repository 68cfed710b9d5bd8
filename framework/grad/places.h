/* places.h - where in one piece of memory each of a step's floats lie.
 *
 * Taking the smallest free piece, as pool.c does, leaves holes that nothing fits: up to
 * 25 % of a step, the most where floats come and go as those of 16 bits do.  Who has seen a
 * whole step come and go can do better: the largest first, each at the lowest place that is free all the
 * time that it is there.
 *
 *     t->places = mls_places_new(key);         then a step of `t`, rehearsed: it is noted
 *     mls_places_settle(t->places);            0: there is no plan, and none is needed
 *     t->places = ...                          of the tape whose steps come and go like that
 *
 * A step that goes on otherwise takes what it finds free, and more memory: nothing breaks. */
#ifndef MLS_GRAD_PLACES_H
#define MLS_GRAD_PLACES_H

#include <stddef.h>
#include <stdint.h>

typedef struct mls_places mls_places;

mls_places *mls_places_new(uint64_t key);        /* NULL: no memory                       */
void     mls_places_free(mls_places *p);
uint64_t mls_places_key(const mls_places *p);
/* While it notes: `bytes` at `at` are taken, or given back. */
int      mls_places_notes(const mls_places *p);
void     mls_places_taken(mls_places *p, const void *at, size_t bytes);
void     mls_places_given(mls_places *p, const void *at);
/* So many are there for a moment, wherever that is: no piece that is asked for later. */
void     mls_places_brief(mls_places *p, size_t bytes);
/* Whatever was taken when there were more than n of them is given back. */
int32_t  mls_places_count(const mls_places *p);
void     mls_places_end(mls_places *p, int32_t n);
/* From now on it tells places; returns the bytes of all, 0 if there are too many of them. */
size_t   mls_places_settle(mls_places *p);
size_t   mls_places_bytes(const mls_places *p);
void     mls_places_rewind(mls_places *p);       /* a step begins                         */
/* Where the next piece lies in that memory, or -1: another size is wanted than was noted. */
int64_t  mls_places_next(mls_places *p, size_t bytes);

#endif
