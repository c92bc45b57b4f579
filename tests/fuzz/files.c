/* files -- fuzz targets: what reads tensors from files
 *
 * A file is read, or refused with an error that begins with the call's name and leaves nothing behind. What was read can be
 * written again, and reads as the same. */
#include "autograd_config.h"
#include "io/deflate.h"
#include "io/io.h"
#include "tests/fuzz/fuzz.h"

#include <stdio.h>
#include <string.h>

enum { ROOM = 6, MODEST = 4096 };

static bool same_bits(ag_tensor *a, ag_tensor *b) {
    ag_shape s = ag_shape_of(a), z = ag_shape_of(b);
    const void *p = ag_data(a), *q = ag_data(b);
    bool alike = p && q && ag_dtype_of(a) == ag_dtype_of(b) && s.rank == z.rank;
    for (int i = 0; alike && i < s.rank; i++) alike = s.extent[i] == z.extent[i];
    return alike && memcmp(p, q, (size_t)ag_size(a) * ag_dtype_size(ag_dtype_of(a))) == 0;
}

/* ---- Archives and single tensors ---- */

static void expect_data(ag_tape *t, int n, ag_tensor *const x[]) {
    for (int i = 0; i < n; i++)
        if (!ag_data(x[i])) fault("no data: %s", ag_tape_error(t));
}

/* The first tensors of a file that was read, written into a file of that ending, and read again. */
static void check_again(ag_tape *t, int n, ag_tensor *const x[], const char *ending) {
    static const char *const names[ROOM] = {"0", "1", "2", "3", "4", "5"};
    char name[20];
    int64_t nodes = ag_tape_memory(t).nodes;
    snprintf(name, sizeof name, "again.%s", ending);
    const char *path = path_of(name);
    for (int i = 0; i < n; i++)
        if (ag_size(x[i]) > MODEST) return;
    const bool packed = ag_size(x[0]) % 2 && strcmp(ending, "npz") == 0;
    ag_save(path, n, x, &(ag_save_options){.names = names, .compress = packed});
    if (packed && (ag_tape_status(t) == AG_ERR_FILE ||
                   ag_tape_status(t) == AG_ERR_LIBRARY)) { /* without zlib nothing is packed */
        refused(t, "save", nodes);
        return;
    }
    for (int i = 0; i < n; i++) { /* a file need not have them in this order, and .npy has no names */
        ag_tensor *z = ag_read(t, path, strcmp(ending, "npy") == 0 ? NULL : names[i], NULL);
        if (ag_tape_status(t) != AG_OK || !same_bits(x[i], z))
            fault("tensor %d of %d changes: %s", i, n, ag_tape_error(t));
    }
}

static int read_as(ag_tape *t, const char *path, const ag_read_options *options, ag_tensor *x[]) {
    int64_t nodes = ag_tape_memory(t).nodes;
    int n = ag_read_all(t, path, options, ROOM, x);
    if (!refused(t, "read_all", nodes)) {
        expect_data(t, n < ROOM ? n : ROOM, x);
        return n < ROOM ? n : ROOM;
    }
    for (int i = 0; i < ROOM; i++)
        if (!ag_is_nil(x[i])) fault("tensor %d is not nil after an error", i);
    if (n) fault("%d tensors after an error", n);
    return 0;
}

static void read_tensors(const char *name, const uint8_t *data, size_t size, const char *ending) {
    ledger l;
    ag_tape *t = tape_open(&l);
    const char *path = file_of(name, data, size);
    ag_tensor *x[ROOM];
    ag_mark start = ag_tape_mark(t);
    read_as(t, path, &(ag_read_options){.map = true}, x);
    read_as(t, path, &(ag_read_options){.convert = true, .dtype = (ag_dtype)(size % AG_DTYPES)}, x);
    ag_tape_rewind(t, start);
    int64_t nodes = ag_tape_memory(t).nodes;
    ag_data(ag_read(t, path, size % 2 ? NULL : "w", NULL));
    refused(t, "read", nodes);
    ag_tape_rewind(t, start);
    int n = read_as(t, path, NULL, x);
    if (n > 0) check_again(t, n, x, n == 1 && size % 3 == 0 ? "npy" : ending);
    tape_close(t, &l);
}

void fuzz_npy(const uint8_t *data, size_t size) { read_tensors("x.npy", data, size, "npz"); }
void fuzz_zip(const uint8_t *data, size_t size) { read_tensors("x.npz", data, size, "npz"); }
void fuzz_idx(const uint8_t *data, size_t size) { read_tensors("x.idx", data, size, "npz"); }

void fuzz_safetensors(const uint8_t *data, size_t size) { read_tensors("x.safetensors", data, size, "safetensors"); }

/* ---- Tables ---- */

