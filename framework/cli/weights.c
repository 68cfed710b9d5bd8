/* weights.c - mls weights: a trained network's weights to and from other programs. */
#include "cli/cli.h"
#include "conf/conf.h"
#include "lua/component.h"
#include "rec/record.h"
#include "rec/tensors.h"
#include "study/model.h"
#include "study/spiking.h"
#include "study/weights.h"

#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

const mls_flag mls_cli_weights_flags[] = {
    { "-o", MLS_FLAG_VALUE, "FILE", "what is written" },
    { "--node", MLS_FLAG_VALUE, "NAME", "for NIR: one spiking node, as layer0.enc (all)" },
    { NULL, MLS_FLAG_NONE, NULL, NULL }
};

static int is_folder(const char *path)
{
    struct stat s;
    return stat(path, &s) == 0 && S_ISDIR(s.st_mode);
}

/* The best checkpoint of a trial's folder, else the newest. */
static const char *checkpoint_in(const char *dir, mls_arena *a, mls_error *e)
{
    int64_t step[1];
    const char *best = mls_arena_printf(a, "%s/checkpoint-best.h5", dir);
    if (best && access(best, F_OK) == 0) return best;
    if (mls_model_checkpoints(dir, step, 1) > 0)
        return mls_arena_printf(a, "%s/checkpoint-%lld.h5", dir, (long long)step[0]);
    mls_error_set(e, "%s: no checkpoint-*.h5 here; was it trained?", dir);
    return NULL;
}

/* A checkpoint has a checksum, which is looked at before its numbers go anywhere. */
static int whole(const char *path, mls_arena *a, mls_error *e)
{
    static const char magic[] = "mls-checkpoint";
    char start[sizeof magic] = "";
    FILE *f = fopen(path, "re");
    const size_t n = f ? fread(start, 1, sizeof start, f) : 0;
    if (f) fclose(f);
    if (n == sizeof start && !memcmp(start, magic, sizeof magic))
        mls_checkpoint_note(path, a, e);
    return !e->set;
}

/* A checkpoint has [rows][cols] for everything; a state dict also has vectors. */
static void shape_rows(mls_bundle *b)
{
    for (int i = 0; i < b->n; i++) {
        mls_bundle_row *r = &b->row[i];
        if (r->rank == 2) r->rank = mls_weights_shape(r->name, r->dim[0], r->dim[1], r->dim);
    }
}

static const char *read_source(const char *source, mls_bundle *b, mls_error *e)
{
    const char *path = is_folder(source) ? checkpoint_in(source, b->arena, e) : source;
    if (!path || !whole(path, b->arena, e) || !mls_tensors_read(path, "weight", b, e))
        return NULL;
    shape_rows(b);
    return path;
}

static void export(const char *source, const char *to, mls_arena *a, mls_error *e)
{
    mls_bundle b = { .arena = a };
    const char *from = read_source(source, &b, e);
    if (!from) return;
    if (!b.n) mls_error_set(e, "%s: has no weights", from);
    else if (mls_tensors_write(to, &b, e))
        fprintf(stdout, "%s: %d tensors of %s\n", to, b.n, from);
}

static const char *note_of(const mls_model *m, const char *file, mls_arena *a)
{
    mls_value *note = mls_value_map(a);
    mls_value_set(a, note, "step", mls_value_int(a, 0));
    mls_value_set(a, note, "identity", mls_value_string(a, m->identity));
    mls_value_set(a, note, "weights", mls_value_string(a, file));
    return mls_value_to_json(a, note, 0);
}

/* A checkpoint of step 0: what else it holds is as before any training. */
static void import(const char *file, const char *dir, const char *to, mls_registry *r,
                   mls_arena *a, mls_error *e)
{
    mls_bundle in = { .arena = a }, out = { .arena = a };
    mls_model m = { 0 };
    mls_lua_file *lua = NULL;
    const char *path = mls_arena_printf(a, "%s/config.yaml", dir);
    const mls_value *config = mls_tensors_read(file, "weight", &in, e) &&
                              mls_lua_trial_load(r, dir, &lua, e) ? mls_yaml_read(a, path, e) : NULL;
    if (config && mls_model_open(&m, r, config, NULL, e) &&
        mls_weights_load(m.net, "", &in, file, mls_arena_printf(a, "the network of %s", dir), e)) {
        mls_loop_bundle(m.loop, &out);
        if (mls_checkpoint_save(to, &out, note_of(&m, file, a), e))
            fprintf(stdout, "%s: %d tensors of %s\n", to, in.n, file);
    }
    mls_model_close(&m);
    mls_lua_file_free(lua);
}

