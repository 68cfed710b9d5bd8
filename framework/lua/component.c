#include "lua/component.h"

#include "lua/convert.h"
#include "lua/part.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { SLOT = 8 };                    /* bytes of every option in self                   */
_Static_assert(sizeof(mls_lua_counts) % SLOT == 0, "options begin at a slot");

/* ---- declaring ---------------------------------------------------------------------------- */

/* Field of the table on top, kept as long as the sandbox; NULL when absent or "". */
static const char *text(lua_State *L, mls_sandbox *s, const char *key)
{
    const char *kept = NULL;
    if (lua_getfield(L, -1, key) == LUA_TSTRING && *lua_tostring(L, -1)) {
        kept = mls_arena_strdup(&s->kept, lua_tostring(L, -1));
        if (!kept)
            luaL_error(L, "no memory");
    }
    lua_pop(L, 1);
    return kept;
}

/* As text; and takes it out of the form, whose values decide the fingerprint. */
static const char *words(lua_State *L, mls_sandbox *s, const char *key)
{
    const char *kept = text(L, s, key);
    lua_pushnil(L);
    lua_setfield(L, -2, key);
    return kept ? kept : "";
}

static void *room(lua_State *L, mls_sandbox *s, size_t bytes)
{
    void *p = mls_arena_zalloc(&s->kept, bytes);
    if (!p)
        luaL_error(L, "no memory");
    return p;
}

static double number(lua_State *L, const char *key)
{
    const double x = lua_getfield(L, -1, key) == LUA_TBOOLEAN ? lua_toboolean(L, -1)
        : lua_tonumber(L, -1);
    lua_pop(L, 1);
    return x;
}

static mls_type type_of(const char *name)
{
    return strcmp(name, "integer") == 0 ? MLS_INT : strcmp(name, "float") == 0 ? MLS_REAL
        : strcmp(name, "boolean") == 0 ? MLS_BOOL : strcmp(name, "choice") == 0 ? MLS_CHOICE
        : MLS_STRING;
}

/* The form's options, which lie on top of the stack. */
static mls_option *read_options(lua_State *L, mls_lua_part *p)
{
    mls_sandbox *s = p->box;
    p->n_options = (int)lua_rawlen(L, -1);
    mls_option *list = room(L, s, (size_t)(p->n_options + 1) * sizeof *list);
    for (int i = 0; i < p->n_options; i++) {
        lua_rawgeti(L, -1, i + 1);
        const char *type = text(L, s, "type");
        list[i] = (mls_option){ .name = text(L, s, "name"), .type = type_of(type),
                                .offset = p->option_at + (size_t)(i * SLOT),
                                .unit = text(L, s, "unit"),
                                .min = number(L, "min"), .max = number(L, "max"),
                                .choices = text(L, s, "choices"), .help = words(L, s, "help") };
        if (list[i].type == MLS_STRING)
            list[i].choices = text(L, s, "default");
        else if (list[i].type != MLS_CHOICE)
            list[i].def = number(L, "default");
        lua_pop(L, 1);
    }
    return list;
}

static mls_port *read_ports(lua_State *L, mls_lua_part *p)
{
    const int n = (int)lua_rawlen(L, -1);
    mls_port *list = room(L, p->box, (size_t)(n + 1) * sizeof *list);
    for (int i = 0; i < n; i++) {
        lua_rawgeti(L, -1, i + 1);
        list[i] = (mls_port){ text(L, p->box, "name"), (unsigned)number(L, "flags"),
                              text(L, p->box, "shape"), words(L, p->box, "help") };
        lua_pop(L, 1);
        if (list[i].flags & MLS_IN)
            p->in[p->n_in++] = &list[i];
        else
            p->out[p->n_out++] = &list[i];
    }
    return list;
}

static int function(lua_State *L, const char *key)
{
    if (lua_getfield(L, 1, key) == LUA_TFUNCTION)
        return luaL_ref(L, LUA_REGISTRYINDEX);
    lua_pop(L, 1);
    return LUA_NOREF;
}

