/* cli.h - the command line: verbs, their options, messages, signals.
 *
 * Exit status: 0 done, 1 failed, 2 the command line is wrong, 3 stopped cleanly (mls trial),
 * 130 interrupted (a checkpoint was written).
 */
#ifndef MLS_CLI_CLI_H
#define MLS_CLI_CLI_H

#include "base/arena.h"
#include "base/error.h"
#include "base/value.h"
#include "plug/plug.h"

enum { MLS_EXIT_DONE = 0, MLS_EXIT_FAILED = 1, MLS_EXIT_USAGE = 2, MLS_EXIT_STOPPED = 3,
       MLS_EXIT_INTERRUPTED = 130 };

/* ---- Options ---------------------------------------------------------------------- */

typedef enum { MLS_FLAG_NONE, MLS_FLAG_VALUE,
               MLS_FLAG_MAYBE /* --x, --no-x or --x=false */ } mls_flag_kind;

typedef struct mls_flag {
    const char   *name;           /* "--length"; NULL ends a table                     */
    mls_flag_kind kind;
    const char   *value;          /* "N", for help                                     */
    const char   *help;
} mls_flag;

typedef struct mls_args {
    mls_arena   *a;
    const char **name, **value;   /* options in order; value "true" without one        */
    const char **word;            /* what is no option                                 */
    int          n, n_words;
} mls_args;

/* Sorts argv[1...] by the table; unknown ones fail with the nearest name. */
int mls_args_parse(mls_args *args, mls_arena *a, int argc, char **argv,
                   const mls_flag *table, mls_error *e);
/* The last value of --x, or def. */
const char *mls_args_get(const mls_args *args, const char *name, const char *def);
int         mls_args_has(const mls_args *args, const char *name);
int64_t mls_args_int(const mls_args *args, const char *name, int64_t def, int64_t min,
                     int64_t max, mls_error *e);
double mls_args_real(const mls_args *args, const char *name, double def, double min,
                     double max, mls_error *e);
/* Exactly one word, called `what` in the message; NULL and e otherwise. */
const char *mls_args_word(const mls_args *args, const char *what, mls_error *e);
/* What --split says (eval.c): MLS_TRAINING and so on; without it test, if there is one. */
struct mls_feed;
int mls_cli_split(const mls_args *args, const struct mls_feed *feed, mls_error *e);
/* Lines "  --name VALUE   help" to stdout. */
void        mls_args_print(const mls_flag *table);

/* ---- Messages, signals -------------------------------------------------------------- */

/* "mls: message" to stderr, with the line of the file that it speaks of. */
void mls_cli_complain(const mls_error *e);
/* Raised by SIGINT and SIGTERM; a second SIGINT ends the process at once. */
extern volatile int mls_cli_stop;
void mls_cli_signals(void);
/* The command line as one string. */
const char *mls_cli_line(void);

/* ---- Training flags (flags.c) -------------------------------------------------------- */

/* Flags of mls train: every setting and every field of the overview has one. */
const mls_flag *mls_cli_train_flags(mls_arena *a);
/* The configuration of the command line: file, overview flags, shortcuts, --set. */
mls_value *mls_cli_configuration(mls_arena *a, const mls_args *args, mls_error *e);

/* Options of every format of mls import. */
const mls_flag *mls_cli_import_flags(mls_arena *a);

/* ---- Progress ------------------------------------------------------------------------ */

struct mls_progress;
typedef struct mls_bar {
    int         terminal, painted;
    double      began, shown;
    int64_t     first;
    const void *evaluation;       /* told last                                          */
} mls_bar;
void mls_bar_start(mls_bar *b);
void mls_bar_show(void *bar, const struct mls_progress *p);
void mls_bar_end(mls_bar *b);

/* ---- Verbs: exit status; a message in e becomes status 1 (or what the verb says) ------- */

typedef int (*mls_verb_function)(int argc, char **argv, mls_registry *r, mls_error *e);
enum { MLS_VERB_BARE = 1 /* needs no plugins: r is empty */,
       MLS_VERB_INNER = 2 /* for programs: not in the short list of mls help */ };

/* One verb: what runs it and everything that mls help, mls VERB --help and mls(1) say. */
typedef struct mls_verb {
    const char       *name;
    mls_verb_function run;
    unsigned          flags;      /* MLS_VERB_BARE, MLS_VERB_INNER                      */
    const char       *words;      /* after "mls train ": "CONFIG.yaml [options]"        */
    const char       *summary;    /* one line, no full stop                             */
    const char       *help;       /* paragraphs with an empty line between; a line that
                                     begins with two blanks is an example; or NULL      */
    const mls_flag   *options;    /* or NULL                                            */
    const mls_flag *(*make_options)(mls_arena *a);  /* a table that is made; or NULL    */
} mls_verb;
extern const mls_verb mls_verbs[];          /* verbs.c; ends with name NULL             */

/* Rows of the other lists of mls help and mls(1); name NULL at the end. */
typedef struct mls_fact { const char *name, *help; } mls_fact;
extern const mls_fact mls_environment[], mls_exit_statuses[], mls_files[];
extern const mls_flag mls_cli_help_flags[];

int mls_verb_train(int argc, char **argv, mls_registry *r, mls_error *e);
int mls_verb_eval(int argc, char **argv, mls_registry *r, mls_error *e);
int mls_verb_generate(int argc, char **argv, mls_registry *r, mls_error *e);
int mls_verb_trial(int argc, char **argv, mls_registry *r, mls_error *e);
int mls_verb_study(int argc, char **argv, mls_registry *r, mls_error *e);
int mls_verb_recover(int argc, char **argv, mls_registry *r, mls_error *e);
int mls_verb_lua(int argc, char **argv, mls_registry *r, mls_error *e);
int mls_verb_repl(int argc, char **argv, mls_registry *r, mls_error *e);
extern const mls_flag mls_cli_new_flags[];
int mls_verb_new(int argc, char **argv, mls_registry *r, mls_error *e);
int mls_verb_validate(int argc, char **argv, mls_registry *r, mls_error *e);
int mls_verb_bench(int argc, char **argv, mls_registry *r, mls_error *e);
int mls_verb_import(int argc, char **argv, mls_registry *r, mls_error *e);
int mls_verb_weights(int argc, char **argv, mls_registry *r, mls_error *e);
int mls_verb_quantize(int argc, char **argv, mls_registry *r, mls_error *e);
int mls_verb_trace(int argc, char **argv, mls_registry *r, mls_error *e);
int mls_verb_list(int argc, char **argv, mls_registry *r, mls_error *e);
int mls_verb_help(int argc, char **argv, mls_registry *r, mls_error *e);
int mls_verb_version(int argc, char **argv, mls_registry *r, mls_error *e);

extern const mls_flag mls_cli_eval_flags[], mls_cli_generate_flags[], mls_cli_recover_flags[],
    mls_cli_run_flags[], mls_cli_check_flags[], mls_cli_validate_flags[],
    mls_cli_trace_flags[], mls_cli_weights_flags[], mls_cli_quantize_flags[],
    mls_cli_bench_flags[];

#endif
