/* physionet.c - the records of the PhysioNet/Computing in Cardiology Challenge 2012: a text
 * file for each stay with lines Time,Parameter,Value, and one file of outcomes.
 *
 * A step is a time at which something was measured; x are the 41 parameters, observed says
 * which were measured then, and the rest is 0.  dt is hours since the step before, and
 * since 00:00 for the first.  Of a parameter that is told twice at one time the last counts;
 * -1 of the descriptors Gender, Height and Weight means unknown (the challenge's own text). */
#include "import/import.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

static const char *const PARAMETER[] = {
    "Age", "Gender", "Height", "ICUType", "Weight", "ALP", "ALT", "AST", "Albumin", "BUN",
    "Bilirubin", "Cholesterol", "Creatinine", "DiasABP", "FiO2", "GCS", "Glucose", "HCO3",
    "HCT", "HR", "K", "Lactate", "MAP", "MechVent", "Mg", "NIDiasABP", "NIMAP", "NISysABP",
    "Na", "PaCO2", "PaO2", "Platelets", "RespRate", "SaO2", "SysABP", "Temp", "TroponinI",
    "TroponinT", "Urine", "WBC", "pH"
};
enum { F = sizeof PARAMETER / sizeof *PARAMETER, DESCRIPTORS = 5, LONGEST = 48 * 60 + 1 };

typedef struct outcome { int32_t id, death; } outcome;

typedef struct stays {
    mls_import *m;
    const char *path;                /* of the record being read                        */
    int         line;
    outcome    *outcome;
    int         outcomes;
    float      *x, *dt;              /* [LONGEST][F], [LONGEST]                         */
    uint8_t    *seen;
    int64_t     steps;
    int         minute;              /* of the last step; -1 before the first           */
} stays;

/* The line at *at without its end, in place; NULL at the end of the text. */
static char *next_line(char **at)
{
    char *line = *at;
    if (!*line) return NULL;
    char *end = line + strcspn(line, "\n");
    *at = *end ? end + 1 : end;
    *end = '\0';
    if (end > line && end[-1] == '\r') end[-1] = '\0';
    return line;
}

static void bad(const stays *s, const char *found, const char *expected)
{
    mls_error_set(s->m->e, "%s:%d: \"%.60s\"; expected %s", s->path, s->line, found, expected);
}

/* RecordID,SAPS-I,SOFA,Length_of_stay,Survival,In-hospital_death */
static void read_outcomes(stays *s, const char *path)
{
    static const char head[] = "RecordID,SAPS-I,SOFA,Length_of_stay,Survival,"
                               "In-hospital_death";
    char *text = mls_import_text(s->m, path, 1 << 26, NULL), *at = text, *line;
    if (!text) return;
    size_t lines = 1;
    for (const char *p = text; *p; p++) lines += *p == '\n';
    s->path = path;
    s->line = 1;
    s->outcomes = 0;
    s->outcome = mls_arena_alloc(s->m->a, lines * sizeof *s->outcome);
    line = next_line(&at);
    if (!line || strcmp(line, head)) {
        bad(s, line ? line : "", head);
        return;
    }
    while ((line = next_line(&at)) && s->outcome) {
        const char *p = line;
        double v[6];
        int n = 0;
        s->line++;
        while (n < 6 && mls_import_number(&p, ",", &v[n]) && ++n < 6 && *p == ',') p++;
        if (n != 6 || *p || v[0] < 1 || v[0] > 1e9 || (v[5] != 0 && v[5] != 1)) {
            bad(s, line, "six numbers, the first a record's, the last 0 or 1");
            return;
        }
        s->outcome[s->outcomes++] = (outcome){ (int32_t)v[0], (int32_t)v[5] };
    }
}

/* -1 and an error when there is none. */
static int32_t outcome_of(const stays *s, const char *path, int32_t id)
{
    for (int i = 0; i < s->outcomes; i++)
        if (s->outcome[i].id == id) return s->outcome[i].death;
    mls_error_set(s->m->e, "%s: there is no outcome of record %d", path, id);
    return -1;
}

/* "07:05" of the 48 hours, or -1. */
static int minutes(const char *t)
{
    for (int i = 0; i < 5; i++)
        if (i == 2 ? t[i] != ':' : t[i] < '0' || t[i] > '9') return -1;
    const int h = (t[0] - '0') * 10 + t[1] - '0', min = (t[3] - '0') * 10 + t[4] - '0';
    return min < 60 && h * 60 + min < LONGEST ? h * 60 + min : -1;
}

static void measured(stays *s, int minute, int which, double value)
{
    if (minute != s->minute) {
        const int64_t t = s->steps++;
        s->dt[t] = (float)(minute - (s->minute < 0 ? 0 : s->minute)) / 60.0f;
        memset(s->x + t * F, 0, F * sizeof *s->x);
        memset(s->seen + t * F, 0, F);
        s->minute = minute;
    }
    if (which < DESCRIPTORS && value == -1.0) return;
    s->x[(s->steps - 1) * F + which] = (float)value;
    s->seen[(s->steps - 1) * F + which] = 1;
}

