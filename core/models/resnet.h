/* core/models/resnet.h: the residual block of the UNet and of the autoencoder. SPDX-License-Identifier: LGPL-3.0-or-later */
#pragma once

#include "core/nn/params.h"

typedef struct
{
  FbNorm   norm1, norm2;
  FbConv2d conv1, conv2;
  FbConv2d skip;              /* 1×1, only where Cin ≠ Cout */
  FbLinear time;              /* only in the UNet */
  gboolean has_skip, has_time;
} FbResnet;

/**
 * fb_resnet_init:
 * @time_channels: of the time embedding; 0 for a block that has none
 *
 * Describes the block under @params' current name.
 */
void       fb_resnet_init    (FbResnet *m, FbParams *params, int in_channels, int out_channels, int time_channels, int n_groups, float eps);

/**
 * fb_resnet_forward:
 * @x: [N, H, W, Cin]
 * @temb: (nullable): [N or 1, time_channels], the SiLU of the time embedding: all blocks share it
 *
 * Returns: [N, H, W, Cout]
 */
FbTensor * fb_resnet_forward (FbContext *ctx, const FbResnet *m, FbTensor *x, FbTensor *temb);
