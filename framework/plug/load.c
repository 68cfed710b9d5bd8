/* load.c - one plugin file: opened, and looked at before anything believes it. */
#include "plug/elf.h"
#include "plug/plug.h"
#include "plug/table.h"

#include <dlfcn.h>

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
    if (!mls_table_check_plugin(p, path, e)) return NULL;
    *p->host = mls_plug_host();
    return p;
}
