/* registry.c - every component that this process knows, by "kind.name". */
#include "base/hash.h"
#include "plug/abi.h"
#include "plug/elf.h"
#include "plug/plug.h"
#include "plug/table.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { FILES = 1024, COMPONENTS = 4096, PATHS = 4096 };

static int is_folder(const char *path)
{
    struct stat s;
    return !stat(path, &s) && S_ISDIR(s.st_mode);
}

/* Once for each text: a folder may be named both by an option and by the environment. */
static void warn(mls_registry *r, const char *text)
{
    if (strstr(r->warnings, text)) return;
    r->warnings = mls_arena_printf(&r->arena, "%s%s\n", r->warnings, text);
}

static int by_name(const void *a, const void *b)
{
    const mls_component *x = *(const mls_component *const *)a;
    const mls_component *y = *(const mls_component *const *)b;
    const int d = strcmp(x->kind, y->kind);
    return d ? d : strcmp(x->name, y->name);
}

static const mls_component *find(const mls_registry *r, const char *kind, const char *name)
{
    for (int i = 0; i < r->n_components; i++)
        if (!strcmp(r->component[i]->kind, kind) && !strcmp(r->component[i]->name, name))
            return r->component[i];
    return NULL;
}

/* All components of p, and p as a file called path; or none of them, and e. */
static void add_plugin(mls_registry *r, const mls_plugin_info *p, const char *path,
                       const char *fingerprint, mls_error *e)
{
    const int before = r->n_components;
    const mls_plugin_info *own = mls_abi_adopt(&r->arena, p, e);
    if (r->n_files == FILES) mls_error_set(e, "%s: more than %d plugin files", path, FILES);
    for (int i = 0; !e->set && own->components[i]; i++) {
        const mls_component *c = own->components[i], *old = find(r, c->kind, c->name);
        const mls_plugin_file *f = old ? mls_registry_file(r, old) : NULL;
        if (old)                                 /* no file yet: it is this one */
            mls_error_set(e, "two components are called %s.%s: one in %s, one in %s", c->kind,
                          c->name, f ? f->path : path, path);
        else if (r->n_components == COMPONENTS)
            mls_error_set(e, "%s: more than %d components", path, COMPONENTS);
        else
            r->component[r->n_components++] = c;
    }
    if (e->set) {
        r->n_components = before;
        return;
    }
    mls_plugin_file *f = &r->file[r->n_files++];
    f->path = mls_arena_strdup(&r->arena, path);
    f->info = own;
    snprintf(f->sha256, sizeof f->sha256, "%s", fingerprint);
}

static void add(mls_registry *r, const char *path, mls_error *e)
{
    char *real = realpath(path, NULL);
    if (!real) {
        mls_error_set(e, "%s: no such plugin file", path);
        return;
    }
    char sha[65];
    if (!mls_elf_check(real, e)) {
        free(real);
        return;
    }
    if (!mls_hash_file(real, sha)) mls_error_set(e, "%s: cannot be read", real);
    int known = 0;                       /* the same file, or a copy of it, by another way */
    for (int i = 0; i < r->n_files; i++)
        known |= !strcmp(r->file[i].path, real) || !strcmp(r->file[i].sha256, sha);
    const mls_plugin_info *p = known || e->set ? NULL : mls_plug_open(real, e);
    if (p) add_plugin(r, p, real, sha, e);
    free(real);
}

/* Those of p, which is about to come, go first. */
static void forget(mls_registry *r, const mls_plugin_info *p)
{
    int n = 0;
    for (int i = 0; i < r->n_components; i++) {
        int comes = 0;
        for (int k = 0; p->components[k]; k++)
            comes |= !by_name(&r->component[i], &p->components[k]);
        if (!comes) r->component[n++] = r->component[i];
    }
    r->n_components = n;
}

const mls_plugin_file *mls_registry_open(mls_registry *r, const char *path, mls_error *e)
{
    char *real = realpath(path, NULL), sha[65];
    if (!real) {
        mls_error_set(e, "%s: no such plugin file", path);
        return NULL;
    }
    const mls_plugin_file *known = NULL;
    for (int i = 0; i < r->n_files && !known; i++)
        if (!strcmp(r->file[i].path, real)) known = &r->file[i];
    const mls_plugin_info *p = known ? NULL : mls_plug_open(real, e);
    if (p && !mls_hash_file(real, sha)) mls_error_set(e, "%s: cannot be read", real);
    if (p && !e->set) {
        forget(r, p);
        add_plugin(r, p, real, sha, e);
        qsort(r->component, (size_t)r->n_components, sizeof *r->component, by_name);
        known = e->set ? NULL : &r->file[r->n_files - 1];
    }
    free(real);
    return known;
}

