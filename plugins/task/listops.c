/* listops.c - the value of a nested expression over digits.
 *
 *   [MAX 2 9 [MIN 4 7 ] 0 ]   is 9
 *
 * Operators: [MIN and [MAX; [MED, the median rounded down; [SM, the sum modulo 10.  An
 * expression of depth 1 is drawn thus: below max_depth it is an operator with
 * probability 1/4, else a digit; an operator is one of the four, takes 2 .. max_args
 * arguments, each of the next depth, and ends in ]; all choices are even.  Expressions
 * whose tokens are not between min_length and max_length are drawn anew.  15 tokens:
 * the digits as themselves, then [MIN [MAX [MED [SM ].  Parentheses, which the files
 * of others have around every argument, say nothing more and are no tokens.
 *
 * The label is the value, at the last step or, with answer = pooled, of the sequence,
 * for a head that pools.  A file with a label and an expression in each line, in
 * either order, takes the place of the test samples; its labels are checked.
 *
 * Chance: always to say the commonest value gives an accuracy of about 0.17 at the
 * defaults.
 *
 * References: N. Nangia and S. Bowman, ListOps, 2018; Y. Tay et al., Long Range Arena,
 * 2021, section 2.2, whose generator and limits (500 < length < 2000, depth 10, 10
 * arguments) the defaults follow; there with 96,000 training samples, 2,000 to validate
 * and 2,000 to test on, all of them different.
 */
#include <limits.h>
#include <string.h>

#include "draw.h"

enum { MIN = 10, MAX, MED, SUM, END, TOKENS };
enum { LAST, POOLED };
/* Of PROBES expressions ENOUGH have to fit: then TRIES hold one, but for a chance of
 * e^-100. */
enum { DEPTH = 64, PROBES = 20000, ENOUGH = 20, TRIES = 100000 };

static const char *const SPELT[TOKENS] = {"0 ",    "1 ",    "2 ",    "3 ",   "4 ",
                                          "5 ",    "6 ",    "7 ",    "8 ",   "9 ",
                                          "[MIN ", "[MAX ", "[MED ", "[SM ", "] "};

typedef struct listops {
    TASK_SPLITS;
    int64_t min_length, max_length, max_depth, max_args;
    int answer;
    const char *path;
    /* of the file: token `from[i]` to from[i + 1] are line i */
    int64_t lines, steps;
    uint8_t *token;
    int64_t *from;
} listops;

/* ---- expressions ------------------------------------------------------------ */

/* The arguments of an operator, by value: all that its result depends on. */
typedef struct frame {
    int op;
    int64_t n, count[10];
} frame;

static int result_of(const frame *f)
{
    int low = 0, high = 9, left = -1, right = -1;
    int64_t sum = 0, seen = 0;
    while (low < 9 && !f->count[low]) low++;
    while (high > 0 && !f->count[high]) high--;
    for (int v = 0; v < 10; v++) {
        seen += f->count[v];
        sum += v * f->count[v];
        if (left < 0 && seen > (f->n - 1) / 2) left = v;
        if (right < 0 && seen > f->n / 2) right = v;
    }
    return f->op == MIN   ? low
           : f->op == MAX ? high
           : f->op == MED ? (left + right) / 2
                          : (int)(sum % 10);
}

typedef struct value {
    frame stack[DEPTH];
    int depth, result; /* -1: not yet */
} value;

/* One more token; 0: it cannot stand there. */
static int take(value *v, int token)
{
    int x = token;
    if (v->result >= 0) return 0;
    if (token >= MIN && token < END) {
        if (v->depth == DEPTH) return 0;
        v->stack[v->depth++] = (frame){.op = token};
        return 1;
    }
    if (token == END) {
        if (!v->depth || !v->stack[v->depth - 1].n) return 0;
        x = result_of(&v->stack[--v->depth]);
    }
    if (v->depth) {
        v->stack[v->depth - 1].count[x]++;
        v->stack[v->depth - 1].n++;
    } else {
        v->result = x;
    }
    return 1;
}

/* ---- drawing ------------------------------------------------------------ */

typedef struct growth {
    const listops *p;
    draw *d;
    int32_t *token; /* NULL: count alone */
    int64_t n;
} growth;

static void put(growth *g, int token)
{
    if (g->token && g->n < g->p->max_length) g->token[g->n] = token;
    g->n++;
}

