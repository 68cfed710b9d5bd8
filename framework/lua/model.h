/* model.h - a network in the hand of a script: what the files behind mls.build, mls.open,
 * mls.loss, net:optimiser and net:save share.  Private to lua/.
 *
 * A net is a userdata; its user value 1 is the step of its forwards, 2 the data that it was
 * built for (or nil).  A step's user value 1 is its net, so that tensors keep it alive.   */
#ifndef MLS_LUA_MODEL_H
#define MLS_LUA_MODEL_H

#include "lua/tensor.h"
#include "study/model.h"

#include <stdint.h>

extern const char mls_lua_net_name[], mls_lua_data_name[];

typedef struct mls_lua_run { int64_t batch; unsigned flags; mls_run *run; } mls_lua_run;
typedef struct mls_lua_tap mls_lua_tap;

enum { MLS_LUA_RUNS = 8 };

typedef struct mls_lua_net {
    mls_model     m;              /* net always; feed, loop: of a trial that was loaded   */
    mls_net      *net;            /* m.net                                                */
    uint64_t      seed;
    mls_lua_run   run[MLS_LUA_RUNS];   /* the one used longest ago makes room             */
    int           n_runs;
    mls_run      *now;            /* of the last forward; NULL: it failed or none was     */
    int           busy;           /* it runs: its components may call Lua                 */
    mls_lua_step *step;
    mls_arena     input;          /* the batch, until the next forward                    */
    mls_batch     batch;
    int64_t       forwards;       /* training forwards so far: numbers dropout's draws    */
    mls_arena     tap_arena;      /* recorded in the last forward                         */
    mls_lua_tap  *tap;
    char        **record;         /* patterns, NULL at the end, in m.arena; or NULL       */
} mls_lua_net;

typedef struct mls_lua_data {
    mls_arena   arena;
    mls_feed   *feed;
    int         owned;            /* 0: of the net in user value 1                        */
    mls_value  *spec;
    uint64_t    seed;
    mls_stage  *stage;            /* for the last batch size                              */
    int64_t     batch;
    int         busy;             /* a task in Lua is making samples                      */
} mls_lua_data;

mls_lua_net  *mls_lua_check_net(lua_State *L, int index);
/* Raises while n runs: a component must not run the net that it is a part of. */
void          mls_lua_idle(lua_State *L, const mls_lua_net *n, const char *what);
mls_lua_data *mls_lua_check_data(lua_State *L, int index);

/* Pushes an empty net with its step; the caller fills m, then sets net and seed.         */
mls_lua_net  *mls_lua_push_net(lua_State *L);
/* Raises what stands in e (arena a is freed first, if not NULL). */
int           mls_lua_raise_error(lua_State *L, const mls_error *e, mls_arena *a);

/* Numbers from a table (nested, rank 1 to 3) or a tensor, copied into a; dim has the
 * lengths, of a tensor all three.  what: for messages.  Raises on anything else.         */
float *mls_lua_numbers(lua_State *L, int index, const char *what, mls_arena *a,
                       int64_t dim[3], int *rank);
/* Fails on a key of the table at index that is not among names (NULL at the end).        */
void   mls_lua_only(lua_State *L, int index, const char *const *names, const char *what);

/* A task's shape as a map and back; 0 and e when it is wrong. */
mls_value *mls_lua_shape_value(mls_arena *a, const mls_task_shape *s);
int        mls_lua_shape_read(mls_task_shape *s, const mls_value *v, mls_error *e);

/* The run of this batch size and these flags; made if need be.                           */
mls_run *mls_lua_run_for(lua_State *L, mls_lua_net *n, int64_t batch, unsigned flags);
/* What net:record asked for; and pushes a table of what the last forward showed of it.   */
mls_observer mls_lua_observer(mls_lua_net *n);
void         mls_lua_push_taps(lua_State *L, const mls_lua_net *n);

/* Each adds its functions to the table on top of the stack, its metatables or methods. */
void mls_lua_open_net(lua_State *L);         /* build                                    */
void mls_lua_open_forward(lua_State *L);     /* net:forward                              */
void mls_lua_open_record(lua_State *L);      /* net:channels, net:record                 */
void mls_lua_open_weights(lua_State *L);     /* methods of nets                          */
void mls_lua_open_loss(lua_State *L);        /* cross_entropy, mse, mean; x:backward()   */
void mls_lua_open_optimiser(lua_State *L);   /* optimiser(net, settings)                 */
void mls_lua_open_data(lua_State *L);        /* open                                     */
void mls_lua_open_files(lua_State *L);       /* save, load, read, write                  */

#endif
