/* dataset -- samples that are rows of tensors, or that a callback makes; selected, split, folded
 *
 * A view of a dataset is the same dataset with another index, the numbers of its samples. A place is a position in the
 * index. */
#include "nn/dataset.h"
#include "autograd/tape/ahead.h"

#include <math.h>
#include <string.h>

_Static_assert((int)AG_MAX_PARTS == (int)AG__MOST_PARTS, "a job has a tensor for each part");

/* ---- Valid datasets ---- */

static bool same_extents(const ag_shape *row, ag_tensor *x) {
    if (ag_rank(x) != row->rank + 1) return false;
    for (int i = 0; i < row->rank; i++)
        if (ag_extent(x, i + 1) != row->extent[i]) return false;
    return true;
}

static ag_tensor *part_wrong(const char *name, ag_tape *tape, int p, const ag_part *part) {
    bool good = part->shape.rank >= 0 && part->shape.rank < AG_MAX_RANK;
    if ((unsigned)part->dtype >= AG_DTYPES)
        return ag__refuse_on(tape, name, AG_ERR_DTYPE, "the dataset's part %d has the invalid dtype %d", p,
                             (int)part->dtype);
    for (int i = 0; good && i < part->shape.rank; i++) good = part->shape.extent[i] >= 0;
    if (good) return NULL;
    return ag__refuse_on(tape, name, AG_ERR_SHAPE, "the dataset's part %d has an invalid shape, of rank %d", p,
                         part->shape.rank);
}

static ag_tensor *tensor_wrong(const char *name, ag_tape *tape, const ag_dataset *d, int p) {
    ag_tensor *x = d->tensor[p];
    if (!x) return ag__refuse_on(tape, name, AG_ERR_NULL, "the dataset's tensor %d is NULL", p);
    if (ag_tape_of(x) != tape)
        return ag__refuse_on(tape, name, AG_ERR_TAPE, "the dataset's tensor %d is on another tape", p);
    if (ag_is_nil(x)) return ag__refuse(name, 1, &x, AG_ERR_NIL, "it is nil");
    if (ag_dtype_of(x) != d->part[p].dtype)
        return ag__refuse(name, 1, &x, AG_ERR_DTYPE, "tensor %d is not of the dataset's dtype %s", p,
                          ag_dtype_name(d->part[p].dtype));
    if (same_extents(&d->part[p].shape, x) && ag_extent(x, 0) == d->samples) return NULL;
    return ag__refuse(name, 1, &x, AG_ERR_SHAPE, "tensor %d does not consist of the dataset's %lld samples", p,
                      (long long)d->samples);
}

static ag_tensor *numbers_wrong(const char *name, const char *what, ag_tape *tape, ag_tensor *x, int64_t n) {
    if (ag_tape_of(x) != tape) return ag__refuse_on(tape, name, AG_ERR_TAPE, "the %s is on another tape", what);
    if (ag_is_nil(x)) return ag__refuse(name, 1, &x, AG_ERR_NIL, "it is nil");
    if (ag_dtype_of(x) != AG_I64)
        return ag__refuse(name, 1, &x, AG_ERR_DTYPE, "the %s must be i64, not %s", what, ag_dtype_name(ag_dtype_of(x)));
    if (ag_rank(x) != 1 || (n >= 0 && ag_size(x) != n))
        return n < 0 ? ag__refuse(name, 1, &x, AG_ERR_SHAPE, "the %s must have one axis", what)
                     : ag__refuse(name, 1, &x, AG_ERR_SHAPE, "the %s must have one number for each of %lld samples",
                                  what, (long long)n);
    return NULL;
}

