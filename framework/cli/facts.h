/* facts.h - what help, man pages, catalogue and completion say of a component: its tables,
 * what a dry network of it has, and the first comment of its C file.
 */
#ifndef MLS_CLI_FACTS_H
#define MLS_CLI_FACTS_H

#include "cli/cli.h"
#include "net/net.h"

/* ---- Kinds (kinds.c) ------------------------------------------------------------------ */

typedef struct mls_kind {
    const char *name, *help;     /* help: sentences                                     */
    const char *profile;         /* "in -> out": ports that the named wirings use        */
} mls_kind;
extern const mls_kind mls_kinds[];              /* ends with name NULL                  */
/* The rows of all kinds in r: those above first, then others with no help.  *n.         */
const mls_kind *mls_kinds_of(const mls_registry *r, int *n, mls_arena *a);

/* ---- Options --------------------------------------------------------------------------- */

/* "real", "int", "bool", "choice", "string", "component" or "list of components". */
const char *mls_fact_type(const mls_option *o);
/* "0.95 ms", "true", "\"text\"", "none". */
const char *mls_fact_default(const mls_option *o, mls_arena *a);
/* "0 to 1", "soft, hard", or "". */
const char *mls_fact_range(const mls_option *o, mls_arena *a);
/* "in, optional, spikes" */
const char *mls_fact_port(const mls_port *p, mls_arena *a);
/* "causal, streams" */
const char *mls_fact_promises(const mls_component *c, mls_arena *a);

/* ---- A dry network ---------------------------------------------------------------------- */

enum { MLS_FACT_WIDTH = 64, MLS_FACT_INPUT = 64, MLS_FACT_OUTPUT = 10 };

typedef struct mls_fact_row {
    const char *name, *size, *unit, *help;      /* size: "64 x 128"; unit, help: or ""   */
    int         wired;           /* only where optional ports are connected               */
} mls_fact_row;

typedef struct mls_facts {
    const mls_fact_row *weight, *state, *tap;
    int                 n_weights, n_states, n_taps;
    int64_t             parameters;             /* with the ports that it must have       */
} mls_facts;

/* Of default options at width 64, without the numbers' memory.  0 and e where such a
 * network cannot be built; a task has none (1, all empty).                              */
int mls_fact_network(const mls_registry *r, const mls_component *c, mls_facts *f,
                     mls_arena *a, mls_error *e);

/* ---- The source (source.c) ----------------------------------------------------------------- */

typedef struct mls_fact_source {
    const char *title;           /* "Leaky integrate-and-fire encoder, ..."; NULL: no file */
    const char *model;           /* lines, or ""                                           */
    const char *reference;       /* lines, or ""                                           */
} mls_fact_source;

/* First comment of root/plugins/KIND/NAME.c; root NULL or no such file: all NULL. */
mls_fact_source mls_fact_comment(const char *root, const mls_component *c, mls_arena *a);

/* ---- The rest of a help text: lines after the first, "" if none. */
const char *mls_fact_summary(const mls_component *c, mls_arena *a);   /* no full stop    */
const char *mls_fact_details(const mls_component *c);

/* ---- The writers ------------------------------------------------------------------------ */

typedef struct mls_pages {
    mls_registry *r;
    mls_arena    *a;
    const char   *source;        /* root of the source tree, or NULL                       */
    mls_error    *e;
} mls_pages;

void mls_man_list(const mls_pages *p);                       /* names, a line each       */
void mls_man_page(const mls_pages *p, const char *name);     /* "mls.1", "liquid.cfc"    */
void mls_catalogue(const mls_pages *p);                      /* Markdown                 */
void mls_luacats(const mls_pages *p);
/* mls help lua [.NAME]; 0: there is no such name. */
int  mls_help_lua(const char *name, mls_arena *a, mls_error *e);
/* "x:slice (from, n)" of a row of the Lua API, "" for a class. */
const char *mls_lua_signature(const mls_value *api, const mls_value *row, mls_arena *a);

#endif
