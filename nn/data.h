/* data -- datasets, batches that threads make ready ahead of time, augmentation
 *
 *     ag_dataset all, part[2];
 *     ag_loader loader;
 *     ag_tensor *batch[2];
 *     ag_dataset_tensors(&all, 2, (ag_tensor *[]){images, labels});
 *     ag_dataset_split(part, tape, &all, 2, (double[]){0.9, 0.1}, NULL);
 *     ag_loader_open(&loader, tape, &part[0], 128, NULL);
 *     ag_mark mark = ag_tape_mark(tape);
 *     while (loader.epoch < 10 && ag_tape_status(tape) == AG_OK)
 *         while (ag_loader_next(&loader, batch)) { …; ag_tape_rewind(tape, mark); }
 *     ag_loader_close(&loader);
 *
 * The order of an epoch's samples, and the random numbers of an augmentation, follow from seed, epoch and sample alone:
 * so the batches have the same bits for any number of threads, and a run that is resumed at (epoch, batch) gets the
 * same ones. Random numbers are those of Philox4x32-10, with which the tape's own are made, at counters that the tape
 * does not use. */
#ifndef AG_NN_DATA_H
#define AG_NN_DATA_H

#include "autograd/autograd.h"

/* ================================================== 1. Samples =================================================== */

#define AG_MAX_PARTS 8

/* ag_part -- the dtype and the shape of one tensor of a sample, such as an image (28,28,1) or a label () */
typedef struct ag_part {
    ag_dtype dtype;
    ag_shape shape;
} ag_part;

/* ag_random -- random numbers of one sample and one use; a copy gives the same numbers again */
typedef struct ag_random {
    uint64_t key, stream, used;
} ag_random;

/* ag_sample -- a sample that a callback fills or changes */
typedef struct ag_sample {
    int64_t number; /* in the dataset, from 0 on */
    int64_t epoch;
    int parts;
    const ag_part *part;
    void *const *data; /* elements of each part, row-major; a bool is true unless its byte is 0 */
    ag_random random;  /* follows from seed, epoch and number; each augmentation has its own */
    char *why;         /* ag_sample_fail writes here */
} ag_sample;

/* ag_sample_function -- fills a sample, or changes it; false, by ag_sample_fail, if it cannot
 * Several threads call it at once, each for another sample, and batches are made before they are asked for. So it must
 * not change what `context` points to without a lock, nor use the loader's tape; another tape of its own it may use. */
typedef bool ag_sample_function(void *context, ag_sample *sample);

/* ag_batch_function -- fills n samples at once: data[p] has room for those of part p, one after the other
 * Returns n, or the position of the first sample that it could not fill. The rest as for ag_sample_function. */
typedef int64_t ag_batch_function(void *context, int64_t n, const int64_t number[], void *const data[]);

/* ag_sample_fail -- say why a sample cannot be made, as printf does; returns false, for the callback to return
 * Errors: none; the loader's call fails with this text and the sample's number */
AG_API bool ag_sample_fail(ag_sample *sample, const char *format, ...)
#ifdef __GNUC__
    __attribute__((format(printf, 2, 3)))
#endif
    ;

/* ag_random_bits -- the next 64 bits; 0 for NULL
 * Errors: none */
AG_API uint64_t ag_random_bits(ag_random *random);

/* ag_random_uniform -- the next number, 0 <= u < 1, of 53 bits; 0 for NULL
 * Errors: none */
AG_API double ag_random_uniform(ag_random *random);

/* ag_random_normal -- the next number of mean 0 and deviation 1; 0 for NULL
 * Errors: none */
AG_API double ag_random_normal(ag_random *random);

/* ag_random_below -- the next integer, 0 <= i < n, each as probable as another; 0 for n < 1 and for NULL
 * Errors: none */
AG_API int64_t ag_random_below(ag_random *random, int64_t n);

/* ================================================== 2. Datasets ================================================== */

/* ag_dataset -- samples, each of a few tensors: rows of tensors, or made by a callback. A value: nothing is to be
 * freed, and a copy of it is the same dataset. A program may fill in its fields itself, all others 0:
 *
 *     ag_dataset noise = {.samples = 1000, .parts = 1, .part = {{AG_F32, AG_SHAPE(8)}}, .fill = make_noise};
 */
typedef struct ag_dataset {
    int64_t samples;                 /* in the tensors, or that the callback can fill */
    int parts;                       /* tensors of a sample: 1 … AG_MAX_PARTS */
    ag_part part[AG_MAX_PARTS];      /* one sample's */
    ag_tensor *tensor[AG_MAX_PARTS]; /* (samples,…); or all NULL, and one of */
    ag_sample_function *fill;
    ag_batch_function *fill_batch;
    void *context;    /* handed to the callback */
    ag_tensor *index; /* i64 (n): the samples that belong to this dataset, in order; NULL: all of them. That of a view
                       * is recorded like any tensor, and must not be rewound before a loader is opened either */
} ag_dataset;

