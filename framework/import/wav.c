/* wav.c - sounds, one sample each, as waves or as log-mel frames; libsndfile reads them. */
#include "import/import.h"
#include "import/mel.h"
#include "import/names.h"

#include <sndfile.h>

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

enum { MEL, WAVE, LONGEST = 1 << 26 };

typedef struct sounds {
    mls_import  *m;
    int          as, rate, n_inputs;
    mls_mel     *mel;
    mls_names    names;
    mls_samples *part[MLS_PARTS];
    const char **file;
    int         *of, files;          /* which part each file is for                     */
} sounds;

/* libsndfile takes a file that is cut off as a shorter one; RIFF says how long it was. */
static int is_whole(mls_import *m, const char *path)
{
    uint8_t b[12];
    struct stat st;
    FILE *f = fopen(path, "rbe");
    if (!f || fstat(fileno(f), &st) != 0) {
        mls_error_set(m->e, "%s: %s", path, strerror(errno));
        if (f) fclose(f);
        return 0;
    }
    const size_t n = fread(b, 1, sizeof b, f);
    fclose(f);
    const int riff = n == sizeof b && !memcmp(b, "RIFF", 4) && !memcmp(b + 8, "WAVE", 4);
    const int64_t size = 8 + (int64_t)((uint32_t)b[4] | (uint32_t)b[5] << 8 |
                                       (uint32_t)b[6] << 16 | (uint32_t)b[7] << 24);
    if (!n || (riff && size > st.st_size))
        mls_error_set(m->e, "%s: byte %lld: the file ends, where %lld bytes are expected",
                      path, (long long)st.st_size, (long long)(n ? size : 44));
    return !m->e->set;
}

/* The only channel of a file, in m->a. */
static float *read_wave(sounds *s, const char *path, int64_t *n)
{
    mls_import *m = s->m;
    SF_INFO info = { 0 };
    if (!is_whole(m, path)) return NULL;
    SNDFILE *f = sf_open(path, SFM_READ, &info);
    float *wave = NULL;
    if (!f) {
        mls_error_set(m->e, "%s: is no sound that can be read: %s", path, sf_strerror(NULL));
    } else if (info.channels != 1) {
        mls_error_set(m->e, "%s: has %d channels; expected 1", path, info.channels);
    } else if (info.frames < 1 || info.frames > LONGEST) {
        mls_error_set(m->e, "%s: has %lld samples; expected 1 to %d", path,
                      (long long)info.frames, LONGEST);
    } else if (s->rate && info.samplerate != s->rate) {
        mls_error_set(m->e, "%s: %d samples a second, where the files before have %d", path,
                      info.samplerate, s->rate);
    } else if (!(wave = mls_arena_alloc(m->a, (size_t)info.frames * sizeof *wave))) {
        mls_error_set(m->e, "%s: no memory for %lld samples", path, (long long)info.frames);
    } else {
        const int64_t got = sf_readf_float(f, wave, info.frames);
        if (got != info.frames)
            mls_error_set(m->e, "%s: sample %lld: the file ends, where %lld samples are "
                          "expected", path, (long long)got, (long long)info.frames);
        for (int64_t i = 0; i < got && !m->e->set; i++)
            if (!isfinite(wave[i]))
                mls_error_set(m->e, "%s: sample %lld is %g, where a finite number is expected",
                              path, (long long)i, (double)wave[i]);
    }
    if (f) sf_close(f);
    s->rate = info.samplerate;
    *n = info.frames;
    return m->e->set ? NULL : wave;
}

/* Folders become their .wav files. */
static int list_files(sounds *s)
{
    mls_import *m = s->m;
    int room = 0, n;
    for (int pass = 0; pass < 2; pass++) {
        for (int i = 0; i < m->n_inputs && !m->e->set; i++) {
            const mls_import_input *in = &m->input[i];
            struct stat st;
            const char *const *list = &in->path;
            n = 1;
            if (stat(in->path, &st) == 0 && S_ISDIR(st.st_mode))
                list = mls_import_folder(m, in->path, ".wav", &n);
            for (int k = 0; k < n && list; k++) {
                if (pass) {
                    s->file[s->files] = list[k];
                    s->of[s->files++] = in->part;
                } else room++;
            }
        }
        if (m->e->set) return 0;
        if (pass) break;
        s->file = mls_arena_alloc(m->a, (size_t)room * sizeof *s->file);
        s->of = mls_arena_alloc(m->a, (size_t)room * sizeof *s->of);
        if (!s->file || !s->of) mls_error_set(m->e, "no memory for %d files", room);
    }
    return !m->e->set;
}

