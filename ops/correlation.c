/* correlation -- convolutions without a copy of all windows, their adjoints, and the gradients of their weights
 *
 * Some places at a time, a box, read a part of the source, which is put into a buffer that stays in the second-level
 * cache, with zeros around the image. There the kernels of matrix products read the windows where they are: along the
 * last axis they begin at equal distances, and each consists of runs of contiguous elements. The adjoint is made of
 * correlations whose windows are one element apart, one for each remainder of an element by the strides. Invariant: the
 * order of an element's sum depends on shapes and numbers alone, not on threads. */
#include "autograd/eval/eval.h"
#include "ops/product.h"
#include "ops/rules.h"
#include "ops/trilinear.h"

#include <string.h>

enum { X = AG__X, W = AG__W, G = AG__G, ROLES = AG__ROLES };
enum { DIMS = 1 + AG__SPACE, LAST = DIMS - 1 }; /* samples and spatial axes, missing ones of extent 1 */

/* Places along an axis, and their windows. */
typedef struct axis {
    int64_t count, to, apart;     /* places; in the output, the first one, and how far apart they are */
    int64_t from, step;           /* in the source: where the first window begins, and how far apart they are */
    int64_t taps, dilation;       /* elements of a window, and how far apart they are */
    int64_t u, next;              /* which element of the weight is the first, and how far the next one is */
    int64_t source, output, size; /* extents of the source, of the output and of the weight */
    int64_t box, span, boxes;     /* places of a box; elements of the source that they read; how many there are */
} axis;

typedef struct room {
    void *at;
    size_t bytes;
} room;

typedef struct work {
    axis a[DIMS];
    ag_dtype dtype;
    int unit;
    int64_t size, groups, summed, columns; /* bytes of an element; channels of a group, in the source and the other */
    int64_t panel, panels;                 /* columns of a panel; panels of a group */
    int64_t run, runs, *start, *jump;      /* of windows: elements and number, places in the buffer, and between them */
    const char *source, *other;
    char *y, *packed, *memory, *spare;
    room room[3];             /* of start, packed and memory: the next correlation of a call uses it again */
    size_t buffer, bytes;     /* of each thread's memory: for the source; all of it */
    int64_t all, leaf, parts; /* boxes; those that are summed in sequence; pieces of a run: of the weight's gradient */
} work;

static int64_t greater(int64_t a, int64_t b) { return a > b ? a : b; }
static int64_t pieces(int64_t all, int64_t each) { return all > 0 ? (all - 1) / each + 1 : 0; }

/* ---- Axes ---- */

static axis axis_forward(const ag__trilinear *d, int i) {
    return (axis){.count = d->places[i],
                  .apart = 1,
                  .from = -d->before[i],
                  .step = d->stride[i],
                  .taps = d->size[i],
                  .dilation = d->dilation[i],
                  .next = 1,
                  .source = d->in[i],
                  .output = d->places[i],
                  .size = d->size[i]};
}

static int64_t common_divisor(int64_t a, int64_t b) {
    while (b != 0) {
        const int64_t rest = a % b;
        a = b, b = rest;
    }
    return a;
}

/* The elements of the image with remainder r by the stride. The weight's elements that meet one of them are q apart,
 * and read places in descending order. */
static axis axis_back(const ag__trilinear *d, int i, int64_t r) {
    const int64_t s = d->stride[i], e = d->dilation[i], shared = common_divisor(s, e), q = s / shared;
    const int64_t size = d->size[i], end = ag__lesser(q, size), at = r + d->before[i];
    int64_t u = 0;
    while (u < end && (at - u * e) % s != 0) u++;
    const int64_t taps = u < end ? (size - 1 - u) / q + 1 : 0, last = taps > 0 ? u + (taps - 1) * q : 0;
    return (axis){.count = d->in[i] > r ? (d->in[i] - 1 - r) / s + 1 : 0,
                  .to = r,
                  .apart = s,
                  .from = taps > 0 ? (at - last * e) / s : 0,
                  .step = 1,
                  .taps = taps,
                  .dilation = e / shared,
                  .u = last,
                  .next = -q,
                  .source = d->places[i],
                  .output = d->in[i],
                  .size = size};
}

