/* new.c - mls new: a project of its own for one component. */
#define _GNU_SOURCE 1
#include "cli/cli.h"
#include "cli/new.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { LONGEST = 40, PATHS = 4096 };

typedef struct kind { const char *name, *peer, *what, *stop; } kind;
static const kind kinds[] = {
    { "encoder", "encoder.lif", "spiking neurons that learn their own decay", "forward_sample" },
    { "adapter", "adapter.temporal", "spikes to values by a trace that each channel learns",
      "forward_sample" },
    { "liquid", "liquid.cfc", "leaky integrators whose time constants depend on the input",
      "forward_sample" },
    { "mixer", "mixer.mamba", "a gated linear recurrence over the sequence", "forward_sample" },
    { "fusion", "fusion.sum", "two streams mixed by a gate of each feature", "forward_sample" },
    { "head", "head.linear", "a readout that gathers evidence for each output",
      "forward_sample" },
    { "task", "two networks on it", "samples in which a count must be kept", "fill" },
};
enum { KINDS = sizeof kinds / sizeof *kinds };

typedef struct project {
    mls_arena   *a;
    const kind  *k;
    const char  *name, *folder;
    const char  *tree, *pc;      /* build tree of this program, or folder of its mls.pc; "" */
    const char  *start;          /* what a study begins with                                */
    const char  *written[8];     /* full paths, in order                                    */
    int          n;
    int          lua;            /* the component is to be in Lua                           */
    int          made;           /* the folder is ours                                      */
} project;

static const char *const words[] = {          /* of C, of Lua: neither could be said */
    "alignas", "alignof", "asm", "auto", "bool", "break", "case", "char", "const",
    "constexpr", "continue", "default", "do", "double", "else", "enum", "extern", "false",
    "float", "for", "goto", "if", "inline", "int", "long", "nullptr", "register",
    "restrict", "return", "short", "signed", "sizeof", "static", "struct", "switch",
    "thread_local", "true", "typedef", "typeof", "union", "unsigned", "void", "volatile",
    "while", "and", "elseif", "end", "function", "in", "local", "nil", "not", "or",
    "repeat", "then", "until", NULL
};

static int spoken_for(const char *name)
{
    for (int i = 0; words[i]; i++)
        if (!strcmp(words[i], name)) return 1;
    return 0;
}

/* A name as it could have been meant: lower case, '_' for what may not be there. */
static const char *repaired(mls_arena *a, const char *name)
{
    char *s = mls_arena_printf(a, "%s%.*s", isalpha((unsigned char)*name) ? "" : "my_",
                               LONGEST - 3, name);
    for (char *p = s; p && *p; p++)
        *p = isalnum((unsigned char)*p) ? (char)tolower((unsigned char)*p) : '_';
    return s ? s : "";
}

static int name_is_good(project *p, const mls_registry *r, mls_error *e)
{
    static const char letters[] = "abcdefghijklmnopqrstuvwxyz";
    static const char allowed[] = "abcdefghijklmnopqrstuvwxyz0123456789_";
    const char *s = p->name;
    if (!*s || !strchr(letters, *s) || s[strspn(s, allowed)] || strlen(s) > LONGEST) {
        mls_error_set(e, "\"%.60s\" cannot be the name of a component: expected a lower-case "
                      "letter and then lower-case letters, digits and _, at most %d in all; "
                      "\"%s\" could", s, LONGEST, repaired(p->a, s));
        return 0;
    }
    if (spoken_for(s)) {
        mls_error_set(e, "\"%s\" cannot be the name of a component: it is a word of C or Lua; "
                      "\"my_%s\" could", s, s);
        return 0;
    }
    for (int i = 0; i < r->n_components; i++) {
        const mls_component *c = r->component[i];
        if (strcmp(c->kind, p->k->name) || strcmp(c->name, s)) continue;
        const mls_plugin_file *f = mls_registry_file(r, c);
        mls_error_set(e, "there is a %s.%s already, in %s; two components cannot share a name",
                      c->kind, c->name, f ? f->path : "this program");
        return 0;
    }
    return 1;
}

