/* test_verify -- regions' programs that were damaged are refused, for each reason that verify.c has
 *
 * The planner's question whether a program is sound comes here first. It is asked again with each cell, instruction and
 * number of the region changed in turn, and the answers are counted by their reasons. What was planned is sound, is left
 * as it was, and gives the reference evaluator's values. */
#include "autograd/eval/planning.h"
#include "autograd/eval/stream.h"
#include "tests/support.h"

#include <stdio.h>
#include <string.h>

#ifndef NDEBUG

bool __real_ag__verify(const ag__planner *p, uint32_t s);
bool __wrap_ag__verify(const ag__planner *p, uint32_t s);

/* ---- Reasons ---- */

static const char *const reasons[] = {
    "a value is beyond the end of scratch memory",
    "partial folds where there are none",
    "a tensor is read that is not in memory",
    "a value has another dtype than its tensor",
    "a strip is beyond the end of its tensor",
    "strips of a tensor that has gaps",
    "rows or columns in a region that has none",
    "columns in a strip of several rows",
    "a value is read that is in no memory",
    "a value was overwritten before it is read",
    "nothing was written",
    "another value is read than the operand",
    "a value is read in another form than it has",
    "a value is read as another dtype",
    "an operation over as many elements as it has not",
    "a result has another form",
    "machine code reads a value in another form",
    "a fold of rows that has another size",
    "a fold of columns that has another size",
    "a fold of everything that has another size",
    "a fold of long rows elsewhere",
    "a fold that has no number",
    "a fold without an end",
    "another value is written past the caches",
    "such a value has another form",
    "such a value is not in scratch memory",
    "a tensor is fetched that is not in memory",
    "what is spread has no rows",
    "another form",
    "rows by columns are not the elements",
    "a strip has too many rows",
    "a group's rows are in no strips",
    "a strip of other rows than the region's",
    "no part of a row",
    "another instruction than code",
    "no code for several rows",
    "no pairs of rows",
    "interleaved rows in a region with other folds",
    "interleaved rows are cut",
};
enum { REASONS = sizeof reasons / sizeof *reasons };

static int64_t met[REASONS], asked, refused;

/* Kinds of instructions, and places of cells, that the programs had. */
static const char *const kinds[] = {
    [AG__MAP] = "map",
    [AG__MAP_ROWS] = "map rows",
    [AG__FILL] = "fill",
    [AG__FILL_ROWS] = "fill rows",
    [AG__REPEAT] = "repeat",
    [AG__SPREAD] = "spread",
    [AG__PACK] = "pack",
    [AG__PACK_ROWS] = "pack rows",
    [AG__PUT_PAST] = "put past",
    [AG__FOLD_ROWS] = "fold rows",
    [AG__START_DOWN] = "start down",
    [AG__FOLDED_ROW] = "folded row",
    [AG__RUN] = "run",
    [AG__RUN_ROWS] = "run rows",
    [AG__FOLD_ALL] = "fold all",
    [AG__FOLD_LONG] = "fold long",
    [AG__FOLD_DOWN] = "fold down",
    [AG__FOLDED_DOWN] = "folded down",
};
enum { KINDS = sizeof kinds / sizeof *kinds, WHERES = AG__AT_FOLD + 1 };
static bool had[KINDS], had_where[WHERES];

static void note_reason(const char *error) {
    const char *why = strstr(error, " elements: ");
    ck_assert_msg(why, "%s", error);
    for (int i = 0; i < REASONS; i++)
        if (strcmp(why + strlen(" elements: "), reasons[i]) == 0) {
            met[i]++;
            return;
        }
    ck_abort_msg("verify.c has a reason that is not in this list: %s", why);
}

/* ---- Damage ---- */

typedef struct site {
    const ag__planner *p;
    uint32_t step;
} site;

static bool is_sound(const site *at) {
    ag_tape *t = at->p->c->tape;
    asked++;
    if (__real_ag__verify(at->p, at->step)) return true;
    note_reason(t->error);
    t->status = AG_OK;
    refused++;
    return false;
}

/* Ask with these bytes of the plan changed. */
static bool is_sound_with(const site *at, void *place, const void *bytes, size_t n) {
    char kept[64];
    ck_assert_uint_le(n, sizeof kept);
    memcpy(kept, place, n);
    memcpy(place, bytes, n);
    const bool sound = is_sound(at);
    memcpy(place, kept, n);
    return sound;
}

#define CHANGED(at, place, ...) is_sound_with(at, &(place), &(__typeof__(place)){__VA_ARGS__}, sizeof(place))

