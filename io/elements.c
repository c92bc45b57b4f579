/* elements -- how files write numbers, and what becomes of them
 *
 * Elements in the machine's own format are read directly into place. Others go through a buffer of fixed size: they
 * are decoded to the dtype that holds their kind's values, and then converted to the wanted one. */
#include "io/elements.h"
#include "autograd/tape/op.h"

#include <string.h>

enum { PIECE = AG__LIMIT(1024, 8) }; /* elements */

typedef union piece {
    unsigned char u8[8 * PIECE];
    int8_t i8[PIECE];
    int16_t i16[PIECE];
    uint16_t u16[PIECE];
    int32_t i32[PIECE];
    uint32_t u32[PIECE];
    int64_t i64[PIECE];
    float f32[PIECE];
    double f64[PIECE];
} piece;

typedef struct kind_entry {
    const char *name;
    int bytes;
    ag_dtype dtype;
} kind_entry;

static const kind_entry kinds[AG__KINDS] = {
    [AG__BOOL] = {"bool", 1, AG_BOOL}, [AG__I8] = {"i8", 1, AG_I64},     [AG__I16] = {"i16", 2, AG_I64},
    [AG__I32] = {"i32", 4, AG_I64},    [AG__I64] = {"i64", 8, AG_I64},   [AG__U8] = {"u8", 1, AG_I64},
    [AG__U16] = {"u16", 2, AG_I64},    [AG__U32] = {"u32", 4, AG_I64},   [AG__U64] = {"u64", 8, AG_I64},
    [AG__F16] = {"f16", 2, AG_F32},    [AG__BF16] = {"bf16", 2, AG_F32}, [AG__F32] = {"f32", 4, AG_F32},
    [AG__F64] = {"f64", 8, AG_F64},
};

int ag__kind_bytes(ag__kind kind) { return kinds[kind].bytes; }
ag_dtype ag__kind_dtype(ag__kind kind) { return kinds[kind].dtype; }
const char *ag__kind_name(ag__kind kind) { return kinds[kind].name; }

ag__kind ag__kind_of(ag_dtype dtype) {
    return dtype == AG_BOOL ? AG__BOOL : dtype == AG_I64 ? AG__I64 : dtype == AG_F32 ? AG__F32 : AG__F64;
}

/* ---- The order of bytes ---- */

static bool machine_is_big(void) {
    const uint16_t one = 1;
    unsigned char first;
    memcpy(&first, &one, 1);
    return first == 0;
}

static void reverse(void *p, int bytes, int64_t count) {
    unsigned char *b = p;
    for (int64_t i = 0; bytes > 1 && i < count; i++, b += bytes)
        for (int k = 0; k < bytes / 2; k++) {
            unsigned char c = b[k];
            b[k] = b[bytes - 1 - k];
            b[bytes - 1 - k] = c;
        }
}

bool ag__element_native(ag__element element, ag_dtype dtype) {
    return element.kind != AG__BOOL && element.kind == ag__kind_of(dtype) && element.big == machine_is_big();
}

void ag__little_endian(ag_dtype dtype, void *p, int64_t count) {
    if (machine_is_big()) reverse(p, (int)ag_dtype_size(dtype), count);
}

/* ---- Decoding: from the machine's order of bytes ---- */

static uint32_t f16_bits(uint32_t h) {
    uint32_t sign = (h & 0x8000) << 16, exponent = h >> 10 & 31, fraction = h & 0x3FF;
    if (exponent == 31) return sign | 0x7F800000 | fraction << 13;
    if (exponent != 0) return sign | (exponent + 112) << 23 | fraction << 13;
    if (fraction == 0) return sign;
    for (exponent = 113; !(fraction & 0x400); exponent--) fraction <<= 1; /* a subnormal number */
    return sign | exponent << 23 | (fraction & 0x3FF) << 13;
}

static void decode_halves(ag__kind kind, const piece *from, int64_t n, float *to) {
    const uint16_t *h = from->u16;
    for (int64_t i = 0; i < n; i++) {
        uint32_t bits = kind == AG__F16 ? f16_bits(h[i]) : (uint32_t)h[i] << 16;
        memcpy(&to[i], &bits, sizeof bits);
    }
}

static void decode_integers(ag__kind kind, const piece *from, int64_t n, int64_t *to) {
    switch (kind) {
    case AG__I8:
        for (int64_t i = 0; i < n; i++) to[i] = from->i8[i];
        break;
    case AG__I16:
        for (int64_t i = 0; i < n; i++) to[i] = from->i16[i];
        break;
    case AG__I32:
        for (int64_t i = 0; i < n; i++) to[i] = from->i32[i];
        break;
    case AG__U8:
        for (int64_t i = 0; i < n; i++) to[i] = from->u8[i];
        break;
    case AG__U16:
        for (int64_t i = 0; i < n; i++) to[i] = from->u16[i];
        break;
    case AG__U32:
        for (int64_t i = 0; i < n; i++) to[i] = from->u32[i];
        break;
    default: memcpy(to, from, (size_t)n * sizeof *to); /* i64, and u64 that fits */
    }
}

