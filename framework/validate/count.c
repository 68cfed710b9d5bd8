/* count.c - the calls to malloc that a loaded object makes.  An object calls a function
 * of another through a slot that the loader fills (its GOT); all slots are known from
 * its relocations, and one that holds the address of malloc is malloc's, whatever it is
 * for.
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE /* dl_iterate_phdr */
#endif
#include "validate/count.h"

#include <stddef.h>

#if defined(__linux__) && defined(__GLIBC__)

#include <dlfcn.h>
#include <link.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

static struct {
    int64_t calls, plugin;
    const char *last;
    uintptr_t from, to; /* of the plugin                                     */
} seen;

static struct {
    void *(*malloc)(size_t);
    void *(*calloc)(size_t, size_t);
    void *(*realloc)(void *, size_t);
    void *(*reallocarray)(void *, size_t, size_t);
    void *(*aligned_alloc)(size_t, size_t);
    void *(*memalign)(size_t, size_t);
    int (*posix_memalign)(void **, size_t, size_t);
    char *(*strdup)(const char *);
    char *(*strndup)(const char *, size_t);
    int (*vasprintf)(char **, const char *, va_list);
    FILE *(*fopen)(const char *, const char *);
    void *(*mmap)(void *, size_t, int, int, int, off_t);
    void *(*new_one)(size_t);
    void *(*new_many)(size_t);
} real;

static void note(const char *name, const void *caller)
{
    const uintptr_t at = (uintptr_t)caller;
    seen.calls++;
    if (at < seen.from || at >= seen.to) return;
    seen.plugin++;
    seen.last = name;
}
#define NOTE(name) note(name, __builtin_return_address(0))

static void *my_malloc(size_t n)
{
    NOTE("malloc");
    return real.malloc(n);
}
static void *my_calloc(size_t n, size_t size)
{
    NOTE("calloc");
    return real.calloc(n, size);
}
static void *my_realloc(void *p, size_t n)
{
    NOTE("realloc");
    return real.realloc(p, n);
}
static void *my_reallocarray(void *p, size_t n, size_t size)
{
    NOTE("reallocarray");
    return real.reallocarray(p, n, size);
}
static void *my_aligned_alloc(size_t a, size_t n)
{
    NOTE("aligned_alloc");
    return real.aligned_alloc(a, n);
}
static void *my_memalign(size_t a, size_t n)
{
    NOTE("memalign");
    return real.memalign(a, n);
}
static int my_posix_memalign(void **p, size_t a, size_t n)
{
    NOTE("posix_memalign");
    return real.posix_memalign(p, a, n);
}
static char *my_strdup(const char *s)
{
    NOTE("strdup");
    return real.strdup(s);
}
static char *my_strndup(const char *s, size_t n)
{
    NOTE("strndup");
    return real.strndup(s, n);
}
static int my_vasprintf(char **p, const char *f, va_list ap)
{
    NOTE("vasprintf");
    return real.vasprintf(p, f, ap);
}
static int my_asprintf(char **p, const char *f, ...)
{
    va_list ap;
    NOTE("asprintf");
    va_start(ap, f);
    const int n = real.vasprintf(p, f, ap);
    va_end(ap);
    return n;
}
static FILE *my_fopen(const char *path, const char *mode)
{
    NOTE("fopen");
    return real.fopen(path, mode);
}
static void *my_mmap(void *at, size_t n, int prot, int flags, int fd, off_t off)
{
    NOTE("mmap");
    return real.mmap(at, n, prot, flags, fd, off);
}
static void *my_new(size_t n)
{
    NOTE("operator new");
    return real.new_one(n);
}
static void *my_new_many(size_t n)
{
    NOTE("operator new[]");
    return real.new_many(n);
}

/* As pointers to data, since that is what a slot holds. */
typedef struct hook {
    const char *name;
    void *mine;
    void **real;
    void *found;
} hook;
#define HOOK(name, mine, real)                                                         \
    {                                                                                  \
        name, (void *)(uintptr_t)(mine), (void **)(void *)&(real), NULL                \
    }

static hook hooks[] = {
    HOOK("malloc", my_malloc, real.malloc),
    HOOK("calloc", my_calloc, real.calloc),
    HOOK("realloc", my_realloc, real.realloc),
    HOOK("reallocarray", my_reallocarray, real.reallocarray),
    HOOK("aligned_alloc", my_aligned_alloc, real.aligned_alloc),
    HOOK("memalign", my_memalign, real.memalign),
    HOOK("posix_memalign", my_posix_memalign, real.posix_memalign),
    HOOK("strdup", my_strdup, real.strdup),
    HOOK("strndup", my_strndup, real.strndup),
    HOOK("vasprintf", my_vasprintf, real.vasprintf),
    {"asprintf", (void *)(uintptr_t)my_asprintf, NULL, NULL},
    HOOK("fopen", my_fopen, real.fopen),
    HOOK("mmap", my_mmap, real.mmap),
    HOOK("_Znwm", my_new, real.new_one),
    HOOK("_Znam", my_new_many, real.new_many),
};
enum { HOOKS = sizeof hooks / sizeof *hooks };

/* Where the object was loaded, its bounds and its table of what is dynamic. */
typedef struct object {
    uintptr_t base, from, to, inside;
    const ElfW(Dyn) * dynamic;
    int found;
} object;

