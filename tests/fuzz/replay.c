/* replay.c - feeds a fuzz target the files of tests/fuzz/corpus/NAME, where it is called
 * NAME-t: what a fuzzer found once stays found.                                         */
#include "fuzz.h"

#include <dirent.h>
#include <stdio.h>

static int one(const char *path)
{
    FILE *f = fopen(path, "rb");
    uint8_t *data = malloc(1 << 20);
    const size_t n = f && data ? fread(data, 1, 1 << 20, f) : 0;
    if (f) fclose(f);
    uint8_t *exact = malloc(n ? n : 1);     /* so that a sanitizer sees its end */
    if (exact && n) memcpy(exact, data, n);
    if (f && exact) LLVMFuzzerTestOneInput(exact, n);
    free(exact);
    free(data);
    return f != NULL;
}

int main(int argc, char **argv)
{
    const char *source = getenv("MLS_SOURCE"), *base = strrchr(argv[0], '/');
    char folder[4096], path[8192];
    int n = 0;
    base = base ? base + 1 : argv[0];
    if (!strncmp(base, "lt-", 3)) base += 3;
    snprintf(folder, sizeof folder, "%s/tests/fuzz/corpus/%.*s", source ? source : ".",
             (int)strcspn(base, "-"), base);
    if (argc > 1) snprintf(folder, sizeof folder, "%s", argv[1]);
    DIR *d = opendir(folder);
    for (struct dirent *f; d && (f = readdir(d));) {
        if (f->d_name[0] == '.') continue;
        snprintf(path, sizeof path, "%s/%s", folder, f->d_name);
        n += one(path);
    }
    if (d) closedir(d);
    printf("1..1\n%sok 1 - %d inputs of %s\n", n ? "" : "not ", n, folder);
    return !n;
}
