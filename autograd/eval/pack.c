/* pack -- walking strided arrays, and putting their elements next to each other
 *
 * Elements are copied row by row, a row being a line along the walk's last axis. Rows may be very short (five
 * elements of an image, say), and there may be very many. */
#include "autograd/eval/pack.h"
#include "autograd/eval/rows.h"

#include <string.h>

void ag__walk_set(ag__walk *w, int rank, const int64_t *extent, const int64_t *stride) {
    w->rank = 0;
    for (int i = 0; i < rank; i++) ag__walk_add(w, extent[i], stride[i]);
}

ag__walk ag__walk_over(int rank, const int64_t *extent, const int64_t *stride) {
    ag__walk w;
    ag__walk_set(&w, rank, extent, stride);
    return w;
}

int64_t ag__turned_columns(const ag__layout *l) {
    if (l->size < AG__LEAST_COPIED) return 0;
    const ag__walk w = ag__walk_over(l->rank, l->extent, ag__strides(l));
    const int last = w.rank - 1;
    if (last < 1 || w.stride[last - 1] != 1 || w.stride[last] == 0 || w.extent[last - 1] < AG__ROWS_TURNED) return 0;
    return w.extent[last] > AG__STRIP / AG__ROWS_TURNED ? w.extent[last] : 0;
}

/* Runs of `width` bytes; short ones in two pieces, which may overlap, without the call and the decisions of memcpy. */
void ag__copy_rows(char *y, int64_t y_across, const char *x, int64_t x_across, int64_t rows, int64_t width) {
    if (width > 32 && width <= 64)
        for (; rows > 0; rows--, y += y_across, x += x_across) {
            memcpy(y, x, 32);
            memcpy(y + width - 32, x + width - 32, 32);
        }
    else if (width >= 16 && width <= 32)
        for (; rows > 0; rows--, y += y_across, x += x_across) {
            memcpy(y, x, 16);
            memcpy(y + width - 16, x + width - 16, 16);
        }
    else if (width >= 8 && width < 16)
        for (; rows > 0; rows--, y += y_across, x += x_across) {
            memcpy(y, x, 8);
            memcpy(y + width - 8, x + width - 8, 8);
        }
    else
        for (; rows > 0; rows--, y += y_across, x += x_across) memcpy(y, x, (size_t)width);
}

/* Blocks of rows of 8 to 32 bytes, `apart` from each other: a loop of its own, because blocks may have two rows. */
static void copy_blocks(char *y, const char *x, int64_t blocks, int64_t apart, int64_t rows, int64_t across,
                        int64_t width) {
    for (int64_t b = 0; b < blocks; b++, x += apart) {
        const char *from = x;
        if (width >= 16)
            for (int64_t i = 0; i < rows; i++, y += width, from += across) {
                memcpy(y, from, 16);
                memcpy(y + width - 16, from + width - 16, 16);
            }
        else
            for (int64_t i = 0; i < rows; i++, y += width, from += across) {
                memcpy(y, from, 8);
                memcpy(y + width - 8, from + width - 8, 8);
            }
    }
}

/* y[i·n + j] = x[i·across + j·stride] */
#define PACK_ROWS(name, type)                                                                                          \
    static void name(void *y_, const void *x_, int64_t rows, int64_t n, int64_t across, int64_t stride) {              \
        type *y = y_;                                                                                                  \
        const type *x = x_;                                                                                            \
        for (int64_t i = 0; i < rows; i++, y += n, x += across) {                                                      \
            const type first = *x;                                                                                     \
            if (stride == 0)                                                                                           \
                for (int64_t j = 0; j < n; j++) y[j] = first;                                                          \
            else                                                                                                       \
                for (int64_t j = 0; j < n; j++) y[j] = x[j * stride];                                                  \
        }                                                                                                              \
    }
PACK_ROWS(pack_rows_1, uint8_t)
PACK_ROWS(pack_rows_4, ag__word_4)
PACK_ROWS(pack_rows_8, ag__word_8)

static void pack_apart(char *y, const char *x, int64_t rows, int64_t n, int64_t across, int64_t stride, size_t bytes) {
    (bytes == 4 ? pack_rows_4 : bytes == 8 ? pack_rows_8 : pack_rows_1)(y, x, rows, n, across, stride);
}

/* Whether lines so many bytes apart have few places in a cache. */
static bool collides(int64_t apart) { return apart >= AG__LIMIT(2048, 128) && apart % AG__LIMIT(512, 1) == 0; }

/* The same where neighbouring rows are neighbours in x, as in a transpose. It goes by blocks of a few lines of x, which
 * are then read once and fill a line each of some neighbouring rows of y, for the sake of the page table. Blocks at the
 * ends have elements that others have too, so that tiles of them are whole. Lines that have few places in a cache are
 * put into memory of their own first, and fill four lines one after the other. */