static void grow(growth *g, int64_t depth)
{
    if (g->n > g->p->max_length) return;
    if (depth >= g->p->max_depth || draw_word(g->d) >> 30 != 0) {
        put(g, (int)draw_below(g->d, 10));
        return;
    }
    const int64_t n = 2 + draw_below(g->d, g->p->max_args - 1);
    put(g, MIN + (int)draw_below(g->d, 4));
    for (int64_t i = 0; i < n && g->n <= g->p->max_length; i++) grow(g, depth + 1);
    put(g, END);
}

/* Draws until an expression has the right length, and returns it; 0: none of `tries`
 * has. */
static int64_t draw_expression(const listops *p, draw *d, int32_t *token, int64_t tries)
{
    for (; tries > 0; tries--) {
        growth g = {p, d, token, 0};
        grow(&g, 1);
        if (g.n >= p->min_length && g.n <= p->max_length) return g.n;
    }
    return 0;
}

/* ---- spelling ------------------------------------------------------------ */

/* The token that text begins with, or -1; blanks and parentheses around it are used
 * up. */
static int32_t read_token(const void *self, const char *text, int *used)
{
    static const char blank[] = " \t()";
    (void)self;
    const size_t before = strspn(text, blank);
    *used = 0;
    for (int32_t t = 0; t < TOKENS; t++) {
        const size_t n = strlen(SPELT[t]) - 1;
        if (strncmp(text + before, SPELT[t], n)) continue;
        const size_t all = before + n + strspn(text + before + n, " ()");
        *used = all < INT_MAX ? (int)all : INT_MAX;
        return t;
    }
    *used = text[before] || before ? (int)(before + (text[before] != '\0')) : 0;
    return -1;
}

static const char *spell(const void *self, int32_t token)
{
    (void)self;
    return token >= 0 && token < TOKENS ? SPELT[token] : NULL;
}

/* ---- a file ------------------------------------------------------------ */

/* A label alone: the digit, or -1. */
static int label_of(const char *from, const char *end)
{
    return end - from == 1 && *from >= '0' && *from <= '9' ? *from - '0' : -1;
}

/* Reads [from, end) as an expression into token.  Returns its value or -1. */
static int read_expression(const char *from, const char *end, uint8_t *token,
                           int64_t *n)
{
    value v = {.depth = 0, .result = -1};
    while (from < end) {
        int used;
        const int32_t t = read_token(NULL, from, &used);
        if (t < 0 || used > end - from || !take(&v, t)) return -1;
        token[(*n)++] = (uint8_t)t;
        from += used;
    }
    return v.depth ? -1 : v.result;
}

static void read_line(mls_ctx *c, listops *p, const char *line, const char *end,
                      int number)
{
    const char *tab = memchr(line, '\t', (size_t)(end - line));
    int64_t n = p->from[p->lines];
    if (end > line && end[-1] == '\r') end--;
    if (!tab) {
        mls->fail(c, "%s:%d: no tab: expected a label and an expression", p->path,
                  number);
        return;
    }
    int label = label_of(line, tab);
    const char *from = label < 0 ? line : tab + 1, *to = label < 0 ? tab : end;
    if (label < 0) label = label_of(tab + 1, end);
    const int found = read_expression(from, to, p->token, &n);
    if (label < 0 && number == 1 && found < 0) return; /* the names of the columns */
    if (label < 0 || found < 0) {
        mls->fail(c,
                  "%s:%d: expected a digit and an expression of digits, [MIN [MAX [MED "
                  "[SM and ]",
                  p->path, number);
        return;
    }
    if (label != found) {
        mls->fail(c, "%s:%d: says %d, but the expression is %d", p->path, number, label,
                  found);
        return;
    }
    if (n - p->from[p->lines] > p->steps) p->steps = n - p->from[p->lines];
    p->from[++p->lines] = n;
}

static void read_path(mls_ctx *c, listops *p)
{
    size_t size = 0;
    const char *text = mls->file(c, p->path, &size);
    if (!text) return;
    const char *end = text + size;
    int64_t lines = 1;
    for (const char *at = text; at < end; at++) lines += *at == '\n';
    p->token = mls->alloc(c, size + 1);
    p->from = mls->alloc(c, (size_t)(lines + 1) * sizeof *p->from);
    if (!p->token || !p->from) return;
    int number = 1;
    for (const char *at = text; at < end; number++) {
        const char *stop = memchr(at, '\n', (size_t)(end - at));
        if (!stop) stop = end;
        const int64_t before = p->lines;
        if (stop > at) read_line(c, p, at, stop, number);
        if (stop > at && p->lines == before && number > 1) return;
        at = stop + 1;
    }
    if (!p->lines) mls->fail(c, "%s: holds no expression", p->path);
}

