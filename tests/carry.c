/* carry -- files that one processor writes and another reads: carry write FOLDER, or carry read FOLDER...
 *
 * Each format is written with the same content: every dtype, numbers at the ends of each (NaN, infinities, −0, the smallest
 * and the largest), no axis, no elements, reversed and permuted views; and a checkpoint with numbers and the state of random
 * numbers. Reading compares every bit with what this processor makes itself. processors.py calls both. */
#include "io/checkpoint.h"
#include "io/exchange.h"
#include "io/io.h"

#include <float.h>
#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { TENSORS = 7, PATH = 4096 };

static int faults;

static void fault(const char *file, const char *text) {
    printf("carry: %s: %s\n", file, text);
    faults++;
}

static const char *path_of(const char *folder, const char *file) {
    static char path[PATH];
    snprintf(path, sizeof path, "%s/%s", folder, file);
    return path;
}

/* ---- The content ---- */

static void make(ag_tape *tape, ag_tensor *x[TENSORS]) {
    static const double wide[] = {NAN, INFINITY, -INFINITY, -0.0, 0x1p-1074, -DBL_MAX, 0.1, 1 + 0x1p-52};
    static const float narrow[] = {NAN, -INFINITY, -0.0f, 0x1p-149f, FLT_MAX, 0.1f};
    static const int64_t whole[] = {INT64_MIN, INT64_MAX, -1, 0, INT64_C(0x0102030405060708), 256};
    static const bool truth[] = {true, false, false, true, true};
    x[0] = ag_label(ag_from(tape, AG_F64, AG_SHAPE(2, 4), wide), "wide");
    x[1] = ag_label(ag_from(tape, AG_F32, AG_SHAPE(6), narrow), "narrow/of one");
    x[2] = ag_label(ag_permute(ag_from(tape, AG_I64, AG_SHAPE(3, 2, 1), whole), AG_AXES(2, 1, 0)), "whole");
    x[3] = ag_label(ag_flip(ag_from(tape, AG_BOOL, AG_SHAPE(5), truth), 0), "truth");
    x[4] = ag_label(ag_scalar(tape, AG_F64, -0x1.23456789abcdep-7), "größe");
    x[5] = ag_label(ag_zeros(tape, AG_F32, AG_SHAPE(3, 0, 2)), "none");
    ag_tape_seed(tape, 12);
    x[6] = ag_label(ag_randint(tape, AG_SHAPE(1000), INT64_MIN, INT64_MAX), "many");
}

static bool same(ag_tensor *a, ag_tensor *b) {
    const ag_shape s = ag_shape_of(a), t = ag_shape_of(b);
    if (ag_dtype_of(a) != ag_dtype_of(b) || s.rank != t.rank) return false;
    for (int i = 0; i < s.rank; i++)
        if (s.extent[i] != t.extent[i]) return false;
    const void *p = ag_data(a), *q = ag_data(b);
    return ag_size(a) == 0 || (p && q && memcmp(p, q, (size_t)ag_size(a) * ag_dtype_size(ag_dtype_of(a))) == 0);
}

/* Variables whose values training changed, a number of each kind, and random numbers in the middle. */
static void training(ag_tape *tape, ag_tensor *v[3], int64_t *epoch, double *rate) {
    ag_tape_seed(tape, UINT64_MAX - 5);
    v[0] = ag_label(ag_parameter_from(ag_normal(tape, AG_F32, AG_SHAPE(4, 3), 0, 1)), "weight");
    v[1] = ag_label(ag_variable_from(ag_uniform(tape, AG_F64, AG_SHAPE(5), -1, 1)), "mean");
    v[2] = ag_label(ag_variable_from(ag_scalar(tape, AG_I64, -3)), "count");
    *epoch = INT64_MIN + 3, *rate = 0x1p-1070;
}

/* ---- Writing and reading ---- */

static const char *const containers[] = {"all.safetensors", "all.npz", "packed.npz"};
static const char *const single[] = {"wide.npy", "narrow.npy", "whole.npy", "truth.npy",
                                     "size.npy", "none.npy",   "many.npy"};
static const char *const others[] = {"whole.raw", "many.csv", "picture.pgm"};
enum { CONTAINERS = sizeof containers / sizeof *containers, OTHERS = sizeof others / sizeof *others };

/* Integers above 255 take 16 bits, whose order of bytes is the format's. */
static ag_tensor *picture(ag_tape *tape) {
    return ag_reshape(ag_arange_with(tape, AG_I64, 0, 1200, 100), AG_SHAPE(3, 4, 1));
}

