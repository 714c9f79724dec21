/* core/models/lpips.h: LPIPS, how different two pictures look. SPDX-License-Identifier: LGPL-3.0-or-later */
#pragma once

#include "core/formats/checkpoint.h"
#include "core/nn/params.h"

#define FB_LPIPS_N_LAYERS 5        /* where features are taken: VGG16's relu1_2, relu2_2, relu3_3, relu4_3, relu5_3 */
#define FB_LPIPS_N_CONVS  13
#define FB_LPIPS_MIN_SIDE 16       /* pixels: the network halves four times */

/**
 * FbLpipsConfig:
 * @channels: of each convolution's output, in their order; VGG16's are 64, 64, 128, 128, 256 × 3, 512 × 6
 */
typedef struct
{
  int channels[FB_LPIPS_N_CONVS];
} FbLpipsConfig;

/* Takes the widths from the shapes of @weights, component "lpips", and VGG16's where one says nothing; fb_loader_check() then names what is wrong. */
void          fb_lpips_config_read (FbLpipsConfig *config, FbCheckpoint *weights);

/**
 * FbLpips: version 0.1 with VGG16, arXiv:1801.03924
 *
 * Its tensors are called as in the state dict of the Python package lpips, LPIPS (net="vgg"), which are torchvision's VGG16 in slices and one
 * row of weights per layer: net.slice1.0.weight and .bias, net.slice1.2, net.slice2.5, … net.slice5.28; lin0.model.1.weight … lin4.model.1.weight,
 * [1, channels, 1, 1]. Others in the file are left alone. data/models/train/lpips_weights.py writes such a file.
 */
typedef struct FbLpips FbLpips;

/* @dev, @dtype: where and in what it will compute */
FbLpips *     fb_lpips_new    (const FbLpipsConfig *config, FbDevice *dev, FbDtype dtype);
void          fb_lpips_free   (FbLpips *m);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (FbLpips, fb_lpips_free)
FbParams *    fb_lpips_params (FbLpips *m);

/**
 * fb_lpips_features:
 * @picture: [N, H, W, 3], −1 … 1; H and W ≥ %FB_LPIPS_MIN_SIDE
 * @features: (out): of each layer, [N, H / 2^i, W / 2^i, C] (transfer none)
 */
void          fb_lpips_features (FbContext *ctx, const FbLpips *m, FbTensor *picture, FbTensor *features[FB_LPIPS_N_LAYERS]);

/**
 * fb_lpips_distance:
 * @a, @b: features of two pictures, or of N pairs
 *
 * Returns: (transfer none): [N], f32: 0 for equal pictures
 */
FbTensor *    fb_lpips_distance (FbContext *ctx, const FbLpips *m, FbTensor * const *a, FbTensor * const *b);
