#include "validate/cases.h"

#include <string.h>

static const mls_case *const tables[] = {
    mls_cases_file,  mls_cases_start,  mls_cases_time,   mls_cases_batch, mls_cases_options,
    mls_cases_slopes, mls_cases_states, mls_cases_memory, mls_cases_tasks };
enum { TABLES = sizeof tables / sizeof *tables, MOST = 256 };

const mls_case *mls_cases_at(int i)
{
    for (int t = 0; t < TABLES; t++)
        for (const mls_case *k = tables[t]; k->name; k++)
            if (i-- == 0) return k;
    return NULL;
}

const mls_case *mls_cases_find(const char *name, mls_error *e)
{
    const char *names[MOST];
    const mls_case *k;
    int n = 0;
    for (; n < MOST && (k = mls_cases_at(n)); n++) {
        if (!strcmp(k->name, name)) return k;
        names[n] = k->name;
    }
    const char *near = mls_error_nearest(name, names, n);
    mls_error_set(e, "there is no case \"%.80s\"%s%s%s (see mls validate --list)", name,
                  near ? "; did you mean \"" : "", near ? near : "", near ? "\"?" : "");
    return NULL;
}

static int is_file(const mls_target *t)
{
    const size_t n = t->path ? strlen(t->path) : 0;
    return !t->c || (n > 3 && !strcmp(t->path + n - 3, ".so"));
}

static int is_task(const mls_target *t, const mls_component *c)
{
    return c ? !strcmp(c->kind, "task") : t->component && !strncmp(t->component, "task.", 5);
}

const char *mls_cases_excuse(const mls_case *k, const mls_target *t, const mls_component *c)
{
    const int task = is_task(t, c);
    if ((k->applies & MLS_FILES_ONLY) && !is_file(t)) return "it is no plugin file";
    if (task && (k->applies & MLS_NETWORK_KINDS)) return "a task is no part of a network";
    if (!task && (k->applies & MLS_TASKS_ONLY)) return "for tasks only";
    return NULL;
}