/* The extent of the source that so many places read. */
static int64_t span_of(const axis *a, int64_t places) {
    return places > 0 && a->taps > 0 ? (places - 1) * a->step + (a->taps - 1) * a->dilation + 1 : 0;
}

/* ---- Boxes ---- */

typedef struct box {
    int64_t at[DIMS], count[DIMS];
} box;

static box box_at(const work *w, int64_t number) {
    box b;
    for (int i = LAST; i >= 0; number /= w->a[i--].boxes) {
        b.at[i] = number % w->a[i].boxes * w->a[i].box;
        b.count[i] = ag__lesser(w->a[i].box, w->a[i].count - b.at[i]);
    }
    return b;
}

static void set_box(work *w, int i, int64_t places) {
    axis *a = &w->a[i];
    a->box = ag__lesser(greater(places, 1), a->count);
    a->span = span_of(a, a->box);
    a->boxes = pieces(a->count, a->box);
}

/* As many places as read about so many bytes; few of them read as much that is around as of their own. */
static void choose_boxes(work *w, int64_t most) {
    enum { WHOLE = AG__LIMIT(24, 2) };
    int64_t bytes = w->summed * w->size;
    for (int i = 0; i < DIMS; i++) bytes *= span_of(&w->a[i], 1);
    most = greater(most, 4 * bytes);
    w->all = 1;
    for (int i = LAST; i >= 0; i--) {
        const axis *a = &w->a[i];
        const int64_t own = span_of(a, 1), rest = own > 0 ? bytes / own : 1;
        int64_t places = bytes > 0 ? (most / rest - own) / a->step + 1 : a->count;
        if (i == LAST && places < a->count && places > WHOLE) places -= places % WHOLE;
        if (i < LAST) places = pieces(a->count, greater(pieces(a->count, places), 1));
        set_box(w, i, places);
        bytes = rest * a->span;
        w->all *= a->boxes;
    }
}

/* As many places as terms that are summed in a block. */
static void choose_blocks(work *w) {
    w->all = 1;
    for (int64_t i = LAST, left = AG__BLOCK; i >= 0; left /= greater(w->a[i--].box, 1)) {
        set_box(w, (int)i, pieces(w->a[i].count, greater(pieces(w->a[i].count, greater(left, 1)), 1)));
        w->all *= w->a[i].boxes;
    }
}

/* A row of the buffer: `length` elements of a line of the source from `first` on, of which some may be beyond it. */
static void fill_row(const work *w, char *to, const char *line, int64_t first, int64_t length) {
    const int64_t each = w->summed * w->size, all = each * w->groups;
    const int64_t begin = ag__lesser(greater(-first, 0), length);
    const int64_t end = greater(begin, ag__lesser(length, w->a[LAST].source - first));
    memset(to, 0, (size_t)(begin * each));
    memset(to + end * each, 0, (size_t)((length - end) * each));
    if (w->groups == 1 && end > begin)
        memcpy(to + begin * each, line + (first + begin) * all, (size_t)((end - begin) * each));
    else
        for (int64_t i = begin; i < end; i++) memcpy(to + i * each, line + (first + i) * all, (size_t)each);
}

static void fill(const work *w, char *to, const box *b, int64_t group) {
    int64_t first[DIMS], length[DIMS];
    const axis *a = w->a;
    for (int i = 0; i < DIMS; i++) first[i] = a[i].from + b->at[i] * a[i].step, length[i] = span_of(&a[i], b->count[i]);
    for (int64_t n = 0; n < length[0]; n++)
        for (int64_t i = 0; i < length[1]; i++)
            for (int64_t j = 0; j < length[2]; j++) {
                char *row = to + ((n * a[1].span + i) * a[2].span + j) * a[LAST].span * w->summed * w->size;
                const int64_t y = first[1] + i, z = first[2] + j;
                const int64_t line = ((first[0] + n) * a[1].source + y) * a[2].source + z;
                const char *from = w->source + (line * a[LAST].source * w->groups + group) * w->summed * w->size;
                if (y >= 0 && y < a[1].source && z >= 0 && z < a[2].source)
                    fill_row(w, row, from, first[LAST], length[LAST]);
                else memset(row, 0, (size_t)(length[LAST] * w->summed * w->size));
            }
}

