/* test_exchange -- memory and files of other libraries: adopted, mapped, without a header, images, DLPack */
#define _POSIX_C_SOURCE 200809L
#include "autograd/tape/limits.h"
#include "io/io.h"

#include <math.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "autograd_config.h"
#include "tests/files.h"
#include "tests/support.h"

/* ---- Adopted memory ---- */

static void count(void *context) { ++*(int *)context; }

START_TEST(test_adopted_memory_is_released_once) {
    double d[] = {1, 2, 3};
    int released = 0;
    ag_mark mark = ag_tape_mark(tape);
    ag_tensor *x = ag_adopt(tape, AG_F64, AG_SHAPE(3), d, count, &released), *view = ag_flip(x, 0);
    ck_assert_ptr_eq(ag_data(x), d);
    expect_list(ag_add(x, view), 4, 4, 4);
    ck_assert_int_eq(released, 0);
    ag_tape_rewind(tape, mark);
    ck_assert_int_eq(released, 1);
    ag_adopt(tape, AG_F64, AG_SHAPE(3), d, count, &released);
    ag_tape_free(tape);
    ck_assert_int_eq(released, 2);
    tape = NULL;
}
END_TEST

/* A variable takes a copy: it may be overwritten in place. */
START_TEST(test_adopted_memory_is_never_written) {
    double d[] = {1, 2, 3};
    int released = 0;
    ag_tensor *v = ag_variable(tape, AG_F64, AG_SHAPE(3), d);
    ag_mark mark = ag_tape_mark(tape);
    ag_assign(v, ag_adopt(tape, AG_F64, AG_SHAPE(3), d, count, &released));
    ag_tape_rewind(tape, mark);
    ck_assert_int_eq(released, 1);
    for (int i = 0; i < 3; i++) {
        ag_assign(v, ag_scale(v, 2));
        ag_tape_rewind(tape, mark);
    }
    expect_list(v, 8, 16, 24);
    ck_assert(d[0] == 1 && d[1] == 2 && d[2] == 3);
}
END_TEST

START_TEST(test_adopting_that_fails_leaves_the_memory) {
    double d[] = {1, 2};
    int released = 0;
    ck_assert(ag_is_nil(ag_adopt(NULL, AG_F64, AG_SHAPE(2), d, count, &released)));
    ag_clear_error(NULL);
    ag_adopt(tape, AG_F64, AG_SHAPE(2), d, NULL, NULL);
    expect_error(tape, AG_ERR_NULL, "adopt", "releases", "test_exchange.c:");
    ag_adopt(tape, AG_F64, AG_SHAPE(2), NULL, count, &released);
    expect_error(tape, AG_ERR_NULL, "adopt", "2 elements");
    ag_adopt(tape, AG_F64, AG_SHAPE(1), (char *)d + 1, count, &released);
    expect_error(tape, AG_ERR_RANGE, "adopt", "aligned");
    ag_adopt(tape, (ag_dtype)7, AG_SHAPE(1), d, count, &released);
    expect_error(tape, AG_ERR_DTYPE, "adopt");
    ag_adopt(tape, AG_F64, AG_SHAPE(-1), d, count, &released);
    expect_error(tape, AG_ERR_SHAPE, "adopt");
    ck_assert_int_eq(released, 0);
}
END_TEST

static void misuse(void *context) {
    ag_tape *t = context;
    ag_scalar(t, AG_F64, 1);
}

START_TEST(test_a_release_cannot_use_the_tape) {
    double d = 1;
    ag_mark mark = ag_tape_mark(tape);
    ag_adopt(tape, AG_F64, AG_SCALAR, &d, misuse, tape);
    ag_tape_rewind(tape, mark);
    expect_error(tape, AG_ERR_TAPE, "release of adopted memory");
}
END_TEST

/* ---- Raw elements, and pages of files ---- */

START_TEST(test_raw_elements) {
    ag_tensor *x = ag_reshape(ag_arange(tape, AG_F32, 6), AG_SHAPE(2, 3));
    const char *path = in_folder("a.raw");
    ag_raw_write(path, ag_transpose(x, 0, 1));
    expect_ok(tape);
    expect_list(ag_raw_read(tape, path, AG_SHAPE(3, 2), NULL), 0, 3, 1, 4, 2, 5);
    expect_list(ag_raw_read(tape, path, AG_SHAPE(2), &(ag_raw_options){.offset = 8, .partial = true}), 1, 4);
    static const unsigned char bytes[] = {0xFF, 0, 1, 2, 0x3C, 0, 0x80, 0x3F};
    write_bytes(path, bytes, sizeof bytes);
    expect_list(ag_raw_read(tape, path, AG_SHAPE(8), &(ag_raw_options){.dtype = "u8"}), 255, 0, 1, 2, 60, 0, 128, 63);
    expect_list(ag_raw_read(tape, path, AG_SHAPE(4), &(ag_raw_options){.dtype = "i16", .big_endian = true}), -256, 258,
                15360, -32705);
    ag_raw_options half = {.dtype = "f16", .big_endian = true, .offset = 4, .partial = true};
    expect_list(ag_raw_read(tape, path, AG_SHAPE(1), &half), 1);
    expect_list(ag_raw_read(tape, path, AG_SHAPE(1), &(ag_raw_options){.dtype = "bf16", .offset = 6}), 1);
    expect_shape(ag_raw_read(tape, path, AG_SHAPE(0, 5), &(ag_raw_options){.offset = 8}), AG_SHAPE(0, 5));
    expect_ok(tape);
}
END_TEST

