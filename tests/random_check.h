/* random_check -- the properties of a program: both evaluators give the same values and gradients, twice, on any number of
 * threads, and whatever allocation fails
 *
 * A program's results are the values read on the way, its outputs, their gradients by every real leaf, the gradients of a
 * weighted sum of those, and the final values of its variables. */
#ifndef TESTS_RANDOM_CHECK_H
#define TESTS_RANDOM_CHECK_H

#include "tests/random_program.h"

enum { REPORT = 1200 }; /* bytes of a report */

/* INVALID: the reference evaluator refuses the program. */
typedef enum verdict { AGREES, INVALID, DIFFERS, FAILS, LEAKS, CRASHES } verdict;

/* All the properties; unless the program AGREES, `report` says why. */
verdict check_program(const program *p, char *report);

/* One of the properties, for inputs that are many and of which each is to be quick: of all of them it takes two or a few runs.
 * Details are by the program's seed, such as the instruction set, or which allocation fails. */
typedef enum property {
    BY_PLANS,      /* the values of the reference, within bounds */
    AS_CODE,       /* again after rewinds, until it runs as machine code */
    VARIED,        /* again after a variation of it */
    LOOPED,        /* again until nothing is allocated any more */
    ON_THREADS,    /* on two */
    AUTOMATICALLY, /* by the evaluator that decides by itself */
    EAGERLY,
    STRIDED,        /* leaves of other strides */
    WITHOUT_MEMORY, /* one allocation fails */
    PROPERTIES
} property;
verdict check_property(const program *p, property which, char *report);

/* Runs the program once, fused, and shows every result, in the order of running. Unless it AGREES, `report` says why. */
typedef void see_result(void *context, const char *what, ag_dtype dtype, int64_t size, const void *bytes);
verdict show_results(const program *p, see_result *see, void *context, char *report);

/* The cotangent of output `number`, counted from 0, or, from 100 on, of gradient number − 100. */
line cotangent_line(const program *p, int number);

/* The same results if an allocation fails and the operation is repeated, for many allocations of the program's. */
verdict check_allocations(const program *p, char *report);

typedef struct tally { /* over all programs */
    int64_t programs, variations, with_code, runs, results, within_bound, beyond_measure;
    double closest; /* largest part of a bound that was used */
} tally;
extern tally totals;

extern int64_t seen[1024];  /* how often each entry of the list of operations has been recorded */
extern double planted_flaw; /* user_flaw_shows while the fused evaluator runs: for tests of the tests */

#endif
