/* nn/training.h, Rates that follow a loss: a rate that falls when the loss does not */
#include <nn/nn.h>
#include <stdio.h>

int main(void) {
    double losses[] = {1, 0.5, 0.5, 0.5, 0.5};
    ag_plateau plateau;
    ag_plateau_init(&plateau, 0.1);
    plateau.patience = 1;
    for (int epoch = 0; epoch < 5; epoch++) printf("%g\n", ag_plateau_rate(&plateau, losses[epoch]));
}
/* It prints:
 * 0.1
 * 0.1
 * 0.1
 * 0.01
 * 0.01
 */
