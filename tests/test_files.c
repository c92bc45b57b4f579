/* test_files -- tensors in files: every format and dtype both ways, and everything that can be wrong with a file */
#define _POSIX_C_SOURCE 200809L /* mkfifo */
#include "autograd/tape/limits.h"
#include "io/io.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "autograd_config.h"
#include "tests/files.h"
#include "tests/support.h"

static const char *const formats[] = {"a.safetensors", "a.npz", "a.npy"};
enum { FORMATS = 3, MANY = 2 }; /* the first of them hold more than one tensor */

static const ag_save_options packed = {.compress = true};

static void expect_bits(ag_tensor *x, ag_dtype dtype, ag_shape shape, const void *bytes) {
    ck_assert_msg(!ag_is_nil(x), "%s", ag_tape_error(tape));
    ck_assert_int_eq(ag_dtype_of(x), dtype);
    expect_shape(x, shape);
    ck_assert_mem_eq(ag_data(x), bytes, (size_t)ag_size(x) * ag_dtype_size(dtype));
}

static void save_as(const char *path, ag_tensor *x) {
    ag_save(path, 1, &x, &(ag_save_options){.names = (const char *[]){"x"}});
    expect_ok(tape);
}

/* Into each format and back. */
static void expect_round_trip(ag_tensor *x) {
    for (int f = 0; f < FORMATS; f++) {
        const char *path = in_folder(formats[f]);
        save_as(path, x);
        ag_tensor *y = ag_read(tape, path, NULL, NULL);
        expect_bits(y, ag_dtype_of(x), ag_shape_of(x), ag_data(x));
        ck_assert_str_eq(ag_label_of(y), f < MANY ? "x" : "");
    }
}

/* ---- What comes back ---- */

static const uint64_t f64_bits[] = {0,
                                    0x8000000000000000,
                                    1,
                                    0x3FF0000000000000,
                                    0x7FF0000000000000,
                                    0xFFF0000000000000,
                                    0x7FF0000000000001,
                                    0xFFF8123456789ABC,
                                    0x7FEFFFFFFFFFFFFF,
                                    0x400921FB54442D18,
                                    0x000FFFFFFFFFFFFF,
                                    0x7FFFFFFFFFFFFFFF};
static const uint32_t f32_bits[] = {0,          0x80000000, 1,          0x3F800000, 0x7F800000, 0xFF800000,
                                    0x7F800001, 0xFFC12345, 0x7F7FFFFF, 0x40490FDB, 0x007FFFFF, 0x7FFFFFFF};
static const int64_t integers[] = {0, -1, 1, INT64_MAX, INT64_MIN, 255, 256, -256, 1 << 30, -(1 << 30), 42, 7};
static const unsigned char bools[] = {0, 1, 1, 0, 0, 0, 1, 1, 1, 0, 1, 0};

START_TEST(test_bits_of_every_dtype) {
    expect_round_trip(ag_from(tape, AG_F64, AG_SHAPE(3, 4), f64_bits));
    expect_round_trip(ag_from(tape, AG_F32, AG_SHAPE(12), f32_bits));
    expect_round_trip(ag_from(tape, AG_I64, AG_SHAPE(2, 3, 2), integers));
    expect_round_trip(ag_from(tape, AG_BOOL, AG_SHAPE(6, 2), bools));
}
END_TEST

START_TEST(test_every_rank) {
    ag_tensor *x = ag_arange(tape, AG_F32, 24);
    expect_round_trip(ag_scalar(tape, AG_F64, 2.5));
    expect_round_trip(ag_reshape(x, AG_SHAPE(24)));
    expect_round_trip(ag_reshape(x, AG_SHAPE(1, 2, 1, 3, 1, 4, 1, 1)));
    expect_round_trip(ag_zeros(tape, AG_I64, AG_SHAPE(0)));
    expect_round_trip(ag_zeros(tape, AG_BOOL, AG_SHAPE(3, 0, 2)));
}
END_TEST

START_TEST(test_views_and_results) {
    ag_tensor *x = ag_reshape(ag_arange(tape, AG_F64, 12), AG_SHAPE(3, 4));
    expect_round_trip(ag_transpose(x, 0, 1));
    expect_round_trip(ag_flip(x, 1));
    expect_round_trip(ag_broadcast_to(ag_scalar(tape, AG_F32, 1.5), AG_SHAPE(70, 70)));
    expect_round_trip(ag_exp(ag_scale(x, -0.1)));
    ag_tensor *v = ag_variable(tape, AG_F64, AG_SHAPE(3, 4), ag_data(x));
    ag_assign(v, ag_neg(v));
    expect_round_trip(v);
}
END_TEST

START_TEST(test_large_tensors) {
    ag_tensor *x = ag_uniform(tape, AG_F32, AG_SHAPE(300, 101), -1, 1);
    expect_round_trip(x);
    expect_round_trip(ag_cast(ag_scale(x, 1e6), AG_I64));
    expect_round_trip(ag_greater(x, ag_zeros(tape, AG_F32, AG_SCALAR)));
}
END_TEST

/* Names that JSON has to escape, that are not ASCII, that are as long as they may be. */
START_TEST(test_many_tensors_by_name) {
    static char longest[65001];
    memset(longest, 'n', sizeof longest - 1);
    const char *names[] = {"w", "größe/λ", "a \"b\" \\c", longest, "layer.0.weight", "𝛼"};
    enum { N = sizeof names / sizeof *names };
    ag_tensor *x[N], *y[N + 1];
    for (int i = 0; i < N; i++) x[i] = ag_full(tape, (ag_dtype)(i % AG_DTYPES), AG_SHAPE(i + 1, 2), i % 2);
    for (int f = 0; f < MANY; f++) {
        const char *path = in_folder(formats[f]);
        ag_save(path, N, x, &(ag_save_options){.names = names});
        expect_ok(tape);
        int count = ag_read_all(tape, path, NULL, 0, NULL);
        expect_ok(tape);
        ck_assert_int_eq(count, N);
        ck_assert_int_eq(ag_read_all(tape, path, NULL, N + 1, y), N);
        for (int i = 0; i < N; i++) {
            expect_same(x[i], ag_read(tape, path, names[i], NULL));
            for (int k = 0; k < N; k++)
                if (strcmp(ag_label_of(y[k]), names[i]) == 0) expect_same(x[i], y[k]);
        }
        ag_read(tape, path, "v", NULL);
        expect_error(tape, AG_ERR_FILE, path, "no tensor of the name \"v\"", "test_files.c:");
        ag_read(tape, path, NULL, NULL);
        expect_error(tape, AG_ERR_FILE, path, "6 tensors", "test_files.c:");
    }
}
END_TEST

START_TEST(test_the_same_tensors_give_the_same_bytes) {
    ag_tensor *x[] = {ag_label(ag_arange(tape, AG_F32, 100), "a"), ag_label(ag_ones(tape, AG_BOOL, AG_SHAPE(3)), "b")};
    for (int f = 0; f < MANY; f++) {
        const char *path = in_folder(formats[f]), *other = in_folder(f ? "b.npz" : "b.safetensors");
        ag_save(path, 2, x, NULL);
        ag_save(other, 2, x, NULL);
        expect_ok(tape);
        ck_assert(same_bytes(path, other));
    }
    ag_save(in_folder("a.bin"), 2, x, &(ag_save_options){.format = AG_FORMAT_SAFETENSORS});
    ck_assert(same_bytes(in_folder("a.bin"), in_folder(formats[0])));
}
END_TEST

/* As safetensors' own writer has it: what is larger is first, so that a mapped file has every element at its place. */
START_TEST(test_safetensors_are_aligned) {
    ag_tensor *x[] = {ag_label(ag_ones(tape, AG_BOOL, AG_SHAPE(3)), "b"), ag_label(ag_arange(tape, AG_F32, 3), "f"),
                      ag_label(ag_arange(tape, AG_I64, 3), "i")};
    const char *path = in_folder("a.safetensors");
    ag_save(path, 3, x, NULL);
    expect_ok(tape);
    size_t length;
    unsigned char *bytes = read_bytes(path, &length);
    ck_assert_uint_eq(bytes[0] % 8, 0);
    const char *i = strstr((char *)bytes + 8, "\"i\""), *f = strstr((char *)bytes + 8, "\"f\""),
               *b = strstr((char *)bytes + 8, "\"b\"");
    ck_assert(i && f && b && i < f && f < b);
    free(bytes);
    ag_tensor *y[3];
    ck_assert_int_eq(ag_read_all(tape, path, NULL, 3, y), 3);
    expect_same(x[0], y[2]);
}
END_TEST

START_TEST(test_packed_files) {
    ag_tensor *x[] = {ag_label(ag_arange(tape, AG_F32, 5000), "a"),
                      ag_label(ag_zeros(tape, AG_I64, AG_SHAPE(0)), "none"),
                      ag_label(ag_uniform(tape, AG_F64, AG_SHAPE(900), 0, 1), "noise"),
                      ag_label(ag_full(tape, AG_BOOL, AG_SHAPE(100000), 1), "flat")};
    enum { N = sizeof x / sizeof *x };
    const char *path = in_folder("a.npz");
    ag_save(path, N, x, &packed);
    if (!AG_HAVE_ZLIB) {
        expect_error(tape, AG_ERR_FILE, "save", "without zlib", "test_files.c:");
        return;
    }
    expect_ok(tape);
    size_t length;
    free(read_bytes(path, &length));
    ck_assert_uint_lt(length, 20000);
    for (int i = 0; i < N; i++) expect_same(x[i], ag_read(tape, path, ag_label_of(x[i]), NULL));
}
END_TEST

/* ---- What files have that tensors have not ---- */

