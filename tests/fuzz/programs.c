/* programs -- fuzz target: bytes become a program as data (tests/random_program.h), which must have the properties of random
 * programs (tests/random_check.h): both evaluators, with and without machine code, on two threads, again after a rewind
 *
 * Lines that the library refuses are left out; a refused line must leave nothing on the tape. Random programs are drawn so that
 * most values are numbers; here anything goes. Extents are small, or one below, at or one above a number by which evaluation is
 * divided (autograd/tape/limits.h): few inputs make tensors of as many elements as that takes, all of them in a build with tiny
 * limits. */
#include "autograd/tape/limits.h"
#include "tests/fuzz/fuzz.h"
#include "tests/random_check.h"

#include <string.h>

enum { FEW = 1200, MANY = AG__LIMIT(70000, 3000), LINES = 24, LEAVES = 4, MOST_OUTPUTS = 3 };

typedef struct maker {
    feed f;
    int64_t most; /* elements of a value */
    program *p;
    ag_tape *tape;
    ag_tensor *value[MOST_LINES];
} maker;

/* Those of the tests' own operations that take any operands. */
static bool takes_any(const form *f) {
    static const char *const own[] = {"user_softsign", "user_blend", "user_is_small", "user_opposite"};
    for (size_t i = 0; i < sizeof own / sizeof *own; i++)
        if (strcmp(f->name, own[i]) == 0) return true;
    return strncmp(f->name, "user_", 5) != 0 && f->signature != SIG_LEAF && f->signature != SIG_OUTPUT;
}

static bool usable(const form *f) {
    enum { NOT_YET, YES, NO };
    static unsigned char known[1024]; /* names are compared once */
    unsigned char *answer = &known[f - forms];
    if (*answer == NOT_YET) *answer = takes_any(f) ? YES : NO;
    return *answer == YES;
}

/* Appends the line if it can be recorded, and is small. */
static void append(maker *m, const line *l) {
    int64_t nodes = ag_tape_memory(m->tape).nodes;
    ag_mark mark = ag_tape_mark(m->tape);
    if (m->p->count >= LINES) return;
    ag_tensor *y = line_record(l, m->tape, m->value);
    bool bad = refused(m->tape, NULL, nodes + 4 * MOST_OPERANDS);
    if (!bad && line_has_value(l) && (ag_size(y) > m->most || ag_is_nil(y))) {
        ag_tape_rewind(m->tape, mark);
        bad = true;
    }
    if (bad) return;
    ag_eval(l->form->signature == SIG_LOOK ? m->value[l->x[0]]
                                           : y); /* an eager tape meets errors that others never do */
    if (refused(m->tape, NULL, INT64_MAX)) return;
    line *added = &m->p->line[m->p->count];
    *added = *l;
    if (line_has_value(l)) added->y_dtype = ag_dtype_of(y), added->y_shape = ag_shape_of(y);
    m->value[m->p->count++] = line_has_value(l) ? y : NULL;
}

static int64_t edge(feed *f) {
    static const int64_t limits[] = {
        AG__FEW_COPIED,        AG__FEWEST_COLUMNS, AG__LANES,        AG__ROWS_A_GROUP, AG__CHAIN_F32, AG__MANY_OUTPUTS,
        AG__COLUMNS_SCATTERED, AG__CHAIN_F64,      AG__LONG_ROW / 8, AG__LONG_ROW / 4, AG__BLOCK,     AG__STRIP,
        AG__PART_ROWS,         AG__PACKED_COLUMNS, AG__LONG_SUM,     AG__MOST_ROW,     AG__JOINED,    AG__LITTLE,
        AG__AT_ONCE,           AG__LARGE,          AG__LEAST_COPIED, AG__DOT_F32,      AG__DOT_F64,   AG__LINE,
        AG__SHORT_RUN};
    const int lot = feed_below(f, 256), which = lot % (int)(sizeof limits / sizeof *limits);
    const int64_t n = limits[which] + feed_below(f, 5) - 2;
    return n > 0 ? n : 1;
}

/* Mostly a few elements; at most as many as there may be. */
static ag_shape leaf_shape(maker *m, int lot) {
    ag_shape s = {.rank = feed_below(&m->f, 4)};
    for (int i = 0; i < s.rank; i++) {
        const bool small = lot < 128 || (lot < 200 && feed_below(&m->f, 2));
        s.extent[i] = lot >= 224 ? feed_below(&m->f, 40) : small ? feed_below(&m->f, 6) : edge(&m->f);
    }
    for (int i = 0; i < s.rank; i++)
        if (shape_size(&s) > m->most) s.extent[i] = 2;
    return s;
}

static void add_leaf(maker *m) {
    static const char *const names[] = {"ag_parameter", "ag_parameter", "ag_variable", "ag_from", "ag_wrap"};
    static const form *named[5];
    static const ag_dtype dtypes[] = {AG_F64, AG_F32, AG_F64, AG_F32, AG_I64, AG_BOOL};
    int lot = feed_below(&m->f, 256);
    if (!*named)
        for (int i = 0; i < 5; i++) named[i] = form_named(names[i]);
    line l = {.form = named[lot % 5], .dtype = dtypes[feed_below(&m->f, 6)], .domain = (domain)(lot / 5 % DOMAINS)};
    l.shape = leaf_shape(m, lot);
    l.number[1] = 1 + feed_below(&m->f, 8);
    l.data = feed_bits(&m->f, 1);
    append(m, &l);
}

