#define _GNU_SOURCE 1
#include "plug/elf.h"

#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <link.h>
#include <stdint.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { NATIVE_CLASS = sizeof(void *) == 8 ? ELFCLASS64 : ELFCLASS32 };

static int inside(uint64_t from, uint64_t bytes, uint64_t size)
{
    return from <= size && bytes <= size - from;
}

/* Whether everything that the headers speak of lies within the file; -1: unreadable. */
static int whole(int fd, const ElfW(Ehdr) *h, uint64_t size)
{
    if (!inside(h->e_phoff, (uint64_t)h->e_phnum * h->e_phentsize, size) ||
        !inside(h->e_shoff, (uint64_t)h->e_shnum * h->e_shentsize, size))
        return 0;
    for (int i = 0; i < h->e_phnum; i++) {
        ElfW(Phdr) p;
        const uint64_t at = h->e_phoff + (uint64_t)i * h->e_phentsize;
        if (pread(fd, &p, sizeof p, (off_t)at) != (ssize_t)sizeof p) return -1;
        if (!inside(p.p_offset, p.p_filesz, size)) return 0;
    }
    return 1;
}

static void look(int fd, const char *path, mls_error *e)
{
    struct stat s;
    ElfW(Ehdr) h = { 0 };
    if (fstat(fd, &s) != 0) {
        mls_error_set(e, "%s: cannot be read: %s", path, strerror(errno));
        return;
    }
    if (!S_ISREG(s.st_mode)) {
        mls_error_set(e, "%s: is not a file", path);
        return;
    }
    const ssize_t got = pread(fd, &h, sizeof h, 0);
    if (got < 0) {
        mls_error_set(e, "%s: cannot be read: %s", path, strerror(errno));
        return;
    }
    if (got < SELFMAG || memcmp(h.e_ident, ELFMAG, SELFMAG) != 0) {
        mls_error_set(e, "%s: is not a shared object (an mls plugin is one)", path);
        return;
    }
    /* another machine's: dlopen says so better */
    if (got > EI_CLASS && h.e_ident[EI_CLASS] != NATIVE_CLASS) return;
    const int is = got == (ssize_t)sizeof h ? whole(fd, &h, (uint64_t)s.st_size) : 0;
    if (is < 0)
        mls_error_set(e, "%s: cannot be read: %s", path, strerror(errno));
    else if (!is)
        mls_error_set(e, "%s: is cut short: it has %lld bytes, and its headers speak of more",
                      path, (long long)s.st_size);
}

int mls_elf_check(const char *path, mls_error *e)
{
    /* O_NONBLOCK: a pipe that is called x.so must not hang the program */
    const int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0) {
        mls_error_set(e, "%s: cannot be read: %s", path, strerror(errno));
        return 0;
    }
    look(fd, path, e);
    close(fd);
    return !e->set;
}