typedef struct kind {
    const char *numpy, *safetensors;
    int bytes;
    unsigned char one[8], least[8]; /* the most significant byte first */
    ag_dtype dtype;
    double value; /* of `least` */
} kind;

static const kind kinds[] = {
    {"b1", "BOOL", 1, {1}, {0}, AG_BOOL, 0},
    {"i1", "I8", 1, {1}, {0x80}, AG_I64, -128},
    {"u1", "U8", 1, {1}, {0xFF}, AG_I64, 255},
    {"i2", "I16", 2, {0, 1}, {0x80, 0}, AG_I64, -32768},
    {"u2", "U16", 2, {0, 1}, {0xFF, 0xFE}, AG_I64, 65534},
    {"i4", "I32", 4, {0, 0, 0, 1}, {0x80, 0, 0, 1}, AG_I64, -2147483647},
    {"u4", "U32", 4, {0, 0, 0, 1}, {0xFF, 0xFF, 0xFF, 0xFF}, AG_I64, 4294967295},
    {"i8", "I64", 8, {0, 0, 0, 0, 0, 0, 0, 1}, {0x80}, AG_I64, -0x1p63},
    {"u8", "U64", 8, {0, 0, 0, 0, 0, 0, 0, 1}, {0x40}, AG_I64, 0x1p62},
    {"f2", "F16", 2, {0x3C, 0}, {0xFB, 0xFF}, AG_F32, -65504},
    {NULL, "BF16", 2, {0x3F, 0x80}, {0xFF, 0x7F}, AG_F32, -0x1.FEp127},
    {"f4", "F32", 4, {0x3F, 0x80}, {0xFF, 0x7F, 0xFF, 0xFF}, AG_F32, -0x1.FFFFFEp127},
    {"f8", "F64", 8, {0x3F, 0xF0}, {0xC0, 0x5E, 0xDD, 0x2F, 0x1A, 0x9F, 0xBE, 0x77}, AG_F64, -123.456},
};

static void put_ordered(unsigned char *to, const unsigned char *from, int bytes, bool big) {
    for (int i = 0; i < bytes; i++) to[i] = from[big ? i : bytes - 1 - i];
}

/* 1 and the least value of a kind, and 1 again: (3). */
static void write_kind(const char *path, const kind *k, bool numpy, bool big) {
    unsigned char bytes[24];
    char header[100];
    put_ordered(bytes, k->one, k->bytes, big);
    put_ordered(bytes + k->bytes, k->least, k->bytes, big);
    put_ordered(bytes + 2 * k->bytes, k->one, k->bytes, big);
    if (numpy)
        snprintf(header, sizeof header, "{'descr': '%c%s', 'fortran_order': False, 'shape': (3,), }",
                 k->bytes == 1 ? '|'
                 : big         ? '>'
                               : '<',
                 k->numpy);
    else
        snprintf(header, sizeof header, "{\"x\":{\"dtype\":\"%s\",\"shape\":[3],\"data_offsets\":[0,%d]}}",
                 k->safetensors, 3 * k->bytes);
    (numpy ? write_npy : write_safetensors)(path, header, bytes, 3 * (size_t)k->bytes);
}

START_TEST(test_every_kind_of_element) {
    const kind *k = &kinds[_i];
    for (int way = k->numpy ? 0 : 2; way < 3; way++) {
        const char *path = in_folder("a");
        write_kind(path, k, way < 2, way == 1);
        ag_tensor *x = ag_read(tape, path, NULL, NULL);
        ck_assert_int_eq(ag_dtype_of(x), k->dtype);
        expect_list(x, 1, k->value, 1);
        for (int dtype = 0; dtype < AG_DTYPES; dtype++)
            expect_same(ag_read(tape, path, NULL, &(ag_read_options){.convert = true, .dtype = (ag_dtype)dtype}),
                        ag_cast(x, (ag_dtype)dtype));
    }
}
END_TEST

START_TEST(test_u64_beyond_i64) {
    const uint64_t bytes[] = {1, UINT64_MAX};
    write_npy(in_folder("a"), "{'descr': '<u8', 'fortran_order': False, 'shape': (2,)}", bytes, 16);
    ag_read(tape, in_folder("a"), NULL, NULL);
    expect_error(tape, AG_ERR_FILE, "18446744073709551615", "does not fit i64");
}
END_TEST

START_TEST(test_conversions_are_those_of_ag_cast) {
    const double reals[] = {-5e18,  -1.5,   NAN,     INFINITY, -INFINITY, 1e300,
                            -1e300, 0x1p63, -0x1p63, 16777217, -0.0,      1e-50};
    ag_tensor *sources[] = {ag_from(tape, AG_F64, AG_SHAPE(12), reals), ag_from(tape, AG_F32, AG_SHAPE(12), f32_bits),
                            ag_from(tape, AG_I64, AG_SHAPE(12), integers), ag_from(tape, AG_BOOL, AG_SHAPE(12), bools)};
    for (int i = 0; i < 4; i++)
        for (int dtype = 0; dtype < AG_DTYPES; dtype++) {
            save_as(in_folder("a.npy"), sources[i]);
            ag_read_options to = {.convert = true, .dtype = (ag_dtype)dtype};
            expect_same(ag_read(tape, in_folder("a.npy"), NULL, &to), ag_cast(sources[i], (ag_dtype)dtype));
        }
}
END_TEST

static double half(int h) {
    int exponent = h >> 10 & 31, fraction = h & 0x3FF;
    double x = exponent == 31 ? fraction ? (double)NAN : (double)INFINITY
                              : ldexp(exponent ? 1024 + fraction : fraction, (exponent ? exponent : 1) - 25);
    return h & 0x8000 ? -x : x;
}

START_TEST(test_all_halves) {
    static uint16_t all[65536];
    for (int i = 0; i < 65536; i++) all[i] = (uint16_t)i;
    in_file_order(all, sizeof *all, sizeof all);
    const char *path = in_folder("a");
    write_npy(path, "{'descr': '<f2', 'fortran_order': False, 'shape': (65536,)}", all, sizeof all);
    const float *x = ag_data(ag_read(tape, path, NULL, NULL));
    ck_assert_ptr_nonnull(x);
    write_safetensors(path, "{\"x\":{\"dtype\":\"BF16\",\"shape\":[65536],\"data_offsets\":[0,131072]}}", all,
                      sizeof all);
    const uint32_t *b = ag_data(ag_read(tape, path, NULL, NULL));
    ck_assert_ptr_nonnull(b);
    for (int i = 0; i < 65536; i++) {
        uint32_t bits;
        memcpy(&bits, &x[i], 4);
        if (isnan(half(i))) /* with its payload, and quiet only if it was */
            ck_assert_uint_eq(bits, (uint32_t)(i & 0x8000) << 16 | 0x7F800000u | (uint32_t)(i & 0x3FF) << 13);
        else ck_assert_msg((double)x[i] == half(i) && !signbit(x[i]) == !(i >> 15), "%04x: %a", i, (double)x[i]);
        ck_assert_uint_eq(b[i], (uint32_t)i << 16);
    }
}
END_TEST

START_TEST(test_fortran_order) {
    double values[24];
    for (int i = 0, n = 0; i < 4; i++)
        for (int j = 0; j < 3; j++)
            for (int k = 0; k < 2; k++) values[n++] = 100 * k + 10 * j + i;
    in_file_order(values, sizeof *values, sizeof values);
    const char *path = in_folder("a");
    write_npy(path, "{'descr': '<f8', 'fortran_order': True, 'shape': (2, 3, 4)}", values, sizeof values);
    ag_tensor *x = ag_read(tape, path, NULL, NULL);
    expect_shape(x, AG_SHAPE(2, 3, 4));
    for (int k = 0; k < 2; k++)
        for (int j = 0; j < 3; j++)
            for (int i = 0; i < 4; i++) ck_assert_double_eq(ag_element(x, (k * 3 + j) * 4 + i), 100 * k + 10 * j + i);
    write_npy(path, "{'descr': '<f8', 'fortran_order': True, 'shape': ()}", values + 1, 8);
    expect_list(ag_read(tape, path, NULL, NULL), 100);
    write_npy(path, "{'descr': '<f8', 'fortran_order': True, 'shape': (3, 0)}", NULL, 0);
    expect_shape(ag_read(tape, path, NULL, NULL), AG_SHAPE(3, 0));
    enum { ROWS = 70, COLUMNS = 61 }; /* more than one piece */
    static float many[ROWS * COLUMNS];
    for (int i = 0; i < ROWS * COLUMNS; i++) many[i] = (float)i;
    ag_tensor *rows = ag_from(tape, AG_F32, AG_SHAPE(COLUMNS, ROWS), many);
    in_file_order(many, sizeof *many, sizeof many);
    write_npy(path, "{'descr': '<f4', 'fortran_order': True, 'shape': (70, 61)}", many, sizeof many);
    expect_same(ag_read(tape, path, NULL, NULL), ag_contiguous(ag_transpose(rows, 0, 1)));
}
END_TEST

START_TEST(test_idx) {
    const unsigned char images[] = {0, 0, 8, 3, 0, 0, 0, 2, 0, 0, 0, 1, 0, 0, 0, 3, 1, 2, 255, 4, 5, 6};
    write_bytes(in_folder("a"), images, sizeof images);
    ag_tensor *x = ag_read(tape, in_folder("a"), NULL, NULL);
    expect_shape(x, AG_SHAPE(2, 1, 3));
    ck_assert_int_eq(ag_dtype_of(x), AG_I64);
    expect_list(x, 1, 2, 255, 4, 5, 6);
    x = ag_read(tape, in_folder("a"), NULL, &(ag_read_options){.convert = true, .dtype = AG_F32});
    ck_assert_int_eq(ag_dtype_of(x), AG_F32);
    expect_list(x, 1, 2, 255, 4, 5, 6);
    const unsigned char shorts[] = {0, 0, 11, 1, 0, 0, 0, 2, 1, 2, 255, 254};
    write_bytes(in_folder("a"), shorts, sizeof shorts);
    expect_list(ag_read(tape, in_folder("a"), NULL, NULL), 258, -2);
    const unsigned char brace[] = {0, 0, 8, 1, 0, 0, 0, 3, '{', '"', '}'}; /* begins almost as safetensors does */
    write_bytes(in_folder("a"), brace, sizeof brace);
    expect_list(ag_read(tape, in_folder("a"), NULL, NULL), '{', '"', '}');
}
END_TEST

