/* normalise -- batch, layer, group, instance, RMS and weight normalisation
 *
 * Channels or features C are the last axis, and gamma and beta are (C) everywhere. */
#ifndef AG_NN_NORMALISE_H
#define AG_NN_NORMALISE_H

#include "autograd/autograd.h"
#include "nn/initialisers.h"

/* ag_normalise -- y = (x − M)/√(V + epsilon), with mean and variance over `axes`
 * Equal elements give exactly 0. Over the spatial axes of an image it is instance normalisation.
 * Shape:  x (…) -> (…)
 * Dtype:  real
 * Grad:   from the graph: x̄ = (ȳ − mean ȳ − y·mean(ȳ·y))/√(V + epsilon)
 * Errors: AG_ERR_AXIS, AG_ERR_DTYPE; AG_ERR_RANGE unless epsilon >= 0
 * Source: torch.nn.functional.layer_norm */
AG_API ag_tensor *ag_normalise(ag_tensor *x, ag_axes axes, double epsilon);

/* ag_batchnorm -- batch normalisation: parameters, running statistics, and two numbers that may be changed */
typedef struct ag_batchnorm {
    ag_tensor *gamma;        /* (C), a parameter, ones */
    ag_tensor *beta;         /* (C), a parameter, zeros; NULL: none */
    ag_tensor *running_mean; /* (C), a variable, zeros */
    ag_tensor *running_var;  /* (C), a variable, ones */
    double momentum;         /* the part of the running statistics that a step keeps; 0.9 */
    double epsilon;          /* added to the variance before its root is taken; 1e-5 */
} ag_batchnorm;

/* ag_batchnorm_nodes -- the intermediate tensors of a batch normalisation, to ask ag_vjp for dL/dmean and the like */
typedef struct ag_batchnorm_nodes {
    ag_tensor *mean;       /* M = mean z over all axes but the last (1,C), or the running one of then (C) */
    ag_tensor *centred;    /* D = z − M (N,…,C) */
    ag_tensor *variance;   /* V = mean D² (1,C), or the running one of then (C) */
    ag_tensor *normalised; /* D/√(V + epsilon) (N,…,C) */
} ag_batchnorm_nodes;

/* ag_batchnorm_init -- a layer for C = channels features, with gamma 1 and beta 0
 * Errors: AG_ERR_RANGE unless channels is at least 1; AG_ERR_DTYPE unless dtype is real; as ag_full */
AG_API ag_status ag_batchnorm_init(ag_batchnorm *layer, ag_tape *tape, ag_dtype dtype, int64_t channels);

/* ag_batchnorm_init_with -- the same with options: a name, no beta, other initialisers
 * Errors: as ag_batchnorm_init and ag_linear_init_with */
AG_API ag_status ag_batchnorm_init_with(ag_batchnorm *layer, ag_tape *tape, ag_dtype dtype, int64_t channels,
                                        const ag_layer_options *options);

/* ag_batchnorm_apply -- y = gamma·(z − M)/√(V + epsilon) + beta, with mean and variance per feature
 * In training M and V (biased: over N, not N−1) are those of the batch, and the running statistics become
 * momentum·running + (1−momentum)·batch, with the same biased V, both or neither; otherwise M and V are the running
 * ones.
 * torch.nn.BatchNorm1d, BatchNorm2d and BatchNorm3d call 1−momentum their momentum, and keep the running unbiased
 * variance.
 * Shape:  z (N,…,C) -> (N,…,C): of sequences (N,L,C), images (N,H,W,C) and so on, each place is a sample
 * Dtype:  real, that of the layer
 * Grad:   from the graph, where the mean is one node with two uses: the centring, and through it the variance
 * Errors: AG_ERR_SHAPE unless z is (N,…,C), with a sample in training; AG_ERR_DTYPE; AG_ERR_RANGE unless
 *         0 <= momentum <= 1 and epsilon >= 0
 * Source: Ioffe and Szegedy, Batch Normalization (2015), algorithm 1 */
AG_API ag_tensor *ag_batchnorm_apply(const ag_batchnorm *layer, ag_tensor *z, bool training);

