#include "base/bundle.h"

#include <string.h>

void mls_bundle_add(mls_bundle *b, const char *name, mls_bundle_type type, void *data,
                    int rank, const int64_t *dim)
{
    if (b->n == b->room) {
        const int room = b->room ? 2 * b->room : 64;
        mls_bundle_row *row = mls_arena_alloc(b->arena, (size_t)room * sizeof *row);
        if (!row) return;
        if (b->n) memcpy(row, b->row, (size_t)b->n * sizeof *row);
        b->row = row;
        b->room = room;
    }
    mls_bundle_row *r = &b->row[b->n++];
    *r = (mls_bundle_row){ mls_arena_strdup(b->arena, name), type, rank, { 1, 1, 1, 1 }, data };
    for (int i = 0; i < rank && i < 4; i++) r->dim[i] = dim[i];
}
