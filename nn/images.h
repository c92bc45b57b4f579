/* images -- convolution, pooling, resampling: of sequences (N,L,C), images (N,H,W,C) and volumes (N,D,H,W,C)
 *
 * N samples, then one to three spatial axes, then C channels: the rank of x says how many axes there are. Lists of
 * numbers have a place for each of the axes, in their order; in those of strides and dilations 0 stands for the number
 * of the axis before, so that {3} is 3 along every axis. Shapes may have a single extent for all axes. */
#ifndef AG_NN_IMAGES_H
#define AG_NN_IMAGES_H

#include "autograd/autograd.h"
#include "nn/initialisers.h"

#define AG_SPACE 3 /* the most spatial axes */

/* ---- Convolution ---- */

/* ag_conv_options -- how windows lie on an image; all zero, or NULL, is stride 1 without padding, dilation or groups */
typedef struct ag_conv_options {
    int64_t stride[AG_SPACE];     /* from one window to the next; 0 at first: 1 */
    int64_t dilation[AG_SPACE];   /* from one element of a window to the next; 0 at first: 1 */
    int64_t padding[AG_SPACE][2]; /* zeros before and after the image along each axis; 0 is 0: "valid" */
    bool same;      /* ⌈n/stride⌉ windows along an axis of n, by padding of which half is before; if it is
                                   * odd, the larger half is after. `padding` is then not looked at */
    int64_t groups; /* of channels, in and out, each convolved by itself; 0: 1 */
    int64_t output_padding[AG_SPACE]; /* of a transposed convolution: by how much its result is longer at the end */
} ag_conv_options;

/* ag_convolve -- y[n,i…,k] = bias[k] + Σ x[n, i·stride+u·dilation, …, c]·weight[u…,c,k] over u… and c, of the padded x:
 * a cross-correlation over one to three axes
 * With G groups, group g of K/G channels sees group g of C/G channels only; with G = C this is the depthwise one.
 * Zeros of the padding may be left out of a sum: an infinite weight or NaN beside them may or may not be seen.
 * Shape:  x (N,L…,C), weight (KL…,C/G,K), bias (K) or NULL -> (N,OL…,K), OL = (L + padding − (KL−1)·dilation −
 *         1)/stride + 1
 * Dtype:  real, the same for all
 * Grad:   x̄ = ȳ, by ag_convolve_transposed; that of the weight is windowsᵀ·ȳ, that of the bias Σ ȳ
 * Errors: AG_ERR_SHAPE if channels differ, cannot be divided among the groups, or a window is larger than the padded
 *         image; AG_ERR_RANGE unless stride, dilation, groups >= 1 and padding >= 0, all but the stride below 2³¹,
 *         and for output padding; AG_ERR_DTYPE
 * Source: torch.nn.functional.conv1d, conv2d, conv3d, which have x (N,C,L…) and a weight (K,C/G,KL…); "same" with a
 *         stride as TensorFlow has it */
AG_API ag_tensor *ag_convolve(ag_tensor *x, ag_tensor *weight, ag_tensor *bias, const ag_conv_options *options);

/* ag_convolve_transposed -- bias + the adjoint of ag_convolve with the same weight and options: ⟨conv x, y⟩ = ⟨x, y⟩
 * transposed. Each element of x adds its product with the weight to a window of y
 * An image of several sizes has the same number of windows: output_padding, less than the stride or the dilation, says
 * which one it is.
 * Shape:  x (N,L…,K), weight (KL…,C/G,K), bias (C) or NULL -> (N,OL…,C), OL = (L−1)·stride − padding +
 *         (KL−1)·dilation + 1 + output_padding; L·stride if `same`
 * Dtype:  real, the same for all
 * Grad:   x̄ = ȳ, by ag_convolve; that of the weight is xᵀ·windows of ȳ, that of the bias Σ ȳ
 * Errors: as ag_convolve; AG_ERR_SHAPE if padding leaves nothing; AG_ERR_RANGE unless 0 <= output_padding < stride or
 *         dilation, and for output padding with `same`
 * Source: torch.nn.functional.conv_transpose1d, conv_transpose2d, conv_transpose3d, whose weight is (K,C/G,KL…) */
AG_API ag_tensor *ag_convolve_transposed(ag_tensor *x, ag_tensor *weight, ag_tensor *bias,
                                         const ag_conv_options *options);

/* ag_conv -- a convolution over any number of axes as a layer: parameters and numbers that may be changed */
typedef struct ag_conv {
    ag_tensor *weight; /* (KL…,C/G,K); of a transposed one C are the channels that come out */
    ag_tensor *bias;   /* of the channels that come out; NULL: none */
    ag_conv_options options;
    bool transposed;
} ag_conv;

/* ag_conv_init -- a layer with windows of `size`, from `in` to `out` channels, weights uniform within ±√(6/(in/groups ·
 * elements of a window)), and bias 0; `options` is copied
 * Errors: AG_ERR_RANGE unless in, out and sizes are at least 1, groups divide both, and there are one to three sizes;
 *         as ag_uniform
 * Source: He et al., Delving Deep into Rectifiers (2015), section 2.2 */