/* The rows of a box, along its last axis, one after the other. */
typedef struct rows {
    const work *w;
    box b;
    int64_t at[LAST];
} rows;

static bool next_row(rows *r) {
    for (int i = LAST - 1; i >= 0; i--) {
        if (++r->at[i] < r->b.count[i]) return true;
        r->at[i] = 0;
    }
    return false;
}

/* The place of the row's first window in the buffer, in elements. */
static int64_t row_in_buffer(const rows *r) {
    const axis *a = r->w->a;
    int64_t at = 0;
    for (int i = 0; i < LAST; i++) at = at * a[i].span + r->at[i] * a[i].step;
    return at * a[LAST].span * r->w->summed;
}

/* The number of its first place in the output. */
static int64_t row_in_output(const rows *r) {
    int64_t at = 0;
    for (int i = 0; i < DIMS; i++) {
        const axis *a = &r->w->a[i];
        at = at * a->output + a->to + (r->b.at[i] + (i < LAST ? r->at[i] : 0)) * a->apart;
    }
    return at;
}

/* The terms that are added up in sequence: whole runs, or equal parts of one. */
static int64_t chain_of(const work *w, int64_t run) {
    const int64_t most = w->dtype == AG_F32 ? AG__CHAIN_F32 : AG__CHAIN_F64;
    return run <= most ? most / run * run : pieces(run, pieces(run, most));
}

/* The terms that are added up in a block: whole runs, or whole chains of one. */
static int64_t block_of(const work *w, int64_t k) {
    const int64_t each = pieces(k, pieces(k, AG__BLOCK)), whole = w->run <= AG__BLOCK ? w->run : chain_of(w, w->run);
    return pieces(each, whole) * whole;
}

/* ---- Windows ---- */

/* The runs of a window: its rows, if their elements lie next to each other. */
static void count_runs(work *w) {
    const axis *a = w->a;
    const bool whole = a[LAST].dilation == 1 || a[LAST].taps == 1;
    w->run = (whole ? a[LAST].taps : 1) * w->summed;
    w->runs = a[1].taps * a[2].taps * (whole ? 1 : a[LAST].taps);
    if (w->run == 0) w->runs = 0;
}

/* Memory of so many bytes: what is there already, if it suffices. */
static void *in_room(const ag_call *call, room *r, size_t bytes) {
    if (r->at && bytes <= r->bytes) return r->at;
    *r = (room){ag_call_scratch(call, bytes), bytes};
    return r->at;
}

static bool place_runs(const ag_call *call, work *w) {
    const axis *a = w->a;
    const int64_t each = w->run == w->summed ? a[LAST].taps : 1;
    if (!(w->start = in_room(call, &w->room[0], ag__times((uint64_t)w->runs, 2 * sizeof(int64_t))))) return false;
    w->jump = w->start + w->runs;
    for (int64_t i = 0; i < w->runs; i++) {
        const int64_t row = i / each, y = row / a[2].taps * a[1].dilation, z = row % a[2].taps * a[2].dilation;
        w->start[i] = ((y * a[2].span + z) * a[LAST].span + i % each * a[LAST].dilation) * w->summed;
        if (i > 0) w->jump[i - 1] = w->start[i] - w->start[i - 1] - w->run;
    }
    return true;
}

/* ---- Convolutions and adjoints ---- */

/* The weight, (U…,C,K), as panels of columns for each group. Back, channels of the source are K, and those of the
 * output C. */
static void pack_weight(const work *w, bool back) {
    const axis *a = w->a;
    const int64_t size = w->size, row = w->panel * size, k = (back ? w->summed : w->columns) * w->groups;
    const int64_t c = back ? w->columns : w->summed, down = back ? 1 : k, along = back ? k : 1;
    char *to = w->packed;
    for (int64_t g = 0; g < w->groups; g++)
        for (int64_t j = 0; j < w->columns; j += w->panel)
            for (int64_t t = 0; t < a[1].taps * a[2].taps * a[3].taps; t++, to += w->summed * row) {
                const int64_t u1 = a[1].u + t / a[3].taps / a[2].taps * a[1].next,
                              u2 = a[2].u + t / a[3].taps % a[2].taps * a[2].next,
                              u3 = a[3].u + t % a[3].taps * a[3].next;
                const int64_t at = ((u1 * a[2].size + u2) * a[3].size + u3) * c * k + g * k / w->groups + j * along;
                const int64_t width = ag__lesser(w->columns - j, w->panel);
                if (width < w->panel) memset(to, 0, (size_t)(w->summed * row));
                ag__copy_matrix((size_t)size, to, row, w->other + at * size, down * size, along * size, w->summed,
                                width);
            }
}