/* ag_batchnorm_apply_nodes -- the same, with the intermediate tensors, which are nil after an error
 * With them y is (D/√(V + epsilon))·gamma + beta. Without them, and for nodes NULL, gamma is multiplied by the root
 * first, which takes fewer sweeps, and the last bits may differ.
 * Shape:  z (N,…,C) -> (N,…,C): of sequences (N,L,C), images (N,H,W,C) and so on, each place is a sample
 * Dtype:  real, that of the layer
 * Grad:   as ag_batchnorm_apply; ag_vjp(1, &y, &ybar, 1, &nodes.mean, &dmean, 0) adds both paths of the mean
 * Errors: as ag_batchnorm_apply
 * Source: Ioffe and Szegedy (2015) */
AG_API ag_tensor *ag_batchnorm_apply_nodes(const ag_batchnorm *layer, ag_tensor *z, bool training,
                                           ag_batchnorm_nodes *nodes);

/* ag_layernorm -- layer normalisation: parameters, and a number that may be changed */
typedef struct ag_layernorm {
    ag_tensor *gamma; /* (C), a parameter, ones */
    ag_tensor *beta;  /* (C), a parameter, zeros; NULL: none */
    double epsilon;   /* added to the variance before its root is taken; 1e-5 */
    int axes;         /* how many of the last axes are normalised together; 1, which 0 stands for */
} ag_layernorm;

/* ag_layernorm_nodes -- the intermediate tensors of a layer normalisation, to ask ag_vjp for dL/dmean and the like */
typedef struct ag_layernorm_nodes {
    ag_tensor *mean;       /* M = mean_C z (…,1), with 1 for each normalised axis */
    ag_tensor *centred;    /* D = z − M (…,C) */
    ag_tensor *variance;   /* V = mean_C D² (…,1) */
    ag_tensor *normalised; /* D/√(V + epsilon) (…,C) */
} ag_layernorm_nodes;

/* ag_layernorm_init -- a layer for C = features, with gamma 1 and beta 0
 * Errors: AG_ERR_RANGE unless features is at least 1; AG_ERR_DTYPE unless dtype is real; as ag_full */
AG_API ag_status ag_layernorm_init(ag_layernorm *layer, ag_tape *tape, ag_dtype dtype, int64_t features);

/* ag_layernorm_init_with -- the same with options: a name, no beta, other initialisers
 * Errors: as ag_layernorm_init and ag_linear_init_with */
AG_API ag_status ag_layernorm_init_with(ag_layernorm *layer, ag_tape *tape, ag_dtype dtype, int64_t features,
                                        const ag_layer_options *options);

/* ag_layernorm_apply -- y = gamma·(z − M)/√(V + epsilon) + beta, with mean and variance (over C, not C−1) of each
 * sample: over the last `axes` axes, of which gamma and beta have the last
 * Shape:  z (…,C) -> (…,C)
 * Dtype:  real, that of the layer
 * Grad:   from the graph, as in ag_batchnorm_apply
 * Errors: AG_ERR_SHAPE unless the last axis of z is C; AG_ERR_DTYPE; AG_ERR_RANGE unless epsilon >= 0 and z has `axes`
 *         axes
 * Source: Ba, Kiros and Hinton, Layer Normalization (2016); torch.nn.LayerNorm, whose gamma has all of the axes */
AG_API ag_tensor *ag_layernorm_apply(const ag_layernorm *layer, ag_tensor *z);

/* ag_layernorm_apply_nodes -- the same, with the intermediate tensors, which are nil after an error
 * Shape:  z (…,C) -> (…,C)
 * Dtype:  real, that of the layer
 * Grad:   as ag_layernorm_apply
 * Errors: as ag_layernorm_apply
 * Source: Ba, Kiros and Hinton (2016) */
AG_API ag_tensor *ag_layernorm_apply_nodes(const ag_layernorm *layer, ag_tensor *z, ag_layernorm_nodes *nodes);

/* ag_groupnorm -- normalisation of groups of channels, of each sample by itself; with as many groups as channels it is
 * instance normalisation */
