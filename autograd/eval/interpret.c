/* interpret -- programs of regions, strip by strip
 *
 * How the work is divided depends on shapes only, and pieces are joined in a fixed order, so results are the same bits
 * for any number of threads, and those of the reference evaluator, except sums over everything in a large region of
 * rows. */
#include "autograd/eval/interpret.h"
#include "autograd/eval/pack.h"
#include "autograd/eval/rows.h"
#include "autograd/eval/stream.h"
#include "autograd/tape/basis.h"
#include "autograd/tape/replay.h"

#include <string.h>

typedef struct strip { /* a strip's position */
    int64_t row, rows, column, columns, start, n;
    bool begins; /* its sample, or the rows that are run */
} strip;

/* ---- Folds ---- */

static void fill(char *y, const char *x, int64_t n, int bytes) {
    uint32_t word;
    uint64_t wide;
    switch (bytes) {
    case 1: memset(y, *(const unsigned char *)x, (size_t)n); break;
    case 4:
        memcpy(&word, x, sizeof word);
        for (int64_t i = 0; i < n; i++) ((ag__word_4 *)(void *)y)[i] = word;
        break;
    default:
        memcpy(&wide, x, sizeof wide);
        for (int64_t i = 0; i < n; i++) ((ag__word_8 *)(void *)y)[i] = wide;
        break;
    }
}

/* y = the folds of n elements, a strip each, as the reference evaluator makes them; returns how many. */
static int64_t fold_strips(const ag_reduction *op, int dtype, int64_t n, char *y, const char *x) {
    const int64_t bytes = (int64_t)ag_dtype_size((ag_dtype)dtype);
    int64_t strips = 0;
    for (int64_t i = 0; i < n; i += AG__STRIP, strips++)
        op->fold[dtype](ag__lesser(n - i, AG__STRIP), y + strips * bytes, x + i * bytes);
    return strips;
}

/* y = the fold of n elements. */
static void fold(const ag_reduction *op, int dtype, int64_t n, char *y, const char *x) {
    enum { MOST_STRIPS = AG__LONGEST_ROW / AG__STRIP };
    if (n <= AG__STRIP) {
        op->fold[dtype](n, y, x);
        return;
    }
    _Alignas(8) char partial[MOST_STRIPS * AG__MOST_BYTES];
    ag__join(op, dtype, partial, fold_strips(op, dtype, n, partial, x), 1);
    memcpy(y, partial, ag_dtype_size((ag_dtype)dtype));
}

/* The row's sample, of those that there are. */
static int64_t sample_of(const ag__region *g, int64_t row) { return g->sample < g->rows ? row / g->sample : 0; }

/* The rows of its group that are before this one. */
static int64_t row_in_group(const ag__region *g, int64_t row) {
    return (row - sample_of(g, row) * g->sample) % AG__ROWS_A_GROUP;
}

/* The first row of the next group, which may be of the next sample. */
static int64_t next_group(const ag__region *g, int64_t row) {
    return ag__lesser(row - row_in_group(g, row) + AG__ROWS_A_GROUP, (sample_of(g, row) + 1) * g->sample);
}

/* The offset of the partial folds of a row's group, in elements. */
static int64_t fold_offset(const ag__running *r, int64_t row, int64_t column) {
    const ag__region *g = r->region;
    const int64_t sample = sample_of(g, row), within = row - sample * g->sample;
    return (sample * ag__groups_a_sample(g) + within / AG__ROWS_A_GROUP) * g->columns + column;
}

/* Rows that are computed whole if there is machine code, else strip by strip, have a partial fold for each strip. */
static bool by_strips(const ag__region *g) { return g->form == AG__WIDE || g->columns > AG__MOST_ROW; }

static int64_t strips_of_row(const ag__region *g) { return (g->columns + AG__STRIP - 1) / AG__STRIP; }