/* The four bytes 1 2 3 4 as IDX, packed by gzip. */
static const unsigned char idx_gz[] = {0x1f, 0x8b, 0x08, 0x00, 0x00, 0x00, 0x00, 0x00, 0x02, 0x03, 0x63,
                                       0x60, 0xe0, 0x60, 0x64, 0x60, 0x60, 0x60, 0x61, 0x64, 0x62, 0x66,
                                       0x01, 0x00, 0xc9, 0x10, 0x81, 0x1d, 0x0c, 0x00, 0x00, 0x00};

START_TEST(test_idx_packed) {
    write_bytes(in_folder("a"), idx_gz, sizeof idx_gz);
    ag_tensor *x = ag_read(tape, in_folder("a"), NULL, NULL);
    if (AG_HAVE_ZLIB) expect_list(x, 1, 2, 3, 4);
    else expect_error(tape, AG_ERR_FILE, "without zlib");
}
END_TEST

static void put_little(unsigned char *to, uint64_t n, int bytes) {
    for (int i = 0; i < bytes; i++) to[i] = (unsigned char)(n >> 8 * i);
}

static uint32_t crc_of(const unsigned char *bytes, size_t n) {
    uint32_t crc = UINT32_MAX;
    for (size_t i = 0; i < 8 * n; i++) {
        if (i % 8 == 0) crc ^= bytes[i / 8];
        crc = crc >> 1 ^ (crc & 1 ? 0xedb88320 : 0);
    }
    return ~crc;
}

/* The file at path, packed by gzip into so many bytes: as it is, behind a comment. */
static void pack_into(const char *path, const char *to, size_t bytes) {
    static const unsigned char opening[] = {0x1f, 0x8b, 8, 0x10};
    size_t n;
    unsigned char *whole = read_bytes(path, &n), *all = calloc(1, bytes);
    ck_assert(all && n <= UINT16_MAX && bytes > n + 24);
    memcpy(all, opening, sizeof opening);
    memset(all + 10, '-', bytes - n - 24);
    unsigned char *block = all + bytes - n - 13;
    block[0] = 1;
    put_little(block + 1, (uint32_t)n, 2), put_little(block + 3, ~(uint32_t)n, 2);
    memcpy(block + 5, whole, n);
    put_little(block + 5 + n, crc_of(whole, n), 4), put_little(block + 9 + n, (uint32_t)n, 4);
    write_bytes(to, all, bytes);
    free(whole), free(all);
}

/* Files are written, read and unpacked piece by piece: so many elements, or packed bytes. */
START_TEST(test_pieces) {
    enum { WRITTEN = AG__LIMIT(2048, 16), READ = AG__LIMIT(1024, 8), PACKED = AG__LIMIT(1 << 14, 32), FEW = 100 };
    const char *path = in_folder("a.npy");
    for (int64_t by = -1; by <= 1; by++) {
        const int64_t sizes[] = {WRITTEN + by, 2 * WRITTEN + by, READ + by, 2 * READ + by};
        for (int i = 0; i < 4; i++) {
            ag_tensor *x = ag_flip(ag_arange(tape, AG_F64, sizes[i]), 0), *narrow = ag_cast(x, AG_F32);
            ag_save(path, 1, &x, NULL);
            expect_same(ag_read(tape, path, NULL, NULL), x);
            expect_same(ag_read(tape, path, NULL, &(ag_read_options){.dtype = AG_F32, .convert = true}), narrow);
        }
        for (size_t pieces = 1; pieces <= 2 && AG_HAVE_ZLIB; pieces++) {
            ag_tensor *x = ag_arange(tape, AG_F64, FEW);
            ag_save(path, 1, &x, NULL);
            pack_into(path, in_folder("a.gz"), pieces * ((1 << 14) / PACKED) * PACKED + (size_t)(by + 1) - 1);
            expect_same(ag_read(tape, in_folder("a.gz"), NULL, NULL), x);
        }
    }
    expect_ok(tape);
}
END_TEST

START_TEST(test_json_as_it_may_be_written) {
    float bytes[] = {1, 2, 3, 4};
    in_file_order(bytes, sizeof *bytes, sizeof bytes);
    write_safetensors(
        in_folder("a"),
        "{ \"__metadata__\" :\t{ \"format\" : \"pt\", \"\\n\":\"\\u0000\" } ,\r\n"
        "\"\\u00e4\\ud83d\\uDE00\\/\" : { \"data_offsets\" : [ 8 , 16 ], \"shape\":[ 1 ,2 ],\"dtype\":\"F32\" },"
        "\"a\\\"\\\\\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,8]}}   \n",
        bytes, sizeof bytes);
    ag_tensor *x = ag_read(tape, in_folder("a"), "ä😀/", NULL);
    expect_shape(x, AG_SHAPE(1, 2));
    expect_list(x, 3, 4);
    expect_list(ag_read(tape, in_folder("a"), "a\"\\", NULL), 1, 2);
    write_safetensors(in_folder("a"), "{}", NULL, 0);
    ag_tensor *none[] = {x};
    ck_assert_int_eq(ag_read_all(tape, in_folder("a"), NULL, 1, none), 0);
    expect_ok(tape);
    ck_assert(ag_is_nil(none[0]));
}
END_TEST

START_TEST(test_headers_as_numpy_may_write_them) {
    float bytes[] = {1, 2};
    in_file_order(bytes, sizeof *bytes, sizeof bytes);
    const char *good[] = {"{\"descr\":\"<f4\",\"fortran_order\":False,\"shape\":(1,2)}\n",
                          "{'shape': (1L, 2L), 'fortran_order': False, 'descr': '<f4',   }      \n",
                          " { 'fortran_order':False , 'shape': ( 1 , 2 , ) , 'descr':'<f4' } "};
    for (int i = 0; i < 3; i++) {
        write_npy(in_folder("a"), good[i], bytes, sizeof bytes);
        ag_tensor *x = ag_read(tape, in_folder("a"), NULL, NULL);
        expect_shape(x, AG_SHAPE(1, 2));
        expect_list(x, 1, 2);
    }
    unsigned char second[80] = "\x93NUMPY\2\0\x34\0\0\0{'descr': '|b1', 'fortran_order': False, 'shape': ()}";
    second[8] = (unsigned char)strlen((char *)second + 12);
    second[12 + second[8]] = 7; /* a bool is 0 or 1, whatever its byte is */
    write_bytes(in_folder("a"), second, 12u + second[8] + 1u);
    const unsigned char *x = ag_data(ag_read(tape, in_folder("a"), NULL, NULL));
    ck_assert_msg(x && *x == 1, "%s", ag_tape_error(tape));
}
END_TEST

/* ---- Files that others have written: see golden_files.py ---- */

/* Run from the top folder, or from where this file was compiled. */
static const char *golden(const char *name) {
    static char path[300];
    snprintf(path, sizeof path, "tests/golden/files/%s", name);
    if (access("tests/golden/files", R_OK) != 0)
        snprintf(path, sizeof path, "%.*sgolden/files/%s", (int)(strrchr(__FILE__, '/') + 1 - __FILE__), __FILE__,
                 name);
    return path;
}

START_TEST(test_files_of_numpy) {
    static const char *const names[] = {"numpy.npz", "numpy_packed.npz"};
    const char *path = golden(names[_i]);
    if (_i == 1 && !AG_HAVE_ZLIB) return;
    ck_assert_int_eq(ag_read_all(tape, path, NULL, 0, NULL), 9);
    expect_list(ag_read(tape, path, "f64", NULL), -0.75, -0.5, -0.25, 0, 0.25, 0.5);
    expect_list(ag_read(tape, path, "f32", NULL), -0.75, -0.5, -0.25, 0, 0.25, 0.5);
    expect_list(ag_read(tape, path, "f16", NULL), -0.75, -0.5, -0.25, 0, 0.25, 0.5);
    expect_bits(ag_read(tape, path, "i64", NULL), AG_I64, AG_SHAPE(2), (const int64_t[]){INT64_MIN, INT64_MAX});
    expect_list(ag_read(tape, path, "u8", NULL), 0, 1, 2, 3, 4, 5);
    expect_bits(ag_read(tape, path, "bool", NULL), AG_BOOL, AG_SHAPE(2, 3), "\0\0\0\0\1\1");
    expect_shape(ag_read(tape, path, "none", NULL), AG_SHAPE(0, 3));
    expect_item(ag_read(tape, path, "scalar", NULL), 0.5);
    expect_list(ag_read(tape, path, "größe", NULL), -3, -2, -1, 0, 1, 2);
    expect_list(ag_read(tape, golden("fortran_big_endian.npy"), NULL, NULL), -0.75, -0.5, -0.25, 0, 0.25, 0.5);
    expect_list(ag_read(tape, golden("version_2.npy"), NULL, NULL), -3, -2, -1, 0, 1, 2);
}
END_TEST

START_TEST(test_files_of_others) {
    if (AG_HAVE_ZLIB) {
        ag_tensor *x = ag_read(tape, golden("images.idx.gz"), NULL, NULL);
        expect_shape(x, AG_SHAPE(2, 1, 3));
        expect_list(x, 0, 1, 2, 3, 4, 255);
    }
    const char *path = golden("other.safetensors");
    expect_list(ag_read(tape, path, "bf16", NULL), 1, -3);
    expect_list(ag_read(tape, path, "f16", NULL), 1, -0.5, 65504);
    expect_item(ag_read(tape, path, "größe", NULL), -7);
}
END_TEST