/* Whether a cell has a tensor: verify.c asks that of none of those that only hold folds. */
static bool of_tensor(const site *at, uint32_t cell) { return at->p->plan->cells.at[cell].index != AG__NONE; }

static void damage_cell(const site *at, ag__cell *cell) {
    const ag__region *r = ag__region_of(at->p, at->step);
    const ag__cell was = *cell;
    const uint32_t step = 1 + at->p->c->count / 16;
    for (int where = 0; where <= AG__AT_FOLD; where++) {
        ag__cell other = was;
        other.where = (uint8_t)where;
        if (was.index == AG__NONE && (where != AG__AT_FOLD || !was.lanes)) continue;
        is_sound_with(at, cell, &other, sizeof other);
        for (uint32_t i = 0; i < at->p->c->count && was.index != AG__NONE; i += step) {
            other.index = i;
            is_sound_with(at, cell, &other, sizeof other);
        }
    }
    if (was.index != AG__NONE) {
        CHANGED(at, cell->rows, !was.rows);
        CHANGED(at, cell->lanes, !was.lanes);
    }
    CHANGED(at, cell->bytes, (uint8_t)(was.bytes ^ 12));
    CHANGED(at, cell->dtype, (uint8_t)(was.dtype ^ 1));
    for (uint32_t i = r->cell; i < r->cell + r->cells; i++)
        if (at->p->plan->cells.at[i].where == AG__AT_TEMP) CHANGED(at, cell->temp, at->p->plan->cells.at[i].temp);
    if (was.where == AG__AT_TEMP) ck_assert(!CHANGED(at, cell->temp, r->temps));
    if (was.where == AG__AT_FOLD) ck_assert(!CHANGED(at, cell->temp, r->folds));
}

static void damage_instruction(const site *at, ag__instruction *q) {
    const ag__plan *plan = at->p->plan;
    const ag__region *r = ag__region_of(at->p, at->step);
    const ag__instruction was = *q;
    const uint32_t used = was.does == AG__FOLDED_DOWN ? 0 : was.inputs + was.outputs;
    if (was.does != AG__RUN && was.does != AG__RUN_ROWS)
        for (uint32_t i = 0; i < at->p->c->nodes; i++)
            if (at->p->c->table[i]->arity >= was.inputs) CHANGED(at, q->node, i);
    for (uint32_t i = r->cell; i < r->cell + r->cells && was.does < AG__RUN; i++)
        if (of_tensor(at, i)) CHANGED(at, q->y, i);
    if (was.does >= AG__FOLD_ALL && was.does <= AG__FOLD_DOWN) {
        CHANGED(at, q->y, r->folds);
        ck_assert(was.does == AG__FOLD_DOWN || !CHANGED(at, q->y, r->folds));
    }
    for (uint32_t k = 0; k < used; k++)
        for (uint32_t i = r->cell; i < r->cell + r->cells; i++)
            if (of_tensor(at, i)) CHANGED(at, plan->operands.at[was.x + k], i);
    if (was.inputs > 1 && was.outputs == 0) CHANGED(at, q->inputs, (uint16_t)(was.inputs - 1));
    if (was.inputs != 1 || was.outputs > 0 || !of_tensor(at, plan->operands.at[was.x])) return;
    const bool of_node = was.node < at->p->c->nodes && at->p->c->table[was.node]->arity > 0;
    for (int does = 0; does <= AG__FOLDED_DOWN; does++)
        if ((does != AG__MAP && does != AG__MAP_ROWS && does < AG__FOLD_ROWS) || of_node)
            CHANGED(at, q->does, (uint8_t)does);
}

static void damage_region(const site *at, ag__region *r) {
    const ag__region was = *r;
    for (int form = AG__FLAT; form <= AG__WIDE; form++) CHANGED(at, r->form, (uint8_t)form);
    CHANGED(at, r->down, !was.down);
    CHANGED(at, r->past, !was.past);
    if (was.temps > 0) CHANGED(at, r->temps, was.temps - 1);
    if (was.folds > 0) CHANGED(at, r->folds, was.folds - 1);
    const int64_t tiles[] = {0, 1, 2, 3, was.tile + 1, 2 * was.tile, was.rows};
    for (size_t i = 0; i < sizeof tiles / sizeof *tiles; i++) CHANGED(at, r->tile, tiles[i]);
    CHANGED(at, r->rows, 0);
    CHANGED(at, r->rows, was.rows + 1);
    CHANGED(at, r->columns, was.columns - 1);
    CHANGED(at, r->size, was.size - 1);
    CHANGED(at, r->block, 0);
    CHANGED(at, r->pairs, !was.pairs);
    CHANGED(at, r->packed, !was.packed);
    CHANGED(at, r->all, !was.all);
    CHANGED(at, r->inner, 2 * was.inner);
    CHANGED(at, r->several, at->p->plan->codes.count);
    if (was.several == AG__NONE) return;
    CHANGED(at, r->together, 1);
    CHANGED(at, r->only, AG__NONE);
    CHANGED(at, r->only, was.begin);
}

