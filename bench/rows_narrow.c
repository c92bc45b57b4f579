/* rows_narrow -- tensors with short rows: folds, broadcasts back over the rows, rows that an index chooses, slices
 *
 * Unless a peer is PyTorch, it is our own engine on the same numbers in a form that is easy: columns instead of rows. */
#include "bench.h"

#include <math.h>
#include <stdio.h>

enum { MANY = 1000000, MOST = 4 };
enum function { SUM, MEAN, VARIANCE, LARGEST, ARGMAX, SOFTMAX, NORMALISE, SLICES, TIMES_ROW, TIMES_COLUMN, TURNED };
enum { OF_GATHER, OF_SCATTER };

static struct {
    ag_tape *tape;
    ag_mark mark;
    float *memory[MOST];
    int64_t *index;
    ag_tensor *x, *y, *g, *i; /* y: the peer's x */
} s;

static void open(int threads) {
    s.tape = ag_tape_new();
    ag_tape_set_threads(s.tape, threads);
    for (int i = 0; i < MOST; i++) s.memory[i] = NULL;
    s.index = NULL;
}

static bool opened(void) {
    s.mark = ag_tape_mark(s.tape);
    return fine(s.tape);
}

static bool tear_down(const row *r) {
    (void)r;
    bool good = fine(s.tape);
    ag_tape_free(s.tape);
    for (int i = 0; i < MOST; i++) room_free(s.memory[i]);
    room_free(s.index);
    return good;
}

static float *input(int i, int64_t n, double scale) { return s.memory[i] = noise_f32(n, (uint64_t)i + 1, scale); }

static double finish(int n, ag_tensor *const all[], bool weighed) {
    ag_eval_all(n, all);
    double sum = 0;
    for (int i = 0; weighed && i < n; i++)
        sum += weigh(ag_dtype_of(all[i]) == AG_I64 ? ag_cast(all[i], AG_F64) : all[i]);
    if (weighed && !fine(s.tape)) sum = NAN;
    ag_tape_rewind(s.tape, s.mark);
    return sum;
}

/* ---- Folds of rows, beside those of columns: size: rows, elements a row, dtype, function ---- */

static bool set_up_fold(const row *r, int threads) {
    const int64_t n = r->size[0], w = r->size[1];
    open(threads);
    ag_tensor *x = ag_wrap(s.tape, AG_F32, AG_SHAPE(n, w), input(0, n * w, 1));
    x = ag_cast(ag_scale(x, 1000), (ag_dtype)r->size[2]);
    s.x = ag_keep(x);
    s.y = ag_keep(ag_contiguous(ag_transpose(x, 0, 1)));
    ag_eval_all(2, (ag_tensor *[]){s.x, s.y});
    return opened();
}

static ag_tensor *folded(const row *r, ag_tensor *x, int axis) {
    switch ((enum function)r->size[3]) {
    case MEAN: return ag_mean_over(x, AG_AXES(axis), false);
    case VARIANCE: return ag_var_over(x, AG_AXES(axis), 0, false);
    case LARGEST: return ag_max_over(x, AG_AXES(axis), false);
    case ARGMAX: return ag_argmax(x, axis, false);
    default: return ag_sum_over(x, AG_AXES(axis), false);
    }
}

static double fold(const row *r, ag_tensor *x, int axis, bool weighed) {
    ag_tensor *y = folded(r, x, axis);
    return finish(1, &y, weighed);
}

static void folds(const row *r, int64_t repetitions) {
    for (int64_t k = 0; k < repetitions; k++) fold(r, s.x, 1, false);
}

static double check_fold(const row *r) { return fold(r, s.x, 1, true); }

static void folds_of_columns(const row *r, int64_t repetitions) {
    for (int64_t k = 0; k < repetitions; k++) fold(r, s.y, 0, false);
}

static double check_fold_of_columns(const row *r) { return fold(r, s.y, 0, true); }

