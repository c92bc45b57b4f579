/* initialisers -- how parameters begin
 *
 * All are composed of the random numbers of ops/source.h, except the orthogonal matrix, which is an operation of this
 * file's own: it has no gradient, and needs none. */
#include "nn/along.h"
#include "nn/refuse.h"

#include <math.h>
#include <string.h>

/* NULL if an initialiser can do its work; else nil, after an error. Rules by fans, and matrices, need two axes. */
static ag_tensor *what_is_wrong(const char *name, ag_tape *tape, ag_dtype dtype, const ag_shape *shape, int axes,
                                const char *what, double number) {
    if (!tape) return ag__refuse_on(NULL, name, AG_ERR_NULL, "the tape is NULL");
    if (dtype != AG_F32 && dtype != AG_F64)
        return ag__refuse_on(tape, name, AG_ERR_DTYPE, "the dtype must be f32 or f64, not %s", ag_dtype_name(dtype));
    if (shape->rank < axes)
        return ag__refuse_on(tape, name, AG_ERR_SHAPE,
                             "a shape of %d axes: inputs and outputs are wanted, two at least", shape->rank);
    if (shape->rank > AG_MAX_RANK)
        return ag__refuse_on(tape, name, AG_ERR_SHAPE, "a shape of %d axes: at most %d are wanted", shape->rank,
                             AG_MAX_RANK);
    if (!(number >= 0 && number < (double)INFINITY))
        return ag__refuse_on(tape, name, AG_ERR_RANGE, "the %s is %g: a finite one, 0 or more, is wanted", what,
                             number);
    return NULL;
}

static double usual(double number, double usual_one) { return number == 0 ? usual_one : number; }

/* ---- By the numbers of inputs and outputs ---- */

typedef enum fans { IN, IN_AND_OUT } fans;

/* The factor of deviation 1 under a rule: 0 for a weight without elements, which no number can be wrong for. */
static double scale_of(const ag_shape *shape, fans of, double variance) {
    double window = 1, in = (double)shape->extent[shape->rank - 2], out = (double)shape->extent[shape->rank - 1];
    for (int i = 0; i < shape->rank - 2; i++) window *= (double)shape->extent[i];
    double n = of == IN ? in * window : in * window + out * window;
    return n > 0 ? sqrt(variance / n) : 0;
}

static ag_tensor *fan_uniform(const char *name, ag_tape *tape, ag_dtype dtype, const ag_shape *shape, double gain,
                              fans of) {
    ag_tensor *nil = what_is_wrong(name, tape, dtype, shape, 2, "gain", gain);
    if (nil) return nil;
    double bound = usual(gain, 1) * scale_of(shape, of, 6);
    return ag_uniform(tape, dtype, *shape, -bound, bound);
}

static ag_tensor *fan_normal(const char *name, ag_tape *tape, ag_dtype dtype, const ag_shape *shape, double gain,
                             fans of) {
    ag_tensor *nil = what_is_wrong(name, tape, dtype, shape, 2, "gain", gain);
    if (nil) return nil;
    return ag_normal(tape, dtype, *shape, 0, usual(gain, 1) * scale_of(shape, of, 2));
}

ag_tensor *ag_init_he_uniform(ag_tape *tape, ag_dtype dtype, ag_shape shape, double gain) {
    return fan_uniform("init_he_uniform", tape, dtype, &shape, gain, IN);
}

ag_tensor *ag_init_he_normal(ag_tape *tape, ag_dtype dtype, ag_shape shape, double gain) {
    return fan_normal("init_he_normal", tape, dtype, &shape, gain, IN);
}

ag_tensor *ag_init_xavier_uniform(ag_tape *tape, ag_dtype dtype, ag_shape shape, double gain) {
    return fan_uniform("init_xavier_uniform", tape, dtype, &shape, gain, IN_AND_OUT);
}

ag_tensor *ag_init_xavier_normal(ag_tape *tape, ag_dtype dtype, ag_shape shape, double gain) {
    return fan_normal("init_xavier_normal", tape, dtype, &shape, gain, IN_AND_OUT);
}

/* ---- Orthogonal ---- */

/* Vectors of m elements, contiguous. The sum goes in four parts, which a processor can add at once: always the same
 * four, so that the bits are the same everywhere. */
static double dot(int64_t m, const double *a, const double *b) {
    double sum[4] = {0, 0, 0, 0};
    int64_t i = 0;
    for (; i + 4 <= m; i += 4)
        for (int k = 0; k < 4; k++) sum[k] += a[i + k] * b[i + k];
    for (; i < m; i++) sum[0] += a[i] * b[i];
    return (sum[0] + sum[1]) + (sum[2] + sum[3]);
}

/* a − (2·v·a)/(v·v)·v: reflected at the plane that v is normal to; `twice` is 2/(v·v), or 0 for no reflection. */
static void reflect(int64_t m, double *a, const double *v, double twice) {
    double s = twice == 0 ? 0 : twice * dot(m, v, a);
    for (int64_t i = 0; i < m; i++) a[i] -= s * v[i];
}

