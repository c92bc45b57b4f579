/* test_compile -- compiled strip programs give what the block kernels give, bit for bit
 *
 * Every program is run by the kernels, step by step, and compiled. The slots of the compiled code end where a page
 * ends, and the next page is protected. On other processors the compiler refuses, and most tests here have nothing
 * to do. */
#include "autograd/eval/encode.h"
#include "autograd/tape/features.h"
#include "autograd/tape/limits.h"
#include "autograd/tape/replay.h"
#include "autograd/tape/tracing.h"
#include "ops/rules.h"
#include "tests/support.h"

/* A program's own macros, with names of words. */
#define MAX(a, b) "the program's own"
#define V 17

/* Its kernels are for any processor. */
#undef AG_FORMULA_KERNEL
#define AG_FORMULA_KERNEL

#include "examples/softplus_formula.h"
static double rare_function(double x, int j) { return x * 3 + j; }

#include "tests/compile_formulas.h"

#include <float.h>
#include <inttypes.h>
#include <limits.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

enum { MOST = 1024, SLOTS = 96, STEPS = 64, BYTES = 8 * MOST, GUARDED = 16384 };

typedef struct strip {
    int steps, slots;
    ag__code_step step[STEPS];
    ag__code_slot slot[SLOTS];
    int shares[SLOTS]; /* the slot whose memory it reuses, or −1 */
    double attributes[STEPS][4];
    int32_t dtype_attribute[STEPS]; /* of casts */
} strip;

/* The instruction sets, and whether the processor has them. Each test runs with each that it has. */
enum { AVX512, AVX2, NEON, ISAS };
static const char *const isa_name[ISAS] = {"avx512", "avx2", "neon"};
static int isa;

static bool has(int which) {
#if defined __x86_64__ && defined __GNUC__
    return which != NEON && ag__processor_has(which == AVX2 ? AG__HAS_AVX2 | AG__HAS_FMA : AG__HAS_AVX512);
#elif defined __aarch64__ && defined __linux__ && __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
    return which == NEON;
#else
    return (void)which, false;
#endif
}

static bool serves(void) { return has(isa); }

static void choose(int which) {
    isa = which;
    setenv("AG_ISA", isa_name[which], 1);
    if (has(which)) tape->isa = ag__isa_of(isa_name[which]);
    ck_assert(!has(which) || strcmp(tape->isa->name, isa_name[which]) == 0);
}

static void choose_avx512(void) { choose(AVX512); }
static void choose_avx2(void) { choose(AVX2); }
static void choose_neon(void) { choose(NEON); }
static void choose_default(void) { unsetenv("AG_ISA"); }

static int64_t bytes_of(int dtype) { return dtype == AG_BOOL ? 1 : dtype == AG_F32 ? 4 : 8; }

static char current[100]; /* the program being checked */

/* ---- Memory ---- */

static char *guarded[SLOTS]; /* GUARDED bytes, then a protected page */

