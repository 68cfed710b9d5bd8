/* plug.h - finding, loading and naming components. */
#ifndef MLS_PLUG_PLUG_H
#define MLS_PLUG_PLUG_H

#include "base/arena.h"
#include "base/error.h"
#include "base/value.h"
#include <mls/plugin.h>

typedef struct mls_plugin_file {
    const char            *path;       /* of the .so                                  */
    const mls_plugin_info *info;       /* the plugin's; of an older ABI minor, a copy with
                                          every field of this header (plug/abi.h)     */
    char                   sha256[65]; /* of the file                                 */
} mls_plugin_file;

typedef struct mls_registry {
    mls_arena        arena;
    mls_plugin_file *file;   int n_files;
    const mls_component **component;  int n_components;   /* sorted by kind.name      */
    const char      *warnings;         /* text lines of plugins refused, or ""        */
} mls_registry;

/* Fills the host table (kernel family too).  Call once, first. */
void mls_plug_init(void);
const mls_host *mls_plug_host(void);
/* Before loading: what mls->extension(id) answers. */
void mls_plug_extend(const char *id, const void *table);

/* Loads every *.so of the colon-separated `extra` (may be NULL), of MLS_PLUGIN_PATH, of
 * ${XDG_DATA_HOME:-$HOME/.local/share}/mls/plugins, of the build tree beside the binary,
 * else of $plugindir (below the prefix of the program, should that have moved); first found wins within that
 * order only for identical files: two components of one name are an error that names
 * both files.  A file named explicitly that is refused is an error; refused files in
 * folders become warnings.                                                             */
int mls_registry_load(mls_registry *r, const char *extra, mls_error *e);
void mls_registry_free(mls_registry *r);
/* Adds the components of a plugin that is no file (Lua, a test's probe) and keeps the list
 * sorted.  p lives as long as r; path and fingerprint (which stands for the sha256 of a
 * file in a trial's identity) are copied.  0 and e: incomplete tables, a name that exists;
 * then none of its components is in r.                                                 */
int  mls_registry_add(mls_registry *r, const mls_plugin_info *p, const char *path,
                      const char *fingerprint, mls_error *e);
/* Opens one .so more, if r does not have that very file; its components take the place of
 * others of the same name.  NULL and e if it is refused.                               */
const mls_plugin_file *mls_registry_open(mls_registry *r, const char *path, mls_error *e);
/* One .so; checks magic, symbol, ABI major, struct sizes, tables.  NULL and e if refused.
 * What it gives is the plugin's own, which may end where its header ended.             */
const mls_plugin_info *mls_plug_open(const char *path, mls_error *e);

/* "liquid.cfc"; NULL and e (with the nearest name and the list of the kind) if absent.
 * where: a value for the position in the message, or NULL.                             */
const mls_component *mls_registry_find(const mls_registry *r, const char *name,
                                       const mls_value *where, mls_error *e);
const mls_plugin_file *mls_registry_file(const mls_registry *r, const mls_component *c);

/* Rows of a plugin's tables by the plugin's own strides. */
const mls_port   *mls_plug_port(const mls_registry *r, const mls_component *c, int i);
const mls_option *mls_plug_option(const mls_registry *r, const mls_component *c, int i);

/* Whether an option called so that is on, or a choice of this word, lets every step see all of
 * the sequence, so that a component's promises MLS_CAUSAL and MLS_STREAMS do not hold; and
 * whether option o does so in this component.                                            */
int mls_option_sees_all(const char *option, const char *word);
int mls_option_is_open(const mls_option *o, const void *self);

/* Checks a map of options against c's table and stores defaults and values into self
 * (strings are copied into a).  Keys in `also` (NULL-terminated) are skipped.  Every
 * problem is an error with position, what was found, the range or the choices, and the
 * nearest name.                                                                        */
void mls_option_apply(const mls_registry *r, const mls_component *c, const mls_value *map,
                      const char *const *also, void *self, mls_arena *a, mls_error *e);
/* The complete map of c's options with values of `self`. */
mls_value *mls_option_dump(const mls_registry *r, const mls_component *c, const void *self,
                           mls_arena *a);
/* Help text of a component: summary, ports, options. */
char *mls_plug_describe(const mls_registry *r, const mls_component *c, mls_arena *a);

#endif
