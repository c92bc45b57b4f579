/* autograd/trace.h: the formula of an operation once more, for machine code */
#include <autograd/autograd.h>
#include <autograd/trace.h>
#include <stdio.h>

/* y = attribute·x + 1, as a loop */
static void block(int64_t n, void *y, const void *const x[], const void *attributes) {
    double by = *(const double *)attributes;
    for (int64_t i = 0; i < n; i++) ((double *)y)[i] = by * ((const double *)x[0])[i] + 1;
}

/* and step by step, so that a region can be compiled with it inside */
static ag_traced trace(ag_trace *t, const ag_traced x[]) {
    ag_traced product = ag_trace_binary(t, AG_TRACE_MUL, ag_trace_attribute(t, 0), x[0]);
    return ag_trace_binary(t, AG_TRACE_ADD, product, ag_trace_number(t, 1));
}

static const ag_op op_axpy = {.name = "times_plus_one",
                              .kind = AG_KIND_ELEMENTWISE,
                              .arity = 1,
                              .attribute_bytes = sizeof(double),
                              .block = {[AG_F64] = block},
                              .trace = {[AG_F64] = trace}};

static void show(const char *name, ag_tensor *x) {
    printf("%s:", name);
    for (int64_t i = 0; i < ag_size(x); i++) printf(" %.4g", ag_element(x, i));
    printf("\n");
}

int main(void) {
    ag_tape *tape = ag_tape_new();
    ag_tensor *x = ag_arange(tape, AG_F64, 4);
    show("y", ag_apply(&op_axpy, 1, &x, (double[]){10}, sizeof(double)));
    ag_tape_free(tape);
}
/* It prints:
 * y: 1 11 21 31
 */
