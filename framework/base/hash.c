#include "base/hash.h"

#include <sha256.h>
#include <stdint.h>
#include <string.h>

void mls_hash_bytes(const void *data, size_t size, char out[65])
{
    SHA256_CTX c;
    SHA256Init(&c);
    SHA256Update(&c, data, size);
    SHA256End(&c, out);
}

int mls_hash_file(const char *path, char out[65])
{
    if (SHA256File(path, out)) return 1;
    memset(out, '0', 64);
    out[64] = '\0';
    return 0;
}
