/* text.c - next byte of a text: language modelling over files.
 *
 *   token[t] = byte at offset + t,   label[t] = byte at offset + t + 1
 *
 * The corpus is the files named, and of each folder named the files in it and in its
 * subfolders whose extension is listed, joined in the order of their names.  It is cut into training |
 * validation | test; no label crosses a cut.  The vocabulary is the bytes that occur,
 * in byte order.
 * Training samples begin at random (a function of the draw's key) or stand side by
 * side; evaluation samples always stand side by side, the last one padded with token
 * 0 and label -1, so that every token but each part's first is scored exactly once.
 */
#include <string.h>
#include <mls/plugin.h>

enum { RANDOM, CONTIGUOUS };
enum { DEPTH = 16, PATH_ROOM = 4096 };

typedef struct piece {
    const char *data;
    size_t size;
    struct piece *next;
} piece;

typedef struct text {
    const char *path, *extensions;
    int64_t length;
    double validation, test;
    int order;
    const uint8_t *data;
    int64_t from[3], size[3]; /* of each split, in bytes                  */
    int vocabulary;
    int32_t token_of[256]; /* -1: does not occur                       */
    char byte_of[256][2]; /* each as a string                         */
} text;

typedef struct corpus {
    piece *first, **end;
    size_t size;
    int files;
} corpus;

/* ---- files ---------------------------------------------- */

/* Is the file's extension one of the list "c,h,md"?  "*" lists all. */
static int listed(const char *list, const char *name)
{
    if (!strcmp(list, "*")) return 1;
    const char *dot = strrchr(name, '.');
    if (!dot || dot == name) return 0;
    const size_t n = strlen(dot + 1);
    for (const char *p = list; *p;) {
        p += strspn(p, ", ");
        const size_t len = strcspn(p, ", ");
        if (len == n && !memcmp(p, dot + 1, n)) return 1;
        p += len;
    }
    return 0;
}

static void add_file(mls_ctx *c, corpus *all, const char *path)
{
    size_t size = 0;
    const char *data = mls->file(c, path, &size);
    if (!size) return;
    piece *p = mls->alloc(c, sizeof *p);
    if (!p) return;
    *p = (piece){ data, size, NULL };
    *all->end = p;
    all->end = &p->next;
    all->size += size;
    all->files++;
}

/* `path` has room for PATH_ROOM bytes and is restored before returning. */
static void add_folder(mls_ctx *c, corpus *all, char *path, const char *extensions,
                       int depth)
{
    int n = 0;
    const size_t len = strlen(path);
    const char *const *name = mls->folder(c, path, &n);
    for (int i = 0; name && i < n; i++) {
        const size_t more = strlen(name[i]);
        if (len + 1 + more >= PATH_ROOM) {
            mls->fail(c, "the path %s/%s is longer than %d bytes", path, name[i],
                      PATH_ROOM - 1);
            return;
        }
        path[len] = '/';
        memcpy(path + len + 1, name[i], more + 1);
        int inner = 0;
        if (mls->folder(c, path, &inner)) {
            if (depth < DEPTH) add_folder(c, all, path, extensions, depth + 1);
        } else if (listed(extensions, name[i])) {
            add_file(c, all, path);
        }
        path[len] = '\0';
    }
}

static void read_one(mls_ctx *c, const text *p, corpus *all, char *path)
{
    const size_t before = all->size;
    int n = 0;
    if (mls->folder(c, path, &n)) {
        add_folder(c, all, path, p->extensions, 0);
        if (all->size == before)
            mls->fail(c, "no text in the folder %s: no file there ends in one of %s", path,
                      p->extensions);
    } else {
        add_file(c, all, path);
        if (all->size == before) mls->fail(c, "the file %s is empty", path);
    }
}

static void read_corpus(mls_ctx *c, text *p, corpus *all)
{
    all->first = NULL;
    all->end = &all->first;
    char *path = mls->alloc(c, PATH_ROOM);
    if (!path) return;
    for (const char *from = p->path; *from;) {
        const size_t len = strcspn(from, ":");
        if (len >= PATH_ROOM) {
            mls->fail(c, "path is longer than %d bytes", PATH_ROOM - 1);
            return;
        }
        memcpy(path, from, len);
        path[len] = '\0';
        if (len) read_one(c, p, all, path);
        from += len + (from[len] == ':');
    }
}

static const uint8_t *join(mls_ctx *c, const corpus *all)
{
    if (all->files == 1) return (const uint8_t *)all->first->data;
    char *data = mls->alloc(c, all->size), *at = data;
    for (const piece *p = all->first; data && p; p = p->next) {
        memcpy(at, p->data, p->size);
        at += p->size;
    }
    return (const uint8_t *)data;
}

/* ---- opening ---------------------------------------------- */

static void find_vocabulary(text *p, int64_t size)
{
    uint8_t seen[256] = { 0 };
    for (int64_t i = 0; i < size; i++) seen[p->data[i]] = 1;
    for (int b = 0; b < 256; b++) {
        p->token_of[b] = seen[b] ? p->vocabulary : -1;
        if (seen[b]) p->byte_of[p->vocabulary++][0] = (char)b;
    }
}

