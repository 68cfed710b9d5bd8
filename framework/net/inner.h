/* inner.h - what build makes and run walks; private to net/. */
#ifndef MLS_NET_INNER_H
#define MLS_NET_INNER_H

#include "net/label_loss.h"
#include "net/net.h"

enum { MAX_PORTS = 16, MAX_NODES = 64, MAX_BRANCHES = 16, MAX_WIRES = 256, MAX_LAYERS = 1024 };
enum { FROM_NOWHERE = -3, FROM_INPUT = -1, TO_OUTPUT = -2 };

/* One wire of the block, between nodes by their index in the specification. */
typedef struct wire {
    int from, from_port;              /* node, or FROM_INPUT; out-port index            */
    int to, to_port;                  /* node, or TO_OUTPUT; in-port index              */
    int late, branch;
} wire;

struct mls_state {
    const char *name;                 /* "layer0.liq.h"                                 */
    const char *channel;              /* "h"                                            */
    int64_t     width;
    double      reset;
    const char *unit, *help;
    int         index;                /* in net->state                                  */
    struct node *node;
};

typedef struct input {
    int        from, from_port;       /* FROM_NOWHERE when unconnected                  */
    int        late, branch;
    int        service;               /* 'm' mask, 'd' dt, 0                            */
    mls_state *fifo;                  /* of a late wire: the last K steps               */
} input;

typedef struct node {
    mls_ctx              ctx;
    mls_net             *net;
    const char          *name, *path; /* "enc", "layer0.enc"                            */
    const mls_component *component;
    void                *self;
    int                  layer, n_in, n_out;
    const mls_port      *in_port[MAX_PORTS], *out_port[MAX_PORTS];
    int64_t              in_width[MAX_PORTS], out_width[MAX_PORTS];
    input                in[MAX_PORTS];
    int                  remat;
    int64_t              model;               /* the network's width, to this node      */
    struct node         *owner;               /* of a part: the node that it is part of */
    struct node         *part, *next;         /* the first part; of a part: the next    */
    int                  main_in;             /* of a part: the input that run feeds    */
    /* of the forward in progress */
    mls_t                out[MAX_PORTS];      /* of the whole sequence                  */
    mls_t                piece[MAX_PORTS];    /* of the piece being run                 */
    int64_t              t0;                  /* where that piece begins                */
    int64_t              steps;               /* and how long it is                     */
    int64_t              ran;                 /* of a part: steps of it that were run   */
    mls_t                mask;                /* of a part: its mask in that run        */
} node;

/* A node that runs over the whole sequence at once, or several that feed back to one
 * another and run piece by piece.  Members in the order of execution.                    */
typedef struct group { int branch, feedback, n, member[MAX_NODES]; } group;

struct mls_net {
    mls_arena             arena;
    const mls_registry   *registry;
    mls_task_shape        shape;
    uint64_t              seed;
    mls_label_loss        labels;
    int                   dry;
    mls_value            *spec;               /* with defaults                          */
    int64_t               width, chunk;
    int                   layers, norm, residual;   /* norm: 'r', 'l', 0                */
    int                   events;             /* MLS_EVENTS_*                           */
    double                dropout;
    int                   n_names, n_branches, n_wires, n_groups;
    const char           *name[MAX_NODES];
    const mls_component  *component[MAX_NODES];
    const mls_value      *options[MAX_NODES];
    int                   remat[MAX_NODES];
    wire                  wire[MAX_WIRES];
    group                 group[MAX_NODES];
    node                 *node;               /* [layers][n_names], then the head       */
    int                   n_nodes;
    mls_t                 embed, in_weight, in_bias;
    mls_t                *norm_gain, *norm_bias;    /* [layers][branches], then final   */
    mls_weight           *weight;  mls_tensor **tensor;  mls_init *init;  void **weight_self;
    int                   n_weights, room_weights;
    mls_state           **state;   int n_states, room_states;
    float                *data, *grad;
    int64_t               count;
    struct change        *change;             /* pending, by weight                     */
    double                adapted;            /* sum of |change| of the last step       */
    int                   adaptations;        /* weights that it concerned              */
    mls_run              *run;                /* whose forward is in progress           */
    mls_error            *error;              /* of the build in progress               */
    node                  self;               /* the network as owner of its own weights */
};

/* penalty.c: what one name of one node adds to the loss; one call of it */
typedef struct penalty penalty;
typedef struct penalty_call penalty_call;
/* adapt.c: of one weight */
typedef struct change change;
/* A node under remat runs first, and again in backward. */
enum { MLS_AT_ONCE, MLS_FIRST, MLS_AGAIN };

