/* table.h - a plugin's descriptor and tables, looked at before they are believed. */
#ifndef MLS_PLUG_TABLE_H
#define MLS_PLUG_TABLE_H

#include "base/error.h"
#include <mls/plugin.h>

/* A whole plugin: versions, sizes, names, functions, and the rows of every table.
 * 1; or 0 and e, which names the file, the component and the row.                       */
int mls_table_check_plugin(const mls_plugin_info *p, const char *path, mls_error *e);
/* The port and option rows of one component. */
int mls_table_check(const mls_plugin_info *p, const mls_component *c, const char *path,
                    mls_error *e);

#endif
