/* ops/elementwise.h, Products of a cotangent with a slope, for vjps: a cotangent of 0 stays 0 */
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
    double g[] = {0, 2}, x[] = {0, 4};
    ag_tensor *zero = ag_from(tape, AG_F64, AG_SHAPE(2), g),
              *slope = ag_rdiv_scalar(1, ag_from(tape, AG_F64, AG_SHAPE(2), x));
    show("slope", slope);
    printf("product: %s\n", isnan(ag_element(ag_mul(zero, slope), 0)) ? "NaN first" : "");
    show("strong product", ag_strong_mul(zero, slope));
    ag_tape_free(tape);
}
/* It prints:
 * slope: inf 0.25
 * product: NaN first
 * strong product: 0 0.5
 */