static const kind *find_kind(const char *name, mls_error *e)
{
    const char *names[KINDS];
    for (int i = 0; i < KINDS; i++) {
        names[i] = kinds[i].name;
        if (!strcmp(name, names[i])) return &kinds[i];
    }
    const char *near = mls_error_nearest(name, names, KINDS);
    mls_error_set(e, "there is no kind \"%.60s\"%s%s%s (kinds: encoder, adapter, liquid, mixer, "
                  "fusion, head, task)", name, near ? "; did you mean \"" : "",
                  near ? near : "", near ? "\"?" : "");
    return NULL;
}

/* ---- Where this program came from ---------------------------------------------------- */

static int cut(char *path)
{
    char *slash = strrchr(path, '/');
    if (!slash || slash == path) return 0;
    *slash = '\0';
    return 1;
}

/* A build tree names itself in the Makefile; an installed program its mls.pc, so that a
 * prefix which pkg-config does not know works too.                                      */
static void find_myself(project *p)
{
    static const char prefix[] = MLS_PREFIX "/", plugins[] = MLS_PLUGINDIR;
    static const char tail[] = "/mls/plugins";
    char exe[PATHS];
    const ssize_t n = readlink("/proc/self/exe", exe, sizeof exe - 1);
    p->tree = p->pc = "";
    if (n <= 0) return;
    exe[n] = '\0';
    if (!cut(exe)) return;
    if (!access(mls_arena_printf(p->a, "%s/libmls.a", exe), F_OK)) {
        p->tree = mls_arena_strdup(p->a, exe);
        return;
    }
    const size_t skip = sizeof prefix - 1, all = sizeof plugins - 1, last = sizeof tail - 1;
    if (strncmp(plugins, prefix, skip) || all < skip + last || !cut(exe)) return;
    char *pc = mls_arena_printf(p->a, "%s/%.*s/pkgconfig", exe, (int)(all - skip - last),
                                plugins + skip);
    if (!access(mls_arena_printf(p->a, "%s/mls.pc", pc), F_OK)) p->pc = pc;
}

/* What a Makefile or a shell would read as something else. */
static const char *unless_odd(const char *path)
{
    return strpbrk(path, " \t\n#$%'\"\\:;=") ? "" : path;
}

/* ---- Writing --------------------------------------------------------------------------- */

static const char *value_of(const project *p, const char *mark, size_t n)
{
    const struct { const char *mark, *value; } known[] = {
        { "@NAME@", p->name }, { "@KIND@", p->k->name }, { "@PEER@", p->k->peer },
        { "@WHAT@", p->k->what }, { "@BREAK@", p->k->stop },
        { "@START@", p->start }, { "@MLS@", unless_odd(p->tree) }, { "@PC@", unless_odd(p->pc) }
    };
    for (size_t i = 0; i < sizeof known / sizeof *known; i++)
        if (strlen(known[i].mark) == n && !strncmp(mark, known[i].mark, n))
            return known[i].value;
    return NULL;
}

static int put(const project *p, const char *text, FILE *f)
{
    while (*text) {
        const size_t plain = strcspn(text, "@");
        if (fwrite(text, 1, plain, f) != plain) return 0;
        text += plain;
        if (!*text) break;
        const size_t n = 1 + strcspn(text + 1, "@\n") + 1;
        const char *value = text[n - 1] == '@' ? value_of(p, text, n) : NULL;
        if (fputs(value ? value : "@", f) == EOF) return 0;
        text += value ? n : 1;
    }
    return 1;
}

/* "x" and exclusive creation: nothing that is there is ever written over. */
static void write_file(project *p, const char *template, const char *name, mls_error *e)
{
    if (e->set) return;
    const mls_template *t = mls_templates;
    while (t->name && strcmp(t->name, template)) t++;
    const char *path = mls_arena_printf(p->a, "%s/%s", p->folder, name);
    FILE *f = t->name && path ? fopen(path, "wx") : NULL;
    if (!f) {
        mls_error_set(e, "%s: cannot be created: %s", path ? path : name,
                      t->name ? strerror(errno) : "its template is missing");
        return;
    }
    p->written[p->n++] = path;
    const int whole = put(p, t->text, f);
    const int closed = fclose(f);
    if (!whole || closed) mls_error_set(e, "%s: cannot be written: %s", path, strerror(errno));
}

static void take_back(project *p)
{
    while (p->n > 0) unlink(p->written[--p->n]);
    if (p->made) rmdir(p->folder);
}