/* The number of this strip, or of its first one. */
static int64_t strip_number(const ag__region *g, const strip *at) {
    if (g->form == AG__FLAT) return at->start / AG__STRIP;
    return by_strips(g) ? at->row * strips_of_row(g) + at->column / AG__STRIP : at->row / g->tile;
}

/* y = the identity element of the fold, n times. */
static void start_folds(const ag_tensor *t, char *y, int64_t n) {
    double identity = t->op->reduction->join->neutral;
    float single = (float)identity;
    fill(y, t->dtype == AG_F32 ? (char *)&single : (char *)&identity, n, (int)ag__bytes(t));
}

/* Elements from a column of interleaved rows to the next, of a cell that has one for each of the strip's; else 0. */
static int64_t across_of(const ag__running *r, const ag__cell *x, const strip *at) {
    if (x->where == AG__AT_ELEMENT) return r->region->inner;
    return x->where == AG__AT_TEMP && !x->rows && !x->once ? at->rows : 0;
}

static void fold_rows(const ag__running *r, const ag__instruction *q, const strip *at, char *y, const char *x) {
    const ag_tensor *t = r->table[q->node];
    const ag_reduction *op = t->op->reduction;
    int64_t bytes = (int64_t)ag__bytes(t);
    const ag__cell *cell = AG__FROM(&r->plan->cells, r->plan->operands.at[q->x]);
    if (r->region->inner > 1) ag__fold_interleaved(t, at->rows, at->columns, across_of(r, cell, at), y, x);
    else if (ag__is_short(at->columns)) ag__fold_short(op, t->dtype, at->rows, at->columns, y, x);
    else
        for (int64_t i = 0; i < at->rows; i++)
            fold(op, t->dtype, at->columns, y + i * bytes, x + i * at->columns * bytes);
    if (op->finish[t->dtype]) op->finish[t->dtype](at->rows, y, at->columns);
}

static void fold_down(const ag__running *r, const ag__instruction *q, const strip *at, const char *x) {
    const ag_tensor *t = r->table[q->node];
    const ag_reduction *op = t->op->reduction;
    const int64_t width = at->columns * (int64_t)ag__bytes(t);
    for (int64_t row = at->row, end = row + at->rows, rows; row < end; row += rows, x += rows * width) {
        const int64_t within = row_in_group(r->region, row);
        char *y = r->partial[q->y] + fold_offset(r, row, at->column) * (int64_t)ag__bytes(t);
        rows = ag__lesser(end - row, within ? AG__ROWS_A_GROUP - within : 1);
        if (within == 0) memcpy(y, x, (size_t)width);
        else ag__combine_rows(op->combine[t->dtype], at->columns, y, x, rows, width);
    }
}

/* x: the folds of blocks; NULL: y is their fold already. */
static void finish_row(const ag_tensor *t, int64_t columns, char *y, char *x) {
    const ag_reduction *op = t->op->reduction;
    if (x) {
        ag__join(op, t->dtype, x, (columns - 1) / AG__STRIP + 1, 1);
        memcpy(y, x, ag__bytes(t));
    }
    if (op->finish[t->dtype]) op->finish[t->dtype](1, y, columns);
}

static void run_folds(const ag__running *r, const ag__instruction *q, const strip *at, char *y, char *x) {
    const ag_tensor *t = r->table[q->node];
    switch (q->does) {
    case AG__FOLD_ROWS: fold_rows(r, q, at, y, x); break;
    case AG__FOLDED_ROW: finish_row(t, at->columns, y, x); break;
    case AG__START_DOWN:
        if (row_in_group(r->region, at->row) == 0) start_folds(t, y, at->columns);
        break;
    case AG__FOLD_DOWN: fold_down(r, q, at, x); break;
    case AG__FOLDED_DOWN: break;
    default:
        y = r->partial[q->y] + strip_number(r->region, at) * (int64_t)ag__bytes(t);
        if (r->region->form == AG__ROWS && by_strips(r->region)) fold_strips(t->op->reduction, t->dtype, at->n, y, x);
        else fold(t->op->reduction, t->dtype, at->n, y, x);
    }
}

