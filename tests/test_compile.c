/* test_compile -- compiled strip programs give what the block kernels give, bit for bit
 *
 * Every program is run by the kernels, step by step, and compiled. Slots that the compiled code gets end where a page
 * ends that is followed by one that must not be touched. On processors that it does not serve the compiler says no, and
 * most tests here have nothing to do. */
#include "autograd/compile.h"
#include "ops/list.h"
#include "tests/support.h"

#include <float.h>
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
    int shares[SLOTS]; /* the slot whose memory it takes over, or −1 */
    double attributes[STEPS][4];
    int32_t dtype_attribute[STEPS]; /* of casts */
} strip;

static bool serves(void) {
#if defined __x86_64__ && defined __GNUC__
    return __builtin_cpu_supports("avx2");
#else
    return false;
#endif
}

static int64_t bytes_of(int dtype) { return dtype == AG_BOOL ? 1 : dtype == AG_F32 ? 4 : 8; }

/* ---- Memory ---- */

static char *guarded[SLOTS]; /* GUARDED bytes, then a page that cannot be touched */

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

static _Alignas(64) char plain[SLOTS][BYTES]; /* what the kernels work on, n elements even of a slot that is `one` */

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

static void run_kernels(const strip *s, int64_t n) {
    for (int i = 0; i < s->steps; i++) {
        const ag__code_step *step = &s->step[i];
        const void *x[8];
        for (int k = 0; k < step->n; k++) x[k] = plain[step->x[k]];
        step->op->block[step->dtype](n, plain[step->y], x, attributes_of(s, i));
    }
}

static void compare(const strip *s, int slot, int64_t n, const char *got) {
    int dtype = s->slot[slot].dtype;
    for (int64_t i = 0; i < (s->slot[slot].one && n > 0 ? 1 : n); i++) {
        double want = element_at((ag_dtype)dtype, plain[slot], i), have = element_at((ag_dtype)dtype, got, i);
        int64_t at = i * bytes_of(dtype);
        if (isnan(want) && isnan(have)) continue;
        if (memcmp(plain[slot] + at, got + at, (size_t)bytes_of(dtype)) == 0) continue;
        int writer = 0;
        while (writer < s->steps - 1 && s->step[writer].y != slot) writer++;
        ck_abort_msg("element %d of %d, slot %d, written by %s: %a, not %a", (int)i, (int)n, slot,
                     s->step[writer].op->name, have, want);
    }
}

/* One length: the kernels' results are those of `plain`, whose inputs are there. */
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
        for (int k = 1; k <= 64; k++) /* a check of Check's own for each would take most of the time */
            if (((char *)slot[i])[-k] != 0x55) ck_abort_msg("slot %d: memory before it was written", i);
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

static void attribute_set(const ag_op *op, int set, double a[4]) {
    static const double gates[4][4] = {
        {0, INFINITY, 0, 1}, {-1, 1, 1, 1}, {0.5, INFINITY, 0.5, 1}, {-INFINITY, 3, 1, 0.5}};
    for (int k = 0; k < 4; k++) a[k] = op == &ag__op_gate ? gates[set % 4][k] : some_number();
    if (op == &ag__op_clamp && !(a[0] <= a[1])) a[0] = -1, a[1] = set;
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
            else element_put((ag_dtype)s->slot[k].dtype, plain[k], i, special[which]);
        }
}

static void check_step(strip *s) {
    ag__code *code = ag__compile(tape, s->steps, s->step, s->slots, s->slot);
    ck_assert_msg(code != NULL, "it is not compiled");
    for (int set = 0; set < number_of_sets(s->step[0].op); set++) {
        attribute_set(s->step[0].op, set, s->attributes[0]);
        for (int64_t start = 0; start < SPECIAL * SPECIAL; start += MOST) {
            special_inputs(s, start, MOST);
            run_code(s, code, MOST);
        }
        fill_inputs(s, MOST);
        for (int64_t n = 0; n <= 70; n++) run_code(s, code, n);
        run_code(s, code, MOST);
    }
}