static int is_empty(const char *folder, char first[256])
{
    DIR *d = opendir(folder);
    if (!d) return 0;
    struct dirent *f;
    *first = '\0';
    while ((f = readdir(d)))
        if (strcmp(f->d_name, ".") && strcmp(f->d_name, "..")) {
            snprintf(first, 256, "%s", f->d_name);
            break;
        }
    closedir(d);
    return !*first;
}

static void open_folder(project *p, mls_error *e)
{
    char first[256] = "";
    if (!mkdir(p->folder, 0777)) {
        p->made = 1;
    } else if (errno != EEXIST) {
        mls_error_set(e, "%s: cannot make the folder: %s", p->folder, strerror(errno));
    } else if (!is_empty(p->folder, first)) {
        if (*first)
            mls_error_set(e, "%s: the folder is not empty, it holds \"%s\"; expected a new or an "
                          "empty one (mls new KIND NAME DIR names another)", p->folder, first);
        else mls_error_set(e, "%s: is no folder that can be read", p->folder);
    }
}

static void write_project(project *p, mls_error *e)
{
    open_folder(p, e);
    if (e->set) return;
    mls_arena *a = p->a;
    const char *language = p->lua ? "lua" : "c";
    write_file(p, mls_arena_printf(a, "%s%s.%s", p->lua ? "lua-" : "", p->k->name, language),
               mls_arena_printf(a, "%s.%s", p->name, language), e);
    if (!p->lua) write_file(p, "project.mk", "Makefile", e);
    p->start = p->lua
        ? mls_arena_printf(a, "--   mls run study.lua -j2\nlocal mls = require \"mls\"\n"
                           "require \"%s\"", p->name)
        : "--   make try                      the plugin beside this file, then this study\n"
          "--   mls run study.lua -j2         once it is installed\nlocal mls = require \"mls\"";
    write_file(p, mls_arena_printf(a, "%s.lua", p->k->name), "study.lua", e);
    if (!p->lua) write_file(p, "readme.md", "README.md", e);
    if (!p->lua) write_file(p, "ignore", ".gitignore", e);
    if (e->set) take_back(p);
}

static void report(const project *p)
{
    for (int i = 0; i < p->n; i++) fprintf(stdout, "%s\n", p->written[i]);
    if (p->lua) {
        fprintf(stdout, "\n%s.%s is written.  Next:\n"
                "  mls validate %s     asks whether it is right\n"
                "  mls run %s/study.lua%*s tries it in a study\n",
                p->k->name, p->name, p->written[0], p->folder, (int)strlen(p->name) + 4, "");
        return;
    }
    fprintf(stdout, "\n%s.%s is written.  Next:\n"
            "  cd %s && make check     builds it and asks whether it is right\n"
            "  make try%*s tries it in a study\n"
            "  make install%*s puts it where mls finds it\n",
            p->k->name, p->name, p->folder, (int)strlen(p->folder) + 11, "",
            (int)strlen(p->folder) + 7, "");
}

const mls_flag mls_cli_new_flags[] = {
    { "--lua", MLS_FLAG_NONE, NULL, "the component as one file of Lua, and a study beside it" },
    { NULL, MLS_FLAG_NONE, NULL, NULL }
};

int mls_verb_new(int argc, char **argv, mls_registry *r, mls_error *e)
{
    mls_arena a = { 0 };
    mls_args args;
    project p = { .a = &a };
    int status = MLS_EXIT_USAGE;
    if (!mls_args_parse(&args, &a, argc, argv, mls_cli_new_flags, e)) {
        /* said in e */
    } else if (args.n_words < 2 || args.n_words > 3) {
        mls_error_set(e, "expected mls new KIND NAME [DIR], as in: mls new liquid leaky%s",
                      args.n_words ? "" : " (mls new --help names the kinds)");
    } else {
        p.lua = mls_args_has(&args, "--lua");
        p.name = args.word[1];
        p.folder = args.n_words > 2 ? args.word[2] : p.name;
        p.k = find_kind(args.word[0], e);
        if (p.k && name_is_good(&p, r, e)) {
            find_myself(&p);
            write_project(&p, e);
            status = e->set ? MLS_EXIT_FAILED : MLS_EXIT_DONE;
            if (!e->set) report(&p);
        }
    }
    mls_arena_free(&a);
    return status;
}
