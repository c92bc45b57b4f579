/* ops/sort.h: an order, its first elements, places in it */
#include <autograd/autograd.h>
#include <stdio.h>

static void show(const char *name, ag_tensor *x) {
    printf("%s:", name);
    for (int64_t i = 0; i < ag_size(x); i++) printf(" %.4g", ag_element(x, i));
    printf("\n");
}

int main(void) {
    ag_tape *tape = ag_tape_new();
    ag_tensor *x = ag_from(tape, AG_F64, AG_SHAPE(5), (double[]){3, 1, 4, 1, 5}), *index;
    ag_tensor *sorted = ag_sort(x, 0, false);
    show("ascending", sorted);
    show("their places", ag_argsort(x, 0, false));
    show("the two largest", ag_topk_along(x, 2, 0, true, &index));
    show("their places", index);
    show("where 1 and 3.5 belong",
         ag_searchsorted(sorted, ag_from(tape, AG_F64, AG_SHAPE(2), (double[]){1, 3.5}), false));
    ag_tape_free(tape);
}
/* It prints:
 * ascending: 1 1 3 4 5
 * their places: 1 3 0 2 4
 * the two largest: 5 4
 * their places: 4 2
 * where 1 and 3.5 belong: 0 3
 */