static void read_row(stays *s, char *line, int32_t *id)
{
    const int minute = minutes(line);
    char *name = line + 6, *comma = minute >= 0 && line[5] == ',' ? strchr(name, ',') : NULL;
    const char *p = comma ? comma + 1 : NULL;
    double value;
    if (!comma) {
        bad(s, line, "Time,Parameter,Value with a time from 00:00 to 48:00");
        return;
    }
    if (!mls_import_number(&p, "", &value)) {
        bad(s, comma + 1, "a number as the value");
        return;
    }
    *comma = '\0';
    if (minute < s->minute) {
        bad(s, line, "a time not before that of the line above");
    } else if (!*name) {
        bad(s, line, "a parameter's name between the commas");
    } else if (!strcmp(name, "RecordID")) {
        *id = value > 0 && value < 1e9 ? (int32_t)value : 0;
    } else {
        int i = 0;
        while (i < F && strcmp(PARAMETER[i], name)) i++;
        const char *near = i < F ? NULL : mls_error_nearest(name, PARAMETER, F);
        if (i < F) measured(s, minute, i, value);
        else if (near)
            mls_error_set(s->m->e, "%s:%d: no parameter is called \"%.60s\"; did you mean %s?",
                          s->path, s->line, name, near);
        else bad(s, name, "one of the 41 parameters of the challenge");
    }
}

static void read_record(stays *s, const char *path, mls_samples *out)
{
    char *text = mls_import_text(s->m, path, 1 << 24, NULL), *at = text, *line;
    int32_t id = 0;
    if (!text) return;
    s->path = path;
    s->line = 1;
    s->steps = 0;
    s->minute = -1;
    line = next_line(&at);
    if (!line || strcmp(line, "Time,Parameter,Value")) {
        bad(s, line ? line : "", "Time,Parameter,Value in the first line");
        return;
    }
    while (!s->m->e->set && (line = next_line(&at))) {
        s->line++;
        read_row(s, line, &id);
    }
    if (!s->m->e->set && !id)
        mls_error_set(s->m->e, "%s: has no line with its RecordID", path);
    if (!s->m->e->set && !s->steps)
        mls_error_set(s->m->e, "%s: has no measurement", path);
    const int32_t death = s->m->e->set ? 0 : outcome_of(s, path, id);
    const mls_samples_row row = { .steps = s->steps, .x = s->x, .dt = s->dt,
                                  .observed = s->seen, .label = &death, .field = &id };
    mls_samples_add(out, &row);
}

static mls_samples *open_part(mls_import *m, int part)
{
    static const char *const field[] = { "record" };
    const mls_samples_shape shape = {
        .features = F, .cell = MLS_CELL_F32, .time_unit = "h", .field = field, .n_fields = 1,
        .has = MLS_HAS_DT | MLS_HAS_OBSERVED | MLS_HAS_LABEL
    };
    mls_samples *out = mls_samples_open(m, part, &shape);
    char names[600] = "";
    for (int i = 0; i < F; i++) {
        if (i) strcat(names, "\n");
        strcat(names, PARAMETER[i]);
    }
    mls_samples_features(out, names);
    mls_samples_classes(out, "survived\ndied in hospital");
    return out;
}

static void run(mls_import *m)
{
    stays s = { .m = m };
    mls_samples *part[MLS_PARTS] = { NULL };
    s.x = mls_arena_alloc(m->a, LONGEST * F * sizeof *s.x);
    s.dt = mls_arena_alloc(m->a, LONGEST * sizeof *s.dt);
    s.seen = mls_arena_alloc(m->a, LONGEST * F);
    if (!s.x || !s.dt || !s.seen) mls_error_set(m->e, "no memory");
    for (int i = 0; i < m->n_inputs && !m->e->set; i += 2) {
        const mls_import_input *in = &m->input[i];
        int n;
        if (i + 1 == m->n_inputs || in[1].part != in->part) {
            mls_error_set(m->e, "%s: its outcomes are missing; each folder of records is "
                          "followed by its file of outcomes", in->path);
            return;
        }
        const char **file = mls_import_folder(m, in->path, ".txt", &n);
        if (file) read_outcomes(&s, in[1].path);
        if (!m->e->set && !part[in->part]) part[in->part] = open_part(m, in->part);
        for (int k = 0; k < n && mls_import_step(m, file[k], k, n); k++) {
            const mls_mark mark = mls_arena_mark(m->a);
            read_record(&s, file[k], part[in->part]);
            mls_arena_release(m->a, mark);
        }
    }
    for (int k = 0; k < MLS_PARTS; k++)
        if (part[k]) mls_samples_close(part[k]);
}

const mls_importer mls_import_physionet = {
    "physionet", "records of the PhysioNet challenge 2012: FOLDER OUTCOMES.txt ...",
    "Each folder of records is followed by its file of outcomes.", NULL, run
};