static void read_table(ag_tape *t, const char *path, ag_dtype dtype, const ag_csv_options *options) {
    int64_t nodes = ag_tape_memory(t).nodes;
    ag_tensor *x = ag_csv_read(t, path, dtype, options);
    if (refused(t, "csv_read", nodes)) return;
    expect_data(t, 1, &x);
    if (ag_size(x) > MODEST) return;
    const char *again = path_of("again.csv");
    ag_csv_write(again, x, NULL);
    ag_tensor *y = ag_csv_read(t, again, dtype, NULL);
    if (ag_tape_status(t) != AG_OK) fault("what was read is not read again: %s", ag_tape_error(t));
    if (ag_size(x) != ag_size(y)) fault("%lld cells become %lld", (long long)ag_size(x), (long long)ag_size(y));
    expect_same(x, y);
}

void fuzz_csv(const uint8_t *data, size_t size) {
    static const char separators[] = {0, ';', '\t', ' ', '1', '"', '\n', '|'};
    static const char *const names[] = {"a", "b", ""};
    ledger l;
    ag_tape *t = tape_open(&l);
    feed f = {data, data + size};
    int lot = (int)feed_bits(&f, 1);
    const char *path = file_of("x.csv", f.at, (size_t)(f.end - f.at));
    ag_csv_options options = {.separator = separators[lot & 7], .header = lot & 8, .n = lot >> 4 & 3, .names = names};
    for (ag_dtype d = AG_I64; d <= AG_F64; d++) read_table(t, path, d, lot & 64 ? NULL : &options);
    tape_close(t, &l);
}

/* ---- Images ---- */

static void read_picture(ag_tape *t, const char *path, const char *ending) {
    char name[20];
    int64_t nodes = ag_tape_memory(t).nodes;
    ag_data(ag_image_read(t, path, AG_F32));
    bool bad = refused(t, "image_read", nodes);
    nodes = ag_tape_memory(t).nodes;
    ag_tensor *x = ag_image_read(t, path, AG_I64);
    if (refused(t, "image_read", nodes) != bad) fault("pixels are read as one dtype only");
    if (bad || !ag_data(x) || ag_size(x) > 4 * MODEST || ag_size(x) == 0) return;
    snprintf(name, sizeof name, "again.%s", ending);
    const char *again = path_of(name);
    ag_image_write(again, x);
    ag_tensor *y = ag_image_read(t, again, AG_I64);
    if (ag_tape_status(t) != AG_OK) fault("what was read is not read again: %s", ag_tape_error(t));
    if (!same_bits(x, y)) fault("an image changes on the way through a file");
}

void fuzz_pnm(const uint8_t *data, size_t size) {
    ledger l;
    ag_tape *t = tape_open(&l);
    read_picture(t, file_of("x.pnm", data, size), "pam");
    tape_close(t, &l);
}

static uint32_t big(const uint8_t *p) {
    return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

/* Puts the right checksum behind each chunk: libpng looks at little of a file where one is wrong. */
static void sign_chunks(uint8_t *data, size_t size) {
    for (size_t i = 8; i + 12 <= size;) {
        uint32_t length = big(data + i);
        if (length > size - i - 12) return;
        uint32_t crc = ag__crc32(0, data + i + 4, length + 4);
        for (int k = 0; k < 4; k++) data[i + 8 + length + (size_t)k] = (uint8_t)(crc >> (24 - 8 * k));
        i += 12 + length;
    }
}

void fuzz_png(const uint8_t *data, size_t size) {
    static uint8_t copy[1 << 16];
    ledger l;
    ag_tape *t = tape_open(&l);
    if (size > sizeof copy) size = sizeof copy;
    memcpy(copy, data, size);
    sign_chunks(copy, size);
    read_picture(t, file_of("x.png", copy, size), AG_HAVE_PNG ? "png" : "pam"); /* netpbm's are read there too */
    tape_close(t, &l);
}

/* ---- Elements without a header ---- */

void fuzz_raw(const uint8_t *data, size_t size) {
    static const char *const dtypes[] = {"bool", "i8",  "i16",  "i32", "i64", "u8",   "u16", "u32",
                                         "u64",  "f16", "bf16", "f32", "f64", "f128", "",    NULL};
    ledger l;
    ag_tape *t = tape_open(&l);
    feed f = {data, data + size};
    int lot = (int)feed_bits(&f, 1);
    ag_raw_options options = {.dtype = dtypes[lot & 15], .big_endian = lot & 16, .partial = lot & 32, .map = lot & 64};
    if (lot & 128) options.offset = feed_number(&f);
    ag_shape shape = feed_shape(&f);
    const char *path = file_of("x.raw", f.at, (size_t)(f.end - f.at));
    int64_t nodes = ag_tape_memory(t).nodes;
    ag_tensor *x = ag_raw_read(t, path, shape, &options);
    if (!refused(t, "raw_read", nodes)) {
        expect_data(t, 1, &x);
        const char *again = path_of("again.raw");
        static const char *const own[AG_DTYPES] = {"bool", "i64", "f32", "f64"};
        ag_raw_write(again, x);
        ag_tensor *y = ag_raw_read(t, again, shape, &(ag_raw_options){.dtype = own[ag_dtype_of(x)]});
        if (ag_tape_status(t) != AG_OK || !same_bits(x, y)) fault("elements change: %s", ag_tape_error(t));
    }
    tape_close(t, &l);
}