static bool damaging;

bool __wrap_ag__verify(const ag__planner *p, uint32_t s) {
    const site at = {p, s};
    if (!damaging) return __real_ag__verify(p, s);
    ag__region *r = ag__region_of(p, s);
    const ag__region was = *r;
    ck_assert(is_sound(&at));
    for (uint32_t i = r->cell; i < r->cell + r->cells; i++) had_where[p->plan->cells.at[i].where] = true;
    for (uint32_t k = 0; k < r->prepares; k++) had[p->plan->instructions.at[r->once + k].does] = true;
    for (uint32_t k = 0; k < r->count; k++) had[p->plan->instructions.at[r->begin + k].does] = true;
    damage_region(&at, r);
    for (uint32_t i = r->cell; i < r->cell + r->cells; i++) damage_cell(&at, &p->plan->cells.at[i]);
    for (uint32_t k = 0; k < r->prepares; k++) damage_instruction(&at, &p->plan->instructions.at[r->once + k]);
    for (uint32_t k = 0; k < r->count; k++) damage_instruction(&at, &p->plan->instructions.at[r->begin + k]);
    for (uint32_t k = 0; k < r->count; k++) { /* what an instruction makes is missing */
        ag__instruction *q = &p->plan->instructions.at[r->begin + k];
        if (q->does < AG__START_DOWN) CHANGED(&at, q->does, AG__START_DOWN);
    }
    ck_assert_mem_eq(r, &was, sizeof was);
    return is_sound(&at);
}

/* ---- Programs ---- */

static ag_tensor *data(ag_dtype dtype, int64_t rows, int64_t columns, int seed) {
    return scattered(tape, dtype, AG_SHAPE(rows, columns), (uint64_t)seed * 1000);
}

/* Several rows a strip, one row a strip, and rows of several strips. */
static ag_tensor *rows_of(int64_t rows, int64_t columns) {
    ag_tensor *x = data(AG_F32, rows, columns, 1), *c = data(AG_F32, 1, columns, 2), *r = data(AG_F32, rows, 1, 3);
    ag_tensor *one = ag_scalar(tape, AG_F32, 0.75), *most = ag_mul(ag_max_over(x, AG_AXES(1), false), one);
    ag_tensor *y = ag_add(ag_mul(ag_softmax(ag_add(x, c), 1), r), ag_scale(ag_unsqueeze(most, 1), 3));
    ag_tensor *mean = ag_mul(ag_exp(ag_mean_over(x, AG_AXES(1), true)), ag_slice(data(AG_F32, rows, 3, 5), 1, 1, 2, 1));
    ag_tensor *z = ag_sum_over(ag_square(ag_sub(x, mean)), AG_AXES(0), false);
    return ag_mul(y, z);
}
static ag_tensor *narrow_rows(void) { return rows_of(40, 12); }
static ag_tensor *medium_rows(void) { return rows_of(AG__AT_ONCE / (AG__LONG_ROW / 4) + 3, AG__LONG_ROW / 4 + 8); }
static ag_tensor *columns_alone(void) {
    const int64_t columns = AG__LONG_ROW / 4 + 8, rows = AG__AT_ONCE / columns + 3;
    ag_tensor *x = data(AG_F32, rows, columns, 1);
    return ag_sum_over(ag_square(ag_sub(x, data(AG_F32, 1, columns, 2))), AG_AXES(0), true);
}
static ag_tensor *rows_apart(void) {
    ag_tensor *x = ag_slice(data(AG_F32, 5, AG__STRIP + 8, 1), 1, 3, AG__STRIP - 1, 1);
    return ag_mul(ag_softmax(x, 1), x);
}
static ag_tensor *long_rows(void) { return rows_of(5, AG__MOST_ROW + AG__STRIP + 8); }
static ag_tensor *without_rows(void) {
    ag_tensor *x = data(AG_F64, 160, 110, 1), *y = ag_transpose(data(AG_F64, 110, 160, 4), 0, 1);
    ag_tensor *one = ag_scalar(tape, AG_F64, 0.75);
    ag_tensor *z = ag_mul(ag_where(ag_greater(x, y), ag_mul(x, one), ag_cast(ag_cast(y, AG_I64), AG_F64)), ag_tanh(x));
    return ag_add(z, ag_sum(ag_exp(z)));
}
static ag_tensor *of_integers(void) {
    ag_tensor *x = ag_cast(ag_scale(data(AG_F64, 30, 40, 1), 50), AG_I64), *row = ag_max_over(x, AG_AXES(1), true);
    return ag_sub(ag_mul(x, row), ag_sum_over(x, AG_AXES(0), true));
}
static ag_tensor *past_the_caches(void) {
    const int64_t columns = 1003, rows = AG__PAST_CACHES / (2 * columns * 4) + 3;
    ag_tensor *x = data(AG_F32, rows, columns, 1);
    return ag_mul(ag_add(x, data(AG_F32, 1, columns, 2)), x);
}
static ag_tensor *middle_axis(int64_t n, int64_t inner) {
    ag_tensor *x = scattered(tape, AG_F32, AG_SHAPE(3, n, inner), 1000);
    return ag_mul(ag_softmax(ag_scale(x, 2), 1), ag_sub(x, ag_max_over(x, AG_AXES(1), true)));
}
static ag_tensor *interleaved_rows(void) { return middle_axis(AG__ROWS_A_GROUP + 3, AG__SHORT_RUN + 6); }
static ag_tensor *short_interleaved_rows(void) { return middle_axis(AG__ROWS_A_GROUP + 3, 5); }
static ag_tensor *(*const programs[])(void) = {narrow_rows,      medium_rows,           columns_alone, rows_apart,
                                               long_rows,        without_rows,          of_integers,   past_the_caches,
                                               interleaved_rows, short_interleaved_rows};
