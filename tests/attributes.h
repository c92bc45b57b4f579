/* attributes -- one operation of the library applied to invalid attributes, as decisions have it
 *
 * The decisions are random in test_attributes.c, and bytes of a fuzzer in fuzz/operations.c. */
#ifndef TESTS_ATTRIBUTES_H
#define TESTS_ATTRIBUTES_H

#include "autograd/autograd.h"

typedef struct lots {
    uint64_t (*bits)(void *context);
    int (*below)(void *context, int n); /* 0 to n − 1 */
    void *context;
} lots;

/* Applies op on a tape of its own. The call is refused with an error of its name, or recorded, evaluated, differentiated and
 * written out; anything else fails the test. Whether it was recorded. */
bool attributes_apply(const ag_op *op, const lots *from, const ag_allocator *allocator);

#endif
