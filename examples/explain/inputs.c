/* inputs -- NAME=[2,3], random values of a shape, and NAME:[[1,2],[3,4]], values
 *
 * Random values depend on the seed and the number of the input alone, so that another expression gets the same ones. */
#include "examples/explain/explain.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* ---- Literal values */

typedef struct filling {
    program *p;
    ag_shape *shape;
    double *data;
    int64_t size, room;
} filling;

static bool fill(filling *f, int number, int level) {
    const part *x = &f->p->parts[number];
    complaint *c = f->p->complaint;
    if (x->kind == PART_NUMBER) {
        if (level < f->shape->rank) return complain(c, f->p->text, x->at, "a number where the others are lists");
        if (f->size == f->room) return complain(c, f->p->text, x->at, "more than %lld elements", (long long)f->room);
        f->data[f->size++] = x->number;
        return true;
    }
    if (x->kind != PART_LIST) return complain(c, f->p->text, x->at, "a list holds numbers, or lists of numbers");
    if (level >= f->shape->rank) return complain(c, f->p->text, x->at, "a list where the others are numbers");
    if (x->count != f->shape->extent[level])
        return complain(c, f->p->text, x->at, "%d elements in a list where the others have %d", x->count,
                        (int)f->shape->extent[level]);
    for (int child = x->first; child >= 0; child = f->p->parts[child].next)
        if (!fill(f, child, level + 1)) return false;
    return true;
}

/* The first list of each level sets the extent of that axis. */
bool literal(program *p, int number, ag_shape *shape, double *data, int64_t room) {
    *shape = AG_SCALAR;
    const part *x = &p->parts[number];
    for (; x->kind == PART_LIST; x = &p->parts[x->first]) {
        if (x->count == 0) return complain(p->complaint, p->text, x->at, "this list is empty");
        if (shape->rank == AG_MAX_RANK) return complain(p->complaint, p->text, x->at, "more than %d axes", AG_MAX_RANK);
        shape->extent[shape->rank++] = x->count;
    }
    filling f = {p, shape, data, 0, room};
    return fill(&f, number, 0);
}

/* ---- Inputs */

static bool read_shape(input *in, program *p, size_t at, int number) {
    const part *x = &p->parts[number];
    complaint *c = p->complaint;
    if (x->kind != PART_LIST)
        return complain(c, in->text, at, "a shape is wanted after =, as in %s=[2,3]; values are written %s:1.5",
                        in->name, in->name);
    if (x->count > AG_MAX_RANK) return complain(c, in->text, x->at, "more than %d axes", AG_MAX_RANK);
    int64_t size = 1;
    in->shape = AG_SCALAR;
    for (int child = x->first; child >= 0; child = p->parts[child].next) {
        const part *extent = &p->parts[child];
        if (extent->kind == PART_LIST)
            return complain(c, in->text, extent->at,
                            "a shape is a list of extents; values are written %s:[[1,2],[3,4]]", in->name);
        if (extent->kind != PART_NUMBER || extent->number < 1 || extent->number != floor(extent->number))
            return complain(c, in->text, extent->at, "an extent is a whole number from 1 on; values are written %s:[…]",
                            in->name);
        if (extent->number > MAX_INPUT_SIZE || size * (int64_t)extent->number > MAX_INPUT_SIZE)
            return complain(c, in->text, extent->at, "an input has at most %d elements", MAX_INPUT_SIZE);
        size *= (int64_t)extent->number;
        in->shape.extent[in->shape.rank++] = (int64_t)extent->number;
    }
    return true;
}

/* splitmix64 of Steele, Lea and Flood (2014) */
static uint64_t scrambled(uint64_t x) {
    x += 0x9E3779B97F4A7C15u;
    x = (x ^ x >> 30) * 0xBF58476D1CE4E5B9u;
    x = (x ^ x >> 27) * 0x94D049BB133111EBu;
    return x ^ x >> 31;
}

/* Between −2 and 2, with two decimals: short to read, and to calculate with by hand. */
static void draw(input *in, uint64_t seed, int number) {
    int64_t size = 1;
    for (int i = 0; i < in->shape.rank; i++) size *= in->shape.extent[i];
    for (int64_t i = 0; i < size; i++) {
        uint64_t bits = scrambled(scrambled(seed) ^ scrambled((uint64_t)number << 32 | (uint64_t)i));
        int hundredths = (int)(bits >> 33 & 0x7FFFFFFF) % 400 - 200;
        in->data[i] = (hundredths < 0 ? hundredths : hundredths + 1) / 100.0;
    }
}

bool read_input(input *in, const char *text, program *scratch, uint64_t seed, int number) {
    complaint *c = scratch->complaint;
    size_t n = name_length(text), at = n + 1;
    *in = (input){.text = text};
    scratch->text = text;
    if (!n) return complain(c, text, 0, "an input is NAME=[2,3] (a shape) or NAME:[1,2] (values)");
    if (n >= NAME_BYTES) return complain(c, text, 0, "this name is longer than 63 bytes");
    memcpy(in->name, text, n);
    if (strcmp(in->name, "True") == 0 || strcmp(in->name, "False") == 0)
        return complain(c, text, 0, "%s cannot be the name of an input", in->name);
    if (text[n] != '=' && text[n] != ':')
        return complain(c, text, n, "= and a shape, or : and values, are wanted after the name");
    int whole = parse_expression(scratch, text, at);
    in->data = whole < 0 ? NULL : calloc(MAX_INPUT_SIZE, sizeof *in->data);
    if (!in->data) return complain(c, text, at, "out of memory");
    in->random = text[n] == '=';
    if (!in->random) return literal(scratch, whole, &in->shape, in->data, MAX_INPUT_SIZE);
    if (!read_shape(in, scratch, at, whole)) return false;
    draw(in, seed, number);
    return true;
}