/* Householder's reflection number k, which makes a[k…m) a multiple of the first axis: a becomes its normal, and the
 * result is the sign of that multiple. */
static double normal_of(int64_t m, double *a, double *twice) {
    double norm = sqrt(dot(m, a, a)), sign = a[0] > 0 ? -1 : 1;
    a[0] -= sign * norm;
    double square = dot(m, a, a);
    *twice = square > 0 ? 2 / square : 0;
    return sign;
}

/* n rows of m >= n normal random numbers -> n orthonormal rows: the transposed Q of a QR decomposition whose R has a
 * positive diagonal. Row k of `v` becomes the normal of reflection k, in its elements k…m. */
static bool orthonormal_eval(const ag_call *call) {
    const int64_t n = call->y.shape[0], m = call->y.shape[1];
    double *v = ag_call_scratch(call, (size_t)(n * m + 2 * n) * sizeof *v), *q = call->y.data;
    if (!v) return false;
    double *twice = v + n * m, *sign = twice + n;
    memcpy(v, call->x[0].data, (size_t)(n * m) * sizeof *v);
    for (int64_t k = 0; k < n; k++) {
        double *normal = v + k * m + k;
        sign[k] = normal_of(m - k, normal, &twice[k]);
        for (int64_t j = k + 1; j < n; j++) reflect(m - k, v + j * m + k, normal, twice[k]);
    }
    for (int64_t k = 0; k < n; k++, q += m) {
        for (int64_t i = 0; i < m; i++) q[i] = i == k ? sign[k] : 0;
        for (int64_t j = k + 1; j-- > 0;) reflect(m - j, q + j, v + j * m + j, twice[j]);
    }
    return true;
}

static bool orthonormal_infer(ag_infer *r) { return r->shape.rank == 2 && r->dtype == AG_F64; }

static const ag_op orthonormal = {.name = "orthonormal",
                                  .kind = AG_KIND_OPAQUE,
                                  .arity = 1,
                                  .flags = AG_OP_NOT_DIFFERENTIABLE | AG_OP_CONTIGUOUS,
                                  .infer = orthonormal_infer,
                                  .eval = orthonormal_eval};

ag_tensor *ag_init_orthogonal(ag_tape *tape, ag_dtype dtype, ag_shape shape, double gain) {
    ag_tensor *nil = what_is_wrong("init_orthogonal", tape, dtype, &shape, 2, "gain", gain);
    if (nil) return nil;
    ag_tensor *random = ag_normal(tape, AG_F64, shape, 0, 1);
    if (ag_size(random) == 0) return ag_zeros(tape, dtype, shape);
    int64_t columns = shape.extent[shape.rank - 1], rows = ag_size(random) / columns;
    bool tall = rows >= columns;
    random = ag_reshape(random, tall ? AG_SHAPE(columns, rows) : AG_SHAPE(rows, columns));
    ag_tensor *q = ag_apply(&orthonormal, 1, &random, NULL, 0);
    if (tall) q = ag_transpose(q, 0, 1);
    q = ag_scale(ag__reshape_to(q, &shape), usual(gain, 1));
    return dtype == AG_F64 ? q : ag_cast(q, dtype);
}

/* ---- Whatever the shape ---- */

ag_tensor *ag_init_truncated_normal(ag_tape *tape, ag_dtype dtype, ag_shape shape, double deviation) {
    ag_tensor *nil = what_is_wrong("init_truncated_normal", tape, dtype, &shape, 0, "deviation", deviation);
    if (nil) return nil;
    ag_tensor *x = ag_normal(tape, dtype, shape, 0, 1), *two = ag_scalar(tape, dtype, 2), *beyond;
    for (;;) { /* of 22 numbers one is beyond */
        beyond = ag_greater(ag_abs(x), two);
        if (!(ag_item(ag_sum(ag_cast(beyond, AG_F64))) > 0)) break; /* nor after an error */
        x = ag_where(beyond, ag_normal(tape, dtype, shape, 0, 1), x);
    }
    return ag_scale(x, usual(deviation, 0.02));
}

ag_tensor *ag_init_normal(ag_tape *tape, ag_dtype dtype, ag_shape shape, double deviation) {
    ag_tensor *nil = what_is_wrong("init_normal", tape, dtype, &shape, 0, "deviation", deviation);
    return nil ? nil : ag_normal(tape, dtype, shape, 0, usual(deviation, 1));
}

ag_tensor *ag_init_uniform(ag_tape *tape, ag_dtype dtype, ag_shape shape, double bound) {
    ag_tensor *nil = what_is_wrong("init_uniform", tape, dtype, &shape, 0, "bound", bound);
    return nil ? nil : ag_uniform(tape, dtype, shape, -usual(bound, 1), usual(bound, 1));
}

ag_tensor *ag_init_constant(ag_tape *tape, ag_dtype dtype, ag_shape shape, double number) {
    return ag_full(tape, dtype, shape, number);
}

ag_tensor *ag_init_zeros(ag_tape *tape, ag_dtype dtype, ag_shape shape, double number) {
    (void)number;
    return ag_zeros(tape, dtype, shape);
}