/* ---- The same bytes on every processor ---- */

/* Number i of the files in golden/files that begin with "written": numbers as a processor may change them on the way (signalling
 * NaN, denormal ones), and those whose text depends on rounding. */
static void write_one(int i, const char *path) {
    static const uint32_t singles[] = {0x80000000, 1, 0x7F800001, 0xFFC12345, 0x3DCCCCCD, 0x7F7FFFFF};
    static const uint64_t doubles[] = {0x8000000000000000, 1, 0x7FF0000000000001, 0xFFF8123456789ABC,
                                       0x3FB999999999999A};
    static const int64_t long_ones[] = {INT64_MIN, INT64_MAX, -2, 258};
    static const double decimals[] = {0.1, 1e300, 1.0 / 3, -5e-324, 123456789, -0.0},
                        greys[] = {0, 0.25, 0.5, 1, 0.998, 0.002};
    ag_tensor *x[] = {ag_label(ag_variable(tape, AG_F32, AG_SHAPE(2, 3), singles), "f32"),
                      ag_label(ag_variable(tape, AG_F64, AG_SHAPE(5), doubles), "f64"),
                      ag_label(ag_from(tape, AG_I64, AG_SHAPE(2, 1, 2), long_ones), "i64 größe"),
                      ag_label(ag_from(tape, AG_BOOL, AG_SHAPE(3), "\1\0\1"), "bool")};
    ag_tensor *table = ag_from(tape, AG_F64, AG_SHAPE(2, 3), decimals);
    int64_t epoch = -7;
    double rate = 0.1;
    const ag_number numbers[] = {{.name = "epoch", .integer = &epoch}, {.name = "rate", .real = &rate}};
    char series[400];
    switch (i) {
    case 0:
    case 1: ag_save(path, 4, x, NULL); break;
    case 2: ag_save(path, 1, x + 1, NULL); break;
    case 3: ag_raw_write(path, x[2]); break;
    case 4: ag_csv_write(path, table, NULL); break;
    case 5:
        ag_image_write(path, ag_cast(ag_reshape(ag_from(tape, AG_F64, AG_SHAPE(6), greys), AG_SHAPE(2, 3, 1)), AG_F32));
        break;
    default:
        snprintf(series, sizeof series, "%.*s", (int)(strlen(path) - strlen(".000001.safetensors")), path);
        remove(path); /* else the next number is taken */
        ag_tape_seed(tape, UINT64_MAX);
        ag_normal(tape, AG_F64, AG_SCALAR, 0, 1);
        ag_checkpoint_save(tape, series, 2, numbers, 1);
    }
    expect_ok(tape);
}

static const char *const written[] = {
    "written.safetensors",       "written.npz", "written.npy", "written.raw", "written.csv", "written.pgm",
    "written.000001.safetensors"};

/* With AG_WRITE_GOLDEN in the environment the golden files are written instead. */
START_TEST(test_files_of_every_processor) {
    const char *path = in_folder(written[_i]);
    write_one(_i, getenv("AG_WRITE_GOLDEN") ? golden(written[_i]) : path);
    ck_assert_msg(getenv("AG_WRITE_GOLDEN") || same_bytes(path, golden(written[_i])), "%s has other bytes",
                  written[_i]);
}
END_TEST

/* ---- What is wrong with headers ---- */

typedef struct fault {
    const char *header, *problem;
} fault;

static const fault npy_faults[] = {
    {"", "not a dictionary"},
    {"{}", "no 'descr'"},
    {"{'descr': '<f4', 'fortran_order': False}", "no 'shape'"},
    {"{'descr': '<f4', 'shape': (2,)}", "no 'fortran_order'"},
    {"{'descr': '|O', 'fortran_order': False, 'shape': (2,)}", "objects, which only Python can read"},
    {"{'descr': '<c8', 'fortran_order': False, 'shape': (1,)}", "complex"},
    {"{'descr': '<U2', 'fortran_order': False, 'shape': (1,)}", "no numbers"},
    {"{'descr': '|S8', 'fortran_order': False, 'shape': (1,)}", "no numbers"},
    {"{'descr': '|V8', 'fortran_order': False, 'shape': (1,)}", "no numbers"},
    {"{'descr': '<M8[ns]', 'fortran_order': False, 'shape': (1,)}", "no numbers"},
    {"{'descr': '<f16', 'fortran_order': False, 'shape': ()}", "not read"},
    {"{'descr': '=f4', 'fortran_order': False, 'shape': (2,)}", "not read"},
    {"{'descr': '|f4', 'fortran_order': False, 'shape': (2,)}", "not read"},
    {"{'descr': '<f3', 'fortran_order': False, 'shape': (2,)}", "not read"},
    {"{'descr': '<.2', 'fortran_order': False, 'shape': (4,)}", "not read"},
    {"{'descr': '', 'fortran_order': False, 'shape': (2,)}", "not read"},
    {"{'descr': [('a', '<f4')], 'fortran_order': False, 'shape': (2,)}", "records of several fields"},
    {"{'descr': '<f4', 'fortran_order': 0, 'shape': (2,)}", "neither True nor False"},
    {"{'descr': '<f4', 'fortran_order': False, 'shape': 2}", "no tuple"},
    {"{'descr': '<f4', 'fortran_order': False, 'shape': (2)}", "not a tuple"},
    {"{'descr': '<f4', 'fortran_order': False, 'shape': [2]}", "no tuple"},
    {"{'descr': '<f4', 'fortran_order': False, 'shape': (2,", "invalid extent"},
    {"{'descr': '<f4', 'fortran_order': False, 'shape': (-2,)}", "invalid extent"},
    {"{'descr': '<f4', 'fortran_order': False, 'shape': (2,,)}", "invalid extent"},
    {"{'descr': '<f4', 'fortran_order': False, 'shape': (02,)}", "invalid extent"},
    {"{'descr': '<f4', 'fortran_order': False, 'shape': (2 1)}", "invalid extent"},
    {"{'descr': '<f4', 'fortran_order': False, 'shape': (9223372036854775808,)}", "invalid extent"},
    {"{'descr': '<f4', 'fortran_order': False, 'shape': (3,)}", "takes 12 bytes, and there are 8"},
    {"{'descr': '<f4', 'fortran_order': False, 'shape': (1,)}", "takes 4 bytes, and there are 8"},
    {"{'descr': '<f4', 'fortran_order': False, 'shape': (4294967296, 4294967296)}",
     "more elements than can be counted"},
    {"{'descr': '<f4', 'fortran_order': False, 'shape': (4294967296, 4294967296, 0)}", "more elements than"},
    {"{'descr': '<f4', 'fortran_order': False, 'shape': (1,1,1,1,1,1,1,1,2)}", "more than 8 axes"},
    {"{'descr': '<f4', 'fortran_order': False, 'shape': (2,), 'shape': (2,)}", "\"shape\" twice"},
    {"{'descr': '<f4', 'fortran_order': False, 'shape': (2,), 'x': 1}", "\"x\", which is unknown"},
    {"{'descr': '<f4', 'fortran_order': False, 'shape': (2,)} x", "goes on behind"},
    {"{'descr': '<f4', 'fortran_order': False, 'shape': (2,)", "not a dictionary"},
    {"{'descr': '<f4\\', 'fortran_order': False, 'shape': (2,)}", "no string for 'descr'"},
    {"{'descr: '<f4', 'fortran_order': False, 'shape': (2,)}", "not a dictionary"},
    {"{'descr': '<\033[3', 'fortran_order': False, 'shape': (2,)}", "\"<?[3\""},
};

START_TEST(test_npy_headers_that_are_wrong) {
    const fault *f = &npy_faults[_i];
    const float bytes[] = {1, 2};
    const char *path = in_folder("a.npy");
    write_npy(path, f->header, bytes, sizeof bytes);
    ck_assert_msg(ag_is_nil(ag_read(tape, path, NULL, NULL)), "%s was accepted", f->header);
    expect_error(tape, AG_ERR_FILE, "read: ", path, f->problem, "test_files.c:");
}
END_TEST

#define TENSOR(name, offsets) "\"" name "\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":" offsets "}"