/* "study.lua:20": where the function of the form begins. */
static const char *begins(lua_State *L, mls_sandbox *s, const char *key)
{
    lua_Debug ar;
    if (lua_getfield(L, 1, key) != LUA_TFUNCTION) {
        lua_pop(L, 1);
        return "";
    }
    lua_getinfo(L, ">S", &ar);
    return mls_arena_printf(&s->kept, "%s:%d", ar.short_src, ar.linedefined);
}

/* Its name is the component's own: recordings list plugins by name. */
static void fill_info(mls_lua_part *p)
{
    const char *name = mls_arena_printf(&p->box->kept, "lua.%s.%s", p->c.kind, p->c.name);
    p->list[0] = &p->c;
    p->info = (mls_plugin_info){ .size = sizeof p->info, .abi_major = MLS_ABI_MAJOR,
                                 .abi_minor = MLS_ABI_MINOR, .port_size = sizeof(mls_port),
                                 .option_size = sizeof(mls_option), .name = name,
                                 .version = p->place, .licence = "written in Lua",
                                 .components = p->list, .host = &p->host };
}

int mls_lua_declare(lua_State *L)
{
    mls_sandbox *s = mls_sandbox_of(L);
    mls_error e = { 0 };
    luaL_checktype(L, 1, LUA_TTABLE);
    lua_settop(L, 1);
    if (s->sealed)
        return mls_lua_raise(L, "mls.component belongs to the top level of a file: when this "
                             "function runs, every component is known already");
    if (!s->registry)
        return mls_lua_raise(L, "components cannot be declared here");
    mls_lua_part *p = room(L, s, sizeof *p);
    p->box = s;
    p->place = mls_arena_strdup(&s->kept, mls_lua_push_place(L, 0));
    lua_pop(L, 1);
    lua_getfield(L, 1, "kind");
    const int task = strcmp(lua_tostring(L, -1), "task") == 0;
    lua_pop(L, 1);
    p->where = begins(L, s, task ? "fill" : "forward");
    p->option_at = task ? sizeof(mls_lua_counts) : 0;
    lua_getfield(L, 1, "options");
    const mls_option *options = read_options(L, p);
    lua_pop(L, 1);
    const mls_port *ports = room(L, s, sizeof *ports);
    if (lua_getfield(L, 1, "ports") == LUA_TTABLE)
        ports = read_ports(L, p);
    lua_pop(L, 1);
    p->node_at = p->option_at + (size_t)(p->n_options * SLOT);
    p->c = (mls_component){ .size = sizeof p->c, .kind = text(L, s, "kind"),
                            .name = text(L, s, "name"), .flags = (unsigned)number(L, "flags"),
                            .help = words(L, s, "help"), .ports = ports, .options = options,
                            .self_size = p->node_at + sizeof(mls_lua_node *),
                            .setup = mls_lua_setup, .forward = mls_lua_forward };
    if (task) {
        mls_lua_task(&p->task);
        p->c.task = &p->task;
    }
    fill_info(p);
    if (!p->place || !p->where || !p->info.name
        || !mls_registry_add(s->registry, &p->info, p->place, "", &e))
        return mls_lua_raise(L, "%s", e.set ? e.text : "no memory");
    p->setup = function(L, "setup");
    p->forward = function(L, "forward");
    p->count = function(L, "count");
    p->fill = function(L, "fill");
    p->form = luaL_ref(L, LUA_REGISTRYINDEX);
    p->next = s->part;
    s->part = p;
    return 0;
}

/* ---- the end of a file, and of a sandbox ----------------------------------------------------- */

static mls_plugin_file *file_of(mls_sandbox *s, const mls_lua_part *p)
{
    for (int i = 0; s->registry && i < s->registry->n_files; i++)
        if (s->registry->file[i].info == &p->info)
            return &s->registry->file[i];
    return NULL;
}

