/* random_bound -- the allowed difference between the two evaluators' results
 *
 * Results have the same bits, unless they depend on a computation of a loose class, where the fused evaluator may round
 * in another order. For these there is a bound.
 *
 * Derivation. Adding K products (or numbers) in any order, with or without fused multiply-adds, gives an error of at
 * most K·ε·Σ|terms| (Higham, Accuracy and Stability of Numerical Algorithms, 2nd ed., 3.1 and 4.2: γ_K with unit
 * roundoff u = ε/2, so that ε leaves room for both evaluators' errors). So the results of both orders are the exact
 * one plus a disturbance of that size. Its effect on dependent results is measured: the recorded graph is computed
 * again DRAWS times, node by node, with a disturbance of full size and random sign added to every result of a loose
 * class. The bound of a tensor is SAFETY times the largest change of any of its elements. Full size is √K times the
 * usual rounding error, so rounding seldom reaches the bound; a wrong term, factor or index is far outside unless
 * the program itself is that ill-conditioned. */
#ifndef TESTS_RANDOM_BOUND_H
#define TESTS_RANDOM_BOUND_H

#include "autograd/autograd.h"

/* Classes of operations. */
typedef enum looseness {
    LOOSE_PRODUCT_SUMS = 1, /* an add whose input is a product: it may be accumulated onto the other input */
    LOOSE_WHOLE_SUMS = 2,   /* reductions of more than a strip's elements to one: another tree */
    LOOSE_PRODUCTS = 4,     /* matrix products themselves */
    LOOSE_SUMS = 8,         /* all sums, means and other reductions */
    LOOSE_FUNCTIONS = 16,   /* exp, tanh, …: another approximation, within 2 ULP each */
    LOOSE_ARITHMETIC = 32   /* every other real elementwise operation: contraction, reassociation */
} looseness;

/* The classes whose results may differ; by default LOOSE_PRODUCT_SUMS and LOOSE_WHOLE_SUMS. */
extern unsigned loose_classes;

/* Adds the classes named in a list such as "products,sums" ("none" and "all" too); false for an unknown class. */
bool loosen(const char *names);

/* A variable's assignment: the recorded value, and the number of nodes then. */
typedef struct assigned {
    const ag_tensor *variable;
    ag_tensor *value;
    uint32_t at;
} assigned;

/* The graph that the results of one run depend on: a tape that has not been rewound. */
typedef struct graph {
    ag_tape *tape;
    int assignments;
    assigned assignment[512];
} graph;

/* Whether each of the n results depends on a loose class. */
void find_loose(const graph *g, int n, ag_tensor *const y[], bool loose[]);

/* The bound of each result's difference from its value in the graph, which the reference computed; infinite where
 * the disturbed programs are not finite. False if computing the graph again gives other values. */
bool find_bounds(const graph *g, int n, ag_tensor *const y[], double bound[]);

#endif
