/* abi.h - what a plugin of any 1.x header has at least.  Structs grow at their ends only,
 * so these sizes never change; see "What may grow" in mls/plugin.h.                     */
#ifndef MLS_PLUG_ABI_H
#define MLS_PLUG_ABI_H

#include "base/arena.h"
#include "base/error.h"
#include <mls/plugin.h>

#define MLS_UPTO(type, last) (offsetof(type, last) + sizeof(((type *)0)->last))

enum {                                   /* sizes of ABI 1.0, named by its last field    */
    MLS_INFO_1_0 = MLS_UPTO(mls_plugin_info, host),
    MLS_COMPONENT_1_0 = MLS_UPTO(mls_component, task),
    MLS_TASK_1_0 = MLS_UPTO(mls_task, token),
    MLS_PORT_1_0 = MLS_UPTO(mls_port, help),
    MLS_OPTION_1_0 = MLS_UPTO(mls_option, help),
    MLS_SIZE_MOST = 4096                 /* of any of these: more is garbage             */
};

/* p itself when all its structs and rows are as long as this header's or longer; else a
 * copy in a whose structs and rows are this header's, with zeros where p ends earlier.
 * p must have passed mls_table_check_plugin.  NULL and e without memory.                */
const mls_plugin_info *mls_abi_adopt(mls_arena *a, const mls_plugin_info *p, mls_error *e);

#endif
