/* compile -- runs of simple elementwise operations as one loop of machine code
 *
 * An optional accelerator, for processors with one of the instruction sets of encode.h: a strip program whose
 * operations all have a trace becomes one loop whose intermediate values live in registers. The results have the same
 * bits as those of the block kernels, except NaN payloads. If it cannot compile a program it says so, and the kernels
 * run. */
#ifndef AG_COMPILE_H
#define AG_COMPILE_H

#include "autograd/eval/eval.h"

/* A value of a strip program: contiguous elements; or a single one for all (a value that depends only on such may be
 * single too); or AG__LANES of them, with element i at i mod AG__LANES. An output of lanes has the memory of the
 * lanes that it is computed from: that makes a fold, which begins with what is there. If it has a slot for its result,
 * it begins with the identity element of the operation instead, and the lanes are folded in the end, by halves. */
typedef struct ag__code_slot {
    uint8_t dtype;
    bool one;
    bool out; /* needed afterwards, so stored if a step of this program writes it; else it may live in registers only */
    bool lanes;
    bool past;       /* stored past the caches, if it is no bool: its memory begins where a cache line does */
    uint16_t result; /* of an output of lanes: 1 + the slot of one element that gets their fold; 0: none */
} ag__code_slot;

/* One elementwise operation. Slots are written once, and inputs before they are read. */
typedef struct ag__code_step {
    const ag_op *op;
    uint8_t dtype; /* of the last input: chooses block and trace */
    uint8_t n;
    uint16_t x[AG__MOST_INPUTS], y;
    uint16_t attributes; /* index into the run-time table of attributes */
} ag__code_step;

/* slot[i] is the memory of slot i, NULL for one that lives in registers only. Two slots may share memory if one is
 * an input whose last use is at or before the step that writes the other. Memory beyond n elements is not accessed. */
typedef void ag__code(int64_t n, void *const slot[], const void *const attributes[]);

/* Whether this step can be part of a compiled program. */
bool ag__compilable(const ag_tape *tape, const ag__code_step *step, const ag__code_slot *slots);

/* The program's code, which stays until each call is matched by a release; NULL: fewer operations may have some, and
 * the kernels can do all. */
ag__code *ag__compile(ag_tape *tape, int steps, const ag__code_step *step, int slots, const ag__code_slot *slot);

/* The same if it is there already; else NULL. */
ag__code *ag__compiled(ag_tape *tape, int steps, const ag__code_step *step, int slots, const ag__code_slot *slot);

void ag__code_release(ag_tape *tape, ag__code *code);

/* Frees all code, released or not. */
void ag__code_free(ag_tape *tape);

/* The source of executable memory; tests put failing functions here. */
typedef struct ag__pages {
    void *(*map)(size_t bytes);               /* writable; NULL on failure */
    bool (*seal)(void *pages, size_t bytes);  /* from now on executable, and not writable */
    void (*unmap)(void *pages, size_t bytes); /* sealed or not */
} ag__pages;
extern ag__pages ag__code_pages;

/* The instruction set that `wish` names, if this processor has it; NULL, and so no machine code, if it names "none".
 * Otherwise the best one that there is, NULL if there is none. Its description is encode.h's. */
const struct ag__isa *ag__isa_of(const char *wish);

#endif