static void list(const char *source, mls_arena *a, mls_error *e)
{
    mls_bundle b = { .arena = a };
    if (!read_source(source, &b, e)) return;
    for (int i = 0; i < b.n; i++) {
        fprintf(stdout, "%-40s ", b.row[i].name);
        for (int k = 0; k < b.row[i].rank; k++)
            fprintf(stdout, "[%lld]", (long long)b.row[i].dim[k]);
        fputc('\n', stdout);
    }
}

/* ---- NIR --------------------------------------------------------------------------------- */

static int is_nir(const char *path)
{
    const size_t n = strlen(path);
    return n > 4 && !strcmp(path + n - 4, ".nir");
}

static void export_nir(const char *dir, const char *node, const char *to, mls_registry *r,
                       mls_arena *a, mls_error *e)
{
    mls_model m = { 0 };
    mls_lua_file *lua = NULL;
    mls_nir g;
    const char *from = "", *lost = NULL;
    if (mls_lua_trial_load(r, dir, &lua, e) && mls_model_load(&m, r, dir, &from, e) &&
        mls_spiking_export(m.net, m.config, node, &g, &lost, a, e) && mls_nir_write(to, &g, e)) {
        int64_t n = 0;
        for (int i = 0; i < g.n_nodes; i++) n += g.node[i].v_threshold ? g.node[i].n : 0;
        fprintf(stdout, "%s: %lld neurons of %s\n", to, (long long)n, from);
        for (const char *end; (end = strchr(lost, '\n')); lost = end + 1)
            fprintf(stderr, "mls: %.*s\n", (int)(end - lost), lost);
    }
    mls_model_close(&m);
    mls_lua_file_free(lua);
}

/* Everything but that node is as in the folder's best checkpoint. */
static void import_nir(const char *file, const char *dir, const char *node, const char *to,
                       mls_registry *r, mls_arena *a, mls_error *e)
{
    mls_model m = { 0 };
    mls_lua_file *lua = NULL;
    mls_nir g;
    mls_bundle out = { .arena = a };
    int64_t n = 0;
    if (mls_nir_read(file, &g, a, e) && mls_lua_trial_load(r, dir, &lua, e) &&
        mls_model_load(&m, r, dir, NULL, e) &&
        (n = mls_spiking_import(m.net, m.config, node, &g, file, a, e))) {
        mls_loop_bundle(m.loop, &out);
        if (mls_checkpoint_save(to, &out, note_of(&m, file, a), e))
            fprintf(stdout, "%s: %lld neurons of %s\n", to, (long long)n, file);
    }
    mls_model_close(&m);
    mls_lua_file_free(lua);
}

/* Which of the three forms it is; 0 and e: none. */
static char form_of(const mls_args *args, mls_error *e)
{
    static const struct { const char *word; int words, to; const char *usage; } forms[] = {
        { "export", 2, 1, "mls weights export DIR|CHECKPOINT.h5 -o W.safetensors" },
        { "import", 3, 1, "mls weights import W.safetensors DIR -o CHECKPOINT.h5" },
        { "list", 2, 0, "mls weights list DIR|FILE" } };
    static const char *const words[] = { "export", "import", "list" };
    const char *word = args->n_words ? args->word[0] : "";
    for (int i = 0; i < 3; i++) {
        if (strcmp(word, forms[i].word)) continue;
        if (args->n_words == forms[i].words && mls_args_has(args, "-o") == forms[i].to)
            return *word;
        mls_error_set(e, "%s is used as: %s", word, forms[i].usage);
        return 0;
    }
    const char *near = mls_error_nearest(word, words, 3);
    mls_error_set(e, "mls weights %.60s: expected export, import or list%s%s%s", word,
                  near ? "; did you mean \"" : "", near ? near : "", near ? "\"?" : "");
    return 0;
}

int mls_verb_weights(int argc, char **argv, mls_registry *r, mls_error *e)
{
    mls_arena a = { 0 };
    mls_args args;
    const char form = mls_args_parse(&args, &a, argc, argv, mls_cli_weights_flags, e)
                          ? form_of(&args, e) : 0;
    const char *to = form ? mls_args_get(&args, "-o", NULL) : NULL;
    const char *node = form ? mls_args_get(&args, "--node", NULL) : NULL;
    if (form == 'e' && is_nir(to)) export_nir(args.word[1], node, to, r, &a, e);
    else if (form == 'i' && is_nir(args.word[1]))
        import_nir(args.word[1], args.word[2], node, to, r, &a, e);
    else if (form == 'e') export(args.word[1], to, &a, e);
    else if (form == 'i') import(args.word[1], args.word[2], to, r, &a, e);
    else if (form == 'l') list(args.word[1], &a, e);
    mls_arena_free(&a);
    return !form ? MLS_EXIT_USAGE : e->set ? MLS_EXIT_FAILED : MLS_EXIT_DONE;
}