static int cut(mls_ctx *c, text *p, int64_t size)
{
    static const char *const part[] = { "training", "validation", "test" };
    p->size[MLS_VALIDATION] = (int64_t)((double)size * p->validation);
    p->size[MLS_TEST] = (int64_t)((double)size * p->test);
    p->size[MLS_TRAINING] = size - p->size[MLS_VALIDATION] - p->size[MLS_TEST];
    const double share[] = { 1.0, p->validation, p->test };
    for (int s = 0; s < 3; s++) {
        p->from[s] = s ? p->from[s - 1] + p->size[s - 1] : 0;
        if (share[s] > 0.0 && p->size[s] < 2) {
            mls->fail(
                c,
                "the %s part has %lld of the %lld bytes of %s, at least 2 are needed",
                part[s], (long long)p->size[s], (long long)size, p->path);
            return 0;
        }
    }
    return 1;
}

static void open_text(mls_ctx *c, void *self, mls_task_shape *shape)
{
    text *p = self;
    corpus all = { NULL, NULL, 0, 0 };
    if (!p->path || !*p->path) {
        mls->fail(c, "path is not set: name a text file or a folder of text files");
        return;
    }
    if (p->validation + p->test >= 1.0) {
        mls->fail(c, "validation = %g and test = %g leave nothing to train on",
                  p->validation, p->test);
        return;
    }
    read_corpus(c, p, &all);
    if (!all.size) return;
    p->data = join(c, &all);
    if (!p->data || !cut(c, p, (int64_t)all.size)) return;
    find_vocabulary(p, (int64_t)all.size);
    *shape = (mls_task_shape){ .steps = p->length,
                               .vocabulary = p->vocabulary,
                               .output = p->vocabulary,
                               .loss = MLS_CROSS_ENTROPY,
                               .per_step = 1,
                               .is_text = 1 };
    mls->log(c, MLS_DEBUG, "%zu bytes in %d files, %d different", all.size, all.files,
             p->vocabulary);
}

/* ---- samples ---------------------------------------------- */

static int64_t count(const void *self, int split)
{
    const text *p = self;
    if (split < MLS_TRAINING || split > MLS_TEST || p->size[split] < 2) return 0;
    const int64_t labels = p->size[split] - 1;
    if (split != MLS_TRAINING) return (labels + p->length - 1) / p->length;
    return labels >= p->length ? labels / p->length : 1;
}

/* Uniform in 0..n-1 from 64 random bits; the bias is below n / 2^64. */
static int64_t below(uint64_t key, int64_t n)
{
    uint32_t u[4];
    mls->philox(key, 0, u);
    return (int64_t)(((uint64_t)u[1] << 32 | u[0]) % (uint64_t)n);
}

static void fill(mls_ctx *c, const void *self, int split, int64_t index, uint64_t key,
                 mls_sample *s)
{
    (void)c;
    const text *p = self;
    const int64_t labels = p->size[split] - 1, room = labels - p->length;
    int64_t at = index * p->length;
    if (split == MLS_TRAINING && p->order == RANDOM)
        at = room > 0 ? below(key, room + 1) : 0;
    const uint8_t *data = p->data + p->from[split] + at;
    for (int64_t t = 0; t < s->steps; t++) {
        const int real = at + t < labels;
        s->token[t] = real ? p->token_of[data[t]] : 0;
        s->label[t] = real ? p->token_of[data[t + 1]] : -1;
    }
}

static const char *spell(const void *self, int32_t token)
{
    const text *p = self;
    return token >= 0 && token < p->vocabulary ? p->byte_of[token] : NULL;
}

static int32_t token(const void *self, const char *s, int *used)
{
    *used = *s ? 1 : 0;
    return *s ? ((const text *)self)->token_of[(uint8_t)*s] : -1;
}

static const mls_option options[] = {
    MLS_OPT_STRING(text, path, NULL, "text files or folders of text files, with : between them"),
    MLS_OPT_STRING(text, extensions, "c,h,md,lua,txt,sh,am,ac",
                   "of the files to read in a folder, by commas; * for all"),
    MLS_OPT(text, length, MLS_INT, 256, 1, 16777216, "bytes", "length of a sample"),
    MLS_OPT(text, validation, MLS_REAL, 0.1, 0, 0.9, NULL,
            "share kept for validation, after the training part"),
    MLS_OPT(text, test, MLS_REAL, 0, 0, 0.9, NULL,
            "share kept for the test, at the end"),
    MLS_OPT_CHOICE(text, order, "random|contiguous",
                   "training samples: drawn anywhere, or side by side"),
    MLS_OPT_END
};

static const mls_port ports[] = { MLS_PORT_END };

static const mls_task task = { sizeof task, open_text, count, fill, spell, token };

static const mls_component component = {
    sizeof component,
    "task",
    "text",
    0,
    "Next byte of a text file or a folder of text files.",
    ports,
    options,
    sizeof(text),
    NULL,
    NULL,
    &task
};

MLS_PLUGIN("text", "1.0", "Apache-2.0", &component);
