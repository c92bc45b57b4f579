/* rows_indexing -- padding, rearranging, ranges, and elements at indices, beside PyTorch; f32 */
#include "bench.h"

#include <math.h>
#include <stdio.h>

enum function {
    PAD_CHANNELS_LAST,
    PAD,
    REFLECT,
    SELECT_ROWS,
    SELECT_COLUMNS,
    TAKE,
    PAIRS,
    ADD_ROWS,
    ADD_PAIRS,
    SCATTER,
    ADD_ALONG,
    ADD_ACROSS,
    ROLL_ROWS,
    ROLL_COLUMNS,
    ONE_HOT,
    TRIL,
    STACK_FIRST,
    STACK_LAST,
    TILE,
    REPEAT,
    TURN,
    PROGRESSION,
    DISTINCT,
    MASKED
};

enum { PARTS = 8 };

static struct {
    ag_tape *tape;
    ag_mark mark;
    float *memory;
    int64_t *index[2];
    unsigned char *mask;
    ag_tensor *x, *i, *j, *m, *part[PARTS];
} s;

/* size: function, up to four extents, indices; 0: as many as elements */
static ag_shape shape_of(const row *r) {
    ag_shape shape = {0};
    while (shape.rank < 4 && r->size[1 + shape.rank] > 0)
        shape.extent[shape.rank] = r->size[1 + shape.rank], shape.rank++;
    return shape;
}

static bool set_up(const row *r, int threads) {
    const ag_shape shape = shape_of(r), all = r->size[5] == 0 ? shape : AG_SHAPE(r->size[5]);
    int64_t n = 1, chosen = 1;
    for (int i = 0; i < shape.rank; i++) n *= shape.extent[i];
    for (int i = 0; i < all.rank; i++) chosen *= all.extent[i];
    const int64_t limit = shape.extent[r->size[0] == SELECT_COLUMNS || (r->size[5] == 0 && r->size[0] != ADD_ACROSS)];
    s.tape = ag_tape_new();
    ag_tape_set_threads(s.tape, threads);
    s.memory = noise_f32(n, 1, 1);
    s.index[0] = noise_labels(chosen, 2, limit);
    s.index[1] = noise_labels(chosen, 3, limit);
    s.mask = room(n);
    for (int64_t i = 0; i < n; i++) s.mask[i] = s.memory[i] > 0;
    s.x = ag_wrap(s.tape, AG_F32, shape, s.memory);
    s.i = ag_wrap(s.tape, AG_I64, all, s.index[0]);
    s.j = ag_wrap(s.tape, AG_I64, all, s.index[1]);
    s.m = ag_wrap(s.tape, AG_BOOL, shape, s.mask);
    for (int k = 0; k < PARTS; k++) s.part[k] = s.x;
    s.mark = ag_tape_mark(s.tape);
    return fine(s.tape);
}

static bool tear_down(const row *r) {
    (void)r;
    const bool good = fine(s.tape);
    ag_tape_free(s.tape);
    room_free(s.memory), room_free(s.index[0]), room_free(s.index[1]), room_free(s.mask);
    return good;
}

static ag_tensor *zeros(void) { return ag_zeros_like(s.x); }

static ag_tensor *recorded(enum function function) {
    const ag_shape one = AG_SHAPE(1, 1), two = AG_SHAPE(2, 2);
    ag_tensor *inverse;
    switch (function) {
    case PAD_CHANNELS_LAST: return ag_pad(s.x, AG_AXES(1, 2), one, one);
    case PAD: return ag_pad(s.x, AG_AXES(2, 3), one, one);
    case REFLECT: return ag_pad_with(s.x, AG_AXES(2, 3), two, two, AG_PAD_REFLECT, 0);
    case SELECT_ROWS: return ag_index_select(s.x, s.i, 0);
    case SELECT_COLUMNS: return ag_index_select(s.x, s.i, 1);
    case TAKE: return ag_take_along_axis(s.x, s.i, 1);
    case PAIRS: return ag_index(s.x, AG_ITEMS(AG_BY(s.i), AG_BY(s.j)));
    case ADD_ROWS: return ag_index_add(zeros(), s.i, s.x, 0);
    case ADD_PAIRS:
        return ag_index_put(zeros(), AG_ITEMS(AG_BY(s.i), AG_BY(s.j)), ag_scalar(s.tape, AG_F32, 1), AG_PUT_ADD);
    case SCATTER: return ag_scatter(zeros(), s.i, s.x, 1);
    case ADD_ALONG: return ag_scatter_add(zeros(), s.i, s.x, 1);
    case ADD_ACROSS: return ag_scatter_add(zeros(), s.i, s.x, 0);
    case ROLL_ROWS: return ag_roll(s.x, 100, 0);
    case ROLL_COLUMNS: return ag_roll(s.x, 100, 1);
    case ONE_HOT: return ag_one_hot(s.i, 64, AG_I64);
    case TRIL: return ag_tril(s.x, 0);
    case STACK_FIRST: return ag_stack(PARTS, s.part, 0);
    case STACK_LAST: return ag_stack(PARTS, s.part, -1);
    case TILE: return ag_contiguous(ag_tile(s.x, two));
    case REPEAT: return ag_contiguous(ag_repeat_interleave(s.x, 3, 0));
    case TURN: return ag_contiguous(ag_transpose(s.x, 0, 1));
    case PROGRESSION: return ag_linspace(s.tape, AG_F32, -1, 2, ag_size(s.x));
    case DISTINCT: return ag_unique(s.i, &inverse, NULL), inverse;
    default: return ag_masked_select(s.x, s.m);
    }
}

