/* states -- fuzz targets: what gives variables other values from files, and tensors of other libraries
 *
 * After an error every variable and number has the value that it had. */
#include "io/deflate.h"
#include "io/io.h"
#include "tests/fuzz/fuzz.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { VARIABLES = 4, ENTRIES = VARIABLES + 4 }; /* in a checkpoint, two numbers and the two of random numbers too */

static ag_tensor *variable_of(ag_tape *t, int i) {
    static const float a[] = {1, 2, 3, 4, 5, 6};
    static const double b = 0.5;
    static const int64_t c[] = {7, 8};
    static const uint8_t d[] = {0, 1, 1};
    switch (i) {
    case 0: return ag_label(ag_parameter(t, AG_F32, AG_SHAPE(2, 3), a), "a");
    case 1: return ag_label(ag_parameter(t, AG_F64, AG_SCALAR, &b), "b");
    case 2: return ag_label(ag_variable(t, AG_I64, AG_SHAPE(2), c), "c");
    default: return ag_label(ag_variable(t, AG_BOOL, AG_SHAPE(3), d), "d");
    }
}

static int64_t sum_of(ag_tensor *const v[]) {
    uint32_t crc = 0;
    for (int i = 0; i < VARIABLES; i++)
        crc = ag__crc32(crc, ag_data(v[i]), (size_t)ag_size(v[i]) * ag_dtype_size(ag_dtype_of(v[i])));
    return crc;
}

static void check_report(const ag_load_report *r, bool good) {
    if (r->count < 0 || (r->count > 0 && !r->item)) fault("the report has %d items", r->count);
    for (int i = 0; i < r->count; i++)
        if (!r->item[i].name || !r->item[i].dtype || r->item[i].index < -1 || r->item[i].index >= ENTRIES)
            fault("item %d of the report is for variable %d", i, r->item[i].index);
    if (good && r->dtypes + r->shapes > ENTRIES) fault("%d dtypes and %d shapes differ", r->dtypes, r->shapes);
}

/* ---- ag_load ---- */

void fuzz_load(const uint8_t *data, size_t size) {
    ledger l;
    ag_tape *t = tape_open(&l);
    feed f = {data, data + size};
    int lot = (int)feed_bits(&f, 1);
    const char *path = file_of("m.any", f.at, (size_t)(f.end - f.at));
    ag_tensor *v[VARIABLES];
    ag_load_report report = {0};
    for (int i = 0; i < VARIABLES; i++) v[i] = variable_of(t, i);
    ag_tensor *old = ag_scale(v[0], 2); /* keeps the value that the variable has now */
    int64_t before = sum_of(v), nodes = ag_tape_memory(t).nodes;
    ag_load_options options = {.convert = lot & 1, .allow_missing = lot & 2, .allow_unexpected = lot & 4};
    ag_load(path, lot & 8 ? 1 : VARIABLES, v, lot & 16 ? NULL : &options, lot & 32 ? NULL : &report);
    bool bad = refused(t, "load", nodes);
    check_report(&report, !bad);
    if (bad && sum_of(v) != before) fault("a variable has another value after an error");
    if (ag_element(old, 5) != 12) fault("a recorded value is another one");
    if (!bad && !(lot & 63) && report.fitting != VARIABLES) fault("%d variables fit", report.fitting);
    if (ag_tape_status(t) != AG_OK) fault("%s", ag_tape_error(t));
    tape_close(t, &l);
}

/* ---- Checkpoints ---- */

/* Puts the right checksum into a file that is a checkpoint by its beginning: the one of its bytes with zeros instead. */
static void sign(uint8_t *data, size_t size) {
    static const char opening[] = "\"crc32\":\"";
    for (size_t i = 0; i + sizeof opening + 8 < size && i < 100; i++) {
        if (memcmp(data + i, opening, sizeof opening - 1) != 0) continue;
        char digits[9];
        uint8_t *at = data + i + sizeof opening - 1;
        memset(at, '0', 8);
        snprintf(digits, sizeof digits, "%08x", (unsigned)ag__crc32(0, data, size));
        memcpy(at, digits, 8);
        return;
    }
}

