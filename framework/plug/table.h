/* table.h - a plugin's port and option tables, looked at before they are believed. */
#ifndef MLS_PLUG_TABLE_H
#define MLS_PLUG_TABLE_H

#include "base/error.h"
#include <mls/plugin.h>

/* 1; or 0 and e, which names the file, the component and the row. */
int mls_table_check(const mls_plugin_info *p, const mls_component *c, const char *path,
                    mls_error *e);

#endif
