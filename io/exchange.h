/* exchange -- tensors from and for other libraries: elements without a header, images, DLPack
 *
 * Read io/io.h first. */
#ifndef AG_EXCHANGE_H
#define AG_EXCHANGE_H

#include "autograd/autograd.h"

/* ---- Elements without a header ---- */

/* ag_raw_options -- how the elements are written; all zero, or NULL: f32, little-endian, all of the file */
typedef struct ag_raw_options {
    const char *dtype; /* "bool", "i8", "i16", "i32", "i64", "u8", "u16", "u32", "u64", "f16", "bf16", "f32", "f64" */
    bool big_endian;
    int64_t offset; /* bytes before the first element */
    bool partial;   /* bytes may follow the last element */
    bool map;       /* as in ag_read_options */
} ag_raw_options;

/* ag_raw_read -- a constant with elements that a file has in row-major order, without a header
 * Shape:  () -> as given
 * Dtype:  as ag_read: f32 for f16 and bf16, i64 for integers
 * Grad:   a constant
 * Errors: AG_ERR_FILE if it cannot be read, or has fewer bytes, or more unless `partial`; AG_ERR_NULL, AG_ERR_SHAPE;
 *         AG_ERR_DTYPE for an unknown one; AG_ERR_RANGE for a negative offset; AG_ERR_MEMORY
 * Source: numpy.fromfile */
AG_API ag_tensor *ag_raw_read(ag_tape *tape, const char *path, ag_shape shape, const ag_raw_options *options);

/* ag_raw_write -- write the elements of x, in row-major order and little-endian, into a file
 * Errors: AG_ERR_NULL; AG_ERR_FILE if it cannot be written; as ag_eval */
AG_API ag_status ag_raw_write(const char *path, ag_tensor *x);

/* ---- Images ---- */

/* ag_image_read -- a constant with the pixels of a PNG, PGM, PPM, PBM or PAM file, whichever it is
 * Channels are those of the file: 1 for grey, 2 with alpha, 3 for red, green and blue, 4 with alpha; a palette is
 * replaced by its colours. Reals are between 0 and 1; integers are as in the file, up to 255 or 65535. PNG needs a
 * build with libpng.
 * Shape:  () -> (H,W,C)
 * Dtype:  i64, f32 or f64
 * Grad:   a constant
 * Errors: AG_ERR_FILE if it cannot be read, or is malformed; AG_ERR_DTYPE, AG_ERR_NULL, AG_ERR_MEMORY
 * Source: PNG (ISO/IEC 15948), Netpbm's formats */
AG_API ag_tensor *ag_image_read(ag_tape *tape, const char *path, ag_dtype dtype);

/* ag_image_write -- write x (H,W) or (H,W,C) as a .png file, or as a .pgm, .ppm or .pam one, by the path's ending
 * Reals are taken from 0 for black to 1, those outside as 0 or 1, and rounded to 8 bits; integers are from 0 to 255, or
 * to 65535 if one is larger than 255: then all have 16 bits. A .pgm file has 1 channel, a .ppm one 3, the others 1
 * to 4.
 * Errors: AG_ERR_SHAPE for a shape or a number of channels that the format does not have; AG_ERR_DTYPE for a bool;
 *         AG_ERR_RANGE for an integer out of range, NaN, and an unknown ending; AG_ERR_FILE if it cannot be written;
 *         as ag_eval
 * Source: as ag_image_read */
AG_API ag_status ag_image_write(const char *path, ag_tensor *x);

/* ---- DLPack ---- */

/* The tensors of other libraries in the same process, without a copy: <dlpack/dlpack.h> declares these two. */
struct DLManagedTensor;
struct DLManagedTensorVersioned;

/* ag_from_dlpack -- a constant that shares the memory of another library's tensor, which becomes the tape's: its
 * deleter is called when the last tensor that needs it is rewound, or with ag_tape_free
 * The memory must stay unchanged until then. It is copied, and the deleter called at once, if it is not aligned, has
 * bools other than 0 and 1, or elements of a dtype that is converted: f16 and bf16 become f32, integers i64. After an
 * error the tensor is still the caller's.
 * Shape:  () -> as in the tensor, with its strides
 * Dtype:  as the tensor has it
 * Grad:   a constant
 * Errors: AG_ERR_NULL; AG_ERR_RANGE unless it is on the CPU, and for a stride that leaves what can be addressed;
 *         AG_ERR_DTYPE for complex numbers, vectors and the like; AG_ERR_SHAPE, AG_ERR_MEMORY
 * Source: the DLPack specification, versions 0.8 and 1.0 */
AG_API ag_tensor *ag_from_dlpack(ag_tape *tape, struct DLManagedTensor *tensor);

/* ag_from_dlpack_versioned -- the same for the form with a version and flags
 * Shape:  () -> as in the tensor, with its strides
 * Dtype:  as the tensor has it
 * Grad:   a constant
 * Errors: as ag_from_dlpack; AG_ERR_RANGE for a major version other than 1
 * Source: the DLPack specification, version 1.0 */
AG_API ag_tensor *ag_from_dlpack_versioned(ag_tape *tape, struct DLManagedTensorVersioned *tensor);

/* ag_to_dlpack -- the value of x for another library, without a copy if it has more than 16 kB and no axis of a view
 * runs backwards, which PyTorch does not take; NULL after an error
 * The memory must only be read: values are immutable. It stays until the deleter is called, by whichever thread, before
 * or after the tape is freed; then it is the tape's again, which recycles it with the next rewind. A tape's own
 * allocator must last that long, and be usable by that thread.
 * Errors: AG_ERR_NULL, AG_ERR_MEMORY; as ag_eval */
AG_API struct DLManagedTensor *ag_to_dlpack(ag_tensor *x);

/* ag_to_dlpack_versioned -- the same in the form with a version, and flagged as only to be read
 * Errors: as ag_to_dlpack */
AG_API struct DLManagedTensorVersioned *ag_to_dlpack_versioned(ag_tensor *x);

#endif