static const fault json_faults[] = {
    {"{", "string is wanted"},
    {"{\"", "does not end"},
    {"{\"x\"", "colon"},
    {"{\"x\":", "must be an object"},
    {"{\"x\":[]}", "must be an object"},
    {"{\"x\":{}}", "string is wanted"},
    {"{\"x\":{\"dtype\":\"F32\"}}", "lacks one of"},
    {"{\"x\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,8],}}", "string is wanted"},
    {"{\"x\":{\"dtype\":\"F32\",\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,8]}}", "\"dtype\" is there twice"},
    {"{\"x\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,8],\"y\":1}}", "\"y\" in the header is unknown"},
    {"{\"x\":{\"dtype\":\"F8_E4M3\",\"shape\":[8],\"data_offsets\":[0,8]}}", "\"F8_E4M3\", is not read"},
    {"{\"x\":{\"dtype\":1,\"shape\":[2],\"data_offsets\":[0,8]}}", "string is wanted"},
    {"{\"x\":{\"dtype\":\"F32\",\"shape\":{},\"data_offsets\":[0,8]}}", "list of extents"},
    {"{\"x\":{\"dtype\":\"F32\",\"shape\":[2,],\"data_offsets\":[0,8]}}", "number from 0"},
    {"{\"x\":{\"dtype\":\"F32\",\"shape\":[2 1],\"data_offsets\":[0,8]}}", "does not end"},
    {"{\"x\":{\"dtype\":\"F32\",\"shape\":[-2],\"data_offsets\":[0,8]}}", "number from 0"},
    {"{\"x\":{\"dtype\":\"F32\",\"shape\":[2.0],\"data_offsets\":[0,8]}}", "does not end"},
    {"{\"x\":{\"dtype\":\"F32\",\"shape\":[2e0],\"data_offsets\":[0,8]}}", "does not end"},
    {"{\"x\":{\"dtype\":\"F32\",\"shape\":[02],\"data_offsets\":[0,8]}}", "number from 0"},
    {"{\"x\":{\"dtype\":\"F32\",\"shape\":[18446744073709551618],\"data_offsets\":[0,8]}}", "number from 0"},
    {"{\"x\":{\"dtype\":\"F32\",\"shape\":[[2]],\"data_offsets\":[0,8]}}", "number from 0"},
    {"{\"x\":{\"dtype\":\"F32\",\"shape\":[1,1,1,1,1,1,1,1,2],\"data_offsets\":[0,8]}}", "more than 8 axes"},
    {"{\"x\":{\"dtype\":\"F32\",\"shape\":[4294967296,4294967296],\"data_offsets\":[0,8]}}", "more elements than"},
    {"{\"x\":{\"dtype\":\"F32\",\"shape\":[4611686018427387906],\"data_offsets\":[0,8]}}", "more elements than"},
    {"{\"x\":{\"dtype\":\"F32\",\"shape\":[3],\"data_offsets\":[0,8]}}", "takes 12 bytes, and there are 8"},
    {"{" TENSOR("x", "[0,16]") "}", "not within the 8 bytes"},
    {"{" TENSOR("x", "[8,0]") "}", "not within"},
    {"{" TENSOR("x", "[9223372036854775800,9223372036854775807]") "}", "not within"},
    {"{" TENSOR("x", "[0]") "}", "two offsets"},
    {"{" TENSOR("x", "[0,8,8]") "}", "two offsets"},
    {"{\"x\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4]}}", "have 4 bytes, and 8 follow"},
    {"{\"x\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[4,8]}}", "have 4 bytes, and 8 follow"},
    {"{}", "have 0 bytes, and 8 follow"},
    {"{\"x\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4]},"
     "\"y\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4]}}",
     "bytes in common"},
    {"{\"x\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4]},"
     "\"y\":{\"dtype\":\"U8\",\"shape\":[4],\"data_offsets\":[2,6]}}",
     "bytes in common"},
    {"{\"x\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4]},"
     "\"x\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[4,8]}}",
     "two tensors of the name \"x\""},
    {"{\"x\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4]},"
     "\"\\u0078\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[4,8]}}",
     "two tensors of the name \"x\""},
    {"{" TENSOR("", "[0,8]") "}", "no characters"},
    {"{" TENSOR("a\\nb", "[0,8]") "}", "control character"},
    {"{" TENSOR("a\\u0000", "[0,8]") "}", "control character"},
    {"{" TENSOR("a\\u009b", "[0,8]") "}", "control character"},
    {"{" TENSOR("a\nb", "[0,8]") "}", "control character"},
    {"{" TENSOR("\\x41", "[0,8]") "}", "escape"},
    {"{" TENSOR("\\u12", "[0,8]") "}", "escape"},
    {"{" TENSOR("\\ud800", "[0,8]") "}", "escape"},
    {"{" TENSOR("\\ud800\\u0041", "[0,8]") "}", "escape"},
    {"{" TENSOR("\\udc00", "[0,8]") "}", "escape"},
    {"{" TENSOR("\\u+123", "[0,8]") "}", "escape"},
    {"{" TENSOR("\\ud800\\n", "[0,8]") "}", "escape"},
    {"{" TENSOR("\\ud800x", "[0,8]") "}", "escape"},
    {"{" TENSOR("\\ud800\\ue000", "[0,8]") "}", "escape"},
    {"{" TENSOR("\\ud800\\u00", "[0,8]") "}", "escape"},
    {"{\"\\", "escape"},
    {"{\"\\u123", "escape"},
    {"{\"\\ud83d", "escape"},
    {"{\"__metadata__\":{\"a\"}," TENSOR("x", "[0,8]") "}", "colon"},
    {"{\"__metadata__\":{\"a\":\"b\"", "does not end"},
    {"{" TENSOR("\xC0\xAF", "[0,8]") "}", "not UTF-8"},
    {"{" TENSOR("\xED\xA0\x80", "[0,8]") "}", "not UTF-8"},
    {"{" TENSOR("\xF4\x90\x80\x80", "[0,8]") "}", "not UTF-8"},
    {"{" TENSOR("x", "[0,8]") ",}", "string is wanted"},
    {"{" TENSOR("x", "[0,8]") "} x", "something follows"},
    {"{" TENSOR("x", "[0,8]") "}{}", "something follows"},
    {"{" TENSOR("x", "[0,8]"), "does not end"},
    {"{\"__metadata__\":{}," TENSOR("x", "[0,8]") ",\"__metadata__\":{}}", "already"},
    {"{\"__metadata__\":{\"a\":1}," TENSOR("x", "[0,8]") "}", "string is wanted"},
    {"{\"__metadata__\":{\"a\":{\"b\":{}}}," TENSOR("x", "[0,8]") "}", "string is wanted"},
    {"{\"__metadata__\":{\"a\":\"\xFF\"}," TENSOR("x", "[0,8]") "}", "header is not UTF-8"},
    {"{\"__metadata__\":{\"a\":\"\n\"}," TENSOR("x", "[0,8]") "}", "control character in a string"},
    {"{\"__metadata__\":[]," TENSOR("x", "[0,8]") "}", "object of strings"},
};

START_TEST(test_safetensors_headers_that_are_wrong) {
    const fault *f = &json_faults[_i];
    const float bytes[] = {1, 2};
    const char *path = in_folder("a.safetensors");
    write_safetensors(path, f->header, bytes, sizeof bytes);
    ag_tensor *x = NULL;
    ck_assert_msg(ag_read_all(tape, path, NULL, 1, &x) == 0 && ag_is_nil(x), "%s was accepted", f->header);
    expect_error(tape, AG_ERR_FILE, "read_all: ", path, f->problem, "test_files.c:");
}
END_TEST

START_TEST(test_lengths_of_headers) {
    unsigned char bytes[64] = {0x40, 0, 0, 0, 0, 0, 0, 0, '{', '}'};
    write_bytes(in_folder("a"), bytes, sizeof bytes);
    ag_read(tape, in_folder("a"), NULL, NULL);
    expect_error(tape, AG_ERR_FILE, "begins as none of"); /* a header that is longer than the file is none */
    memset(bytes, 0xFF, 8);
    write_bytes(in_folder("a"), bytes, sizeof bytes);
    ag_read(tape, in_folder("a"), NULL, NULL);
    expect_error(tape, AG_ERR_FILE, "begins as none of");
    ck_assert_int_eq(truncate(in_folder("a"), 0), 0);
    ag_read(tape, in_folder("a"), NULL, NULL);
    expect_error(tape, AG_ERR_FILE, "begins as none of");
    unsigned char huge[16] = "\x93NUMPY\2\0\0\0\0\x10{";
    write_bytes(in_folder("a"), huge, sizeof huge);
    ag_read(tape, in_folder("a"), NULL, NULL);
    expect_error(tape, AG_ERR_FILE, "header of 268435456 bytes");
    huge[6] = 9;
    write_bytes(in_folder("a"), huge, sizeof huge);
    ag_read(tape, in_folder("a"), NULL, NULL);
    expect_error(tape, AG_ERR_FILE, "version 9.0");
}
END_TEST

/* A header of more than the 100 MB that are read, in a file that is as long and takes no room on the disk. */
START_TEST(test_a_header_of_more_than_100_mb) {
    const unsigned char length[] = {0, 0, 0, 8, 0, 0, 0, 0, '{'}; /* 128 MB */
    write_bytes(in_folder("a"), length, sizeof length);
    ck_assert_int_eq(truncate(in_folder("a"), 8 + (128 << 20)), 0);
    int64_t before = tape_ledger.outstanding;
    ag_read(tape, in_folder("a"), NULL, NULL);
    expect_error(tape, AG_ERR_FILE, "a header of 134217728 bytes is too long");
    ck_assert_int_eq(tape_ledger.outstanding, before);
}
END_TEST

/* ---- What is wrong with zip files ---- */

/* The last place of these four bytes. */
static size_t last_mark(const unsigned char *bytes, size_t length, const char *mark) {
    for (size_t i = length - 3; i-- > 0;)
        if (memcmp(bytes + i, mark, 4) == 0) return i;
    ck_abort_msg("there is no such record");
    return 0;
}

typedef struct patch {
    const char *mark; /* the last record of that kind, */
    int offset;       /* there, */
    int bytes;        /* so many, */
    uint64_t value;   /* become this */
    const char *problem;
} patch;