ag_tensor *ag__dataset_wrong(const char *name, ag_tape *tape, const ag_dataset *d) {
    if (!tape) return ag__refuse_on(NULL, name, AG_ERR_NULL, "the tape is NULL");
    if (!d) return ag__refuse_on(tape, name, AG_ERR_NULL, "the dataset is NULL");
    if (d->parts < 1 || d->parts > AG_MAX_PARTS)
        return ag__refuse_on(tape, name, AG_ERR_RANGE, "the dataset has %d parts: 1 to %d are wanted", d->parts,
                             AG_MAX_PARTS);
    if (d->samples < 0)
        return ag__refuse_on(tape, name, AG_ERR_RANGE, "the dataset has %lld samples: 0 or more is wanted",
                             (long long)d->samples);
    const int callbacks = (d->fill != NULL) + (d->fill_batch != NULL);
    bool tensors = false;
    for (int p = 0; p < d->parts; p++) tensors = tensors || d->tensor[p];
    if (callbacks + tensors != 1)
        return ag__refuse_on(tape, name, AG_ERR_RANGE,
                             "the dataset has %s: one of tensors, fill and fill_batch is wanted",
                             callbacks + tensors > 0 ? "more than one source of samples" : "no source of samples");
    ag_tensor *nil = NULL;
    for (int p = 0; p < d->parts && !nil; p++) {
        nil = part_wrong(name, tape, p, &d->part[p]);
        if (!nil && tensors) nil = tensor_wrong(name, tape, d, p);
    }
    return nil || !d->index ? nil : numbers_wrong(name, "dataset's index", tape, d->index, -1);
}

int64_t ag_dataset_count(const ag_dataset *dataset) {
    return !dataset ? 0 : dataset->index ? ag_size(dataset->index) : dataset->samples;
}

/* The numbers, each of which is at least 0 and less than `below`; NULL after an error. */
static const int64_t *numbers_below(const char *name, const char *what, ag_tensor *x, int64_t below) {
    const int64_t *number = ag_data(x);
    for (int64_t i = 0, n = number ? ag_size(x) : 0; i < n; i++)
        if (number[i] < 0 || number[i] >= below) {
            ag__refuse(name, 1, &x, AG_ERR_RANGE, "%s %lld at [%lld] is out of range: there are %lld, from 0 on", what,
                       (long long)number[i], (long long)i, (long long)below);
            return NULL;
        }
    return number;
}

const int64_t *ag__dataset_index(const char *name, const ag_dataset *d) {
    return d->index ? numbers_below(name, "sample", d->index, d->samples) : NULL;
}

const int64_t *ag__dataset_classes(const char *name, ag_tape *tape, const ag_dataset *d, ag_tensor *strata) {
    return strata && !numbers_wrong(name, "strata", tape, strata, d->samples) ? ag_data(strata) : NULL;
}

/* The tape's status, the error located; `nil` is NULL without an error of its own. A tape in error records no number.
 * */
static ag_status leave(ag_tape *tape, const char *file, int line, ag_tensor *nil) {
    if (!nil && ag_tape_status(tape) == AG_OK) return AG_OK;
    ag_here(file, line);
    return ag_eval(nil ? nil : ag_scalar(tape, AG_F64, 0));
}

/* ---- Tensors ---- */

static ag_tensor *row_wrong(const char *name, int i, ag_tensor *const part[]) {
    ag_tensor *const pair[] = {part[0], part[i]};
    ag_tape *tape = ag_tape_of(part[0]);
    if (!part[i] || !part[0]) return ag__refuse_on(tape, name, AG_ERR_NULL, "part %d is NULL", part[0] ? i : 0);
    if (ag_is_nil(part[i]) || ag_tape_of(part[i]) != tape) return ag__refuse(name, 2, pair, AG_ERR_NIL, "it is nil");
    if (ag_rank(part[i]) < 1)
        return ag__refuse(name, 1, &part[i], AG_ERR_SHAPE, "part %d has no axis: (N,…) is wanted", i);
    if (ag_extent(part[i], 0) == ag_extent(part[0], 0)) return NULL;
    return ag__refuse(name, 2, pair, AG_ERR_SHAPE, "part %d has %lld samples, and part 0 has %lld", i,
                      (long long)ag_extent(part[i], 0), (long long)ag_extent(part[0], 0));
}