/* ---- One strip ---- */

static void pack_strip(const ag_tensor *t, char *y, int64_t start, int64_t n) {
    ag_array from = ag__array_of(t);
    ag__pack(y, &from, start, n);
}

/* Whether a group of interleaved rows lies in columns of neighbours, `down` elements apart, wherever the groups are. */
static bool has_columns(const ag__region *g, const ag__walk *w, int64_t *down) {
    const int last = w->rank - 1;
    if (last < 0 || w->stride[last] != 1) return false;
    *down = g->inner;
    if (w->extent[last] % (g->columns * g->inner) == 0) return true;
    if (last == 0 || w->extent[last] != g->inner || w->extent[last - 1] % g->columns != 0) return false;
    *down = w->stride[last - 1];
    return true;
}

/* The same of groups that have no stride from one to the next, such as those of a tensor that is broadcast over some of
 * the axes before the columns. Small ones without columns of neighbours, as of windows, are packed as they lie first,
 * some at a time. */
static AG__RARE void pack_groups(const ag__region *g, const ag_tensor *t, const strip *at, char *y) {
    const int64_t across = ag__lesser(g->inner, at->rows), bytes = (int64_t)ag__bytes(t);
    const ag__walk w = ag__walk_over(t->layout->rank, t->layout->extent, ag__strides(t->layout));
    const char *x = ag__values(t);
    _Alignas(8) char some[AG__STRIP * AG__MOST_BYTES];
    int64_t down = 0, last;
    const bool by_columns = has_columns(g, &w, &down);
    const int64_t most = across < g->inner ? 0 : AG__STRIP / (g->columns * across) * across; /* rows at a time */
    for (int64_t i = 0; i < at->rows; i += across, y += across * bytes) {
        const int64_t start = at->start + i * g->columns;
        const char *from = some;
        if (by_columns) from = x + ag__walk_offset(&w, start, &last) * bytes;
        else if (most > 0) {
            down = across, from += i % most * g->columns * bytes;
            if (from == some)
                ag__pack_walk(some, x, &w, start, ag__lesser(most, at->rows - i) * g->columns, (size_t)bytes);
        }
        if (by_columns || most > 0) ag__copy_rows(y, at->rows * bytes, from, down * bytes, at->columns, across * bytes);
        else
            for (int64_t j = 0; j < at->columns; j++)
                ag__pack_walk(y + j * at->rows * bytes, x, &w, start + j * g->inner, across, (size_t)bytes);
    }
}

/* A strip of interleaved rows, column by column. */
static AG__RARE void pack_columns(const ag__region *g, const ag_tensor *t, const strip *at, char *y) {
    const int64_t across = ag__lesser(g->inner, at->rows), group = at->row / g->inner, first = at->row % g->inner;
    const size_t bytes = ag__bytes(t);
    int64_t s[3];
    if (!ag__region_strides(g, t, s)) {
        pack_groups(g, t, at, y);
        return;
    }
    const ag__walk w = {3, {at->columns, at->rows / across, across}, {s[1], s[0], s[2]}};
    const char *x = ag__values(t);
    ag__pack_walk(y, x + (group * s[0] + first * s[2]) * (int64_t)bytes, &w, 0, at->n, bytes);
}

static AG__RARE void put_columns(const ag__region *g, const strip *at, int64_t bytes, char *y, const char *x) {
    const int64_t across = ag__lesser(g->inner, at->rows);
    for (int64_t i = 0; i < at->rows; i += across)
        ag__copy_rows(y + i * g->columns * bytes, g->inner * bytes, x + i * bytes, at->rows * bytes, at->columns,
                      across * bytes);
}

/* The columns of the strip's sample in each row of the largest strip, where they are not since another one. */
static void repeat(const ag__running *r, const ag__instruction *q, const strip *at, char *y) {
    const ag__region *g = r->region;
    const ag_tensor *t = r->table[q->node];
    const size_t width = (size_t)g->columns * ag__bytes(t);
    const char *x = (const char *)ag__values(t) + (size_t)sample_of(g, at->row) * width;
    const bool first = q < AG__FROM(&r->plan->instructions, g->begin);
    if (!first && !at->begins) return;
    ag__copy_rows(y, (int64_t)width, x, 0, g->tile, (int64_t)width);
}

