/* write -- tensors' elements into files */
#include "io/write.h"
#include "autograd/eval/eval.h"
#include "io/elements.h"

void ag__out(ag__output *o, const void *data, size_t bytes) {
    if (o->summed) o->crc = ag__crc32(o->crc, data, bytes);
    if (o->deflater) {
        o->at += ag__deflate(o->deflater, o->file, data, bytes, false);
        return;
    }
    if (o->file) fwrite(data, 1, bytes, o->file);
    o->at += bytes;
}

void ag__out_end(ag__output *o) {
    if (o->deflater) o->at += ag__deflate(o->deflater, o->file, NULL, 0, true);
}

void ag__out_number(ag__output *o, uint64_t n, int bytes) {
    unsigned char little[8];
    for (int i = 0; i < bytes; i++) little[i] = (unsigned char)(n >> 8 * i);
    ag__out(o, little, (size_t)bytes);
}

void ag__out_values(ag__output *o, ag_tensor *x) {
    enum { PIECE = AG__LIMIT(2048, 16) };
    double piece[PIECE];
    ag_array values = ag__array_of(x);
    ag_dtype dtype = ag_dtype_of(x);
    int64_t size = ag_size(x);
    for (int64_t i = 0, n; i < size; i += n) {
        n = size - i < PIECE ? size - i : PIECE;
        ag__pack(piece, &values, i, n);
        ag__little_endian(dtype, piece, n);
        ag__out(o, piece, (size_t)n * ag_dtype_size(dtype));
    }
}
