#include "validate/print.h"

#include "base/value.h"

#include <string.h>
#include <time.h>

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

void mls_print_begin(mls_printer *p) { p->began = now(); }

static void comments(FILE *out, const char *lead, const char *text)
{
    while (*text) {
        const size_t n = strcspn(text, "\n");
        fprintf(out, "# %s%.*s\n", lead, (int)n, text);
        text += n + (text[n] == '\n');
    }
}

/* What a shell takes for one word. */
static const char *quoted(mls_arena *a, const char *word)
{
    if (*word && !word[strcspn(word, " \t\n\"'\\$`&;()<>|*?[]#~!{}")]) return word;
    const char *text = "'";
    for (const char *end; (end = strchr(word, '\'')); word = end + 1)
        text = mls_arena_printf(a, "%s%.*s'\\''", text, (int)(end - word), word);
    return mls_arena_printf(a, "%s%s'", text, word);
}

static const char *reproduce(mls_arena *a, const mls_printer *p, const mls_target *t,
                             const mls_case *k, uint64_t seed)
{
    const char *limit = p->seconds > 0.0 ? mls_arena_printf(a, " --time-limit %g", p->seconds) : "";
    return mls_arena_printf(a, "mls validate %s --case %s --seed %llu%s", quoted(a, t->spelling),
                            k->name, (unsigned long long)seed, limit);
}

/* In one line: a second one would be no TAP. */
static void sentence(FILE *out, const char *text)
{
    for (; *text; text++) fputc(*text == '\n' ? ' ' : *text, out);
}

static void tap(mls_printer *p, const mls_target *t, const mls_case *k, const mls_verdict *v,
                uint64_t seed)
{
    fprintf(p->out, "%s %d - %s: %s%s", v->status == MLS_CASE_FAILED ? "not ok" : "ok",
            p->n, t->name, k->name, v->status == MLS_CASE_SKIPPED ? " # SKIP " : "");
    sentence(p->out, v->status == MLS_CASE_SKIPPED ? v->reason : "");
    fputc('\n', p->out);
    if (v->status == MLS_CASE_WARNED) comments(p->out, "warning: ", v->reason);
    if (v->status == MLS_CASE_FAILED) {
        comments(p->out, "", v->reason);
        mls_arena a = { 0 };
        fprintf(p->out, "# reproduce: %s\n", reproduce(&a, p, t, k, seed));
        mls_arena_free(&a);
    }
    if (p->verbose) {
        comments(p->out, "", v->notes);
        fprintf(p->out, "# %.2f s\n", v->seconds);
    }
}

static void json(mls_printer *p, const mls_target *t, const mls_case *k, const mls_verdict *v,
                 uint64_t seed)
{
    static const char *const word[] = { "passed", "failed", "skipped", "warning" };
    mls_arena a = { 0 };
    mls_value *m = mls_value_map(&a);
    mls_value_set(&a, m, "component", mls_value_string(&a, t->name));
    if (t->path) mls_value_set(&a, m, "path", mls_value_string(&a, t->path));
    mls_value_set(&a, m, "case", mls_value_string(&a, k->name));
    mls_value_set(&a, m, "status", mls_value_string(&a, word[v->status & 3]));
    if (*v->reason) mls_value_set(&a, m, "reason", mls_value_string(&a, v->reason));
    mls_value_set(&a, m, "seed", mls_value_int(&a, (int64_t)seed));
    mls_value_set(&a, m, "seconds", mls_value_real(&a, v->seconds));
    if (v->status == MLS_CASE_FAILED)
        mls_value_set(&a, m, "reproduce",
                      mls_value_string(&a, reproduce(&a, p, t, k, seed)));
    if (*v->notes) mls_value_set(&a, m, "notes", mls_value_string(&a, v->notes));
    fprintf(p->out, "%s\n", mls_value_to_json(&a, m, 0));
    mls_arena_free(&a);
}

void mls_print_verdict(mls_printer *p, const mls_target *t, const mls_case *k,
                       const mls_verdict *v, uint64_t seed)
{
    p->n++;
    p->passed += v->status == MLS_CASE_PASSED || v->status == MLS_CASE_WARNED;
    p->warned += v->status == MLS_CASE_WARNED;
    p->failed += v->status == MLS_CASE_FAILED;
    p->skipped += v->status == MLS_CASE_SKIPPED;
    if (p->json) json(p, t, k, v, seed);
    else tap(p, t, k, v, seed);
    fflush(p->out);
}

void mls_print_end(mls_printer *p, int targets)
{
    if (p->json) return;
    fprintf(p->out, "1..%d\n# %d component%s: %d passed, %d failed, %d skipped, %d warning%s, "
            "%.1f s\n", p->n, targets, targets == 1 ? "" : "s", p->passed, p->failed,
            p->skipped, p->warned, p->warned == 1 ? "" : "s", now() - p->began);
}
