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
#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
enum { NATIVE_ORDER = ELFDATA2LSB };
#else
enum { NATIVE_ORDER = ELFDATA2MSB };
#endif
#if defined(__x86_64__)
enum { NATIVE_MACHINE = EM_X86_64 };
#elif defined(__aarch64__)
enum { NATIVE_MACHINE = EM_AARCH64 };
#elif defined(__riscv)
enum { NATIVE_MACHINE = EM_RISCV };
#elif defined(__powerpc64__)
enum { NATIVE_MACHINE = EM_PPC64 };
#elif defined(__s390x__)
enum { NATIVE_MACHINE = EM_S390 };
#else
enum { NATIVE_MACHINE = EM_NONE };        /* not known here: dlopen decides               */
#endif

static const char *machine_name(unsigned machine)
{
    switch (machine) {
    case EM_386:     return "x86 (32 bits)";
    case EM_X86_64:  return "x86-64";
    case EM_ARM:     return "ARM (32 bits)";
    case EM_AARCH64: return "aarch64";
    case EM_RISCV:   return "RISC-V";
    case EM_PPC64:   return "POWER";
    case EM_S390:    return "s390";
    default:         return NULL;
    }
}

/* dlopen calls a file of another machine one that is not there. */
static void another_machine(const ElfW(Ehdr) *h, const char *path, mls_error *e)
{
    const char *native = machine_name(NATIVE_MACHINE), *name = machine_name(h->e_machine);
    if (!native) native = "another";
    if (name)
        mls_error_set(e, "%s: is built for %s, and this mls for %s", path, name, native);
    else
        mls_error_set(e, "%s: is built for a machine that ELF numbers %u, and this mls for "
                      "%s", path, h->e_machine, native);
}

static const char *type_name(unsigned type)
{
    return type == ET_REL    ? "an object file that is not linked yet (-shared)"
           : type == ET_EXEC ? "a program"
           : type == ET_CORE ? "a core dump"
                             : "no shared object";
}

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
        const ssize_t got = pread(fd, &p, sizeof p, (off_t)at);
        if (got < 0) return -1;
        if (got < (ssize_t)sizeof p) return 0;
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
        const char *end = strrchr(path, '.');
        mls_error_set(e, "%s: is not a shared object (an mls plugin is one)%s", path,
                      end && !strcmp(end, ".lua")
                          ? "; a study takes a component in Lua in by require" : "");
        return;
    }
    const int order = h.e_ident[EI_DATA];
    if (got > EI_CLASS && h.e_ident[EI_CLASS] != NATIVE_CLASS) {
        mls_error_set(e, "%s: is built for a machine of %s bits, and this mls for one of %zu",
                      path, h.e_ident[EI_CLASS] == ELFCLASS32   ? "32"
                            : h.e_ident[EI_CLASS] == ELFCLASS64 ? "64"
                                                                : "neither 32 nor 64",
                      8 * sizeof(void *));
        return;
    }
    if (got > EI_DATA && order != NATIVE_ORDER) {
        mls_error_set(e, "%s: is built for a machine with the other byte order", path);
        return;
    }
    if (got == (ssize_t)sizeof h && NATIVE_MACHINE != EM_NONE &&
        h.e_machine != NATIVE_MACHINE) {
        another_machine(&h, path, e);
        return;
    }
    if (got == (ssize_t)sizeof h && h.e_type != ET_DYN) {
        mls_error_set(e, "%s: is %s, expected a shared object", path, type_name(h.e_type));
        return;
    }
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
