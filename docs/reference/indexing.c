/* ops/indexing.h: x[…] as in NumPy */
#include <autograd/autograd.h>
#include <stdio.h>

static void show(const char *name, ag_tensor *x) {
    printf("%s:", name);
    for (int64_t i = 0; i < ag_size(x); i++) printf(" %.4g", ag_element(x, i));
    printf("\n");
}

int main(void) {
    ag_tape *tape = ag_tape_new();
    int64_t rows[] = {2, 0, -1};
    ag_tensor *x = ag_reshape(ag_arange(tape, AG_F64, 12), AG_SHAPE(3, 4)), *zero = ag_scalar(tape, AG_F64, 0);
    ag_tensor *index = ag_from(tape, AG_I64, AG_SHAPE(3), rows), *large = ag_greater(x, ag_full_like(x, 8));
    show("x[1, ::-1]", ag_at(x, "1, ::-1"));
    show("the same", ag_index(x, AG_ITEMS(AG_AT(1), AG_RANGE(AG_END, AG_END, -1))));
    show("x[index, 1:3]", ag_at_with(x, "%, 1:3", 1, &index));
    show("x[large]", ag_masked_select(x, large));
    show("0 there", ag_put_at(x, "%", 1, &large, zero, AG_PUT_SET));
    show("columns 3 and 0", ag_index_select(x, ag_from(tape, AG_I64, AG_SHAPE(2), (int64_t[]){-1, 0}), 1));
    show("each row's largest", ag_take_along_axis(x, ag_argmax(x, 1, true), 1));
    show("0 below the diagonal", ag_triu(x, 0));
    ag_tape_free(tape);
}
/* It prints:
 * x[1, ::-1]: 7 6 5 4
 * the same: 7 6 5 4
 * x[index, 1:3]: 9 10 1 2 9 10
 * x[large]: 9 10 11
 * 0 there: 0 1 2 3 4 5 6 7 8 0 0 0
 * columns 3 and 0: 3 0 7 4 11 8
 * each row's largest: 3 7 11
 * 0 below the diagonal: 0 1 2 3 0 5 6 7 0 0 10 11
 */
