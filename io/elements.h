/* elements -- how files write numbers, and what becomes of them
 *
 * A file's elements are of one of these kinds. A dtype of ours holds all values of each (except those of u64 that do
 * not fit i64, which are errors). f16, bf16, f32 and f64 keep their bits, NaN payloads included. */
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

bool ag__element_native(ag__element element, ag_dtype dtype); /* whether it has the same bytes in memory */
int ag__kind_bytes(ag__kind kind);
ag_dtype ag__kind_dtype(ag__kind kind);
const char *ag__kind_name(ag__kind kind);
ag__kind ag__kind_of(ag_dtype dtype);

/* Read `count` elements from the stream as elements of dtype, converted as by ag_cast if that is not the kind's.
 * False after an error. */
bool ag__elements_read(ag__stream *s, ag__element element, int64_t count, ag_dtype dtype, void *to);

/* The same for a shape whose first axis moves fastest in the file. */
bool ag__elements_read_fortran(ag__stream *s, ag__element element, const ag_shape *shape, ag_dtype dtype, void *to);

/* One element, in the machine's order of bytes, as one of the kind's dtype; false, without an error, if it does not
 * fit. */
bool ag__element_decode(ag__kind kind, const void *from, void *to);

/* Convert elements of dtype at p between this machine's byte order and that of files. */
void ag__little_endian(ag_dtype dtype, void *p, int64_t count);

#endif
