#include "scene.h"

#include <dirent.h>
#include <hdf5.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

char *scene_path(const char *dir, const char *file)
{
    static char buffer[8][512];
    static int next;
    char *out = buffer[next++ % 8];
    snprintf(out, 512, "%s/%s", dir, file);
    return out;
}

char *scene_dir(void)
{
    const char *tmp = getenv("TMPDIR");
    char *dir = malloc(512);
    if (!dir) return NULL;
    snprintf(dir, 512, "%s/mls-rec-XXXXXX", tmp ? tmp : "/tmp");
    return mkdtemp(dir);
}

void scene_remove(const char *dir)
{
    DIR *d = opendir(dir);
    if (!d) return;
    for (struct dirent *x; (x = readdir(d));)
        if (x->d_name[0] != '.') unlink(scene_path(dir, x->d_name));
    closedir(d);
    rmdir(dir);
    free((char *)dir);
}

static const mls_channel CHANNEL[] = {
    { "layer0.enc", "spikes", NULL, "spikes of the encoder", MLS_SPIKES, SCENE_U },
    { "layer0.enc", "membrane", "mV", "membrane before the reset", 0, SCENE_U },
    { "layer1.liq", "state", NULL, NULL, 0, SCENE_U },
    { "layer1.liq", "unwanted", NULL, NULL, 0, SCENE_U },
    { "layer1.liq", "tau", "ms", "time constant", 0, SCENE_U },
};

static const mls_request REQUEST[] = {
    { .selector = "enc.spikes", .every = 1 },
    { .selector = "layer0.enc.membrane",
      .every = 5,
      .samples = 2,
      .units = 4,
      .round_bits = 10 },
    { .selector = "liq.state", .every = 0, .steps = 7 },
    { .selector = "liq.tau", .every = 4, .samples = 1, .report = 1 },
};

static const char *const METRIC[] = { "training.loss", "validation.loss" };
static const char *const PROVENANCE[][2] = { { "command", "mls train x.yaml" },
                                             { "diff", "--- a\n+++ b \xc3\xa9\n" } };

void scene_config(mls_recorder_config *c, const char *dir, int64_t resume_step)
{
    *c = (mls_recorder_config){ .dir = dir,
                                .request = REQUEST,
                                .n_requests = 4,
                                .channel = CHANNEL,
                                .n_channels = 5,
                                .T = SCENE_T,
                                .B = SCENE_B,
                                .step_ms = 0.5,
                                .config_yaml = "seed: 1\n",
                                .provenance = PROVENANCE,
                                .n_provenance = 2,
                                .resume_step = resume_step,
                                .metric = METRIC,
                                .n_metrics = 2 };
}

static uint32_t scramble(int64_t step, int64_t t, int64_t b, int64_t u)
{
    uint64_t x = (uint64_t)(((step * 64 + t) * 16 + b) * 16 + u) * 0x9E3779B97F4A7C15u;
    x ^= x >> 29;
    return (uint32_t)((x * 0xBF58476D1CE4E5B9u) >> 32);
}

int scene_spikes(int64_t step, int64_t t, int64_t b, int64_t u)
{
    if (step % 7 == 0) return 0;                  /* a record without any spike */
    return scramble(step, t, b, u) < 0x60000000u;
}

float scene_state(int64_t step, int64_t t, int64_t b, int64_t u)
{
    return (float)scramble(step, t, b, u + 100) * 0x1p-31f - 1.0f;
}

/* A forward in two pieces, as a network that runs in chunks tells it. */
static void forward(mls_observer o, int64_t step)
{
    static const int64_t cut[3] = { 0, 5, SCENE_T };
    float x[SCENE_T * SCENE_B * SCENE_U];
    for (int part = 0; part < 2; part++)
        for (int k = 0; k < 5; k++) {
            const int64_t t0 = cut[part], n = cut[part + 1] - t0;
            if (!o.wanted(o.arg, CHANNEL[k].node, CHANNEL[k].name)) continue;
            for (int64_t i = 0; i < n * SCENE_B * SCENE_U; i++) {
                const int64_t t = t0 + i / (SCENE_B * SCENE_U);
                const int64_t b = i / SCENE_U % SCENE_B, u = i % SCENE_U;
                x[i] = k == 0 ? (float)scene_spikes(step, t, b, u)
                              : scene_state(step, t, b, u);
            }
            mls_tensor v = {
                x, NULL, { n, SCENE_B, SCENE_U, 1 }, n * SCENE_B * SCENE_U
            };
            o.value(o.arg, &CHANNEL[k], &v, t0);
        }
}

