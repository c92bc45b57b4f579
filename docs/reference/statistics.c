/* ops/statistics.h: of five numbers, one of which is NaN */
#include <autograd/autograd.h>
#include <math.h>
#include <stdio.h>

static void show(const char *name, ag_tensor *x) {
    printf("%s:", name);
    for (int64_t i = 0; i < ag_size(x); i++) printf(" %.4g", ag_element(x, i));
    printf("\n");
}

int main(void) {
    ag_tape *tape = ag_tape_new();
    ag_tensor *x = ag_from(tape, AG_F64, AG_SHAPE(5), (double[]){3, 1, NAN, 4, 2});
    ag_tensor *known = ag_equal(x, x), *four = ag_masked_select(x, known);
    show("mean of those known", ag_mean_where(x, known, AG_ALL_AXES, false));
    show("largest but NaN", ag_nanmax(x, AG_ALL_AXES, false));
    show("deviation", ag_std(four, 0));
    show("median", ag_median(four));
    show("quantile", ag_quantile(four, 0.25));
    show("norm", ag_norm(four, 2));
    show("with NaN", ag_median(x));
    ag_tape_free(tape);
}
/* It prints:
 * mean of those known: 2.5
 * largest but NaN: 4
 * deviation: 1.118
 * median: 2.5
 * quantile: 1.75
 * norm: 5.477
 * with NaN: nan
 */
