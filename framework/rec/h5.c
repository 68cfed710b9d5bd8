#include "rec/h5.h"
#include "rec/record.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/statvfs.h>
#include <sys/wait.h>
#include <unistd.h>

void mls_rec_init(void)
{
    /* libhdf5's exit handler flushes files once more and can crash when the disk is
     * full: everything that matters is flushed and checked long before.  The setting of
     * the error stack belongs to a thread, so it is made at each entry.                 */
    static int done;
    if (!done) H5dont_atexit();
    done = 1;
    H5Eset_auto2(H5E_DEFAULT, NULL, NULL);
}

static herr_t innermost(unsigned n, const H5E_error2_t *err, void *arg)
{
    if (n == 0 && err->desc) snprintf(arg, 300, "%s", err->desc);
    return 0;
}

static void innermost_text(char text[300])
{
    text[0] = '\0';
    H5Ewalk2(H5E_DEFAULT, H5E_WALK_UPWARD, innermost, text);
}

/* Of a lock that was refused: the error number, else 0. */
static int lock_refused(const char *text)
{
    const char *number = strstr(text, "lock file") ? strstr(text, "errno = ") : NULL;
    return number ? atoi(number + 8) : 0;
}

void mls_rec_why(char *out, size_t size)
{
    char text[300];
    innermost_text(text);
    const int refused = lock_refused(text);
    /* libhdf5 quotes the whole call; what a person needs is between these marks */
    char *from = strstr(text, "error message = '");
    char *to = from ? strchr(from + 17, '\'') : NULL;
    if (to) *to = '\0';
    /* libhdf5 advises a program that cuts such a file to what it was when SWMR began */
    if (strstr(text, "h5clear"))
        snprintf(out, size, "it is open for writing, or its writer ended without "
                            "closing it");
    else if (refused)
        snprintf(out, size, "the file lock was refused, errno %d (%s)", refused,
                 to ? from + 17 : strerror(refused));
    else
        snprintf(out, size, "%s", to ? from + 17 : text[0] ? text : "unknown reason");
}

/* 37, 38, 524 and 30 were met on network and read-only file systems; 524 has no name in
 * the C library.                                                                        */
static const char *lock_help(void)
{
    char text[300];
    innermost_text(text);
    switch (lock_refused(text)) {
    case 0: return "";
    case EAGAIN: return "; another process writes it";
    case ENOLCK: case ENOSYS: case 524: case EROFS:
        return "; this file system has no locks: set locking: \"off\" in the "
               "experiment, or the environment variable HDF5_USE_FILE_LOCKING=FALSE";
    default:
        return "; to do without locks set locking: \"off\" in the experiment, or the "
               "environment variable HDF5_USE_FILE_LOCKING=FALSE";
    }
}

static int unlocked;

void mls_rec_locking(int on)
{
    unlocked = !on;
}

/* How files are opened. */
static hid_t access_list(void)
{
    hid_t p = H5Pcreate(H5P_FILE_ACCESS);
    if (p >= 0 && unlocked && H5Pset_file_locking(p, 0, 1) < 0) {
        H5Pclose(p);
        p = -1;
    }
    return p;
}

hid_t mls_rec_create(const char *path, int swmr, hsize_t userblock, mls_error *e)
{
    mls_rec_init();
    hid_t fapl = access_list(), fcpl = H5Pcreate(H5P_FILE_CREATE), f = -1;
    int ok = fapl >= 0 && fcpl >= 0;
    if (swmr)
        ok =
            ok && H5Pset_libver_bounds(fapl, H5F_LIBVER_LATEST, H5F_LIBVER_LATEST) >= 0;
    if (userblock) ok = ok && H5Pset_userblock(fcpl, userblock) >= 0;
    /* a new file even where a leftover is still locked by a process that is about to die */
    unlink(path);
    if (ok) f = H5Fcreate(path, H5F_ACC_TRUNC, fcpl, fapl);
    if (f < 0) {
        char why[300];
        const char *help = lock_help();
        mls_rec_why(why, sizeof why);
        mls_error_set(e, "%s: cannot be created: %s%s", path, why, help);
        unlink(path);
    }
    if (fapl >= 0) H5Pclose(fapl);
    if (fcpl >= 0) H5Pclose(fcpl);
    return f;
}