START_TEST(test_raw_files_that_do_not_fit) {
    const char *path = in_folder("a.raw");
    write_bytes(path, "12345678", 8);
    ag_raw_read(tape, path, AG_SHAPE(3), NULL);
    expect_error(tape, AG_ERR_FILE, path, "12 bytes of f32", "byte 0 on there are 8", "test_exchange.c:");
    ag_raw_read(tape, path, AG_SHAPE(1), NULL);
    expect_error(tape, AG_ERR_FILE, "4 bytes", "8");
    ag_raw_read(tape, path, AG_SHAPE(0), &(ag_raw_options){.offset = 9, .partial = true});
    expect_error(tape, AG_ERR_FILE, "byte 9 on there are 0");
    ag_raw_read(tape, path, AG_SHAPE(1), &(ag_raw_options){.offset = -1});
    expect_error(tape, AG_ERR_RANGE, "offset is -1");
    ag_raw_read(tape, path, AG_SHAPE(1), &(ag_raw_options){.dtype = "f8"});
    expect_error(tape, AG_ERR_DTYPE, "\"f8\"");
    ag_raw_read(tape, path, AG_SHAPE(INT64_MAX, 2), NULL);
    expect_error(tape, AG_ERR_SHAPE, "raw_read");
    ag_raw_read(tape, path, AG_SHAPE(INT64_MAX / 16), &(ag_raw_options){.dtype = "u64", .offset = INT64_MAX});
    expect_error(tape, AG_ERR_FILE, "takes");
    ag_raw_read(tape, NULL, AG_SHAPE(1), NULL);
    expect_error(tape, AG_ERR_NULL, "path");
    ag_raw_read(tape, in_folder("none"), AG_SHAPE(1), NULL);
    expect_error(tape, AG_ERR_FILE, "none");
    ag_raw_write(NULL, ag_scalar(tape, AG_F64, 1));
    expect_error(tape, AG_ERR_NULL, "raw_write");
    ag_raw_write("/nowhere/x", ag_scalar(tape, AG_F64, 1));
    expect_error(tape, AG_ERR_FILE, "raw_write", "/nowhere/x");
}
END_TEST

/* With and without pages of the file the elements are the same; large ones take no memory of the tape, unless their bytes have
 * to be turned. */
START_TEST(test_mapped_files) {
    static const char *const names[] = {"a.npy", "a.npz", "a.safetensors"};
    ag_read_options map = {.map = true}, converting = {.map = true, .convert = true, .dtype = AG_F64};
    ag_tensor *x = ag_label(ag_uniform(tape, AG_F32, AG_SHAPE(300, 200), -1, 1), "x");
    ag_keep(x);
    for (int i = 0; i < 3; i++) {
        const char *path = in_folder(names[i]);
        ag_save(path, 1, &x, NULL);
        int64_t before = ag_tape_memory(tape).live;
        ag_tensor *y = ag_read(tape, path, NULL, &map);
        expect_same(x, y);
        if (memory_is_in_file_order()) ck_assert_int_lt(ag_tape_memory(tape).live - before, 100000);
        expect_same(ag_cast(x, AG_F64), ag_read(tape, path, NULL, &converting));
        expect_same(ag_sum(ag_exp(x)), ag_sum(ag_exp(y)));
        remove(path);
        expect_same(x, y);
    }
    const char *path = in_folder("a.raw");
    ag_raw_write(path, x);
    ag_raw_options from = {.offset = 4 * 200, .map = true};
    expect_same(ag_slice(x, 0, 1, 300, 1), ag_raw_read(tape, path, AG_SHAPE(299, 200), &from));
    ag_raw_options odd = {.dtype = "f32", .offset = 1, .partial = true, .map = true};
    ag_tensor *shifted = ag_raw_read(tape, path, AG_SHAPE(10), &odd);
    odd.map = false;
    expect_same(ag_raw_read(tape, path, AG_SHAPE(10), &odd), shifted);
    expect_shape(ag_raw_read(tape, path, AG_SHAPE(0), &(ag_raw_options){.map = true, .partial = true}), AG_SHAPE(0));
    expect_ok(tape);
}
END_TEST

/* ---- Images ---- */

static void write_text(const char *path, const char *text) { write_bytes(path, text, strlen(text)); }

START_TEST(test_netpbm_files) {
    const char *path = in_folder("a.pnm");
    write_text(path, "P1 # bits\n3 2\n1 0 1\n010");
    expect_list(ag_image_read(tape, path, AG_I64), 0, 1, 0, 1, 0, 1);
    write_text(path, "P2\n# a comment\n2 2\n10\n0 5 # and one\n10\n7\n");
    ag_tensor *x = ag_image_read(tape, path, AG_F64);
    expect_shape(x, AG_SHAPE(2, 2, 1));
    expect_list(x, 0, 0.5, 1, 0.7);
    write_text(path, "P3 1 2 300 1 2 3 300 0 299");
    expect_list(ag_image_read(tape, path, AG_I64), 1, 2, 3, 300, 0, 299);
    write_bytes(path, "P4\n9 2\n\x80\x00\x01\x80", 11);
    expect_list(ag_image_read(tape, path, AG_I64), 0, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 0, 0);
    write_bytes(path, "P5 2 1 255\n\x00\xFF", 13);
    expect_list(ag_image_read(tape, path, AG_F32), 0, 1);
    write_bytes(path, "P6 1 1 65535\n\x00\x01\x02\x00\xFF\xFF", 19);
    expect_list(ag_image_read(tape, path, AG_I64), 1, 512, 65535);
    static const char pam[] = "P7\nWIDTH 1\nHEIGHT 2\nDEPTH 2\nMAXVAL 100\nTUPLTYPE GRAYSCALE_ALPHA\nENDHDR\n\1\2\3d";
    write_bytes(path, pam, sizeof pam - 1);
    x = ag_image_read(tape, path, AG_I64);
    expect_shape(x, AG_SHAPE(2, 1, 2));
    expect_list(x, 1, 2, 3, 100);
}
END_TEST

