/* list -- every operation of the library: how it is called, and its name. Alphabetical
 *
 * An operation is defined whole in a file of ops/; its line here is what makes ag_op_at, the tests and ag-explain see
 * it. With X as AG_OPS(X) each line becomes X(kind, name). Kinds:
 *
 *     UNARY, BINARY          elementwise: ag_NAME(x), ag_NAME(a, b)
 *     NUMBER, NUMBER_FIRST   elementwise: ag_NAME(x, s), ag_NAME(s, x), with s a double
 *     INNER                  recorded by gradients and composed functions, not called by name
 *     OTHER                  whatever else is public
 *
 * For elementwise operations of the first four kinds, their inputs, the inputs that tests try, and their calls are
 * derived from these lines and their entries. */
#ifndef AG_OPS_LIST_H
#define AG_OPS_LIST_H

#define AG_OPS(X)                                                                                                      \
    X(UNARY, abs)                                                                                                      \
    X(UNARY, acos)                                                                                                     \
    X(UNARY, acosh)                                                                                                    \
    X(BINARY, add)                                                                                                     \
    X(NUMBER, add_scalar)                                                                                              \
    X(INNER, angle_slope)                                                                                              \
    X(OTHER, arange)                                                                                                   \
    X(OTHER, argmax)                                                                                                   \
    X(UNARY, asin)                                                                                                     \
    X(UNARY, asinh)                                                                                                    \
    X(UNARY, atan)                                                                                                     \
    X(BINARY, atan2)                                                                                                   \
    X(UNARY, atanh)                                                                                                    \
    X(INNER, below_one)                                                                                                \
    X(INNER, bend)                                                                                                     \
    X(BINARY, bitwise_and)                                                                                             \
    X(UNARY, bitwise_not)                                                                                              \
    X(BINARY, bitwise_or)                                                                                              \
    X(BINARY, bitwise_xor)                                                                                             \
    X(OTHER, broadcast_to)                                                                                             \
    X(OTHER, cast)                                                                                                     \
    X(UNARY, cbrt)                                                                                                     \
    X(OTHER, cholesky)                                                                                                 \
    X(OTHER, clamp)                                                                                                    \
    X(INNER, cofactor)                                                                                                 \
    X(UNARY, ceil)                                                                                                     \
    X(OTHER, clamp)                                                                                                    \
    X(OTHER, clamp_between)                                                                                            \
    X(BINARY, clamp_high)                                                                                              \
    X(BINARY, clamp_low)                                                                                               \
    X(OTHER, concat)                                                                                                   \
    X(INNER, conic_slope)                                                                                              \
    X(OTHER, contiguous)                                                                                               \
    X(BINARY, copysign)                                                                                                \
    X(UNARY, cos)                                                                                                      \
    X(UNARY, cosh)                                                                                                     \
    X(OTHER, depthwise)                                                                                                \
    X(OTHER, det)                                                                                                      \
    X(OTHER, diagonal)                                                                                                 \
    X(BINARY, div)                                                                                                     \
    X(NUMBER, div_scalar)                                                                                              \
    X(OTHER, draw_binomial)                                                                                            \
    X(OTHER, draw_gamma)                                                                                               \
    X(OTHER, draw_poisson)                                                                                             \
    X(OTHER, draw_truncated_normal)                                                                                    \
    X(OTHER, eigh)                                                                                                     \
    X(OTHER, embed)                                                                                                    \
    X(BINARY, equal)                                                                                                   \
    X(NUMBER, equal_scalar)                                                                                            \
    X(UNARY, exp)                                                                                                      \
    X(UNARY, exp2)                                                                                                     \
    X(UNARY, expm1)                                                                                                    \
    X(OTHER, fft)                                                                                                      \
    X(UNARY, floor)                                                                                                    \
    X(BINARY, floor_divide)                                                                                            \
    X(BINARY, fmod)                                                                                                    \
    X(OTHER, fold)                                                                                                     \
    X(INNER, from_one)                                                                                                 \
    X(OTHER, full)                                                                                                     \
    X(INNER, gamma_slope)                                                                                              \
    X(INNER, gate)                                                                                                     \
    X(OTHER, gather)                                                                                                   \
    X(OTHER, index)                                                                                                    \
    X(OTHER, index_add)                                                                                                \
    X(OTHER, index_put)                                                                                                \
    X(OTHER, inverse)                                                                                                  \
    X(OTHER, irfft)                                                                                                    \
    X(NUMBER, greater_equal_scalar)                                                                                    \
    X(NUMBER, greater_scalar)                                                                                          \
    X(OTHER, hardtanh)                                                                                                 \
    X(BINARY, hypot)                                                                                                   \
    X(OTHER, index)                                                                                                    \
    X(OTHER, index_add)                                                                                                \
    X(OTHER, index_put)                                                                                                \
    X(UNARY, isfinite)                                                                                                 \
    X(UNARY, isinf)                                                                                                    \
    X(UNARY, isnan)                                                                                                    \
    X(BINARY, left_shift)                                                                                              \
    X(OTHER, lerp)                                                                                                     \
    X(BINARY, less)                                                                                                    \
    X(BINARY, less_equal)                                                                                              \
    X(NUMBER, less_equal_scalar)                                                                                       \
    X(NUMBER, less_scalar)                                                                                             \
    X(UNARY, log)                                                                                                      \
    X(UNARY, log10)                                                                                                    \
    X(UNARY, log1p)                                                                                                    \
    X(UNARY, log2)                                                                                                     \
    X(OTHER, lstsq)                                                                                                    \
    X(OTHER, lu)                                                                                                       \
    X(BINARY, logaddexp)                                                                                               \
    X(BINARY, logical_and)                                                                                             \
    X(UNARY, logical_not)                                                                                              \
    X(BINARY, logical_or)                                                                                              \
    X(BINARY, logical_xor)                                                                                             \
    X(UNARY, logit)                                                                                                    \
    X(OTHER, matmul)                                                                                                   \
    X(OTHER, matrix_exp)                                                                                               \
    X(OTHER, max)                                                                                                      \
    X(BINARY, maximum)                                                                                                 \
    X(NUMBER, maximum_scalar)                                                                                          \
    X(OTHER, mean)                                                                                                     \
    X(OTHER, min)                                                                                                      \
    X(BINARY, minimum)                                                                                                 \
    X(NUMBER, minimum_scalar)                                                                                          \
    X(BINARY, mul)                                                                                                     \
    X(INNER, mul_both_strong)                                                                                          \
    X(OTHER, multinomial)                                                                                              \
    X(UNARY, neg)                                                                                                      \
    X(OTHER, normal)                                                                                                   \
    X(BINARY, not_equal)                                                                                               \
    X(NUMBER, not_equal_scalar)                                                                                        \
    X(OTHER, one_hot)                                                                                                  \
    X(OTHER, pad)                                                                                                      \
    X(OTHER, permutation)                                                                                              \
    X(OTHER, permute)                                                                                                  \
    X(BINARY, pow)                                                                                                     \
    X(NUMBER, pow_scalar)                                                                                              \
    X(OTHER, qr)                                                                                                       \
    X(OTHER, randint)                                                                                                  \
    X(INNER, random_key)                                                                                               \
    X(NUMBER_FIRST, rdiv_scalar)                                                                                       \
    X(UNARY, relu)                                                                                                     \
    X(BINARY, remainder)                                                                                               \
    X(OTHER, reshape)                                                                                                  \
    X(OTHER, rfft)                                                                                                     \
    X(BINARY, right_shift)                                                                                             \
    X(INNER, root_slope)                                                                                               \
    X(UNARY, round)                                                                                                    \
    X(UNARY, rsqrt)                                                                                                    \
    X(NUMBER_FIRST, rsub_scalar)                                                                                       \
    X(NUMBER, scale)                                                                                                   \
    X(OTHER, scatter_add)                                                                                              \
    X(UNARY, sigmoid)                                                                                                  \
    X(INNER, sigmoid_slope)                                                                                            \
    X(UNARY, sign)                                                                                                     \
    X(UNARY, sin)                                                                                                      \
    X(UNARY, sinc)                                                                                                     \
    X(INNER, sinc_slope)                                                                                               \
    X(UNARY, sinh)                                                                                                     \
    X(OTHER, slice)                                                                                                    \
    X(OTHER, slices)                                                                                                   \
    X(OTHER, slogdet)                                                                                                  \
    X(OTHER, solve)                                                                                                    \
    X(OTHER, solve_triangular)                                                                                         \
    X(UNARY, softplus)                                                                                                 \
    X(UNARY, softsign)                                                                                                 \
    X(UNARY, sqrt)                                                                                                     \
    X(UNARY, square)                                                                                                   \
    X(OTHER, stop_gradient)                                                                                            \
    X(BINARY, strong_div)                                                                                              \
    X(INNER, strong_matmul)                                                                                            \
    X(BINARY, strong_mul)                                                                                              \
    X(INNER, strong_tensordot)                                                                                         \
    X(BINARY, sub)                                                                                                     \
    X(OTHER, sum)                                                                                                      \
    X(OTHER, svd)                                                                                                      \
    X(UNARY, tan)                                                                                                      \
    X(UNARY, tanh)                                                                                                     \
    X(INNER, tanh_slope)                                                                                               \
    X(OTHER, tensordot)                                                                                                \
    X(UNARY, trunc)                                                                                                    \
    X(OTHER, uniform)                                                                                                  \
    X(OTHER, where)                                                                                                    \
    X(OTHER, windows)                                                                                                  \
    X(BINARY, xlog1py)                                                                                                 \
    X(BINARY, xlogy)

#endif
