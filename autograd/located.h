/* located -- the caller's file and line, in every error and every recorded node
 *
 * Each function below is also a macro of its own name, which adds the place of the call: after it, for those that
 * record a tensor (so that nested calls each get their own line), and before it for the others (where one is among
 * another's arguments, it takes the note, and an error of the outer one has no place). Taking a function's address, or
 * defining AG_NO_LOCATION before including the library's headers, goes without; what is recorded so has the place of
 * the next located call on its tape. A library's own layers do this to give their caller's line. */
#ifndef AG_LOCATED_H
#define AG_LOCATED_H

#include "autograd/autograd.h"

#ifdef __cplusplus
extern "C" {
#endif

/* ag_located -- x, after noting this place for what was just recorded or has just failed on its tape; returns x
 * Errors: none */
AG_API ag_tensor *ag_located(ag_tensor *x, const char *file, int line);

/* ag_here -- note this place for the call that follows on this thread
 * Errors: none */
AG_API void ag_here(const char *file, int line);

#ifdef __cplusplus
}
#endif

#ifndef AG_NO_LOCATION

#define ag_abs(...) ag_located(ag_abs(__VA_ARGS__), __FILE__, __LINE__)
#define ag_add(...) ag_located(ag_add(__VA_ARGS__), __FILE__, __LINE__)
#define ag_add_scalar(...) ag_located(ag_add_scalar(__VA_ARGS__), __FILE__, __LINE__)
#define ag_apply(...) ag_located(ag_apply(__VA_ARGS__), __FILE__, __LINE__)
#define ag_apply_source(...) ag_located(ag_apply_source(__VA_ARGS__), __FILE__, __LINE__)
#define ag_arange(...) ag_located(ag_arange(__VA_ARGS__), __FILE__, __LINE__)
#define ag_argmax(...) ag_located(ag_argmax(__VA_ARGS__), __FILE__, __LINE__)
#define ag_broadcast_to(...) ag_located(ag_broadcast_to(__VA_ARGS__), __FILE__, __LINE__)
#define ag_cast(...) ag_located(ag_cast(__VA_ARGS__), __FILE__, __LINE__)
#define ag_clamp(...) ag_located(ag_clamp(__VA_ARGS__), __FILE__, __LINE__)
#define ag_concat(...) ag_located(ag_concat(__VA_ARGS__), __FILE__, __LINE__)
#define ag_contiguous(...) ag_located(ag_contiguous(__VA_ARGS__), __FILE__, __LINE__)
#define ag_cos(...) ag_located(ag_cos(__VA_ARGS__), __FILE__, __LINE__)
#define ag_div(...) ag_located(ag_div(__VA_ARGS__), __FILE__, __LINE__)
#define ag_div_scalar(...) ag_located(ag_div_scalar(__VA_ARGS__), __FILE__, __LINE__)
#define ag_embed(...) ag_located(ag_embed(__VA_ARGS__), __FILE__, __LINE__)
#define ag_equal(...) ag_located(ag_equal(__VA_ARGS__), __FILE__, __LINE__)
#define ag_exp(...) ag_located(ag_exp(__VA_ARGS__), __FILE__, __LINE__)
#define ag_expm1(...) ag_located(ag_expm1(__VA_ARGS__), __FILE__, __LINE__)
#define ag_flip(...) ag_located(ag_flip(__VA_ARGS__), __FILE__, __LINE__)
#define ag_fold(...) ag_located(ag_fold(__VA_ARGS__), __FILE__, __LINE__)
#define ag_from(...) ag_located(ag_from(__VA_ARGS__), __FILE__, __LINE__)
#define ag_full(...) ag_located(ag_full(__VA_ARGS__), __FILE__, __LINE__)
#define ag_gather(...) ag_located(ag_gather(__VA_ARGS__), __FILE__, __LINE__)
#define ag_gradient(...) ag_located(ag_gradient(__VA_ARGS__), __FILE__, __LINE__)
#define ag_greater(...) ag_located(ag_greater(__VA_ARGS__), __FILE__, __LINE__)
#define ag_greater_equal(...) ag_located(ag_greater_equal(__VA_ARGS__), __FILE__, __LINE__)
#define ag_hessian(...) ag_located(ag_hessian(__VA_ARGS__), __FILE__, __LINE__)
#define ag_hvp(...) ag_located(ag_hvp(__VA_ARGS__), __FILE__, __LINE__)
#define ag_jacobian(...) ag_located(ag_jacobian(__VA_ARGS__), __FILE__, __LINE__)
#define ag_label(...) ag_located(ag_label(__VA_ARGS__), __FILE__, __LINE__)
#define ag_less(...) ag_located(ag_less(__VA_ARGS__), __FILE__, __LINE__)
#define ag_less_equal(...) ag_located(ag_less_equal(__VA_ARGS__), __FILE__, __LINE__)
#define ag_log(...) ag_located(ag_log(__VA_ARGS__), __FILE__, __LINE__)
#define ag_log1p(...) ag_located(ag_log1p(__VA_ARGS__), __FILE__, __LINE__)
#define ag_log_softmax(...) ag_located(ag_log_softmax(__VA_ARGS__), __FILE__, __LINE__)
#define ag_logsumexp(...) ag_located(ag_logsumexp(__VA_ARGS__), __FILE__, __LINE__)
#define ag_matmul(...) ag_located(ag_matmul(__VA_ARGS__), __FILE__, __LINE__)
#define ag_max(...) ag_located(ag_max(__VA_ARGS__), __FILE__, __LINE__)
#define ag_max_over(...) ag_located(ag_max_over(__VA_ARGS__), __FILE__, __LINE__)
#define ag_maximum(...) ag_located(ag_maximum(__VA_ARGS__), __FILE__, __LINE__)
#define ag_maximum_scalar(...) ag_located(ag_maximum_scalar(__VA_ARGS__), __FILE__, __LINE__)
#define ag_mean(...) ag_located(ag_mean(__VA_ARGS__), __FILE__, __LINE__)
#define ag_mean_over(...) ag_located(ag_mean_over(__VA_ARGS__), __FILE__, __LINE__)
#define ag_min(...) ag_located(ag_min(__VA_ARGS__), __FILE__, __LINE__)
#define ag_min_over(...) ag_located(ag_min_over(__VA_ARGS__), __FILE__, __LINE__)
#define ag_minimum(...) ag_located(ag_minimum(__VA_ARGS__), __FILE__, __LINE__)
#define ag_minimum_scalar(...) ag_located(ag_minimum_scalar(__VA_ARGS__), __FILE__, __LINE__)
#define ag_mul(...) ag_located(ag_mul(__VA_ARGS__), __FILE__, __LINE__)
#define ag_neg(...) ag_located(ag_neg(__VA_ARGS__), __FILE__, __LINE__)
#define ag_normal(...) ag_located(ag_normal(__VA_ARGS__), __FILE__, __LINE__)
#define ag_not_equal(...) ag_located(ag_not_equal(__VA_ARGS__), __FILE__, __LINE__)
#define ag_ones(...) ag_located(ag_ones(__VA_ARGS__), __FILE__, __LINE__)
#define ag_parameter(...) ag_located(ag_parameter(__VA_ARGS__), __FILE__, __LINE__)
#define ag_parameter_from(...) ag_located(ag_parameter_from(__VA_ARGS__), __FILE__, __LINE__)
#define ag_permute(...) ag_located(ag_permute(__VA_ARGS__), __FILE__, __LINE__)
#define ag_pow(...) ag_located(ag_pow(__VA_ARGS__), __FILE__, __LINE__)
#define ag_pow_scalar(...) ag_located(ag_pow_scalar(__VA_ARGS__), __FILE__, __LINE__)
#define ag_rdiv_scalar(...) ag_located(ag_rdiv_scalar(__VA_ARGS__), __FILE__, __LINE__)
#define ag_relu(...) ag_located(ag_relu(__VA_ARGS__), __FILE__, __LINE__)
#define ag_reshape(...) ag_located(ag_reshape(__VA_ARGS__), __FILE__, __LINE__)
#define ag_rsqrt(...) ag_located(ag_rsqrt(__VA_ARGS__), __FILE__, __LINE__)
#define ag_rsub_scalar(...) ag_located(ag_rsub_scalar(__VA_ARGS__), __FILE__, __LINE__)
#define ag_scalar(...) ag_located(ag_scalar(__VA_ARGS__), __FILE__, __LINE__)
#define ag_scale(...) ag_located(ag_scale(__VA_ARGS__), __FILE__, __LINE__)
#define ag_scatter_add(...) ag_located(ag_scatter_add(__VA_ARGS__), __FILE__, __LINE__)
#define ag_sigmoid(...) ag_located(ag_sigmoid(__VA_ARGS__), __FILE__, __LINE__)
#define ag_sign(...) ag_located(ag_sign(__VA_ARGS__), __FILE__, __LINE__)
#define ag_sin(...) ag_located(ag_sin(__VA_ARGS__), __FILE__, __LINE__)
#define ag_slice(...) ag_located(ag_slice(__VA_ARGS__), __FILE__, __LINE__)
#define ag_softmax(...) ag_located(ag_softmax(__VA_ARGS__), __FILE__, __LINE__)
#define ag_sqrt(...) ag_located(ag_sqrt(__VA_ARGS__), __FILE__, __LINE__)
#define ag_square(...) ag_located(ag_square(__VA_ARGS__), __FILE__, __LINE__)
#define ag_squeeze(...) ag_located(ag_squeeze(__VA_ARGS__), __FILE__, __LINE__)
#define ag_stop_gradient(...) ag_located(ag_stop_gradient(__VA_ARGS__), __FILE__, __LINE__)
#define ag_strong_div(...) ag_located(ag_strong_div(__VA_ARGS__), __FILE__, __LINE__)
#define ag_strong_mul(...) ag_located(ag_strong_mul(__VA_ARGS__), __FILE__, __LINE__)
#define ag_sub(...) ag_located(ag_sub(__VA_ARGS__), __FILE__, __LINE__)
#define ag_sum(...) ag_located(ag_sum(__VA_ARGS__), __FILE__, __LINE__)
#define ag_sum_over(...) ag_located(ag_sum_over(__VA_ARGS__), __FILE__, __LINE__)
#define ag_surprisal(...) ag_located(ag_surprisal(__VA_ARGS__), __FILE__, __LINE__)
#define ag_tanh(...) ag_located(ag_tanh(__VA_ARGS__), __FILE__, __LINE__)
#define ag_transpose(...) ag_located(ag_transpose(__VA_ARGS__), __FILE__, __LINE__)
#define ag_uniform(...) ag_located(ag_uniform(__VA_ARGS__), __FILE__, __LINE__)
#define ag_unsqueeze(...) ag_located(ag_unsqueeze(__VA_ARGS__), __FILE__, __LINE__)
#define ag_var(...) ag_located(ag_var(__VA_ARGS__), __FILE__, __LINE__)
#define ag_var_over(...) ag_located(ag_var_over(__VA_ARGS__), __FILE__, __LINE__)
#define ag_variable(...) ag_located(ag_variable(__VA_ARGS__), __FILE__, __LINE__)
#define ag_variable_from(...) ag_located(ag_variable_from(__VA_ARGS__), __FILE__, __LINE__)
#define ag_where(...) ag_located(ag_where(__VA_ARGS__), __FILE__, __LINE__)
#define ag_windows(...) ag_located(ag_windows(__VA_ARGS__), __FILE__, __LINE__)
#define ag_wrap(...) ag_located(ag_wrap(__VA_ARGS__), __FILE__, __LINE__)
#define ag_zeros(...) ag_located(ag_zeros(__VA_ARGS__), __FILE__, __LINE__)

