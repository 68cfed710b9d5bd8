/* conf.h - YAML in, and the schema of an experiment: one description of every key
 * gives checking, defaults, help and suggestions.                                      */
#ifndef MLS_CONF_CONF_H
#define MLS_CONF_CONF_H

#include "base/value.h"

/* Reads YAML text under the limits of docs (4 MiB, depth 64, no duplicate keys, YAML 1.2
 * scalars).  Errors: file:line:column, what was found, source line and caret.           */
mls_value *mls_yaml_parse(mls_arena *a, const char *text, size_t size, const char *file,
                          mls_error *e);
mls_value *mls_yaml_read(mls_arena *a, const char *path, mls_error *e);

/* One setting, for mls help and for checks. */
typedef struct mls_setting {
    const char *path;            /* "train.learning_rate"                            */
    const char *type;            /* "real", "int", "bool", "string", "choice", ...   */
    const char *def;             /* as text, or NULL: required or absent             */
    double      min, max;        /* min == max: unbounded                            */
    const char *choices;         /* "adamw|sgd"                                      */
    const char *flag;            /* the shortcut "--learning-rate", or NULL          */
    const char *help;
} mls_setting;
extern const mls_setting mls_settings[];        /* ends with path == NULL             */

/* Checks an experiment (the map of config.yaml) against the schema and returns a new
 * tree with every default filled in.  The overview's field names (num_layers, hidden_dim,
 * integration_mode, liquid_backbone ...) are accepted and turned into ours.
 * Component options below network.nodes and task are left to the option tables.        */
mls_value *mls_conf_resolve(mls_arena *a, const mls_value *given, mls_error *e);
/* "train.steps=100": the value is read as YAML. */
void mls_conf_set(mls_arena *a, mls_value *config, const char *assignment,
                  mls_error *e);

/* The line of a file with a caret under the column, as "\n  text\n    ^"; "" if none. */
const char *mls_yaml_excerpt(mls_arena *a, const char *path, int line, int column);

/* A named wiring: sequential, parallel, bidirectional, mamba, liquid, attention.
 * components: a map from the mode's roles (enc, ad, liq, mix, fuse; att, ffn) to
 * components, given as "liquid.cfc", as { component = ..., <options> } or as options of
 * the default component only.  Returns { nodes = {...}, wire = "..." } and, where the
 * wires want another chunk than the network's default, chunk.  A role that the mode has
 * no place for is left out, so that one table of components serves every mode.          */
mls_value *mls_conf_mode(mls_arena *a, const char *mode, const mls_value *components,
                         mls_error *e);
/* The names of the modes, NULL-terminated, and what each is for. */
extern const char *const mls_conf_modes[], *const mls_conf_mode_help[];

/* A field of the original overview's configuration: what it means here. */
typedef struct mls_alias {
    const char *name;            /* "mamba_d_state"; the flag is --mamba-d-state      */
    const char *path;            /* "network.nodes.mix.state", or NULL: see help      */
    const char *help;
} mls_alias;
extern const mls_alias mls_aliases[];           /* ends with name == NULL              */

/* Replaces the overview's fields at the top of config by our settings.  over: fields
 * from the command line (a map from names to values), which win over what config says.
 * Returns lines about fields that mean nothing beside the others, "" if none.            */
const char *mls_conf_overview(mls_arena *a, mls_value *config, const mls_value *over,
                              mls_error *e);
/* Settings that the resolved experiment has no use for ("network.nodes.ad: sequential
 * has no such node"), as lines; "" if none.                                              */
const char *mls_conf_unused(mls_arena *a, const mls_value *given);

#endif