/* Without terms. */
static void set_to_zero(const work *w, const box *b, int64_t group) {
    const int64_t all = w->columns * w->groups;
    rows r = {.w = w, .b = *b};
    do
        for (int64_t i = 0; i < b->count[LAST]; i++) {
            const int64_t at = (row_in_output(&r) + i * w->a[LAST].apart) * all + group * w->columns;
            memset(w->y + at * w->size, 0, (size_t)(w->columns * w->size));
        }
    while (next_row(&r));
}

/* Which of `count` elements, `apart` from `at` on, are not beyond the source: the others are zeros, and need not be
 * multiplied. All, if none are. */
static void find_inside(const axis *a, int64_t at, int64_t apart, int64_t count, int64_t *first, int64_t *end) {
    *first = at < 0 ? pieces(-at, apart) : 0;
    *end = at < a->source ? ag__lesser((a->source - 1 - at) / apart + 1, count) : 0;
    if (*first >= *end) *first = 0, *end = count;
}

/* A panel of all places of a box, over elements q to end of the windows. */
static void make_panel(const work *w, const box *b, const char *buffer, int64_t group, int64_t panel, ag__panel t,
                       int64_t q, int64_t end) {
    const int outer = w->a[1].taps > 1 ? 1 : 2; /* the outermost axis of the windows */
    const axis *a = &w->a[outer];
    const int64_t k = w->run * w->runs, each = k / a->taps;
    rows r = {.w = w, .b = *b};
    do {
        int64_t low, high;
        find_inside(a, a->from + (b->at[outer] + r.at[outer]) * a->step, a->dilation, a->taps, &low, &high);
        const int64_t from = greater(q, low * each), run = from / w->run, in = from % w->run;
        t.k = ag__lesser(end, high * each) - from;
        if (t.k <= 0) continue;
        t.first = w->run - in;
        t.jump = w->jump + run;
        t.a = buffer + (w->start[run] + in + row_in_buffer(&r)) * w->size;
        t.b = w->packed + ((group * w->panels + panel) * k + from) * w->panel * w->size;
        t.y = w->y + ((row_in_output(&r) * w->groups + group) * w->columns + panel * w->panel) * w->size;
        t.add = from > low * each;
        ag__multiply_panel_on(w->unit, w->dtype, &t);
    } while (next_row(&r));
}

static void make_box(const work *w, char *buffer, const box *b, int64_t group) {
    const int64_t k = w->run * w->runs, block = k > 0 ? block_of(w, k) : 1, chain = k > 0 ? chain_of(w, w->run) : 1;
    if (k == 0) {
        set_to_zero(w, b, group);
        return;
    }
    fill(w, buffer, b, group);
    for (int64_t j = 0; j < w->panels; j++)
        for (int64_t q = 0; q < k; q += block) {
            const ag__panel t = {.m = b->count[LAST],
                                 .width = ag__lesser(w->columns - j * w->panel, w->panel),
                                 .run = w->run,
                                 .chain = chain,
                                 .beyond = w->run >= chain ? 0 : INT64_MAX,
                                 .a_row = w->a[LAST].step * w->summed,
                                 .a_column = 1,
                                 .b_row = w->panel,
                                 .y_row = w->a[LAST].apart * w->columns * w->groups};
            make_panel(w, b, buffer, group, j, t, q, ag__lesser(k, q + block));
        }
}

static void make_share(void *w_, int i, int n) {
    const work *w = w_;
    const int64_t end = ag__share_start(w->all * w->groups, i + 1, n);
    for (int64_t k = ag__share_start(w->all * w->groups, i, n); k < end; k++) {
        const box b = box_at(w, k / w->groups);
        make_box(w, w->memory + (size_t)i * w->bytes, &b, k % w->groups);
    }
}

