/* safetensors: bytes of a known file, a round trip, every malformed file refused in words. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "rec/tensors.h"

static char path[] = "/tmp/mls-safe-XXXXXX/a.safetensors";
static mls_arena arena;

static int make(void **state)
{
    (void)state;
    char *slash = strrchr(path, '/');
    *slash = '\0';
    char *made = mkdtemp(path);
    *slash = '/';
    return made ? 0 : -1;
}

static int clear(void **state)
{
    (void)state;
    mls_arena_free(&arena);
    unlink(path);
    *strrchr(path, '/') = '\0';
    return rmdir(path);
}

static void put_bytes(const void *bytes, size_t n)
{
    FILE *f = fopen(path, "wb");
    assert_non_null(f);
    assert_int_equal(fwrite(bytes, 1, n, f), n);
    assert_int_equal(fclose(f), 0);
}

static size_t get_bytes(unsigned char *out, size_t room)
{
    FILE *f = fopen(path, "rb");
    assert_non_null(f);
    const size_t n = fread(out, 1, room, f);
    fclose(f);
    return n;
}

/* A file of this header and so many bytes of data, each its own number. */
static size_t build(unsigned char *out, const char *header, size_t data)
{
    const size_t n = strlen(header);
    memset(out, 0, 8);
    out[0] = (unsigned char)(n & 255);
    out[1] = (unsigned char)(n >> 8);
    memcpy(out + 8, header, n);
    for (size_t i = 0; i < data; i++) out[8 + n + i] = (unsigned char)i;
    return 8 + n + data;
}

static int reads(mls_bundle *b, mls_error *e)
{
    *b = (mls_bundle){ .arena = &arena };
    *e = (mls_error){ 0 };
    return mls_tensors_read(path, "weight", b, e);
}

static void round_trip(void **state)
{
    (void)state;
    float w[6] = { 1.5f, -2.0f, 3.0e-30f, 4.0f, -0.0f, 6.25f }, d[3] = { 1, 2, 3 }, s = 7.0f;
    mls_bundle in = { .arena = &arena }, out;
    mls_error e = { 0 };
    mls_bundle_add(&in, "in_proj.weight", MLS_B_F32, w, 2, (int64_t[]){ 2, 3 });
    mls_bundle_add(&in, "D", MLS_B_F32, d, 1, (int64_t[]){ 3 });
    mls_bundle_add(&in, "s", MLS_B_F32, &s, 0, NULL);
    assert_true(mls_tensors_write(path, &in, &e));
    unsigned char bytes[4096];
    const size_t n = get_bytes(bytes, sizeof bytes);
    assert_int_equal(bytes[8], '{');
    assert_int_equal((8 + bytes[0] + 256 * bytes[1]) % 8, 0);
    assert_int_equal(n, 8 + bytes[0] + 256u * bytes[1] + 40);
    assert_true(reads(&out, &e));
    assert_int_equal(out.n, 3);
    for (int i = 0; i < 3; i++)
        for (int j = 0; j < 3; j++)
            if (!strcmp(in.row[i].name, out.row[j].name)) {
                const size_t count = i == 0 ? 6 : i == 1 ? 3 : 1;
                assert_int_equal(in.row[i].rank, out.row[j].rank);
                assert_memory_equal(in.row[i].dim, out.row[j].dim, sizeof in.row[i].dim);
                assert_memory_equal(in.row[i].data, out.row[j].data, count * sizeof(float));
            }
}

/* Each type's bytes for 1, -2, 0.15625 and the smallest half. */
static void types(void **state)
{
    (void)state;
    static const unsigned char data[] = {
        0x00, 0x3c, 0x00, 0xc0, 0x00, 0x31, 0x01, 0x00,              /* F16 */
        0x80, 0x3f, 0x00, 0xc0,                                      /* BF16 1, -2 */
        0, 0, 0, 0, 0, 0, 0xf0, 0x3f };                              /* F64 1 */
    unsigned char bytes[600];
    size_t n = build(bytes, "{\"__metadata__\":{\"a\":\"b\"},"
        "\"h\":{\"dtype\":\"F16\",\"shape\":[4],\"data_offsets\":[0,8]},"
        "\"b\":{\"dtype\":\"BF16\",\"shape\":[2],\"data_offsets\":[8,12]},"
        "\"d\":{\"dtype\":\"F64\",\"shape\":[],\"data_offsets\":[12,20]}}  ", sizeof data);
    memcpy(bytes + n - sizeof data, data, sizeof data);
    put_bytes(bytes, n);
    mls_bundle b;
    mls_error e;
    if (!reads(&b, &e)) fail_msg("%s", e.text);
    assert_int_equal(b.n, 3);
    for (int i = 0; i < 3; i++) {
        const float *x = b.row[i].data;
        if (b.row[i].name[0] == 'h') {
            assert_float_equal(x[0], 1.0, 0);
            assert_float_equal(x[1], -2.0, 0);
            assert_float_equal(x[2], 0.15625, 0);
            assert_true(x[3] == ldexpf(1.0f, -24));
        } else if (b.row[i].name[0] == 'b') {
            assert_float_equal(x[0], 1.0, 0);
            assert_float_equal(x[1], -2.0, 0);
        } else {
            assert_int_equal(b.row[i].rank, 0);
            assert_float_equal(x[0], 1.0, 0);
        }
    }
}