static void open_memory(void) {
    if (guarded[0]) return;
    size_t page = (size_t)sysconf(_SC_PAGESIZE), each = GUARDED + page;
    char *all = mmap(NULL, each * SLOTS, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    ck_assert_ptr_ne(all, MAP_FAILED);
    for (int i = 0; i < SLOTS; i++) {
        guarded[i] = all + each * (size_t)i;
        ck_assert_int_eq(mprotect(guarded[i] + GUARDED, page, PROT_NONE), 0);
    }
}

static _Alignas(64) char plain[SLOTS][BYTES]; /* the kernels' memory, n elements even for a slot that is `one` */

/* ---- Numbers ---- */

static uint64_t random_state = 1;

static uint64_t random_bits(void) { /* splitmix64 */
    uint64_t z = random_state += UINT64_C(0x9e3779b97f4a7c15);
    z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
    return z ^ z >> 31;
}

static int random_below(int n) { return (int)(random_bits() >> 33) % n; }

static const double special[] = {0,       -0.0,     1,       -1,      0.5,       -0.5,     2,       3,       -3,
                                 1e-3,    0.54999,  0.55,    0.625,   -0.62501,  19.99,    20,      -20.5,   87.3,
                                 88.73,   89.5,     -87.4,   -103.97, -104.5,    709.8,    -745.13, -746.5,  1e30,
                                 -1e30,   FLT_MAX,  FLT_MIN, 1e-40,   -1e-45,    0x1p-149, DBL_MAX, DBL_MIN, 0x1p-1074,
                                 -1e-310, INFINITY, 1e9,     0x1p-24, -INFINITY, NAN};
enum { SPECIAL = sizeof special / sizeof *special };

static int64_t some_whole_number(void) {
    static const int64_t special_whole[] = {
        0, 1, -1, 2, 7, INT32_MAX, INT64_C(1) << 32, INT64_C(1) << 53, INT64_MAX, INT64_MIN};
    int64_t x = (int64_t)random_bits();
    return random_below(4) ? x >> random_below(64)
                           : special_whole[random_below(sizeof special_whole / sizeof *special_whole)];
}

static double some_number(void) {
    uint64_t bits = random_bits();
    double x;
    switch (random_below(8)) {
    case 0: return special[random_below(SPECIAL)];
    case 1: memcpy(&x, &bits, sizeof x); return x;
    case 2: return ldexp((double)(int64_t)bits, random_below(300) - 150 - 63);
    default: return ldexp((double)(int64_t)bits, random_below(8) - 4 - 63);
    }
}

static void fill(int dtype, void *data, int64_t n) {
    for (int64_t i = 0; i < n; i++) {
        uint32_t bits = (uint32_t)random_bits();
        if (dtype == AG_F32 && bits % 16 == 0) memcpy((char *)data + 4 * i, &bits, sizeof bits);
        else if (dtype == AG_BOOL) ((uint8_t *)data)[i] = bits % 2;
        else if (dtype == AG_I64) ((int64_t *)data)[i] = some_whole_number();
        else element_put((ag_dtype)dtype, data, i, some_number());
    }
}

/* ---- Running ---- */

static const void *attributes_of(const strip *s, int step) {
    return s->step[step].op == &ag__op_cast ? (const void *)&s->dtype_attribute[step] : s->attributes[step];
}

static bool is_written(const strip *s, int slot) {
    for (int i = 0; i < s->steps; i++)
        if (s->step[i].y == slot) return true;
    return false;
}

static bool same_element(int dtype, const char *a, const char *b, int64_t i) {
    const int64_t at = i * bytes_of(dtype);
    return memcmp(a + at, b + at, (size_t)bytes_of(dtype)) == 0 ||
           (isnan(element_at((ag_dtype)dtype, a, i)) && isnan(element_at((ag_dtype)dtype, b, i)));
}

/* A step by the interpreter of traces, which must give what its kernel gives, if it has one. */
static void run_replay(const strip *s, int i, int64_t n, const void *const x[]) {
    static _Alignas(64) char replayed[BYTES + 64];
    const ag__code_step *step = &s->step[i];
    const int dtype = s->slot[step->y].dtype;
    uint64_t dtypes = (uint64_t)step->n << 2 | (uint64_t)dtype;
    ag_status why = AG_OK;
    for (int k = step->n - 1; k >= 0; k--) dtypes = dtypes << 2 | s->slot[step->x[k]].dtype;
    const ag__replay *p = ag__replay_make(tape, step->op, step->n, dtypes, &why);
    ck_assert_msg(p != NULL, "%s: %s is not replayed", current, step->op->name);
    memset(replayed + n * bytes_of(dtype), 0x55, 64);
    ag__replay_run(p, n, replayed, x, attributes_of(s, i));
    for (int k = 0; k < 64; k++)
        if (replayed[n * bytes_of(dtype) + k] != 0x55)
            ck_abort_msg("%s: replay of %s: too far", current, step->op->name);
    if (!step->op->block[step->dtype]) memcpy(plain[step->y], replayed, (size_t)(n * bytes_of(dtype)));
    for (int64_t k = 0; k < n; k++)
        if (!same_element(dtype, plain[step->y], replayed, k))
            ck_abort_msg("%s: element %d of %d of %s, replayed: %a, not %a", current, (int)k, (int)n, step->op->name,
                         element_at((ag_dtype)dtype, replayed, k), element_at((ag_dtype)dtype, plain[step->y], k));
}

static void run_kernels(const strip *s, int64_t n) {
    for (int i = 0; i < s->steps; i++) {
        const ag__code_step *step = &s->step[i];
        const void *x[8];
        for (int k = 0; k < step->n; k++) x[k] = plain[step->x[k]];
        if (step->op->block[step->dtype]) step->op->block[step->dtype](n, plain[step->y], x, attributes_of(s, i));
        run_replay(s, i, n, x);
    }
}

static void compare(const strip *s, int slot, int64_t n, const char *got) {
    int dtype = s->slot[slot].dtype;
    for (int64_t i = 0; i < (s->slot[slot].one && n > 0 ? 1 : n); i++) {
        double want = element_at((ag_dtype)dtype, plain[slot], i), have = element_at((ag_dtype)dtype, got, i);
        if (same_element(dtype, plain[slot], got, i)) continue;
        int writer = 0;
        while (writer < s->steps - 1 && s->step[writer].y != slot) writer++;
        ck_abort_msg("%s: element %d of %d, slot %d, written by %s: %a, not %a", current, (int)i, (int)n, slot,
                     s->step[writer].op->name, have, want);
    }
}

/* One length: the code's results must be those of the kernels, in `plain`. */
static void run_code(const strip *s, ag__code *code, int64_t n) {
    void *slot[SLOTS];
    const void *attributes[STEPS];
    open_memory();
    for (int i = 0; i < s->slots; i++) {
        int64_t count = s->slot[i].one ? 1 : n, bytes = count * bytes_of(s->slot[i].dtype);
        bool written = is_written(s, i);
        slot[i] = s->shares[i] >= 0            ? slot[s->shares[i]]
                  : !written || s->slot[i].out ? guarded[i] + GUARDED - bytes
                                               : NULL;
        if (s->shares[i] >= 0) continue;
        memset(guarded[i] + GUARDED - BYTES - 64, 0x55, BYTES + 64);
        if (!written) memcpy(slot[i], plain[i], (size_t)bytes);
    }
    for (int i = 0; i < s->steps; i++) attributes[s->step[i].attributes] = attributes_of(s, i);
    run_kernels(s, n);
    code(n, slot, attributes);
    for (int i = 0; i < s->slots; i++) {
        bool taken = false, written = is_written(s, i);
        for (int k = 0; k < s->slots; k++) taken = taken || s->shares[k] == i;
        if (written ? s->slot[i].out : !taken) compare(s, i, n, slot[i]);
        if (!slot[i] || s->shares[i] >= 0) continue;
        for (int k = 1; k <= 64; k++) /* one ck_assert each would take most of the time */
            if (((char *)slot[i])[-k] != 0x55) ck_abort_msg("%s: memory before slot %d was written", current, i);
    }
}

static void fill_inputs(const strip *s, int64_t n) {
    for (int i = 0; i < s->slots; i++) {
        int64_t size = bytes_of(s->slot[i].dtype);
        if (is_written(s, i)) continue;
        fill(s->slot[i].dtype, plain[i], n);
        for (int64_t k = 1; s->slot[i].one && k < n; k++) memcpy(plain[i] + k * size, plain[i], (size_t)size);
    }
}

/* ---- Programs of one step ---- */

static int number_of_sets(const ag_op *op) { return op->attribute_bytes ? 12 : 1; }

static void attribute_set(const ag_op *op, int dtype, int set, double a[4]) {
    static const double gates[4][4] = {
        {0, INFINITY, 0, 1}, {-1, 1, 1, 1}, {0.5, INFINITY, 0.5, 1}, {-INFINITY, 3, 1, 0.5}};
    for (int k = 0; k < 4; k++) a[k] = op == &ag__op_gate ? gates[set % 4][k] : some_number();
    if (op == &ag__op_clamp && !(a[0] <= a[1])) a[0] = -1, a[1] = set;
    if (dtype == AG_I64 && op->attribute_bytes >= sizeof(double)) a[0] = (double)(some_whole_number() >> 11);
}

static strip one_step(const ag_op *op, int dtype, int y_dtype) {
    strip s = {.steps = 1, .slots = op->arity + 1};
    s.step[0] = (ag__code_step){.op = op, .dtype = (uint8_t)dtype, .n = (uint8_t)op->arity, .y = (uint16_t)op->arity};
    for (int i = 0; i < op->arity; i++) {
        s.step[0].x[i] = (uint16_t)i;
        s.slot[i] = (ag__code_slot){.dtype = (uint8_t)(op == &ag__op_where && i == 0 ? AG_BOOL : dtype)};
    }
    s.slot[op->arity] = (ag__code_slot){.dtype = (uint8_t)y_dtype, .out = true};
    s.dtype_attribute[0] = y_dtype;
    for (int i = 0; i < SLOTS; i++) s.shares[i] = -1;
    return s;
}

/* Every pair of special numbers. */
static void special_inputs(const strip *s, int64_t start, int64_t n) {
    for (int k = 0; k < s->step[0].n; k++)
        for (int64_t i = 0; i < n; i++) {
            int64_t which = (start + i) / (k == s->step[0].n - 1 ? 1 : SPECIAL) % SPECIAL;
            if (s->slot[k].dtype == AG_BOOL) ((uint8_t *)plain[k])[i] = (start + i) / (k + 1) % 2 != 0;
            else if (s->slot[k].dtype == AG_I64) ((int64_t *)plain[k])[i] = some_whole_number();
            else element_put((ag_dtype)s->slot[k].dtype, plain[k], i, special[which]);
        }
}

static void check_step(strip *s) {
    ag__code *code = ag__compile(tape, s->steps, s->step, s->slots, s->slot);
    ck_assert_msg(code != NULL, "%s is not compiled", current);
    for (int set = 0; set < number_of_sets(s->step[0].op); set++) {
        attribute_set(s->step[0].op, s->step[0].dtype, set, s->attributes[0]);
        for (int64_t start = 0; start < SPECIAL * SPECIAL; start += MOST) {
            special_inputs(s, start, MOST);
            run_code(s, code, MOST);
        }
        fill_inputs(s, MOST);
        for (int64_t n = 0; n <= 84; n++) run_code(s, code, n);
        run_code(s, code, MOST);
    }
}

/* AVX2 has no instruction for the nearest whole number. */
static bool can_cast(int from, int to) { return to != AG_I64 || isa != AVX2 || (from != AG_F32 && from != AG_F64); }

static void check_op(const ag_op *op, int dtype) {
    ag__code_free(tape); /* of earlier operations: the room for code is limited */
    for (int y = 0; y < AG_DTYPES; y++) {
        if (op == &ag__op_cast ? !can_cast(dtype, y) : y != (op->flags & AG_OP_PREDICATE ? AG_BOOL : dtype)) continue;
        snprintf(current, sizeof current, "%s %s to %s", op->name, ag_dtype_name((ag_dtype)dtype),
                 ag_dtype_name((ag_dtype)y));
        strip s = one_step(op, dtype, y);
        check_step(&s);
        for (int k = 0; k < op->arity; k++) { /* each input as a single element */
            strip single = s;
            single.slot[k].one = true;
            fill_inputs(&single, MOST);
            ag__code *code = ag__compile(tape, 1, single.step, single.slots, single.slot);
            ck_assert_msg(code != NULL, "%s is not compiled", current);
            for (int64_t n = 0; n < 40; n += 3) run_code(&single, code, n);
        }
    }
}

START_TEST(each_operation) {
    int described = 0;
    for (int i = 0; i < ag_op_count(); i++)
        for (int d = 0; d < AG_DTYPES; d++)
            if (ag_op_at(i)->trace[d]) {
                described++;
                if (serves()) check_op(ag_op_at(i), d);
            }
    ck_assert_int_gt(described, 40);
}
END_TEST

/* ---- Random programs ---- */

enum { MIXED = AG_DTYPES }; /* f32 and f64; the next number: with i64 */

/* A slot of this dtype that a step may read; a new input if there is no such slot, or now and then. */
static int some_slot(strip *s, int dtype, int age) {
    int found[SLOTS], count = 0;
    for (int i = s->slots > age ? s->slots - age : 0; i < s->slots; i++)
        if (s->slot[i].dtype == dtype) found[count++] = i;
    if (count > 0 && (random_below(6) || s->slots >= SLOTS - 12)) return found[random_below(count)];
    s->slot[s->slots] = (ag__code_slot){.dtype = (uint8_t)dtype, .one = random_below(5) == 0};
    return s->slots++;
}

/* An operation with a description for the dtype. */
static const ag_op *some_op(int dtype, bool casts) {
    for (;;) {
        const ag_op *op = ag_op_at(random_below(ag_op_count()));
        if (op->trace[dtype] && (casts || op != &ag__op_cast)) return op;
    }
}

static int some_dtype(int dtypes) {
    static const int any[] = {AG_F32, AG_F64, AG_I64};
    return dtypes >= MIXED ? any[random_below(dtypes - MIXED + 2)] : dtypes;
}

static void add_random_step(strip *s, int dtypes, int age) {
    int dtype = random_below(5) == 0 ? AG_BOOL : some_dtype(dtypes), y = dtype;
    const ag_op *op = some_op(dtype, true);
    ag__code_step *step = &s->step[s->steps];
    *step = (ag__code_step){.op = op, .dtype = (uint8_t)dtype, .n = (uint8_t)op->arity};
    bool one = true;
    for (int i = 0; i < op->arity; i++) {
        int slot = some_slot(s, op == &ag__op_where && i == 0 ? AG_BOOL : dtype, age);
        step->x[i] = (uint16_t)slot;
        one = one && s->slot[slot].one;
    }
    if (op->flags & AG_OP_PREDICATE) y = AG_BOOL;
    if (op == &ag__op_cast) do
            y = random_below(3) == 0 ? AG_BOOL : some_dtype(dtypes);
        while (!can_cast(dtype, y));
    attribute_set(op, dtype, random_below(12), s->attributes[s->steps]);
    s->dtype_attribute[s->steps] = y;
    step->y = (uint16_t)s->slots;
    s->slot[s->slots++] =
        (ag__code_slot){.dtype = (uint8_t)y, .one = one && random_below(4), .out = random_below(3) == 0};
    s->steps++;
}

/* The step that uses a slot last; −1: none. */
static int last_use(const strip *s, int slot) {
    int last = -1;
    for (int i = 0; i < s->steps; i++)
        for (int k = 0; k < s->step[i].n; k++)
            if (s->step[i].x[k] == slot) last = i;
    return last;
}

/* Outputs reuse the memory of inputs that are not read later. */
static void share_memory(strip *s) {
    bool taken[SLOTS] = {false};
    for (int i = 0; i < s->steps; i++) {
        int y = s->step[i].y;
        if (!s->slot[y].out || random_below(4) == 0) continue;
        for (int x = 0; x < s->slots; x++) {
            bool alike = s->slot[x].dtype == s->slot[y].dtype && s->slot[x].one == s->slot[y].one;
            if (is_written(s, x) || taken[x] || !alike || last_use(s, x) > i) continue;
            taken[x] = true;
            s->shares[y] = x;
            break;
        }
    }
}

static strip random_strip(int dtypes) {
    int steps = 1 + random_below(random_below(2) ? 50 : 8), age = random_below(2) ? SLOTS : 6;
    strip s = {0};
    for (int i = 0; i < SLOTS; i++) s.shares[i] = -1;
    while (s.steps < steps && s.slots < SLOTS - 12) add_random_step(&s, dtypes, age);
    s.slot[s.step[s.steps - 1].y].out = true;
    for (int i = 0; i < s.steps; i++) s.step[i].attributes = (uint16_t)(s.steps - 1 - i);
    share_memory(&s);
    return s;
}

static void check_random(uint64_t seed) {
    static const int dtypes[] = {AG_F32, AG_F64, MIXED, AG_I64, MIXED + 1};
    snprintf(current, sizeof current, "random program %d", (int)seed);
    random_state = seed * 1000;
    strip s = random_strip(dtypes[seed % 5]);
    ag__code *code = ag__compile(tape, s.steps, s.step, s.slots, s.slot);
    ck_assert_msg(code != NULL, "%s is not compiled", current);
    int64_t lengths[] = {0, 1, 1 + random_below(7), 8, 9 + random_below(60), 9 + random_below(60), MOST};
    for (int i = 0; i < 7; i++) {
        fill_inputs(&s, lengths[i]);
        run_code(&s, code, lengths[i]);
    }
}

START_TEST(random_programs) {
    if (!serves()) return;
    for (uint64_t seed = 1; seed <= (uint64_t)by_length(60, 600, 3000); seed++) {
        check_random(seed);
        ag__code_free(tape);
    }
}
END_TEST

/* ---- Operations of a user ---- */

static const ag_op odd_op = {
    .name = "odd", .kind = AG_KIND_ELEMENTWISE, .arity = 2, .attribute_bytes = 2 * sizeof(double), AG_FORMULA(odd)};
static const ag_op softplus_op = {.name = "softplus", .kind = AG_KIND_ELEMENTWISE, .arity = 1, AG_FORMULA(softplus)};

static const ag_op fused_ops[] = {
    {.name = "fused", .kind = AG_KIND_ELEMENTWISE, .arity = 3, AG_FORMULA(fused)},
    {.name = "fused_again", .kind = AG_KIND_ELEMENTWISE, .arity = 3, AG_FORMULA(fused_again)},
    {.name = "fused_signs", .kind = AG_KIND_ELEMENTWISE, .arity = 3, AG_FORMULA(fused_signs)},
    {.name = "fused_same", .kind = AG_KIND_ELEMENTWISE, .arity = 2, AG_FORMULA(fused_same)},
    {.name = "fused_numbers",
     .kind = AG_KIND_ELEMENTWISE,
     .arity = 1,
     .attribute_bytes = 2 * sizeof(double),
     AG_FORMULA(fused_numbers)}};
static const ag_op rare_ops[] = {
    {.name = "rare", .kind = AG_KIND_ELEMENTWISE, .arity = 2, AG_FORMULA(rare)},
    {.name = "rare_again", .kind = AG_KIND_ELEMENTWISE, .arity = 3, AG_FORMULA(rare_again)}};
enum { FUSED_OPS = sizeof fused_ops / sizeof *fused_ops };

START_TEST(users_operation) {
    for (int d = AG_F32; serves() && d <= AG_F64; d++) {
        check_op(&odd_op, d), check_op(&softplus_op, d);
        for (int i = 0; i < FUSED_OPS; i++) check_op(&fused_ops[i], d);
        check_op(&rare_ops[0], d), check_op(&rare_ops[1], d);
    }
}
END_TEST

/* (1 + 2^−12)² − 1 − 2^−11, whose product an f32 cannot hold, and a product beyond the largest number. */
START_TEST(fused_products_are_rounded_once) {
    const float a[] = {1 + 0x1p-12f, FLT_MAX}, c[] = {-1 - 0x1p-11f, -FLT_MAX}, y[] = {0x1p-24f, FLT_MAX};
    ag_tensor *x[] = {ag_from(tape, AG_F32, AG_SHAPE(2), a), NULL, ag_from(tape, AG_F32, AG_SHAPE(2), c)};
    x[1] = ag_from(tape, AG_F32, AG_SHAPE(2), (const float[]){a[0], 2});
    const float *got = ag_data(ag_apply(&fused_ops[0], 3, x, NULL, 0));
    expect_ok(tape);
    ck_assert(memcmp(got, y, sizeof y) == 0);
}
END_TEST

/* f(x) + x by this evaluator; returns whether machine code has been asked for. */
static bool values_by(ag_evaluator evaluator, const char *compile, const ag_op *f, ag_dtype dtype, int64_t n,
                      const void *in, void *y) {
    setenv("AG_COMPILE", compile, 1);
    ag_tape *t = ag_tape_new();
    unsetenv("AG_COMPILE");
    ag_tape_set_evaluator(t, evaluator);
    ag_tensor *x = ag_from(t, dtype, AG_SHAPE(n), in);
    const void *data = ag_data(ag_add(ag_apply(f, 1, &x, NULL, 0), x));
    expect_ok(t);
    memcpy(y, data, (size_t)(n * bytes_of((int)dtype)));
    bool by_code = t->programs != NULL;
    ag_tape_free(t);
    return by_code;
}

static void check_in_a_program(const ag_op *f, ag_dtype dtype) {
    enum { N = AG__AT_ONCE + 37 };
    static double x[N], code[N], kernels[N], reference[N];
    size_t bytes = (size_t)(N * bytes_of((int)dtype));
    for (int64_t i = 0; i < N; i++)
        element_put(dtype, x, i, i % 3 ? 40.0 * (double)(i - N / 2) / N : special[i % SPECIAL]);
    const bool makes_code = ag__isa_of(isa_name[isa]) != NULL; /* if not by this, by what the processor has */
    ck_assert(values_by(AG_EVALUATOR_FUSED, "1", f, dtype, N, x, code) == makes_code);
    ck_assert(!values_by(AG_EVALUATOR_FUSED, "0", f, dtype, N, x, kernels));
    ck_assert(!values_by(AG_EVALUATOR_REFERENCE, "1", f, dtype, N, x, reference));
    ck_assert_msg(memcmp(code, kernels, bytes) == 0, "%s: machine code is not the kernel", f->name);
    ck_assert_msg(memcmp(code, reference, bytes) == 0, "%s: the evaluators differ", f->name);
}

/* A program's formula is machine code as the library's own are, in one loop with them, and gives the same bits as its kernel
 * and the reference evaluator. */
START_TEST(users_operation_in_a_program) {
    for (ag_dtype dtype = AG_F32; dtype <= AG_F64; dtype++) check_in_a_program(&softplus_op, dtype);
}
END_TEST

/* A conversion between elements, bits and truth values that a formula leaves to C has C's meaning. */
START_TEST(conversions_by_c) {
    static const ag_op ops[] = {
        {.name = "negative_zero", .kind = AG_KIND_ELEMENTWISE, .arity = 1, AG_FORMULA(negative_zero)},
        {.name = "lowest_bit", .kind = AG_KIND_ELEMENTWISE, .arity = 1, AG_FORMULA(lowest_bit)},
        {.name = "next", .kind = AG_KIND_ELEMENTWISE, .arity = 1, AG_FORMULA(next)},
        {.name = "whole", .kind = AG_KIND_ELEMENTWISE, .arity = 1, AG_FORMULA(whole)},
        {.name = "halfway", .kind = AG_KIND_ELEMENTWISE, .arity = 1, AG_FORMULA(halfway)}};
    for (ag_dtype dtype = AG_F32; dtype <= AG_F64; dtype++)
        for (size_t i = 0; i < sizeof ops / sizeof *ops; i++) check_in_a_program(&ops[i], dtype);
}
END_TEST

START_TEST(macros_of_the_program) {
    ck_assert_str_eq(MAX(1, 2), "the program's own");
    ck_assert_int_eq(V, 17);
}
END_TEST

/* Nothing that a trace can say wrongly does harm. */
static ag_traced kept; /* of the trace before */

static ag_traced truth(ag_trace *t, const ag_traced x[]) { return ag_trace_binary(t, AG_TRACE_LESS, x[0], x[0]); }
static ag_traced of_no_trace(ag_trace *t, const ag_traced x[]) { return (void)t, (void)x, (ag_traced){0, 0}; }
static ag_traced beyond(ag_trace *t, const ag_traced x[]) {
    return ag_trace_unary(t, AG_TRACE_NEG, (ag_traced){100, x[0].trace});
}
static ag_traced of_the_trace_before(ag_trace *t, const ag_traced x[]) {
    const ag_traced before = kept;
    kept = x[0];
    return ag_trace_unary(t, AG_TRACE_NEG, before);
}
static ag_traced no_input(ag_trace *t, const ag_traced x[]) { return ag_trace_binary(t, AG_TRACE_ADD, x[0], x[1]); }
static ag_traced no_code(ag_trace *t, const ag_traced x[]) { return ag_trace_unary(t, AG_TRACE_CODES, x[0]); }
static ag_traced negative_code(ag_trace *t, const ag_traced x[]) {
    return ag_trace_binary(t, (ag_trace_code)-1, x[0], x[0]);
}
static ag_traced two_of_one(ag_trace *t, const ag_traced x[]) { return ag_trace_binary(t, AG_TRACE_NEG, x[0], x[0]); }
static ag_traced one_of_two(ag_trace *t, const ag_traced x[]) { return ag_trace_unary(t, AG_TRACE_ADD, x[0]); }
static ag_traced truth_as_number(ag_trace *t, const ag_traced x[]) { return truth(t, x); }
static ag_traced truth_added(ag_trace *t, const ag_traced x[]) {
    return ag_trace_binary(t, AG_TRACE_ADD, x[0], truth(t, x));
}
static ag_traced truth_compared(ag_trace *t, const ag_traced x[]) {
    return ag_trace_convert(t, ag_trace_binary(t, AG_TRACE_EQUAL, x[0], truth(t, x)));
}
static ag_traced truth_negated(ag_trace *t, const ag_traced x[]) {
    return ag_trace_unary(t, AG_TRACE_NEG, truth(t, x));
}
static ag_traced truth_shifted(ag_trace *t, const ag_traced x[]) { return ag_trace_shift(t, truth(t, x), 1); }
static ag_traced number_for_truth(ag_trace *t, const ag_traced x[]) {
    return ag_trace_select(t, x[0], truth(t, x), x[0]);
}
static ag_traced unlike_choices(ag_trace *t, const ag_traced x[]) {
    return ag_trace_select(t, truth(t, x), truth(t, x), x[0]);
}
static ag_traced bits(ag_trace *t, const ag_traced x[]) { return ag_trace_unary(t, AG_TRACE_TO_BITS, x[0]); }
static ag_traced from(ag_trace *t, ag_traced b) { return ag_trace_unary(t, AG_TRACE_FROM_BITS, b); }
static ag_traced too_far(ag_trace *t, const ag_traced x[]) { return from(t, ag_trace_shift(t, bits(t, x), 32)); }
static ag_traced too_far_back(ag_trace *t, const ag_traced x[]) {
    return from(t, ag_trace_shift(t, bits(t, x), INT_MIN));
}
static ag_traced element_shifted(ag_trace *t, const ag_traced x[]) { return from(t, ag_trace_shift(t, x[0], 1)); }
static ag_traced element_as_bits(ag_trace *t, const ag_traced x[]) {
    return from(t, ag_trace_binary(t, AG_TRACE_BITS_ADD, bits(t, x), x[0]));
}
static ag_traced element_from_element(ag_trace *t, const ag_traced x[]) { return from(t, x[0]); }
static ag_traced bits_of_bits(ag_trace *t, const ag_traced x[]) {
    return from(t, ag_trace_unary(t, AG_TRACE_TO_BITS, bits(t, x)));
}
static ag_traced bits_of_truth(ag_trace *t, const ag_traced x[]) {
    return from(t, ag_trace_unary(t, AG_TRACE_TO_BITS, truth(t, x)));
}
static ag_traced integer_of_element(ag_trace *t, const ag_traced x[]) {
    return ag_trace_unary(t, AG_TRACE_INTEGER, x[0]);
}
static ag_traced bits_returned(ag_trace *t, const ag_traced x[]) { return bits(t, x); }
static ag_traced bits_converted(ag_trace *t, const ag_traced x[]) { return ag_trace_convert(t, bits(t, x)); }
static ag_traced bits_added(ag_trace *t, const ag_traced x[]) {
    return ag_trace_binary(t, AG_TRACE_ADD, bits(t, x), ag_trace_bits(t, 1));
}
static ag_traced bits_negated(ag_trace *t, const ag_traced x[]) { return ag_trace_unary(t, AG_TRACE_NEG, bits(t, x)); }
static ag_traced bits_compared(ag_trace *t, const ag_traced x[]) {
    const ag_traced equal = ag_trace_binary(t, AG_TRACE_EQUAL, bits(t, x), ag_trace_bits(t, 1));
    return ag_trace_select(t, equal, x[0], x[0]);
}
static ag_traced bits_inverted(ag_trace *t, const ag_traced x[]) {
    return from(t, ag_trace_unary(t, AG_TRACE_NOT, bits(t, x)));
}
static ag_traced element_inverted(ag_trace *t, const ag_traced x[]) { return ag_trace_unary(t, AG_TRACE_NOT, x[0]); }
static ag_traced elements_joined(ag_trace *t, const ag_traced x[]) {
    return ag_trace_select(t, ag_trace_binary(t, AG_TRACE_AND, x[0], truth(t, x)), x[0], x[0]);
}
static ag_traced truth_and_bits(ag_trace *t, const ag_traced x[]) {
    return from(t, ag_trace_binary(t, AG_TRACE_AND, truth(t, x), bits(t, x)));
}
static ag_traced three_of_one(ag_trace *t, const ag_traced x[]) { return ag_trace_unary(t, AG_TRACE_FMA, x[0]); }
static ag_traced three_of_two(ag_trace *t, const ag_traced x[]) { return ag_trace_binary(t, AG_TRACE_FMA, x[0], x[0]); }
static ag_traced truth_fused(ag_trace *t, const ag_traced x[]) { return ag_trace_fma(t, x[0], x[0], truth(t, x)); }
static ag_traced bits_fused(ag_trace *t, const ag_traced x[]) { return ag_trace_fma(t, x[0], bits(t, x), x[0]); }
static ag_traced number_for_rare(ag_trace *t, const ag_traced x[]) {
    return ag_trace_rarely(t, x[0], rare_function, x[0], 0, x[0]);
}
static ag_traced rare_truth(ag_trace *t, const ag_traced x[]) {
    return ag_trace_rarely(t, truth(t, x), rare_function, truth(t, x), 0, x[0]);
}
static ag_traced over_truth(ag_trace *t, const ag_traced x[]) {
    return ag_trace_rarely(t, truth(t, x), rare_function, x[0], 0, truth(t, x));
}
static ag_traced rare_bits(ag_trace *t, const ag_traced x[]) {
    return ag_trace_rarely(t, truth(t, x), rare_function, bits(t, x), 0, x[0]);
}
static ag_traced rare_nothing(ag_trace *t, const ag_traced x[]) {
    return ag_trace_rarely(t, truth(t, x), NULL, x[0], 0, x[0]);
}
static ag_traced rare_beyond(ag_trace *t, const ag_traced x[]) {
    return ag_trace_rarely(t, truth(t, x), rare_function, x[0], 32, x[0]);
}
static ag_traced scaled_nothing(ag_trace *t, const ag_traced x[]) {
    return ag_trace_scaled(t, x[0], (ag_traced){0, 0}, x[0]);
}
static ag_traced scaled_by_nothing(ag_trace *t, const ag_traced x[]) {
    return ag_trace_scaled(t, x[0], x[0], (ag_traced){0, 0});
}
static ag_traced scaled_to_nothing(ag_trace *t, const ag_traced x[]) {
    return ag_trace_scaled(t, (ag_traced){0, 0}, x[0], x[0]);
}
static ag_traced scaled_beyond(ag_trace *t, const ag_traced x[]) {
    return ag_trace_scaled(t, x[0], (ag_traced){x[0].index + 1, x[0].trace}, x[0]);
}
static ag_traced scaled_by_beyond(ag_trace *t, const ag_traced x[]) {
    return ag_trace_scaled(t, x[0], x[0], (ag_traced){UINT32_MAX, x[0].trace});
}
static ag_traced bits_scaled(ag_trace *t, const ag_traced x[]) { return ag_trace_scaled(t, x[0], bits(t, x), x[0]); }
static ag_traced scaled_by_bits(ag_trace *t, const ag_traced x[]) { return ag_trace_scaled(t, x[0], x[0], bits(t, x)); }
static ag_traced scaled_to_bits(ag_trace *t, const ag_traced x[]) { return ag_trace_scaled(t, bits(t, x), x[0], x[0]); }
static ag_traced bits_for_truth(ag_trace *t, const ag_traced x[]) { return ag_trace_select(t, bits(t, x), x[0], x[0]); }
static ag_traced bits_for_element(ag_trace *t, const ag_traced x[]) {
    return ag_trace_select(t, truth(t, x), bits(t, x), x[0]);
}
static ag_traced no_attribute(ag_trace *t, const ag_traced x[]) { return (void)x, ag_trace_attribute(t, 1); }
static ag_traced negative_attribute(ag_trace *t, const ag_traced x[]) { return (void)x, ag_trace_attribute(t, -1); }
static ag_traced too_many(ag_trace *t, const ag_traced x[]) {
    ag_traced y = x[0];
    for (int i = 0; i < 1000000; i++) y = ag_trace_binary(t, AG_TRACE_MUL, y, x[0]);
    return y;
}
static ag_traced without_recorder(ag_trace *t, const ag_traced x[]) {
    (void)t;
    ag_trace_fma(NULL, x[0], x[0], x[0]), ag_trace_rarely(NULL, x[0], rare_function, x[0], 0, x[0]);
    ag_trace_select(NULL, x[0], x[0], x[0]), ag_trace_shift(NULL, x[0], 1), ag_trace_bits(NULL, 1);
    ag_trace_scaled(NULL, x[0], x[0], x[0]);
    ck_assert(!ag_trace_is_narrow(NULL));
    ag_trace_number_by_width(NULL, 1, 2);
    ag_trace_attribute(NULL, 0), ag_trace_unary(NULL, AG_TRACE_NEG, x[0]), ag_trace_convert(NULL, x[0]);
    ag_trace_number_by_width(NULL, 1, 2);
    return ag_trace_binary(NULL, AG_TRACE_ADD, x[0], ag_trace_number(NULL, 1));
}

static ag_trace_function *const wrong[] = {of_no_trace,
                                           beyond,
                                           of_the_trace_before,
                                           no_input,
                                           no_code,
                                           negative_code,
                                           two_of_one,
                                           one_of_two,
                                           truth_as_number,
                                           truth_added,
                                           truth_compared,
                                           truth_negated,
                                           truth_shifted,
                                           number_for_truth,
                                           unlike_choices,
                                           too_far,
                                           too_far_back,
                                           no_attribute,
                                           negative_attribute,
                                           too_many,
                                           without_recorder,
                                           element_shifted,
                                           element_as_bits,
                                           element_from_element,
                                           bits_of_bits,
                                           bits_of_truth,
                                           integer_of_element,
                                           bits_returned,
                                           bits_converted,
                                           bits_added,
                                           bits_negated,
                                           bits_compared,
                                           bits_inverted,
                                           element_inverted,
                                           elements_joined,
                                           truth_and_bits,
                                           bits_for_truth,
                                           bits_for_element,
                                           three_of_one,
                                           three_of_two,
                                           truth_fused,
                                           bits_fused,
                                           number_for_rare,
                                           rare_truth,
                                           over_truth,
                                           rare_bits,
                                           rare_nothing,
                                           rare_beyond,
                                           scaled_nothing,
                                           scaled_by_nothing,
                                           scaled_to_nothing,
                                           scaled_beyond,
                                           scaled_by_beyond,
                                           bits_scaled,
                                           scaled_by_bits,
                                           scaled_to_bits};

/* Twice, for what is kept from the first time is of a trace that is over. The kernel runs. */
START_TEST(wrong_traces) {
    for (size_t i = 0; i < 2 * sizeof wrong / sizeof *wrong; i++) {
        ag_op op = odd_op;
        op.arity = 1;
        op.attribute_bytes = sizeof(double);
        op.block[AG_F32] = softplus_f32;
        op.trace[AG_F32] = wrong[i / 2];
        strip s = one_step(&op, AG_F32, AG_F32);
        ck_assert_msg(!ag__compile(tape, 1, s.step, s.slots, s.slot), "invalid trace %zu is compiled", i / 2);
        if (wrong[i / 2] == of_the_trace_before) continue; /* replays number traces by themselves */
        const uint64_t dtypes = (1u << 2 | AG_F32) << 2 | AG_F32;
        ag_status why = AG_OK;
        ck_assert_msg(!ag__replay_make(tape, &op, 1, dtypes, &why), "invalid trace %zu is replayed", i / 2);
        ck_assert_int_ne(why, AG_ERR_MEMORY);
    }
    strip s = one_step(&odd_op, AG_F32, AG_F32);
    s.slot[2].one = s.slot[1].one = true; /* but the first input has many elements */
    ck_assert(!ag__compile(tape, 1, s.step, s.slots, s.slot));
    expect_ok(tape);
}
END_TEST

/* Inputs of two dtypes, of 64 bits, and whole ones. */
static ag_traced less(ag_trace *t, ag_traced a) { return ag_trace_binary(t, AG_TRACE_LESS, a, a); }
static ag_traced sum_of_two(ag_trace *t, const ag_traced x[]) { return ag_trace_binary(t, AG_TRACE_ADD, x[0], x[1]); }
static ag_traced times_other(ag_trace *t, const ag_traced x[]) { return ag_trace_fma(t, x[1], x[0], x[1]); }
static ag_traced plus_other(ag_trace *t, const ag_traced x[]) { return ag_trace_fma(t, x[1], x[1], x[0]); }
static ag_traced chosen_of_two(ag_trace *t, const ag_traced x[]) {
    return ag_trace_select(t, less(t, x[1]), x[0], x[1]);
}
static ag_traced rarely_other(ag_trace *t, const ag_traced x[]) {
    return ag_trace_rarely(t, less(t, x[1]), rare_function, x[1], 0, x[0]);
}
static ag_traced rare_whole(ag_trace *t, const ag_traced x[]) {
    return ag_trace_rarely(t, less(t, x[1]), rare_function, x[1], 0, x[1]);
}
static ag_traced bits_of_two(ag_trace *t, const ag_traced x[]) {
    const ag_traced a = ag_trace_unary(t, AG_TRACE_TO_BITS, x[0]), b = ag_trace_unary(t, AG_TRACE_TO_BITS, x[1]);
    return from(t, ag_trace_binary(t, AG_TRACE_XOR, a, b));
}
static ag_traced bits_of_second(ag_trace *t, const ag_traced x[]) { return from(t, bits(t, &x[1])); }
static ag_traced second_shifted(ag_trace *t, const ag_traced x[]) {
    return from(t, ag_trace_shift(t, bits(t, &x[1]), 1));
}
static ag_traced second_fused(ag_trace *t, const ag_traced x[]) { return ag_trace_fma(t, x[1], x[1], x[1]); }
static ag_traced integer_of_bits(ag_trace *t, const ag_traced x[]) {
    return ag_trace_unary(t, AG_TRACE_INTEGER, bits(t, &x[1]));
}

typedef struct unlike {
    ag_dtype first, second; /* of its inputs; the result is of the second */
    ag_trace_function *trace;
} unlike;

static const unlike unlikes[] = {
    {AG_F32, AG_F64, sum_of_two},     {AG_F64, AG_F32, sum_of_two},   {AG_I64, AG_F64, sum_of_two},
    {AG_F64, AG_I64, sum_of_two},     {AG_F32, AG_F64, times_other},  {AG_F32, AG_F64, plus_other},
    {AG_F32, AG_F64, chosen_of_two},  {AG_F32, AG_F64, rarely_other}, {AG_I64, AG_I64, rare_whole},
    {AG_F32, AG_F64, bits_of_two},    {AG_I64, AG_I64, bits_of_two},  {AG_I64, AG_I64, bits_of_second},
    {AG_I64, AG_I64, second_shifted}, {AG_I64, AG_I64, second_fused}, {AG_F64, AG_F64, integer_of_bits},
    {AG_BOOL, AG_F64, sum_of_two},    {AG_BOOL, AG_F64, plus_other},  {AG_BOOL, AG_F64, bits_of_two},
};

START_TEST(unlike_inputs) {
    for (size_t i = 0; i < sizeof unlikes / sizeof *unlikes; i++) {
        const unlike *u = &unlikes[i];
        ag_op op = odd_op;
        op.arity = 2;
        op.trace[u->second] = u->trace;
        strip s = one_step(&op, u->second, u->second);
        s.slot[0].dtype = (uint8_t)u->first;
        ck_assert_msg(!ag__compile(tape, 1, s.step, s.slots, s.slot), "invalid trace %zu is compiled", i);
        const uint64_t dtypes = ((2u << 2 | (unsigned)u->second) << 2 | (unsigned)u->second) << 2 | (unsigned)u->first;
        ag_status why = AG_OK;
        ck_assert_msg(!ag__replay_make(tape, &op, 2, dtypes, &why), "invalid trace %zu is replayed", i);
        ck_assert_int_ne(why, AG_ERR_MEMORY);
    }
    expect_ok(tape);
}
END_TEST

/* The same number is meant in both domains. */
static ag_traced rounded(ag_trace *t, const ag_traced x[]) {
    return ag_trace_binary(t, AG_TRACE_ADD, x[0], ag_trace_number(t, 0.1));
}
static ag_traced rounded_if_wide(ag_trace *t, const ag_traced x[]) {
    return ag_trace_binary(t, AG_TRACE_ADD, x[0], ag_trace_number_by_width(t, 0.5, 0.1));
}
static ag_traced rounded_if_narrow(ag_trace *t, const ag_traced x[]) {
    return ag_trace_binary(t, AG_TRACE_ADD, x[0], ag_trace_number_by_width(t, 0.1, 0.5));
}

static bool has_exact_floats(const ag_op *op) {
    ag_trace t = {.tape = tape};
    ag__trace(&t, op, AG_F32, op->arity, true);
    bool exact = !t.not_a_float;
    ck_assert_msg(!t.failed, "%s", op->name);
    ag__trace_free(&t);
    return exact;
}

START_TEST(constants_of_f32_are_floats) {
    for (int i = 0; i < ag_op_count(); i++)
        if (ag_op_at(i)->trace[AG_F32]) ck_assert_msg(has_exact_floats(ag_op_at(i)), "%s", ag_op_at(i)->name);
    ag_op op = odd_op;
    op.trace[AG_F32] = rounded;
    ck_assert(!has_exact_floats(&op));
    op.trace[AG_F32] = rounded_if_narrow;
    ck_assert(!has_exact_floats(&op));
    op.trace[AG_F32] = rounded_if_wide;
    ck_assert(has_exact_floats(&op));
}
END_TEST

/* With 0 elements not even single elements are read or written. */
START_TEST(no_elements) {
    if (!serves()) return;
    strip s = one_step(&odd_op, AG_F32, AG_F32);
    s.slot[0].one = s.slot[1].one = s.slot[2].one = true;
    ag__code *code = ag__compile(tape, 1, s.step, s.slots, s.slot);
    ck_assert(code != NULL);
    code(0, NULL, NULL);
}
END_TEST

/* ---- Programs and their code ---- */

static strip three_steps(int attributes) {
    strip s = {.steps = 3, .slots = 6};
    for (int i = 0; i < SLOTS; i++) s.shares[i] = -1;
    for (int i = 0; i < 6; i++) s.slot[i] = (ag__code_slot){.dtype = AG_F32, .one = i == 2};
    s.step[0] = (ag__code_step){&ag__op_sub, AG_F32, 2, {0, 1}, 3, 0};
    s.step[1] = (ag__code_step){&ag__op_exp, AG_F32, 1, {3}, 4, 1};
    s.step[2] = (ag__code_step){&ag__op_scale, AG_F32, 1, {4}, 5, (uint16_t)attributes};
    s.slot[5].out = true;
    return s;
}

static ag__code *compile_three(ag_tape *t, int attributes) {
    strip s = three_steps(attributes);
    return ag__compile(t, s.steps, s.step, s.slots, s.slot);
}

/* A program of several pages. */
static ag__code *compile_long(ag_tape *t) {
    strip s = {.steps = STEPS, .slots = STEPS + 1};
    for (int i = 0; i <= STEPS; i++) s.slot[i] = (ag__code_slot){.dtype = AG_F64};
    for (int i = 0; i < STEPS; i++)
        s.step[i] = (ag__code_step){&ag__op_exp, AG_F64, 1, {(uint16_t)i}, (uint16_t)(i + 1), 0};
    s.slot[STEPS].out = true;
    return ag__compile(t, s.steps, s.step, s.slots, s.slot);
}

static void expect_three_right(ag__code *code) {
    strip s = three_steps(2);
    ck_assert(code != NULL);
    s.attributes[2][0] = 3;
    fill_inputs(&s, 100);
    run_code(&s, code, 100);
}

START_TEST(equal_programs_share_code) {
    if (!serves()) return;
    ag__code *code = compile_three(tape, 2);
    expect_three_right(code);
    ck_assert(compile_three(tape, 2) == code);
    ck_assert(compile_three(tape, 3) != code);
    strip s = three_steps(2);
    s.slot[4].out = true;
    ag__code *other = ag__compile(tape, s.steps, s.step, s.slots, s.slot);
    ck_assert(other && other != code);
    s.step[0].x[1] = 2;
    ck_assert(ag__compile(tape, s.steps, s.step, s.slots, s.slot) != other);
    ck_assert(compile_three(tape, 2) == code);
    expect_three_right(code);
}
END_TEST

/* Executable memory is not writable. */
START_TEST(code_is_not_writable) {
    if (!serves()) return;
    ag__code *code = compile_three(tape, 2);
    uintptr_t at, low, high;
    memcpy(&at, &code, sizeof at);
    FILE *maps = fopen("/proc/self/maps", "r");
    if (!maps) return; /* not Linux */
    char line[600], rights[5] = "";
    bool found = false;
    while (!found && fgets(line, sizeof line, maps))
        found = sscanf(line, "%" SCNxPTR "-%" SCNxPTR " %4s", &low, &high, rights) == 3 && low <= at && at < high;
    fclose(maps);
    ck_assert(found);
    ck_assert_str_eq(rights, "r-xp");
}
END_TEST

/* ---- Failures ---- */

static ag__pages real_pages;
static int mapped, sealed, fail_map, fail_seal;

static void *counting_map(size_t bytes) {
    if (fail_map) return NULL;
    mapped++;
    return real_pages.map(bytes);
}
static bool counting_seal(void *pages, size_t bytes) {
    sealed++;
    return !fail_seal && real_pages.seal(pages, bytes);
}
static void counting_unmap(void *pages, size_t bytes) {
    mapped--;
    real_pages.unmap(pages, bytes);
}

static void count_pages(void) {
    real_pages = ag__code_pages;
    ag__code_pages = (ag__pages){counting_map, counting_seal, counting_unmap};
    mapped = sealed = fail_map = fail_seal = 0;
}

static void count_no_pages(void) { ag__code_pages = real_pages; }

START_TEST(without_executable_memory) {
    if (!serves()) return;
    fail_map = 1;
    ck_assert(!compile_three(tape, 2));
    fail_map = 0, fail_seal = 1;
    ck_assert(!compile_three(tape, 2));
    ck_assert_int_gt(sealed, 0);
    fail_seal = 0;
    ag__code *code = compile_three(tape, 2);
    expect_three_right(code);
    fail_seal = 1;
    ck_assert(!compile_three(tape, 3));
    expect_three_right(code); /* made before */
    fail_seal = 0;
    ck_assert(compile_three(tape, 3) != NULL);
    ag__code_free(tape);
    ck_assert_int_eq(mapped, 0);
    expect_ok(tape);
}
END_TEST

START_TEST(what_is_released_is_given_back) {
    if (!serves()) return;
    ag__code *first = compile_three(tape, 1), *shared = compile_three(tape, 2), *again = compile_three(tape, 2);
    ck_assert(shared == again);
    ck_assert_int_eq(mapped, 2);
    ag__code_release(tape, shared);
    ck_assert_int_eq(mapped, 2);
    expect_three_right(again);
    ag__code_release(tape, again);
    ck_assert_int_eq(mapped, 1);
    for (int i = 3; i < 5000; i++) {
        ag__code *code = compile_three(tape, i);
        ck_assert(code != NULL);
        ag__code_release(tape, code);
    }
    ck_assert_int_eq(mapped, 1);
    ag__code_release(tape, first);
    ck_assert_int_eq(mapped, 0);
}
END_TEST

START_TEST(no_endless_growth) {
    if (!serves()) return;
    enum { BEYOND = 20000 };
    int made = 0;
    ag__code *last = NULL;
    for (ag__code *code; made < BEYOND && (code = compile_three(tape, made)) != NULL; made++) last = code;
    ck_assert_int_lt(made, BEYOND);
    ck_assert_int_eq(mapped, made);
    ck_assert(!compile_three(tape, BEYOND));
    ag__code_release(tape, last);
    ag__code *few = compile_long(tape); /* with fewer bytes than there may be, one program more is made, of any size */
    ck_assert(few != NULL);
    ck_assert(!compile_three(tape, BEYOND));
    ag__code_release(tape, few);
    ck_assert(compile_three(tape, BEYOND) != NULL);
    expect_three_right(compile_three(tape, 2));
    expect_ok(tape);
}
END_TEST

START_TEST(without_memory) {
    if (!serves()) return;
    ledger l;
    int64_t at = 0;
    for (bool more = true; more;) {
        ledger_open(&l);
        ag_tape *t = ag_tape_new_with(&l.allocator);
        l.fail_at = l.calls + ++at;
        ag__code *code = compile_three(t, 2);
        more = l.failed;
        if (code) expect_three_right(code);
        expect_three_right(compile_three(t, 2));
        expect_ok(t);
        ag_tape_free(t);
        ledger_close(&l);
    }
    ck_assert_int_gt(at, 3);
    ck_assert_int_eq(mapped, 0);
}
END_TEST

START_TEST(switched_off) {
    if (!serves()) return;
    static const char *const settings[] = {"0", "1", ""};
    for (int i = 0; i < 3; i++) {
        setenv("AG_COMPILE", settings[i], 1);
        ag_tape *t = ag_tape_new();
        ck_assert((compile_three(t, 2) != NULL) == (i > 0));
        ag_tape_free(t);
    }
    unsetenv("AG_COMPILE");
    setenv("AG_ISA", "none", 1);
    ag_tape *t = ag_tape_new();
    ck_assert(!compile_three(t, 2));
    ag_tape_free(t);
}
END_TEST

/* The wish counts if the processor has it; anything else is ignored. */
START_TEST(instruction_sets_by_name) {
    static const char *const unknown[] = {NULL, "", "1", "avx", "AVX2", "avx512 ", "sse2", "NEON", "sve"};
    const int best = has(AVX512) ? AVX512 : has(AVX2) ? AVX2 : has(NEON) ? NEON : ISAS;
    ck_assert_ptr_eq(ag__isa_of("none"), NULL);
    for (int i = 0; i < ISAS; i++)
        if (has(i)) ck_assert_str_eq(ag__isa_of(isa_name[i])->name, isa_name[i]);
        else ck_assert_ptr_eq(ag__isa_of(isa_name[i]), ag__isa_of(NULL));
    for (size_t i = 0; i < sizeof unknown / sizeof *unknown; i++) {
        const ag__isa *found = ag__isa_of(unknown[i]);
        ck_assert_msg(best == ISAS ? !found : found && strcmp(found->name, isa_name[best]) == 0, "%s", unknown[i]);
    }
}
END_TEST

/* Element i of a slot of lanes is at i mod LANES: folds add each element to its lane. A fold with a result begins with
 * the identity element, and joins its lanes in the end. */
enum { FOLDS = 4, FOLD_SLOTS = 2 + 3 * FOLDS, LANES = AG__LANES };

typedef struct folding {
    int folds;
    unsigned results;              /* a bit for each fold that has one */
    ag__code_step step[FOLDS + 1]; /* a function of x, and one step for each fold */
    ag__code_slot slot[FOLD_SLOTS];
} folding;

static folding make_folding(const ag_op *function, int dtype, int folds, unsigned results) {
    static const ag_op *const joins[FOLDS] = {&ag__op_add, &ag__op_maximum, &ag__op_minimum, &ag__op_mul};
    folding f = {.folds = folds, .results = results};
    f.slot[0] = f.slot[1] = (ag__code_slot){.dtype = (uint8_t)dtype};
    f.step[0] = (ag__code_step){function, (uint8_t)dtype, 1, {0}, 1, 0};
    for (int i = 0; i < folds; i++) {
        uint16_t in = (uint16_t)(2 + 2 * i), out = (uint16_t)(3 + 2 * i);
        const uint16_t result = (uint16_t)(2 + 2 * FOLDS + i);
        f.slot[in] = f.slot[out] = (ag__code_slot){.dtype = (uint8_t)dtype, .out = true, .lanes = true};
        f.slot[out].result = (uint16_t)(results >> i & 1 ? result + 1 : 0);
        f.slot[result] = (ag__code_slot){.dtype = (uint8_t)dtype, .one = true, .out = true};
        f.step[i + 1] = (ag__code_step){joins[i], (uint8_t)dtype, 2, {in, i % 2 ? 0 : 1}, out, 0};
    }
    return f;
}

static void check_folding(const folding *f, ag__code *code, int dtype, int64_t n) {
    _Alignas(8) static char x[200 * 8], term[200 * 8], lanes[FOLDS][LANES * 8], want[FOLDS][LANES * 8],
        result[FOLDS][8];
    int64_t size = bytes_of(dtype);
    void *slot[FOLD_SLOTS] = {x, NULL};
    fill(dtype, x, n);
    f->step[0].op->block[dtype](n, term, (const void *[]){x}, NULL);
    for (int k = 0; k < f->folds; k++) {
        fill(dtype, lanes[k], LANES);
        memcpy(want[k], lanes[k], sizeof want[k]);
        for (int64_t l = 0; l < LANES && f->results >> k & 1; l++)
            ag__put_element((ag_dtype)dtype, want[k], l, f->step[k + 1].op->neutral);
        slot[2 + 2 * k] = slot[3 + 2 * k] = lanes[k];
        slot[2 + 2 * FOLDS + k] = result[k];
        for (int64_t i = 0; i < n; i++) {
            char *at = want[k] + i % LANES * size, *from = (k % 2 ? x : term) + i * size;
            f->step[k + 1].op->block[dtype](1, at, (const void *[]){at, from}, NULL);
        }
    }
    code(n, slot, NULL);
    for (int k = 0; k < f->folds; k++) {
        if (f->results >> k & 1 && n > 0) { /* lanes may hold anything then */
            for (int64_t half = LANES / 2; half > 0; half /= 2)
                f->step[k + 1].op->block[dtype](half, want[k], (const void *[]){want[k], want[k] + half * size}, NULL);
            memcpy(lanes[k], result[k], (size_t)size);
        }
        for (int64_t i = 0; i < (f->results >> k & 1 ? n > 0 : LANES); i++) {
            double have = element_at((ag_dtype)dtype, lanes[k], i), wanted = element_at((ag_dtype)dtype, want[k], i);
            bool equal = memcmp(lanes[k] + i * size, want[k] + i * size, (size_t)size) == 0;
            if (!equal && !(isnan(have) && isnan(wanted)))
                ck_abort_msg("%s: fold %d, lane %d of %d elements is %a, not %a", current, k, (int)i, (int)n, have,
                             wanted);
        }
    }
}

START_TEST(folds_in_lanes) {
    static const ag_op *const functions[] = {&ag__op_neg, &ag__op_sigmoid};
    static const unsigned with[] = {0, 15, 5, 10};
    for (int which = 0; serves() && which < 4 * 2 * 2 * FOLDS; which++) {
        int dtype = which % 2 ? AG_F32 : AG_F64, folds = which / 2 % FOLDS + 1;
        const ag_op *function = functions[which / 2 / FOLDS % 2];
        const unsigned results = with[which / 4 / FOLDS];
        folding f = make_folding(function, dtype, folds, results);
        snprintf(current, sizeof current, "%d folds of %s %s, results %u", folds, function->name,
                 ag_dtype_name((ag_dtype)dtype), results);
        ag__code *code = ag__compile(tape, folds + 1, f.step, FOLD_SLOTS, f.slot);
        ck_assert_msg(code != NULL, "%s: not compiled", current);
        for (int64_t n = 0; n < 200; n++) check_folding(&f, code, dtype, n);
    }
}
END_TEST

/* Two folds leave few registers for eight attributes. */
START_TEST(folds_among_numbers) {
    enum { SCALES = 8, N = 96 };
    if (!serves()) return;
    ag__code_step step[SCALES + 2];
    ag__code_slot slot[SCALES + 5] = {{.dtype = AG_F32}};
    double scale[SCALES + 2];
    const void *attributes[SCALES + 2];
    for (int i = 0; i < SCALES + 2; i++) {
        scale[i] = 1 + i / 16.0;
        attributes[i] = &scale[i];
        slot[i + 1] = (ag__code_slot){.dtype = AG_F32};
        step[i] = (ag__code_step){&ag__op_scale, AG_F32, 1, {(uint16_t)i}, (uint16_t)(i + 1), (uint16_t)i};
    }
    for (int i = SCALES + 1; i < SCALES + 5; i++)
        slot[i] = (ag__code_slot){.dtype = AG_F32, .out = true, .lanes = true};
    for (int i = 0; i < 2; i++) {
        uint16_t in = (uint16_t)(SCALES + 1 + 2 * i), out = (uint16_t)(in + 1), x = (uint16_t)(SCALES - i);
        step[SCALES + i] = (ag__code_step){&ag__op_add, AG_F32, 2, {in, x}, out, 0};
    }
    ag__code *code = ag__compile(tape, SCALES + 2, step, SCALES + 5, slot);
    ck_assert(code != NULL);
    float x[N], lanes[2][LANES] = {{0}}, want[2][LANES] = {{0}};
    void *memory[SCALES + 5] = {x};
    for (int i = 0; i < 4; i++) memory[SCALES + 1 + i] = lanes[i / 2];
    for (int i = 0; i < N; i++) {
        float y = x[i] = (float)i - 40;
        for (int k = 0; k < SCALES; k++) {
            if (k == SCALES - 1) want[1][i % LANES] += y;
            y *= (float)scale[k];
        }
        want[0][i % LANES] += y;
    }
    code(N, memory, attributes);
    ck_assert_mem_eq(lanes, want, sizeof want);
}
END_TEST

/* Numbers that a compiler holds in registers, which a function leaves as they were, while `code` runs. Reads of what is
 * volatile cannot be put off. */
static volatile double real_one = 1;
static volatile int64_t whole_one = 1;

static bool keeps_registers(ag__code *code, int64_t n, void *const memory[], const void *const attributes[]) {
    const double a = real_one, b = real_one, c = real_one, d = real_one, e = real_one, f = real_one, g = real_one,
                 h = real_one;
    const int64_t i = whole_one, j = whole_one, k = whole_one, l = whole_one, m = whole_one, o = whole_one;
    code(n, memory, attributes);
    return a == 1 && b == 1 && c == 1 && d == 1 && e == 1 && f == 1 && g == 1 && h == 1 && i == 1 && j == 1 && k == 1 &&
           l == 1 && m == 1 && o == 1;
}

/* A sum of multiples: more slots than a caller's registers are free for their addresses, and as many numbers. */
START_TEST(registers_of_the_caller) {
    enum { TERMS = 24, N = 71 };
    if (!serves()) return;
    static float x[TERMS][N], y[N];
    ag__code_step step[2 * TERMS - 1];
    ag__code_slot slot[3 * TERMS];
    double scale[TERMS];
    const void *attributes[TERMS];
    void *memory[3 * TERMS] = {NULL};
    for (int i = 0; i < 3 * TERMS; i++) slot[i] = (ag__code_slot){.dtype = AG_F32};
    for (int i = 0; i < TERMS; i++) {
        scale[i] = 1 + i / 64.0, attributes[i] = &scale[i], memory[i] = x[i];
        fill(AG_F32, x[i], N);
        step[i] = (ag__code_step){&ag__op_scale, AG_F32, 1, {(uint16_t)i}, (uint16_t)(TERMS + i), (uint16_t)i};
    }
    for (int i = 1; i < TERMS; i++) {
        const uint16_t former = (uint16_t)(i > 1 ? 2 * TERMS + i - 1 : TERMS), last = (uint16_t)(2 * TERMS + i);
        step[TERMS + i - 1] = (ag__code_step){&ag__op_add, AG_F32, 2, {former, (uint16_t)(TERMS + i)}, last, 0};
    }
    slot[3 * TERMS - 1].out = true, memory[3 * TERMS - 1] = y;
    ag__code *code = ag__compile(tape, 2 * TERMS - 1, step, 3 * TERMS, slot);
    ck_assert(code != NULL);
    ck_assert(keeps_registers(code, N, memory, attributes));
    for (int k = 0; k < N; k++) {
        float sum = x[0][k] * (float)scale[0];
        for (int i = 1; i < TERMS; i++) sum += x[i][k] * (float)scale[i];
        ck_assert(isnan(sum) ? isnan(y[k]) : memcmp(&sum, &y[k], sizeof sum) == 0);
    }
}
END_TEST

/* Numbers for all elements fill the registers that the loop leaves free: few, if three bools are read at once. */
START_TEST(crowded_registers) {
    if (!serves()) return;
    snprintf(current, sizeof current, "crowded registers");
    strip s = {.steps = 21, .slots = 25};
    for (int i = 0; i < SLOTS; i++) s.shares[i] = -1;
    for (int i = 0; i < 20; i++) {
        s.attributes[i][0] = 1 + i / 64.0;
        s.slot[i] = (ag__code_slot){.dtype = AG_F32, .out = i > 15};
        s.step[i] = (ag__code_step){&ag__op_scale, AG_F32, 1, {(uint16_t)i}, (uint16_t)(i + 1), (uint16_t)i};
    }
    s.slot[20] = (ag__code_slot){.dtype = AG_F32, .out = true};
    for (int i = 21; i < 25; i++) s.slot[i] = (ag__code_slot){.dtype = AG_BOOL, .out = i == 24};
    s.step[20] = (ag__code_step){&ag__op_where, AG_BOOL, 3, {21, 22, 23}, 24, 20};
    ag__code *code = ag__compile(tape, s.steps, s.step, s.slots, s.slot);
    ck_assert(code != NULL);
    fill_inputs(&s, 100);
    run_code(&s, code, 100);
}
END_TEST

/* x, x², x⁴, …, and then their sum, the last ones first: all must wait. */
static ag__code *compile_powers(ag__code_step *step, ag__code_slot *slot, int powers) {
    for (int i = 0; i < 2 * powers; i++) slot[i] = (ag__code_slot){.dtype = AG_F32, .out = i == 2 * powers - 1};
    step[0] = (ag__code_step){&ag__op_neg, AG_F32, 1, {0}, 1, 0};
    for (int i = 1; i < powers; i++)
        step[i] = (ag__code_step){&ag__op_square, AG_F32, 1, {(uint16_t)i}, (uint16_t)(i + 1), 0};
    for (int i = powers; i < 2 * powers - 1; i++)
        step[i] = (ag__code_step){&ag__op_add,       AG_F32, 2, {(uint16_t)i, (uint16_t)(2 * powers - 1 - i)},
                                  (uint16_t)(i + 1), 0};
    return ag__compile(tape, 2 * powers - 1, step, 2 * powers, slot);
}

/* A frame larger than a page would reach beyond the one that guards the stack. Fewer vectors in lockstep take less; where that is
 * too much for two as well, there is no code. */
START_TEST(large_frames) {
    enum { MOST_POWERS = 200, N = 100 };
    static ag__code_step step[2 * MOST_POWERS];
    static ag__code_slot slot[2 * MOST_POWERS];
    static float x[N], y[N];
    if (!serves()) return;
    for (int i = 0; i < N; i++) x[i] = 1 + (float)i / N / 64;
    for (int powers = 5; powers <= 60; powers += 5) {
        ag__code *code = compile_powers(step, slot, powers);
        ck_assert_msg(code != NULL, "%d values that wait are too many", powers);
        void *memory[2 * MOST_POWERS] = {x};
        memory[2 * powers - 1] = y;
        code(N, memory, NULL);
        for (int i = 0; i < N; i++) {
            float power[MOST_POWERS] = {-x[i]};
            for (int k = 1; k < powers; k++) power[k] = power[k - 1] * power[k - 1];
            for (int k = powers - 2; k >= 0; k--) power[powers - 1] += power[k];
            ck_assert_mem_eq(&y[i], &power[powers - 1], sizeof *y);
        }
    }
    ck_assert(!compile_powers(step, slot, 100));
    ck_assert(!compile_powers(step, slot, MOST_POWERS));
}
END_TEST

/* A program over the limits is refused. */
START_TEST(large_programs) {
    enum { LARGE = 4000 };
    static ag__code_step step[LARGE];
    static ag__code_slot slot[LARGE + 1];
    if (!serves()) return;
    for (int i = 0; i < LARGE; i++) {
        slot[i] = (ag__code_slot){.dtype = AG_F32};
        step[i] = (ag__code_step){&ag__op_sigmoid, AG_F32, 1, {(uint16_t)i}, (uint16_t)(i + 1), 0};
    }
    slot[LARGE] = (ag__code_slot){.dtype = AG_F32, .out = true};
    ck_assert(!ag__compile(tape, LARGE, step, LARGE + 1, slot));
    ag__code *code = ag__compile(tape, LARGE - 3900, step + 3900, LARGE + 1, slot);
    ck_assert(code != NULL);
    static void *memory[LARGE + 1];
    float x[19], y[19];
    for (int i = 0; i < 19; i++) x[i] = (float)i / 3;
    memory[3900] = x;
    memory[LARGE] = y;
    code(19, memory, NULL);
    for (int i = 3900; i < LARGE; i++) ag__op_sigmoid.block[AG_F32](19, x, (const void *[]){x}, NULL);
    ck_assert_mem_eq(x, y, sizeof x);
}
END_TEST

static TCase *isa_group(Suite *suite, const char *name) {
    static void (*const choices[ISAS])(void) = {choose_avx512, choose_avx2, choose_neon};
    static char full[16][64]; /* Check keeps the pointer */
    static int groups;
    snprintf(full[groups], sizeof *full, "%s by %s", name, isa_name[isa]);
    TCase *c = tape_group(suite, full[groups++]);
    tcase_add_checked_fixture(c, choices[isa], choose_default);
    return c;
}

static void add_tests(Suite *suite) {
    TCase *steps = isa_group(suite, "steps");
    tcase_add_test(steps, each_operation);
    tcase_add_test(steps, users_operation);
    tcase_add_test(steps, users_operation_in_a_program);
    tcase_add_test(steps, conversions_by_c);
    tcase_add_test(steps, macros_of_the_program);
    tcase_add_test(steps, fused_products_are_rounded_once);
    tcase_add_test(steps, wrong_traces);
    tcase_add_test(steps, unlike_inputs);
    tcase_add_test(steps, constants_of_f32_are_floats);
    tcase_add_test(steps, no_elements);
    TCase *programs = isa_group(suite, "programs");
    tcase_add_test(programs, random_programs);
    tcase_add_test(programs, crowded_registers);
    tcase_add_test(programs, registers_of_the_caller);
    tcase_add_test(programs, folds_in_lanes);
    tcase_add_test(programs, folds_among_numbers);
    tcase_add_test(programs, large_frames);
    tcase_add_test(programs, large_programs);
    TCase *code = isa_group(suite, "code");
    tcase_add_test(code, equal_programs_share_code);
    tcase_add_test(code, code_is_not_writable);
    tcase_add_test(code, switched_off);
    TCase *failures = isa_group(suite, "failures");
    tcase_add_checked_fixture(failures, count_pages, count_no_pages);
    tcase_add_test(failures, what_is_released_is_given_back);
    tcase_add_test(failures, no_endless_growth);
    tcase_add_test(failures, without_executable_memory);
    tcase_add_test(failures, without_memory);
}

int main(void) {
    unsetenv("AG_COMPILE"); /* the other tests may run with these */
    unsetenv("AG_ISA");
    Suite *suite = suite_create("compile");
    for (isa = 0; isa < ISAS; isa++) add_tests(suite);
    tcase_add_test(tape_group(suite, "choice"), instruction_sets_by_name);
    return run_suite(suite);
}
