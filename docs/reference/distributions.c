/* nn/distributions.h: the normal distribution, and one that is fitted to data */
#include <nn/nn.h>
#include <stdio.h>

int main(void) {
    ag_tape *tape = ag_tape_new();
    ag_tensor *zero = ag_scalar(tape, AG_F64, 0), *one = ag_scalar(tape, AG_F64, 1), *two = ag_scalar(tape, AG_F64, 2);
    ag_distribution p = {AG_DIST_NORMAL, {zero, one}}, q = {AG_DIST_NORMAL, {one, two}};
    printf("log density at 0: %.4f, entropy %.4f\n", ag_item(ag_log_prob(&p, zero)), ag_item(ag_entropy(&p)));
    printf("divergence %.4f, variance of q %g\n", ag_item(ag_divergence(&p, &q)),
           ag_item(ag_distribution_variance(&q)));
    ag_tensor *rate = ag_parameter(tape, AG_F64, AG_SCALAR, &(double){1}), *slope;
    ag_tensor *counts = ag_from(tape, AG_F64, AG_SHAPE(4), (double[]){3, 1, 4, 2});
    ag_distribution poisson = {AG_DIST_POISSON, {rate}};
    ag_grad(ag_sum(ag_log_prob(&poisson, counts)), 1, &rate, &slope); /* 10/rate − 4: it is 0 at the mean, 2.5 */
    printf("slope of the likelihood %g\n", ag_item(slope));
    ag_tape_free(tape);
}
/* It prints:
 * log density at 0: -0.9189, entropy 1.4189
 * divergence 0.4431, variance of q 4
 * slope of the likelihood 6
 */
