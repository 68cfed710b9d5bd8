/* Log-mel frames against sums written out, and the spoken digits of fsdd. */
#include "import.h"
#include "import/mel.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

enum { RATE = 8000, WINDOW = 200, HOP = 80, BANDS = 40, N = 256 };

static double mel(double f)
{
    return 2595.0 * log10(1.0 + f / 700.0);
}

/* The definition of mel.c without an FFT. */
static double energy(const float *wave, int t, int b)
{
    const double step = mel(RATE / 2.0) / (BANDS + 1);
    double corner[3], sum = 0;
    for (int i = 0; i < 3; i++) corner[i] = 700.0 * (pow(10, (b + i) * step / 2595.0) - 1.0);
    int hit = 0;
    for (int j = 0; j <= N / 2; j++) {
        const double f = (double)j * RATE / N;
        if (f < corner[0] || f >= corner[2]) continue;
        const double h = f <= corner[1] ? (f - corner[0]) / (corner[1] - corner[0])
                                        : (corner[2] - f) / (corner[2] - corner[1]);
        double re = 0, im = 0;
        for (int k = 0; k < WINDOW; k++) {
            const double w = 0.5 - 0.5 * cos(2 * M_PI * k / WINDOW);
            re += w * wave[t * HOP + k] * cos(2 * M_PI * j * k / N);
            im -= w * wave[t * HOP + k] * sin(2 * M_PI * j * k / N);
        }
        sum += h * (re * re + im * im);
        hit += h > 0;
    }
    return hit ? sum : -1;
}

static void frames_are_their_definition(void **state)
{
    (void)state;
    float wave[600], out[6 * BANDS];
    mls_arena a = { 0 };
    mls_error e = { 0 };
    for (int i = 0; i < 600; i++)
        wave[i] = (float)(sin(2 * M_PI * 1000.0 * i / RATE) + 0.3 * sin(0.013 * i * i));
    mls_mel *m = mls_mel_open(&a, RATE, WINDOW, HOP, BANDS, &e);
    assert_non_null(m);
    assert_int_equal(mls_mel_frames(m, 600), 6);
    assert_int_equal(mls_mel_frames(m, 10), 1);
    mls_mel_run(m, wave, 600, out);
    int compared = 0;
    for (int t = 0; t < 6; t++)
        for (int b = 0; b < BANDS; b++) {
            const double want = energy(wave, t, b);
            if (want < 0) continue;                  /* narrower than a bin             */
            assert_true(fabs(exp((double)out[t * BANDS + b]) - want) < 1e-3 + 1e-4 * want);
            compared++;
        }
    assert_true(compared > 6 * 30);
    assert_null(mls_mel_open(&a, RATE, 10, 5, 40, &e));
    assert_non_null(strstr(e.text, "no more bands than"));
    mls_arena_free(&a);
}

static void spoken_digits(void **state)
{
    (void)state;
    const char *pack = data_path("fsdd/recordings.tar.xz");
    if (!pack || system("command -v xz >/dev/null")) skip();
    shell("tar -xJf '%s' -C '%s'", pack, dir_path(""));
    const char *to = dir_path("wave.h5");
    assert_true(import(to, "wav", dir_path("recordings"), "--as", "wave", NULL));
    hsize_t dim[4];
    int64_t *length = column(to, "length", H5T_NATIVE_INT64, dim), least = 1 << 30, most = 0,
            all = 0;
    assert_int_equal(dim[0], 3000);
    for (int i = 0; i < 3000; i++) {
        all += length[i];
        if (length[i] < least) least = length[i];
        if (length[i] > most) most = length[i];
    }
    assert_true(least == 1148 && most == 18262 && all / 3000 == 3499);
    int32_t *label = column(to, "label", H5T_NATIVE_INT32, dim),
            *take = column(to, "take", H5T_NATIVE_INT32, dim),
            *speaker = column(to, "speaker", H5T_NATIVE_INT32, dim);
    int official = 0, count[10][6] = { { 0 } };
    for (int i = 0; i < 3000; i++) {
        official += take[i] <= 4;
        count[label[i]][speaker[i]]++;
    }
    assert_int_equal(official, 300);
    for (int i = 0; i < 60; i++) assert_int_equal(count[i / 6][i % 6], 50);
    /* the samples of the first file, 0_george_0.wav, byte for byte */
    float *x = column(to, "x", H5T_NATIVE_FLOAT, dim);
    FILE *f = fopen(dir_path("recordings/0_george_0.wav"), "rb");
    assert_non_null(f);
    assert_int_equal(fseek(f, -2 * length[0], SEEK_END), 0);
    for (int64_t i = 0; i < length[0]; i++) {
        const int low = fgetc(f), high = fgetc(f);
        assert_true(x[i] * 32768.0f == (float)(int16_t)(low | high << 8));
    }
    fclose(f);
    free(length);
    free(label);
    free(take);
    free(speaker);
    free(x);
    assert_true(import(dir_path("mel.h5"), "wav", dir_path("recordings"), NULL));
    x = column(dir_path("mel.h5"), "x", H5T_NATIVE_FLOAT, dim);
    assert_true(dim[0] == 125237 && dim[1] == 40);
    free(x);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(frames_are_their_definition),
        cmocka_unit_test(spoken_digits),
    };
    cmocka_set_message_output(CM_OUTPUT_TAP);
    dir_make();
    const int failed = cmocka_run_group_tests(tests, NULL, NULL);
    dir_remove();
    return failed;
}