static AG__RARE void run_fetch(const ag__running *r, const ag__instruction *q, const strip *at, char *y,
                               const char *x) {
    const ag__region *g = r->region;
    const ag_tensor *t = r->table[q->node];
    int bytes = (int)ag__bytes(t);
    switch (q->does) {
    case AG__FILL: fill(y, ag__values(t), at->n, bytes); break;
    case AG__FILL_ROWS: fill(y, ag__values(t), at->rows, bytes); break;
    case AG__REPEAT: repeat(r, q, at, y); break;
    case AG__SPREAD: ag__spread(y, x, at->rows, at->columns, (size_t)bytes); break;
    case AG__PACK:
        if (g->inner > 1) pack_columns(g, t, at, y);
        else pack_strip(t, y, at->start, at->n);
        break;
    case AG__PUT_PAST:
        if (g->packed) put_columns(g, at, bytes, y, x);
        else ag__copy_past(y, x, (size_t)(at->n * bytes), 0);
        break;
    default: pack_strip(t, y, at->row, at->rows); break;
    }
}

static uintptr_t *steps_of(const ag__running *r, char *const *address) {
    return (uintptr_t *)(uintptr_t)(address + r->region->cells);
}

/* In column j of interleaved rows; else j is 0. */
static void run_map(const ag__running *r, const ag__instruction *q, int64_t n, char *const *address, int64_t j) {
    const ag_tensor *t = r->table[q->node];
    const uint32_t *in = AG__FROM(&r->plan->operands, q->x), first = r->region->cell;
    const void *x[AG__MOST_INPUTS];
    for (int i = 0; i < q->inputs; i++) x[i] = address[in[i] - first];
    char *y = address[q->y - first];
    if (j > 0) {
        const uintptr_t *step = steps_of(r, address);
        for (int i = 0; i < q->inputs; i++) x[i] = (const char *)x[i] + step[in[i] - first] * (uintptr_t)j;
        y += step[q->y - first] * (uintptr_t)j;
    }
    ag__map(t, n, y, x);
}

static void run_code_of(const ag__running *r, uint32_t code, uint32_t attribute, int64_t n, char *const *address) {
    r->plan->codes.at[code](n, (void *const *)address, r->attributes + attribute);
}

static void run_code(const ag__running *r, const ag__instruction *q, int64_t n, char *const *address) {
    run_code_of(r, q->node, q->attribute, n, address);
}

/* A row in blocks of a strip each, which have folds of their own: what has one element a row stays, except the results
 * of these, which belong to no tensor, and are put side by side. */
static AG__RARE void run_blocks(const ag__running *r, const ag__instruction *q, int64_t columns, char **address) {
    const uint32_t *operand = AG__FROM(&r->plan->operands, q->x), first = r->region->cell;
    for (int64_t from = 0, n; from < columns; from += n) {
        n = ag__lesser(columns - from, AG__STRIP);
        run_code(r, q, n, address);
        for (uint32_t i = 0; i < q->inputs + (uint32_t)q->outputs; i++) {
            const uint32_t k = operand[i] - first;
            const ag__cell *cell = &r->cell[k];
            const bool stays = cell->where == AG__AT_ONE || (cell->rows && cell->index != AG__NONE);
            const int64_t on = cell->rows ? 1 : n, all = cell->rows ? (columns - 1) / AG__STRIP + 1 : columns;
            const int64_t by = stays ? 0 : from + n < columns ? on : on - all;
            address[k] = (char *)((uintptr_t)address[k] + (uintptr_t)(by * cell->bytes));
        }
    }
}