/* Images are written piece by piece. */
START_TEST(test_images_in_pieces) {
    enum { PIECE = AG__LIMIT(512, 8) };
    for (int64_t n = PIECE - 1; n <= PIECE + 1; n++)
        for (int64_t rows = 1; rows <= 2; rows++) {
            ag_tensor *x = ag_randint(tape, AG_SHAPE(rows, n, 1), 0, 256);
            ag_image_write(in_folder("a.pgm"), x);
            expect_same(x, ag_image_read(tape, in_folder("a.pgm"), AG_I64));
        }
    expect_ok(tape);
}
END_TEST

START_TEST(test_images_there_and_back) {
    static const char *const paths[] = {"a.png", "a.pam", "a.ppm", "a.pgm"};
    for (int f = AG_HAVE_PNG ? 0 : 1; f < 4; f++)
        for (int channels = 1; channels <= 4; channels++) {
            if ((f == 2 && channels != 3) || (f == 3 && channels != 1)) continue;
            ag_shape shape = AG_SHAPE(7, 5, channels);
            for (int wide = 0; wide < 2; wide++) {
                ag_tensor *x = ag_cast(ag_uniform(tape, AG_F64, shape, 0, wide ? 65536 : 256), AG_I64);
                ag_image_write(in_folder(paths[f]), x);
                expect_ok(tape);
                expect_same(x, ag_image_read(tape, in_folder(paths[f]), AG_I64));
                ag_tensor *r = ag_image_read(tape, in_folder(paths[f]), AG_F64);
                expect_same(ag_div(ag_cast(x, AG_F64), ag_scalar(tape, AG_F64, wide ? 65535 : 255)), r);
                ag_image_write(in_folder(paths[f]), r);
                ag_tensor *bytes = ag_cast(ag_add_scalar(ag_scale(r, 255), 0.5), AG_I64);
                expect_same(bytes, ag_image_read(tape, in_folder(paths[f]), AG_I64));
            }
        }
    ag_tensor *grey = ag_transpose(tensor_of(tape, AG_F32, AG_SHAPE(2, 2), (double[]){-1, 0.5, 2, INFINITY}), 0, 1);
    ag_image_write(in_folder("b.pgm"), grey);
    expect_list(ag_image_read(tape, in_folder("b.pgm"), AG_I64), 0, 255, 128, 255);
    expect_ok(tape);
}
END_TEST

START_TEST(test_images_that_cannot_be_written) {
    const char *path = in_folder("a.pam");
    ag_tensor *x = ag_zeros(tape, AG_F32, AG_SHAPE(2, 2, 3));
    ag_image_write(in_folder("a.gif"), x);
    expect_error(tape, AG_ERR_RANGE, "image_write", ".png, .pgm", "test_exchange.c:");
    ag_image_write("png", x);
    expect_error(tape, AG_ERR_RANGE, "must end in");
    ag_image_write(in_folder("a.pgm"), x);
    expect_error(tape, AG_ERR_SHAPE, "(2,2,3)", "1 channel");
    ag_image_write(in_folder("a.ppm"), ag_zeros(tape, AG_F32, AG_SHAPE(2, 2)));
    expect_error(tape, AG_ERR_SHAPE, "3 channels");
    ag_image_write(path, ag_zeros(tape, AG_F32, AG_SHAPE(2, 2, 5)));
    expect_error(tape, AG_ERR_SHAPE, "1 to 4");
    ag_image_write(path, ag_zeros(tape, AG_F32, AG_SHAPE(2, 2, 0)));
    expect_error(tape, AG_ERR_SHAPE, "1 to 4");
    ag_image_write(path, ag_zeros(tape, AG_F32, AG_SHAPE(0, 2)));
    expect_error(tape, AG_ERR_SHAPE, "at least one pixel");
    ag_image_write(path, ag_zeros(tape, AG_F32, AG_SHAPE(4)));
    expect_error(tape, AG_ERR_SHAPE, "(H,W,C)");
    ag_image_write(path, ag_zeros(tape, AG_BOOL, AG_SHAPE(2, 2)));
    expect_error(tape, AG_ERR_DTYPE, "bool");
    ag_image_write(path, ag_full(tape, AG_F64, AG_SHAPE(2, 2), NAN));
    expect_error(tape, AG_ERR_RANGE, "NaN");
    ag_image_write(path, ag_full(tape, AG_I64, AG_SHAPE(2, 2), -1));
    expect_error(tape, AG_ERR_RANGE, "65535");
    ag_image_write(path, ag_full(tape, AG_I64, AG_SHAPE(2, 2), 65536));
    expect_error(tape, AG_ERR_RANGE, "65535");
    size_t length;
    ck_assert_ptr_null(fopen(path, "rb")); /* none of these began to write */
    ag_image_write(path, x);
    ag_image_write(path, ag_full(tape, AG_F64, AG_SHAPE(2, 2), NAN));
    expect_error(tape, AG_ERR_RANGE, "NaN");
    free(read_bytes(path, &length)); /* and the file is still there */
    ag_image_write("/nowhere/a.pam", x);
    expect_error(tape, AG_ERR_FILE, "/nowhere/a.pam");
    ag_tensor *none = ag_gather(x, ag_full(tape, AG_I64, ag_shape_of(x), 1 << 20), 0); /* it has no value */
    ag_image_write(in_folder("a.ppm"), none);
    expect_error(tape, AG_ERR_RANGE, "gather");
    ag_raw_write(in_folder("a.raw"), none);
    expect_error(tape, AG_ERR_RANGE, "gather");
    ag_image_read(NULL, in_folder("a.pgm"), AG_F32);
    expect_error(NULL, AG_ERR_NULL, "image_read: the tape is NULL");
    ag_raw_read(NULL, in_folder("a.raw"), AG_SHAPE(1), NULL);
    expect_error(NULL, AG_ERR_NULL, "raw_read: the tape is NULL");
    ag_raw_read(tape, NULL, AG_SHAPE(1), NULL);
    expect_error(tape, AG_ERR_NULL, "raw_read: the path is NULL");
    ag_image_write(NULL, x);
    expect_error(tape, AG_ERR_NULL, "path");
    if (AG_HAVE_PNG) return;
    ag_image_write(in_folder("a.png"), x);
    expect_error(tape, AG_ERR_FILE, "without libpng");
}
END_TEST

