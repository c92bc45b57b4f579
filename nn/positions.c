/* positions -- where in a sequence something is, as numbers that a network can use
 *
 * Angles are position·base^(−2i/D) for pairs i of D features. They are computed in f64, and their sines and cosines
 * rounded: in f32 an angle of 10000 would be wrong by a thousandth. */
#include "nn/along.h"
#include "nn/making.h"

#include <math.h>

/* base^(−2i/D) for each pair; nil without memory. */
static ag_tensor *frequencies(ag_tape *tape, int64_t pairs, int64_t features, double base) {
    double *list = ag_tape_alloc(tape, (size_t)pairs * sizeof *list);
    for (int64_t i = 0; list && i < pairs; i++) list[i] = pow(base, -2 * (double)i / (double)features);
    return ag_from(tape, AG_F64, AG_SHAPE(pairs), list);
}

/* NULL if x can be turned by these positions; else nil, after an error. */
static ag_tensor *rotary_wrong(ag_tensor *x, ag_tensor *positions, double base) {
    static const char name[] = "rotary";
    ag_tensor *const both[] = {x, positions};
    const int n = positions ? 2 : 1, rank = ag_rank(x);
    if (rank < 2 || rank >= AG_MAX_RANK || ag_extent(x, -1) % 2 != 0 || ag_extent(x, -1) < 2)
        return ag__refuse(name, n, both, AG_ERR_SHAPE, "x must be (…,T,D), with an even D, of 2 to %d axes",
                          AG_MAX_RANK - 1);
    if (ag_dtype_of(x) != AG_F32 && ag_dtype_of(x) != AG_F64)
        return ag__refuse(name, n, both, AG_ERR_DTYPE, "x must be f32 or f64, not %s", ag_dtype_name(ag_dtype_of(x)));
    if (!(base >= 1) || isinf(base))
        return ag__refuse(name, n, both, AG_ERR_RANGE, "the base is %g: a finite one of at least 1 is wanted", base);
    if (!positions) return NULL;
    if (ag_is_nil(positions)) return ag__refuse(name, n, both, AG_ERR_NIL, "the positions are no tensor");
    if (ag_tape_of(positions) != ag_tape_of(x))
        return ag__refuse(name, n, both, AG_ERR_TAPE, "the positions must be a tensor of the same tape");
    const int missing = rank - 1 - ag_rank(positions);
    bool fits = missing >= 0;
    for (int i = 0; fits && i < ag_rank(positions); i++)
        fits = ag_extent(positions, i) == 1 || ag_extent(positions, i) == ag_extent(x, missing + i);
    if (!fits) return ag__refuse(name, n, both, AG_ERR_SHAPE, "the positions cannot be broadcast to (…,T)");
    if (ag_dtype_of(positions) != AG_BOOL) return NULL;
    return ag__refuse(name, n, both, AG_ERR_DTYPE, "the positions must be numbers");
}

/* x in pairs: number 0 or 1 of each. */
static ag_tensor *of_pairs(ag_tensor *x, int number, bool halves) {
    const int64_t half = ag_extent(x, -1) / 2;
    return halves ? ag_slice(x, -1, number * half, (number + 1) * half, 1) : ag_slice(x, -1, number, AG_END, 2);
}

/* The numbers of each pair, a and b, behind each other, or in two halves. */
static ag_tensor *from_pairs(ag_tensor *a, ag_tensor *b, bool halves) {
    if (halves || ag_is_nil(a)) return ag_concat(2, (ag_tensor *[]){a, b}, -1);
    ag_shape shape = ag_shape_of(a);
    shape.extent[shape.rank - 1] *= 2;
    return ag__reshape_to(ag_concat(2, (ag_tensor *[]){ag_unsqueeze(a, -1), ag_unsqueeze(b, -1)}, -1), &shape);
}

ag_tensor *ag_rotary(ag_tensor *x, ag_tensor *positions, double base, bool halves) {
    ag_tensor *nil = rotary_wrong(x, positions, base);
    if (nil) return nil;
    ag_tape *tape = ag_tape_of(x);
    const int64_t d = ag_extent(x, -1);
    ag_tensor *place = positions ? ag_cast(positions, AG_F64) : ag_arange(tape, AG_F64, ag_extent(x, -2));
    ag_tensor *angle = ag_mul(ag_unsqueeze(place, -1), frequencies(tape, d / 2, d, base)); /* … T D/2 */
    ag_tensor *cosine = ag_cast(ag_cos(angle), ag_dtype_of(x)), *sine = ag_cast(ag_sin(angle), ag_dtype_of(x));
    ag_tensor *a = of_pairs(x, 0, halves), *b = of_pairs(x, 1, halves);
    return from_pairs(ag_sub(ag_mul(a, cosine), ag_mul(b, sine)), ag_add(ag_mul(a, sine), ag_mul(b, cosine)), halves);
}

ag_tensor *ag_sinusoidal_positions(ag_tape *tape, ag_dtype dtype, int64_t positions, int64_t features) {
    static const char name[] = "sinusoidal_positions";
    if (!tape) return ag__refuse_on(NULL, name, AG_ERR_NULL, "the tape is NULL");
    if (dtype != AG_F32 && dtype != AG_F64)
        return ag__refuse_on(tape, name, AG_ERR_DTYPE, "the dtype must be f32 or f64, not %s", ag_dtype_name(dtype));
    if (positions < 0 || features < 0 || features >= INT64_MAX / 16 ||
        positions > INT64_MAX / 16 / (features + 1)) /* of 8 bytes, one more than these features */
        return ag__refuse_on(tape, name, AG_ERR_SHAPE, "(%lld,%lld) is no shape", (long long)positions,
                             (long long)features);
    const int64_t pairs = (features + 1) / 2;
    ag_tensor *place = ag_unsqueeze(ag_arange(tape, AG_F64, positions), 1);
    ag_tensor *angle = ag_mul(place, frequencies(tape, pairs, features, 10000)); /* T C/2 */
    return ag_slice(ag_cast(from_pairs(ag_sin(angle), ag_cos(angle), false), dtype), 1, 0, features, 1);
}