static void write_all(ag_tape *tape, const char *folder) {
    ag_tensor *x[TENSORS], *v[3];
    make(tape, x);
    ag_save(path_of(folder, containers[0]), TENSORS, x, NULL);
    ag_save(path_of(folder, containers[1]), TENSORS, x, NULL);
    if (ag_save(path_of(folder, containers[2]), TENSORS, x, &(ag_save_options){.compress = true}) == AG_ERR_FILE)
        ag_clear_error(tape); /* a build without zlib */
    for (int i = 0; i < TENSORS; i++) ag_save(path_of(folder, single[i]), 1, &x[i], NULL);
    ag_raw_write(path_of(folder, others[0]), x[2]);
    ag_csv_write(path_of(folder, others[1]), ag_reshape(ag_cast(x[6], AG_F64), AG_SHAPE(100, 10)), NULL);
    ag_image_write(path_of(folder, others[2]), picture(tape));
    int64_t epoch;
    double rate;
    training(tape, v, &epoch, &rate);
    const ag_number numbers[] = {{.name = "epoch", .integer = &epoch}, {.name = "rate", .real = &rate}};
    ag_checkpoint_save(tape, path_of(folder, "run"), 2, numbers, 1);
}

static void read_container(ag_tape *tape, const char *folder, const char *file, ag_tensor *const want[]) {
    ag_tensor *got[TENSORS];
    const int n = ag_read_all(tape, path_of(folder, file), NULL, TENSORS, got);
    if (n != TENSORS) {
        fault(file, ag_tape_error(tape));
        ag_clear_error(tape);
        return;
    }
    for (int i = 0; i < TENSORS; i++) {
        int at = 0;
        while (at < TENSORS && strcmp(ag_label_of(got[at]), ag_label_of(want[i])) != 0) at++;
        if (at == TENSORS || !same(got[at], want[i])) fault(file, ag_label_of(want[i]));
    }
}

static void expect(ag_tape *tape, const char *file, ag_tensor *got, ag_tensor *want) {
    if (!got) fault(file, ag_tape_error(tape));
    else if (!same(got, want)) fault(file, "another content");
    ag_clear_error(tape);
}

static void read_checkpoint(const char *folder) {
    ag_tape *here = ag_tape_new(), *tape = ag_tape_new();
    ag_tensor *want[3], *got[3];
    int64_t epoch, found = 0;
    double rate, read = 0;
    training(here, want, &epoch, &rate);
    got[0] = ag_label(ag_parameter_from(ag_zeros(tape, AG_F32, AG_SHAPE(4, 3))), "weight");
    got[1] = ag_label(ag_variable_from(ag_zeros(tape, AG_F64, AG_SHAPE(5))), "mean");
    got[2] = ag_label(ag_variable_from(ag_scalar(tape, AG_I64, 0)), "count");
    const ag_number numbers[] = {{.name = "epoch", .integer = &found}, {.name = "rate", .real = &read}};
    if (ag_checkpoint_load(tape, path_of(folder, "run"), 2, numbers, NULL, NULL) < 1) fault("run", ag_tape_error(tape));
    else if (found != epoch || read != rate) fault("run", "other numbers");
    for (int i = 0; i < 3; i++)
        if (!same(got[i], want[i])) fault("run", ag_label_of(want[i]));
    if (!same(ag_uniform(tape, AG_F64, AG_SHAPE(9), 0, 1), ag_uniform(here, AG_F64, AG_SHAPE(9), 0, 1)))
        fault("run", "random numbers go on otherwise");
    ag_tape_free(here);
    ag_tape_free(tape);
}

static void read_all(ag_tape *tape, const char *folder) {
    ag_tensor *x[TENSORS];
    make(tape, x);
    FILE *packed = fopen(path_of(folder, containers[2]), "rb");
    if (packed) ag_read(tape, path_of(folder, containers[2]), "wide", NULL);
    const bool unpacks = !strstr(ag_tape_error(tape), "zlib");
    if (packed) fclose(packed);
    ag_clear_error(tape);
    for (int i = 0; i < CONTAINERS - (packed && unpacks ? 0 : 1); i++) read_container(tape, folder, containers[i], x);
    for (int i = 0; i < TENSORS; i++)
        expect(tape, single[i], ag_read(tape, path_of(folder, single[i]), NULL, NULL), x[i]);
    expect(tape, others[0],
           ag_raw_read(tape, path_of(folder, others[0]), ag_shape_of(x[2]), &(ag_raw_options){.dtype = "i64"}), x[2]);
    expect(tape, others[1], ag_csv_read(tape, path_of(folder, others[1]), AG_F64, NULL),
           ag_reshape(ag_cast(x[6], AG_F64), AG_SHAPE(100, 10)));
    expect(tape, others[2], ag_image_read(tape, path_of(folder, others[2]), AG_I64), picture(tape));
    read_checkpoint(folder);
}

int main(int argc, char **argv) {
    const bool writes = argc == 3 && strcmp(argv[1], "write") == 0;
    if (!writes && (argc < 3 || strcmp(argv[1], "read") != 0)) return 2;
    ag_tape *tape = ag_tape_new();
    if (writes) write_all(tape, argv[2]);
    for (int i = 2; i < argc && !writes; i++) read_all(tape, argv[i]);
    if (ag_tape_status(tape)) fault(argv[2], ag_tape_error(tape));
    ag_tape_free(tape);
    return faults > 0;
}
