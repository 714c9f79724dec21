/* core/nn/params.h: the named weights of a network. SPDX-License-Identifier: LGPL-3.0-or-later */
#pragma once

#include "core/nn/nn.h"

typedef enum
{
  FB_PARAM_CONV2D,            /* *weight, [Cout, Cin, kH, kW] */
  FB_PARAM_CONV2D_UPSAMPLE,   /* the same, of a convolution that enlarges its input and never meets odd sizes */
  FB_PARAM_LINEAR,            /* *weight, [Cout, Cin] */
  FB_PARAM_VECTOR,            /* *tensor, f32 [C] or [1, C]: biases, norms and single weights */
  FB_PARAM_TABLE,             /* *table, [rows, C]: embeddings, looked up on the host */
} FbParamKind;

/**
 * FbTable: an embedding, in host memory and in the type the network computes in, as PyTorch keeps it
 */
typedef struct
{
  void   *rows;
  FbDtype dtype;
  int     n_rows, width;
} FbTable;

/* Adds row @row to @out, @width floats. */
void fb_table_add_row (const FbTable *table, int row, float *out);

/**
 * FbParam: one tensor of the file and the place in the network that waits for it
 * @name: the diffusers state dict's
 * @shape: what the network expects, @n_dims sizes
 * @n_elements: their product
 * @enlarges: a convolution that enlarges its input
 * @gradient: (nullable): the layer's place for the gradient; %NULL for a table
 * @lora: (nullable): the layer's place for a LoRA branch, of a linear or convolution weight
 */
typedef struct
{
  char          *name;
  FbParamKind    kind;
  int            n_dims;
  int            shape[4];
  size_t         n_elements;
  gboolean       enlarges;
  FbTensor     **gradient;
  FbLoraBranch **lora;
  union
  {
    FbWeight **weight;
    FbTensor **tensor;
    FbTable   *table;
  } slot;
} FbParam;

/**
 * FbParams:
 *
 * All parameters of one network, by name. A network's description (fb_unet_init() and its like) enters each layer once; loading, merging
 * LoRAs, counting memory and reporting what is missing then work on this list and know no network.
 */
typedef struct FbParams FbParams;

FbParams *      fb_params_new  (void);
/* Frees the parameters' contents too. */
void            fb_params_free (FbParams *params);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (FbParams, fb_params_free)

/**
 * fb_params_enter, fb_params_leave:
 * @format: a piece of the name, with its dot: "resnets.%d."
 *
 * Names entered between the two begin with it.
 */
void            fb_params_enter (FbParams *params, const char *format, ...) G_GNUC_PRINTF (2, 3);
void            fb_params_leave (FbParams *params);

/**
 * fb_params_conv2d, …:
 * @m: the layer; stays where it is as long as @params lives. Its settings are filled in now, its tensors by loading.
 * @name: "conv1" enters "conv1.weight" and "conv1.bias"
 *
 * fb_params_conv2d() enters a square kernel with padding @kernel / 2; fb_params_conv2d_full() takes any.
 */
void            fb_params_conv2d      (FbParams *params, FbConv2d *m, const char *name, int in_channels, int out_channels, int kernel);
void            fb_params_conv2d_full (FbParams *params, FbConv2d *m, const char *name, int in_channels, int out_channels, int kernel,
                                       gboolean bias, const FbConv2dParams *settings);
void            fb_params_linear      (FbParams *params, FbLinear *m, const char *name, int in_channels, int out_channels, gboolean bias);
void            fb_params_group_norm  (FbParams *params, FbNorm *m, const char *name, int channels, int n_groups, float eps);
void            fb_params_layer_norm  (FbParams *params, FbNorm *m, const char *name, int channels, float eps);
void            fb_params_table       (FbParams *params, FbTable *m, const char *name, int n_rows, int width);

/* Enters "NAME.weight", [1, @in_channels]: the kernel of a 1×1 convolution to a single channel, kept as plain numbers: *weight, f32. */
void            fb_params_weights     (FbParams *params, FbTensor **weight, const char *name, int in_channels);

guint           fb_params_n      (const FbParams *params);
/* (transfer none) */
const FbParam * fb_params_get    (const FbParams *params, guint i);
/* (transfer none) (nullable) */
const FbParam * fb_params_lookup (const FbParams *params, const char *name);

/**
 * fb_params_set_odd_sizes:
 *
 * Whether enlarging convolutions will meet odd sizes. Kernels folded for 2× cannot crop, so their parameters then ask for the plain kernel;
 * after a change fb_param_is_filled() is false for them until they are filled again.
 */
void            fb_params_set_odd_sizes (FbParams *params, gboolean odd);

/* Whether @param's place holds its tensor, in the kind asked for */
gboolean        fb_param_is_filled (const FbParam *param);

/**
 * fb_param_fill:
 * @data: (nullable): host elements of @data_dtype, as many as @param has; not needed after the call. %NULL only on a measuring device.
 *
 * Puts the values into their place, packed for @dev in @dtype (vectors: f32). Frees what was there first, so that no weight is held twice.
 */
void            fb_param_fill (const FbParam *param, FbDevice *dev, FbDtype dtype, const void *data, FbDtype data_dtype);

/* The same in f32, with f16 or bf16 @data kept in 16 bits where the layer can multiply with that: fb_weight_new_half(). A vector is f32. */
void            fb_param_fill_half (const FbParam *param, FbDevice *dev, const void *data, FbDtype data_dtype);

/**
 * fb_param_set_trains:
 *
 * Gives the layer a gradient of zeros on @dev (f32, in the parameter's shape) for backward to add to, or takes it away. A trained parameter is
 * not an enlarging convolution's in the folded kind. fb_params_free() frees the gradients.
 */
void            fb_param_set_trains (const FbParam *param, FbDevice *dev, gboolean trains);

/* Frees one parameter's contents; it is to be filled again before use. */
void            fb_param_empty (const FbParam *param);

/* Puts places without contents into all of @params, so that a network's forward function can run on @dev, a measuring device. */
void            fb_params_fill_with_nothing (FbParams *params, FbDevice *dev, FbDtype dtype);

/* Frees all contents; the list stays. */
void            fb_params_clear (FbParams *params);

/* Bytes of all contents, and of one, when packed in @dtype; and of one that fb_param_fill_half() has filled. */
guint64         fb_params_bytes      (const FbParams *params, FbDtype dtype);
guint64         fb_param_bytes       (const FbParam *param, FbDtype dtype);
guint64         fb_param_half_bytes  (const FbParam *param);

/* Bytes that the present contents take: on the device, and tables in host memory besides where @with_tables. */
guint64         fb_params_held_bytes (const FbParams *params, gboolean with_tables);