void fuzz_checkpoint(const uint8_t *data, size_t size) {
    static uint8_t copy[1 << 16];
    ledger l;
    ag_tape *t = tape_open(&l);
    feed f = {data, data + size};
    int lot = (int)feed_bits(&f, 1);
    size_t n = (size_t)(f.end - f.at) < sizeof copy ? (size_t)(f.end - f.at) : sizeof copy;
    memcpy(copy, f.at, n);
    if (!(lot & 64)) sign(copy, n);
    file_of("c.000007.safetensors", copy, n);
    ag_tensor *v[VARIABLES];
    int64_t steps = 5;
    double rate = 0.25;
    ag_number numbers[] = {{.name = "steps", .integer = &steps}, {.name = "rate", .real = &rate}};
    for (int i = 0; i < VARIABLES; i++) v[i] = variable_of(t, i);
    ag_tape_seed(t, 3);
    int64_t before = sum_of(v), nodes = ag_tape_memory(t).nodes;
    ag_checkpoint_options options = {.convert = lot & 1,
                                     .allow_missing = lot & 2,
                                     .allow_unexpected = lot & 4,
                                     .skip_damaged = lot & 8,
                                     .number = lot & 16 ? 7 : 0};
    ag_load_report report = {0};
    int64_t number = ag_checkpoint_load(t, path_of("c"), 2, numbers, &options, &report);
    bool bad = refused(t, "checkpoint_load", nodes);
    check_report(&report, !bad);
    if (bad != (number < 0) || (number > 0 && number != 7)) fault("the checkpoint has number %lld", (long long)number);
    bool changed = sum_of(v) != before || steps != 5 || !(rate == 0.25);
    if (number <= 0 && changed) fault("something has another value without a checkpoint");
    if (ag_tape_status(t) != AG_OK) fault("%s", ag_tape_error(t));
    if (number > 0 && lot & 32) { /* what was loaded is saved, and loaded again */
        int64_t after = sum_of(v);
        ag_checkpoint_save(t, path_of("d"), 2, numbers, 1);
        ag_checkpoint_load(t, path_of("d"), 2, numbers, NULL, NULL);
        if (ag_tape_status(t) != AG_OK || sum_of(v) != after) fault("a checkpoint again: %s", ag_tape_error(t));
    }
    tape_close(t, &l);
}

/* ---- DLPack ---- */

/* The struct of the specification, 0.8. */
typedef struct DLManagedTensor {
    void *data;
    int32_t device, device_id, ndim;
    uint8_t code, bits;
    uint16_t lanes;
    int64_t *shape, *strides;
    uint64_t byte_offset;
    void *manager_ctx;
    void (*deleter)(struct DLManagedTensor *self);
} managed;

enum { ELEMENTS = 512 };
static int deleted;

static void count_deleted(managed *m) { (void)m, deleted++; }

/* Whether all elements are inside the memory, or so far out that the library must see it. */
static bool honest(const managed *m) {
    double low = 0, high = 0, step = 1; /* exact where it matters */
    if (m->ndim < 0 || m->ndim > AG_MAX_RANK) return true;
    for (int i = m->ndim - 1; i >= 0; i--) {
        const double extent = (double)m->shape[i];
        if (extent <= 0) return true;
        double reach = (m->strides ? (double)m->strides[i] : step) * (extent - 1);
        step *= extent;
        *(reach < 0 ? &low : &high) += reach;
    }
    const double width = (m->bits + 7) / 8, first = (double)m->byte_offset;
    return high - low >= 0x1p61 || (low * width + first >= 0 && (high + 1) * width + first <= ELEMENTS * 8);
}

void fuzz_dlpack(const uint8_t *data, size_t size) {
    static const uint8_t codes[][2] = {{0, 8},  {0, 16}, {0, 32}, {0, 64}, {1, 8},  {1, 16}, {1, 32},
                                       {1, 64}, {2, 16}, {2, 32}, {2, 64}, {4, 16}, {6, 8},  {5, 64}};
    ledger l;
    ag_tape *t = tape_open(&l);
    feed f = {data, data + size};
    int64_t shape[AG_MAX_RANK] = {0}, strides[AG_MAX_RANK];
    uint8_t *memory = malloc(ELEMENTS * 8);
    if (!memory) fault("out of memory");
    for (int i = 0; i < ELEMENTS * 8; i++) memory[i] = (uint8_t)(i * 37 % 251);
    int lot = (int)feed_bits(&f, 1), code = feed_below(&f, 14);
    ag_shape s = feed_shape(&f);
    for (int i = 0; i < AG_MAX_RANK; i++) shape[i] = s.extent[i], strides[i] = feed_number(&f);
    managed m = {.data = memory,
                 .device = lot & 1 && lot & 2 ? feed_below(&f, 4) : 1,
                 .ndim = s.rank,
                 .code = codes[code][0],
                 .bits = codes[code][1],
                 .lanes = lot % 64 == 63 ? 2 : 1,
                 .shape = shape,
                 .strides = lot & 4 ? strides : NULL,
                 .byte_offset = lot & 8 ? feed_bits(&f, 2) : 0,
                 .deleter = lot & 16 ? count_deleted : NULL};
    deleted = 0;
    if (honest(&m)) {
        int64_t nodes = ag_tape_memory(t).nodes;
        ag_tensor *x = ag_from_dlpack(t, &m);
        bool bad = refused(t, "from_dlpack", nodes);
        if (bad && deleted) fault("the tensor is taken after an error");
        if (!bad && ag_size(x) <= 4096 && ag_dtype_of(x) >= AG_F32) ag_data(ag_sum(ag_exp(x)));
        if (!bad && ag_size(x) <= 4096) ag_data(x);
        if (ag_tape_status(t) == AG_ERR_MEMORY) ag_clear_error(t);
        if (ag_tape_status(t) != AG_OK) fault("%s", ag_tape_error(t));
        ag_tape_free(t);
        if (deleted != (!bad && m.deleter)) fault("the deleter is called %d times", deleted);
        ledger_close(&l);
    } else tape_close(t, &l);
    free(memory);
}
