/* hash.h - sha256 as 64 hex digits (libmd). */
#ifndef MLS_BASE_HASH_H
#define MLS_BASE_HASH_H

#include <stddef.h>

void mls_hash_bytes(const void *data, size_t size, char out[65]);
/* 0, and out all zeros, when the file cannot be read. */
int  mls_hash_file(const char *path, char out[65]);

#endif