static const patch patches[] = {
    {"PK\5\6", 4, 2, 1, "several parts"},
    {"PK\5\6", 8, 2, 3, "several parts"},
    {"PK\5\6", 8, 4, 0x00FF00FF, "has no room for 255 members"},
    {"PK\5\6", 8, 4, 0x00010001, "more members than its end says"},
    {"PK\5\6", 12, 4, 0xFFFFFFFE, "not where its end says"},
    {"PK\5\6", 16, 4, 0xFFFFFFFE, "not where its end says"},
    {"PK\5\6", 16, 4, 0, "not where its end says"},
    {"PK\5\6", 20, 2, 9, "without its end"},
    {"PK\1\2", 0, 4, 0, "directory of the zip file is damaged"},
    {"PK\1\2", 8, 2, 1, "encrypted"},
    {"PK\1\2", 10, 2, 8, "not what the directory says"},
    {"PK\1\2", 16, 4, 0x12345678, "checksum"},
    {"PK\1\2", 20, 4, 1, "two sizes"},
    {"PK\1\2", 20, 4, 0xFFFFFFFE, "beyond the directory"},
    {"PK\1\2", 20, 4, 0xFFFFFFFF, "sizes of 64 bits are missing"},
    {"PK\1\2", 24, 4, 0xFFFFFFFF, "sizes of 64 bits are missing"},
    {"PK\1\2", 24, 4, 0x7FFFFFFF, "two sizes"},
    {"PK\1\2", 28, 2, 0, "does not end in .npy"},
    {"PK\1\2", 28, 2, 4, "does not end in .npy"},
    {"PK\1\2", 28, 2, 0xFFFF, "damaged"},
    {"PK\1\2", 30, 2, 0xFFFF, "damaged"},
    {"PK\1\2", 32, 2, 0xFFFF, "damaged"},
    {"PK\1\2", 42, 4, 0, "two names"},
    {"PK\1\2", 42, 4, 1, "not what the directory says"},
    {"PK\1\2", 42, 4, 0xFFFFFFFE, "beyond its directory"},
    {"PK\1\2", 42, 4, 0xFFFFFFFF, "sizes of 64 bits are missing"},
    {"PK\1\2", 46, 1, 'q', "two names"},
    {"PK\1\2", 46, 1, 0xC0, "not UTF-8"},
    {"PK\1\2", 46, 1, 0, "control character"},
    {"PK\1\2", 47, 1, '_', "does not end in .npy"},
    {"PK\3\4", 0, 4, 0, "not what the directory says"},
    {"PK\3\4", 8, 2, 8, "not what the directory says"},
    {"PK\3\4", 26, 2, 4, "not what the directory says"},
    {"PK\3\4", 28, 2, 0xFFFF, "beyond the directory"},
    {"PK\3\4", 28, 2, 1, "not a .npy file"},
    {"PK\3\4", 30, 1, 'q', "two names"},
    {"\x93NUM", 8, 1, 0xFF, "header"},
    {"\x93NUM", 0, 1, 0, "not a .npy file"},
};

START_TEST(test_zip_records_that_are_wrong) {
    const patch *p = &patches[_i];
    const char *path = in_folder("a.npz");
    ag_tensor *x[] = {ag_label(ag_ones(tape, AG_F32, AG_SHAPE(3)), "a"), ag_label(ag_arange(tape, AG_F32, 6), "b")};
    ag_save(path, 2, x, NULL);
    size_t length;
    unsigned char *bytes = read_bytes(path, &length), *at = bytes + last_mark(bytes, length, p->mark) + p->offset;
    for (int i = 0; i < p->bytes; i++) at[i] = (unsigned char)(p->value >> 8 * i);
    write_bytes(path, bytes, length);
    free(bytes);
    ag_tensor *y[2];
    ck_assert_msg(ag_read_all(tape, path, NULL, 2, y) == 0, "patch %d was accepted", _i);
    ck_assert(ag_is_nil(y[0]) && ag_is_nil(y[1]));
    expect_error(tape, AG_ERR_FILE, "read_all: ", path, p->problem, "test_files.c:");
}
END_TEST

/* A zip file whose end is written in 64 bits, and what may be wrong with that. */
START_TEST(test_an_end_of_64_bits) {
    static const patch wrong[] = {
        {"PK\6\6", 0, 0, 0, NULL},
        {"PK\6\6", 0, 4, 0, "do not agree"},
        {"PK\6\6", 16, 4, 1, "do not agree"},
        {"PK\6\6", 24, 8, 2, "do not agree"},
        {"PK\6\6", 32, 8, UINT64_MAX, "do not agree"},
        {"PK\6\6", 40, 8, UINT64_MAX, "not where its end says"},
        {"PK\6\6", 48, 8, 0, "not where its end says"},
        {"PK\6\6", 48, 8, UINT64_MAX, "not where its end says"},
        {"PK\6\7", 0, 4, 0, "not where its end says"},
        {"PK\6\7", 8, 8, 0, "do not agree"},
        {"PK\6\7", 8, 8, UINT64_MAX, "the file ends at byte"},
        {"PK\6\7", 8, 8, UINT64_MAX / 2, "the file ends at byte"},
        {"PK\5\6", 12, 4, 5, "do not agree"},
    };
    const char *path = in_folder("a.npz");
    size_t length;
    save_as(path, ag_arange(tape, AG_F32, 5));
    unsigned char *bytes = read_bytes(path, &length), *wide = calloc(1, length + 76);
    size_t end = last_mark(bytes, length, "PK\5\6"), directory = last_mark(bytes, length, "PK\1\2");
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        unsigned char *record = wide + end, *locator = record + 56;
        memcpy(wide, bytes, end);
        memset(record, 0, 56);
        memcpy(record, "PK\6\6\x2C", 5);
        put_little(record + 24, 1, 8);
        put_little(record + 32, 1, 8);
        put_little(record + 40, end - directory, 8);
        put_little(record + 48, directory, 8);
        memcpy(locator, "PK\6\7\0\0\0", 8);
        put_little(locator + 8, end, 8);
        put_little(locator + 16, 1, 4);
        memcpy(locator + 20, bytes + end, 22);
        put_little(locator + 32, UINT64_MAX, 8); /* the sizes of 32 bits are full */
        put_little(wide + last_mark(wide, length + 76, wrong[i].mark) + wrong[i].offset, wrong[i].value,
                   wrong[i].bytes);
        write_bytes(path, wide, length + 76);
        ag_tensor *x = ag_read(tape, path, "x", NULL);
        if (wrong[i].problem) expect_error(tape, AG_ERR_FILE, path, wrong[i].problem);
        else expect_list(x, 0, 1, 2, 3, 4);
    }
    free(bytes), free(wide);
}
END_TEST

/* A member whose sizes and place are written in 64 bits: in an extra record of the directory, behind another one. */
START_TEST(test_sizes_of_64_bits) {
    enum { OTHER = 6, EXTRA = OTHER + 28, END = 22 };
    const char *path = in_folder("a.npz");
    size_t length;
    save_as(path, ag_arange(tape, AG_F32, 5));
    unsigned char *bytes = read_bytes(path, &length), *wide = calloc(1, length + EXTRA);
    const size_t end = length - END, central = last_mark(bytes, length, "PK\1\2");
    unsigned char *extra = wide + end;
    memcpy(wide, bytes, end);
    memcpy(extra, "\x34\x12\2\0ab\1\0\x18", OTHER + 3);
    memcpy(extra + OTHER + 4, wide + central + 24, 4);
    memcpy(extra + OTHER + 12, wide + central + 20, 4);
    memcpy(extra + OTHER + 20, wide + central + 42, 4);
    put_little(wide + central + 20, UINT64_MAX, 8);
    put_little(wide + central + 42, UINT64_MAX, 4);
    put_little(wide + central + 30, EXTRA, 2);
    memcpy(wide + end + EXTRA, bytes + end, END);
    put_little(wide + end + EXTRA + 12, end - central + EXTRA, 4);
    write_bytes(path, wide, length + EXTRA);
    expect_list(ag_read(tape, path, "x", NULL), 0, 1, 2, 3, 4);
    put_little(extra + OTHER + 2, 16, 2); /* too short for the place */
    write_bytes(path, wide, length + EXTRA);
    ag_read(tape, path, "x", NULL);
    expect_error(tape, AG_ERR_FILE, "sizes of 64 bits are missing");
    free(bytes), free(wide);
}
END_TEST

START_TEST(test_another_packing) {
    const char *path = in_folder("a.npz");
    size_t length;
    save_as(path, ag_arange(tape, AG_F32, 5));
    unsigned char *bytes = read_bytes(path, &length);
    put_little(bytes + last_mark(bytes, length, "PK\1\2") + 10, 9, 2);
    put_little(bytes + last_mark(bytes, length, "PK\3\4") + 8, 9, 2);
    write_bytes(path, bytes, length);
    free(bytes);
    ag_read(tape, path, "x", NULL);
    expect_error(tape, AG_ERR_FILE, "packed by method 9: only DEFLATE is read");
}
END_TEST

START_TEST(test_two_of_one_name_in_a_zip_file) {
    const char *path = in_folder("a.npz");
    ag_tensor *x[] = {ag_label(ag_ones(tape, AG_F32, AG_SHAPE(3)), "a"), ag_label(ag_arange(tape, AG_F32, 6), "b")};
    ag_save(path, 2, x, NULL);
    size_t length;
    unsigned char *bytes = read_bytes(path, &length);
    bytes[last_mark(bytes, length, "PK\1\2") + 46] = 'a';
    bytes[last_mark(bytes, length, "PK\3\4") + 30] = 'a';
    write_bytes(path, bytes, length);
    free(bytes);
    ag_read(tape, path, "a", NULL);
    expect_error(tape, AG_ERR_FILE, "two tensors of the name \"a\"");
}
END_TEST

/* Something behind the end or before the beginning, or missing from either. */
START_TEST(test_zip_files_cut_off_or_longer) {
    const char *path = in_folder("a.npz");
    save_as(path, ag_arange(tape, AG_F32, 6));
    size_t length;
    unsigned char *bytes = read_bytes(path, &length), *more = calloc(1, length + 1);
    for (size_t n = 0; n < length; n++) {
        write_bytes(path, bytes, n);
        ck_assert(ag_is_nil(ag_read(tape, path, NULL, NULL)));
        expect_error(tape, AG_ERR_FILE, path);
    }
    memcpy(more, bytes, length);
    write_bytes(path, more, length + 1);
    ag_read(tape, path, NULL, NULL);
    expect_error(tape, AG_ERR_FILE, "without its end");
    memcpy(more, "P", 1);
    memcpy(more + 1, bytes, length);
    write_bytes(path, more, length + 1);
    ck_assert(ag_is_nil(ag_read(tape, path, NULL, NULL)));
    expect_error(tape, AG_ERR_FILE, path);
    free(bytes), free(more);
}
END_TEST

