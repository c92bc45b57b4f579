/* elements -- how files write numbers, and what becomes of them
 *
 * A file's elements are of one of these kinds. Each has a dtype of ours that holds all of its values (of u64: those
 * that fit i64, others are an error). f16, bf16, f32 and f64 keep their bits, NaN payloads included. */
#ifndef AG_ELEMENTS_H
#define AG_ELEMENTS_H

#include "io/stream.h"

typedef enum ag__kind {
    AG__BOOL,
    AG__I8,
    AG__I16,
    AG__I32,
    AG__I64,
    AG__U8,
    AG__U16,
    AG__U32,
    AG__U64,
    AG__F16,
    AG__BF16,
    AG__F32,
    AG__F64,
    AG__KINDS
} ag__kind;

typedef struct ag__element {
    ag__kind kind;
    bool big; /* the most significant byte first */
} ag__element;

int ag__kind_bytes(ag__kind kind);
ag_dtype ag__kind_dtype(ag__kind kind);
const char *ag__kind_name(ag__kind kind);
ag__kind ag__kind_of(ag_dtype dtype);

/* Read `count` elements from the stream as elements of dtype; of another dtype than the kind's, they are converted as
 * by ag_cast. False after an error, which is raised. */
bool ag__elements_read(ag__stream *s, ag__element element, int64_t count, ag_dtype dtype, void *to);

/* The same for a shape whose first axis is the one that moves fastest in the file. */
bool ag__elements_read_fortran(ag__stream *s, ag__element element, const ag_shape *shape, ag_dtype dtype, void *to);

/* So many elements of dtype at p, between this machine's order of bytes and the other way round that files have. */
void ag__little_endian(ag_dtype dtype, void *p, int64_t count);

#endif