START_TEST(test_images_that_cannot_be_read) {
    static const struct {
        const char *text, *why;
    } bad[] = {
        {"", "begins as none"},
        {"P", "begins as none"},
        {"P8 1 1", "begins as none"},
        {"P5", "width is missing"},
        {"P5 1", "height is missing"},
        {"P5 x 1 1 ", "width is missing"},
        {"P5 0 1 255 ", "width is not between"},
        {"P5 1 99999999999999999999 255 ", "height is not between"},
        {"P5 1 1 65536 x", "largest value is not between"},
        {"P5 1 1 255", "does not end in a blank"},
        {"P5 2 2 255 abc", "takes 4 bytes, and the file has no more than 3"},
        {"P5 2147483647 2147483647 255 abc", "its shape has more elements"},
        {"P5 1 1 64 z", "a sample is 122, which is more than 64"},
        {"P2 2 1 9 1", "next sample is missing"},
        {"P2 1 1 9 12", "a sample is 12"},
        {"P2 100 100 9 12", "takes"},
        {"P1 3 1 012", "too few pixels"},
        {"P4 9 3 abcd", "takes"},
        {"P7\nWIDTH 1\nENDHDR\nx", "lacks"},
        {"P7\nWIDTH 1\nSIZE 1\n", "unknown line"},
        {"P7\nWIDTH 1\nDEPTH 9\n", "depth is not between"},
        {"P7", "unknown line"},
    };
    const char *path = in_folder("a.pnm");
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        write_text(path, bad[i].text);
        ag_image_read(tape, path, AG_F32);
        expecting(bad[i].text);
        expect_error(tape, AG_ERR_FILE, "image_read", path, bad[i].why, "test_exchange.c:");
    }
    expecting("");
    ag_image_read(tape, path, AG_BOOL);
    expect_error(tape, AG_ERR_DTYPE, "bool");
    ag_image_read(tape, NULL, AG_F32);
    expect_error(tape, AG_ERR_NULL, "path");
    write_bytes(path, "\x89PNG\r\n\x1a\n....", 12);
    ag_image_read(tape, path, AG_F32);
    expect_error(tape, AG_ERR_FILE, path, AG_HAVE_PNG ? "" : "without libpng");
}
END_TEST

static uint64_t next_random(uint64_t *state) {
    *state ^= *state << 13;
    *state ^= *state >> 7;
    return *state ^= *state << 17;
}

/* Files with some bytes changed, and cut short: an image or an error, and no memory left over. */
START_TEST(test_mutated_images) {
    static const char *const paths[] = {"a.png", "a.pam", "a.ppm", "a.pgm"};
    const char *path = in_folder("mutated");
    uint64_t state = 88172645463325252u + (uint64_t)_i;
    if (_i == 0 && !AG_HAVE_PNG) return;
    ag_image_write(in_folder(paths[_i]), ag_uniform(tape, AG_F32, AG_SHAPE(9, 11, _i == 3 ? 1 : 3), 0, 1));
    size_t length;
    unsigned char *whole = read_bytes(in_folder(paths[_i]), &length);
    unsigned char *bytes = malloc(length);
    ag_mark mark = ag_tape_mark(tape);
    for (int round = 0, rounds = small_run() ? 100 : 1500; round < rounds; round++) {
        memcpy(bytes, whole, length);
        for (int k = 0, n = 1 + (int)(next_random(&state) % 3); k < n; k++)
            bytes[next_random(&state) % (round % 2 ? length : 60)] = (unsigned char)next_random(&state);
        write_bytes(path, bytes, round % 5 ? length : (size_t)(next_random(&state) % length));
        ag_tensor *x = ag_image_read(tape, path, AG_F32);
        ck_assert(ag_is_nil(x) == (ag_tape_status(tape) != AG_OK));
        if (ag_is_nil(x)) {
            ck_assert(ag_tape_status(tape) == AG_ERR_FILE || ag_tape_status(tape) == AG_ERR_MEMORY);
            ag_clear_error(tape);
        }
        ag_tape_rewind(tape, mark);
    }
    free(whole);
    free(bytes);
}
END_TEST

/* ---- DLPack ---- */