hid_t mls_rec_open(const char *path, mls_error *e)
{
    mls_rec_init();
    hid_t fapl = access_list(), f = -1;
    if (fapl >= 0) f = H5Fopen(path, H5F_ACC_RDONLY, fapl);
    if (f < 0) {
        char why[300];
        const char *help = lock_help();
        mls_rec_why(why, sizeof why);
        /* What a writer is about to finish is read again, with pauses that double: by
         * default for minutes and hours when the file is cut.  24 times are 34 ms.      */
        if (fapl >= 0 && H5Pset_metadata_read_attempts(fapl, 24) >= 0)
            f = H5Fopen(path, H5F_ACC_RDONLY | H5F_ACC_SWMR_READ, fapl);
        if (f < 0 && access(path, R_OK) != 0) {
            snprintf(why, sizeof why, "%s", strerror(errno));
            help = "";
        }
        if (f < 0)
            mls_error_set(e, "%s: cannot be opened as HDF5: %s%s", path, why, help);
    }
    if (fapl >= 0) H5Pclose(fapl);
    return f;
}

static hid_t utf8(void)
{
    hid_t t = H5Tcopy(H5T_C_S1);
    if (t >= 0 &&
        (H5Tset_size(t, H5T_VARIABLE) < 0 || H5Tset_cset(t, H5T_CSET_UTF8) < 0)) {
        H5Tclose(t);
        t = -1;
    }
    return t;
}

int mls_rec_text(hid_t object, const char *name, const char *text)
{
    hid_t t = utf8(), s = H5Screate(H5S_SCALAR), a = -1;
    if (t >= 0 && s >= 0) a = H5Acreate2(object, name, t, s, H5P_DEFAULT, H5P_DEFAULT);
    int ok = a >= 0 && H5Awrite(a, t, &text) >= 0;
    if (a >= 0 && H5Aclose(a) < 0) ok = 0;
    if (s >= 0) H5Sclose(s);
    if (t >= 0) H5Tclose(t);
    return ok;
}

int mls_rec_number(hid_t object, const char *name, hid_t type, int n, const void *data)
{
    const hsize_t dim = (hsize_t)n;
    hid_t s = n == 1 ? H5Screate(H5S_SCALAR) : H5Screate_simple(1, &dim, NULL), a = -1;
    if (s >= 0) a = H5Acreate2(object, name, type, s, H5P_DEFAULT, H5P_DEFAULT);
    int ok = a >= 0 && H5Awrite(a, type, data) >= 0;
    if (a >= 0 && H5Aclose(a) < 0) ok = 0;
    if (s >= 0) H5Sclose(s);
    return ok;
}

hid_t mls_rec_links(void)
{
    hid_t p = H5Pcreate(H5P_LINK_CREATE);
    if (p >= 0 && (H5Pset_create_intermediate_group(p, 1) < 0 ||
                   H5Pset_char_encoding(p, H5T_CSET_UTF8) < 0)) {
        H5Pclose(p);
        p = -1;
    }
    return p;
}

int mls_rec_text_set(hid_t file, const char *path, const char *text)
{
    hid_t t = utf8(), s = H5Screate(H5S_SCALAR), p = mls_rec_links(), d = -1;
    if (t >= 0 && s >= 0 && p >= 0)
        d = H5Dcreate2(file, path, t, s, p, H5P_DEFAULT, H5P_DEFAULT);
    int ok = d >= 0 && H5Dwrite(d, t, H5S_ALL, H5S_ALL, H5P_DEFAULT, &text) >= 0;
    if (d >= 0 && H5Dclose(d) < 0) ok = 0;
    if (p >= 0) H5Pclose(p);
    if (s >= 0) H5Sclose(s);
    if (t >= 0) H5Tclose(t);
    return ok;
}