static row fold_row(const char *name, enum function function, ag_dtype dtype, int64_t w) {
    row r = {.what = "a fold of short rows, a million of them, beside that of as many columns",
             .size = {MANY, w, (int64_t)dtype, (int64_t)function},
             .setup = set_up_fold,
             .work = folds,
             .check = check_fold,
             .peers = {{.name = "columns",
                        .where = HERE,
                        .work = folds_of_columns,
                        .check = check_fold_of_columns,
                        .limit = 1.2}}};
    snprintf(r.name, sizeof r.name, "narrow_%s_%d", name, (int)w);
    return r;
}

/* ---- Forward and backward, beside PyTorch: size: rows, elements a row ---- */

static bool set_up_rows(const row *r, int threads) {
    const int64_t n = r->size[0], w = r->size[1];
    open(threads);
    s.x = ag_parameter(s.tape, AG_F32, AG_SHAPE(n, w), input(0, n * w, 4));
    s.g = ag_wrap(s.tape, AG_F32, AG_SHAPE(n, w), input(1, n * w, 1));
    return opened();
}

static ag_tensor *normalised(ag_tensor *x) { return ag_div(x, ag_sqrt(ag_sum_over(ag_square(x), AG_AXES(-1), true))); }

/* The cross product of each row with the next vector in a cycle of its own components: every column is used twice. */
static ag_tensor *of_slices(ag_tensor *x) {
    ag_tensor *a = ag_slice(x, 1, 0, 1, 1), *b = ag_slice(x, 1, 1, 2, 1), *c = ag_slice(x, 1, 2, 3, 1);
    return ag_concat(3, (ag_tensor *[]){ag_mul(a, b), ag_mul(b, c), ag_mul(c, a)}, 1);
}

static double both_ways(const row *r, bool weighed) {
    ag_tensor *all[2], *y = NULL;
    switch ((enum function)r->size[3]) {
    case SOFTMAX: y = ag_softmax(s.x, -1); break;
    case NORMALISE: y = normalised(s.x); break;
    default: y = of_slices(s.x); break;
    }
    all[1] = y;
    ag_vjp(1, &y, &s.g, 1, &s.x, all, 0);
    return finish(2, all, weighed);
}

static void work_both_ways(const row *r, int64_t repetitions) {
    for (int64_t k = 0; k < repetitions; k++) both_ways(r, false);
}

static double check_both_ways(const row *r) { return both_ways(r, true); }

/* ---- Products with broadcast and turned operands, beside the plain product ---- */

static bool set_up_product(const row *r, int threads) {
    const int64_t n = r->size[0], w = r->size[1];
    ag_shape other = AG_SHAPE(n, w);
    open(threads);
    s.x = ag_wrap(s.tape, AG_F32, AG_SHAPE(n, w), input(0, n * w, 1));
    if (r->size[3] == TIMES_ROW) other.extent[0] = 1;
    if (r->size[3] == TIMES_COLUMN) other.extent[1] = 1;
    if (r->size[3] == TURNED) other = AG_SHAPE(w, n);
    s.y = ag_wrap(s.tape, AG_F32, other, input(1, n * w, 1));
    return opened();
}

static void multiply(ag_tensor *a, ag_tensor *b) {
    ag_tensor *y = ag_mul(a, b);
    finish(1, &y, false);
}

static void products(const row *r, int64_t repetitions) {
    for (int64_t k = 0; k < repetitions; k++) multiply(s.x, r->size[3] == TURNED ? ag_transpose(s.y, 0, 1) : s.y);
}

static void plain_products(const row *r, int64_t repetitions) {
    (void)r;
    for (int64_t k = 0; k < repetitions; k++) multiply(s.x, s.x);
}

static row product_row(const char *name, enum function function, int64_t w) {
    row r = {.what = "a product with a short row, a column or a transpose, beside that of contiguous tensors",
             .size = {MANY, w, 0, (int64_t)function},
             .setup = set_up_product,
             .work = products,
             .peers = {{.name = "contiguous", .where = HERE, .work = plain_products, .limit = 2}}};
    snprintf(r.name, sizeof r.name, "narrow_times_%s_%d", name, (int)w);
    return r;
}

