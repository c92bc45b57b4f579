/* loader -- batches of a dataset, made ahead of time
 *
 * Place (epoch, batch) and seed decide everything about a batch. The queue of autograd/tape/ahead.h has the batches
 * from the place on; if a program sets another place, the queue is emptied and begun anew there. Threads read `plan`
 * and the orders of the epochs that have batches in the queue, at most two, e and e+1, which the tape's thread wrote
 * before it posted them. */
#include "autograd/tape/ahead.h"
#include "autograd/tape/format.h"
#include "nn/dataset.h"

#include <string.h>

enum { MOST_AUGMENTATIONS = 16, LOADER = 0x10ade4 };

static const int64_t MOST_EPOCHS = INT64_C(1) << 60; /* random.c numbers them beside their purpose */

typedef struct plan {
    ag_dataset dataset;
    const char *from[AG_MAX_PARTS]; /* the tensors' elements */
    size_t bytes[AG_MAX_PARTS];     /* of one sample */
    const int64_t *base;            /* the samples in the dataset's order; NULL: 0, 1, … */
    const int64_t *classes;         /* of each sample; NULL: none */
    int64_t count, size, batches, seed;
    bool shuffled;
    int64_t *order[2];  /* the samples in that of the latest even epoch, and odd one; NULL: as in `base` */
    int64_t ordered[2]; /* those epochs; −1: none */
    int64_t *room;      /* for spread() */
    int augmentations;
    ag_augmentation augmentation[MOST_AUGMENTATIONS];
} plan;

typedef struct place {
    int64_t epoch, batch;
} place;

typedef struct loading {
    plan plan;
    bool eager;         /* there may be threads: batches are posted ahead */
    place next, posted; /* the place, as the queue has it; and the first one not posted */
} loading;

/* ---- Making a batch, on any thread ---- */

static int64_t number_at(const plan *p, int64_t epoch, int64_t i) {
    const int64_t *order = p->order[epoch & 1] ? p->order[epoch & 1] : p->base;
    return order ? order[i] : i;
}

static void copy_rows(const plan *p, ag__job *job, int64_t first) {
    for (int k = 0; k < p->dataset.parts; k++) {
        const size_t bytes = p->bytes[k];
        for (int64_t i = 0; i < job->rows; i++)
            memcpy((char *)job->data[k] + (size_t)i * bytes,
                   p->from[k] + (size_t)number_at(p, job->epoch, first + i) * bytes, bytes);
    }
}

static bool failed(ag__job *job, int64_t number, const char *why) {
    ag__format(job->why, sizeof job->why, "sample %lld: %s", (long long)number, *why ? why : "its callback failed");
    return false;
}

static bool fill_at_once(const plan *p, ag__job *job, int64_t first) {
    const int64_t *order = p->order[job->epoch & 1] ? p->order[job->epoch & 1] : p->base;
    const int64_t filled = p->dataset.fill_batch(p->dataset.context, job->rows, order + first, job->data);
    if (filled == job->rows) return true;
    return filled >= 0 && filled < job->rows ? failed(job, order[first + filled], "")
                                             : failed(job, order[first], "its callback returned no position");
}

/* The dataset's callback and the augmentations, each with random numbers of its own. */
static bool work_on(const plan *p, ag__job *job, ag_sample *s) {
    const ag_random random = ag__random_of(p->seed, job->epoch, s->number);
    s->random = random;
    if (p->dataset.fill && !p->dataset.fill(p->dataset.context, s)) return failed(job, s->number, s->why);
    for (int k = 0; k < p->augmentations; k++) {
        s->random = random;
        s->random.stream = (uint64_t)k + 1;
        if (!p->augmentation[k].apply(p->augmentation[k].context, s)) return failed(job, s->number, s->why);
    }
    return true;
}

static bool work_on_each(const plan *p, ag__job *job, int64_t first) {
    for (int64_t i = 0; i < job->rows; i++) {
        char why[AG__REASON] = "";
        void *data[AG_MAX_PARTS];
        for (int k = 0; k < p->dataset.parts; k++) data[k] = (char *)job->data[k] + (size_t)i * p->bytes[k];
        ag_sample s = {.number = number_at(p, job->epoch, first + i),
                       .epoch = job->epoch,
                       .parts = p->dataset.parts,
                       .part = p->dataset.part,
                       .data = data,
                       .why = why};
        if (!work_on(p, job, &s)) return false;
    }
    return true;
}

