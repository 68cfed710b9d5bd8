/* new.h - the files that `mls new` writes, as they were in framework/cli/new/. */
#ifndef MLS_CLI_NEW_H
#define MLS_CLI_NEW_H

/* @NAME@, @KIND@, ... in the text are replaced when it is written. */
typedef struct mls_template { const char *name, *text; } mls_template;
extern const mls_template mls_templates[];     /* "liquid.c"; NULL name at the end */

#endif
