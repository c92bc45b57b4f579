/* activation -- activations of networks
 *
 * A few have formulas of their own, where a composition would lose digits or a derivative at a kink; the others are
 * composed, and become one sweep with their neighbours. None has kernels of its own. */
#include "ops/activation.h"
#include "ops/rules.h"

#include "ops/activation_formulas.h"

#include <math.h>

/* Whether x can be the argument of the activation `name`; if not, *nil is set, after an error. */
static bool usable(const char *name, ag_tensor *x, ag_tensor **nil) { return ag__real_inputs(name, 1, &x, nil); }

/* ---- Softplus and its like ---- */

AG_UNARY(softplus, "ln(1 + e^{0})", ag__slope_mul(g, ag_sigmoid(x)), AG_FORMULA_TRACE(softplus));
ag_tensor *ag_softplus(ag_tensor *x) { return ag__apply1(&ag__op_softplus, x); }

ag_tensor *ag_logsigmoid(ag_tensor *x) {
    ag_tensor *nil;
    return usable("logsigmoid", x, &nil) ? ag_neg(ag_softplus(ag_neg(x))) : nil;
}

ag_tensor *ag_silu(ag_tensor *x) {
    ag_tensor *nil;
    return usable("silu", x, &nil) ? ag_mul(x, ag_sigmoid(x)) : nil;
}

ag_tensor *ag_mish(ag_tensor *x) {
    ag_tensor *nil;
    return usable("mish", x, &nil) ? ag_mul(x, ag_tanh(ag_softplus(x))) : nil;
}

/* (1 + tanh u)/2 is σ(2u), whose digits do not cancel where u is far below 0. */
ag_tensor *ag_gelu_tanh(ag_tensor *x) {
    const double twice = 2 * 0.79788456080286535588; /* 2·√(2/π) */
    ag_tensor *nil;
    if (!usable("gelu_tanh", x, &nil)) return nil;
    ag_tensor *cubic = ag_mul(x, ag_add_scalar(ag_scale(ag_square(x), 0.044715), 1));
    return ag_mul(x, ag_sigmoid(ag_scale(cubic, twice)));
}

/* ---- Rational, and inverses ---- */

/* Not of y, whose digits cancel in 1 − |y|. */
static ag_tensor *softsign_slope(ag_tensor *x) { return ag_square(ag_rdiv_scalar(1, ag_add_scalar(ag_abs(x), 1))); }
AG_UNARY(softsign, "{0} / (1 + |{0}|)", ag_add(ag__slope_mul(g, softsign_slope(x)), ag__unknown(g, y)),
         AG_FORMULA_TRACE(softsign));
ag_tensor *ag_softsign(ag_tensor *x) { return ag__apply1(&ag__op_softsign, x); }

AG_UNARY(logit, "ln({0} / (1 - {0}))", ag_add(ag__slope_div(g, ag_mul(x, ag_rsub_scalar(1, x))), ag__unknown(g, y)),
         .flags = AG_OP_HIDES_NOTHING, .domain = {{.above = 0, .below = 1}}, AG_FORMULA_TRACE(logit));
ag_tensor *ag_logit(ag_tensor *x) { return ag__apply1(&ag__op_logit, x); }

/* ---- One function above 0, another below ---- */

/* w belongs to the part below 0. */
static ag_tensor *bend(ag_tensor *v, ag_tensor *x, ag_tensor *w) {
    return ag_apply(&ag__op_bend, 3, (ag_tensor *[]){v, x, w}, NULL, 0);
}
static ag_tensor *bend_vjp(ag_tensor *y, ag_tensor *g, int i) {
    ag_tensor *v = ag_input(y, 0), *x = ag_input(y, 1), *w = ag_input(y, 2);
    if (i == 0) return ag__slope_mul(g, bend(ag__number_as(v, 1), x, w));
    if (i == 1) return ag__unknown(ag__mul_both_strong(g, v), x);
    return ag_strong_mul(g, ag_where(ag_greater_scalar(x, 0), ag__number_as(v, 0), v));
}
AG_ELEMENTWISE(bend, 3, NULL, .flags = AG_OP_CHEAP, .vjp = bend_vjp, AG_FORMULA_TRACE(bend));