static bool make_batch(void *loading_, ag__job *job) {
    const plan *p = &((const loading *)loading_)->plan;
    const int64_t first = job->number * p->size;
    if (p->dataset.fill_batch && !fill_at_once(p, job, first)) return false;
    if (p->from[0]) copy_rows(p, job, first);
    return (!p->dataset.fill && p->augmentations == 0) || work_on_each(p, job, first);
}

/* ---- The order of an epoch ---- */

/* Samples that are sorted by class, class k having size[k] of them; sample i of the list is number rank[i] of class
 * kind[i], and of two classes that are due at once that of the smaller turn is first. */
typedef struct spreading {
    int64_t *position, *room, *rank, *kind, *size, *turn;
} spreading;

enum { SPREADING = sizeof(spreading) / sizeof(int64_t *) };

/* (rank + ½)/size, as fractions. */
static bool due_before(const void *spreading_, int64_t a, int64_t b) {
    const spreading *s = spreading_;
    const int64_t left = (2 * s->rank[a] + 1) * s->size[s->kind[b]], right = (2 * s->rank[b] + 1) * s->size[s->kind[a]];
    return left < right || (left == right && s->turn[s->kind[a]] < s->turn[s->kind[b]]);
}

/* Each class evenly over the epoch. */
static void spread(const plan *p, int64_t epoch, int64_t *order) {
    const int64_t n = p->count;
    int64_t *const room = p->room, classes = 0;
    spreading s = {room, room + n, room + 2 * n, room + 3 * n, room + 4 * n, room + 5 * n};
    ag__sort(n, order, s.room, ag__class_before, p->classes);
    for (int64_t i = 0; i < n; i++) {
        if (i == 0 || ag__class_before(p->classes, order[i - 1], order[i])) {
            s.size[classes] = 0;
            s.turn[classes] = classes;
            classes++;
        }
        s.kind[i] = classes - 1;
        s.rank[i] = s.size[classes - 1]++;
        s.position[i] = i;
    }
    if (p->shuffled) ag__shuffle(p->seed, AG__OF_CLASSES, epoch, classes, s.turn);
    ag__sort(n, s.position, s.room, due_before, &s);
    for (int64_t i = 0; i < n; i++) s.room[i] = order[s.position[i]];
    memcpy(order, s.room, (size_t)n * sizeof *order);
}

static void prepare_order(plan *p, int64_t epoch) {
    int64_t *order = p->order[epoch & 1];
    if (!order || p->ordered[epoch & 1] == epoch) return;
    for (int64_t i = 0; i < p->count; i++) order[i] = p->base ? p->base[i] : i;
    if (p->shuffled) ag__shuffle(p->seed, AG__OF_ORDER, epoch, p->count, order);
    if (p->classes) spread(p, epoch, order);
    p->ordered[epoch & 1] = epoch;
}

/* ---- Opening ---- */

static const ag_loader_options usual;

static ag_tensor *options_wrong(const char *name, ag_tape *tape, const ag_loader_options *o) {
    if (o->workers < -1 || o->workers > AG__MOST_MAKERS)
        return ag__refuse_on(tape, name, AG_ERR_RANGE, "%d workers: at most %d, or -1 for none, are wanted", o->workers,
                             AG__MOST_MAKERS);
    if (o->ahead < 0 || o->ahead > AG__MOST_AHEAD)
        return ag__refuse_on(tape, name, AG_ERR_RANGE, "%d batches ahead: 0 to %d are wanted", o->ahead,
                             AG__MOST_AHEAD);
    if (o->augmentations < 0 || o->augmentations > MOST_AUGMENTATIONS)
        return ag__refuse_on(tape, name, AG_ERR_RANGE, "%d augmentations: 0 to %d are wanted", o->augmentations,
                             MOST_AUGMENTATIONS);
    if (o->augmentations > 0 && !o->augmentation)
        return ag__refuse_on(tape, name, AG_ERR_NULL, "the list of %d augmentations is NULL", o->augmentations);
    for (int i = 0; i < o->augmentations; i++)
        if (!o->augmentation[i].apply)
            return ag__refuse_on(tape, name, AG_ERR_NULL, "the function of augmentation %d is NULL", i);
    return NULL;
}

static ag_tensor *open_wrong(const char *name, const ag_loader *loader, ag_tape *tape, const ag_dataset *dataset,
                             int64_t size, const ag_loader_options *o) {
    ag_tensor *nil = ag__dataset_wrong(name, tape, dataset);
    if (!nil && !loader) nil = ag__refuse_on(tape, name, AG_ERR_NULL, "the loader is NULL");
    if (!nil && size < 1)
        nil = ag__refuse_on(tape, name, AG_ERR_RANGE, "batches of %lld samples: 1 or more is wanted", (long long)size);
    if (!nil) nil = options_wrong(name, tape, o);
    const int64_t count = nil ? 0 : ag_dataset_count(dataset);
    if (o->drop_last && count > 0 && count < size)
        nil =
            ag__refuse_on(tape, name, AG_ERR_RANGE,
                          "the last batch is to be dropped if it has less than %lld samples, and the only one has %lld",
                          (long long)size, (long long)count);
    return nil;
}

