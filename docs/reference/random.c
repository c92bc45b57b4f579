/* nn/data.h, Samples: random numbers of a sample's own */
#include <nn/nn.h>
#include <stdio.h>

int main(void) {
    ag_random random = {.key = 7}, again = random; /* in a callback: sample->random */
    double u = ag_random_uniform(&random);
    printf("%s, %s\n", u >= 0 && u < 1 ? "between 0 and 1" : "elsewhere",
           ag_random_uniform(&again) == u ? "and the same from a copy" : "and another one from a copy");
}
/* It prints:
 * between 0 and 1, and the same from a copy
 */