/* Whether a window's elements and what is between them could be in memory at all. */
static bool is_possible(const work *w) {
    double bytes = (double)w->summed * (double)w->size;
    for (int i = 0; i < DIMS; i++) bytes *= (double)span_of(&w->a[i], 1);
    return bytes < (double)(INT64_C(1) << 48);
}

static size_t buffer_bytes(const work *w) {
    size_t bytes = (size_t)(w->summed * w->size);
    for (int i = 0; i < DIMS; i++) bytes = ag__times((uint64_t)w->a[i].span, bytes);
    return ag__rounded(bytes, 64);
}

static int threads_for(const ag_call *call, const work *w, int64_t shares) {
    double most = (double)w->columns * (double)w->groups * (double)w->run * (double)w->runs / AG__LEAST_PRODUCT;
    for (int i = 0; i < DIMS; i++) most *= (double)w->a[i].count;
    const int64_t useful = most < 2 ? 1 : most < call->threads ? (int64_t)most : call->threads;
    return (int)ag__lesser(useful, shares);
}

/* One of the correlations that the output is made of; its places are no other's. With a large weight, boxes are larger,
 * because each reads all of it. */
static bool make(const ag_call *call, work *w, bool back) {
    enum { LARGE = AG__LIMIT(512 * 1024, 400), LEAST = AG__GATHERED / 8 };
    count_runs(w);
    const size_t weight = ag__times((uint64_t)(w->run * w->runs), (size_t)(w->panels * w->panel * w->groups * w->size));
    const int threads = threads_for(call, w, INT32_MAX);
    int64_t most = weight > LARGE ? 4 * AG__GATHERED : AG__GATHERED;
    if (!is_possible(w)) return ag_call_scratch(call, SIZE_MAX) != NULL;
    do choose_boxes(w, most);
    while (w->all > 0 && w->all * w->groups < threads && (most /= 2) > LEAST);
    if (w->all == 0 || w->columns == 0) return true;
    const int shares = (int)ag__lesser(threads, w->all * w->groups);
    w->bytes = buffer_bytes(w);
    if (!place_runs(call, w) || !(w->packed = in_room(call, &w->room[1], weight)) ||
        !(w->memory = in_room(call, &w->room[2], ag__times(w->bytes, (size_t)shares))))
        return false;
    pack_weight(w, back);
    ag__parallel(shares, make_share, w);
    return true;
}

/* ---- The weight's gradient ----
 *
 * A run of a window's elements times the places of a box, for all boxes. Threads compute some of these products, each
 * with a buffer of its own. */

enum { PIECE = AG__LIMIT(192, 3) }; /* elements of a run that are computed at a time */

/* The other factor's places, panel by panel. */
static void pack_places(const work *w, char *to, const box *b, int64_t group) {
    const int64_t all = w->columns * w->groups * w->size, row = w->panel * w->size;
    for (int64_t j = 0; j < w->columns; j += w->panel) {
        const int64_t width = ag__lesser(w->columns - j, w->panel);
        rows r = {.w = w, .b = *b};
        do {
            const char *from = w->other + row_in_output(&r) * all + (group * w->columns + j) * w->size;
            if (width < w->panel) memset(to, 0, (size_t)(b->count[LAST] * row));
            ag__copy_matrix((size_t)w->size, to, row, from, all, w->size, b->count[LAST], width);
            to += b->count[LAST] * row;
        } while (next_row(&r));
    }
}

/* Whether the places of a box are such panels where they are: rows of whole lines, one after the other. */
static bool are_panels(const work *w, const box *b) {
    return w->columns % w->panel == 0 && b->count[0] == 1 && b->count[1] == 1 && b->count[LAST] == w->a[LAST].count;
}

/* The products that a thread computes: `from` to `end` of a group; they are numbered by panels, runs and pieces of
 * these. */
typedef struct sum {
    const work *w;
    char *memory;
    int64_t group, from, end;
} sum;

/* Product i in the output: its first element, rows and columns. */
typedef struct part {
    int64_t at, m, width, run, first, panel;
} part;

static part part_at(const sum *s, int64_t i) {
    const work *w = s->w;
    part p = {.panel = i / (w->runs * w->parts), .run = i / w->parts % w->runs, .first = i % w->parts * PIECE};
    p.m = ag__lesser(w->run - p.first, PIECE);
    p.width = ag__lesser(w->columns - p.panel * w->panel, w->panel);
    p.at = (p.run * w->run + p.first) * w->columns * w->groups + s->group * w->columns + p.panel * w->panel;
    return p;
}