static bool hold_data(ag__ahead *queue, plan *p, ag_tape *tape, const ag_loader_options *o) {
    static const char name[] = "loader_open";
    for (int k = 0; k < p->dataset.parts; k++) {
        const ag_part *part = &p->dataset.part[k];
        ag_tensor *x = p->dataset.tensor[k];
        p->bytes[k] = ag_dtype_size(part->dtype);
        for (int i = 0; i < part->shape.rank; i++) p->bytes[k] *= (size_t)part->shape.extent[i];
        if (!x) continue;
        if (!(p->from[k] = ag_data(x))) return false;
        ag__ahead_hold(queue, x);
    }
    p->base = ag__dataset_index(name, &p->dataset);
    if (ag_tape_status(tape) != AG_OK) return false;
    if (p->dataset.index) ag__ahead_hold(queue, p->dataset.index);
    p->classes = ag__dataset_classes(name, tape, &p->dataset, o->strata);
    if (ag_tape_status(tape) != AG_OK) return false;
    if (o->strata) ag__ahead_hold(queue, o->strata);
    return true;
}

/* A callback for whole batches is given lists, of samples in order too. */
static bool make_room(ag__ahead *queue, plan *p) {
    const bool ordered = p->shuffled || p->classes;
    int64_t *list = NULL;
    for (int i = 0; i < 2 && ordered; i++)
        if (!(p->order[i] = ag__ahead_room(queue, p->count, sizeof *list))) return false;
    if (p->classes && !(p->room = ag__ahead_room(queue, p->count, SPREADING * sizeof *list))) return false;
    if (ordered || p->base || !p->dataset.fill_batch) return true;
    if (!(list = ag__ahead_room(queue, p->count, sizeof *list))) return false;
    for (int64_t i = 0; i < p->count; i++) list[i] = i;
    p->base = list;
    return true;
}

static bool set_up(ag__ahead *queue, ag_tape *tape, const ag_dataset *dataset, int64_t size,
                   const ag_loader_options *o) {
    loading *l = ag__ahead_room(queue, 1, sizeof *l);
    const int64_t count = ag_dataset_count(dataset);
    ag__row part[AG_MAX_PARTS];
    if (!l) return false;
    *l = (loading){.plan = {.dataset = *dataset,
                            .count = count,
                            .size = size,
                            .batches = count / size + (count % size != 0 && !o->drop_last),
                            .shuffled = !o->in_order,
                            .ordered = {-1, -1},
                            .augmentations = o->augmentations},
                   .eager = o->workers >= 0};
    for (int i = 0; i < o->augmentations; i++) l->plan.augmentation[i] = o->augmentation[i];
    for (int i = 0; i < dataset->parts; i++) part[i] = (ag__row){dataset->part[i].dtype, dataset->part[i].shape};
    return hold_data(queue, &l->plan, tape, o) && make_room(queue, &l->plan) &&
           ag__ahead_start(queue, "loader_next",
                           o->workers < 0 ? 0
                           : o->workers   ? o->workers
                                          : 1,
                           make_batch, l, count < size ? count : size, dataset->parts, part);
}

ag_status ag_loader_open(ag_loader *loader, ag_tape *tape, const ag_dataset *dataset, int64_t size,
                         const ag_loader_options *options) {
    static const char name[] = "loader_open";
    const ag_loader_options *o = options ? options : &usual;
    int line;
    const char *file = ag__ahead_here(&line);
    ag_tensor *nil = open_wrong(name, loader, tape, dataset, size, o);
    ag__ahead *queue = NULL;
    if (!nil && ag_tape_status(tape) == AG_OK)
        queue = ag__ahead_new(tape, name, o->workers < 0 ? 1 : o->ahead ? o->ahead : o->workers ? 2 * o->workers : 2);
    if (queue && !set_up(queue, tape, dataset, size, o)) {
        ag__ahead_free(queue);
        queue = NULL;
    }
    const int64_t seed = queue ? (int64_t)ag__ahead_seed(tape) : 0;
    if (loader) *loader = (ag_loader){.seed = seed, .state = queue, .made = LOADER};
    if (queue) return AG_OK;
    ag_here(file, line);
    return ag_eval(nil ? nil : ag_scalar(tape, AG_F64, 0)); /* which a tape in error does not record */
}