/* ag_dataset_tensors -- the rows of tensors: sample i is row i of each. They are not copied, and must not be rewound
 * before a loader is opened; a view that is not contiguous is copied once
 * Shape:  part[p] (N,…): the first extents agree
 * Errors: AG_ERR_SHAPE unless they do; AG_ERR_RANGE unless 1 <= parts <= AG_MAX_PARTS */
AG_API ag_status ag_dataset_tensors(ag_dataset *dataset, int parts, ag_tensor *const part[]);

/* ag_dataset_count -- the number of samples that belong to the dataset; 0 for NULL
 * Errors: none */
AG_API int64_t ag_dataset_count(const ag_dataset *dataset);

/* ag_dataset_select -- those samples of `from` whose places in it the index lists, in this order; a place may be listed
 * more than once
 * Shape:  places i64 (n)
 * Errors: AG_ERR_RANGE for a place that is not in the dataset, and a dataset that is not valid; AG_ERR_SHAPE,
 *         AG_ERR_DTYPE */
AG_API ag_status ag_dataset_select(ag_dataset *to, const ag_dataset *from, ag_tensor *places);

/* ag_split_options -- how to split; all zero, or NULL, is at random by the tape's seed */
typedef struct ag_split_options {
    bool in_order;     /* the first samples go to the first part, and so on */
    ag_tensor *strata; /* i64 (samples), a class for each sample of the tensors or the callback: each class is split by
                        * the fractions; NULL: no classes */
} ag_split_options;

/* ag_dataset_split -- n datasets without common samples, part k with the fraction[k] of all; the rest is left out
 * Part k has round(N·(f₀+…+f_k)) − round(N·(f₀+…+f_{k−1})) samples, in their order in `from`, and follows from the
 * tape's seed. Within strata, the parts of a class of n have n·f_k samples each, to within 1 for two parts, and k for k
 * parts.
 * Errors: AG_ERR_RANGE unless n >= 1, each fraction >= 0, and their sum <= 1 (but for rounding); AG_ERR_SHAPE and
 *         AG_ERR_DTYPE for strata unlike those above */
AG_API ag_status ag_dataset_split(ag_dataset to[], ag_tape *tape, const ag_dataset *from, int n,
                                  const double fraction[], const ag_split_options *options);

/* ag_dataset_fold -- the parts of k-fold cross-validation: fold number `which` of `folds` equal ones to test, the
 * others to train; sizes differ by at most 1, and so do the numbers of each class within strata
 * Errors: AG_ERR_RANGE unless folds >= 2 and 0 <= which < folds; as ag_dataset_split */
AG_API ag_status ag_dataset_fold(ag_dataset *train, ag_dataset *test, ag_tape *tape, const ag_dataset *from, int folds,
                                 int which, const ag_split_options *options);

/* =================================================== 3. Loaders ================================================== */

/* ag_augmentation -- a change of each sample that is loaded, and the context that is handed to it */
typedef struct ag_augmentation {
    ag_sample_function *apply;
    void *context; /* lasts until the loader is closed */
} ag_augmentation;

/* ag_loader_options -- how to load; all zero, or NULL: shuffled, the last batch perhaps smaller, made by one thread */
typedef struct ag_loader_options {
    bool in_order;     /* the order of the dataset, in each epoch */
    bool drop_last;    /* no batch that is smaller than the others */
    ag_tensor *strata; /* i64 (samples), a class for each sample of the tensors or the callback: each batch has each
                        * class's part of all, as nearly as can be; NULL: no classes */
    int workers;       /* threads that make batches: up to 64; 0: one; −1: none, batches are made when asked for */
    int ahead;         /* batches that are made ahead: up to 1024; 0: two for each thread */
    int augmentations; /* number of the following, at most 16 */
    const ag_augmentation *augmentation; /* applied in this order */
} ag_loader_options;

/* ag_loader -- batches, epoch after epoch; its place may be read, and set to continue elsewhere. Not to be copied */
typedef struct ag_loader {
    int64_t seed;            /* at first the tape's, as ag_tape_seed has set it */
    int64_t epoch;           /* from 0 on */
    int64_t batch;           /* of the epoch: the one that comes next */
    struct ag__ahead *state; /* NULL: closed */
    unsigned made;           /* inside: what ag_loader_open leaves to know it by */
} ag_loader;

