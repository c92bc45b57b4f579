/* nn -- layers, losses and optimisers, composed from the operations of autograd.h and nothing else
 *
 * Read autograd/autograd.h first; this header continues the tour.
 *
 *      1  Layers, nn/layers.h             2  Losses, nn/losses.h             3  Optimisers, nn/optimisers.h
 *      4  Around a step, nn/training.h    5  Batches of data, nn/data.h
 *
 * A network of two layers, trained on one batch (x is (N,64), labels (N)):
 *
 *     ag_linear hidden, output;
 *     ag_batchnorm norm;
 *     ag_linear_init(&hidden, tape, AG_F32, 64, 128);
 *     ag_batchnorm_init(&norm, tape, AG_F32, 128);
 *     ag_linear_init(&output, tape, AG_F32, 128, 10);
 *     ag_tensor *p[] = {hidden.weight, hidden.bias, norm.gamma, norm.beta, output.weight, output.bias}, *dp[6];
 *     ag_slot slots[6];
 *     ag_adam adam;
 *     ag_adam_init(&adam, 6, p, slots);
 *     for (ag_mark mark = ag_tape_mark(tape); …; ag_tape_rewind(tape, mark)) {
 *         ag_tensor *h = ag_relu(ag_batchnorm_apply(&norm, ag_linear_apply(&hidden, x), true));
 *         ag_tensor *loss = ag_cross_entropy(ag_linear_apply(&output, h), labels);
 *         ag_grad(loss, 6, p, dp);
 *         ag_adam_step(&adam, dp);
 *     }
 *
 * A layer is a struct of handles, which the tape owns: nothing is to be freed, and nothing is hidden. Its parameters
 * and its state are recorded when it is initialised, so initialise before the mark that a loop rewinds to. Nothing
 * here has a gradient of its own: gradients follow from the graph. */
#ifndef AG_NN_H
#define AG_NN_H

#include "nn/data.h"
#include "nn/initialisers.h"
#include "nn/layers.h"
#include "nn/losses.h"
#include "nn/optimisers.h"
#include "nn/training.h"

#include "nn/located.h"

#endif