static void add_box(const sum *s, int64_t number, char *to, bool add) {
    const work *w = s->w;
    const axis *a = &w->a[2];
    const box b = box_at(w, number);
    char *packed = s->memory + w->buffer;
    int64_t *jump = (int64_t *)(void *)(s->memory + w->bytes) - w->a[0].box * w->a[1].box * w->a[2].box, k = 0, at = 0;
    const int64_t step = w->a[LAST].step * w->summed, most = w->dtype == AG_F32 ? AG__CHAIN_F32 : AG__CHAIN_F64;
    rows r = {.w = w, .b = b};
    const bool packs = !are_panels(w, &b);
    const int64_t all = w->columns * w->groups, place = row_in_output(&r);
    do {
        const int64_t from = row_in_buffer(&r);
        if (k > 0) jump[k - 1] = from - at - b.count[LAST] * step;
        at = from, k++;
    } while (next_row(&r));
    fill(w, s->memory, &b, s->group);
    if (packs) pack_places(w, packed, &b, s->group);
    for (int64_t i = s->from; i < s->end; i++) {
        const part p = part_at(s, i);
        const int64_t tap = p.run / (w->runs / w->a[1].taps / a->taps) % a->taps;
        int64_t low = 0, high = k; /* rows */
        if (k == b.count[2]) find_inside(a, a->from + b.at[2] * a->step + tap * a->dilation, a->step, k, &low, &high);
        const int64_t terms = (high - low) * b.count[LAST], at_place = (place + low * b.count[LAST]) * all;
        ag__panel t = {.m = p.m,
                       .width = p.width,
                       .k = terms,
                       .beyond = INT64_MAX,
                       .first = b.count[LAST],
                       .run = b.count[LAST],
                       .chain = pieces(terms, pieces(terms, most)),
                       .jump = jump,
                       .a = s->memory +
                            (w->start[p.run] + p.first + low * a->step * w->a[LAST].span * w->summed) * w->size,
                       .a_row = 1,
                       .a_column = step,
                       .b = packs ? packed + (p.panel * k + low) * b.count[LAST] * w->panel * w->size
                                  : w->other + (at_place + s->group * w->columns + p.panel * w->panel) * w->size,
                       .b_row = packs ? w->panel : all,
                       .y = to + p.at * w->size,
                       .y_row = w->columns * w->groups,
                       .add = add};
        ag__multiply_panel_on(w->unit, w->dtype, &t);
    }
}

/* The sum of boxes `from` to `end`; further sums wait in `spare`. Sums of many are divided in two, so that rounding
 * errors do not grow with their number. */
static void sum_boxes(const sum *s, int64_t from, int64_t end, char *to, char *spare) {
    const work *w = s->w;
    const int64_t row = w->columns * w->groups * w->size;
    int64_t half = w->leaf;
    if (end - from <= half) {
        for (int64_t i = from; i < end; i++) add_box(s, i, to, i > from);
        return;
    }
    while (half < end - from - half) half *= 2;
    sum_boxes(s, from, from + half, to, spare);
    sum_boxes(s, from + half, end, spare, spare + w->run * w->runs * row);
    for (int64_t i = s->from; i < s->end; i++) {
        const part p = part_at(s, i);
        for (int64_t k = 0; k < p.m; k++)
            ag__op_sum.reduction->combine[w->dtype](p.width, to + p.at * w->size + k * row,
                                                    spare + p.at * w->size + k * row);
    }
}

static void sum_share(void *w_, int i, int n) {
    const work *w = w_;
    const int64_t each = w->panels * w->runs * w->parts, end = ag__share_start(each * w->groups, i + 1, n);
    for (int64_t from = ag__share_start(each * w->groups, i, n), to; from < end; from = to) {
        const int64_t group = from / each;
        to = ag__lesser((group + 1) * each, end);
        const sum s = {w, w->memory + (size_t)i * w->bytes, group, from - group * each, to - group * each};
        sum_boxes(&s, 0, w->all, w->y, w->spare);
    }
}

