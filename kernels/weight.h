/* kernels/weight.h: weights packed for a device. SPDX-License-Identifier: LGPL-3.0-or-later */
#pragma once

#include "kernels/tensor.h"

typedef enum
{
  FB_WEIGHT_LINEAR,            /* [Cout, Cin], as PyTorch's nn.Linear */
  FB_WEIGHT_CONV2D,            /* [Cout, Cin, kH, kW], as PyTorch's nn.Conv2d */
  FB_WEIGHT_CONV2D_UPSAMPLE,   /* the same, 3×3, used with upsample 2 and padding 1 only: a device may keep four folded kernels instead */
} FbWeightKind;

/**
 * FbWeight:
 *
 * A matrix or kernel in the layout its device multiplies fastest. One packed layout serves every batch and picture size, and nothing
 * else of the weight is kept.
 */
typedef struct FbWeight FbWeight;

/**
 * fb_weight_new:
 * @dtype: type to keep and multiply in; the device must support it
 * @shape: Cout, Cin (and kH, kW)
 * @data: host memory, row-major elements of @data_dtype; not needed after the call
 *
 * Returns: (transfer full): never %NULL; on failure @dev enters its error state and ops on the weight do nothing.
 */
FbWeight *  fb_weight_new   (FbDevice *dev, FbWeightKind kind, FbDtype dtype, const int *shape, const void *data, FbDtype data_dtype);
/**
 * fb_weight_new_half:
 * @data: host memory, row-major elements of @data_dtype, f16 or bf16
 *
 * A weight to multiply in f32 that keeps the 16-bit values as they are: half the memory. Ops widen what they read, which loses nothing: results
 * are bit for bit those of fb_weight_new() in f32. Not to be updated. Only where fb_weight_can_be_half().
 */
FbWeight *  fb_weight_new_half (FbDevice *dev, FbWeightKind kind, const int *shape, const void *data, FbDtype data_dtype);
gboolean    fb_weight_can_be_half (const FbDevice *dev);

/**
 * fb_weight_update:
 * @data: as in fb_weight_new()
 *
 * Packs other values into @w, in place: for weights that train. Does nothing while @w's device has failed.
 */
void        fb_weight_update (FbWeight *w, const void *data, FbDtype data_dtype);

FbWeight *  fb_weight_ref   (FbWeight *w);
void        fb_weight_unref (FbWeight *w);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (FbWeight, fb_weight_unref)

FbWeightKind fb_weight_kind  (const FbWeight *w);
/* (transfer none): Cout, Cin (, kH, kW) */
const int *  fb_weight_shape (const FbWeight *w);
size_t       fb_weight_n_bytes (const FbWeight *w);
