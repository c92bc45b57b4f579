/* autograd/autograd.h, Seeing the graph: a picture of it, by Graphviz */
#include <autograd/autograd.h>
#include <stdio.h>

int main(void) {
    ag_tape *tape = ag_tape_new();
    double half = 0.5;
    ag_tensor *x = ag_label(ag_parameter(tape, AG_F64, AG_SCALAR, &half), "x");
    ag_tensor *y = ag_label(ag_square(ag_tanh(x)), "y");
    ag_dot_options options = {.values = true, .gradients = true};
    ag_status status = ag_write_dot("graph.dot", 1, &y, &options); /* then: dot -Tsvg -o graph.svg graph.dot */
    printf("%s\n", ag_status_name(status));
    ag_tape_free(tape);
}
/* It prints:
 * AG_OK
 */