/* ---- Loading ---- */

static ag_tensor *place_wrong(ag_tape *tape, const ag_loader *loader, const plan *p) {
    if (loader->epoch < 0 || loader->epoch >= MOST_EPOCHS)
        return ag__refuse_on(tape, "loader_next", AG_ERR_RANGE, "epoch %lld is out of range", (long long)loader->epoch);
    if (loader->batch >= 0 && loader->batch <= p->batches) return NULL;
    return ag__refuse_on(tape, "loader_next", AG_ERR_RANGE, "batch %lld is out of range: there are %lld, from 0 on",
                         (long long)loader->batch, (long long)p->batches);
}

/* NULL if the next batch can be loaded; else nil, after an error. */
static ag_tensor *next_wrong(const ag_loader *loader, ag_tensor *batch[]) {
    static const char name[] = "loader_next";
    if (!loader) return ag__refuse_on(NULL, name, AG_ERR_NULL, "the loader is NULL");
    if (loader->made != LOADER)
        return ag__refuse_on(NULL, name, AG_ERR_RANGE, "the loader was not made by ag_loader_open");
    if (!loader->state) return ag__refuse_on(NULL, name, AG_ERR_TAPE, "the loader is closed");
    ag_tape *tape = ag__ahead_tape(loader->state);
    if (!tape)
        return ag__refuse_on(NULL, name, AG_ERR_TAPE, "the loader's tape was freed, or is in use by its callback");
    if (!batch) return ag__refuse_on(tape, name, AG_ERR_NULL, "the array of tensors is NULL");
    const loading *l = ag__ahead_shared(loader->state);
    ag_tensor *nil = ag_tape_status(tape) == AG_OK ? place_wrong(tape, loader, &l->plan)
                                                   : ag__refuse_on(tape, name, AG_ERR_NIL, "it is nil");
    for (int k = 0; nil && k < l->plan.dataset.parts; k++) batch[k] = nil;
    return nil;
}

/* Begin anew where the program has set another place, or seed. */
static void follow(ag_loader *loader, loading *l) {
    if (loader->seed == l->plan.seed && loader->epoch == l->next.epoch && loader->batch == l->next.batch) return;
    ag__ahead_clear(loader->state);
    if (loader->seed != l->plan.seed) l->plan.ordered[0] = l->plan.ordered[1] = -1;
    l->plan.seed = loader->seed;
    l->next = l->posted = (place){loader->epoch, loader->batch};
}

/* Batches of the present epoch and the next one: those before it have left their orders' memory. */
static void post(ag__ahead *queue, loading *l) {
    plan *p = &l->plan;
    do {
        if (l->posted.batch == p->batches) l->posted = (place){l->posted.epoch + 1, 0};
        if (l->posted.epoch > l->next.epoch + 1 || l->posted.epoch >= MOST_EPOCHS) return;
        const int64_t first = l->posted.batch * p->size, left = p->count - first;
        prepare_order(p, l->posted.epoch);
        if (!ag__ahead_post(queue, l->posted.epoch, l->posted.batch, left < p->size ? left : p->size)) return;
        l->posted.batch++;
    } while (l->eager);
}

static bool load(ag_loader *loader, loading *l, ag_tensor *batch[]) {
    char what[80];
    ag__format(what, sizeof what, "epoch %lld, batch %lld", (long long)loader->epoch, (long long)loader->batch);
    post(loader->state, l);
    if (!ag__ahead_take(loader->state, what, batch)) {
        l->posted = l->next;
        return false;
    }
    loader->batch = ++l->next.batch;
    if (l->eager) post(loader->state, l);
    return true;
}

bool ag_loader_next(ag_loader *loader, ag_tensor *batch[]) {
    int line;
    const char *file = ag__ahead_here(&line);
    ag_tensor *nil = next_wrong(loader, batch);
    if (nil) {
        ag_here(file, line);
        ag_eval(nil);
        return false;
    }
    loading *l = ag__ahead_shared(loader->state);
    follow(loader, l);
    if (loader->batch == l->plan.batches) {
        l->next = (place){++loader->epoch, loader->batch = 0};
        return false;
    }
    ag_here(file, line);
    return load(loader, l, batch);
}

int64_t ag_loader_batches(const ag_loader *loader) {
    if (!loader || loader->made != LOADER || !loader->state || !ag__ahead_tape(loader->state)) return 0;
    return ((const loading *)ag__ahead_shared(loader->state))->plan.batches;
}

void ag_loader_close(ag_loader *loader) {
    if (loader && loader->made == LOADER && ag__ahead_free(loader->state)) loader->state = NULL;
}