/* An earlier value, mostly a late one; −1: there is none. */
static int some_value(maker *m) {
    int found[MOST_LINES], n = 0, lot = feed_below(&m->f, 64);
    for (int i = 0; i < m->p->count; i++)
        if (m->value[i]) found[n++] = i;
    return n ? found[lot < 40 ? n - 1 - lot % (n < 4 ? n : 4) : lot % n] : -1;
}

static int operands_of(maker *m, const form *f) {
    switch (f->signature) {
    case SIG_AB:
    case SIG_AB_AXIS:
    case SIG_GRADIENT:
    case SIG_ASSIGN: return 2;
    case SIG_ABC:
    case SIG_ABC_AXIS: return 3;
    case SIG_LIST:
    case SIG_LIST_AXIS: return 1 + feed_below(&m->f, 4);
    case SIG_RECORDING: return 0;
    default: return f->signature < SIG_X ? 0 : 1;
    }
}

static void add_line(maker *m) {
    const form *f = &forms[feed_below(&m->f, form_count)];
    if (!usable(f)) return;
    line l = {.form = f, .operands = operands_of(m, f), .domain = ORDINARY};
    for (int i = 0; i < l.operands; i++)
        if ((l.x[i] = some_value(m)) < 0) return;
    if (f->signature == SIG_ASSIGN && !line_is_variable(&m->p->line[l.x[0]])) return;
    int lot = feed_below(&m->f, 256);
    l.dtype = (ag_dtype)(lot % AG_DTYPES), l.keep = lot & 4, l.data = (uint64_t)lot;
    if (l.operands > 0 && lot & 8) l.shape = ag_shape_of(m->value[l.x[0]]);
    else if (f->signature == SIG_X_SHAPE || f->signature == SIG_X_AXES_2 || f->signature < SIG_X)
        l.shape = feed_shape(&m->f);
    if (f->signature == SIG_X_AXES_2) l.shape2 = feed_shape(&m->f);
    if (f->signature >= SIG_X_AXES && f->signature <= SIG_X_AXES_S_KEEP) l.axes = feed_axes(&m->f);
    for (int i = 0; i < 4 && f->signature >= SIG_X_N && f->signature <= SIG_LIST_AXIS; i++)
        l.number[i] = lot & 16 && i > 0 ? feed_below(&m->f, 4) : feed_number(&m->f);
    if (f->signature == SIG_TD_N) l.number[0] = feed_below(&m->f, 50);
    for (int i = 0; i < 2 && (f->signature <= SIG_TDS_SS || f->signature <= SIG_X_AXES_S_KEEP); i++)
        l.scalar[i] = lot & 32 ? feed_real(&m->f) : 0.5 * feed_below(&m->f, 6) - 1;
    append(m, &l);
}

static void add_outputs(maker *m) {
    static const form *output;
    int wanted = MOST_OUTPUTS;
    if (!output) output = form_named("output");
    for (int i = m->p->count; i-- > 0 && wanted > 0;) {
        if (!m->value[i] || m->p->line[i].form->signature == SIG_LEAF) continue;
        m->p->line[m->p->count++] = (line){.form = output, .operands = 1, .x = {i}};
        wanted -= 1;
    }
}

static void make(maker *m) {
    int lot = feed_below(&m->f, 256);
    ledger l;
    memset(m->p, 0, sizeof *m->p);
    *m->p = (program){
        .seed = (uint64_t)lot, .wild = true, .together = lot & 8, .backward = lot & 16, .order = lot >> 5 & 3};
    m->p->order = m->p->order == 3 ? 1 : m->p->order;
    m->p->seed += (uint64_t)feed_bits(&m->f, 1) << 8;
    m->most = m->p->seed % 64 == 7 ? MANY : FEW; /* many take half of the time even so */
    m->tape = tape_open(&l);
    ag_tape_set_evaluator(m->tape, AG_EVALUATOR_REFERENCE);
    for (int i = 1 + feed_below(&m->f, LEAVES); i > 0; i--) add_leaf(m);
    for (int i = 0; i < LINES && feed_left(&m->f); i++) add_line(m);
    add_outputs(m);
    tape_close(m->tape, &l);
}

/* A byte of the program's seed chooses. */
static property property_of(const program *p) {
    static const property properties[16] = {BY_PLANS,   BY_PLANS,      BY_PLANS,       AS_CODE,       AS_CODE, AS_CODE,
                                            AS_CODE,    VARIED,        VARIED,         LOOPED,        STRIDED, EAGERLY,
                                            ON_THREADS, AUTOMATICALLY, WITHOUT_MEMORY, WITHOUT_MEMORY};
    return properties[p->seed >> 8 & 15];
}

void fuzz_programs(const uint8_t *data, size_t size) {
    static program p;
    char report[REPORT];
    maker m = {.f = {data, data + size}, .p = &p};
    make(&m);
    const verdict v = check_property(&p, property_of(&p), report);
    if (v != AGREES && v != INVALID) {
        program_print(stderr, &p);
        fault("%s", report);
    }
    wrapped_free();
}