static void malformed(void **state)
{
    (void)state;
    static const struct { const char *header; size_t data; const char *word; } bad[] = {
        { "", 0, "no JSON object" }, { "[]", 0, "it is something else" },
        { "{\"a\":1}", 0, "has no dtype" }, { "{\"a\":{}}", 0, "has no dtype" },
        { "{\"a\":{\"dtype\":\"I64\",\"shape\":[1],\"data_offsets\":[0,8]}}", 8, "dtype I64" },
        { "{\"a\":{\"dtype\":\"F32\",\"data_offsets\":[0,4]}}", 4, "shape of \"a\"" },
        { "{\"a\":{\"dtype\":\"F32\",\"shape\":[-1],\"data_offsets\":[0,4]}}", 4, "shape of" },
        { "{\"a\":{\"dtype\":\"F32\",\"shape\":[1,1,1,1,1],\"data_offsets\":[0,4]}}", 4, "shape of" },
        { "{\"a\":{\"dtype\":\"F32\",\"shape\":[4611686018427387904,4],\"data_offsets\":[0,4]}}", 4,
          "shape of" },
        { "{\"a\":{\"dtype\":\"F32\",\"shape\":[4611686018427387904],\"data_offsets\":[0,0]}}", 0,
          "need" },
        { "{\"a\":{\"dtype\":\"F32\",\"shape\":[1]}}", 4, "data_offsets" },
        { "{\"a\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[4,0]}}", 4, "data_offsets" },
        { "{\"a\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,8]}}", 4, "do not lie within" },
        { "{\"a\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,4]}}", 4, "need 2 x 4" },
        { "{\"a\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4]}}", 8, "belong to no" },
        { "{\"a\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4]},"
          "\"b\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4]}}", 8, "overlap" },
        { "{\"a\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4]},"
          "\"a\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[4,8]}}", 8, "duplicate" },
    };
    unsigned char bytes[1000];
    mls_bundle b;
    mls_error e;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        put_bytes(bytes, build(bytes, bad[i].header, bad[i].data));
        if (reads(&b, &e)) fail_msg("read: %s", bad[i].header);
        if (!strstr(e.text, bad[i].word)) fail_msg("%s: %s", bad[i].header, e.text);
        assert_non_null(strstr(e.text, "a.safetensors: "));
    }
    put_bytes("1234567", 7);
    assert_false(reads(&b, &e));
    assert_non_null(strstr(e.text, "length of a header"));
    put_bytes("\xff\xff\xff\xff\xff\xff\xff\xff{}", 10);
    assert_false(reads(&b, &e));
    unlink(path);
    assert_false(reads(&b, &e));
    assert_non_null(strstr(e.text, "No such file"));
}

/* Every cut and every changed byte: read or refused, never a crash. */
static void damaged(void **state)
{
    (void)state;
    unsigned char bytes[1000], other[1000];
    mls_bundle b;
    mls_error e;
    const size_t n = build(bytes, "{\"a\":{\"dtype\":\"F32\",\"shape\":[2,1],\"data_offsets\":[0,8]},"
                           "\"b\":{\"dtype\":\"F16\",\"shape\":[2],\"data_offsets\":[8,12]}}", 12);
    for (size_t i = 0; i < n; i++) {
        put_bytes(bytes, i);
        assert_false(reads(&b, &e));
        for (int k = 0; k < 3; k++) {
            memcpy(other, bytes, n);
            other[i] = (unsigned char)(k == 0 ? 0 : k == 1 ? other[i] ^ 1 : other[i] ^ 0x90);
            put_bytes(other, n);
            const int ok = reads(&b, &e);
            assert_true(ok || *e.text);
            if (ok) assert_int_equal(b.n, 2);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(round_trip), cmocka_unit_test(types),
                                        cmocka_unit_test(malformed), cmocka_unit_test(damaged) };
    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests(tests, make, clear);
}