/* An operation over the elements of interleaved rows, column by column; what has one element a row stays. */
static AG__RARE void run_columns(const ag__running *r, const ag__instruction *q, const strip *at, char **address) {
    const uint32_t *operand = AG__FROM(&r->plan->operands, q->x), first = r->region->cell;
    const uint32_t cells = q->does == AG__RUN ? q->inputs + q->outputs : 0;
    const uintptr_t *step = steps_of(r, address);
    for (int64_t j = 0; j < at->columns; j++) {
        if (q->does == AG__MAP) run_map(r, q, at->rows, address, j);
        else run_code(r, q, at->rows, address);
        for (uint32_t i = 0; i < cells; i++) {
            const uint32_t k = operand[i] - first;
            const uintptr_t back = j + 1 == at->columns ? step[k] * (uintptr_t)at->columns : 0;
            address[k] = (char *)((uintptr_t)address[k] + step[k] - back);
        }
    }
}

static void run_instruction(const ag__running *r, const ag__instruction *q, const strip *at, char **address) {
    const uint32_t first = r->region->cell;
    char *x = NULL, *y = NULL;
    if (r->region->inner > 1 && (q->does == AG__RUN || q->does == AG__MAP)) {
        run_columns(r, q, at, address);
        return;
    }
    switch (q->does) {
    case AG__RUN:
        if (q->y) run_blocks(r, q, at->n, address);
        else run_code(r, q, at->n, address);
        return;
    case AG__RUN_ROWS: run_code(r, q, at->rows, address); return;
    case AG__MAP: run_map(r, q, at->n, address, 0); return;
    case AG__MAP_ROWS: run_map(r, q, at->rows, address, 0); return;
    default: break;
    }
    if (q->inputs) x = address[r->plan->operands.at[q->x] - first];
    if (q->does < AG__RUN) y = address[q->y - first];
    if (q->does < AG__FOLD_ROWS) run_fetch(r, q, at, y, x);
    else run_folds(r, q, at, y, x);
}

/* Addresses of the cells in this strip. */
AG__NEVER_INLINE static void aim(const ag__running *r, const strip *at, char *scratch, char **address) {
    const int64_t sample = sample_of(r->region, at->row) * r->region->columns;
    for (uint32_t i = 0; i < r->region->cells; i++) {
        const ag__cell *s = &r->cell[i];
        switch (s->where) {
        case AG__AT_NOTHING: break;
        case AG__AT_TEMP: address[i] = scratch + (size_t)s->temp * AG__UNIT; break;
        case AG__AT_ONE: address[i] = r->base[i]; break;
        case AG__AT_ELEMENT: address[i] = r->base[i] + at->start * s->bytes; break;
        case AG__AT_STRIDED: address[i] = r->base[i] + at->column * s->bytes + (intptr_t)r->step[i] * at->row; break;
        case AG__AT_COLUMN: address[i] = r->base[i] + (at->column + (s->samples ? sample : 0)) * s->bytes; break;
        case AG__AT_ROW: address[i] = r->base[i] + at->row * s->bytes; break;
        default: address[i] = r->partial[s->temp] + fold_offset(r, at->row, at->column) * s->bytes; break;
        }
    }
}

/* The steps of run_columns. */
static AG__RARE void find_steps(const ag__running *r, const strip *at, char **address) {
    uintptr_t *step = steps_of(r, address);
    for (uint32_t i = 0; i < r->region->cells; i++)
        step[i] = (uintptr_t)across_of(r, &r->cell[i], at) * r->cell[i].bytes;
}

static void run_aimed(const ag__running *r, const strip *at, char **address) {
    const ag__instruction *q = AG__FROM(&r->plan->instructions, r->region->begin);
    for (uint32_t k = 0; k < r->region->count; k++) run_instruction(r, q + k, at, address);
}

/* ---- The next row ---- */

/* A region that goes through each row several times reads memory in the first of these only. So each of them asks for a
 * part of what the next row reads. One that goes through it once, and writes nothing as large, asks for all of it, but
 * only where no cache has it and a row is short: by itself the processor looks ahead to the end of a page, and is late
 * in every row. In long rows, and of what a cache may have, asking only takes time. */
