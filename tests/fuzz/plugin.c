/* plugin.c - fuzz target: what a plugin says of itself.  First byte even: the rest is a
 * file, looked at before the system's loader may see it.  Odd: the rest is sizes, flags,
 * ranges and words of a descriptor whose pointers are good; each struct has exactly the
 * bytes that it claims.                                                                  */
#define _GNU_SOURCE 1
#include "fuzz.h"

#include "plug/elf.h"

#include <stdio.h>
#include <sys/mman.h>
#include <unistd.h>

static void file(const uint8_t *data, size_t size)
{
    char path[64];
    mls_error e = { 0 };
    const int fd = memfd_create("plugin", 0);
    if (fd < 0) return;
    if (write(fd, data, size) == (ssize_t)size) {
        snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
        const int ok = mls_elf_check(path, &e);
        FUZZ_HOLDS(ok != e.set && (ok || strstr(e.text, path)));
    }
    close(fd);
}

/* ---- a descriptor from bytes -------------------------------------------------------- */

static mls_arena words;                 /* strings; blocks are malloc's own              */
static void *block[256];
static int n_blocks;

static void *exactly(size_t n)
{
    FUZZ_HOLDS(n_blocks < 256);
    void *p = calloc(1, n ? n : 1);
    FUZZ_HOLDS(p);
    return block[n_blocks++] = p;
}

static const char *word(fuzz_bytes *b)
{
    static const char *const known[] = { "in", "out", "mixer", "task", "T B n", "1 B units",
                                         "units", "soft|hard", "a", "", "mask", "T B 1" };
    enum { KNOWN = sizeof known / sizeof *known };
    const unsigned k = fuzz_byte(b);
    if (k < 200) return known[k % KNOWN];
    if (k < 210) return NULL;
    const size_t n = k - 210;
    char *s = mls_arena_alloc(&words, n + 1);
    fuzz_take(b, s, n);
    s[n] = '\0';
    return s;
}

/* Often what this header has, else more, or anything. */
static size_t size_of(fuzz_bytes *b, size_t usual)
{
    const unsigned k = fuzz_byte(b);
    if (k < 160) return usual;
    if (k < 200) return usual + 8 * (k - 160);
    uint16_t any;
    fuzz_take(b, &any, sizeof any);
    return any;
}

static double real(fuzz_bytes *b)
{
    const unsigned k = fuzz_byte(b);
    double x;
    if (k < 200) return (double)k - 100.0;
    fuzz_take(b, &x, sizeof x);
    return x;
}

static void setup(mls_ctx *c, void *self) { (void)c, (void)self; }
static void forward(mls_ctx *c, void *self, const mls_t *in, mls_t *out)
{
    (void)c, (void)self, (void)in, (void)out;
}
static void task_open(mls_ctx *c, void *self, mls_task_shape *s)
{
    (void)c, (void)self, (void)s;
}
static int64_t task_count(const void *self, int split) { return (void)self, split; }
static void task_fill(mls_ctx *c, const void *self, int split, int64_t index, uint64_t key,
                      mls_sample *s)
{
    (void)c, (void)self, (void)split, (void)index, (void)key, (void)s;
}

/* n rows of `stride` bytes and a row of zeros; a row longer than its stride is cut. */
static void *ports(fuzz_bytes *b, size_t stride)
{
    const unsigned n = fuzz_byte(b) % 5;
    char *table = exactly((n + 1) * stride);
    for (unsigned i = 0; i < n; i++) {
        const mls_port p = { word(b), fuzz_byte(b), word(b), word(b) };
        memcpy(table + i * stride, &p, stride < sizeof p ? stride : sizeof p);
    }
    return table;
}

static void *options(fuzz_bytes *b, size_t stride)
{
    const unsigned n = fuzz_byte(b) % 6;
    char *table = exactly((n + 1) * stride);
    for (unsigned i = 0; i < n; i++) {
        mls_option o = { word(b), (mls_type)(fuzz_byte(b) % 7), 0, real(b), real(b),
                         real(b), word(b), word(b), word(b) };
        uint32_t far;
        const unsigned k = fuzz_byte(b);
        if (k >= 200) fuzz_take(b, &far, sizeof far);
        o.offset = k < 200 ? 8 * (k % 16) : k < 250 ? far : SIZE_MAX - far;
        memcpy(table + i * stride, &o, stride < sizeof o ? stride : sizeof o);
    }
    return table;
}

