/* show -- the engine's results, beside those derived by hand */
#ifndef EXAMPLES_SHOW_H
#define EXAMPLES_SHOW_H

#include <autograd/autograd.h>

/* Begin a part of the output. */
void show_part(const char *title);

/* Print x and the numbers that were found by hand, in the shape of x (a vector as a row), and whether they agree: to
 * 1e-10 relative to the largest of all, or all zero but for rounding errors. */
bool show(const char *name, ag_tensor *x, const double *by_hand);

/* Print a sentence, and whether it holds. */
bool show_fact(bool holds, const char *sentence);

/* EXIT_SUCCESS if everything that was shown agreed and held, and the tape is not in error, which is then printed. */
int show_result(const ag_tape *tape);

#endif
