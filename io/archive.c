/* archive -- the tensors that a file has, whatever its format */
#include "io/archive.h"
#include "autograd/tape/op.h"
#include "io/formats.h"

#include <stdlib.h>
#include <string.h>

/* ---- Checks across all members ---- */

/* Empty members first: one may be at the beginning of another. */
static int by_place(const void *p, const void *q) {
    const ag__part *a = &(*(const ag__member *const *)p)->part, *b = &(*(const ag__member *const *)q)->part;
    if (a->at != b->at) return a->at < b->at ? -1 : 1;
    return a->bytes < b->bytes ? -1 : a->bytes > b->bytes;
}

static int by_name(const void *p, const void *q) {
    return strcmp((*(const ag__member *const *)p)->name, (*(const ag__member *const *)q)->name);
}

/* Bytes shared by several tensors would unpack to more than the file can account for. */
static bool are_apart(ag__archive *a) {
    qsort(a->order, a->count, sizeof *a->order, by_place);
    for (uint32_t i = 1; i < a->count; i++) {
        const ag__member *m = a->order[i - 1], *next = a->order[i];
        char one[AG__SHOWN], other[AG__SHOWN];
        if (m->part.at + m->part.bytes > next->part.at)
            return ag__input_wrong(&a->in, "%s and %s have bytes in common", ag__shown(one, m->name),
                                   ag__shown(other, next->name));
    }
    return true;
}

static bool names_differ(ag__archive *a) {
    qsort(a->order, a->count, sizeof *a->order, by_name);
    for (uint32_t i = 1; i < a->count; i++) {
        char name[AG__SHOWN];
        if (strcmp(a->order[i - 1]->name, a->order[i]->name) == 0)
            return ag__input_wrong(&a->in, "there are two tensors of the name %s", ag__shown(name, a->order[i]->name));
    }
    return true;
}

static bool put_in_order(ag__archive *a) {
    a->order = ag__input_memory(&a->in, a->count * sizeof *a->order);
    if (!a->order) return false;
    for (uint32_t i = 0; i < a->count; i++) a->order[i] = &a->member[i];
    return are_apart(a) && names_differ(a);
}

const ag__member *ag__archive_find(const ag__archive *a, const char *name) {
    uint32_t low = 0, high = a->count;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        int order = strcmp(name, a->order[middle]->name);
        if (order == 0) return a->order[middle];
        if (order < 0) high = middle;
        else low = middle + 1;
    }
    return NULL;
}

/* ---- Formats ---- */

enum { OPENING = 9 };

/* A safetensors file begins with the length of a header that begins with a brace. */
static bool is_safetensors(const ag__archive *a, const unsigned char opening[OPENING]) {
    return a->in.size >= OPENING && opening[8] == '{' && ag__little(opening, 8) <= a->in.size - 8;
}

static bool is_npy(const unsigned char *opening) { return memcmp(opening, "\x93NUMPY", 6) == 0; }
static bool is_idx(const unsigned char *opening) { return opening[0] == 0 && opening[1] == 0 && opening[2] != 0; }

static bool unknown_format(ag__archive *a) {
    return ag__input_wrong(&a->in, "it begins as none of .npy, .npz, safetensors and IDX files does");
}

static bool list_gzipped(ag__archive *a) {
    unsigned char opening[6] = {0};
    ag__stream s;
    bool good = ag__stream_open(&s, &a->in, &(ag__part){.packing = AG__GZIPPED, .bytes = a->in.size}) &&
                ag__stream_read(&s, opening, sizeof opening);
    ag__stream_close(&s);
    if (!good) return false;
    return is_npy(opening)   ? ag__npy_list(a, AG__GZIPPED)
           : is_idx(opening) ? ag__idx_list(a, AG__GZIPPED)
                             : unknown_format(a);
}

static bool list_members(ag__archive *a) {
    unsigned char opening[OPENING] = {0};
    size_t n = a->in.size < OPENING ? (size_t)a->in.size : OPENING;
    if (!ag__input_read(&a->in, 0, opening, n)) return false;
    if (is_npy(opening)) return ag__npy_list(a, AG__STORED);
    if (memcmp(opening, "PK", 2) == 0) return ag__zip_list(a);
    if (memcmp(opening, "\x1f\x8b", 2) == 0) return list_gzipped(a);
    if (is_safetensors(a, opening)) return ag__safetensors_list(a);
    if (is_idx(opening)) return ag__idx_list(a, AG__STORED);
    return unknown_format(a);
}