static void decode_bools(const piece *from, int64_t n, unsigned char *to) {
    for (int64_t i = 0; i < n; i++) to[i] = from->u8[i] != 0;
}

static void decode(ag__kind kind, const piece *from, int64_t n, void *to) {
    if (kind == AG__BOOL) decode_bools(from, n, to);
    else if (kind == AG__F16 || kind == AG__BF16) decode_halves(kind, from, n, to);
    else if (kind == AG__F32 || kind == AG__F64) memcpy(to, from, (size_t)n * (size_t)kinds[kind].bytes);
    else decode_integers(kind, from, n, to);
}

/* Whether all values of u64 fit i64. */
static bool fits(const ag__stream *s, ag__kind kind, const int64_t *decoded, int64_t n) {
    for (int64_t i = 0; kind == AG__U64 && i < n; i++)
        if (decoded[i] < 0)
            return ag__input_wrong(s->in, "an element is %llu, which does not fit i64", (unsigned long long)decoded[i]);
    return true;
}

bool ag__element_decode(ag__kind kind, const void *from, void *to) {
    piece one;
    memcpy(&one, from, (size_t)kinds[kind].bytes);
    decode(kind, &one, 1, to);
    return kind != AG__U64 || *(const int64_t *)to >= 0;
}

/* ---- Converting, as ag_cast does ---- */

/* Directly from i64 to f32: by way of f64 it would be rounded twice. */
static void convert(ag_dtype had, const piece *from, ag_dtype wanted, void *to, int64_t n) {
    if (had == AG_I64 && wanted == AG_F32)
        for (int64_t i = 0; i < n; i++) ((float *)to)[i] = (float)from->i64[i];
    else if (had == AG_I64)
        for (int64_t i = 0; i < n; i++) ag__put_element(wanted, to, i, (double)from->i64[i]);
    else if (had == AG_BOOL)
        for (int64_t i = 0; i < n; i++) ag__put_element(wanted, to, i, from->u8[i]);
    else if (had == AG_F32)
        for (int64_t i = 0; i < n; i++) ag__put_element(wanted, to, i, (double)from->f32[i]);
    else
        for (int64_t i = 0; i < n; i++) ag__put_element(wanted, to, i, from->f64[i]);
}

/* ---- Reading ---- */

/* The next n elements, at most PIECE, as elements of dtype. */
static bool read_piece(ag__stream *s, ag__element element, int64_t n, ag_dtype dtype, void *to) {
    piece raw, decoded;
    ag_dtype own = kinds[element.kind].dtype;
    if (!ag__stream_read(s, &raw, (size_t)n * (size_t)kinds[element.kind].bytes)) return false;
    if (element.big != machine_is_big()) reverse(&raw, kinds[element.kind].bytes, n);
    decode(element.kind, &raw, n, own == dtype ? to : &decoded);
    if (!fits(s, element.kind, own == dtype ? to : &decoded, n)) return false;
    if (own != dtype) convert(own, &decoded, dtype, to, n);
    return true;
}

bool ag__elements_read(ag__stream *s, ag__element element, int64_t count, ag_dtype dtype, void *to) {
    size_t bytes = ag_dtype_size(dtype);
    if (ag__element_native(element, dtype)) return ag__stream_read(s, to, (size_t)count * bytes);
    for (int64_t i = 0, n; i < count; i += n) {
        n = count - i < PIECE ? count - i : PIECE;
        if (!read_piece(s, element, n, dtype, (char *)to + (size_t)i * bytes)) return false;
    }
    return true;
}

/* Step to the next element of the file; returns its row-major index. */
static int64_t next_place(const ag_shape *shape, const int64_t stride[], int64_t index[], int64_t place) {
    for (int k = 0; k < shape->rank; k++) {
        place += stride[k];
        if (++index[k] < shape->extent[k]) return place;
        place -= index[k] * stride[k];
        index[k] = 0;
    }
    return place;
}

bool ag__elements_read_fortran(ag__stream *s, ag__element element, const ag_shape *shape, ag_dtype dtype, void *to) {
    int64_t stride[AG_MAX_RANK], index[AG_MAX_RANK] = {0}, count = 1, place = 0;
    piece next;
    size_t bytes = ag_dtype_size(dtype);
    for (int k = shape->rank - 1; k >= 0; k--) {
        stride[k] = count;
        count *= shape->extent[k];
    }
    for (int64_t i = 0, n; i < count; i += n) {
        n = count - i < PIECE ? count - i : PIECE;
        if (!read_piece(s, element, n, dtype, &next)) return false;
        for (int64_t j = 0; j < n; j++) {
            memcpy((char *)to + (size_t)place * bytes, (char *)&next + (size_t)j * bytes, bytes);
            place = next_place(shape, stride, index, place);
        }
    }
    return true;
}