ag_tensor *ag_prelu(ag_tensor *x, ag_tensor *slope) {
    ag_tensor *nil, *in[] = {x, slope};
    ag_shape shape;
    if (!ag__real_inputs("prelu", 2, in, &nil)) return nil;
    if (ag_dtype_of(x) != ag_dtype_of(slope))
        return ag__fail("prelu", 2, in, AG_ERR_DTYPE, "dtypes %s and %s differ", ag_dtype_name(ag_dtype_of(x)),
                        ag_dtype_name(ag_dtype_of(slope)));
    if (!ag__share_shape("prelu", 2, in, &shape, &nil)) return nil;
    return bend(x, x, slope);
}

ag_tensor *ag_leaky_relu(ag_tensor *x, double slope) {
    ag_tensor *nil;
    return usable("leaky_relu", x, &nil) ? bend(x, x, ag__number_as(x, slope)) : nil;
}

/* above·x where x > 0, below·(e^(x/width) − 1) elsewhere. */
static ag_tensor *exponential_below(ag_tensor *x, double above, double below, double width) {
    ag_tensor *inner = width == 1 ? x : ag_div_scalar(x, width);
    ag_tensor *line = above == 1 ? x : ag_scale(x, above);
    return ag_where(ag_greater_scalar(x, 0), line, ag_scale(ag_expm1(inner), below));
}

ag_tensor *ag_elu(ag_tensor *x, double alpha) {
    ag_tensor *nil;
    return usable("elu", x, &nil) ? exponential_below(x, 1, alpha, 1) : nil;
}

ag_tensor *ag_celu(ag_tensor *x, double alpha) {
    ag_tensor *nil;
    if (!usable("celu", x, &nil)) return nil;
    if (!(alpha != 0))
        return ag__fail("celu", 1, &x, AG_ERR_RANGE, "alpha is %g: another number than 0 is wanted", alpha);
    return exponential_below(x, 1, alpha, alpha);
}

/* G. Klambauer et al., "Self-Normalizing Neural Networks" (2017). */
ag_tensor *ag_selu(ag_tensor *x) {
    const double scale = 1.0507009873554804934193349852946, alpha = 1.6732632423543772848170429916717;
    ag_tensor *nil;
    return usable("selu", x, &nil) ? exponential_below(x, scale, scale * alpha, 1) : nil;
}

/* ---- Lines ---- */

static ag_tensor *hardtanh_vjp(ag_tensor *y, ag_tensor *g, int i) {
    const ag__bounds *c = ag_attributes(y);
    return ag__gate(g, ag_input(y, i), c->low, c->high, 0, 0);
}
AG_ELEMENTWISE(hardtanh, 1, "clamp({0}, {d0}, {d1})", .flags = AG_OP_CHEAP, .attribute_bytes = sizeof(ag__bounds),
               .infer = ag__bounds_infer, .vjp = hardtanh_vjp, AG_FORMULA_TRACE(hardtanh));
ag_tensor *ag_hardtanh(ag_tensor *x, double low, double high) {
    return ag_apply(&ag__op_hardtanh, 1, &x, &(ag__bounds){low, high}, sizeof(ag__bounds));
}

ag_tensor *ag_hardsigmoid(ag_tensor *x) {
    ag_tensor *nil;
    return usable("hardsigmoid", x, &nil) ? ag_div_scalar(ag_hardtanh(ag_add_scalar(x, 3), 0, 6), 6) : nil;
}

ag_tensor *ag_hardswish(ag_tensor *x) {
    ag_tensor *nil;
    return usable("hardswish", x, &nil) ? ag_mul(x, ag_div_scalar(ag_hardtanh(ag_add_scalar(x, 3), 0, 6), 6)) : nil;
}

ag_tensor *ag_softshrink(ag_tensor *x, double threshold) {
    ag_tensor *nil;
    if (!usable("softshrink", x, &nil)) return nil;
    if (!(threshold >= 0))
        return ag__fail("softshrink", 1, &x, AG_ERR_RANGE, "the threshold is %g: at least 0 is wanted", threshold);
    return ag_sub(x, ag_clamp(x, -threshold, threshold));
}
