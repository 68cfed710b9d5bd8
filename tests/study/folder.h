/* folder.h - a scratch folder for a test, gone afterwards. */
#ifndef TESTS_STUDY_FOLDER_H
#define TESTS_STUDY_FOLDER_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

static char folder[256];

static inline void folder_make(void)
{
    const char *root = getenv("TMPDIR");
    snprintf(folder, sizeof folder, "%.200s/mls-test-XXXXXX", root ? root : "/tmp");
    assert_non_null(mkdtemp(folder));
}

static inline void folder_remove(void)
{
    const pid_t pid = fork();
    if (pid == 0) {
        execlp("rm", "rm", "-rf", "--", folder, (char *)NULL);
        _exit(127);
    }
    int status;
    waitpid(pid, &status, 0);
}

static inline const char *in_folder(const char *name)
{
    static char path[4][600];
    static int at;
    at = (at + 1) % 4;
    snprintf(path[at], sizeof path[at], "%s/%s", folder, name);
    return path[at];
}

static inline void folder_write(const char *name, const char *text)
{
    FILE *f = fopen(in_folder(name), "w");
    assert_non_null(f);
    assert_true(fputs(text, f) >= 0);
    assert_int_equal(fclose(f), 0);
}

#endif