static void pack_turned(char *y, const char *x, int64_t rows, int64_t n, int64_t stride, size_t bytes) {
    enum { BLOCK = 64, WIDTH = 4 * AG__LINE, APART = WIDTH + AG__LINE };
    _Alignas(AG__LINE) char block[BLOCK * APART];
    const int64_t size = (int64_t)bytes, line = bytes == 8 ? 8 : 16, beside = n * size;
    const int64_t low = ag__lesser(rows, line / 2), narrow = ag__lesser(n, line / 2);
    const bool turns = low + narrow == line, far = turns && (collides(stride * size) || collides(beside));
    const int64_t across = far ? WIDTH / size : 4 * line, along = far ? BLOCK : turns ? line : 4 * BLOCK;
    const int64_t apart = far ? APART / size : stride;
    for (int64_t i0 = 0; i0 < rows; i0 += across)
        for (int64_t j0 = 0; j0 < n; j0 += along) {
            const int64_t i = ag__lesser(i0, rows - low), height = ag__lesser(rows - i, across);
            const int64_t j = ag__lesser(j0, n - narrow), width = ag__lesser(n - j, along);
            const char *from = x + (i + j * stride) * size;
            char *to = y + i * beside + j * size;
            if (far) ag__copy_rows(block, APART, from, stride * size, width, height * size), from = block;
            if (ag__turn_block(to, n, height, from, apart, width, bytes)) continue;
            const int64_t some = width == n ? height : 1;
            for (int64_t k = 0; k < height; k += some, to += beside, from += size)
                pack_apart(to, from, some, width, 1, apart, bytes);
        }
}

static void pack_rows(char *y, const char *x, int64_t rows, int64_t n, int64_t across, int64_t stride, size_t bytes) {
    int64_t width = n * (int64_t)bytes;
    if (stride == 0 && across == 1) ag__spread(y, x, rows, n, bytes);
    else if (stride == 1) ag__copy_rows(y, width, x, across * (int64_t)bytes, rows, width);
    else if (rows > 1 && ag__interleave(y, x, rows, n, across, stride, bytes)) return;
    else if (across == 1) pack_turned(y, x, rows, n, stride, bytes);
    else pack_apart(y, x, rows, n, across, stride, bytes);
}

typedef struct cursor { /* an element: its index along each axis, and its offset */
    int64_t at[AG_MAX_RANK], offset;
} cursor;

/* In place: a copy would wait for the stores of its parts. */
static inline void cursor_set(cursor *p, const ag__walk *w, int64_t number) {
    p->offset = 0;
    for (int i = w->rank - 1; i >= 0; number /= w->extent[i--]) {
        p->at[i] = i > 0 ? number % w->extent[i] : number;
        p->offset += p->at[i] * w->stride[i];
    }
}

/* `count` further on along axis i, at most to its end. */
static inline void advance(cursor *p, const ag__walk *w, int i, int64_t count) {
    p->offset += count * w->stride[i];
    p->at[i] += count;
    for (; i > 0 && p->at[i] == w->extent[i]; i--) {
        p->offset += w->stride[i - 1] - w->extent[i] * w->stride[i];
        p->at[i] = 0;
        p->at[i - 1]++;
    }
}

void ag__pack_walk(char *y, const char *x, const ag__walk *w, int64_t start, int64_t count, size_t bytes) {
    const int last = w->rank - 1;
    if (count == 0) return; /* some extent may be 0 */
    const int64_t n = last < 0 ? 1 : w->extent[last], stride = last < 0 ? 1 : w->stride[last];
    cursor p;
    cursor_set(&p, w, start);
    if (last < 1) { /* there is but one row, or one element */
        pack_rows(y, x + p.offset * (int64_t)bytes, 1, count, 0, stride, bytes);
        return;
    }
    if (p.at[last] > 0) {
        int64_t rest = ag__lesser(n - p.at[last], count);
        pack_rows(y, x + p.offset * (int64_t)bytes, 1, rest, 0, stride, bytes);
        y += rest * (int64_t)bytes;
        count -= rest;
        p.offset -= p.at[last] * stride;
        advance(&p, w, last - 1, 1);
    }
    const int64_t across = w->stride[last - 1], tall = w->extent[last - 1], width = n * (int64_t)bytes;
    const bool short_rows = stride == 1 && last > 1 && width >= 8 && width <= 32;
    for (int64_t rows = count / n, some; rows > 0; rows -= some, y += some * width) {
        const char *from = x + p.offset * (int64_t)bytes;
        if (short_rows && p.at[last - 1] == 0 && rows >= tall) {
            const int64_t blocks = ag__lesser(rows / tall, w->extent[last - 2] - p.at[last - 2]);
            some = blocks * tall;
            copy_blocks(y, from, blocks, w->stride[last - 2] * (int64_t)bytes, tall, across * (int64_t)bytes, width);
            advance(&p, w, last - 2, blocks);
        } else {
            some = ag__lesser(tall - p.at[last - 1], rows);
            pack_rows(y, from, some, n, across, stride, bytes);
            advance(&p, w, last - 1, some);
        }
    }
    if (count % n > 0) pack_rows(y, x + p.offset * (int64_t)bytes, 1, count % n, 0, stride, bytes);
}

void ag__pack(void *to, const ag_array *from, int64_t start, int64_t count) {
    ag__walk w = ag__walk_over(from->rank, from->shape, from->stride);
    ag__pack_walk(to, from->data, &w, start, count, ag_dtype_size(from->dtype));
}
