/* source.c - the first comment of a component's C file: its model and where it is from. */
#include "cli/facts.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>

enum { MOST = 16000 };

static char *read_start(const char *path, mls_arena *a)
{
    FILE *f = fopen(path, "re");
    char *text = f ? mls_arena_alloc(a, MOST + 1) : NULL;
    const size_t n = text ? fread(text, 1, MOST, f) : 0;
    if (f) fclose(f);
    if (!text) return NULL;
    text[n] = '\0';
    return text;
}

/* The comment's lines without " * ", in place; NULL if the file begins with none. */
static char *bare(char *text)
{
    char *end = strstr(text, "*/"), *to = text;
    if (strncmp(text, "/*", 2) || !end) return NULL;
    *end = '\0';
    for (char *p = text + 2; *p;) {
        if (*p == ' ' && p[1] == '*') p += 2;
        if (*p == ' ') p++;
        while (*p && *p != '\n') *to++ = *p++;
        while (to > text && to[-1] == ' ') to--;
        *to++ = '\n';
        if (*p) p++;
    }
    while (to > text && to[-1] == '\n') to--;
    *to = '\0';
    return text;
}

/* One paragraph as one line. */
static char *joined(char *s)
{
    for (char *p = s; *p; p++)
        if (*p == '\n') *p = ' ';
    return s;
}

mls_fact_source mls_fact_comment(const char *root, const mls_component *c, mls_arena *a)
{
    mls_fact_source out = { NULL, "", "" };
    if (!root || !*root) return out;
    char *text = read_start(
        mls_arena_printf(a, "%s/plugins/%s/%s.c", root, c->kind, c->name), a);
    char *body = text ? bare(text) : NULL;
    char *title = body ? strstr(body, " - ") : NULL;
    if (!title) return out;
    char *gap = strstr(title, "\n\n");
    if (gap) *gap = '\0';
    out.title = joined(title + 3);
    title[3] = (char)toupper((unsigned char)title[3]);
    if (!gap) return out;
    char *model = gap + 2, *reference = strstr(model, "Reference:");
    if (reference && (reference == model || reference[-1] == '\n')) {
        reference[reference == model ? 0 : -1] = '\0';
        out.reference = joined(reference + strlen("Reference: "));
        if (reference == model) model = "";
    }
    for (size_t n = strlen(model); n && model[n - 1] == '\n'; n--) model[n - 1] = '\0';
    out.model = model;
    return out;
}