/* The two structs as the specification has them. */
typedef struct dl_tensor {
    void *data;
    int32_t device_type, device_id;
    int32_t ndim;
    uint8_t code, bits;
    uint16_t lanes;
    int64_t *shape, *strides;
    uint64_t byte_offset;
} dl_tensor;

struct DLManagedTensor {
    dl_tensor t;
    void *context;
    void (*deleter)(struct DLManagedTensor *);
};

struct DLManagedTensorVersioned {
    uint32_t major, minor;
    void *context;
    void (*deleter)(struct DLManagedTensorVersioned *);
    uint64_t flags;
    dl_tensor t;
};

static void delete_foreign(struct DLManagedTensor *m) { ++*(int *)m->context; }
static void delete_foreign_versioned(struct DLManagedTensorVersioned *m) { ++*(int *)m->context; }

static struct DLManagedTensor foreign(void *data, int code, int bits, int ndim, int64_t *shape, int64_t *strides,
                                      int *deleted) {
    return (struct DLManagedTensor){{.data = data,
                                     .device_type = 1,
                                     .ndim = ndim,
                                     .code = (uint8_t)code,
                                     .bits = (uint8_t)bits,
                                     .lanes = 1,
                                     .shape = shape,
                                     .strides = strides},
                                    deleted,
                                    delete_foreign};
}

START_TEST(test_tensors_of_others) {
    double d[12];
    int deleted = 0;
    int64_t shape[] = {2, 3}, strides[] = {-6, 2};
    for (int i = 0; i < 12; i++) d[i] = i;
    ag_mark mark = ag_tape_mark(tape);
    struct DLManagedTensor m = foreign(d, 2, 64, 2, shape, NULL, &deleted);
    ag_tensor *x = ag_from_dlpack(tape, &m);
    expect_shape(x, AG_SHAPE(2, 3));
    ck_assert_ptr_eq(ag_data(x), d);
    struct DLManagedTensor n = m;
    n.t.strides = strides;
    n.t.byte_offset = 6 * sizeof(double);
    ag_tensor *y = ag_from_dlpack(tape, &n);
    expect_list(y, 6, 8, 10, 0, 2, 4);
    expect_list(ag_add(x, y), 6, 9, 12, 3, 6, 9);
    expect_list(ag_sum_over(ag_exp(ag_scale(y, 0)), AG_AXES(0), false), 2, 2, 2);
    expect_list(ag_matmul(y, ag_transpose(x, 0, 1)), 28, 100, 10, 28);
    ag_tensor *v = ag_variable_from(y);
    expect_list(v, 6, 8, 10, 0, 2, 4);
    strides[0] = 0;
    struct DLManagedTensorVersioned w = {1, 1, &deleted, delete_foreign_versioned, 1, n.t};
    expect_list(ag_from_dlpack_versioned(tape, &w), 6, 8, 10, 6, 8, 10);
    struct DLManagedTensor without = m;
    without.deleter = NULL;
    ag_from_dlpack(tape, &without);
    ck_assert_int_eq(deleted, 0);
    ag_tape_rewind(tape, mark);
    ck_assert_int_eq(deleted, 3);
}
END_TEST

START_TEST(test_tensors_of_others_that_are_converted) {
    unsigned char bytes[] = {2, 0, 0xFF, 1};
    int deleted = 0;
    int64_t shape[] = {4}, two[] = {2}, back[] = {-1};
    struct DLManagedTensor m = foreign(bytes, 1, 8, 1, shape, NULL, &deleted);
    expect_list(ag_from_dlpack(tape, &m), 2, 0, 255, 1);
    m.t.code = 0;
    expect_list(ag_from_dlpack(tape, &m), 2, 0, -1, 1);
    m.t.code = 6; /* a bool is 0 or 1 here */
    expect_list(ag_from_dlpack(tape, &m), 1, 0, 1, 1);
    ck_assert_int_eq(deleted, 3);
    uint16_t half[] = {0x3C00, 0xC000, 0x7C00};
    m = foreign(half, 2, 16, 1, two, back, &deleted);
    m.t.byte_offset = 2;
    expect_list(ag_from_dlpack(tape, &m), -2, 1);
    double wide[3];
    m = foreign((char *)wide + 4, 2, 64, 1, two, NULL, &deleted); /* not aligned */
    memcpy((char *)wide + 4, (double[]){1.5, 2.5}, 16);
    expect_list(ag_from_dlpack(tape, &m), 1.5, 2.5);
    ck_assert_int_eq(deleted, 5);
    uint64_t large = UINT64_MAX;
    m = foreign(&large, 1, 64, 0, NULL, NULL, &deleted);
    ag_from_dlpack(tape, &m);
    expect_error(tape, AG_ERR_RANGE, "from_dlpack", "element 0", "i64", "test_exchange.c:");
    large = 7;
    expect_list(ag_from_dlpack(tape, &m), 7);
    ck_assert_int_eq(deleted, 6);
}
END_TEST

