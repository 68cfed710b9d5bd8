/* host.h - the one host table, for the layer that completes it. */
#ifndef MLS_PLUG_HOST_H
#define MLS_PLUG_HOST_H

#include <mls/plugin.h>

extern mls_host mls_plug_table;

#endif
