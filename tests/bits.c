/* bits -- a program whose output is the bits of results, to compare builds of the library with each other
 *
 * A line for each value: its name, and a hash of its bits, in the same order on every processor. Two builds that print the
 * same compute the same. */
#include <autograd/autograd.h>
#include <inttypes.h>
#include <math.h>
#include <nn/nn.h>
#include <stdio.h>
#include <string.h>

/* An element's bits as a number; processors differ in the sign of the NaN that they make. */
static uint64_t bits_of(ag_dtype dtype, const void *p) {
    uint32_t half;
    uint64_t whole;
    switch (dtype) {
    case AG_F32: memcpy(&half, p, 4); return isnan(*(const float *)p) ? UINT64_MAX : half;
    case AG_F64: memcpy(&whole, p, 8); return isnan(*(const double *)p) ? UINT64_MAX : whole;
    case AG_I64: memcpy(&whole, p, 8); return whole;
    default: return *(const unsigned char *)p;
    }
}

static void show(const char *name, ag_tensor *x) {
    const ag_dtype dtype = ag_dtype_of(x);
    const unsigned char *p = ag_data(x);
    uint64_t h = 0xcbf29ce484222325u;
    for (int64_t i = 0; p && i < ag_size(x); i++)
        h = (h ^ bits_of(dtype, p + (size_t)i * ag_dtype_size(dtype))) * 0x100000001b3u;
    printf("%s %s %016" PRIx64 "\n", name, ag_dtype_name(dtype), p ? h : 0);
}

/* Every elementwise operation of one argument, and its gradient, over positive numbers. */
static void functions(ag_tape *tape, ag_dtype dtype) {
    for (int i = 0; i < ag_op_count(); i++) {
        const ag_op *op = ag_op_at(i);
        if (op->kind != AG_KIND_ELEMENTWISE || op->arity != 1 || op->attribute_bytes ||
            (!op->block[dtype] && !op->trace[dtype]))
            continue;
        ag_mark mark = ag_tape_mark(tape);
        ag_tape_seed(tape, 7);
        ag_tensor *x = ag_parameter_from(ag_uniform(tape, dtype, AG_SHAPE(3001), 0.05, 0.95)), *dx;
        ag_tensor *y = ag_apply(op, 1, &x, NULL, 0), *loss = ag_sum(y);
        show(op->name, y);
        if (ag_requires_grad(loss) && ag_vjp(1, &loss, NULL, 1, &x, &dx, 0) == AG_OK) show(op->name, dx);
        ag_tape_rewind(tape, mark);
    }
}

/* Products of sizes for each kernel, and reductions of each kind. */
static void products(ag_tape *tape, ag_dtype dtype) {
    static const int64_t sizes[][3] = {{1, 700, 1},     {3, 5, 7},    {33, 1000, 65},
                                       {200, 300, 250}, {1, 64, 900}, {900, 64, 1}};
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        const int64_t *n = sizes[i];
        ag_mark mark = ag_tape_mark(tape);
        ag_tensor *a = ag_normal(tape, dtype, AG_SHAPE(n[0], n[1]), 0, 1),
                  *b = ag_normal(tape, dtype, AG_SHAPE(n[1], n[2]), 0, 1);
        show("matmul", ag_matmul(a, b));
        show("transposed", ag_matmul(ag_transpose(b, 0, 1), ag_transpose(a, 0, 1)));
        show("sum", ag_sum(a));
        show("variances", ag_var_over(a, AG_AXES(1), 0, false));
        show("softmax", ag_softmax(b, 0));
        show("largest", ag_max_over(a, AG_AXES(0), false));
        ag_tape_rewind(tape, mark);
    }
}

static void training(ag_tape *tape, ag_dtype dtype) {
    ag_conv2d conv;
    ag_batchnorm norm;
    ag_linear linear;
    ag_conv2d_init(&conv, tape, dtype, 1, 6, 3);
    ag_batchnorm_init(&norm, tape, dtype, 54);
    ag_linear_init(&linear, tape, dtype, 54, 10);
    ag_tensor *p[] = {conv.weight, conv.bias, norm.gamma, norm.beta, linear.weight, linear.bias}, *dp[6];
    ag_slot slots[6];
    ag_adam adam;
    ag_adam_init(&adam, 6, p, slots);
    for (int step = 0; step < 5; step++) {
        ag_mark mark = ag_tape_mark(tape);
        ag_tensor *x = ag_normal(tape, dtype, AG_SHAPE(40, 8, 8, 1), 0, 1);
        ag_tensor *labels = ag_argmax(ag_slice(ag_reshape(x, AG_SHAPE(40, 64)), 1, 0, 10, 1), 1, false);
        ag_tensor *h = ag_max_pool2d(ag_relu(ag_conv2d_apply(&conv, x)), 2, 2);
        h = ag_batchnorm_apply(&norm, ag_reshape(h, AG_SHAPE(40, 54)), true);
        ag_tensor *loss = ag_cross_entropy(ag_linear_apply(&linear, ag_dropout(h, 0.1, true)), labels);
        ag_grad(loss, 6, p, dp);
        ag_adam_step(&adam, dp);
        show("loss", loss);
        ag_tape_rewind(tape, mark);
    }
    for (int i = 0; i < 6; i++) show("parameter", p[i]);
}

int main(void) {
    ag_tape *tape = ag_tape_new();
    for (ag_dtype dtype = AG_F32; dtype <= AG_F64; dtype++) {
        functions(tape, dtype);
        products(tape, dtype);
        training(tape, dtype);
    }
    ag_status status = ag_tape_status(tape);
    if (status) printf("%s\n", ag_tape_error(tape));
    ag_tape_free(tape);
    return status != AG_OK;
}
