/* located -- each function as a macro of its own name, which adds where it is called
 *
 * Made by autograd/located.py from the public headers, by every build. Section 12 of autograd/autograd.h says why. */
#ifndef AG_NN_LOCATED_H
#define AG_NN_LOCATED_H
#ifndef AG_NO_LOCATION
/* clang-format off */

#define ag_linear_init(...) (ag_here(__FILE__, __LINE__), ag_linear_init(__VA_ARGS__))
#define ag_linear_init_unbiased(...) (ag_here(__FILE__, __LINE__), ag_linear_init_unbiased(__VA_ARGS__))
#define ag_linear_apply(...) ag_located(ag_linear_apply(__VA_ARGS__), __FILE__, __LINE__)
#define ag_embedding_init(...) (ag_here(__FILE__, __LINE__), ag_embedding_init(__VA_ARGS__))
#define ag_embedding_apply(...) ag_located(ag_embedding_apply(__VA_ARGS__), __FILE__, __LINE__)
#define ag_dropout(...) ag_located(ag_dropout(__VA_ARGS__), __FILE__, __LINE__)
#define ag_batchnorm_init(...) (ag_here(__FILE__, __LINE__), ag_batchnorm_init(__VA_ARGS__))
#define ag_batchnorm_init_unbiased(...) (ag_here(__FILE__, __LINE__), ag_batchnorm_init_unbiased(__VA_ARGS__))
#define ag_batchnorm_apply(...) ag_located(ag_batchnorm_apply(__VA_ARGS__), __FILE__, __LINE__)
#define ag_batchnorm_apply_nodes(...) ag_located(ag_batchnorm_apply_nodes(__VA_ARGS__), __FILE__, __LINE__)
#define ag_layernorm_init(...) (ag_here(__FILE__, __LINE__), ag_layernorm_init(__VA_ARGS__))
#define ag_layernorm_init_unbiased(...) (ag_here(__FILE__, __LINE__), ag_layernorm_init_unbiased(__VA_ARGS__))
#define ag_layernorm_apply(...) ag_located(ag_layernorm_apply(__VA_ARGS__), __FILE__, __LINE__)
#define ag_layernorm_apply_nodes(...) ag_located(ag_layernorm_apply_nodes(__VA_ARGS__), __FILE__, __LINE__)
#define ag_conv2d_init(...) (ag_here(__FILE__, __LINE__), ag_conv2d_init(__VA_ARGS__))
#define ag_conv2d_init_unbiased(...) (ag_here(__FILE__, __LINE__), ag_conv2d_init_unbiased(__VA_ARGS__))
#define ag_conv2d_apply(...) ag_located(ag_conv2d_apply(__VA_ARGS__), __FILE__, __LINE__)
#define ag_max_pool2d(...) ag_located(ag_max_pool2d(__VA_ARGS__), __FILE__, __LINE__)
#define ag_avg_pool2d(...) ag_located(ag_avg_pool2d(__VA_ARGS__), __FILE__, __LINE__)
#define ag_lstm_cell_init(...) (ag_here(__FILE__, __LINE__), ag_lstm_cell_init(__VA_ARGS__))
#define ag_lstm_cell_init_unbiased(...) (ag_here(__FILE__, __LINE__), ag_lstm_cell_init_unbiased(__VA_ARGS__))
#define ag_lstm_cell_apply(...) ag_located(ag_lstm_cell_apply(__VA_ARGS__), __FILE__, __LINE__)
#define ag_attention_init(...) (ag_here(__FILE__, __LINE__), ag_attention_init(__VA_ARGS__))
#define ag_attention_init_unbiased(...) (ag_here(__FILE__, __LINE__), ag_attention_init_unbiased(__VA_ARGS__))
#define ag_attention_apply(...) ag_located(ag_attention_apply(__VA_ARGS__), __FILE__, __LINE__)
#define ag_cross_entropy(...) ag_located(ag_cross_entropy(__VA_ARGS__), __FILE__, __LINE__)
#define ag_binary_cross_entropy(...) ag_located(ag_binary_cross_entropy(__VA_ARGS__), __FILE__, __LINE__)
#define ag_hinge(...) ag_located(ag_hinge(__VA_ARGS__), __FILE__, __LINE__)
#define ag_mse(...) ag_located(ag_mse(__VA_ARGS__), __FILE__, __LINE__)
#define ag_accuracy(...) ag_located(ag_accuracy(__VA_ARGS__), __FILE__, __LINE__)
#define ag_sgd_init(...) (ag_here(__FILE__, __LINE__), ag_sgd_init(__VA_ARGS__))
#define ag_sgd_step(...) (ag_here(__FILE__, __LINE__), ag_sgd_step(__VA_ARGS__))
#define ag_sgd_velocity(...) ag_located(ag_sgd_velocity(__VA_ARGS__), __FILE__, __LINE__)
#define ag_rmsprop_init(...) (ag_here(__FILE__, __LINE__), ag_rmsprop_init(__VA_ARGS__))
#define ag_rmsprop_step(...) (ag_here(__FILE__, __LINE__), ag_rmsprop_step(__VA_ARGS__))
#define ag_rmsprop_mean_square(...) ag_located(ag_rmsprop_mean_square(__VA_ARGS__), __FILE__, __LINE__)
#define ag_rmsprop_velocity(...) ag_located(ag_rmsprop_velocity(__VA_ARGS__), __FILE__, __LINE__)
#define ag_adam_init(...) (ag_here(__FILE__, __LINE__), ag_adam_init(__VA_ARGS__))
#define ag_adam_step(...) (ag_here(__FILE__, __LINE__), ag_adam_step(__VA_ARGS__))
#define ag_adam_first_moment(...) ag_located(ag_adam_first_moment(__VA_ARGS__), __FILE__, __LINE__)
#define ag_adam_second_moment(...) ag_located(ag_adam_second_moment(__VA_ARGS__), __FILE__, __LINE__)
#define ag_clip_norm(...) ag_located(ag_clip_norm(__VA_ARGS__), __FILE__, __LINE__)

#endif
#endif