/* More elements than could be looked at one by one, of few bytes. */
START_TEST(test_tensors_of_others_that_repeat) {
    const ag_mark mark = ag_tape_mark(tape);
    unsigned char truth[] = {1, 0, 1, 1, 0, 1};
    int deleted = 0;
    int64_t repeated[] = {3, INT64_C(1) << 40, 2}, repeats[] = {2, 0, -1};
    struct DLManagedTensor m = foreign(truth, 6, 8, 3, repeated, repeats, &deleted);
    m.t.byte_offset = 1;
    ag_tensor *x = ag_from_dlpack(tape, &m);
    expect_list(ag_slice(x, 1, 7, 8, 1), 0, 1, 1, 1, 1, 0);
    int64_t few[] = {2, 3, 2}, apart[] = {3, 0, 1}, windows[] = {2, 2, 2, 2}, near[] = {2, 1, 1, 1};
    m = foreign(truth, 6, 8, 3, few, apart, &deleted);
    truth[2] = truth[5] = 7; /* beside the elements */
    x = ag_from_dlpack(tape, &m);
    truth[0] = 0; /* it is not copied */
    expect_list(x, 0, 0, 0, 0, 0, 0, 1, 0, 1, 0, 1, 0);
    truth[0] = 1, truth[4] = 7;
    expect_list(ag_from_dlpack(tape, &m), 1, 0, 1, 0, 1, 0, 1, 1, 1, 1, 1, 1);
    truth[2] = 0, truth[4] = 1;
    m = foreign(truth, 6, 8, 4, windows, near, &deleted);
    expect_list(ag_from_dlpack(tape, &m), 1, 0, 0, 0, 0, 0, 0, 1, 0, 1, 1, 1, 1, 1, 1, 1);
    ag_tape_rewind(tape, mark);
    ck_assert_int_eq(deleted, 4);
}
END_TEST

START_TEST(test_tensors_of_others_that_are_refused) {
    float f[4] = {0};
    int deleted = 0;
    int64_t shape[9] = {2, 2, 1, 1, 1, 1, 1, 1, 1}, strides[] = {INT64_MAX, 1};
    const struct DLManagedTensor good = foreign(f, 2, 32, 2, shape, NULL, &deleted);
    struct DLManagedTensor m = good;
    m.t.device_type = 2;
    ag_from_dlpack(tape, &m);
    expect_error(tape, AG_ERR_RANGE, "device is 2", "1, the CPU, is wanted", "test_exchange.c:");
    m = good, m.t.lanes = 4;
    ag_from_dlpack(tape, &m);
    expect_error(tape, AG_ERR_DTYPE, "4 lanes");
    m = good, m.t.code = 5;
    ag_from_dlpack(tape, &m);
    expect_error(tape, AG_ERR_DTYPE, "code 5");
    m = good, m.t.ndim = 9;
    ag_from_dlpack(tape, &m);
    expect_error(tape, AG_ERR_SHAPE, "rank is 9");
    m = good, m.t.ndim = -1;
    ag_from_dlpack(tape, &m);
    expect_error(tape, AG_ERR_SHAPE, "rank is -1");
    m = good, m.t.shape = NULL;
    ag_from_dlpack(tape, &m);
    expect_error(tape, AG_ERR_NULL, "shape is NULL");
    m = good, m.t.data = NULL;
    ag_from_dlpack(tape, &m);
    expect_error(tape, AG_ERR_NULL, "data is NULL");
    m = good, m.t.strides = strides;
    ag_from_dlpack(tape, &m);
    expect_error(tape, AG_ERR_RANGE, "stride");
    strides[0] = INT64_MIN;
    ag_from_dlpack(tape, &m);
    expect_error(tape, AG_ERR_RANGE, "stride");
    shape[0] = -2;
    m = good;
    ag_from_dlpack(tape, &m);
    expect_error(tape, AG_ERR_SHAPE, "negative extent -2");
    ag_from_dlpack(tape, NULL);
    expect_error(tape, AG_ERR_NULL, "tensor is NULL");
    ag_from_dlpack_versioned(tape, &(struct DLManagedTensorVersioned){.major = 2, .t = good.t});
    expect_error(tape, AG_ERR_RANGE, "version", "2");
    ck_assert(ag_is_nil(ag_from_dlpack(NULL, &m)));
    ag_clear_error(NULL);
    shape[0] = 0; /* no elements need no data */
    static struct DLManagedTensor empty;
    empty = good, empty.t.data = NULL, empty.deleter = NULL;
    expect_shape(ag_from_dlpack(tape, &empty), AG_SHAPE(0, 2));
    ck_assert_int_eq(deleted, 0);
}
END_TEST

static void expect_lent(const dl_tensor *t, ag_tensor *x) {
    ck_assert_int_eq(t->device_type, 1);
    ck_assert_int_eq(t->ndim, ag_rank(x));
    for (int i = 0; i < t->ndim; i++) ck_assert_int_ge(t->strides[i], 0); /* PyTorch ends the process at others */
    ag_tensor *all = ag_wrap(tape, ag_dtype_of(x), ag_shape_of(x), ag_data(x));
    for (int64_t at = 0, size = ag_size(x); at < size; at++) {
        int64_t offset = 0, rest = at;
        for (int i = t->ndim - 1; i >= 0; rest /= t->shape[i--]) offset += rest % t->shape[i] * t->strides[i];
        ck_assert_double_eq(element_at(ag_dtype_of(x), t->data, offset), ag_element(all, at));
    }
}

