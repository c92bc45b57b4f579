/* initialisers -- how parameters begin: He, Xavier, orthogonal, truncated normal, and one's own
 *
 * An initialiser makes a tensor of a shape; a layer's parameters begin with its value. Random ones draw from the tape's
 * seed. The last axis of a weight is its outputs, the axis before it its inputs, and any axes before those are a
 * window, as in (KH,KW,C,K): fan_in is the number of inputs of an output, KH·KW·C, and fan_out that of outputs of an
 * input, KH·KW·K. The last argument is a gain for most: √2 is usual below relu, and already in He's rules. */
#ifndef AG_NN_INITIALISERS_H
#define AG_NN_INITIALISERS_H

#include "autograd/autograd.h"

/* ag_initialiser -- makes a tensor of this dtype and shape; `number` is the initialiser's own, 0 its usual one */
typedef ag_tensor *ag_initialiser(ag_tape *tape, ag_dtype dtype, ag_shape shape, double number);

/* ag_initial -- an initialiser with its number; make = NULL stands for the layer's usual one */
typedef struct ag_initial {
    ag_initialiser *make;
    double number;
} ag_initial;

/* ag_layer_options -- a layer's name, and how its parameters begin; all zero, or NULL, is the layer's usual form */
typedef struct ag_layer_options {
    const char *name;  /* "encoder.0": labels are "encoder.0.weight" and so on; NULL: "weight" */
    bool unbiased;     /* without bias, or without beta */
    ag_initial weight; /* of weights, or of gamma */
    ag_initial hidden; /* of the weight from hidden to hidden features; make = NULL: as weight */
    ag_initial bias;   /* of the bias, or of beta */
} ag_layer_options;

/* ag_init_he_uniform -- uniform within ±gain·√(6/fan_in); gain 0 stands for 1
 * Shape:  of two axes or more
 * Dtype:  real
 * Grad:   none: it has no inputs
 * Errors: AG_ERR_SHAPE for fewer axes; AG_ERR_RANGE unless gain is finite and not negative; as ag_uniform
 * Source: He et al., Delving Deep into Rectifiers (2015), section 2.2; torch.nn.init.kaiming_uniform_ for relu */
AG_API ag_tensor *ag_init_he_uniform(ag_tape *tape, ag_dtype dtype, ag_shape shape, double gain);

/* ag_init_he_normal -- normal with deviation gain·√(2/fan_in); gain 0 stands for 1
 * Shape:  of two axes or more
 * Dtype:  real
 * Grad:   none: it has no inputs
 * Errors: as ag_init_he_uniform
 * Source: He et al. (2015), section 2.2; torch.nn.init.kaiming_normal_ for relu */
AG_API ag_tensor *ag_init_he_normal(ag_tape *tape, ag_dtype dtype, ag_shape shape, double gain);

/* ag_init_xavier_uniform -- uniform within ±gain·√(6/(fan_in + fan_out)); gain 0 stands for 1
 * Shape:  of two axes or more
 * Dtype:  real
 * Grad:   none: it has no inputs
 * Errors: as ag_init_he_uniform
 * Source: Glorot and Bengio, Understanding the difficulty of training (2010), equation 16 */
AG_API ag_tensor *ag_init_xavier_uniform(ag_tape *tape, ag_dtype dtype, ag_shape shape, double gain);

/* ag_init_xavier_normal -- normal with deviation gain·√(2/(fan_in + fan_out)); gain 0 stands for 1
 * Shape:  of two axes or more
 * Dtype:  real
 * Grad:   none: it has no inputs
 * Errors: as ag_init_he_uniform
 * Source: Glorot and Bengio (2010), equation 12 */
AG_API ag_tensor *ag_init_xavier_normal(ag_tape *tape, ag_dtype dtype, ag_shape shape, double gain);

/* ag_init_orthogonal -- gain times a random matrix Q of orthonormal columns or, with more columns than rows, of
 * orthonormal rows; gain 0 stands for 1. Rows are all axes but the last. Q is uniform among all such matrices, and
 * computed in f64: by Householder's reflections of normal random numbers, in about 4·m·n² operations for n ≤ m
 * Shape:  of two axes or more
 * Dtype:  real
 * Grad:   none: it has no inputs
 * Errors: as ag_init_he_uniform
 * Source: Saxe et al., Exact solutions to the nonlinear dynamics of learning (2013); the signs, without which Q would
 *         not be uniform: Mezzadri, How to generate random matrices (2007); torch.nn.init.orthogonal_ */
AG_API ag_tensor *ag_init_orthogonal(ag_tape *tape, ag_dtype dtype, ag_shape shape, double gain);

/* ag_init_truncated_normal -- normal with mean 0 and deviation `deviation`, given that it is within ±2·deviation; 0
 * stands for 0.02. A number beyond is drawn again, until none is, so that the distribution is exact; the deviation of
 * what remains is 0.88 of `deviation`. It is evaluated at once
 * Shape:  any
 * Dtype:  real
 * Grad:   none: it has no inputs
 * Errors: AG_ERR_RANGE unless the deviation is finite and not negative; as ag_normal
 * Source: torch.nn.init.trunc_normal_; tf.keras.initializers.TruncatedNormal */
AG_API ag_tensor *ag_init_truncated_normal(ag_tape *tape, ag_dtype dtype, ag_shape shape, double deviation);

/* ag_init_normal -- normal with mean 0 and this deviation; 0 stands for 1
 * Shape:  any
 * Dtype:  real
 * Grad:   none: it has no inputs
 * Errors: as ag_init_truncated_normal
 * Source: torch.nn.init.normal_ */
AG_API ag_tensor *ag_init_normal(ag_tape *tape, ag_dtype dtype, ag_shape shape, double deviation);

/* ag_init_uniform -- uniform within ±bound; 0 stands for 1
 * Shape:  any
 * Dtype:  real
 * Grad:   none: it has no inputs
 * Errors: AG_ERR_RANGE unless the bound is finite and not negative; as ag_uniform
 * Source: torch.nn.init.uniform_ */
AG_API ag_tensor *ag_init_uniform(ag_tape *tape, ag_dtype dtype, ag_shape shape, double bound);

/* ag_init_constant -- the number itself, everywhere
 * Shape:  any
 * Dtype:  any
 * Grad:   none: it has no inputs
 * Errors: as ag_full
 * Source: torch.nn.init.constant_ */
AG_API ag_tensor *ag_init_constant(ag_tape *tape, ag_dtype dtype, ag_shape shape, double number);

/* ag_init_zeros -- zeros, whatever the number
 * Shape:  any
 * Dtype:  any
 * Grad:   none: it has no inputs
 * Errors: as ag_zeros
 * Source: torch.nn.init.zeros_ */
AG_API ag_tensor *ag_init_zeros(ag_tape *tape, ag_dtype dtype, ag_shape shape, double number);

#endif