enum { MOST_ASKED = AG__LIMIT(4, 2), SHORT_ROW = AG__LIMIT(8192, 64) };
typedef struct next_row {
    uint32_t cell[MOST_ASKED], cells; /* of tensors that are not in the caches */
    uint32_t parts;                   /* instructions that go through a row */
} next_row;

static bool is_output(const ag__running *r, uint32_t index) {
    const ag__step_output *o = AG__FROM(&r->plan->outputs, r->region->output);
    for (uint32_t i = 0; i < r->region->outputs; i++)
        if (o[i].index == index) return true;
    return false;
}

static AG__RARE next_row next_row_of(const ag__running *r) {
    const ag__region *g = r->region;
    const ag__instruction *q = AG__FROM(&r->plan->instructions, g->begin);
    next_row y = {.parts = 0};
    for (uint32_t k = 0; k < g->count; k++) y.parts += q[k].does == AG__RUN;
    bool writes = false;
    if (y.parts == 0 || g->products) return y;
    for (uint32_t i = 0; i < g->cells; i++) {
        const uintptr_t bytes = r->step[i] * (uintptr_t)g->rows;
        if (bytes < AG__MEMORY || r->cell[i].where == AG__AT_STRIDED) continue;
        if (y.parts == 1 && (bytes < 2 * (uintptr_t)AG__PAST_CACHES || r->step[i] > SHORT_ROW)) continue;
        if (is_output(r, r->cell[i].index)) writes = true;
        else if (y.cells < MOST_ASKED) y.cell[y.cells++] = i;
    }
    if (writes && y.parts == 1) y.cells = 0;
    return y;
}

/* The row is so many rows below. */
static void ask_for_part(const ag__running *r, const next_row *next, uint32_t part, uintptr_t below,
                         char *const *address) {
    for (uint32_t i = 0; i < next->cells; i++) {
        const uintptr_t bytes = r->step[next->cell[i]], start = bytes * part / next->parts;
        const uintptr_t row = (uintptr_t)address[next->cell[i]] + below * bytes;
        ag__ask_for(row + start, bytes * (part + 1) / next->parts - start);
    }
}

static AG__RARE void run_asking(const ag__running *r, const strip *at, const next_row *next, char **address) {
    const ag__instruction *q = AG__FROM(&r->plan->instructions, r->region->begin);
    for (uint32_t k = 0, part = 0; k < r->region->count; k++) {
        if (q[k].does == AG__RUN) ask_for_part(r, next, part++, 1, address);
        run_instruction(r, q + k, at, address);
    }
}

static void run_strip(const ag__running *r, const strip *at, char *scratch, char **address) {
    aim(r, at, scratch, address);
    if (r->region->inner > 1) find_steps(r, at, address);
    run_aimed(r, at, address);
}

/* ---- All strips ---- */

/* The rows of a unit; 0: it is a strip without rows. */
static int64_t rows_a_unit(const ag__region *g) {
    if (g->form == AG__FLAT) return 0;
    if (g->tile < g->inner) return g->inner;
    return g->down && g->tile < AG__ROWS_A_GROUP ? AG__ROWS_A_GROUP : g->tile;
}

int64_t ag__unit_elements(const ag__region *g) {
    int64_t rows = rows_a_unit(g);
    return rows ? rows * g->columns : AG__STRIP;
}

/* Whether a unit is a group of rows. */
static bool in_groups(const ag__region *g) { return g->form != AG__FLAT && g->down && g->tile <= AG__ROWS_A_GROUP; }

int64_t ag__region_units(const ag__region *g) {
    int64_t rows = rows_a_unit(g);
    if (in_groups(g)) return g->rows / g->sample * ag__groups_a_sample(g);
    return rows ? (g->rows + rows - 1) / rows : (g->size + AG__STRIP - 1) / AG__STRIP;
}