START_TEST(test_tensors_for_others) {
    ag_tensor *large = ag_reshape(ag_arange(tape, AG_F32, 100 * 90), AG_SHAPE(100, 90));
    ag_tensor *each[] = {large,
                         ag_transpose(large, 0, 1),
                         ag_slice(large, 1, 80, 5, -7),
                         ag_cast(large, AG_I64),
                         ag_greater(large, ag_scalar(tape, AG_F32, 50)),
                         ag_scalar(tape, AG_F64, 2.5),
                         ag_broadcast_to(ag_arange(tape, AG_F64, 5), AG_SHAPE(3, 5)),
                         ag_zeros(tape, AG_F64, AG_SHAPE(3, 0)),
                         ag_parameter_from(large),
                         ag_exp(ag_scale(large, 1e-4))};
    for (size_t i = 0; i < sizeof each / sizeof *each; i++) {
        struct DLManagedTensor *m = ag_to_dlpack(each[i]);
        ck_assert_ptr_nonnull(m);
        expect_lent(&m->t, each[i]);
        if (i < 2) ck_assert_ptr_eq(m->t.data, ag_data(large)); /* shared */
        struct DLManagedTensorVersioned *v = ag_to_dlpack_versioned(each[i]);
        ck_assert_uint_eq(v->major, 1);
        ck_assert_uint_eq(v->flags, 1);
        expect_lent(&v->t, each[i]);
        m->deleter(m);
        expect_lent(&v->t, each[i]);
        v->deleter(v);
    }
    expect_ok(tape);
    ck_assert_ptr_null(ag_to_dlpack(NULL));
    ag_clear_error(NULL);
    ck_assert_ptr_null(ag_to_dlpack(ag_gather(large, ag_full(tape, AG_I64, AG_SHAPE(1, 1), 1000), 0)));
    expect_error(tape, AG_ERR_RANGE, "gather");
}
END_TEST

/* A value that is lent outlasts rewinds and assignments, and its memory is used again once it is returned. */
START_TEST(test_what_is_lent_stays) {
    enum { N = 8192 };
    on_one_thread(tape);
    ag_tensor *p = ag_parameter_from(ag_full(tape, AG_F64, AG_SHAPE(N), 3));
    ag_mark mark = ag_tape_mark(tape);
    int64_t held = 0;
    for (int round = 0; round < 20; round++) {
        ag_tensor *y = ag_add_scalar(p, round);
        struct DLManagedTensor *m = ag_to_dlpack(y), *of_p = ag_to_dlpack(p);
        const double *d = m->t.data, *before = of_p->t.data;
        double was = before[N - 1], sum = d[0];
        ag_assign(p, ag_add_scalar(p, 1));
        ag_tape_rewind(tape, mark);
        expect_item(ag_element(p, 0) == was + 1 ? ag_scalar(tape, AG_F64, 1) : ag_scalar(tape, AG_F64, 0), 1);
        ag_eval(ag_full(tape, AG_F64, AG_SHAPE(N), -1));
        ck_assert(before[0] == was && before[N - 1] == was && d[0] == sum && d[N - 1] == sum);
        m->deleter(m);
        of_p->deleter(of_p);
        ag_tape_rewind(tape, mark);
        if (round == 4) held = ag_tape_memory(tape).held;
    }
    ck_assert_int_eq(ag_tape_memory(tape).held, held);
}
END_TEST

static void *delete_all(void *context) {
    struct DLManagedTensor **m = context;
    for (int i = 0; i < 4; i++) m[i]->deleter(m[i]);
    return NULL;
}

/* Two loans of one value, one of a small one, and one of adopted memory, all returned after the tape. */
START_TEST(test_what_is_lent_outlasts_the_tape) {
    static double adopted[5000];
    int released = 0;
    ledger l;
    ledger_open(&l);
    ag_tape *t = ag_tape_new_with(&l.allocator);
    ag_tensor *large = ag_keep(ag_add_scalar(ag_arange(t, AG_F64, 9000), 1.5));
    struct DLManagedTensor *m[4] = {ag_to_dlpack(large), ag_to_dlpack(ag_slice(large, 0, 0, 9000, 2)),
                                    ag_to_dlpack(ag_full(t, AG_F32, AG_SHAPE(3), 2)),
                                    ag_to_dlpack(ag_adopt(t, AG_F64, AG_SHAPE(5000), adopted, count, &released))};
    ck_assert_ptr_eq(m[0]->t.data, m[1]->t.data);
    ag_tape_free(t);
    ck_assert_int_eq(released, 0);
    ck_assert(((double *)m[1]->t.data)[8998] == 8999.5 && ((float *)m[2]->t.data)[2] == 2);
    pthread_t thread;
    ck_assert_int_eq(pthread_create(&thread, NULL, delete_all, m), 0);
    pthread_join(thread, NULL);
    ck_assert_int_eq(released, 1);
    ledger_close(&l);
}
END_TEST

/* Sizes on both sides of the limit from which a value is in the heap, 2 kB with its header: a copy is lent below it, the
 * value itself above, and either outlasts the tape. */
START_TEST(test_what_is_lent_has_any_size) {
    int shared = 0, copied = 0;
    for (int64_t n = 235; n <= 265; n++) {
        ledger l;
        ledger_open(&l);
        ag_tape *t = ag_tape_new_with(&l.allocator);
        ag_tensor *x = ag_keep(ag_add_scalar(ag_arange(t, AG_F64, n), 0.5));
        ck_assert_int_eq(ag_eval(x), AG_OK);
        struct DLManagedTensor *m = ag_to_dlpack(x), *again = ag_to_dlpack(x);
        ck_assert(m && again);
        *(m->t.data == ag_data(x) ? &shared : &copied) += 1;
        ag_tape_free(t);
        const double *first = m->t.data, *second = again->t.data;
        ck_assert(first[0] == 0.5 && first[n - 1] == (double)n - 0.5 && second[n - 1] == (double)n - 0.5);
        m->deleter(m);
        again->deleter(again);
        ledger_close(&l);
    }
    ck_assert(shared > 0 && copied > 0);
}
END_TEST