/* ag_loader_open -- begin to load batches of `size` samples onto the tape, at epoch 0, batch 0
 * The order of an epoch is that of Fisher and Yates: for i = n−1, …, 1 the samples at i and j are exchanged, with 0 <=
 * j <= i random. Strata are then sorted by class, stably, and the j-th of the n of a class comes at (j + ½)/n of the
 * epoch, the classes' own order being random. The dataset's tensors are held until the loader is closed, even if they
 * are rewound.
 * Errors: AG_ERR_RANGE for a dataset that is not valid, an index out of range, options out of range, size < 1, and
 *         where dropping the last batch leaves none; AG_ERR_TAPE for tensors of another tape, and within an eval;
 *         AG_ERR_SHAPE, AG_ERR_DTYPE */
AG_API ag_status ag_loader_open(ag_loader *loader, ag_tape *tape, const ag_dataset *dataset, int64_t size,
                                const ag_loader_options *options);

/* ag_loader_next -- the next batch, a constant for each part; false at the end of an epoch, which begins the next one
 * A batch is made by a thread while the one before is used, and lies in the tape's memory without a copy: a rewind
 * gives it back, and a steady loop allocates nothing. After an error it is false too, all tensors are nil, and the
 * place is unchanged. In a child of fork it goes on with threads of its own.
 * Shape:  batch[p] (size,…), or fewer at the end
 * Errors: AG_ERR_RANGE for a sample that could not be made, a place that does not exist, and a struct that
 *         ag_loader_open has not made; AG_ERR_TAPE if the loader is closed, its tape freed, or within a callback */
AG_API bool ag_loader_next(ag_loader *loader, ag_tensor *batch[]);

/* ag_loader_batches -- the number of batches in an epoch; 0 if the loader is closed
 * Errors: none */
AG_API int64_t ag_loader_batches(const ag_loader *loader);

/* ag_loader_close -- end its threads, when they have made the samples under way, and release its memory
 * NULL and a closed loader are ignored. A tape that is freed ends the threads of its loaders, but each is still to be
 * closed, with the tape's allocator. Within a callback it does nothing.
 * Errors: none */
AG_API void ag_loader_close(ag_loader *loader);

/* ================================================ 4. Augmentation ================================================ */

/* These are for images (H,W,C) or (H,W), of any dtype, noise only of a real one. `part` is the number of the image
 * among the parts of a sample. Each draws its own numbers: what one does to a sample does not depend on the others
 * before it.
 *
 *     ag_image_shift shift = {.rows = 2, .columns = 2};
 *     ag_image_flip flip = {.horizontal = 0.5};
 *     ag_augmentation list[] = {{ag_augment_shift, &shift}, {ag_augment_flip, &flip}, {my_own, &mine}}; */

/* ag_image_shift -- the largest shifts, in both directions, and the value of what comes in */
typedef struct ag_image_shift {
    int part;
    int64_t rows, columns;
    double fill;
} ag_image_shift;

/* ag_augment_shift -- move the image by −rows … rows and −columns … columns, each as probable as another
 * Errors: none; false, with a reason, if the part is no image, or for shifts < 0 */
AG_API bool ag_augment_shift(void *shift, ag_sample *sample);

/* ag_image_flip -- the probabilities of turning an image round */
typedef struct ag_image_flip {
    int part;
    double horizontal, vertical; /* left and right exchanged; top and bottom */
} ag_image_flip;

/* ag_augment_flip -- reverse columns, and rows, with these probabilities
 * Errors: none; false, with a reason, if the part is no image, or for probabilities out of 0 … 1 */
AG_API bool ag_augment_flip(void *flip, ag_sample *sample);

/* ag_image_noise -- the deviation of what is added to each element */
typedef struct ag_image_noise {
    int part;
    double deviation;
} ag_image_noise;

/* ag_augment_noise -- add a normal number of mean 0 to each element of a part of any shape
 * Errors: none; false, with a reason, if the part is not real, or for a deviation < 0 */
AG_API bool ag_augment_noise(void *noise, ag_sample *sample);

/* ag_image_cutout -- the square that is covered, and the value that it gets */
typedef struct ag_image_cutout {
    int part;
    int64_t size;
    double fill;
} ag_image_cutout;

/* ag_augment_cutout -- cover a square of size × size around a pixel, each as probable as another; less at the edges
 * Errors: none; false, with a reason, if the part is no image, or for a size < 0
 * Source: DeVries and Taylor, Improved Regularization of Convolutional Neural Networks with Cutout (2017) */
AG_API bool ag_augment_cutout(void *cutout, ag_sample *sample);

#endif