enum { PROGRAMS = sizeof programs / sizeof *programs };

START_TEST(each_reason_is_met) {
    enum { VISITS = 4 }; /* a plan that is used again is made anew, with machine code */
    for (int i = 0; i < PROGRAMS; i++)
        for (int visit = 0; visit < VISITS; visit++) {
            ag_tape_set_evaluator(tape, AG_EVALUATOR_REFERENCE);
            const ag_mark mark = ag_tape_mark(tape);
            ag_tensor *wanted = programs[i]();
            ck_assert_int_eq(ag_eval(wanted), AG_OK);
            ag_tape_set_evaluator(tape, AG_EVALUATOR_FUSED);
            ag_tensor *y = programs[i]();
            damaging = true;
            ck_assert_int_eq(ag_eval(y), AG_OK);
            damaging = false;
            expect_same(y, wanted);
            ag_tape_rewind(tape, mark);
        }
    for (int i = 0; i < REASONS; i++) {
        const bool of_past = strncmp(reasons[i], "such a value", 12) == 0;
        const bool of_code = strcmp(reasons[i], "another instruction than code") == 0;
        if (of_past && !ag__can_copy_past()) continue; /* no plan of this processor has such an instruction */
        if (of_code && !tape->isa) continue;
        /* tiny strips have no columns where they have several rows, and no part of interleaved ones */
        const bool of_columns = strstr(reasons[i], "columns in a strip"), of_cut = strstr(reasons[i], "are cut");
        ck_assert_msg(met[i] > 0 || (AG_TINY_LIMITS && (of_columns || of_cut)),
                      "no damage was refused for this reason: %s", reasons[i]);
    }
    for (int i = 0; i < KINDS && !AG_TINY_LIMITS; i++) { /* tiny ones have code at once, which needs fewer of them */
        const bool of_code = (i >= AG__START_DOWN && i <= AG__RUN_ROWS) || i == AG__FOLDED_DOWN;
        if ((of_code && !tape->isa) || (i == AG__PUT_PAST && !ag__can_copy_past())) continue;
        ck_assert_msg(had[i], "no program has an instruction of this kind: %s", kinds[i]);
    }
    for (int i = 0; i < WHERES && !AG_TINY_LIMITS; i++)
        ck_assert_msg(had_where[i] || ((i == AG__AT_NOTHING || i == AG__AT_FOLD) && !tape->isa),
                      "no program has a cell at place %d", i);
    ck_assert_int_gt(2 * refused, asked);
}
END_TEST

#endif

int main(void) {
#ifndef NDEBUG
    Suite *suite = suite_create("verify");
    tcase_add_test(tape_group(suite, "damage"), each_reason_is_met);
    return run_suite(suite);
#else
    puts("Skipped: 1, which needs a build with assertions");
    return 77;
#endif
}
