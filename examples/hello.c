#include <autograd/autograd.h>
#include <stdio.h>
int main(void) {
    double xs[] = {1, 2, 3, 4}, ys[] = {3, 5, 7, 9}, zero = 0;
    ag_tape *tape = ag_tape_new();
    ag_tensor *p[] = {ag_parameter(tape, AG_F64, AG_SCALAR, &zero), ag_parameter(tape, AG_F64, AG_SCALAR, &zero)};
    ag_tensor *x = ag_from(tape, AG_F64, AG_SHAPE(4), xs), *y = ag_from(tape, AG_F64, AG_SHAPE(4), ys), *dp[2];
    for (ag_mark mark = ag_tape_mark(tape); ag_tape_status(tape) == AG_OK;) {
        ag_tensor *loss = ag_mean(ag_square(ag_sub(ag_add(ag_mul(p[0], x), p[1]), y)));
        ag_grad(loss, 2, p, dp);
        for (int i = 0; i < 2; i++) ag_assign(p[i], ag_sub(p[i], ag_scale(dp[i], 0.1)));
        if (ag_item(loss) < 1e-20) break;
        ag_tape_rewind(tape, mark);
    }
    printf("y = %g x + %g%s\n", ag_item(p[0]), ag_item(p[1]), ag_tape_error(tape));
    ag_tape_free(tape);
}