static bool make_weight(const ag_call *call, work *w) {
    int64_t places = 1, lines = 1, waiting = 0;
    count_runs(w);
    if (call->y.size == 0) return true;
    if (!is_possible(w)) return ag_call_scratch(call, SIZE_MAX) != NULL;
    choose_blocks(w);
    if (w->all == 0) return memset(w->y, 0, (size_t)(call->y.size * w->size)), true;
    for (int i = 0; i < DIMS; i++) places *= w->a[i].box, lines *= i < LAST ? w->a[i].box : 1;
    w->leaf = greater(AG__LONG_SUM / places, 1);
    for (int64_t sums = w->leaf; sums < w->all; sums *= 2) waiting++;
    w->parts = pieces(w->run, PIECE);
    w->buffer = buffer_bytes(w);
    w->bytes = ag__plus(w->buffer, ag__times((uint64_t)(places * w->panels), (size_t)(w->panel * w->size)));
    w->bytes = ag__rounded(ag__plus(w->bytes, (size_t)lines * sizeof(int64_t)), 64);
    const int threads = threads_for(call, w, w->panels * w->runs * w->parts * w->groups);
    w->spare = ag_call_scratch(call, ag__times((uint64_t)waiting, (size_t)(call->y.size * w->size)));
    if (!w->spare || !place_runs(call, w) || !(w->memory = ag_call_scratch(call, ag__times(w->bytes, (size_t)threads))))
        return false;
    ag__parallel(threads, sum_share, w);
    return true;
}

/* ---- Strong zeros ---- */

static double number_at(const ag_array *x, int64_t i) {
    return x->dtype == AG_F32 ? (double)((const float *)x->data)[i] : ((const double *)x->data)[i];
}

/* The products of a place and one element of the windows. */
static void add_strongly(const ag_call *call, const work *w, double *y, int64_t x_at, int64_t u, int64_t g_at) {
    const ag__trilinear *d = call->attributes;
    const int a = d->output == X ? W : X, b = d->output == G ? W : G;
    for (int64_t group = 0; group < w->groups; group++)
        for (int64_t c = 0; c < w->summed; c++)
            for (int64_t k = 0; k < w->columns; k++) {
                const int64_t all = w->columns * w->groups, of = group * w->columns + k;
                const int64_t at[ROLES] = {(x_at * w->groups + group) * w->summed + c, (u * w->summed + c) * all + of,
                                           g_at * all + of};
                const double p = number_at(&call->x[0], at[a]), q = number_at(&call->x[1], at[b]);
                if (!((p == 0 && d->strong >> a & 1) || (q == 0 && d->strong >> b & 1))) y[at[d->output]] += p * q;
            }
}

/* With elements that are not finite, which are seldom: term by term. w: forward, with x as the source. */
static bool multiply_strongly(const ag_call *call, const work *w) {
    const axis *a = w->a;
    double *y = ag_call_scratch(call, ag__times((uint64_t)call->y.size, sizeof(double)));
    if (!y) return false;
    memset(y, 0, (size_t)call->y.size * sizeof(double));
    for (int64_t place = 0; place < a[0].count * a[1].count * a[2].count * a[3].count; place++)
        for (int64_t u = 0; u < a[1].taps * a[2].taps * a[3].taps; u++) {
            int64_t p = place, v = u, i[DIMS];
            bool inside = true;
            for (int k = LAST; k >= 0; p /= a[k].count, v /= a[k--].taps) {
                i[k] = a[k].from + p % a[k].count * a[k].step + v % a[k].taps * a[k].dilation;
                inside = inside && i[k] >= 0 && i[k] < a[k].source;
            }
            const int64_t x = ((i[0] * a[1].source + i[1]) * a[2].source + i[2]) * a[3].source + i[3];
            if (inside) add_strongly(call, w, y, x, u, place);
        }
    for (int64_t i = 0; i < call->y.size; i++)
        if (call->y.dtype == AG_F32) ((float *)call->y.data)[i] = (float)y[i];
        else ((double *)call->y.data)[i] = y[i];
    return true;
}

/* ---- Evaluation ---- */