/* Of a variable-length scalar text, be it an attribute or a data set. */
static char *take(hid_t from, int attribute, mls_arena *a)
{
    char *raw = NULL, *text = NULL;
    hid_t kind = attribute ? H5Aget_type(from) : H5Dget_type(from);
    hid_t space = attribute ? H5Aget_space(from) : H5Dget_space(from), t = utf8();
    if (kind >= 0 && space >= 0 && t >= 0 && H5Tis_variable_str(kind) > 0 &&
        H5Sget_simple_extent_type(space) == H5S_SCALAR) {
        H5Tset_cset(t, H5Tget_cset(kind));
        herr_t got = attribute ? H5Aread(from, t, &raw)
                               : H5Dread(from, t, H5S_ALL, H5S_ALL, H5P_DEFAULT, &raw);
        if (got >= 0 && raw) text = mls_arena_strdup(a, raw);
        if (raw) H5free_memory(raw);
    }
    if (t >= 0) H5Tclose(t);
    if (space >= 0) H5Sclose(space);
    if (kind >= 0) H5Tclose(kind);
    return text;
}

char *mls_rec_read_text(hid_t object, const char *name, mls_arena *a)
{
    if (H5Aexists(object, name) <= 0) return NULL;
    hid_t at = H5Aopen(object, name, H5P_DEFAULT);
    char *text = at >= 0 ? take(at, 1, a) : NULL;
    if (at >= 0) H5Aclose(at);
    return text;
}

char *mls_rec_read_text_set(hid_t file, const char *path, mls_arena *a)
{
    hid_t d = H5Dopen2(file, path, H5P_DEFAULT);
    char *text = d >= 0 ? take(d, 0, a) : NULL;
    if (d >= 0) H5Dclose(d);
    return text;
}

struct listing { const char **names; int n, most; mls_arena *a; };

static herr_t list_one(hid_t at, const char *name, const H5O_info_t *info, void *arg)
{
    (void)at;
    struct listing *l = arg;
    if (info->type != H5O_TYPE_DATASET) return 0;
    if (l->n == l->most) return 1;
    const char *s = mls_arena_strdup(l->a, name);
    if (!s) return -1;
    l->names[l->n++] = s;
    return 0;
}

int mls_rec_names(hid_t file, const char *group, const char **names, int most,
                  mls_arena *a)
{
    struct listing l = { names, 0, most, a };
    if (strcmp(group, "/") && H5Lexists(file, group, H5P_DEFAULT) <= 0) return 0;
    hid_t g = H5Oopen(file, group, H5P_DEFAULT);
    if (g < 0) return 0;
    H5Ovisit2(g, H5_INDEX_NAME, H5_ITER_INC, list_one, &l, H5O_INFO_BASIC);
    H5Oclose(g);
    return l.n;
}

int mls_rec_sync(const char *path, mls_error *e)
{
    const int fd = open(path, O_RDONLY | O_CLOEXEC);
    const int ok = fd >= 0 && fsync(fd) == 0;
    if (!ok)
        mls_error_set(e, "%s: cannot be put on the disk: %s", path, strerror(errno));
    if (fd >= 0) close(fd);
    return ok;
}

int mls_rec_move(const char *from, const char *to, mls_error *e)
{
    if (!mls_rec_sync(from, e)) return 0;
    if (rename(from, to) != 0) {
        mls_error_set(e, "%s: cannot be renamed to %s: %s", from, to, strerror(errno));
        return 0;
    }
    const char *slash = strrchr(to, '/');
    char *dir = slash == to ? strdup("/")
                : slash     ? strndup(to, (size_t)(slash - to))
                            : strdup(".");
    if (!dir) {
        mls_error_set(e, "%s: out of memory", to);
        return 0;
    }
    const int ok = mls_rec_sync(dir, e);
    free(dir);
    return ok;
}

int64_t mls_rec_free_space(const char *path)
{
    struct statvfs s;
    if (statvfs(path, &s) != 0) return -1;
    return (int64_t)s.f_bavail * (int64_t)s.f_frsize;
}

int mls_rec_survives(int (*body)(void *arg), void *arg)
{
    const pid_t child = fork();
    if (child < 0) return body(arg);        /* no process to spare: take the risk */
    if (child == 0) {
        static const int fatal[] = { SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT };
        for (size_t i = 0; i < sizeof fatal / sizeof *fatal; i++)
            signal(fatal[i], SIG_DFL);
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        _exit(body(arg) ? 0 : 1);
    }
    int status = 0;
    while (waitpid(child, &status, 0) < 0)
        if (errno != EINTR) return 0;
    return WIFEXITED(status) && WEXITSTATUS(status) == 0;
}
