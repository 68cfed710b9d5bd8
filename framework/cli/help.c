#include "cli/cli.h"
#include "conf/conf.h"

#include <stdio.h>
#include <string.h>

static const char usage[] =
    "mls - experiments with Mamba-Liquid-Spiking networks\n"
    "\n"
    "  mls train CONFIG.yaml [--set path=value]... [--out DIR] [options]\n"
    "  mls eval DIR [--split training|validation|test]\n"
    "  mls generate DIR [--prompt TEXT] [--length N] [--temperature X] [--top-k K] "
    "[--seed N]\n"
    "  mls check STUDY.lua       what a study would do, without any maths\n"
    "  mls run STUDY.lua [-jN]   a study: every trial in a process of its own\n"
    "  mls recover FILE.part -o NEW.h5   a new file from the recording of a trial that "
    "was killed\n"
    "  mls list [KIND]           components that were found\n"
    "  mls help [train | modes | overview | KIND | KIND.NAME]\n"
    "  mls version\n"
    "\n"
    "Environment: MLS_PLUGIN_PATH (folders with plugins), MLS_ISA (plain, avx2, "
    "avx512),\n"
    "  XDG_DATA_HOME (its mls/plugins is searched too; unset: ~/.local/share),\n"
    "  HDF5_USE_FILE_LOCKING (FALSE: no locks, for file systems without them).\n"
    "Exit status: 0 done; 1 failed; 2 wrong usage; 3 stopped cleanly (mls trial);\n"
    "  77 data of a study are absent; 130 interrupted, a checkpoint was written.\n";

static void settings(void)
{
    fputs("Settings of an experiment (YAML, or --set path=value):\n", stdout);
    for (const mls_setting *s = mls_settings; s->path; s++) {
        fprintf(stdout, "  %-24s %-7s %s", s->path, s->type, s->help);
        if (s->def) fprintf(stdout, " [%s]", s->def);
        if (s->choices) fprintf(stdout, " (%s)", s->choices);
        fputc('\n', stdout);
    }
}

static int show_train(mls_arena *a)
{
    settings();
    fputs("\nOptions of mls train:\n", stdout);
    mls_args_print(mls_cli_train_flags(a));
    return MLS_EXIT_DONE;
}

static int show_modes(mls_arena *a, mls_error *e)
{
    for (int i = 0; mls_conf_modes[i]; i++) {
        const mls_value *m = mls_conf_mode(a, mls_conf_modes[i], NULL, e);
        fprintf(stdout, "%s: %s\n%s\n", mls_conf_modes[i], mls_conf_mode_help[i],
                mls_value_to_yaml(a, m));
    }
    return MLS_EXIT_DONE;
}

static int show_overview(void)
{
    fputs("Fields of the original overview, and what they set here:\n", stdout);
    for (const mls_alias *x = mls_aliases; x->name; x++)
        fprintf(stdout, "  %-24s %-28s %s\n", x->name, x->path ? x->path : "", x->help);
    return MLS_EXIT_DONE;
}

static int list(mls_registry *r, const char *kind, int whole, mls_arena *a)
{
    int n = 0;
    for (int i = 0; i < r->n_components; i++) {
        const mls_component *c = r->component[i];
        const char *help = c->help ? c->help : "";
        if (kind && strcmp(kind, c->kind)) continue;
        if (whole) {
            fprintf(stdout, "%s%s", n ? "\n" : "", mls_plug_describe(r, c, a));
        } else {
            fprintf(stdout, "%-26s %.*s\n",
                    mls_arena_printf(a, "%s.%s", c->kind, c->name),
                    (int)strcspn(help, "\n"), help);
        }
        n++;
    }
    return n;
}

static void no_kind(mls_registry *r, const char *kind, mls_error *e)
{
    const char *names[64] = { NULL };
    char all[600] = "";
    int n = 0;
    for (int i = 0; i < r->n_components && n < 64; i++) {
        int known = 0;
        for (int k = 0; k < n; k++) known |= !strcmp(names[k], r->component[i]->kind);
        if (known) continue;
        const size_t used = strlen(all);
        snprintf(all + used, sizeof all - used, "%s%s", n ? ", " : "",
                 r->component[i]->kind);
        names[n++] = r->component[i]->kind;
    }
    const char *near = mls_error_nearest(kind, names, n);
    mls_error_set(e, "there is no \"%.60s\"%s%s%s (kinds: %s)", kind,
                  near ? "; did you mean \"" : "", near ? near : "", near ? "\"?" : "",
                  n ? all : "none, no plugin was found");
}

int mls_verb_list(int argc, char **argv, mls_registry *r, mls_error *e)
{
    mls_arena a = { 0 };
    mls_args args;
    static const mls_flag none[] = { { NULL, MLS_FLAG_NONE, NULL, NULL } };
    int status = MLS_EXIT_USAGE;
    if (mls_args_parse(&args, &a, argc, argv, none, e)) {
        status = MLS_EXIT_DONE;
        if (!list(r, args.n_words ? args.word[0] : NULL, 0, &a)) {
            no_kind(r, args.n_words ? args.word[0] : "component", e);
            status = MLS_EXIT_FAILED;
        }
        if (*r->warnings) fprintf(stderr, "%s", r->warnings);
    }
    mls_arena_free(&a);
    return status;
}

static int about(const char *what, mls_registry *r, mls_arena *a, mls_error *e)
{
    if (!strcmp(what, "train")) return show_train(a);
    if (!strcmp(what, "modes")) return show_modes(a, e);
    if (!strcmp(what, "overview")) return show_overview();
    if (strchr(what, '.')) {
        const mls_component *c = mls_registry_find(r, what, NULL, e);
        if (!c) return MLS_EXIT_FAILED;
        fputs(mls_plug_describe(r, c, a), stdout);
        return MLS_EXIT_DONE;
    }
    if (list(r, what, 1, a)) return MLS_EXIT_DONE;
    no_kind(r, what, e);
    return MLS_EXIT_FAILED;
}

int mls_verb_help(int argc, char **argv, mls_registry *r, mls_error *e)
{
    mls_arena a = { 0 };
    int status = MLS_EXIT_DONE;
    if (argc < 2) fputs(usage, stdout);
    else status = about(argv[1], r, &a, e);
    mls_arena_free(&a);
    return status;
}
