/* script.h - Lua files that are programs: mls lua FILE, and lines typed in: mls repl. */
#ifndef MLS_LUA_SCRIPT_H
#define MLS_LUA_SCRIPT_H

#include "plug/plug.h"

typedef struct mls_script_options {
    mls_registry *registry;
    volatile int *stop;           /* set by a signal; ends mls.progress, or the script    */
    int           argc;           /* words after the file                                 */
    char        **argv;
} mls_script_options;

/* All of Lua's libraries, no limits, module "mls" with mls.build and what belongs to it.
 * 0 done, 1 and e failed, 130 interrupted (with e unless a progress loop ended cleanly). */
int mls_script_run(const char *path, const mls_script_options *o, mls_error *e);
/* Reads lines from standard input until it ends; errors are told on standard error.      */
int mls_script_repl(const mls_script_options *o, mls_error *e);

#endif
