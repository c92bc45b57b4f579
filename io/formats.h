/* formats -- listing the headers and writing the tensors of each format */
#ifndef AG_FORMATS_H
#define AG_FORMATS_H

#include "io/members.h"
#include "io/write.h"

#define AG__METADATA "__metadata__" /* the entry of safetensors that is not a tensor */

/* ---- Reading ---- */

/* List the tensors by the file's headers; false after an error. */
bool ag__npy_list(ag__archive *a, ag__packing packing);
bool ag__idx_list(ag__archive *a, ag__packing packing);
bool ag__zip_list(ag__archive *a);
bool ag__safetensors_list(ag__archive *a);

/* npy.c: the header at the stream's beginning. Sets kind, shape, order and skip. */
bool ag__npy_header(const ag__archive *a, ag__stream *s, ag__member *m);

/* ---- Writing ---- */

/* A tensor in the directory of a zip file. */
typedef struct ag__zipped {
    uint64_t at, packed, bytes;
    uint32_t crc;
} ag__zipped;

typedef struct ag__saving {
    ag_tape *tape;
    int n;
    ag_tensor *const *x;
    const char *const *name;
    const char *metadata; /* the entries of it, for safetensors, written first; NULL: none */
    bool compress;
    struct ag__deflater *deflater; /* NULL unless `compress` */
    ag__zipped *zipped;            /* n of them, for .npz */
} ag__saving;

void ag__npy_write(ag__saving *s, ag__output *o); /* x[0] alone */
void ag__zip_write(ag__saving *s, ag__output *o);
void ag__safetensors_write(ag__saving *s, ag__output *o);

#endif