ag_status ag_dataset_tensors(ag_dataset *dataset, int parts, ag_tensor *const part[]) {
    static const char name[] = "dataset_tensors";
    ag_dataset made = {.parts = parts};
    ag_tape *tape = parts >= 1 && part ? ag_tape_of(part[0]) : NULL;
    ag_tensor *nil = NULL;
    int line;
    const char *file = ag__ahead_here(&line);
    if (dataset) *dataset = (ag_dataset){0};
    if (!dataset) nil = ag__refuse_on(tape, name, AG_ERR_NULL, "the dataset is NULL");
    else if (!part) nil = ag__refuse_on(NULL, name, AG_ERR_NULL, "the list of parts is NULL");
    else if (parts < 1 || parts > AG_MAX_PARTS)
        nil = ag__refuse_on(tape, name, AG_ERR_RANGE, "%d parts: 1 to %d are wanted", parts, AG_MAX_PARTS);
    for (int i = 0; i < parts && !nil; i++)
        if (!(nil = row_wrong(name, i, part))) {
            const ag_shape shape = ag_shape_of(part[i]);
            made.tensor[i] = part[i];
            made.part[i] = (ag_part){ag_dtype_of(part[i]), {.rank = shape.rank - 1}};
            memcpy(made.part[i].shape.extent, shape.extent + 1, (size_t)(shape.rank - 1) * sizeof *shape.extent);
            made.samples = shape.extent[0];
        }
    if (!nil) *dataset = made;
    return leave(tape, file, line, nil);
}

/* ---- Views ---- */

/* The samples at n places. */
static ag_tensor *chosen(const char *name, ag_tape *tape, const int64_t *index, int64_t n, const int64_t place[]) {
    int64_t *to;
    ag_tensor *made = ag__room_numbers(tape, name, n, &to);
    for (int64_t i = 0; i < n && !ag_is_nil(made); i++) to[i] = index ? index[place[i]] : place[i];
    return made;
}

static ag_tensor *select_wrong(const char *name, const ag_dataset *to, const ag_dataset *from, ag_tensor *places) {
    ag_tape *tape = ag_tape_of(places);
    if (!places) return ag__refuse_on(NULL, name, AG_ERR_NULL, "the list of places is NULL");
    if (!to) return ag__refuse_on(tape, name, AG_ERR_NULL, "the view is NULL");
    ag_tensor *nil = ag__dataset_wrong(name, tape, from);
    return nil ? nil : numbers_wrong(name, "list of places", tape, places, -1);
}

ag_status ag_dataset_select(ag_dataset *to, const ag_dataset *from, ag_tensor *places) {
    static const char name[] = "dataset_select";
    ag_tape *tape = ag_tape_of(places);
    int line;
    const char *file = ag__ahead_here(&line);
    ag_tensor *nil = select_wrong(name, to, from, places);
    ag_dataset made = from ? *from : (ag_dataset){0};
    const int64_t *index = nil ? NULL : ag__dataset_index(name, from), *place = NULL;
    if (!nil && ag_tape_status(tape) == AG_OK) place = numbers_below(name, "place", places, ag_dataset_count(from));
    if (place) made.index = chosen(name, tape, index, ag_size(places), place);
    if (to) *to = place && !ag_is_nil(made.index) ? made : (ag_dataset){0};
    return leave(tape, file, line, nil);
}

/* ---- Sorting ---- */

bool ag__class_before(const void *classes, int64_t a, int64_t b) {
    const int64_t *c = classes;
    return c[a] < c[b];
}