static int look(struct dl_phdr_info *info, size_t size, void *arg)
{
    object *o = arg, x = {.base = info->dlpi_addr, .from = UINTPTR_MAX};
    (void)size;
    for (int i = 0; i < info->dlpi_phnum; i++) {
        const ElfW(Phdr) *h = &info->dlpi_phdr[i];
        const uintptr_t at = x.base + h->p_vaddr;
        if (h->p_type == PT_DYNAMIC) x.dynamic = (const ElfW(Dyn) *)at;
        if (h->p_type != PT_LOAD) continue;
        if (at < x.from) x.from = at;
        if (at + h->p_memsz > x.to) x.to = at + h->p_memsz;
    }
    if (o->inside < x.from || o->inside >= x.to || !x.dynamic) return 0;
    x.inside = o->inside;
    x.found = 1;
    *o = x;
    return 1;
}

/* The loader makes most of these addresses absolute; some systems leave them relative.
 */
static const void *address(const object *o, ElfW(Addr) x)
{
    return (const void *)(x < o->base ? o->base + x : x);
}

static int replace(void **slot, void *with)
{
    const uintptr_t page = (uintptr_t)sysconf(_SC_PAGESIZE),
                    at = (uintptr_t)slot & ~(page - 1);
    const size_t n = (uintptr_t)(slot + 1) - at;
    if (mprotect((void *)at, n, PROT_READ | PROT_WRITE)) return 0;
    *slot = with;
    return 1;
}

static int patch(const object *o, const char *table, size_t bytes, size_t each,
                 const ElfW(Sym) * symbols, const char *strings)
{
    int n = 0;
    for (size_t at = 0; each && at + each <= bytes; at += each) {
        const ElfW(Rel) *r = (const ElfW(Rel) *)(const void *)(table + at);
#if __ELF_NATIVE_CLASS == 64
        const size_t symbol = ELF64_R_SYM(r->r_info);
#else
        const size_t symbol = ELF32_R_SYM(r->r_info);
#endif
        if (!symbol) continue;
        const char *name = strings + symbols[symbol].st_name;
        for (int i = 0; i < HOOKS; i++) {
            if (!hooks[i].found || strcmp(name, hooks[i].name)) continue;
            void **slot = (void **)(o->base + r->r_offset);
            /* the program may own the slot's copy: only what leads there is taken */
            if (*slot != hooks[i].found || !replace(slot, hooks[i].mine)) continue;
            n++;
        }
    }
    return n;
}

static int patch_object(const object *o)
{
    const char *rel = NULL, *plt = NULL, *strings = NULL;
    const ElfW(Sym) *symbols = NULL;
    size_t rel_bytes = 0, plt_bytes = 0, each = sizeof(ElfW(Rela)),
           plt_each = sizeof(ElfW(Rela));
    for (const ElfW(Dyn) *d = o->dynamic; d->d_tag != DT_NULL; d++) {
        if (d->d_tag == DT_SYMTAB) symbols = address(o, d->d_un.d_ptr);
        if (d->d_tag == DT_STRTAB) strings = address(o, d->d_un.d_ptr);
        if (d->d_tag == DT_RELA || d->d_tag == DT_REL) rel = address(o, d->d_un.d_ptr);
        if (d->d_tag == DT_RELASZ || d->d_tag == DT_RELSZ) rel_bytes = d->d_un.d_val;
        if (d->d_tag == DT_RELAENT || d->d_tag == DT_RELENT) each = d->d_un.d_val;
        if (d->d_tag == DT_JMPREL) plt = address(o, d->d_un.d_ptr);
        if (d->d_tag == DT_PLTRELSZ) plt_bytes = d->d_un.d_val;
        if (d->d_tag == DT_PLTREL)
            plt_each =
                d->d_un.d_val == DT_RELA ? sizeof(ElfW(Rela)) : sizeof(ElfW(Rel));
    }
    if (!symbols || !strings) return 0;
    return (rel ? patch(o, rel, rel_bytes, each, symbols, strings) : 0) +
           (plt ? patch(o, plt, plt_bytes, plt_each, symbols, strings) : 0);
}

int mls_count_watch(const void *inside)
{
    object plugin = {.inside = (uintptr_t)inside},
           program = {.inside = (uintptr_t)&seen};
    dl_iterate_phdr(look, &plugin);
    dl_iterate_phdr(look, &program);
    if (!plugin.found) return -1;
    for (int i = 0; i < HOOKS; i++) {
        hooks[i].found = dlsym(RTLD_DEFAULT, hooks[i].name);
        if (hooks[i].found && hooks[i].real)
            memcpy(hooks[i].real, &hooks[i].found, sizeof(void *));
    }
    seen.from = plugin.from;
    seen.to = plugin.to;
    const int n = patch_object(&plugin);
    if (program.found && program.from != plugin.from) patch_object(&program);
    return n;
}

int64_t mls_count_calls(const char **who, int64_t *plugin)
{
    *who = seen.last;
    *plugin = seen.plugin;
    return seen.calls;
}

#else

int mls_count_watch(const void *inside)
{
    (void)inside;
    return -1;
}

int64_t mls_count_calls(const char **who, int64_t *plugin)
{
    *who = NULL;
    *plugin = 0;
    return 0;
}

#endif
