/* profile -- the steps that ran, their times, and the bytes and operations of each
 *
 * While a profile runs, it observes evaluations: it is told of each step once that is done. Steps of one structure
 * (operations, layouts, locations, labels) share a row, in which their times add up; bytes, flops and texts depend
 * on the structure alone, and are computed once, when the row is made. Events are kept in a ring of fixed size.
 * Invariant: reporting never fails, and allocates only for a new structure; steps without a row of their own go to
 * row OTHER. */
#include "autograd/report/profile.h"
#include "autograd/eval/chunk.h"
#include "autograd/eval/plan.h"
#include "autograd/report/text.h"
#include "autograd/tape/format.h"
#include "autograd/tape/hash.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { EVALUATION, PLANNING, OTHER, MOST_ROWS = 1 << 14, FIRST_ROWS = 64, FIRST_BYTES = 1024, MOST_HOPS = 16 };

int64_t ag__profile_now(void) {
    struct timespec t;
#ifdef CLOCK_MONOTONIC
    clock_gettime(CLOCK_MONOTONIC, &t);
#else
    timespec_get(&t, TIME_UTC);
#endif
    return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

static const ag_profile_entry none = {.operations = "", .labels = "", .inputs = "", .extent = "", .file = ""};

/* ---- The operations and inputs of a step ---- */

typedef struct doing {
    ag_tape *tape;
    const ag_tensor *node; /* of a step with one operation; NULL: a region */
    const ag_tensor *sum;  /* that the operation accumulates into, or that reads it part by part; or NULL */
    const ag_tensor *onto; /* the other summand; or NULL */
    const ag__chunk *c;
    const ag__plan *plan;
    const ag__region *region;
} doing;

/* Operation k of the step; NULL beyond. Behind those of a region are the products that it computes some rows at a time;
 * the other tensors whose rows it makes are transposes. */
static const ag_tensor *computed(const doing *d, uint32_t k) {
    if (d->node) return k == 0 ? d->node : k == 1 ? d->sum : NULL;
    const ag__region *r = d->region;
    if (k < r->computes) return d->c->table[d->plan->computed.at[r->compute + k]];
    k -= r->computes;
    for (uint32_t j = 0; j < r->products; j++) {
        const ag_tensor *t = d->c->table[d->plan->products.at[r->product + j]];
        if (t->op->kind == AG_KIND_CONTRACTION && k-- == 0) return t;
    }
    return NULL;
}

/* Tensor k that the step reads, with repetitions; NULL beyond. Behind those of a region are both factors of each
 * product that it computes. */
static const ag_tensor *read_in(const doing *d, uint32_t k) {
    if (d->node) return k < d->node->arity ? d->node->input[k] : k == d->node->arity ? d->onto : NULL;
    const ag__region *r = d->region;
    if (k < r->reads) return d->c->table[d->plan->read.at[r->read + k]];
    k -= r->reads;
    const ag_tensor *product = computed(d, r->computes + k / 2);
    return product ? product->input[k % 2] : NULL;
}

static const ag_tensor *written(const doing *d, uint32_t k) {
    if (d->node) return k == 0 ? (d->sum ? d->sum : d->node) : NULL;
    return k < d->region->outputs ? d->c->table[d->plan->outputs.at[d->region->output + k].index] : NULL;
}

/* The label of a tensor, or of the tensor that it views; NULL: no label. */
static const char *label_of(const ag_tensor *t) {
    for (int hop = 0; hop < MOST_HOPS; hop++) {
        if (ag__about(t)->label && *ag__about(t)->label) return ag__about(t)->label;
        if (t->op->kind != AG_KIND_VIEW || t->arity == 0) break;
        t = t->input[0];
    }
    return NULL;
}

/* ---- Structure ---- */

static ag_profile_kind kind_of(const doing *d) {
    if (d->region) return AG_PROFILE_REGION;
    return d->node->op->kind == AG_KIND_CONTRACTION ? AG_PROFILE_PRODUCT : AG_PROFILE_OPERATION;
}

/* Steps are compared by structure; the hash only finds candidates. Out of memory, the structure is incomplete. */
static void put_bytes(const doing *d, const void *from, size_t bytes) {
    ag__profile_structure *to = &d->tape->profile->present;
    size_t room = to->room ? to->room : FIRST_BYTES;
    while (room - to->bytes < bytes) room *= 2;
    if (room != to->room) {
        char *data = ag__resize(d->tape, to->data, to->room, room);
        if (!data) {
            to->incomplete = true;
            return; /* later parts may have room, but are useless */
        }
        to->data = data;
        to->room = room;
    }
    memcpy(to->data + to->bytes, from, bytes);
    to->bytes += bytes;
}

static void put_text(const doing *d, const char *s) { put_bytes(d, s ? s : "", s ? strlen(s) + 1 : 1); }

static void put_tensor(const doing *d, const ag_tensor *t, bool flag) {
    const int kind[] = {t->layout->rank, t->dtype, flag};
    put_bytes(d, kind, sizeof kind);
    put_bytes(d, t->layout->extent, 2 * (size_t)t->layout->rank * sizeof(int64_t));
}

static void put_step(const doing *d) {
    const ag_tensor *t;
    const int64_t head[] = {kind_of(d), d->region ? d->region->size : 0};
    put_bytes(d, head, sizeof head);
    for (uint32_t k = 0; (t = computed(d, k)) != NULL; k++) {
        put_tensor(d, t, t->flags & AG__GRADIENT);
        put_bytes(d, &t->op, sizeof t->op);
        put_bytes(d, &ag__about(t)->line, sizeof ag__about(t)->line);
        put_text(d, ag__about(t)->file);
        put_text(d, ag__about(t)->label);
        put_text(d, ag__part_node(t) ? ag__about(ag__part_node(t))->label : NULL);
    }
    const ag__buffer *first = NULL;
    for (uint32_t k = 0; (t = read_in(d, k)) != NULL; k++) {
        if (!first) first = t->buffer;
        put_tensor(d, t, t->buffer == first);
        put_text(d, label_of(t));
    }
}

static uint64_t hash_of(const ag__profile_structure *s) {
    uint64_t h = s->bytes, v;
    size_t i = 0;
    for (; i + sizeof v <= s->bytes; i += sizeof v) {
        memcpy(&v, s->data + i, sizeof v);
        h = ag__mix(h, v);
    }
    for (; i < s->bytes; i++) h = ag__mix(h, (unsigned char)s->data[i]);
    return h;
}

static bool is_of(const ag__profile_row *row, uint64_t hash, const ag__profile_structure *s) {
    return row->hash == hash && row->structure_bytes == s->bytes && memcmp(row->structure, s->data, s->bytes) == 0;
}

/* ---- Bytes and flops of a structure ---- */

/* The bytes of the distinct elements of t. */
static int64_t bytes_shown(const ag_tensor *t) {
    const ag__layout *l = t->layout;
    int64_t shown = 1, span = 1;
    for (int i = 0; i < l->rank; i++) {
        int64_t stride = ag__strides(l)[i];
        if (l->extent[i] == 0) return 0;
        if (stride == 0) continue;
        shown *= l->extent[i];
        span += (l->extent[i] - 1) * (stride < 0 ? -stride : stride);
    }
    return ag__lesser(shown, span) * (int64_t)ag__bytes(t);
}

/* A product is one of matrices, perhaps in a batch, or is over half of the axes that its inputs have beyond its own. */
static int64_t flops_of_product(const ag_tensor *t) {
    const ag__layout *a = t->input[0]->layout, *y = t->layout;
    const int shared = t->arity == 2 ? (a->rank + t->input[1]->layout->rank - y->rank) / 2 : 1;
    int64_t n = 2 * y->size;
    for (int i = a->rank - (y->rank == a->rank ? 1 : shared); i < a->rank; i++) n *= i < 0 ? 1 : a->extent[i];
    return n;
}

static int64_t flops_of(const ag_tensor *t) {
    const ag_tensor *x = t->arity ? t->input[0] : NULL;
    switch (t->op->kind) {
    case AG_KIND_ELEMENTWISE: return t->layout->size;
    case AG_KIND_REDUCTION: return x->layout->size;
    case AG_KIND_CONTRACTION: return flops_of_product(t);
    default: return 0;
    }
}

/* Whether the elements of tensor `end` are read before, through the same tensor or another, or computed here. */
static bool read_before(const doing *d, uint32_t end) {
    const ag_tensor *t = read_in(d, end), *own;
    for (uint32_t k = 0; (own = computed(d, k)) != NULL; k++)
        if (own == t) return true;
    for (uint32_t k = 0; k < end; k++) {
        const ag_tensor *u = read_in(d, k);
        if (u == t || (u->buffer && u->buffer == t->buffer && u->offset == t->offset)) return true;
    }
    return false;
}

static void measure(const doing *d, ag__profile_row *row) {
    ag_profile_entry *one = &row->one;
    const ag_tensor *t;
    for (uint32_t k = 0; (t = computed(d, k)) != NULL; k++) {
        const int64_t flops = flops_of(t);
        one->nodes++;
        one->flops += flops;
        ag__share_work(row, t, flops);
    }
    for (uint32_t k = 0; (t = read_in(d, k)) != NULL; k++)
        if (!read_before(d, k)) one->bytes_read += bytes_shown(t);
    one->backward = true;
    for (uint32_t k = 0; (t = written(d, k)) != NULL; k++) {
        one->bytes_written += bytes_shown(t);
        ag__share_bytes(row, t, bytes_shown(t));
        one->backward = one->backward && t->flags & AG__GRADIENT;
    }
    one->elements = d->region ? d->region->size : d->node->layout->size;
}

/* ---- Texts ---- */

enum { TAIL = 40, MOST_CHARACTERS = 40, MOST_PATH = 120, MOST_LIST = 300, EXTENT = 2 * (AG__EXTENTS + 4) };

/* A shortened list: its first items, in MOST_LIST bytes, and the number of the others. */
typedef struct brief {
    char *text;
    size_t used;
    int64_t more;
} brief;

/* At most `most` characters of s; invalid and control characters become U+FFFD. */
static size_t clean(char *to, const char *s, int most) {
    const unsigned char *c = (const unsigned char *)s;
    size_t used = 0;
    for (int shown = 0; *c; shown++) {
        int n = ag__utf8_length(c);
        bool good = n > 0 && *c >= 0x20 && *c != 0x7F;
        if (shown == most) {
            memcpy(to + used, "…", 3);
            return used + 3;
        }
        memcpy(to + used, good ? (const char *)c : "\xEF\xBF\xBD", good ? (size_t)n : 3);
        used += good ? (size_t)n : 3;
        c += n ? n : 1;
    }
    return used;
}

static void add_item(brief *b, const char *s, const char *after) {
    char item[4 * MOST_CHARACTERS + TAIL];
    size_t n = clean(item, s, MOST_CHARACTERS);
    n += (size_t)ag__format(item + n, TAIL, "%s", after);
    if (b->more || b->used + n + 2 > MOST_LIST - TAIL) {
        b->more++;
        return;
    }
    if (b->used) b->used += (size_t)ag__format(b->text + b->used, 3, ", ");
    memcpy(b->text + b->used, item, n);
    b->used += n;
}

/* The next list begins behind this one. */
static void end_list(brief *b) {
    if (b->more) b->used += (size_t)ag__format(b->text + b->used, TAIL, " … %lld more", (long long)b->more);
    b->text[b->used] = 0;
    *b = (brief){.text = b->text + b->used + 1};
}

/* Operations in order, each name once, with its count. */
static void list_operations(const doing *d, brief *b) {
    enum { KINDS = 16 };
    const ag_op *op[KINDS];
    int64_t times[KINDS], beyond = 0;
    int n = 0;
    const ag_tensor *t;
    for (uint32_t k = 0; (t = computed(d, k)) != NULL; k++) {
        int i = 0;
        while (i < n && op[i] != t->op) i++;
        if (i == KINDS) {
            beyond++;
            continue;
        }
        if (i == n) op[n] = t->op, times[n++] = 0;
        times[i]++;
    }
    for (int i = 0; i < n; i++) {
        char after[TAIL];
        *after = 0;
        if (times[i] > 1) ag__format(after, sizeof after, "×%lld", (long long)times[i]);
        add_item(b, *op[i]->name ? op[i]->name : "?", after);
    }
    b->more += beyond;
    end_list(b);
}

static void list_labels(const doing *d, brief *b) {
    const ag_tensor *t;
    for (uint32_t k = 0; (t = computed(d, k)) != NULL; k++)
        if (ag__about(t)->label && *ag__about(t)->label) add_item(b, ag__about(t)->label, "");
    end_list(b);
}

static void list_inputs(const doing *d, brief *b) {
    const ag_tensor *t;
    for (uint32_t k = 0; (t = read_in(d, k)) != NULL; k++)
        if (label_of(t) && !read_before(d, k)) add_item(b, label_of(t), "");
    end_list(b);
}

static const char *extents_of(char to[AG__EXTENTS], const ag_tensor *t) {
    return ag__format_extents(to, t->layout->rank, t->layout->extent);
}

/* "256x1024"; of a product "(128,784)·(784,256)". */
static void put_extent(const doing *d, char to[EXTENT]) {
    const ag__region *r = d->region;
    char a[AG__EXTENTS], b[AG__EXTENTS];
    if (r && r->rows > 1) ag__format(to, EXTENT, "%lldx%lld", (long long)r->rows, (long long)r->columns);
    else if (r) ag__format(to, EXTENT, "%lld", (long long)r->size);
    else if (d->node->op->kind == AG_KIND_CONTRACTION && d->node->arity == 2)
        ag__format(to, EXTENT, "(%s)·(%s)", extents_of(a, d->node->input[0]), extents_of(b, d->node->input[1]));
    else ag__format(to, EXTENT, "(%s)", extents_of(a, d->node));
}

/* The location of the first stored value that has one; of a long path, its end. */
static int put_file(const doing *d, char *to) {
    const ag_tensor *t;
    *to = 0;
    for (uint32_t k = 0; (t = written(d, k)) != NULL; k++) {
        if (!ag__about(t)->file) continue;
        size_t length = strlen(ag__about(t)->file), skipped = length > MOST_PATH ? length - MOST_PATH : 0;
        size_t used = skipped ? strlen(strcpy(to, "…")) : 0;
        to[used + clean(to + used, ag__about(t)->file + skipped, MOST_PATH)] = 0;
        return ag__about(t)->line;
    }
    return 0;
}

static bool describe(const doing *d, ag__profile_row *row) {
    char text[3 * MOST_LIST + EXTENT + 4 * MOST_PATH];
    brief b = {.text = text};
    list_operations(d, &b);
    const size_t labels = (size_t)(b.text - text);
    list_labels(d, &b);
    const size_t inputs = (size_t)(b.text - text);
    list_inputs(d, &b);
    const size_t extent = (size_t)(b.text - text);
    put_extent(d, b.text);
    const size_t file = extent + strlen(b.text) + 1;
    row->all.line = put_file(d, text + file);
    row->text_bytes = file + strlen(text + file) + 1;
    char *at = row->text = ag__resize(d->tape, NULL, 0, row->text_bytes);
    if (!at) return false;
    row->all.operations = memcpy(at, text, row->text_bytes);
    row->all.labels = at + labels;
    row->all.inputs = at + inputs;
    row->all.extent = at + extent;
    row->all.file = at + file;
    return true;
}

/* ---- Rows ---- */

static const size_t row_bytes =
    sizeof(ag__profile_row) + 3 * sizeof(uint32_t); /* with its places in `order` and `table` */

static bool grow_rows(ag_tape *tape, ag__profile *p) {
    uint32_t room = p->room ? 2 * p->room : FIRST_ROWS;
    ag__profile_row *row = ag__resize(tape, NULL, 0, room * row_bytes);
    if (!row) return false;
    uint32_t *order = (uint32_t *)(row + room), *table = order + room;
    memset(table, 0, 2 * (size_t)room * sizeof *table);
    if (p->row) memcpy(row, p->row, p->rows * sizeof *row);
    for (uint32_t i = AG__FIXED_ROWS; i < p->rows; i++) {
        uint32_t at = (uint32_t)row[i].hash & (2 * room - 1);
        while (table[at]) at = (at + 1) & (2 * room - 1);
        table[at] = i + 1;
    }
    if (p->row) ag__resize(tape, p->row, p->room * row_bytes, 0);
    p->row = row, p->order = order, p->table = table;
    p->room = room;
    return true;
}

static bool fill_row(const doing *d, const ag__profile_structure *s, ag__profile_row *row) {
    if (!describe(d, row)) return false;
    if ((row->structure = ag__resize(d->tape, NULL, 0, s->bytes)) != NULL) {
        memcpy(row->structure, s->data, row->structure_bytes = s->bytes);
        return true;
    }
    ag__resize(d->tape, row->text, row->text_bytes, 0);
    return false;
}

static uint32_t row_of(ag__profile *p, const doing *d) {
    ag__profile_structure *s = &p->present;
    s->bytes = 0, s->incomplete = false;
    put_step(d);
    if (s->incomplete) return OTHER;
    uint64_t hash = hash_of(s);
    uint32_t at = (uint32_t)hash & (2 * p->room - 1);
    for (; p->table[at]; at = (at + 1) & (2 * p->room - 1))
        if (is_of(&p->row[p->table[at] - 1], hash, s)) return p->table[at] - 1;
    ag__profile_row fresh = {.hash = hash, .all = {.kind = kind_of(d)}};
    if (p->rows == MOST_ROWS || (p->rows == p->room && !grow_rows(d->tape, p)) || !fill_row(d, s, &fresh)) return OTHER;
    measure(d, &fresh);
    for (at = (uint32_t)hash & (2 * p->room - 1); p->table[at];) at = (at + 1) & (2 * p->room - 1);
    p->row[p->rows] = fresh;
    p->table[at] = ++p->rows;
    return p->rows - 1;
}

/* ---- Reporting ---- */

static void add_event(ag_tape *tape, uint32_t r, int64_t since, int64_t now, int threads) {
    ag__profile *p = tape->profile;
    const ag_profile_entry *one = &p->row[r].one;
    ag_profile_entry *all = &p->row[r].all;
    double seconds = (double)(now - since) * 1e-9;
    p->event[p->events++ % AG__EVENTS] =
        (ag__profile_event){.start = since - p->began, .end = now - p->began, .live = tape->memory.live, .row = r};
    p->sorted = false;
    if (all->calls++ == 0 || seconds < all->shortest) all->shortest = seconds;
    all->seconds += seconds;
    all->nodes += one->nodes;
    all->backward = one->backward;
    all->elements += one->elements;
    all->bytes_read += one->bytes_read;
    all->bytes_written += one->bytes_written;
    all->flops += one->flops;
    all->threads = threads;
}

static void report(const doing *d, int64_t since, int threads) {
    int64_t now = ag__profile_now();
    add_event(d->tape, row_of(d->tape->profile, d), since, now, threads);
}

/* The threads of a single operation: those of its loops or, if only its eval knows, those that it may use. */
static int threads_of(const ag_tensor *t) {
    ag_kind kind = t->op->kind;
    int64_t work = kind == AG_KIND_REDUCTION ? t->input[0]->layout->size : t->layout->size;
    bool loops = kind == AG_KIND_ELEMENTWISE || kind == AG_KIND_REDUCTION;
    return loops ? ag__worthwhile_on(t->tape, work) : ag__threads_now(t->tape);
}

static void node_computed(ag_tensor *t, int64_t since) {
    if (t->op->kind != AG_KIND_VIEW) report(&(doing){.tape = t->tape, .node = t}, since, threads_of(t));
}

static void step_run(const ag__chunk *c, const ag__plan *plan, const ag__plan_step *step, int64_t since) {
    doing d = {.tape = c->tape, .c = c, .plan = plan};
    if (step->kind == AG__STEP_NOTHING) return;
    if (step->kind == AG__STEP_REGION) {
        d.region = &plan->regions.at[step->what];
        report(&d, since, ag__worthwhile_on(c->tape, d.region->work));
        return;
    }
    d.node = c->table[step->what];
    if (step->kind == AG__STEP_ADD) {
        d.sum = c->table[plan->members.at[step->member + 1].index];
        d.onto = c->table[step->onto];
    }
    if (step->kind == AG__STEP_PARTS) d.sum = c->table[step->onto];
    report(&d, since, threads_of(d.node));
}

static void span(ag_tape *tape, uint32_t row, int64_t nodes, int64_t since) {
    if (nodes == 0) return;
    tape->profile->row[row].one.nodes = nodes;
    add_event(tape, row, since, ag__profile_now(), ag__threads_now(tape));
}

static void planned(ag_tape *tape, int64_t nodes, int64_t since) { span(tape, PLANNING, nodes, since); }
static void evaluated(ag_tape *tape, int64_t nodes, int64_t since) { span(tape, EVALUATION, nodes, since); }

/* ---- Starting and stopping ---- */

static void drop_rows(ag_tape *tape, ag__profile *p) {
    for (uint32_t i = 0; i < p->rows; i++) {
        ag__shares_free(tape, &p->row[i]);
        if (p->row[i].text) ag__resize(tape, p->row[i].text, p->row[i].text_bytes, 0);
        if (p->row[i].structure) ag__resize(tape, p->row[i].structure, p->row[i].structure_bytes, 0);
    }
    if (p->present.data) ag__resize(tape, p->present.data, p->present.room, 0);
    if (p->row) ag__resize(tape, p->row, p->room * row_bytes, 0);
}

static void free_profile(ag_tape *tape) {
    if (!tape->profile) return;
    drop_rows(tape, tape->profile);
    ag__resize(tape, tape->profile, sizeof *tape->profile, 0);
    tape->profile = NULL;
    tape->observer = NULL;
    tape->profiling = false;
}

static const ag__observer observer = {.now = ag__profile_now,
                                      .computed = node_computed,
                                      .step = step_run,
                                      .planned = planned,
                                      .evaluated = evaluated,
                                      .free = free_profile};

static void begin(ag_tape *tape) {
    static const ag_profile_kind kinds[AG__FIXED_ROWS] = {AG_PROFILE_EVALUATION, AG_PROFILE_PLANNING, AG_PROFILE_OTHER};
    free_profile(tape);
    ag__profile *p = tape->profile = ag__resize(tape, NULL, 0, sizeof *p);
    if (p) {
        p->row = NULL, p->rows = p->room = 0;
        p->present = (ag__profile_structure){.data = NULL};
        p->events = 0, p->ended = 0, p->sorted = false;
    }
    if (!p || !grow_rows(tape, p)) {
        free_profile(tape);
        ag__fail_on(tape, "profile_start", AG_ERR_MEMORY, "out of memory (a profile of %zu bytes)", sizeof *p);
        return;
    }
    for (; p->rows < AG__FIXED_ROWS; p->rows++) {
        p->row[p->rows] = (ag__profile_row){.all = none};
        p->row[p->rows].all.kind = kinds[p->rows];
    }
    tape->observer = &observer;
    tape->profiling = true;
    p->began = ag__profile_now();
}

/* Whether the profile of a tape may be changed now. */
static bool may_change(ag_tape *tape, const char *name) {
    if (!tape) ag__fail_on(NULL, name, AG_ERR_NULL, "the tape is NULL");
    else if (tape->evaluating) ag__fail_on(tape, name, AG_ERR_TAPE, "an operation of the tape is being evaluated");
    return tape && !tape->evaluating && !ag__refused_inside(tape, name, AG__NOTATION);
}

ag_status ag_profile_start(ag_tape *tape) {
    int line;
    const char *file = ag__here_file(&line);
    if (may_change(tape, "profile_start") && tape->status == AG_OK) begin(tape);
    return ag__leave(tape, file, line);
}

ag_status ag_profile_stop(ag_tape *tape) {
    int line;
    const char *file = ag__here_file(&line);
    if (may_change(tape, "profile_stop") && tape->profiling) {
        tape->profiling = false;
        tape->profile->ended = ag__profile_now();
    }
    return ag__leave(tape, file, line);
}

/* ---- Reading ---- */

static bool comes_before(const ag__profile *p, uint32_t i, uint32_t j) {
    double a = p->row[i].all.seconds, b = p->row[j].all.seconds;
    return a > b || (a == b && i < j);
}

/* Sift down in the heap whose root is at the end. */
static void sift(const ag__profile *p, uint32_t *order, uint32_t i, uint32_t n) {
    for (uint32_t child; (child = 2 * i + 1) < n; i = child) {
        if (child + 1 < n && comes_before(p, order[child], order[child + 1])) child++;
        if (!comes_before(p, order[i], order[child])) return;
        uint32_t former = order[i];
        order[i] = order[child];
        order[child] = former;
    }
}

static void sort_rows(ag__profile *p) {
    uint32_t n = 0;
    for (uint32_t i = 0; i < p->rows; i++)
        if (p->row[i].all.calls) p->order[n++] = i;
    for (uint32_t i = n / 2; i-- > 0;) sift(p, p->order, i, n);
    for (uint32_t end = n; end-- > 1;) {
        uint32_t last = p->order[0];
        p->order[0] = p->order[end];
        p->order[end] = last;
        sift(p, p->order, 0, end);
    }
    p->ordered = n;
    p->sorted = true;
}

int ag_profile_count(const ag_tape *tape) {
    if (!tape || !tape->profile) return 0;
    if (!tape->profile->sorted) sort_rows(tape->profile);
    return (int)tape->profile->ordered;
}

ag_profile_entry ag_profile_at(const ag_tape *tape, int i) {
    return i >= 0 && i < ag_profile_count(tape) ? tape->profile->row[tape->profile->order[i]].all : none;
}