/* The smallest file with the largest claims: nothing is allocated for what it cannot hold. */
START_TEST(test_bombs) {
    if (!AG_HAVE_ZLIB) return;
    const char *path = in_folder("a.npz");
    ag_tensor *x = ag_label(ag_zeros(tape, AG_F32, AG_SHAPE(1000)), "x");
    ag_save(path, 1, &x, &packed);
    size_t length;
    unsigned char *bytes = read_bytes(path, &length);
    size_t central = last_mark(bytes, length, "PK\1\2");
    memcpy(bytes + central + 24, "\xFE\xFF\xFF\x7F", 4); /* 2 GB unpacked */
    write_bytes(path, bytes, length);
    int64_t before = tape_ledger.outstanding;
    ag_read(tape, path, NULL, NULL);
    expect_error(tape, AG_ERR_FILE, "takes 4000 bytes, and there are 2147483");
    ck_assert_int_eq(tape_ledger.outstanding, before);
    free(bytes);

    /* IDX: 2^31 − 1 bytes, of which there are four. */
    const unsigned char little[] = {0x1f, 0x8b, 0x08, 0x00, 0x00, 0x00, 0x00, 0x00, 0x02, 0x03, 0x63,
                                    0x60, 0xe0, 0x60, 0xac, 0xff, 0xff, 0xff, 0x3f, 0x03, 0x10, 0x00,
                                    0x00, 0x94, 0x37, 0x9f, 0xb6, 0x0c, 0x00, 0x00, 0x00};
    write_bytes(in_folder("b.gz"), little, sizeof little);
    ag_read(tape, in_folder("b.gz"), NULL, NULL);
    expect_error(tape, AG_ERR_FILE, "takes 2147483647 bytes", "are no more than");
    ck_assert_int_eq(tape_ledger.outstanding, before);
    const unsigned char claim[] = {0, 0, 8, 4, 0x7F, 0xFF, 0xFF, 0xFF, 0x7F, 0xFF, 0xFF, 0xFF, 0, 0, 0, 1, 0, 0, 0, 1};
    write_bytes(in_folder("b"), claim, sizeof claim);
    ag_read(tape, in_folder("b"), NULL, NULL);
    expect_error(tape, AG_ERR_FILE, "more elements than can be counted");
}
END_TEST

START_TEST(test_damage_in_packed_bytes) {
    if (!AG_HAVE_ZLIB) return;
    unsigned char bytes[sizeof idx_gz + 1];
    for (size_t i = 10; i < sizeof idx_gz; i++) { /* behind gzip's header */
        memcpy(bytes, idx_gz, sizeof idx_gz);
        bytes[i] ^= 0x55;
        write_bytes(in_folder("a"), bytes, sizeof idx_gz);
        ck_assert_msg(ag_is_nil(ag_read(tape, in_folder("a"), NULL, NULL)), "byte %zu", i);
        expect_error(tape, AG_ERR_FILE, "read: ");
    }
    memcpy(bytes, idx_gz, sizeof idx_gz);
    bytes[sizeof idx_gz] = 0;
    write_bytes(in_folder("a"), bytes, sizeof bytes);
    ag_read(tape, in_folder("a"), NULL, NULL);
    expect_error(tape, AG_ERR_FILE, "more bytes in it");
}
END_TEST

START_TEST(test_files_that_are_none) {
    ag_read(tape, "/nowhere/at/all.npz", NULL, NULL);
    expect_error(tape, AG_ERR_FILE, "/nowhere/at/all.npz", "No such file", "test_files.c:");
    ag_read(tape, "/tmp", NULL, NULL);
    expect_error(tape, AG_ERR_FILE, "/tmp");
    ag_read(tape, "/dev/null", NULL, NULL);
    expect_error(tape, AG_ERR_FILE, "/dev/null");
    ck_assert_int_eq(mkfifo(in_folder("pipe"), 0600), 0); /* opening one that has no writer must not wait */
    ag_read(tape, in_folder("pipe"), NULL, NULL);
    expect_error(tape, AG_ERR_FILE, "not a regular file");
    write_bytes(in_folder("a"), "hello, this is text", 19);
    ag_read(tape, in_folder("a"), NULL, NULL);
    expect_error(tape, AG_ERR_FILE, "begins as none of");
}
END_TEST

START_TEST(test_arguments) {
    save_as(in_folder("a.npy"), ag_arange(tape, AG_F32, 3));
    ag_tensor *x[1];
    ck_assert(ag_is_nil(ag_read(NULL, in_folder("a.npy"), NULL, NULL)));
    ck_assert_int_eq(ag_tape_status(NULL), AG_ERR_NULL);
    ag_clear_error(NULL);
    ck_assert_int_eq(ag_read_all(NULL, in_folder("a.npy"), NULL, 1, x), 0);
    ck_assert_int_eq(ag_tape_status(NULL), AG_ERR_NULL);
    ag_clear_error(NULL);
    ag_read(tape, NULL, NULL, NULL);
    expect_error(tape, AG_ERR_NULL, "path is NULL");
    ag_read(tape, in_folder("a.npy"), NULL, &(ag_read_options){.convert = true, .dtype = (ag_dtype)9});
    expect_error(tape, AG_ERR_DTYPE, "9");
    ag_read_all(tape, in_folder("a.npy"), NULL, 1, NULL);
    expect_error(tape, AG_ERR_NULL, "list", "test_files.c:");
    ag_read(tape, in_folder("a.npy"), "x", NULL);
    expect_error(tape, AG_ERR_FILE, "no tensor of the name \"x\"");
    ag_read(tape, "/nowhere", NULL, NULL);
    ck_assert(ag_is_nil(ag_read(tape, in_folder("a.npy"), NULL, NULL))); /* the first error stays */
    ck_assert_int_eq(ag_read_all(tape, in_folder("a.npy"), NULL, 1, x), 0);
    expect_error(tape, AG_ERR_FILE, "/nowhere");
}
END_TEST

/* ---- What is wrong when saving ---- */

START_TEST(test_what_cannot_be_saved) {
    ag_tensor *a = ag_label(ag_arange(tape, AG_F32, 3), "a"), *b = ag_arange(tape, AG_F64, 3), *both[] = {a, b};
    const char *path = in_folder("a.npz");
    ag_save(path, 2, both, NULL);
    expect_error(tape, AG_ERR_RANGE, "save: ", "number 1 [", "test_files.c:", "has no name");
    ag_label(b, "a");
    ag_save(path, 2, both, NULL);
    expect_error(tape, AG_ERR_RANGE, "number 0 [", "number 1 [", "have one name, \"a\"");
    ag_label(b, "new\nline");
    ag_save(path, 2, both, NULL);
    expect_error(tape, AG_ERR_RANGE, "name of number 1", "control character");
    ag_save(path, 1, both, &(ag_save_options){.names = (const char *[]){"\xFF"}});
    expect_error(tape, AG_ERR_RANGE, "not UTF-8");
    ag_save(in_folder("a.safetensors"), 1, both, &(ag_save_options){.names = (const char *[]){"__metadata__"}});
    expect_error(tape, AG_ERR_RANGE, "__metadata__");
    ag_save(in_folder("a.bin"), 1, both, NULL);
    expect_error(tape, AG_ERR_RANGE, "must end in");
    ag_save(path, 1, both, &(ag_save_options){.format = (ag_format)7});
    expect_error(tape, AG_ERR_RANGE, "the format is invalid");
    ag_save(in_folder("a.npy"), 2, both, NULL);
    expect_error(tape, AG_ERR_RANGE, "one tensor");
    ag_save(in_folder("a.safetensors"), 1, both, &packed);
    expect_error(tape, AG_ERR_RANGE, "packed");
    ag_save(NULL, 1, both, NULL);
    expect_error(tape, AG_ERR_NULL, "path");
    ag_save(path, 1, NULL, NULL);
    ck_assert_int_eq(ag_tape_status(NULL), AG_ERR_NULL);
    ag_clear_error(NULL);
    ck_assert_int_eq(ag_save(path, 0, both, NULL), AG_ERR_RANGE);
    ag_clear_error(NULL);
    ag_save(path, 2, (ag_tensor *[]){a, NULL}, NULL);
    expect_error(tape, AG_ERR_NULL, "save", "test_files.c:");
    ag_tensor *v[] = {a, ag_label(ag_gather(b, ag_full(tape, AG_I64, AG_SHAPE(1), 9), 0), "g")};
    ag_save(path, 2, v, NULL);
    expect_error(tape, AG_ERR_RANGE, "gather");
    ck_assert_int_ne(access(path, F_OK), 0); /* none of these began to write */
    ag_save("/nowhere/a.npz", 1, both, NULL);
    expect_error(tape, AG_ERR_FILE, "save", "/nowhere/a.npz", "test_files.c:");
}
END_TEST

START_TEST(test_a_full_disk) {
    if (access("/dev/full", W_OK) != 0) return;
    ag_tensor *x = ag_label(ag_arange(tape, AG_F32, 30000), "x");
    for (int format = AG_FORMAT_SAFETENSORS; format <= AG_FORMAT_NPY; format++) {
        ag_save("/dev/full", 1, &x, &(ag_save_options){.format = (ag_format)format});
        expect_error(tape, AG_ERR_FILE, "/dev/full", "No space");
    }
}
END_TEST

/* ---- Memory ---- */

