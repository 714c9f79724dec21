/* tests/kernels/conformance.h: one op's cases, and what their run functions use. SPDX-License-Identifier: LGPL-3.0-or-later */
#pragma once

#include "kernels/device-private.h"

/**
 * FbOpTests:
 * @cases: array of the op's own case structs, each @case_size bytes, whose first member is its name
 * @run: makes the inputs, the same on every device, runs the op on @dev in @dtype; (transfer full): its output
 * @f32_tolerance, @bf16_tolerance: largest difference from reference/, relative to the largest output; from the op's header
 */
typedef struct
{
  const char *op;
  const void *cases;
  size_t      case_size;
  size_t      n_cases;
  FbTensor *  (* run) (FbDevice *dev, FbDtype dtype, const void *one);
  double      f32_tolerance, bf16_tolerance;
} FbOpTests;

#define FB_OP_TESTS(op, cases, run, f32_tolerance, bf16_tolerance) \
  { op, cases, sizeof cases[0], G_N_ELEMENTS (cases), run, f32_tolerance, bf16_tolerance }

extern const FbOpTests fb_activation_tests, fb_geglu_tests, fb_conv2d_tests, fb_linear_tests, fb_attention_tests, fb_group_norm_tests,
                       fb_layer_norm_tests, fb_add_tests, fb_concat_tests, fb_cast_tests, fb_upsample_tests, fb_max_pool_tests,
                       fb_feature_distance_tests;
extern const FbOpTests fb_activation_backward_tests, fb_geglu_backward_tests, fb_conv2d_backward_input_tests,
                       fb_conv2d_backward_weight_tests, fb_linear_backward_input_tests, fb_linear_backward_weight_tests,
                       fb_bias_backward_tests, fb_attention_backward_queries_tests, fb_attention_backward_queries_alone_tests,
                       fb_attention_backward_keys_tests, fb_attention_backward_values_tests, fb_group_norm_backward_input_tests,
                       fb_group_norm_backward_weight_tests, fb_group_norm_backward_bias_tests, fb_layer_norm_backward_input_tests,
                       fb_layer_norm_backward_weight_tests, fb_layer_norm_backward_bias_tests, fb_concat_backward_first_tests,
                       fb_concat_backward_second_alone_tests, fb_upsample_backward_tests, fb_max_pool_backward_tests,
                       fb_feature_distance_backward_tests;

/* (transfer full): normally distributed values that depend on @seed and the number of elements alone, rounded to @dtype */
FbTensor * fb_test_tensor (FbDevice *dev, FbDtype dtype, int n_dims, const int *shape, guint32 seed, float mean, float deviation);
/* The same for a weight; deviation 1 / √(inputs per output), so that outputs are about as large as inputs */
FbWeight * fb_test_weight (FbDevice *dev, FbWeightKind kind, FbDtype dtype, const int *shape, guint32 seed);