/* x, or what is back of it, is the source. */
static work work_of(const ag_call *call, bool back) {
    const ag__trilinear *d = call->attributes;
    const ag_array *y = &call->y, *of[ROLES] = {NULL};
    work w = {.dtype = y->dtype, .groups = d->groups};
    w.unit = ag__product_unit();
    w.size = (int64_t)ag_dtype_size(y->dtype);
    for (int role = 0, i = 0; role < ROLES; role++) of[role] = role == d->output ? y : &call->x[i++];
    const int64_t c = of[X]->shape[of[X]->rank - 1] / d->groups, k = of[G]->shape[of[G]->rank - 1] / d->groups;
    w.summed = back ? k : c;
    w.columns = back ? c : k;
    w.panel = ag__panel_columns(w.unit, w.dtype);
    w.panels = pieces(w.columns, w.panel);
    w.source = of[back ? G : X]->data;
    w.other = of[d->output == W ? G : W]->data;
    w.y = y->data;
    const ag__trilinear none = {
        .in = {of[X]->shape[0]}, .places = {of[X]->shape[0]}, .size = {1}, .stride = {1}, .dilation = {1}};
    for (int i = 0; i < DIMS; i++) {
        const int own = i - (DIMS - (int)d->axes);
        w.a[i] = axis_forward(own < 0 ? &none : d, own < 0 ? 0 : own);
        if (i > 0 && own < 0) w.a[i].count = w.a[i].source = w.a[i].output = 1;
    }
    return w;
}

static bool make_back(const ag_call *call) {
    const ag__trilinear *d = call->attributes;
    int64_t phases = 1, r[AG__SPACE];
    for (int i = 0; i < d->axes; i++) phases *= greater(ag__lesser(d->stride[i], d->in[i]), 1);
    work w = work_of(call, true);
    for (int64_t phase = 0; phase < phases; phase++) {
        int64_t rest = phase;
        for (int i = (int)d->axes - 1; i >= 0; i--) {
            const int64_t n = greater(ag__lesser(d->stride[i], d->in[i]), 1);
            r[i] = rest % n, rest /= n;
            w.a[DIMS - (int)d->axes + i] = axis_back(d, i, r[i]);
        }
        if (!make(call, &w, true)) return false;
    }
    return true;
}

static bool multiply(const ag_call *call, int output) {
    if (output == X) return make_back(call);
    work w = work_of(call, false);
    return output == G ? make(call, &w, false) : make_weight(call, &w);
}

static bool correlation_eval(const ag_call *call) {
    const ag__trilinear *d = call->attributes;
    const int role[2] = {d->output == X ? W : X, d->output == G ? W : G};
    int64_t met = 0;
    bool finite = true;
    for (int i = 0; i < 2; i++)
        if (d->strong >> role[1 - i] & 1) met += call->x[i].size;
    const bool before = met <= call->y.size;
    for (int i = 0; i < 2 && before; i++)
        if (d->strong >> role[1 - i] & 1) finite = finite && ag__all_finite(&call->x[i]);
    if (finite && !multiply(call, (int)d->output)) return false;
    if (met > 0 && !before) finite = ag__all_finite(&call->y);
    if (finite) return true;
    const work w = work_of(call, false);
    return multiply_strongly(call, &w);
}

/* ---- Recording ---- */

static bool correlation_infer(ag_infer *r) { return ag__trilinear_infer(r, true); }

const ag_op ag__op_correlation = {.name = "correlation",
                                  .notation = "correlation({0}, {1})",
                                  .kind = AG_KIND_CONTRACTION,
                                  .arity = 2,
                                  .attribute_bytes = sizeof(ag__trilinear),
                                  .flags = AG_OP_CONTIGUOUS,
                                  .infer = correlation_infer,
                                  .eval = correlation_eval,
                                  .vjp = ag__trilinear_vjp};

ag_tensor *ag_correlation(ag_tensor *x, ag_tensor *w, int64_t groups, ag_shape places, ag_shape stride,
                          ag_shape dilation, ag_shape before) {
    return ag__trilinear_record(&ag__op_correlation, "correlation", true, false, x, w, groups, &places, &stride,
                                &dilation, &before);
}

ag_tensor *ag_correlation_transposed(ag_tensor *x, ag_tensor *w, int64_t groups, ag_shape extents, ag_shape stride,
                                     ag_shape dilation, ag_shape before) {
    return ag__trilinear_record(&ag__op_correlation, "correlation_transposed", true, true, x, w, groups, &extents,
                                &stride, &dilation, &before);
}
