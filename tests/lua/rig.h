/* rig.h - a scratch folder for Lua files and a registry of two made-up components. */
#ifndef TESTS_LUA_RIG_H
#define TESTS_LUA_RIG_H

#include "plug/plug.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

static char folder[256];

static inline const char *put_file(const char *name, const char *text)
{
    static char path[600];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    FILE *f = fopen(path, "w");
    assert_non_null(f);
    assert_true(fputs(text, f) >= 0);
    assert_int_equal(fclose(f), 0);
    return path;
}

static inline int rig_up(void **state)
{
    const char *root = getenv("TMPDIR");
    (void)state;
    snprintf(folder, sizeof folder, "%.200s/mls-test-XXXXXX", root ? root : "/tmp");
    return mkdtemp(folder) ? 0 : -1;
}

static inline int rig_down(void **state)
{
    (void)state;
    const pid_t pid = fork();
    if (pid == 0) {
        execlp("rm", "rm", "-rf", "--", folder, (char *)NULL);
        _exit(127);
    }
    int status;
    return waitpid(pid, &status, 0) == pid ? status : -1;
}

typedef struct made_up { int64_t units; double beta; int reset; } made_up;
static const mls_port no_ports[] = { MLS_PORT_END };
static const mls_option made_up_options[] = {
    MLS_OPT(made_up, units, MLS_INT, 0, 0, 1024, NULL, "neurons"),
    MLS_OPT(made_up, beta, MLS_REAL, 0.9, 0, 1, NULL, "decay"),
    MLS_OPT_CHOICE(made_up, reset, "subtract|zero", "reset"), MLS_OPT_END };
static const mls_component lif = { .size = sizeof(mls_component), .kind = "encoder",
    .name = "lif", .help = "a neuron", .ports = no_ports, .options = made_up_options,
    .self_size = sizeof(made_up) };
static const mls_component text = { .size = sizeof(mls_component), .kind = "task",
    .name = "text", .help = "a task", .ports = no_ports, .options = made_up_options,
    .self_size = sizeof(made_up) };
static const mls_component *const pointers[] = { &lif, &text, NULL };
static const mls_component *sorted[] = { &lif, &text };
static const mls_host *host_slot;
static const mls_plugin_info info = { .size = sizeof info, .abi_major = MLS_ABI_MAJOR,
    .port_size = sizeof(mls_port), .option_size = sizeof(mls_option), .name = "made_up",
    .version = "1", .licence = "none", .components = pointers, .host = &host_slot };
static mls_plugin_file file = { .path = "made_up.so", .info = &info };
static mls_registry registry = { .file = &file, .n_files = 1, .component = sorted,
                                 .n_components = 2, .warnings = "" };

#endif
