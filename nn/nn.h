/* nn -- layers, losses and optimisers, composed from the operations of autograd.h and nothing else
 *
 * Read autograd/autograd.h first; this header continues the tour.
 *
 *      1  Layers, nn/layers.h             2  Losses, nn/losses.h             3  Optimisers, nn/optimisers.h
 *      4  Around a step, nn/training.h    5  Batches of data, nn/data.h     6  Metrics, nn/metrics.h
 *      7  Layers as one value, nn/sequence.h           8  Images: convolution, pooling, resampling, nn/images.h
 *      9  Normalisation, nn/normalise.h               10  Sequences of positions, nn/positions.h
 *     11  Distributions, nn/distributions.h
 *
 * A network of two layers, trained on one batch (x (N,64) and labels (N) are constants):
 *
 *     ag_linear hidden, output;
 *     ag_batchnorm norm;
 *     ag_linear_init_with(&hidden, tape, AG_F32, 64, 128, &(ag_layer_options){.name = "hidden"});
 *     ag_batchnorm_init_with(&norm, tape, AG_F32, 128, &(ag_layer_options){.name = "norm"});
 *     ag_linear_init_with(&output, tape, AG_F32, 128, 10, &(ag_layer_options){.name = "output"});
 *     ag_list model = ag_state(tape, NULL), p = ag_parameters(tape, NULL);
 *     ag_adam adam;
 *     ag_adam_init(&adam, p.n, p.x, NULL);
 *     for (ag_mark mark = ag_tape_mark(tape); …; ag_tape_rewind(tape, mark)) {
 *         ag_tensor *h = ag_relu(ag_batchnorm_apply(&norm, ag_linear_apply(&hidden, x), true));
 *         ag_backward(ag_cross_entropy(ag_linear_apply(&output, h), labels));
 *         ag_adam_step(&adam, NULL);
 *     }
 *     ag_save("model.safetensors", model.n, model.x, NULL);      by io/io.h: "hidden.weight", "norm.running_mean", …
 *
 * A layer is a struct of handles, which the tape owns: nothing is to be freed, and nothing is hidden. Its parameters
 * and its state are recorded when it is initialised, so initialise before the mark that a loop rewinds to. Nothing
 * here has a gradient of its own: gradients follow from the graph. */
#ifndef AG_NN_H
#define AG_NN_H

#include "nn/data.h"
#include "nn/distributions.h"
#include "nn/images.h"
#include "nn/initialisers.h"
#include "nn/layers.h"
#include "nn/losses.h"
#include "nn/metrics.h"
#include "nn/normalise.h"
#include "nn/optimisers.h"
#include "nn/positions.h"
#include "nn/sequence.h"
#include "nn/training.h"

#include "nn/located.h"

#endif