/* ---- Rows that an index chooses, beside PyTorch: size: rows, elements a row, 0, which ---- */

static bool set_up_index(const row *r, int threads) {
    const int64_t n = r->size[0], w = r->size[1];
    open(threads);
    s.index = noise_labels(n, 2, n);
    s.x = ag_wrap(s.tape, AG_F32, AG_SHAPE(n, w), input(0, n * w, 1));
    s.i = ag_wrap(s.tape, AG_I64, AG_SHAPE(n, 1), s.index);
    return opened();
}

static double index_rows(const row *r, bool weighed) {
    ag_tensor *y = r->size[3] == OF_GATHER ? ag_gather(s.x, s.i, 0)
                                           : ag_scatter_add(ag_zeros(s.tape, AG_F32, ag_shape_of(s.x)), s.i, s.x, 0);
    return finish(1, &y, weighed);
}

static void work_index(const row *r, int64_t repetitions) {
    for (int64_t k = 0; k < repetitions; k++) index_rows(r, false);
}

static double check_index(const row *r) { return index_rows(r, true); }

static row index_row(const char *name, int which, int64_t n, int64_t w) {
    row r = {.what = "rows that an index chooses: gathered, or added up",
             .size = {n, w, 0, which},
             .setup = set_up_index,
             .work = work_index,
             .check = check_index,
             .peers = {{.name = "torch", .where = TORCH, .limit = 1}}};
    snprintf(r.name, sizeof r.name, "narrow_%s_%d", name, (int)w);
    return r;
}

/* ---- The rows ---- */

static row both_ways_row(enum function function, int64_t n, int64_t w) {
    static const char *const name[] = {[SOFTMAX] = "softmax", [NORMALISE] = "normalise", [SLICES] = "slices"};
    row r = {.what = "short rows, forward and backward",
             .size = {n, w, 0, (int64_t)function},
             .setup = set_up_rows,
             .work = work_both_ways,
             .check = check_both_ways,
             .peers = {{.name = "torch", .where = TORCH, .limit = 0.7}}};
    snprintf(r.name, sizeof r.name, "narrow_%s_%d", name[function], (int)w);
    return r;
}

int narrow_rows(row *to) {
    static const int64_t widths[] = {2, 3, 4, 8, 10, 16}, chosen[] = {1, 3, 64};
    int n = 0;
    for (size_t i = 0; i < sizeof widths / sizeof *widths; i++) to[n++] = fold_row("sum", SUM, AG_F32, widths[i]);
    to[n++] = fold_row("sum_f64", SUM, AG_F64, 3);
    to[n++] = fold_row("sum_i64", SUM, AG_I64, 3);
    to[n++] = fold_row("mean", MEAN, AG_F32, 3);
    to[n++] = fold_row("var", VARIANCE, AG_F32, 10);
    to[n++] = fold_row("max", LARGEST, AG_F32, 10);
    to[n++] = fold_row("argmax", ARGMAX, AG_F32, 10);
    to[n++] = both_ways_row(SOFTMAX, 100000, 10);
    to[n++] = both_ways_row(SOFTMAX, 100000, 2);
    to[n++] = both_ways_row(NORMALISE, MANY, 3);
    to[n++] = both_ways_row(SLICES, MANY, 3);
    to[n++] = product_row("row", TIMES_ROW, 3);
    to[n++] = product_row("column", TIMES_COLUMN, 3);
    to[n++] = product_row("turned", TURNED, 3);
    for (size_t i = 0; i < sizeof chosen / sizeof *chosen; i++) {
        to[n++] = index_row("gather", OF_GATHER, chosen[i] == 64 ? 100000 : MANY, chosen[i]);
        to[n++] = index_row("scatter", OF_SCATTER, chosen[i] == 64 ? 100000 : MANY, chosen[i]);
    }
    for (int i = 0; i < n; i++) {
        to[i].unit = "s";
        to[i].each = "";
        to[i].teardown = tear_down;
    }
    return n;
}