static int open_mel(sounds *s, int64_t *bands)
{
    mls_import *m = s->m;
    const double window = mls_import_real(m, "window", 25.0, 0.1, 60000.0),
                 hop = mls_import_real(m, "hop", 10.0, 0.1, 60000.0);
    *bands = mls_import_int(m, "bands", 40, 1, 4096);
    if (m->e->set) return 0;
    s->mel = mls_mel_open(m->a, s->rate, (int64_t)(window * s->rate / 1000.0 + 0.5),
                          (int64_t)(hop * s->rate / 1000.0 + 0.5), *bands, m->e);
    return s->mel != NULL;
}

static mls_samples *open_part(sounds *s, int part, int64_t bands)
{
    const mls_samples_shape shape = {
        .features = s->as == MEL ? bands : 1, .has = MLS_HAS_LABEL, .cell = MLS_CELL_F32,
        .field = s->names.field, .n_fields = s->names.n_fields
    };
    mls_samples *out = mls_samples_open(s->m, part, &shape);
    if (out && s->names.classes) mls_samples_classes(out, s->names.classes);
    for (int i = 0; out && i < s->names.n_fields; i++)
        if (s->names.names[i]) mls_samples_names(out, i, s->names.names[i]);
    return out;
}

static void add(sounds *s, int f)
{
    mls_import *m = s->m;
    int64_t n, bands = 1;
    float *wave = read_wave(s, s->file[f], &n);
    if (!wave || (s->as == MEL && !s->mel && !open_mel(s, &bands))) return;
    if (s->mel) bands = mls_mel_bands(s->mel);
    mls_samples **part = &s->part[s->of[f]];
    if (!*part && !(*part = open_part(s, s->of[f], bands))) return;
    const float *x = wave;
    if (s->as == MEL) {
        const int64_t frames = mls_mel_frames(s->mel, n);
        float *out = mls_arena_alloc(m->a, (size_t)(frames * bands) * sizeof *out);
        if (!out) {
            mls_error_set(m->e, "%s: no memory for %lld frames", s->file[f], (long long)frames);
            return;
        }
        mls_mel_run(s->mel, wave, n, out);
        x = out;
        n = frames;
    }
    const mls_samples_row row = { .steps = n, .x = x, .label = &s->names.label[f],
                                  .field = &s->names.value[f * s->names.n_fields] };
    mls_samples_add(*part, &row);
}

static void run(mls_import *m)
{
    sounds s = { .m = m, .as = mls_import_choice(m, "as", "mel|wave") };
    if (!list_files(&s) ||
        !mls_names_read(m, &s.names, mls_import_get(m, "name", "{label}_{speaker}_{take}"),
                        s.file, s.files))
        return;
    for (int f = 0; f < s.files && mls_import_step(m, s.file[f], f, s.files); f++) {
        /* the first one makes what stays */
        const mls_mark mark = mls_arena_mark(m->a);
        const int keep = !f || !s.part[s.of[f]];
        add(&s, f);
        if (!keep) mls_arena_release(m->a, mark);
    }
    for (int k = 0; k < MLS_PARTS; k++)
        if (s.part[k]) mls_samples_close(s.part[k]);
}

static const mls_import_option options[] = {
    { "as", "mel|wave", "steps are frames of log-mel energies, or the samples of the wave" },
    { "name", "PATTERN", "how labels and other numbers stand in the names of the files "
                         "({label}_{speaker}_{take})" },
    { "window", "MS", "mel: length of a frame (25)" },
    { "hop", "MS", "mel: from frame to frame (10)" },
    { "bands", "N", "mel: how many (40)" },
    { NULL, NULL, NULL }
};

const mls_importer mls_import_wav = {
    "wav", "sounds with one channel: FOLDER or FILE.wav ...",
    "Labels are taken from the names of the files; --name says where they stand.", options, run
};
