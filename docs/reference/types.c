/* autograd/types.h: shapes, axes and dtypes are values */
#include <autograd/autograd.h>
#include <stdio.h>

int main(void) {
    ag_tape *tape = ag_tape_new();
    ag_shape shape = AG_SHAPE(2, 3, 4);
    ag_tensor *x = ag_ones(tape, AG_F32, shape);
    ag_tensor *y = ag_sum_over(x, AG_AXES(0, -1), false);
    ag_shape is = ag_shape_of(y);
    printf("rank %d, extent %d, each %g\n", is.rank, (int)is.extent[0], ag_element(y, 0));
    printf("%s, %d bytes each\n", ag_dtype_name(ag_dtype_of(y)), (int)ag_dtype_size(ag_dtype_of(y)));
    ag_tape_free(tape);
}
/* It prints:
 * rank 1, extent 3, each 8
 * f32, 4 bytes each
 */
