/* load.c - one plugin file: opened, and looked at before anything believes it. */
#include "plug/elf.h"
#include "plug/plug.h"
#include "plug/table.h"

#include <dlfcn.h>
#include <string.h>

static int bad_component(const mls_plugin_info *p, const mls_component *c, const char *path,
                         mls_error *e)
{
    const int newer = p->abi_minor > MLS_ABI_MINOR;
    if (c->size < sizeof *c || (c->size > sizeof *c && !newer)) {
        mls_error_set(e, "%s: a component's size is %u bytes, this mls (ABI %d.%d) has %zu; "
                      "rebuild the plugin against its headers", path, c->size,
                      MLS_ABI_MAJOR, MLS_ABI_MINOR, sizeof *c);
        return 1;
    }
    if (!c->kind || !c->name || !*c->kind || !*c->name) {
        mls_error_set(e, "%s: a component has no kind or no name", path);
        return 1;
    }
    const int task = !strcmp(c->kind, "task");
    if (task ? !c->task || !c->task->open || !c->task->count || !c->task->fill
             : !c->setup || !c->forward || !c->ports) {
        mls_error_set(e, "%s: %s.%s lacks %s", path, c->kind, c->name,
                      task ? "one of the task functions open, count and fill"
                           : "one of ports, setup and forward");
        return 1;
    }
    if (task && c->task->size < sizeof *c->task) {
        mls_error_set(e, "%s: %s.%s: the task's size is %u bytes, expected %zu", path, c->kind,
                      c->name, c->task->size, sizeof *c->task);
        return 1;
    }
    return !mls_table_check(p, c, path, e);
}

const mls_plugin_info *mls_plug_open(const char *path, mls_error *e)
{
    if (!mls_elf_check(path, e)) return NULL;
    void *so = dlopen(path, RTLD_NOW | RTLD_LOCAL);
    if (!so) {
        mls_error_set(e, "%s: cannot be loaded: %s", path, dlerror());
        return NULL;
    }
    /* From here on the file stays loaded, even if it is refused: unloading code that
     * may have left pointers behind is never safe.                                    */
    const mls_plugin_info *p = dlsym(so, "mls_plugin");
    if (!p) {
        mls_error_set(e, "%s: exports no symbol mls_plugin, so it is not an mls plugin", path);
        return NULL;
    }
    /* the major version first: it says best what is wrong, and its place never moves */
    if (p->abi_major != MLS_ABI_MAJOR) {
        mls_error_set(e, "%s: built for plugin ABI %u.%u, this mls has %d.%d", path,
                      p->abi_major, p->abi_minor, MLS_ABI_MAJOR, MLS_ABI_MINOR);
        return NULL;
    }
    if (p->size < sizeof *p || p->size > 4096) {
        mls_error_set(e, "%s: mls_plugin is %u bytes, expected %zu; rebuild it against this "
                      "mls's headers", path, p->size, sizeof *p);
        return NULL;
    }
    if (p->port_size < sizeof(mls_port) || p->option_size < sizeof(mls_option) ||
        !p->components || !p->host || !p->name) {
        mls_error_set(e, "%s: mls_plugin is incomplete (rows of %u and %u bytes, expected "
                      "%zu and %zu)", path, p->port_size, p->option_size, sizeof(mls_port),
                      sizeof(mls_option));
        return NULL;
    }
    for (int i = 0; p->components[i]; i++)
        if (bad_component(p, p->components[i], path, e)) return NULL;
    *p->host = mls_plug_host();
    return p;
}