static double once(const row *r, bool weighed) {
    ag_tensor *y = recorded((enum function)r->size[0]);
    ag_eval(y);
    double sum = weighed ? weigh(ag_dtype_of(y) == AG_I64 ? ag_cast(y, AG_F64) : y) : 0;
    if (weighed && !fine(s.tape)) sum = NAN;
    ag_tape_rewind(s.tape, s.mark);
    return sum;
}

static void work(const row *r, int64_t repetitions) {
    for (int64_t k = 0; k < repetitions; k++) once(r, false);
}

static double check(const row *r) { return once(r, true); }

int indexing_rows(row *to) {
    static const struct {
        const char *name;
        int64_t size[6];
        double limit; /* of PyTorch's time */
    } rows[] = {
        {"pad_nhwc", {PAD_CHANNELS_LAST, 32, 56, 56, 64, 1}, 0.7},
        {"pad_nchw", {PAD, 32, 64, 56, 56, 1}, 0.7},
        {"pad_reflect", {REFLECT, 32, 64, 56, 56, 1}, 0.7},
        {"select_rows", {SELECT_ROWS, 100000, 64, 0, 0, 100000}, 0.7},
        {"select_columns", {SELECT_COLUMNS, 2000, 1000, 0, 0, 1000}, 0.7},
        {"take", {TAKE, 2000, 1000, 0, 0, 0}, 0.7},
        {"pairs", {PAIRS, 2000, 2000, 0, 0, 1000000}, 0.7},
        {"add_rows", {ADD_ROWS, 100000, 64, 0, 0, 100000}, 0.7},
        {"add_pairs", {ADD_PAIRS, 2000, 2000, 0, 0, 1000000}, 0.7},
        {"scatter", {SCATTER, 2000, 1000, 0, 0, 0}, 0.7},
        {"add_along", {ADD_ALONG, 2000, 1000, 0, 0, 0}, 0.7},
        {"add_across", {ADD_ACROSS, 2000, 1000, 0, 0, 0}, 0.7},
        {"roll_rows", {ROLL_ROWS, 4096, 1024, 0, 0, 1}, 0.7},
        {"roll_columns", {ROLL_COLUMNS, 4096, 1024, 0, 0, 1}, 0.7},
        {"one_hot", {ONE_HOT, 64, 0, 0, 0, 100000}, 0.7},
        {"tril", {TRIL, 2048, 2048, 0, 0, 1}, 0.7},
        {"stack_first", {STACK_FIRST, 512, 1024, 0, 0, 1}, 0.7},
        {"stack_last", {STACK_LAST, 512, 1024, 0, 0, 1}, 0.7},
        {"tile", {TILE, 1024, 1024, 0, 0, 1}, 0.7},
        {"repeat", {REPEAT, 1024, 1024, 0, 0, 1}, 0.7},
        {"turn", {TURN, 1024, 1024, 0, 0, 1}, 0.7},
        {"linspace", {PROGRESSION, 1024, 1024, 0, 0, 1}, 1},
        {"distinct", {DISTINCT, 1000, 0, 0, 0, 100000}, 1.2},
        {"masked_select", {MASKED, 2048, 2048, 0, 0, 1}, 0.7},
    };
    const int n = sizeof rows / sizeof *rows;
    for (int i = 0; i < n; i++) {
        to[i] = (row){.what = "padding, rearranging, ranges, elements at indices",
                      .unit = "s",
                      .each = "",
                      .setup = set_up,
                      .work = work,
                      .check = check,
                      .teardown = tear_down,
                      .peers = {{.name = "torch", .where = TORCH, .limit = rows[i].limit}}};
        for (int k = 0; k < 6; k++) to[i].size[k] = rows[i].size[k];
        snprintf(to[i].name, sizeof to[i].name, "indexing_%s", rows[i].name);
    }
    return n;
}
