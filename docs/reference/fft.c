/* ops/fft.h: complex numbers, and a wave that a build with FFTW transforms */
#include <autograd/autograd.h>
#include <stdio.h>

static void show(const char *name, ag_tensor *x) {
    printf("%s:", name);
    for (int64_t i = 0; i < ag_size(x); i++) printf(" %.4g", ag_element(x, i));
    printf("\n");
}

int main(void) {
    ag_tape *tape = ag_tape_new();
    ag_tensor *re = ag_from(tape, AG_F64, AG_SHAPE(2), (double[]){3, 0}),
              *im = ag_from(tape, AG_F64, AG_SHAPE(2), (double[]){4, 1});
    ag_tensor *z = ag_complex(re, im);
    show("squares of 3+4i and i", ag_complex_mul(z, z));
    show("conjugates", ag_complex_conj(z));
    show("sizes", ag_complex_abs(z));
    ag_tensor *wave = ag_from(tape, AG_F64, AG_SHAPE(4), (double[]){1, 0, -1, 0}), *y = ag_rfft(wave, 0);
    bool as_expected = ag_tape_status(tape) == AG_ERR_LIBRARY || ag_element(y, 2) == 2;
    printf("its spectrum %s\n", as_expected ? "has one line" : ag_tape_error(tape));
    ag_tape_free(tape);
}
/* It prints:
 * squares of 3+4i and i: -7 24 -1 0
 * conjugates: 3 -4 0 -1
 * sizes: 5 1
 * its spectrum has one line
 */