/* After the file has run: its functions may speak of locals that came later. */
void mls_lua_components_seal(mls_sandbox *s)
{
    for (mls_lua_part *p = s->part; p && !s->sealed; p = p->next) {
        mls_error e = { 0 };
        mls_plugin_file *f = file_of(s, p);
        lua_pushcfunction(s->L, mls_lua_fingerprint);
        lua_pushlightuserdata(s->L, p);
        if (f && mls_sandbox_call(s, 1, 1, &e)) {
            snprintf(f->sha256, sizeof f->sha256, "%s", lua_tostring(s->L, -1));
            lua_pop(s->L, 1);
        }
    }
    s->sealed = 1;
}

void mls_lua_components_free(mls_sandbox *s)
{
    mls_registry *r = s->registry;
    for (mls_lua_part *p = s->part; p; p = p->next) {
        for (mls_lua_node *n = p->node; n; n = n->next)
            n->part = NULL;
        int files = 0, components = 0;
        for (int i = 0; i < r->n_files; i++)
            if (r->file[i].info != &p->info)
                r->file[files++] = r->file[i];
        for (int i = 0; i < r->n_components; i++)
            if (r->component[i] != &p->c)
                r->component[components++] = r->component[i];
        r->n_files = files;
        r->n_components = components;
    }
    s->part = NULL;
}

/* ---- files ---------------------------------------------------------------------------------- */

struct mls_lua_file {
    mls_sandbox          *box;
    int                   n;
    const mls_component **list;       /* in the order of the file                        */
    mls_lua_file         *next;       /* of those that a script opened                   */
};

static mls_lua_file *run_file(mls_sandbox *box, const char *path, mls_error *e)
{
    mls_lua_file *f = box && !e->set ? calloc(1, sizeof *f) : NULL;
    if (!f || !mls_sandbox_run(box, path, e)) {
        mls_error_set(e, "no memory to load %s", path);
        mls_sandbox_free(box);
        free(f);
        return NULL;
    }
    lua_settop(box->L, 0);
    f->box = box;
    mls_lua_components_seal(box);
    for (const mls_lua_part *p = box->part; p; p = p->next)
        f->n++;
    f->list = mls_arena_alloc(&box->kept, (size_t)(f->n + 1) * sizeof *f->list);
    int i = f->n;
    for (const mls_lua_part *p = box->part; p && f->list; p = p->next)
        f->list[--i] = &p->c;
    return f;
}

mls_lua_file *mls_lua_file_load(mls_registry *r, const char *path, mls_error *e)
{
    char dir[4096];
    const char *slash = strrchr(path, '/');
    if (slash && (size_t)(slash - path) >= sizeof dir) {
        mls_error_set(e, "%s: the path is too long", path);
        return NULL;
    }
    snprintf(dir, sizeof dir, "%.*s", slash == path ? 1 : slash ? (int)(slash - path) : 1,
             slash ? path : ".");
    return run_file(mls_sandbox_new(r, dir, e), path, e);
}

void mls_lua_file_free(mls_lua_file *f)
{
    if (!f)
        return;
    mls_sandbox_free(f->box);
    free(f);
}

void mls_lua_files_free(mls_lua_file *f)
{
    for (mls_lua_file *next; f; f = next) {
        next = f->next;
        mls_lua_file_free(f);
    }
}

void mls_lua_file_keep(mls_sandbox *s, mls_lua_file *f)
{
    f->next = s->opened;
    s->opened = f;
}

int mls_lua_file_components(const mls_lua_file *f, const mls_component *const **list)
{
    *list = f->list;
    return f->list ? f->n : 0;
}

mls_lua_file *mls_lua_file_copy(mls_registry *r, const char *dir, const char *name,
                                const char *here, mls_error *e)
{
    char path[4400];
    snprintf(path, sizeof path, "%s/%s", dir, name);
    return run_file(mls_sandbox_copy(r, dir, here, e), path, e);
}