int scene_go(mls_recorder *r, int64_t from, int64_t to,
             void (*ack)(void *arg, int64_t step), void *arg)
{
    const mls_observer o = mls_recorder_observer(r);
    for (int64_t step = from + 1; step <= to; step++) {
        mls_recorder_at(r, step, 0);
        forward(o, step);
        mls_recorder_metric(r, "training.loss", step, 1.0 / (double)step);
        mls_recorder_metric(r, "nobody.announced.this", step, 1);
        if (step % 20 == 0) {
            mls_recorder_at(r, step, 1);
            forward(o, step);
            mls_recorder_at(r, step, 1);           /* its second batch */
            forward(o, step + 1000);
            mls_recorder_metric(r, "validation.loss", step, 2.0 / (double)step);
        }
        if (step % 10 == 0) {
            if (!mls_recorder_flush(r)) return 0;
            if (ack) ack(arg, step);
        }
    }
    return !mls_recorder_error(r)->set;
}

/* ---- comparing ------------------------------------------------------------------------- */

struct walk { hid_t other; char *what; int differ, n; };

static int same(hid_t a, hid_t b)
{
    hid_t ta = H5Dget_type(a), tb = H5Dget_type(b), sa = H5Dget_space(a),
          sb = H5Dget_space(b);
    int ok = H5Tequal(ta, tb) > 0 && H5Sextent_equal(sa, sb) > 0;
    const hssize_t n = H5Sget_simple_extent_npoints(sa);
    if (ok && H5Tis_variable_str(ta) > 0) {
        char *x = NULL, *y = NULL;
        ok = H5Dread(a, ta, H5S_ALL, H5S_ALL, H5P_DEFAULT, &x) >= 0 &&
             H5Dread(b, tb, H5S_ALL, H5S_ALL, H5P_DEFAULT, &y) >= 0 && x && y &&
             !strcmp(x, y);
        H5free_memory(x);
        H5free_memory(y);
    } else if (ok && n > 0) {
        const size_t bytes = (size_t)n * H5Tget_size(ta);
        char *x = malloc(bytes), *y = malloc(bytes);
        ok = H5Dread(a, ta, H5S_ALL, H5S_ALL, H5P_DEFAULT, x) >= 0 &&
             H5Dread(b, tb, H5S_ALL, H5S_ALL, H5P_DEFAULT, y) >= 0 &&
             !memcmp(x, y, bytes);
        free(x);
        free(y);
    }
    H5Sclose(sa);
    H5Sclose(sb);
    H5Tclose(ta);
    H5Tclose(tb);
    return ok;
}

static herr_t visit(hid_t at, const char *name, const H5O_info_t *info, void *arg)
{
    struct walk *w = arg;
    if (info->type != H5O_TYPE_DATASET) return 0;
    w->n++;
    hid_t a = H5Dopen2(at, name, H5P_DEFAULT),
          b = H5Dopen2(w->other, name, H5P_DEFAULT);
    const int ok = a >= 0 && b >= 0 && same(a, b);
    if (a >= 0) H5Dclose(a);
    if (b >= 0) H5Dclose(b);
    if (ok) return 0;
    w->differ = 1;
    snprintf(w->what, 256, "%s", name);
    return 1;
}

int scene_differ(const char *a, const char *b, char what[256])
{
    mls_rec_init();
    hid_t fa = H5Fopen(a, H5F_ACC_RDONLY, H5P_DEFAULT),
          fb = H5Fopen(b, H5F_ACC_RDONLY, H5P_DEFAULT);
    struct walk w = { fb, what, 0, 0 }, v = { fa, what, 0, 0 };
    snprintf(what, 256, "a file that cannot be opened");
    int differ = fa < 0 || fb < 0;
    if (!differ) {
        H5Ovisit2(fa, H5_INDEX_NAME, H5_ITER_INC, visit, &w, H5O_INFO_BASIC);
        H5Ovisit2(fb, H5_INDEX_NAME, H5_ITER_INC, visit, &v, H5O_INFO_BASIC);
        differ = w.differ || v.differ || w.n < 10;
    }
    if (fa >= 0) H5Fclose(fa);
    if (fb >= 0) H5Fclose(fb);
    return differ;
}