/* A limit that has refused memory before is not named when the allocator refuses it. */
START_TEST(test_lending_without_memory) {
    ledger l;
    ledger_open(&l);
    ag_tape *t = ag_tape_new_with(&l.allocator);
    ag_tensor *x = ag_keep(ag_add_scalar(ag_arange(t, AG_F64, 9000), 0.5));
    ck_assert_int_eq(ag_eval(x), AG_OK);
    ag_tape_limit(t, ag_tape_memory(t).held + 4096, 0, 0);
    ag_eval(ag_arange(t, AG_F64, 100000));
    expect_error(t, AG_ERR_LIMIT, "arange", "bytes");
    ag_tape_limit(t, 0, 0, 0);
    l.fail_at = l.calls + 1;
    ck_assert_ptr_null(ag_to_dlpack(x));
    expect_error(t, AG_ERR_MEMORY, "to_dlpack", "out of memory (a tensor for another library)", "test_exchange.c:");
    ag_tape_free(t);
    ledger_close(&l);
}
END_TEST

START_TEST(test_a_loan_is_taken_back_as_a_tensor) {
    ag_tensor *x = ag_arange(tape, AG_F64, 5000);
    struct DLManagedTensor *m = ag_to_dlpack(x);
    ag_tensor *y = ag_from_dlpack(tape, m);
    ck_assert_ptr_eq(ag_data(x), ag_data(y));
    expect_same(x, y);
}
END_TEST

/* ---- Memory ---- */

static bool exchange(ag_tape *t, const char *raw, const char *image, int *deleted) {
    static double d[3000];
    static unsigned char u[] = {1, 2};
    int64_t shape[] = {3000}, two[] = {2};
    static struct DLManagedTensor m, c;
    m = foreign(d, 2, 64, 1, shape, NULL, deleted), c = foreign(u, 1, 8, 1, two, NULL, deleted);
    bool good = !ag_is_nil(ag_from_dlpack(t, &m));
    if (good) good = !ag_is_nil(ag_from_dlpack(t, &c));
    struct DLManagedTensor *lent = ag_to_dlpack(ag_full(t, AG_F64, AG_SHAPE(5), 1));
    if (lent) lent->deleter(lent);
    ag_raw_write(raw, ag_full(t, AG_F32, AG_SHAPE(10), 1));
    ag_raw_read(t, raw, AG_SHAPE(10), &(ag_raw_options){.map = true});
    ag_image_write(image, ag_full(t, AG_F32, AG_SHAPE(4, 4), 0.5));
    ag_image_read(t, image, AG_F64);
    return ag_tape_status(t) == AG_OK;
}

START_TEST(test_every_failing_allocation) {
    const char *raw = in_folder("a.raw"), *image = in_folder(AG_HAVE_PNG && _i ? "a.png" : "a.pgm");
    bool came_through = false;
    for (int64_t fail_at = 2; !came_through; fail_at++) {
        ledger l;
        int deleted = 0;
        ledger_open(&l);
        l.fail_at = fail_at;
        ag_tape *t = ag_tape_new_with(&l.allocator);
        ck_assert_ptr_nonnull(t);
        bool good = exchange(t, raw, image, &deleted);
        came_through = !l.failed;
        ck_assert(good || l.failed);
        ck_assert_int_eq(ag_tape_status(t), good ? AG_OK : AG_ERR_MEMORY);
        ag_tape_free(t);
        ck_assert_int_le(deleted, 2);
        if (good) ck_assert_int_eq(deleted, 2);
        ledger_close(&l);
    }
}
END_TEST

int main(void) {
    Suite *s = suite_create("exchange");
    TCase *adopted = tape_group(s, "adopted");
    tcase_add_test(adopted, test_adopted_memory_is_released_once);
    tcase_add_test(adopted, test_adopted_memory_is_never_written);
    tcase_add_test(adopted, test_adopting_that_fails_leaves_the_memory);
    tcase_add_test(adopted, test_a_release_cannot_use_the_tape);
    TCase *files = tape_group(s, "files");
    tcase_add_checked_fixture(files, make_folder, remove_folder);
    tcase_add_test(files, test_raw_elements);
    tcase_add_test(files, test_raw_files_that_do_not_fit);
    tcase_add_test(files, test_mapped_files);
    tcase_add_test(files, test_netpbm_files);
    tcase_add_test(files, test_images_there_and_back);
    tcase_add_test(files, test_images_in_pieces);
    tcase_add_test(files, test_images_that_cannot_be_written);
    tcase_add_test(files, test_images_that_cannot_be_read);
    tcase_add_loop_test(files, test_mutated_images, 0, 4);
    tcase_add_loop_test(files, test_every_failing_allocation, 0, 2);
    TCase *dlpack = tape_group(s, "dlpack");
    tcase_add_test(dlpack, test_tensors_of_others);
    tcase_add_test(dlpack, test_tensors_of_others_that_are_converted);
    tcase_add_test(dlpack, test_tensors_of_others_that_repeat);
    tcase_add_test(dlpack, test_tensors_of_others_that_are_refused);
    tcase_add_test(dlpack, test_tensors_for_others);
    tcase_add_test(dlpack, test_what_is_lent_stays);
    tcase_add_test(dlpack, test_what_is_lent_outlasts_the_tape);
    tcase_add_test(dlpack, test_what_is_lent_has_any_size);
    tcase_add_test(dlpack, test_lending_without_memory);
    tcase_add_test(dlpack, test_a_loan_is_taken_back_as_a_tensor);
    return run_suite(s);
}
