#define _GNU_SOURCE 1
#include "study/files.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

int mls_files_folder(const char *dir, mls_error *e)
{
    char path[4096];
    if (snprintf(path, sizeof path, "%s", dir) >= (int)sizeof path) {
        mls_error_set(e, "%.100s...: the path is too long", dir);
        return 0;
    }
    for (char *p = path + 1;; p++) {
        if (*p && *p != '/') continue;
        const char was = *p;
        *p = '\0';
        if (mkdir(path, 0777) != 0 && errno != EEXIST) {
            mls_error_set(e, "%s: cannot be made: %s", path, strerror(errno));
            return 0;
        }
        if (!was) return 1;
        *p = was;
    }
}

int mls_files_write(const char *dir, const char *name, const char *text,
                       mls_error *e)
{
    char path[4200], fresh[4300];
    snprintf(path, sizeof path, "%s/%s", dir, name);
    snprintf(fresh, sizeof fresh, "%s.new", path);
    FILE *f = text ? fopen(fresh, "we") : NULL;
    int ok = f && fputs(text, f) >= 0 && fflush(f) == 0 && fsync(fileno(f)) == 0;
    if (f && fclose(f) != 0) ok = 0;
    ok = ok && rename(fresh, path) == 0;
    const int folder = ok ? open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC) : -1;
    if (folder >= 0) {
        fsync(folder);                   /* the name too; not every file system can */
        close(folder);
    }
    if (!ok) {
        mls_error_set(e, "%s: cannot be written: %s", path, strerror(errno));
        unlink(fresh);
    }
    return ok;
}

void mls_files_sweep(const char *dir)
{
    char path[4400];
    DIR *d = opendir(dir);
    for (struct dirent *f; d && (f = readdir(d));) {
        long long step;
        int used = 0;
        if (sscanf(f->d_name, "checkpoint-%lld.h5.new%n", &step, &used) != 1 || !used ||
            f->d_name[used])
            continue;
        snprintf(path, sizeof path, "%s/%s", dir, f->d_name);
        unlink(path);
    }
    if (d) closedir(d);
}
