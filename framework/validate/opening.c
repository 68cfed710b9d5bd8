#define _GNU_SOURCE 1
#include "validate/opening.h"

#include "plug/elf.h"

#include <dirent.h>
#include <dlfcn.h>
#include <elf.h>
#include <fcntl.h>
#include <link.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

void mls_opening_loads(mls_probe *p)
{
    mls_error e = { 0 };
    const mls_plugin_info *info = mls_plug_open(p->target->path, &e);
    if (!info) mls_probe_fail(p, "%s", e.text);
    if (!info->components[0]) mls_probe_fail(p, "%s has no components", p->target->path);
}

static int threads(void)
{
    DIR *d = opendir("/proc/self/task");
    int n = 0;
    while (d && readdir(d)) n++;
    if (d) closedir(d);
    return n;
}

typedef struct image { const char *at; size_t size; } image;

static image image_of(mls_probe *p)
{
    struct stat s;
    const int fd = open(p->target->path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0 || fstat(fd, &s) || !S_ISREG(s.st_mode) || s.st_size < 1)
        mls_probe_fail(p, "%s cannot be read", p->target->path);
    void *at = mmap(NULL, (size_t)s.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
    if (at == MAP_FAILED) mls_probe_fail(p, "%s cannot be read", p->target->path);
    return (image){ at, (size_t)s.st_size };
}

static const void *in(const image *f, uint64_t from, uint64_t bytes)
{
    return from <= f->size && bytes <= f->size - from ? f->at + from : NULL;
}

/* Its sections; NULL: it was stripped of them. */
static const ElfW(Shdr) *sections(const image *f, int *n)
{
    const ElfW(Ehdr) *h = in(f, 0, sizeof *h);
    const ElfW(Shdr) *s = h ? in(f, h->e_shoff, (uint64_t)h->e_shnum * sizeof *s) : NULL;
    *n = s && h->e_shentsize == sizeof *s ? h->e_shnum : 0;
    return *n ? s : NULL;
}

/* Linkers name the section .init as the function to begin with; another one was asked for. */
static int is_usual(const image *f, uint64_t function)
{
    int n;
    const ElfW(Ehdr) *h = in(f, 0, sizeof *h);
    const ElfW(Shdr) *s = sections(f, &n);
    if (!s || h->e_shstrndx >= n) return 1;
    const char *names = in(f, s[h->e_shstrndx].sh_offset, s[h->e_shstrndx].sh_size);
    for (int i = 0; names && i < n; i++)
        if (s[i].sh_addr == function && (uint64_t)s[i].sh_name + 6 <= s[h->e_shstrndx].sh_size
            && !strcmp(names + s[i].sh_name, ".init"))
            return 1;
    return 0;
}

/* Functions that run when the file is opened, but for the one that compilers put there,
 * frame_dummy.                                                                           */
static int64_t starters(void *so, const image *f)
{
    struct link_map *map = NULL;
    uint64_t bytes = 0;
    int64_t more = 0;
    if (dlinfo(so, RTLD_DI_LINKMAP, &map)) return 0;
    for (const ElfW(Dyn) *d = map->l_ld; d && d->d_tag != DT_NULL; d++) {
        if (d->d_tag == DT_INIT_ARRAYSZ || d->d_tag == DT_PREINIT_ARRAYSZ)
            bytes += d->d_un.d_val;
        if (d->d_tag == DT_INIT && !is_usual(f, d->d_un.d_ptr)) more++;
    }
    const int64_t listed = (int64_t)(bytes / sizeof(void (*)(void)));
    return more + (listed > 0 ? listed - 1 : 0);
}

/* ---- constant tables -------------------------------------------------------------------- */

typedef struct search { uintptr_t at; int writable; } search;

/* What the loader makes read-only once its addresses are filled in counts as constant. */
static int look_in(struct dl_phdr_info *object, size_t size, void *arg)
{
    search *s = arg;
    int found = 0, constant = 0;
    (void)size;
    for (int i = 0; i < object->dlpi_phnum; i++) {
        const ElfW(Phdr) *h = &object->dlpi_phdr[i];
        const uintptr_t from = object->dlpi_addr + h->p_vaddr;
        if (s->at < from || s->at - from >= h->p_memsz) continue;
        if (h->p_type == PT_LOAD) found = 1;
        if (h->p_type == PT_GNU_RELRO || (h->p_type == PT_LOAD && !(h->p_flags & PF_W)))
            constant = 1;
    }
    s->writable |= found && !constant;
    return found;
}

static int is_writable(const void *at)
{
    search s = { (uintptr_t)at, 0 };
    if (at) dl_iterate_phdr(look_in, &s);
    return s.writable;
}

static void look_at_tables(mls_probe *p, const mls_plugin_info *info)
{
    for (int i = 0; info && info->components && info->components[i]; i++) {
        const mls_component *c = info->components[i];
        const char *what = is_writable(c)            ? "descriptor"
                           : is_writable(c->ports)   ? "table of ports"
                           : is_writable(c->options) ? "table of options"
                                                     : NULL;
        if (what)
            mls_probe_warn(p, "the %s of %s.%s can be written while it runs: declare it const",
                           what, c->kind, c->name);
    }
}

/* ---- the cases --------------------------------------------------------------------------- */

void mls_opening_runs_nothing(mls_probe *p)
{
    const int before = threads(), words = memfd_create("words", MFD_CLOEXEC);
    const int out = dup(STDOUT_FILENO), err = dup(STDERR_FILENO);
    mls_error e = { 0 };
    struct stat s = { 0 };
    if (!mls_elf_check(p->target->path, &e)) mls_probe_fail(p, "%s", e.text);
    const image f = image_of(p);
    dup2(words, STDOUT_FILENO);
    dup2(words, STDERR_FILENO);
    void *so = dlopen(p->target->path, RTLD_NOW | RTLD_LOCAL);
    dup2(out, STDOUT_FILENO);
    dup2(err, STDERR_FILENO);
    if (!so) mls_probe_fail(p, "%s", dlerror());
    if (!fstat(words, &s) && s.st_size > 0)
        mls_probe_fail(p, "opening it writes %lld bytes", (long long)s.st_size);
    if (threads() != before) mls_probe_fail(p, "opening it starts a thread");
    /* the sanitizers' own constructors are no fault of the author's */
    const int64_t n = starters(so, &f);
    if (n > 0 && !dlsym(so, "__asan_init") && !dlsym(so, "__ubsan_handle_add_overflow"))
        mls_probe_fail(p, "%lld function%s when it is opened (constructors), expected none",
                       (long long)n, n == 1 ? " runs" : "s run");
    look_at_tables(p, mls_plug_open(p->target->path, &e));      /* if it is not refused */
}

/* Linkers and sanitizers put some of their own there. */
static int is_linkers(const char *name)
{
    static const char *const known[] = { "", "_init", "_fini", "_edata", "_end", "_etext" };
    for (size_t i = 0; i < sizeof known / sizeof *known; i++)
        if (!strcmp(name, known[i])) return 1;
    return !strncmp(name, "__", 2);
}

static void look_at_symbols(mls_probe *p, const image *f)
{
    int n;
    const ElfW(Shdr) *s = sections(f, &n);
    if (!s) mls_probe_skip(p, "the file has no table of sections");
    for (int i = 0; i < n; i++) {
        if (s[i].sh_type != SHT_DYNSYM || s[i].sh_link >= (unsigned)n) continue;
        const ElfW(Shdr) *names = &s[s[i].sh_link];
        const ElfW(Sym) *sym = in(f, s[i].sh_offset, s[i].sh_size);
        const char *text = in(f, names->sh_offset, names->sh_size);
        if (!sym || !text || !names->sh_size || text[names->sh_size - 1]) continue;
        for (size_t k = 0; k < s[i].sh_size / sizeof *sym; k++) {
            if (sym[k].st_shndx == SHN_UNDEF || sym[k].st_name >= names->sh_size) continue;
            const char *name = text + sym[k].st_name;
            if (strcmp(name, "mls_plugin") && !is_linkers(name))
                mls_probe_fail(p, "it exports \"%s\" besides mls_plugin: build it with "
                               "-fvisibility=hidden", name);
        }
    }
}

void mls_opening_exports(mls_probe *p)
{
    const image f = image_of(p);
    look_at_symbols(p, &f);
}