bool ag__archive_open(ag__archive *a, ag_tape *tape, const char *call, const char *path) {
    *a = (ag__archive){.count = 0};
    bool good = ag__input_open(&a->in, tape, call, path) && list_members(a);
    a->in.tensor = NULL;
    return good && put_in_order(a);
}

void ag__archive_close(ag__archive *a) {
    ag_tape *tape = a->in.tape;
    ag__input_close(&a->in);
    if (a->text) ag__resize(tape, a->text, a->text_bytes, 0);
    if (a->order) ag__resize(tape, a->order, a->count ? a->count * sizeof *a->order : 1, 0);
    if (a->member) ag__resize(tape, a->member, a->room * sizeof *a->member, 0);
}

/* ---- Elements ---- */

ag__buffer *ag__archive_buffer(const ag__archive *a, const ag__member *m, ag_dtype dtype) {
    uint64_t bytes = (uint64_t)m->size * ag_dtype_size(dtype);
    ag__buffer *b = bytes <= PTRDIFF_MAX ? ag__buffer_new(a->in.tape, (size_t)bytes) : NULL;
    if (!b)
        ag__fail_on(a->in.tape, a->in.call, AG_ERR_MEMORY, "%.300s: out of memory (%llu bytes)", a->in.path,
                    (unsigned long long)bytes);
    return b;
}

bool ag__member_read(ag__archive *a, const ag__member *m, ag_dtype dtype, void *to) {
    ag__stream s;
    a->in.tensor = *m->name ? m->name : NULL;
    bool good = ag__stream_open(&s, &a->in, &m->part) && ag__stream_skip(&s, m->skip);
    if (good && m->fortran) good = ag__elements_read_fortran(&s, m->element, &m->shape, dtype, to);
    else if (good) good = ag__elements_read(&s, m->element, m->size, dtype, to);
    good = good && ag__stream_end(&s);
    ag__stream_close(&s);
    a->in.tensor = NULL;
    return good;
}

/* Pages of the file, unless its elements are written in another way, or a bool might be neither 0 nor 1. */
static ag_tensor *mapped(const ag__archive *a, const ag__member *m, ag_dtype dtype) {
    ag__owner owner;
    uint64_t at = m->part.at + m->skip, bytes = (uint64_t)m->size * ag_dtype_size(dtype);
    bool plain = m->part.packing == AG__STORED && (!m->fortran || m->shape.rank < 2);
    if (!plain || !ag__element_native(m->element, dtype) || at % ag_dtype_size(dtype) != 0) return NULL;
    const void *data = ag__input_map(&a->in, at, bytes, &owner);
    if (!data) return NULL;
    ag_tensor *x = ag__adopt(a->in.call, a->in.tape, dtype, &m->shape, NULL, data, owner);
    if (ag_is_nil(x)) owner.release(owner.context);
    return x;
}

/* Read directly into the tensor's memory. */
static ag_tensor *read_constant(ag__archive *a, const ag__member *m, ag_dtype dtype) {
    ag_tape *tape = a->in.tape;
    ag__buffer *b = ag__archive_buffer(a, m, dtype);
    if (!b) return ag__nil_of(tape);
    if (ag__member_read(a, m, dtype, b->data)) return ag__constant_with(tape, dtype, &m->shape, b);
    ag__buffer_drop(tape, b);
    return ag__nil_of(tape);
}

ag_tensor *ag__member_constant(ag__archive *a, const ag__member *m, ag_dtype dtype, bool map) {
    ag_tape *tape = a->in.tape;
    ag_tensor *x = map ? mapped(a, m, dtype) : NULL;
    if (!x) x = read_constant(a, m, dtype);
    if (*m->name && !ag_is_nil(x)) x = ag__label_whole(x, m->name);
    return ag_tape_status(tape) == AG_OK ? x : ag__nil_of(tape);
}
