/* pianoroll.c - polyphonic music as JSON: { "train": [ piece, ... ], "valid": [ ... ], "test":
 * [ ... ] }, or a list of pieces; a piece is a list of frames, a frame the list of the notes
 * that sound, as MIDI numbers (-1: a silent voice).  Each note becomes a binary channel; with
 * `predict` and `loss = binary` task.hdf5 asks for the next frame.  Such files are those of
 * the JSB Chorales of N. Boulanger-Lewandowski et al., 2012, whose notes are 21 to 108.   */
#include "import/import.h"

#include <stdlib.h>
#include <string.h>

enum { NOTES = 128 };

typedef struct roll {
    mls_import  *m;
    const char  *path, *text, *at;
    int64_t      low, channels;
    mls_samples *part[MLS_PARTS];
    uint8_t     *x;                  /* frames of the piece being read                     */
    int64_t      frames, room, size;
} roll;

/* What stands at `at` is not what is expected. */
static void wrong(roll *r, const char *expected)
{
    const int n = (int)strcspn(r->at, "\n");
    if (r->at - r->text == r->size)
        mls_error_set(r->m->e, "%s: byte %lld: the file ends, where %s is expected", r->path,
                      (long long)r->size, expected);
    else
        mls_error_set(r->m->e, "%s: byte %lld: \"%.*s\"; expected %s", r->path,
                      (long long)(r->at - r->text), n < 20 ? n : 20, r->at, expected);
}

static void blanks(roll *r) { r->at += strspn(r->at, " \t\r\n"); }

/* 1 and past it when the next character is c. */
static int take(roll *r, char c)
{
    blanks(r);
    if (*r->at != c) return 0;
    r->at++;
    return 1;
}

/* After a member of a list: 1 when another one follows, 0 at its end or an error. */
static int goes_on(roll *r, char end)
{
    if (r->m->e->set || take(r, end)) return 0;
    if (take(r, ',')) return 1;
    wrong(r, end == ']' ? "a comma or ]" : "a comma or }");
    return 0;
}

/* A list: 1 when it has a first member. */
static int opens(roll *r, const char *what)
{
    if (!take(r, '[')) {
        wrong(r, what);
        return 0;
    }
    return !take(r, ']');
}

static void note(roll *r, uint8_t *frame)
{
    char *end;
    blanks(r);
    const long n = strtol(r->at, &end, 10);
    const int64_t k = n - r->low;
    if (end == r->at || (*end && !strchr(",] \t\r\n", *end)) ||
        (n != -1 && (k < 0 || k >= r->channels))) {
        wrong(r, mls_arena_printf(r->m->a, "a note from %lld to %lld, or -1 for none",
                                  (long long)r->low, (long long)(r->low + r->channels - 1)));
        return;
    }
    if (n != -1) frame[k] = 1;
    r->at = end;
}

/* Room for one frame more, all silent. */
static uint8_t *new_frame(roll *r)
{
    if (r->frames == r->room) {
        const int64_t room = 2 * r->room + 256;
        uint8_t *more = realloc(r->x, (size_t)(room * r->channels));
        if (!more) {
            mls_error_set(r->m->e, "%s: no memory for %lld frames", r->path, (long long)room);
            return NULL;
        }
        r->x = more;
        r->room = room;
    }
    return memset(r->x + r->frames++ * r->channels, 0, (size_t)r->channels);
}

static void piece(roll *r, int part)
{
    const char *begin = r->at;
    r->frames = 0;
    if (opens(r, "[, a list of frames")) do {
            uint8_t *frame = new_frame(r);
            if (frame && opens(r, "[, a list of notes")) do note(r, frame);
                while (goes_on(r, ']'));
        } while (goes_on(r, ']'));
    if (r->m->e->set) return;
    if (!r->frames) {
        r->at = begin + strspn(begin, " \t\r\n");
        wrong(r, "a piece of at least one frame");
        return;
    }
    const mls_samples_shape shape = { .features = r->channels, .cell = MLS_CELL_U8 };
    if (!r->part[part]) r->part[part] = mls_samples_open(r->m, part, &shape);
    const mls_samples_row row = { .steps = r->frames, .x = r->x };
    if (r->part[part]) mls_samples_add(r->part[part], &row);
}

static void pieces(roll *r, int part)
{
    if (opens(r, "[, a list of pieces")) do {
            if (!mls_import_step(r->m, r->path, r->at - r->text, r->size)) return;
            piece(r, part);
        } while (goes_on(r, ']'));
}

/* The part that a key names, and past the colon. */
static int part_of(roll *r)
{
    static const struct { const char *key; int part; } names[] = {
        { "\"train\"", 1 }, { "\"valid\"", 2 }, { "\"validation\"", 2 }, { "\"test\"", 3 },
    };
    blanks(r);
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (!strncmp(r->at, names[i].key, strlen(names[i].key))) {
            r->at += strlen(names[i].key);
            if (!take(r, ':')) wrong(r, "a colon");
            return names[i].part;
        }
    wrong(r, "\"train\", \"valid\" or \"test\"");
    return 0;
}

static void read_file(roll *r, const mls_import_input *in)
{
    size_t size;
    r->path = in->path;
    r->text = r->at = mls_import_text(r->m, in->path, (size_t)1 << 30, &size);
    r->size = (int64_t)size;
    if (!r->text) return;
    if (take(r, '{')) {
        if (in->part)
            mls_error_set(r->m->e, "%s: names its parts itself; leave out train: and its like",
                          in->path);
        if (!r->m->e->set && !take(r, '}')) do {
                const int part = part_of(r);
                if (!r->m->e->set) pieces(r, part);
            } while (!r->m->stopped && goes_on(r, '}'));
    } else {
        pieces(r, in->part);
    }
    blanks(r);
    if (r->at - r->text != r->size && !r->m->stopped && !r->m->e->set)
        wrong(r, "the end of the file");
}

static void run(mls_import *m)
{
    roll r = { .m = m, .low = mls_import_int(m, "low", 21, 0, NOTES - 1) };
    r.channels = mls_import_int(m, "high", 108, r.low, NOTES - 1) - r.low + 1;
    for (int i = 0; i < m->n_inputs && !m->e->set && !m->stopped; i++)
        read_file(&r, &m->input[i]);
    int some = 0;
    for (int k = 0; k < MLS_PARTS; k++)
        if (r.part[k]) {
            mls_samples_close(r.part[k]);
            some = 1;
        }
    if (!some && !m->stopped) mls_error_set(m->e, "%s: has no piece", r.path);
    free(r.x);
}

static const mls_import_option options[] = {
    { "low", "N", "the lowest note (21)" },
    { "high", "N", "the highest note (108)" },
    { NULL, NULL, NULL }
};

const mls_importer mls_import_pianoroll = {
    "pianoroll", "polyphonic music, lists of notes in JSON: FILE.json ...",
    "A channel for each note; task.hdf5 with predict and loss = binary asks for the next frame.",
    options, run
};