/* ---- the task ------------------------------------------------------------ */

static void open_task(mls_ctx *c, void *self, mls_task_shape *shape)
{
    listops *p = self;
    draw d = draw_from(mls->key(c, "probe"));
    if (p->min_length > p->max_length) {
        mls->fail(c, "min_length = %lld is more than max_length = %lld",
                  (long long)p->min_length, (long long)p->max_length);
        return;
    }
    int fit = 0;
    for (int i = 0; i < PROBES && fit < ENOUGH; i++)
        fit += draw_expression(p, &d, NULL, 1) > 0;
    if (fit < ENOUGH) {
        mls->fail(
            c,
            "only %d of %d expressions have %lld to %lld tokens with max_depth = %lld "
            "and max_args = %lld: expected %d or more",
            fit, PROBES, (long long)p->min_length, (long long)p->max_length,
            (long long)p->max_depth, (long long)p->max_args, ENOUGH);
        return;
    }
    p->steps = p->max_length;
    if (p->path && *p->path) read_path(c, p);
    *shape = (mls_task_shape){.steps = p->steps,
                              .vocabulary = TOKENS,
                              .output = 10,
                              .loss = MLS_CROSS_ENTROPY,
                              .per_step = p->answer == LAST,
                              .has_mask = 1};
}

static int64_t count(const void *self, int split)
{
    const listops *p = self;
    return split == MLS_TEST && p->lines ? p->lines : task_count(self, split);
}

static void fill(mls_ctx *c, const void *self, int split, int64_t index, uint64_t key,
                 mls_sample *s)
{
    const listops *p = self;
    draw d = draw_from(key);
    value v = {.depth = 0, .result = -1};
    if (split == MLS_TEST && p->lines) {
        const uint8_t *from = p->token + p->from[index];
        s->steps = p->from[index + 1] - p->from[index];
        for (int64_t t = 0; t < s->steps; t++) s->token[t] = from[t];
    } else {
        s->steps = draw_expression(p, &d, s->token, TRIES);
        if (!s->steps) {
            mls->fail(c, "none of %d expressions has %lld to %lld tokens", TRIES,
                      (long long)p->min_length, (long long)p->max_length);
            return;
        }
    }
    for (int64_t t = 0; t < s->steps; t++) {
        take(&v, s->token[t]);
        if (p->answer == LAST) s->label[t] = -1;
    }
    s->label[p->answer == LAST ? s->steps - 1 : 0] = v.result;
}

static const mls_option options[] = {
    MLS_OPT(listops, min_length, MLS_INT, 501, 1, 1 << 20, "steps", "fewest tokens"),
    MLS_OPT(listops, max_length, MLS_INT, 1999, 1, 1 << 20, "steps", "most tokens"),
    MLS_OPT(listops, max_depth, MLS_INT, 10, 1, DEPTH, NULL,
            "deepest nesting, a digit alone being 1"),
    MLS_OPT(listops, max_args, MLS_INT, 10, 2, 1000, NULL,
            "most arguments of an operator"),
    MLS_OPT_CHOICE(listops, answer, "last|pooled",
                   "asked at the last step, or of the whole, for a head that pools"),
    MLS_OPT_STRING(
        listops, path, NULL,
        "file of labels and expressions, by tabs, to test on in place of drawn ones"),
    TASK_SPLIT_OPTIONS(listops),
    MLS_OPT_END};

static const mls_port ports[] = {MLS_PORT_END};

static const mls_task task = {sizeof task, open_task, count, fill, spell, read_token};

static const mls_component component = {
    sizeof component,
    "task",
    "listops",
    0,
    "The value of a long nested expression of minima, maxima, medians and sums.\n"
    "Drawn by the rules of Long Range Arena; ten classes. Always to say the commonest "
    "value "
    "gives an accuracy of about 0.17.",
    ports,
    options,
    sizeof(listops),
    NULL,
    NULL,
    &task};

MLS_PLUGIN("listops", "1.0", "Apache-2.0", &component);