struct mls_run {
    mls_net    *net;
    int64_t     batch;
    unsigned    flags;
    mls_tape    tape;
    mls_error   error;
    float     **value;                        /* [state][B][width]; NULL in a dry run   */
    mls_t      *first, *now;                  /* at the start, and by now               */
    const float **seed;
    int         pending, track, transient;
    int         leaves;             /* this forward: nobody reads the states after it   */
    int         blocks, in_blocks;            /* the output may be, is made in blocks   */
    mls_arena   remat_arena, remat_floats;    /* of nodes that run again in backward    */
    mls_places *places;             /* where a training step's floats lie; the tape's if it is
                                       the step that they are of                        */
    int         placed;             /* how often they were found                        */
    mls_reuse **remat_reuse;                  /* [n_nodes][2]: of its forward, and again */
    mls_observer observer;
    int         observed;
    int         again;                        /* MLS_FIRST, MLS_AGAIN: inside a remat   */
    mls_synapses synapses;                    /* since mls_run_synapses_clear           */
    double      synapse_samples;
    mls_arena   penalty_arena;                /* of the list, which stays               */
    penalty    *penalty;
    penalty_call *penalty_call;               /* of this step, in the tape's memory     */
    change     *change;                       /* of this forward; in penalty_arena      */
    double      penalty_scale;                /* of the backward in progress            */
    mls_t       output, loss, decision;
    int64_t     steps;              /* of the forward in progress                       */
    mls_t       x, mask, dt;
    uint64_t   *key;                          /* [B] of the forward in progress         */
    /* of mls_run_channels */
    mls_arena  *list_arena;
    mls_channel *list;  int n_list, room_list;
};

/* cost.c: where the floats of such a step lie, by a rehearsal of it; NULL: no memory */
mls_places *mls_net_places(const mls_run *like, const mls_batch *b, uint64_t key);
/* wire.c */
void mls_net_wires(mls_net *net, const mls_value *text, int branch, mls_error *e);
int  mls_net_find_name(const mls_net *net, const char *name);
/* Index of a port among those of its direction, or -1. */
int  mls_net_port(const mls_net *net, int name, const char *port, unsigned direction);
/* order.c */
void mls_net_order(mls_net *net, mls_error *e);
/* weights.c */
mls_t mls_net_add_weight(node *n, const char *name, int64_t rows, int64_t cols, mls_init init);
void  mls_net_make_weights(mls_net *net, mls_error *e);
/* build.c */
/* A node without wires, its options' values still to come. */
void  mls_net_node_init(mls_net *net, node *n, const char *name, const char *path, int layer,
                        const mls_component *c, mls_error *e);
/* Options that size a port, at 0, become n->model. */
void  mls_net_node_widths(node *n);
/* The width of a port by its shape; 0 while it is not known. */
int64_t mls_net_port_width(const node *n, const mls_port *p);
/* part.c */
void  mls_net_part_services(mls_host *h);
/* n is owner, a part of it, or a part of its part ... */
int   mls_net_within(const node *n, const node *owner);
/* A forward of n over steps [t0, t0 + steps) begins. */
void  mls_net_node_begin(node *n, int64_t t0, int64_t steps);
/* Tells the tape whether anybody reads the states after this forward of the node. */
void  mls_net_ends(const node *n);
/* Whether nobody reads the states after these steps. */
static inline int mls_net_is_last(const mls_run *run, int64_t t0, int64_t steps)
{
    return run->leaves && t0 + steps == run->steps;
}
/* host.c */
void  mls_net_check_name(mls_ctx *c, const char *what, const char *name);
mls_state *mls_net_add_state(node *n, const char *name, int64_t width, double reset,
                             const char *unit, const char *help);
/* delay.c: K steps of memory between a late wire's ends */
mls_t mls_net_delay_read(mls_ctx *c, mls_t fifo, int64_t k, int64_t steps, int64_t width, mls_t mask);
mls_t mls_net_delay_push(mls_ctx *c, mls_t fifo, int64_t k, mls_t x, mls_t mask);
/* layer.c: one branch of one layer; x is its normalised input */
mls_t mls_net_branch(mls_run *run, int layer, int branch, mls_t x);
void  mls_net_node_forward(mls_run *run, node *n, const mls_t *in, mls_t *out, int64_t t0);
/* remat.c */
void  mls_net_remat(mls_run *run, node *n, const mls_t *in, mls_t *out);
/* penalty.c */
void  mls_net_penalty(mls_run *run, node *n, const char *name, mls_t x, double weight);
void  mls_net_penalty_begin(mls_run *run);
/* After a first forward of n under remat: if it has penalties, sees to it that backward
 * runs it again. */
void  mls_net_penalty_wake(mls_run *run, const node *n, mls_t out);
/* Before backward: gradients of all penalties, times scale. */
void  mls_net_penalty_seed(mls_run *run, mls_ctx *c, double scale);
/* synapses.c: where the node that runs next stands in the sequence */
void  mls_net_synapses_at(mls_run *run, int64_t t0, int64_t steps);
/* label_loss.c: the loss of y where train.loss is not the task's */
mls_t mls_net_label_loss(mls_run *r, mls_t y, const mls_batch *b, mls_loss_stats *s);
/* adapt.c */
int   mls_net_adapting(const mls_run *run);
void  mls_net_adapt_by(mls_run *run, node *n, mls_t w, mls_t by, double rate, double low,
                       double high);
void  mls_net_adapt_begin(mls_run *run);
/* With backward: what the forward gave, times scale, is pending in the network. */
void  mls_net_adapt_pend(mls_run *run, double scale);
void  mls_net_adapt_forget(mls_net *net);
/* observe.c */
void  mls_net_observe(mls_run *run, node *n, const char *name, const char *unit,
                      const char *help, unsigned flags, mls_t value, int64_t t0);
int   mls_net_wanted(mls_run *run, const node *n, const char *name);

#endif