static const mls_task *task(fuzz_bytes *b)
{
    const unsigned k = fuzz_byte(b);
    if (k < 20) return NULL;
    const mls_task t = { (uint32_t)size_of(b, sizeof t), k == 20 ? NULL : task_open,
                         k == 21 ? NULL : task_count, k == 22 ? NULL : task_fill,
                         NULL, NULL };
    const size_t room = t.size < 4 ? 4 : t.size;
    return memcpy(exactly(room), &t, room < sizeof t ? room : sizeof t);
}

static const mls_component *component(fuzz_bytes *b, size_t port, size_t option)
{
    const unsigned has = fuzz_byte(b);
    uint32_t self;
    fuzz_take(b, &self, sizeof self);
    const mls_component c = {
        (uint32_t)size_of(b, sizeof c), word(b), word(b), fuzz_byte(b), word(b),
        has % 16 == 1 ? NULL : ports(b, port), has % 16 == 2 ? NULL : options(b, option),
        has & 128 ? self : 128, has % 16 == 3 ? NULL : setup,
        has % 16 == 4 ? NULL : forward, has & 64 ? task(b) : NULL };
    const size_t room = c.size < 4 ? 4 : c.size;
    return memcpy(exactly(room), &c, room < sizeof c ? room : sizeof c);
}

static const mls_host *host;

static const mls_plugin_info *plugin(fuzz_bytes *b)
{
    const unsigned n = fuzz_byte(b) % 4, has = fuzz_byte(b);
    const mls_component **list = exactly((n + 1) * sizeof *list);
    mls_plugin_info p = { (uint32_t)size_of(b, sizeof p), MLS_ABI_MAJOR + (has == 1),
                          fuzz_byte(b) % 4, (uint16_t)size_of(b, sizeof(mls_port)),
                          (uint16_t)size_of(b, sizeof(mls_option)), word(b), word(b),
                          word(b), has == 2 ? NULL : list, has == 3 ? NULL : &host };
    for (unsigned i = 0; i < n; i++) list[i] = component(b, p.port_size, p.option_size);
    const size_t room = p.size < 12 ? 12 : p.size;
    return memcpy(exactly(room), &p, room < sizeof p ? room : sizeof p);
}

/* ---- what the host does with it ------------------------------------------------------ */

static void use(mls_registry *r, const mls_component *c)
{
    mls_error e = { 0 };
    mls_arena a = { 0 };
    char name[600];
    snprintf(name, sizeof name, "%s.%s", c->kind, c->name);
    FUZZ_HOLDS(c->size >= sizeof *c && mls_registry_find(r, name, NULL, &e) == c);
    FUZZ_HOLDS(mls_registry_file(r, c) && mls_plug_describe(r, c, &a));
    void *self = c->self_size > 1 << 20 ? NULL : calloc(1, c->self_size + 1);
    if (self) {
        mls_option_apply(r, c, mls_value_map(&a), NULL, self, &a, &e);
        FUZZ_HOLDS(!e.set && mls_option_dump(r, c, self, &a));
    }
    free(self);
    mls_arena_free(&a);
}

static void descriptor(fuzz_bytes b)
{
    mls_error e = { 0 };
    mls_registry r = fuzz_registry();
    const mls_plugin_info *p = plugin(&b);
    const int ok = mls_registry_add(&r, p, "fuzz.so", "0", &e);
    FUZZ_HOLDS(ok != e.set && (ok || strstr(e.text, "fuzz.so")));
    FUZZ_HOLDS(ok || (!r.n_components && !r.n_files));
    for (int i = 0; i < r.n_components; i++) use(&r, r.component[i]);
    if (ok) {
        const int n = r.n_components;
        FUZZ_HOLDS(!mls_registry_add(&r, p, "again.so", "1", &e) && r.n_components == n);
    }
    mls_registry_free(&r);
    while (n_blocks) free(block[--n_blocks]);
    mls_arena_reset(&words);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (!size) return 0;
    if (data[0] % 2) descriptor((fuzz_bytes){ data + 1, size - 1 });
    else file(data + 1, size - 1);
    return 0;
}