static bool save_and_read(ag_tape *t, const char *path, const ag_save_options *options) {
    ag_tensor *x[] = {ag_label(ag_uniform(t, AG_F32, AG_SHAPE(20, 20), 0, 1), "a"),
                      ag_label(ag_arange(t, AG_I64, 7), "b")};
    ag_tensor *y[2] = {NULL, NULL};
    ag_save(path, 2, x, options);
    return ag_read_all(t, path, NULL, 2, y) == 2 && !ag_is_nil(ag_read(t, path, "b", NULL));
}

START_TEST(test_every_failing_allocation) {
    const ag_save_options *options = _i == 2 ? &packed : NULL;
    const char *path = in_folder(_i == 0 ? "a.safetensors" : "a.npz");
    if (_i == 2 && !AG_HAVE_ZLIB) return;
    bool came_through = false;
    for (int64_t fail_at = 2; !came_through; fail_at++) {
        ledger l;
        ledger_open(&l);
        l.fail_at = fail_at;
        ag_tape *t = ag_tape_new_with(&l.allocator);
        ck_assert_ptr_nonnull(t);
        bool good = save_and_read(t, path, options);
        came_through = !l.failed;
        ck_assert(good || l.failed); /* where a plan lacks memory, there is another way to evaluate */
        ck_assert_int_eq(ag_tape_status(t), good ? AG_OK : AG_ERR_MEMORY);
        ag_tape_free(t);
        ledger_close(&l);
    }
}
END_TEST

/* ---- Mutations ---- */

static uint64_t seed;

static uint64_t draw(uint64_t below) {
    seed = seed * 6364136223846793005u + 1442695040888963407u;
    uint64_t x = (seed ^ seed >> 29) * 0xBF58476D1CE4E5B9u;
    return (x ^ x >> 32) % below;
}

/* Bits turned, bytes changed, numbers made extreme, pieces removed, doubled or cut off: one to four of these. */
static size_t mutate(unsigned char *bytes, size_t n, size_t room) {
    static const unsigned char extreme[][4] = {
        {0, 0, 0, 0}, {0xFF, 0xFF, 0xFF, 0xFF}, {0xFF, 0xFF, 0xFF, 0x7F}, {0, 0, 0, 0x80},
        {1, 0, 0, 0}, {'9', '9', '9', '9'}};
    for (uint64_t k = 1 + draw(4); k > 0 && n > 8; k--) {
        size_t at = (size_t)draw(n - 4), length = 1 + (size_t)draw(draw(2) ? 4 : 40);
        if (length > n - at) length = n - at;
        switch (draw(7)) {
        case 0: bytes[at] ^= (unsigned char)(1u << draw(8)); break;
        case 1: bytes[at] = (unsigned char)draw(256); break;
        case 2: memcpy(bytes + at, extreme[draw(6)], 4); break;
        case 3: bytes[at] = (unsigned char)"0123456789[]{}(),:'\"\\<>|"[draw(24)]; break;
        case 4: memmove(bytes + at, bytes + at + length, n - at - length), n -= length; break;
        case 5:
            if (n + length > room) break;
            memmove(bytes + at + length, bytes + at, n - at), n += length;
            break;
        default:
            if (draw(4) == 0) n = at;
            else memmove(bytes + at, bytes + draw(n - length + 1), length);
        }
    }
    return n;
}

/* Reading any file ends in tensors or in an error, without more memory than the file accounts for. */
static void expect_harmless(const char *path, size_t length, int64_t ratio) {
    enum { MOST = 8, OWN = 600 * 1024 }; /* an empty tape, buffers of fixed size, and unpacking */
    ledger l;
    ledger_open(&l);
    ag_tape *t = ag_tape_new_with(&l.allocator);
    ag_tensor *x[MOST];
    int count = ag_read_all(t, path, NULL, MOST, x);
    ag_status status = ag_tape_status(t);
    ck_assert_msg(status == AG_OK || status == AG_ERR_FILE, "%s", ag_tape_error(t));
    for (int i = 0; status == AG_OK && i < count && i < MOST; i++) ck_assert_ptr_nonnull(ag_data(x[i]));
    int64_t most = ag_tape_memory(t).peak_held;
    ck_assert_msg(most <= OWN + ratio * (int64_t)length, "%lld bytes for a file of %zu", (long long)most, length);
    ag_tape_free(t);
    ledger_close(&l);
}

typedef struct victim {
    const char *name;
    bool compress;
    int64_t ratio; /* of memory to a file's bytes: u8 becomes i64, and DEFLATE at most 1032 times as much of that */
} victim;

static const victim victims[] = {{"v.safetensors", false, 16}, {"v.npz", false, 16}, {"v.npz", true, 16 * 1032},
                                 {"v.npy", false, 16},         {"v.idx", false, 16}, {"v.idx.gz", false, 16 * 1032}};
enum { VICTIMS = 6 };

static void write_victim(const char *path, const victim *v) {
    const unsigned char idx[] = {0, 0, 8, 2, 0, 0, 0, 3, 0, 0, 0, 4, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12};
    ag_tensor *x[] = {
        ag_label(ag_arange(tape, AG_F64, 5), "weight"), ag_label(ag_ones(tape, AG_BOOL, AG_SHAPE(2, 2)), "ä"),
        ag_label(ag_zeros(tape, AG_F32, AG_SHAPE(0, 3)), "none"), ag_label(ag_arange(tape, AG_I64, 3), "count")};
    if (strstr(v->name, ".gz")) write_bytes(path, idx_gz, sizeof idx_gz);
    else if (strstr(v->name, ".idx")) write_bytes(path, idx, sizeof idx);
    else ag_save(path, strstr(v->name, ".npy") ? 1 : 4, x, &(ag_save_options){.compress = v->compress});
    expect_ok(tape);
}

START_TEST(test_mutated_files) {
    const victim *v = &victims[_i];
    if ((v->compress || strstr(v->name, ".gz")) && !AG_HAVE_ZLIB) return;
    const char *path = in_folder(v->name);
    int rounds = small_run() ? 200 : 4000;
    size_t length;
    write_victim(path, v);
    unsigned char *whole = read_bytes(path, &length), *mutant = malloc(2 * length);
    seed = (uint64_t)_i + 1;
    for (int i = 0; i < rounds; i++) {
        memcpy(mutant, whole, length);
        size_t n = mutate(mutant, length, 2 * length);
        write_bytes(path, mutant, n);
        expect_harmless(path, n, v->ratio);
    }
    free(whole), free(mutant);
}
END_TEST

int main(void) {
    Suite *suite = suite_create("files");
    TCase *right = tape_group(suite, "files");
    tcase_add_checked_fixture(right, make_folder, remove_folder);
    tcase_add_test(right, test_bits_of_every_dtype);
    tcase_add_test(right, test_every_rank);
    tcase_add_test(right, test_views_and_results);
    tcase_add_test(right, test_large_tensors);
    tcase_add_test(right, test_many_tensors_by_name);
    tcase_add_test(right, test_the_same_tensors_give_the_same_bytes);
    tcase_add_test(right, test_safetensors_are_aligned);
    tcase_add_test(right, test_packed_files);
    tcase_add_loop_test(right, test_every_kind_of_element, 0, (int)(sizeof kinds / sizeof *kinds));
    tcase_add_test(right, test_u64_beyond_i64);
    tcase_add_test(right, test_conversions_are_those_of_ag_cast);
    tcase_add_test(right, test_all_halves);
    tcase_add_test(right, test_fortran_order);
    tcase_add_test(right, test_idx);
    tcase_add_test(right, test_idx_packed);
    tcase_add_test(right, test_pieces);
    tcase_add_test(right, test_json_as_it_may_be_written);
    tcase_add_test(right, test_headers_as_numpy_may_write_them);
    tcase_add_loop_test(right, test_files_of_numpy, 0, 2);
    tcase_add_test(right, test_files_of_others);
    for (int i = 0; i < (int)(sizeof written / sizeof *written); i++) /* with tiny limits .npz has sizes of 64 bits */
        if (strcmp(written[i], "written.npz") != 0 || usual_pieces(1))
            tcase_add_loop_test(right, test_files_of_every_processor, i, i + 1);
    TCase *wrong = tape_group(suite, "faults");
    tcase_add_checked_fixture(wrong, make_folder, remove_folder);
    tcase_add_loop_test(wrong, test_npy_headers_that_are_wrong, 0, (int)(sizeof npy_faults / sizeof *npy_faults));
    tcase_add_loop_test(wrong, test_safetensors_headers_that_are_wrong, 0,
                        (int)(sizeof json_faults / sizeof *json_faults));
    tcase_add_test(wrong, test_lengths_of_headers);
    tcase_add_test(wrong, test_a_header_of_more_than_100_mb);
    if (!AG_TINY_LIMITS) { /* else sizes are elsewhere */
        tcase_add_test(wrong, test_an_end_of_64_bits);
        tcase_add_test(wrong, test_sizes_of_64_bits);
        tcase_add_test(wrong, test_another_packing);
        tcase_add_loop_test(wrong, test_zip_records_that_are_wrong, 0, (int)(sizeof patches / sizeof *patches));
    }
    tcase_add_test(wrong, test_two_of_one_name_in_a_zip_file);
    tcase_add_test(wrong, test_zip_files_cut_off_or_longer);
    tcase_add_test(wrong, test_bombs);
    tcase_add_test(wrong, test_damage_in_packed_bytes);
    tcase_add_test(wrong, test_files_that_are_none);
    tcase_add_test(wrong, test_arguments);
    tcase_add_test(wrong, test_what_cannot_be_saved);
    tcase_add_test(wrong, test_a_full_disk);
    tcase_add_loop_test(wrong, test_every_failing_allocation, 0, 3);
    tcase_add_loop_test(wrong, test_mutated_files, 0, VICTIMS);
    return run_suite(suite);
}