static void check_op(const ag_op *op, int dtype) {
    for (int y = 0; y < AG_DTYPES; y++) {
        if (op == &ag__op_cast ? y == AG_I64 : y != (op->flags & AG_OP_PREDICATE ? AG_BOOL : dtype)) continue;
        char what[80];
        snprintf(what, sizeof what, "%s %s to %s: ", op->name, ag_dtype_name((ag_dtype)dtype),
                 ag_dtype_name((ag_dtype)y));
        expecting(what);
        strip s = one_step(op, dtype, y);
        check_step(&s);
        for (int k = 0; k < op->arity; k++) { /* each input as a single element */
            strip single = s;
            single.slot[k].one = true;
            fill_inputs(&single, MOST);
            ag__code *code = ag__compile(tape, 1, single.step, single.slots, single.slot);
            ck_assert_msg(code != NULL, "it is not compiled");
            for (int64_t n = 0; n < 40; n += 3) run_code(&single, code, n);
        }
    }
    expecting("");
}

START_TEST(each_operation) {
    int described = 0;
    for (int i = 0; i < ag_op_count(); i++)
        for (int d = 0; d < AG_DTYPES; d++)
            if (ag_op_at(i)->micro[d]) {
                described++;
                if (serves()) check_op(ag_op_at(i), d);
            }
    ck_assert_int_gt(described, 40);
}
END_TEST

/* ---- Random programs ---- */

/* A slot that a step may read, of this dtype; a new input if there is none, or now and then. */
static int some_slot(strip *s, int dtype, int age) {
    int found[SLOTS], count = 0;
    for (int i = s->slots > age ? s->slots - age : 0; i < s->slots; i++)
        if (s->slot[i].dtype == dtype) found[count++] = i;
    if (count > 0 && (random_below(6) || s->slots >= SLOTS - 12)) return found[random_below(count)];
    s->slot[s->slots] = (ag__code_slot){.dtype = (uint8_t)dtype, .one = random_below(5) == 0};
    return s->slots++;
}

/* An operation that is described for the dtype. */
static const ag_op *some_op(int dtype, bool casts) {
    for (;;) {
        const ag_op *op = ag_op_at(random_below(ag_op_count()));
        if (op->micro[dtype] && (casts || op != &ag__op_cast)) return op;
    }
}

static void add_random_step(strip *s, int dtypes, int age) {
    int dtype = random_below(5) == 0 ? AG_BOOL : dtypes == 2 ? (random_below(2) ? AG_F32 : AG_F64) : dtypes, y = dtype;
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
    if (op == &ag__op_cast)
        y = random_below(3) == 0 ? AG_BOOL : dtypes == 2 ? (random_below(2) ? AG_F32 : AG_F64) : dtypes;
    attribute_set(op, random_below(12), s->attributes[s->steps]);
    s->dtype_attribute[s->steps] = y;
    step->y = (uint16_t)s->slots;
    s->slot[s->slots++] = (ag__code_slot){(uint8_t)y, one && random_below(4), random_below(3) == 0};
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

/* Outputs take over the memory of inputs that nobody reads later. */
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
    static const int dtypes[] = {AG_F32, AG_F64, 2};
    char what[60];
    snprintf(what, sizeof what, "random program %d: ", (int)seed);
    expecting(what);
    random_state = seed * 1000;
    strip s = random_strip(dtypes[seed % 3]);
    ag__code *code = ag__compile(tape, s.steps, s.step, s.slots, s.slot);
    ck_assert_msg(code != NULL, "it is not compiled");
    int64_t lengths[] = {0, 1, 1 + random_below(7), 8, 9 + random_below(60), 9 + random_below(60), MOST};
    for (int i = 0; i < 7; i++) {
        fill_inputs(&s, lengths[i]);
        run_code(&s, code, lengths[i]);
    }
    expecting("");
}

START_TEST(random_programs) {
    if (!serves()) return;
    for (uint64_t seed = 1; seed <= (small_run() ? 60 : 3000); seed++) {
        check_random(seed);
        ag__code_recycle(tape);
    }
}
END_TEST

int main(void) {
    Suite *suite = suite_create("compile");
    TCase *steps = tape_group(suite, "steps");
    tcase_add_test(steps, each_operation);
    TCase *programs = tape_group(suite, "programs");
    tcase_add_test(programs, random_programs);
    return run_suite(suite);
}