AG_API ag_status ag_conv_init(ag_conv *layer, ag_tape *tape, ag_dtype dtype, int64_t in, int64_t out, ag_shape size,
                              const ag_conv_options *options);

/* ag_conv_init_with -- the same with a layer's options: a name, no bias, other initialisers; transposed or not
 * Errors: as ag_conv_init and ag_linear_init_with */
AG_API ag_status ag_conv_init_with(ag_conv *layer, ag_tape *tape, ag_dtype dtype, int64_t in, int64_t out,
                                   ag_shape size, const ag_conv_options *options, bool transposed,
                                   const ag_layer_options *layer_options);

/* ag_conv_apply -- ag_convolve or, if the layer is transposed, ag_convolve_transposed
 * Shape:  x (N,L…,C) -> (N,OL…,K)
 * Dtype:  real, that of the layer
 * Grad:   as ag_convolve
 * Errors: as ag_convolve
 * Source: torch.nn.Conv2d, torch.nn.ConvTranspose2d and their like */
AG_API ag_tensor *ag_conv_apply(const ag_conv *layer, ag_tensor *x);

/* ---- Pooling ---- */

/* ag_pool_options -- how the windows of a pooling lie; all zero, or NULL, is windows side by side, without padding */
typedef struct ag_pool_options {
    int64_t stride[AG_SPACE];     /* 0 for all: as the sizes */
    int64_t dilation[AG_SPACE];   /* 0 at first: 1 */
    int64_t padding[AG_SPACE][2]; /* before and after, each less than the reach of a window */
    bool same;                    /* ⌈n/stride⌉ windows, as in ag_conv_options */
    bool ceil;            /* one more window at the end, perhaps the only one, if elements are left over: as much
                           * padding as it takes, but less than a stride */
    bool without_padding; /* a mean is over the elements of the image alone; else zeros of `padding` count */
} ag_pool_options;

/* ag_max_pool -- the largest element of each window; padding is never the largest
 * `size` has one extent for each spatial axis, or a single one for all. NaN wins, as everywhere.
 * Shape:  x (N,L…,C) -> (N,OL…,C), OL = (L + padding − (size−1)·dilation − 1)/stride + 1
 * Dtype:  i64, f32 or f64
 * Grad:   x̄ = ȳ at the largest element, split evenly if several are (PyTorch takes the first; so does
 *         ag_max_pool_indices); padding has a share only where a whole window is −∞
 * Errors: AG_ERR_SHAPE unless x has one to three spatial axes and a window along each; AG_ERR_RANGE unless size,
 *         stride, dilation >= 1, padding < the reach of a window and each window has an element of x (PyTorch: −∞), and
 *         for without_padding; AG_ERR_DTYPE
 * Source: torch.nn.functional.max_pool1d, max_pool2d, max_pool3d */
AG_API ag_tensor *ag_max_pool(ag_tensor *x, ag_shape size, const ag_pool_options *options);

/* ag_max_pool_indices -- the same, and *index, where each largest element is: row-major among the spatial axes of x
 * The first of several is taken, and the first NaN (PyTorch: the last). It is for ag_max_unpool.
 * Shape:  x (N,L…,C) -> (N,OL…,C), and *index too, of i64
 * Dtype:  i64, f32 or f64
 * Grad:   x̄ = ȳ at the index
 * Errors: as ag_max_pool; *index is then nil; AG_ERR_NULL if index is NULL
 * Source: torch.nn.functional.max_pool2d with return_indices */
AG_API ag_tensor *ag_max_pool_indices(ag_tensor *x, ag_shape size, const ag_pool_options *options, ag_tensor **index);

/* ag_max_unpool -- x at these indices of an image of these spatial extents, and 0 elsewhere; added where indices agree
 * Shape:  x (N,OL…,C), index the same -> (N,extents…,C)
 * Dtype:  x i64, f32 or f64; index i64
 * Grad:   x̄ = ȳ at the index
 * Errors: AG_ERR_SHAPE, AG_ERR_DTYPE; AG_ERR_RANGE when evaluated, for an index out of range
 * Source: torch.nn.functional.max_unpool2d, which takes one of those that agree */
AG_API ag_tensor *ag_max_unpool(ag_tensor *x, ag_tensor *index, ag_shape extents);

/* ag_avg_pool -- the mean of each window; zeros of padding count, unless without_padding, but not those of `ceil`
 * Shape:  as ag_max_pool
 * Dtype:  real
 * Grad:   x̄ = ȳ/count, added where windows overlap
 * Errors: as ag_max_pool
 * Source: torch.nn.functional.avg_pool2d, whose count_include_pad is the opposite of without_padding */
AG_API ag_tensor *ag_avg_pool(ag_tensor *x, ag_shape size, const ag_pool_options *options);