static int by_text(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

/* Every *.so of a folder and of the folders in it, in the order of their names. */
static void add_folder(mls_registry *r, const char *folder, int depth, mls_error *e)
{
    DIR *d = opendir(folder);
    if (!d) return;
    char *name[PATHS];
    int n = 0;
    for (struct dirent *f; (f = readdir(d)) && n < PATHS;)
        if (f->d_name[0] != '.') {
            name[n] = mls_arena_printf(&r->arena, "%s/%s", folder, f->d_name);
            if (name[n]) n++;
        }
    closedir(d);
    qsort(name, (size_t)n, sizeof *name, by_text);
    for (int i = 0; i < n && !e->set; i++) {
        const size_t len = strlen(name[i]);
        if (is_folder(name[i])) {
            if (depth > 0) add_folder(r, name[i], depth - 1, e);
        } else if (len > 3 && !strcmp(name[i] + len - 3, ".so")) {
            mls_error own = { 0 };
            add(r, name[i], &own);
            if (own.set && !strncmp(own.text, "two components", 14))
                mls_error_set(e, "%s", own.text);
            else if (own.set)
                warn(r, own.text);
        }
    }
}

static void add_path(mls_registry *r, const char *list, int must_exist, mls_error *e)
{
    char *copy = list ? mls_arena_strdup(&r->arena, list) : NULL, *save = NULL;
    for (char *p = copy ? strtok_r(copy, ":", &save) : NULL; p && !e->set;
         p = strtok_r(NULL, ":", &save)) {
        if (is_folder(p)) add_folder(r, p, 1, e);
        else if (!access(p, F_OK)) add(r, p, e);
        else if (must_exist) mls_error_set(e, "plugin path %s: no such file or folder", p);
        else warn(r, mls_arena_printf(&r->arena, "MLS_PLUGIN_PATH: %s does not exist", p));
    }
}

static int binary(char *exe, size_t size)
{
    const ssize_t n = readlink("/proc/self/exe", exe, size - 1);
    if (n > 0) exe[n] = '\0';
    return n > 0;
}

static int cut(char *path)                              /* its last part */
{
    char *slash = strrchr(path, '/');
    if (!slash || slash == path) return 0;
    *slash = '\0';
    return 1;
}

/* plugins/ of the build tree: beside mls itself, or two up from tests/x/x-t, so that a
 * test never mixes its own build's plugins with installed ones.                        */
static const char *beside_binary(mls_registry *r)
{
    char exe[4096];
    if (!binary(exe, sizeof exe)) return NULL;
    for (int up = 0; up < 3; up++) {
        if (!cut(exe)) return NULL;
        char *folder = mls_arena_printf(&r->arena, "%s/plugins", exe);
        if (!folder || !is_folder(folder)) continue;
        if (!up || !access(mls_arena_printf(&r->arena, "%s/libmls.a", exe), F_OK))
            return folder;
    }
    return NULL;
}

/* Where `make install` put them: below the prefix of the program, which may have moved
 * since, or else below the prefix that configure was given.                            */
static const char *installed(mls_registry *r)
{
    static const char prefix[] = MLS_PREFIX "/";
    const size_t n = sizeof prefix - 1;
    char exe[4096];
    if (strncmp(MLS_PLUGINDIR, prefix, n) || !binary(exe, sizeof exe) || !cut(exe)
        || !cut(exe))
        return MLS_PLUGINDIR;
    char *folder = mls_arena_printf(&r->arena, "%s/%s", exe, &MLS_PLUGINDIR[n]);
    return folder && is_folder(folder) ? folder : MLS_PLUGINDIR;
}

/* A user's own: no installation and no environment needed. */
static void add_user_folder(mls_registry *r, mls_error *e)
{
    const char *data = getenv("XDG_DATA_HOME"), *home = getenv("HOME");
    const char *folder = NULL;
    if (data && *data == '/')          /* by its specification a relative one is ignored */
        folder = mls_arena_printf(&r->arena, "%s/mls/plugins", data);
    else if (home && *home)
        folder = mls_arena_printf(&r->arena, "%s/.local/share/mls/plugins", home);
    if (folder && !e->set) add_folder(r, folder, 1, e);
}

int mls_registry_load(mls_registry *r, const char *extra, mls_error *e)
{
    mls_plug_init();
    *r = (mls_registry){ .warnings = "" };
    r->file = mls_arena_zalloc(&r->arena, FILES * sizeof *r->file);
    r->component = mls_arena_zalloc(&r->arena, COMPONENTS * sizeof *r->component);
    if (!r->file || !r->component) {
        mls_error_set(e, "out of memory for the list of plugins");
        return 0;
    }
    add_path(r, extra, 1, e);
    add_path(r, getenv("MLS_PLUGIN_PATH"), 0, e);
    add_user_folder(r, e);
    const char *tree = beside_binary(r);
    if (!e->set) add_folder(r, tree ? tree : installed(r), 1, e);
    qsort(r->component, (size_t)r->n_components, sizeof *r->component, by_name);
    return !e->set;
}

int mls_registry_add(mls_registry *r, const mls_plugin_info *p, const char *path,
                     const char *fingerprint, mls_error *e)
{
    if (!mls_table_check_plugin(p, path, e)) return 0;
    add_plugin(r, p, path, fingerprint, e);
    if (e->set) return 0;
    *p->host = mls_plug_host();
    qsort(r->component, (size_t)r->n_components, sizeof *r->component, by_name);
    return 1;
}

void mls_registry_free(mls_registry *r)
{
    mls_arena_free(&r->arena);
    *r = (mls_registry){ .warnings = "" };
}

const mls_component *mls_registry_find(const mls_registry *r, const char *name,
                                       const mls_value *where, mls_error *e)
{
    const char *dot = strchr(name, '.');
    if (dot)
        for (int i = 0; i < r->n_components; i++) {
            const mls_component *c = r->component[i];
            if (strlen(c->kind) == (size_t)(dot - name) &&
                !strncmp(c->kind, name, (size_t)(dot - name)) && !strcmp(c->name, dot + 1))
                return c;
        }
    mls_arena a = { 0 };
    const char **names = mls_arena_alloc(&a, (size_t)(r->n_components + 1) * sizeof *names);
    char *same = mls_arena_strdup(&a, "");
    for (int i = 0; names && i < r->n_components; i++) {
        const mls_component *c = r->component[i];
        names[i] = mls_arena_printf(&a, "%s.%s", c->kind, c->name);
        if (dot && !strncmp(names[i], name, (size_t)(dot - name) + 1))
            same = mls_arena_printf(&a, "%s%s%s", same, *same ? ", " : "", names[i]);
    }
    const char *near = names ? mls_error_nearest(name, names, r->n_components) : NULL;
    mls_error_set(e, "%sno component is called \"%s\"%s%s%s%s%s%s%s%s",
                  mls_value_where(&a, where), name, near ? "; did you mean \"" : "",
                  near ? near : "", near ? "\"?" : "", *same ? " (there are " : "", same,
                  *same ? ")" : dot ? "" : "; a component is named kind.name, as liquid.cfc",
                  *r->warnings ? "\nplugins that were refused:\n" : "", r->warnings);
    mls_arena_free(&a);
    return NULL;
}

const mls_plugin_file *mls_registry_file(const mls_registry *r, const mls_component *c)
{
    for (int i = 0; i < r->n_files; i++)
        for (int j = 0; r->file[i].info->components[j]; j++)
            if (r->file[i].info->components[j] == c) return &r->file[i];
    return NULL;
}

const mls_port *mls_plug_port(const mls_registry *r, const mls_component *c, int i)
{
    if (!c->ports) return NULL;
    const mls_plugin_file *f = mls_registry_file(r, c);
    const size_t stride = f ? f->info->port_size : sizeof(mls_port);
    const mls_port *p = (const mls_port *)(const void *)((const char *)c->ports + (size_t)i * stride);
    return p->name ? p : NULL;
}

const mls_option *mls_plug_option(const mls_registry *r, const mls_component *c, int i)
{
    if (!c->options) return NULL;
    const mls_plugin_file *f = mls_registry_file(r, c);
    const size_t stride = f ? f->info->option_size : sizeof(mls_option);
    const mls_option *o =
        (const mls_option *)(const void *)((const char *)c->options + (size_t)i * stride);
    return o->name ? o : NULL;
}
