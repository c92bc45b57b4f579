/* write -- tensors' elements into files */
#ifndef AG_WRITE_H
#define AG_WRITE_H

#include "io/deflate.h"

typedef struct ag__output {
    FILE *file;                    /* NULL: bytes are only counted */
    struct ag__deflater *deflater; /* packs the bytes; NULL: they are not packed */
    uint64_t at;                   /* bytes of the file so far */
    bool summed;                   /* crc is the checksum of all bytes before packing */
    uint32_t crc;
} ag__output;

void ag__out(ag__output *o, const void *data, size_t bytes);
void ag__out_number(ag__output *o, uint64_t n, int bytes); /* little-endian */
void ag__out_values(ag__output *o, ag_tensor *x);          /* x has been evaluated */
void ag__out_end(ag__output *o);                           /* ends the packed bytes */

#endif
