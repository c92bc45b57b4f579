/* replay -- elementwise operations from their traces, step by step, where there is neither a kernel nor machine code
 *
 * An entry may have a trace and no kernel. As it is first recorded, of the library's entries by any tape, its trace
 * becomes a replay: a list of steps on short vectors in scratch memory. Running one is the interpreter of traces: each
 * step is a loop over a strip of elements. The bits are those of kernels and of machine code, except NaN payloads. */
#ifndef AG_REPLAY_H
#define AG_REPLAY_H

#include "autograd/tape/op.h"
#include "autograd/tape/tape.h"

typedef struct ag__replay ag__replay;

/* The number of inputs, their dtypes and that of the result, as one number. */
static inline uint64_t ag__dtypes(int n, ag_tensor *const x[], ag_dtype to) {
    uint64_t dtypes = (uint64_t)n << 2 | (uint64_t)to;
    for (int i = n - 1; i >= 0; i--) dtypes = dtypes << 2 | x[i]->dtype;
    return dtypes;
}

/* The replay of op for these dtypes; NULL: not made yet. */
const ag__replay *ag__replay_of(const ag_tape *tape, const ag_op *op, uint64_t dtypes);

/* The same, made if need be; it stays as long as the tape, or longer. NULL, and *why a status without an error: the
 * trace is invalid, or there is no memory. */
const ag__replay *ag__replay_make(ag_tape *tape, const ag_op *op, int n, uint64_t dtypes, ag_status *why);

/* y[i] for i < n, contiguous, as a kernel computes it. Several threads may run one. */
void ag__replay_run(const ag__replay *p, int64_t n, void *y, const void *const x[], const void *attributes);

/* At the beginning of a tape, and at its end. */
void ag__replays_begin(ag_tape *tape);
void ag__replays_free(ag_tape *tape);

/* The kernel of op by the dtype of the last input; NULL: there is none for this processor, but there is a trace. */
static inline ag_block *ag__kernel(const ag_tape *tape, const ag_op *op, int dtype) {
    ag_block *block = op->block[dtype];
    return tape->avx2 || !ag__needs_avx2(block) ? block : NULL;
}

/* The elements of t from those of its inputs, contiguous, by its kernel or its replay, which has been made as t was
 * recorded. */
static inline void ag__map(const ag_tensor *t, int64_t n, void *y, const void *const x[]) {
    ag_block *block = ag__kernel(t->tape, t->op, t->input[t->arity - 1]->dtype);
    const void *attributes = ag__attributes(t);
    if (block) block(n, y, x, attributes);
    else
        ag__replay_run(ag__replay_of(t->tape, t->op, ag__dtypes(t->arity, t->input, (ag_dtype)t->dtype)), n, y, x,
                       attributes);
}

#endif
