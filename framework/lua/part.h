/* part.h - a component written in Lua, as C sees it; private to lua/component*.c.
 *
 * Its setup and forward are called on the sandbox's thread `work`, in protected mode; an
 * error becomes that of the context: "layer0.fuse: study.lua:12: what went wrong".       */
#ifndef MLS_LUA_PART_H
#define MLS_LUA_PART_H

#include "grad/ctx.h"
#include "lua/sandbox.h"
#include "lua/tensor.h"

enum { MLS_PART_PORTS = 16 };

typedef struct mls_lua_part {
    mls_component    c;               /* first: a context's `component` points here    */
    mls_task         task;
    mls_plugin_info  info;
    const mls_component *list[2];
    const mls_host  *host;
    mls_sandbox     *box;
    const char      *place;           /* of its declaration: "study.lua:12"            */
    const char      *where;           /* of its forward                                */
    size_t           option_at;       /* in self: the options                          */
    size_t           node_at;         /* and after them: mls_lua_node *                */
    int              form;            /* reference of the declaration's plain form     */
    int              setup, forward, count, fill;     /* references; LUA_NOREF         */
    int              n_in, n_out, n_options;
    const mls_port  *in[MLS_PART_PORTS], *out[MLS_PART_PORTS];
    struct mls_lua_node *node;        /* of living networks                            */
    struct mls_lua_part *next;
} mls_lua_part;

/* Samples of each split: at the start of a task's self. */
typedef struct mls_lua_counts { int64_t n[3]; } mls_lua_counts;

/* One node of one network, in the network's memory; gone with it. */
typedef struct mls_lua_node {
    mls_lua_part        *part;        /* NULL: the sandbox is gone                     */
    int                  ref;         /* of its object                                 */
    struct mls_lua_c    *object;
    struct mls_lua_node *next, **link;
} mls_lua_node;

/* The `c` of setup and forward; user values: 1 step, 2 fields that setup set, 3 options. */
typedef struct mls_lua_c {
    mls_ctx      *c;                  /* NULL between callbacks                        */
    mls_lua_part *part;
    void         *self;
    mls_lua_step *step;
    int           setup;              /* 1 during setup                                */
    mls_task_shape shape;             /* of a task                                     */
    int           n_states;
    mls_state    *state[MLS_PART_PORTS * 4];
} mls_lua_c;

enum { MLS_C_STEP = 1, MLS_C_FIELDS = 2, MLS_C_OPTIONS = 3 };

/* native.declare(form): component.lua's plain form of a declaration. */
int   mls_lua_declare(lua_State *L);
/* Nothing more may be declared; fingerprints of what was. */
void  mls_lua_components_seal(mls_sandbox *s);
/* Takes the components of a sandbox out of its registry. */
void  mls_lua_components_free(mls_sandbox *s);

/* Hex digits of all that decides what the component computes (fingerprint.c). */
int   mls_lua_fingerprint(lua_State *L);    /* (lightuserdata part) -> string           */

/* The metatable of c, pushed once into the registry (component_object.c). */
void  mls_lua_object_open(lua_State *L);
/* Makes the object of a node and refers to it; step closed until a forward. */
mls_lua_c *mls_lua_object_new(lua_State *L, mls_ctx *c, mls_lua_part *p, void *self);
/* c at index 1, in a callback: any (0), setup (1) or forward (2). */
mls_lua_c *mls_lua_object(lua_State *L, const char *method, int when);
/* Raises what the context says, at the user's line, if it failed. */
void  mls_lua_object_check(lua_State *L, const mls_lua_c *o);

extern const luaL_Reg mls_lua_setup_methods[], mls_lua_forward_methods[];
void  mls_lua_setup(mls_ctx *c, void *self);
void  mls_lua_forward(mls_ctx *c, void *self, const mls_t *in, mls_t *out);
void  mls_lua_task(mls_task *t);

/* Loads a copy of a study's files (component.c), and keeps it as long as s. */
struct mls_lua_file *mls_lua_file_copy(mls_registry *r, const char *dir, const char *name,
                                       const char *here, mls_error *e);
void  mls_lua_file_keep(mls_sandbox *s, struct mls_lua_file *f);

static inline mls_lua_node **mls_lua_node_of(const mls_lua_part *p, const void *self)
{
    return (mls_lua_node **)(void *)((char *)self + p->node_at);
}
/* Calls f(arg) on `work`; an error becomes c's. 0 then. */
int   mls_lua_protected(mls_ctx *c, mls_lua_part *p, lua_CFunction f, void *arg);

#endif