/* The first row of a unit; those after the last one have all. */
static int64_t unit_row(const ag__region *g, int64_t unit) {
    const int64_t groups = ag__groups_a_sample(g), rows = rows_a_unit(g);
    if (in_groups(g)) return unit / groups * g->sample + unit % groups * rows;
    return ag__lesser(unit * rows, g->rows);
}

int64_t ag__unit_start(const ag__region *g, int64_t unit) {
    return g->form == AG__FLAT ? ag__lesser(unit * AG__STRIP, g->size) : unit_row(g, unit) * g->columns;
}

int64_t ag__partial_folds(const ag__region *g, const ag__instruction *q) {
    if (q->does >= AG__FOLD_DOWN) return g->rows / g->sample * ag__groups_a_sample(g);
    if (g->form == AG__FLAT) return ag__region_units(g);
    return by_strips(g) ? g->rows * strips_of_row(g) : (g->rows + g->tile - 1) / g->tile;
}

/* The addresses of `rows` rows, a table for each, move on by as many. */
static void move_on(const ag__running *r, uint32_t rows, char **address) {
    for (uint32_t k = 0; k < r->moving; k++) {
        const uintptr_t moved = rows * r->step[r->moves[k]];
        char **at = address + r->moves[k];
        for (uint32_t c = 0; c < rows; c++, at += r->region->cells) *at = (char *)((uintptr_t)*at + moved);
    }
}

/* The rows of a group from this one on, some at a time: the addresses of a row are followed by those of the next. */
static AG__RARE void run_several(const ag__running *r, strip *at, int64_t last, char **address) {
    const ag__region *g = r->region;
    const ag__instruction *q = AG__FROM(&r->plan->instructions, g->begin), *only = q + (g->only - g->begin);
    const uint32_t cells = g->cells, rows = g->together;
    for (uint32_t k = 0; k < g->count; k++)
        if (q + k != only) run_instruction(r, q + k, at, address);
    for (char **below = address + cells; below < address + rows * cells;)
        for (uint32_t i = 0; i < cells; i++, below++)
            *below = (char *)((uintptr_t)below[-(ptrdiff_t)cells] + r->step[i]);
    for (; at->row + rows <= last; at->row += rows, move_on(r, rows, address))
        run_code_of(r, g->several, only->attribute, at->n, address);
    for (; at->row < last; at->row++, move_on(r, 1, address)) run_code(r, only, at->n, address);
}

/* The rows of a group in pairs: where a fold of one ends, the other has work for the processor. next: what to ask for;
 * NULL: nothing. */
static AG__RARE void run_pairs(const ag__running *r, strip *at, int64_t last, const next_row *next, char *scratch,
                               char **address) {
    const ag__region *g = r->region;
    const ag__instruction *q = AG__FROM(&r->plan->instructions, g->begin);
    strip below = *at;
    below.row++, below.start += g->columns;
    aim(r, &below, scratch + (size_t)g->temps * AG__UNIT, address + g->cells);
    for (; below.row < last; at->row += 2, below.row += 2, at->start += 2 * g->columns, below.start += 2 * g->columns) {
        for (uint32_t k = 0, part = 0; k < g->count; k++) {
            const bool asks = next && q[k].does == AG__RUN;
            if (asks) ask_for_part(r, next, part, 2, address);
            run_instruction(r, q + k, at, address);
            if (asks) ask_for_part(r, next, part, 2, address + g->cells);
            run_instruction(r, q + k, &below, address + g->cells);
            part += asks;
        }
        move_on(r, 2, address);
    }
    if (at->row < last) run_aimed(r, at, address);
}

/* Strips of a row each, or of a block of its columns: the addresses move along. A group of rows is done block by block,
 * so that what is read or added up down the columns stays in the first cache. */