#define ag_assign(...) (ag_here(__FILE__, __LINE__), ag_assign(__VA_ARGS__))
#define ag_assign_with(...) (ag_here(__FILE__, __LINE__), ag_assign_with(__VA_ARGS__))
#define ag_backward(...) (ag_here(__FILE__, __LINE__), ag_backward(__VA_ARGS__))
#define ag_data(...) (ag_here(__FILE__, __LINE__), ag_data(__VA_ARGS__))
#define ag_element(...) (ag_here(__FILE__, __LINE__), ag_element(__VA_ARGS__))
#define ag_eval(...) (ag_here(__FILE__, __LINE__), ag_eval(__VA_ARGS__))
#define ag_eval_all(...) (ag_here(__FILE__, __LINE__), ag_eval_all(__VA_ARGS__))
#define ag_explain(...) (ag_here(__FILE__, __LINE__), ag_explain(__VA_ARGS__))
#define ag_formula(...) (ag_here(__FILE__, __LINE__), ag_formula(__VA_ARGS__))
#define ag_grad(...) (ag_here(__FILE__, __LINE__), ag_grad(__VA_ARGS__))
#define ag_gradcheck(...) (ag_here(__FILE__, __LINE__), ag_gradcheck(__VA_ARGS__))
#define ag_item(...) (ag_here(__FILE__, __LINE__), ag_item(__VA_ARGS__))
#define ag_jvp(...) (ag_here(__FILE__, __LINE__), ag_jvp(__VA_ARGS__))
#define ag_profile_start(...) (ag_here(__FILE__, __LINE__), ag_profile_start(__VA_ARGS__))
#define ag_profile_stop(...) (ag_here(__FILE__, __LINE__), ag_profile_stop(__VA_ARGS__))
#define ag_profile_table(...) (ag_here(__FILE__, __LINE__), ag_profile_table(__VA_ARGS__))
#define ag_profile_write(...) (ag_here(__FILE__, __LINE__), ag_profile_write(__VA_ARGS__))
#define ag_set(...) (ag_here(__FILE__, __LINE__), ag_set(__VA_ARGS__))
#define ag_tape_free(...) (ag_here(__FILE__, __LINE__), ag_tape_free(__VA_ARGS__))
#define ag_tape_memory_table(...) (ag_here(__FILE__, __LINE__), ag_tape_memory_table(__VA_ARGS__))
#define ag_tape_rewind(...) (ag_here(__FILE__, __LINE__), ag_tape_rewind(__VA_ARGS__))
#define ag_tape_trim(...) (ag_here(__FILE__, __LINE__), ag_tape_trim(__VA_ARGS__))
#define ag_trace_backward(...) (ag_here(__FILE__, __LINE__), ag_trace_backward(__VA_ARGS__))
#define ag_vjp(...) (ag_here(__FILE__, __LINE__), ag_vjp(__VA_ARGS__))
#define ag_write_dot(...) (ag_here(__FILE__, __LINE__), ag_write_dot(__VA_ARGS__))

#endif

#endif
