/* fuzz.h - what the fuzz targets share: a registry without files, a reader of bytes. */
#ifndef TESTS_FUZZ_FUZZ_H
#define TESTS_FUZZ_FUZZ_H

#include "plug/plug.h"

#include <stdlib.h>
#include <string.h>

/* libFuzzer's entry; replay.c has a main that feeds it the files of a folder. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* A property that does not hold is a crash, so that libFuzzer keeps the input. */
#define FUZZ_HOLDS(x) ((x) ? (void)0 : __builtin_trap())

static inline mls_registry fuzz_registry(void)
{
    mls_registry r = { .warnings = "" };
    mls_plug_init();
    r.file = mls_arena_zalloc(&r.arena, 1024 * sizeof *r.file);
    r.component = mls_arena_zalloc(&r.arena, 4096 * sizeof *r.component);
    FUZZ_HOLDS(r.file && r.component);
    return r;
}

/* Bytes in order; zeros when they are used up. */
typedef struct fuzz_bytes { const uint8_t *p; size_t n; } fuzz_bytes;

static inline void fuzz_take(fuzz_bytes *b, void *to, size_t n)
{
    const size_t have = n < b->n ? n : b->n;
    memset(to, 0, n);
    if (have) memcpy(to, b->p, have);
    b->p += have;
    b->n -= have;
}

static inline unsigned fuzz_byte(fuzz_bytes *b)
{
    uint8_t x;
    fuzz_take(b, &x, 1);
    return x;
}

#endif