AG__NEVER_INLINE static void run_single_rows(const ag__running *r, int64_t first, int64_t end, char *scratch,
                                             char **address) {
    const int64_t width = r->region->columns, each = r->region->block;
    const uint32_t only = r->region->only;
    const ag__instruction *code = only == AG__NONE ? NULL : AG__FROM(&r->plan->instructions, only);
    const next_row next = next_row_of(r);
    for (int64_t row = first, last; row < end; row = last) {
        last = ag__lesser(end, next_group(r->region, row));
        for (int64_t column = 0; column < width; column += each) {
            strip at = {.row = row, .rows = 1, .column = column, .start = row * width + column};
            at.n = at.columns = ag__lesser(each, width - column);
            aim(r, &at, scratch, address);
            if (r->region->several != AG__NONE) {
                run_several(r, &at, last, address);
                continue;
            }
            if (r->region->pairs) {
                run_pairs(r, &at, last, next.cells && last + 1 < end ? &next : NULL, scratch, address);
                continue;
            }
            for (; at.row < last; at.row++, at.start += width) {
                if (at.row > row) move_on(r, 1, address);
                if (code && at.row > row) run_code(r, code, at.n, address);
                else if (next.cells && each >= width && at.row + 1 < end) run_asking(r, &at, &next, address);
                else run_aimed(r, &at, address);
            }
        }
    }
}

AG__NEVER_INLINE static void run_rows(const ag__running *r, int64_t first, int64_t end, char *scratch, char **address) {
    const ag__region *g = r->region;
    if (g->tile == 1 && g->inner == 1) {
        run_single_rows(r, first, end, scratch, address);
        return;
    }
    for (int64_t row = first, rows; row < end; row += rows) {
        const int64_t within = row % g->inner;
        rows = ag__lesser(g->tile, g->tile < g->inner ? g->inner - within : end - row);
        if (g->sample < g->rows) rows = ag__lesser(rows, (sample_of(g, row) + 1) * g->sample - row);
        strip at = {.row = row, .rows = rows, .columns = g->columns, .start = (row - within) * g->columns + within};
        at.n = rows * g->columns;
        at.begins = row == first || row == sample_of(g, row) * g->sample;
        run_strip(r, &at, scratch, address);
    }
}

static void run_forwards(const ag__running *r, int64_t first, int64_t end, char *scratch, char **address) {
    const ag__region *g = r->region;
    int64_t rows = rows_a_unit(g);
    if (rows) {
        run_rows(r, unit_row(g, first), unit_row(g, end), scratch, address);
        return;
    }
    for (int64_t unit = first; unit < end; unit++) {
        int64_t start = unit * AG__STRIP, n = ag__lesser(AG__STRIP, g->size - start);
        run_strip(r, &(strip){.rows = 1, .columns = n, .start = start, .n = n}, scratch, address);
    }
}

/* The last few units first, each few of them forwards. */
static void run_backwards(const ag__running *r, int64_t first, int64_t end, char *scratch, char **address) {
    const int64_t few = r->region->down || r->region->inner > 1 ? 1 : AG__ROWS_A_GROUP;
    for (int64_t from; end > first; end = from) {
        from = end - few < first ? first : end - few;
        run_forwards(r, from, end, scratch, address);
    }
}

/* Before the first strip: as if for the largest one. */
static void prepare(const ag__running *r, char *scratch, char **address) {
    const ag__region *g = r->region;
    const ag__instruction *q = AG__FROM(&r->plan->instructions, g->once);
    int64_t n = ag__strip_elements(g);
    strip at = {.rows = g->tile, .columns = g->form == AG__ROWS ? g->columns : n, .n = n};
    for (int row = 0; row <= g->pairs && g->prepares; row++, scratch += (size_t)g->temps * AG__UNIT) {
        aim(r, &at, scratch, address);
        for (uint32_t k = 0; k < g->prepares; k++) run_instruction(r, q + k, &at, address);
    }
}

void ag__run_units(const ag__running *r, int64_t first, int64_t end, char *scratch, char **address) {
    prepare(r, scratch, address);
    (r->region->backwards ? run_backwards : run_forwards)(r, first, end, scratch, address);
    if (r->region->past) ag__copied_past();
}