/* ag_lp_pool -- y = (Σ |x|^p)^(1/p) over each window, for p >= 1 up to ∞; without overflow in between
 * Shape:  as ag_max_pool
 * Dtype:  real
 * Grad:   x̄ = ȳ·sign(x)·(|x|/y)^(p−1), 0 where y is; added where windows overlap
 * Errors: as ag_max_pool; AG_ERR_RANGE unless p >= 1
 * Source: torch.nn.functional.lp_pool2d, which has x^p in place of |x|^p */
AG_API ag_tensor *ag_lp_pool(ag_tensor *x, double p, ag_shape size, const ag_pool_options *options);

/* ag_adaptive_max_pool -- the largest elements of windows that give these extents: window i of m over n elements begins
 * at ⌊i·n/m⌋ and ends before ⌈(i+1)·n/m⌉
 * Shape:  x (N,L…,C) -> (N,extents…,C), with one extent for each spatial axis, or a single one for all
 * Dtype:  i64, f32 or f64
 * Grad:   x̄ = ȳ at the largest element, split evenly, axis by axis
 * Errors: AG_ERR_SHAPE unless x has one to three spatial axes, of at least one element; AG_ERR_RANGE unless extents
 *         >= 1; AG_ERR_DTYPE
 * Source: torch.nn.functional.adaptive_max_pool2d */
AG_API ag_tensor *ag_adaptive_max_pool(ag_tensor *x, ag_shape extents);

/* ag_adaptive_avg_pool -- the means of the same windows
 * Shape:  as ag_adaptive_max_pool
 * Dtype:  real
 * Grad:   x̄ = ȳ/count, added where windows overlap
 * Errors: as ag_adaptive_max_pool
 * Source: torch.nn.functional.adaptive_avg_pool2d */
AG_API ag_tensor *ag_adaptive_avg_pool(ag_tensor *x, ag_shape extents);

/* ag_global_max_pool -- the largest element of each channel of an image
 * Shape:  x (N,L…,C) -> (N,C)
 * Dtype:  i64, f32 or f64
 * Grad:   as ag_max_over
 * Errors: as ag_adaptive_max_pool
 * Source: tf.keras.layers.GlobalMaxPooling2D */
AG_API ag_tensor *ag_global_max_pool(ag_tensor *x);

/* ag_global_avg_pool -- the mean of each channel of an image
 * Shape:  x (N,L…,C) -> (N,C)
 * Dtype:  real
 * Grad:   x̄ = ȳ/count
 * Errors: as ag_adaptive_max_pool
 * Source: tf.keras.layers.GlobalAveragePooling2D */
AG_API ag_tensor *ag_global_avg_pool(ag_tensor *x);

/* ---- Resampling ---- */

/* ag_pixel_shuffle -- channels spread over r elements along each spatial axis, the last axis fastest
 * Shape:  x (N,L…,C·r^axes) -> (N,L·r…,C)
 * Dtype:  any
 * Grad:   x̄ = ȳ, by ag_pixel_unshuffle
 * Errors: AG_ERR_SHAPE unless x has one to three spatial axes and the channels can be divided; AG_ERR_RANGE unless
 *         r >= 1
 * Source: torch.nn.functional.pixel_shuffle */
AG_API ag_tensor *ag_pixel_shuffle(ag_tensor *x, int64_t r);

/* ag_pixel_unshuffle -- the inverse: r elements along each spatial axis as channels
 * Shape:  x (N,L·r…,C) -> (N,L…,C·r^axes)
 * Dtype:  any
 * Grad:   x̄ = ȳ, by ag_pixel_shuffle
 * Errors: AG_ERR_SHAPE unless x has one to three spatial axes, of multiples of r; AG_ERR_RANGE unless r >= 1
 * Source: torch.nn.functional.pixel_unshuffle */
AG_API ag_tensor *ag_pixel_unshuffle(ag_tensor *x, int64_t r);

/* ag_beyond -- what an image has beyond its edges */
typedef enum ag_beyond {
    AG_BEYOND_ZEROS,
    AG_BEYOND_BORDER,    /* the element at the edge */
    AG_BEYOND_REFLECTION /* itself, reflected at the edges: of the image or, with align_corners, of its last elements */
} ag_beyond;

/* ag_grid_sample -- an image at these places, given from −1 to 1 along each axis, the last axis first: (x,y), (x,y,z)
 * −1 and 1 are the edges of the image or, with align_corners, the middles of its first and last elements.
 * Shape:  x (N,L…,C), grid (N,O…,axes) -> (N,O…,C)
 * Dtype:  real, the same for both
 * Grad:   x̄ = ȳ times the weights; that of the grid by the slopes between elements, 0 for AG_NEAREST; at the edge of
 *         AG_BEYOND_BORDER it is that within
 * Errors: AG_ERR_SHAPE unless x has one to three spatial axes, of at least one element, and the grid fits; AG_ERR_RANGE
 *         for AG_NEAREST_EXACT, and unless beyond is one of the above; AG_ERR_DTYPE
 * Source: torch.nn.functional.grid_sample */
AG_API ag_tensor *ag_grid_sample(ag_tensor *x, ag_tensor *grid, ag_interpolation mode, ag_beyond beyond,
                                 bool align_corners);

#endif
