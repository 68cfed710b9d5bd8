/* conf.h - YAML in, and the schema of an experiment: one description of every key
 * gives checking, defaults, help and suggestions.                                      */
#ifndef MLS_CONF_CONF_H
#define MLS_CONF_CONF_H

#include "base/value.h"

/* Reads YAML text under the limits of docs (4 MiB, depth 64, no duplicate keys, YAML 1.2
 * scalars).  Errors: file:line:column, what was found, source line and caret.           */
mls_value *mls_yaml_parse(mls_arena *a, const char *text, size_t size, const char *file, mls_error *e);
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
void mls_conf_set(mls_arena *a, mls_value *config, const char *assignment, mls_error *e);

#endif
