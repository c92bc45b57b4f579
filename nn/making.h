/* making -- a layer's parameters, named and begun as its options say */
#ifndef AG_NN_MAKING_H
#define AG_NN_MAKING_H

#include "nn/refuse.h"

/* The making of a layer, from ag__make to ag__made. */
typedef struct ag__making {
    const char *call; /* for errors */
    ag_tape *tape;
    ag_dtype dtype;
    ag_layer_options options;
    const char *file; /* the caller's location, which belongs to all that is recorded; NULL: none */
    int line;
    ag_tensor *last; /* recorded so far; or nil */
    ag_mark before;  /* none on a tape in error */
} ag__making;

/* How weights and gammas begin unless the options say otherwise. */
#define AG__HE ((ag_initial){ag_init_he_uniform, 1})
#define AG__ONES ((ag_initial){ag_init_constant, 1})

/* Begin: what is labelled until ag__made has the layer's name before it. `options` may be NULL. */
ag__making ag__make(const char *call, ag_tape *tape, ag_dtype dtype, const ag_layer_options *options);

/* A parameter of this shape, labelled `part`, that begins as `initial` says, or else as `usual`; nil after an error. */
ag_tensor *ag__make_parameter(ag__making *m, const char *part, const ag_shape *shape, ag_initial initial,
                              ag_initial usual);

/* The parameter that makes a layer biased, with zeros unless the options say otherwise; NULL if they want none. */
ag_tensor *ag__make_bias(ag__making *m, const char *part, int64_t extent);

/* A variable, labelled `part`, with this number everywhere; nil after an error. */
ag_tensor *ag__make_variable(ag__making *m, const char *part, const ag_shape *shape, double value);

/* End: the tape's status. If that is an error, nothing of the layer is left on the tape, and the n handles are nil. */
ag_status ag__made(const ag__making *m, int n, ag_tensor **const handle[]);

#define AG__HANDLES(...)                                                                                               \
    ((int)(sizeof((ag_tensor **[]){__VA_ARGS__}) / sizeof(ag_tensor **))), ((ag_tensor **[]){__VA_ARGS__})

#endif