/* Merges runs of one number, of two, of four, …, to and fro. */
void ag__sort(int64_t n, int64_t number[], int64_t room[], ag__before *before, const void *context) {
    int64_t *from = number, *to = room;
    for (int64_t run = 1; run < n; run *= 2) {
        for (int64_t start = 0; start < n; start += 2 * run) {
            const int64_t middle = n - start < run ? n : start + run, end = n - start < 2 * run ? n : start + 2 * run;
            int64_t a = start, b = middle;
            for (int64_t i = start; i < end; i++)
                to[i] = a < middle && (b == end || !before(context, from[b], from[a])) ? from[a++] : from[b++];
        }
        int64_t *const former = from;
        from = to;
        to = former;
    }
    if (from != number) memcpy(number, from, (size_t)n * sizeof *number);
}

/* ---- Splitting ---- */

typedef struct splitting {
    const char *name;
    ag_tape *tape;
    int64_t count;
    const int64_t *index, *classes; /* classes: of each sample, not place; both may be NULL */
    struct ag__buffer *room;
    int64_t *place, *part,
        *other; /* places in the order in which they are dealt out; the part of each place; scratch */
} splitting;

static int64_t sample_at(const splitting *s, int64_t place) { return s->index ? s->index[place] : place; }

static bool place_before(const void *splitting_, int64_t a, int64_t b) {
    const splitting *s = splitting_;
    return ag__class_before(s->classes, sample_at(s, a), sample_at(s, b));
}

static bool open_splitting(splitting *s, const ag_dataset *from, const ag_split_options *options) {
    s->index = ag__dataset_index(s->name, from);
    if (options && ag_tape_status(s->tape) == AG_OK)
        s->classes = ag__dataset_classes(s->name, s->tape, from, options->strata);
    if (ag_tape_status(s->tape) != AG_OK || !(s->room = ag__room_new(s->tape, s->name, s->count, 3 * sizeof *s->place)))
        return false;
    s->place = ag__room_data(s->room);
    s->part = s->place + s->count;
    s->other = s->part + s->count;
    for (int64_t i = 0; i < s->count; i++) s->place[i] = i, s->part[i] = -1;
    if (!options || !options->in_order)
        ag__shuffle((int64_t)ag__ahead_seed(s->tape), AG__OF_SPLIT, 0, s->count, s->place);
    if (s->classes) ag__sort(s->count, s->place, s->other, place_before, s);
    return true;
}

static int64_t rounded_part(int64_t seen, int64_t wanted, int64_t left) {
    if (seen == left) return wanted;
    if (left < INT64_C(1) << 31) return (2 * seen * wanted + left) / (2 * left);
    return (int64_t)floor((double)seen * ((double)wanted / (double)left) + 0.5);
}

/* Deal the next part out: `wanted` of the `left` places without one, from each class its part of those. Of the first
 * `seen` of them round(seen·wanted/left) are taken, after each class: so the sum is exact. A class gives its first
 * ones. */
static void deal(const splitting *s, int64_t part, int64_t wanted, int64_t left) {
    int64_t seen = 0, taken = 0;
    for (int64_t i = 0, end; i < s->count && left > 0; i = end) {
        for (end = i; end < s->count && !(s->classes && place_before(s, s->place[i], s->place[end])); end++)
            seen += s->part[s->place[end]] < 0;
        const int64_t upto = rounded_part(seen, wanted, left);
        for (int64_t k = i; k < end && taken < upto; k++)
            if (s->part[s->place[k]] < 0) s->part[s->place[k]] = part, taken++;
    }
}

/* The samples whose part is this one, or another one, in their own order. */
static ag_tensor *samples_of(const splitting *s, int64_t part, bool others) {
    int64_t n = 0;
    for (int64_t i = 0; i < s->count; i++)
        if (s->part[i] >= 0 && (s->part[i] == part) != others) s->other[n++] = i;
    return chosen(s->name, s->tape, s->index, n, s->other);
}