typedef struct ag_groupnorm {
    ag_tensor *gamma; /* (C), a parameter, ones; NULL: none */
    ag_tensor *beta;  /* (C), a parameter, zeros; NULL: none */
    int64_t groups;   /* of C/groups channels that are neighbours */
    double epsilon;   /* added to the variance before its root is taken; 1e-5 */
} ag_groupnorm;

/* ag_groupnorm_init -- a layer for C = channels, with gamma 1 and beta 0
 * Errors: AG_ERR_RANGE unless channels >= 1 is a multiple of groups >= 1; AG_ERR_DTYPE unless dtype is real; as
 *         ag_full */
AG_API ag_status ag_groupnorm_init(ag_groupnorm *layer, ag_tape *tape, ag_dtype dtype, int64_t channels,
                                   int64_t groups);

/* ag_groupnorm_init_with -- the same with options: a name, no beta, other initialisers
 * Errors: as ag_groupnorm_init and ag_linear_init_with */
AG_API ag_status ag_groupnorm_init_with(ag_groupnorm *layer, ag_tape *tape, ag_dtype dtype, int64_t channels,
                                        int64_t groups, const ag_layer_options *options);

/* ag_groupnorm_apply -- y = gamma·(x − M)/√(V + epsilon) + beta, with mean and variance over all places and the
 * channels of a group, for each sample
 * Shape:  x (N,…,C) -> (N,…,C)
 * Dtype:  real, that of the layer
 * Grad:   from the graph, as ag_normalise
 * Errors: AG_ERR_SHAPE unless x is (N,…,C); AG_ERR_DTYPE; AG_ERR_RANGE unless the groups divide C and epsilon >= 0
 * Source: Wu and He, Group Normalization (2018); torch.nn.GroupNorm, torch.nn.InstanceNorm2d */
AG_API ag_tensor *ag_groupnorm_apply(const ag_groupnorm *layer, ag_tensor *x);

/* ag_rmsnorm -- normalisation by the root of the mean square */
typedef struct ag_rmsnorm {
    ag_tensor *gamma; /* (C), a parameter, ones; NULL: none */
    double epsilon;   /* added to the mean square before its root is taken; 1e-6 */
} ag_rmsnorm;

/* ag_rmsnorm_init -- a layer for C = features, with gamma 1
 * Errors: AG_ERR_RANGE unless features is at least 1; AG_ERR_DTYPE unless dtype is real; as ag_full */
AG_API ag_status ag_rmsnorm_init(ag_rmsnorm *layer, ag_tape *tape, ag_dtype dtype, int64_t features);

/* ag_rmsnorm_init_with -- the same with options: a name, another initialiser
 * Errors: as ag_rmsnorm_init and ag_linear_init_with */
AG_API ag_status ag_rmsnorm_init_with(ag_rmsnorm *layer, ag_tape *tape, ag_dtype dtype, int64_t features,
                                      const ag_layer_options *options);

/* ag_rmsnorm_apply -- y = gamma·x/√(mean x² + epsilon), over the last axis
 * Shape:  x (…,C) -> (…,C)
 * Dtype:  real, that of the layer
 * Grad:   from the graph
 * Errors: AG_ERR_SHAPE unless the last axis of x is C; AG_ERR_DTYPE; AG_ERR_RANGE unless epsilon >= 0
 * Source: Zhang and Sennrich, Root Mean Square Layer Normalization (2019); torch.nn.RMSNorm */
AG_API ag_tensor *ag_rmsnorm_apply(const ag_rmsnorm *layer, ag_tensor *x);

/* ag_weight_norm -- w = g·v/‖v‖, with the norm over all axes but one: direction and length of a weight apart
 * Along the last axis of a layer's weight are its outputs: set layer.weight to ag_weight_norm(v, g, −1) in each step,
 * and train v and g.
 * Shape:  v (…,K,…), g (K) -> (…,K,…), with K on `axis`
 * Dtype:  real, the same for both
 * Grad:   from the graph
 * Errors: AG_ERR_AXIS; AG_ERR_SHAPE unless g is (K); AG_ERR_DTYPE
 * Source: Salimans and Kingma, Weight Normalization (2016); torch.nn.utils.weight_norm, whose outputs are axis 0 */
AG_API ag_tensor *ag_weight_norm(ag_tensor *v, ag_tensor *g, int axis);

#endif