static ag_tensor *fractions_wrong(const char *name, ag_tape *tape, int n, const double fraction[]) {
    double sum = 0;
    if (n < 1) return ag__refuse_on(tape, name, AG_ERR_RANGE, "%d parts: 1 or more is wanted", n);
    if (!fraction) return ag__refuse_on(tape, name, AG_ERR_NULL, "the list of %d fractions is NULL", n);
    for (int i = 0; i < n; i++) {
        if (!(fraction[i] >= 0 && fraction[i] <= 1))
            return ag__refuse_on(tape, name, AG_ERR_RANGE, "fraction %d is %g: 0 … 1 is wanted", i, fraction[i]);
        sum += fraction[i];
    }
    if (sum <= 1 + 1e-9) return NULL;
    return ag__refuse_on(tape, name, AG_ERR_RANGE, "the fractions add up to %g: at most 1 is wanted", sum);
}

static void deal_all(const splitting *s, int n, const double fraction[]) {
    double sum = 0;
    int64_t dealt = 0;
    for (int k = 0; k < n; k++) {
        sum += fraction[k];
        int64_t upto = (int64_t)floor((double)s->count * sum + 0.5);
        if (upto > s->count || sum > 1 - 1e-9) upto = s->count;
        deal(s, k, upto - dealt, s->count - dealt);
        dealt = upto;
    }
}

ag_status ag_dataset_split(ag_dataset to[], ag_tape *tape, const ag_dataset *from, int n, const double fraction[],
                           const ag_split_options *options) {
    static const char name[] = "dataset_split";
    int line;
    const char *file = ag__ahead_here(&line);
    const ag_dataset all = from ? *from : (ag_dataset){0}; /* which may be to[0] */
    ag_tensor *nil = ag__dataset_wrong(name, tape, from);
    if (!nil) nil = fractions_wrong(name, tape, n, fraction);
    if (!nil && !to) nil = ag__refuse_on(tape, name, AG_ERR_NULL, "the array of %d datasets is NULL", n);
    for (int k = 0; k < n && to; k++) to[k] = (ag_dataset){0};
    splitting s = {.name = name, .tape = tape, .count = ag_dataset_count(&all)};
    if (!nil && open_splitting(&s, &all, options)) {
        deal_all(&s, n, fraction);
        for (int k = 0; k < n; k++) {
            to[k] = all;
            to[k].index = samples_of(&s, k, false);
        }
        for (int k = 0; k < n && ag_tape_status(tape) != AG_OK; k++) to[k] = (ag_dataset){0};
    }
    if (s.room) ag__room_back(tape, s.room);
    return leave(tape, file, line, nil);
}

ag_status ag_dataset_fold(ag_dataset *train, ag_dataset *test, ag_tape *tape, const ag_dataset *from, int folds,
                          int which, const ag_split_options *options) {
    static const char name[] = "dataset_fold";
    int line;
    const char *file = ag__ahead_here(&line);
    const ag_dataset all = from ? *from : (ag_dataset){0};
    ag_tensor *nil = ag__dataset_wrong(name, tape, from);
    if (!nil && (!train || !test)) nil = ag__refuse_on(tape, name, AG_ERR_NULL, "one of the two datasets is NULL");
    if (!nil && train == test)
        nil = ag__refuse_on(tape, name, AG_ERR_RANGE, "the datasets to train and to test are one: two are wanted");
    if (!nil && (folds < 2 || which < 0 || which >= folds))
        nil = ag__refuse_on(tape, name, AG_ERR_RANGE, "fold %d of %d: 2 folds or more, numbered from 0 on, are wanted",
                            which, folds);
    splitting s = {.name = name, .tape = tape, .count = ag_dataset_count(&all)};
    ag_dataset made[2] = {all, all};
    if (!nil && open_splitting(&s, &all, options)) {
        for (int64_t i = 0; i < s.count; i++) s.part[s.place[i]] = i % folds; /* each class in turn */
        made[0].index = samples_of(&s, which, true);
        made[1].index = samples_of(&s, which, false);
    }
    const bool good = !nil && tape && ag_tape_status(tape) == AG_OK;
    if (train) *train = good ? made[0] : (ag_dataset){0};
    if (test) *test = good ? made[1] : (ag_dataset){0};
    if (s.room) ag__room_back(tape, s.room);
    return leave(tape, file, line, nil);
}
