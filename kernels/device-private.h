/* kernels/device-private.h: what a device is made of; for kernels/ and its tests. SPDX-License-Identifier: LGPL-3.0-or-later */
#pragma once

#include "kernels/activation.h"
#include "kernels/attention.h"
#include "kernels/conv2d.h"
#include "kernels/device.h"
#include "kernels/elementwise.h"
#include "kernels/feature-distance.h"
#include "kernels/group-norm.h"
#include "kernels/layer-norm.h"
#include "kernels/linear.h"
#include "kernels/max-pool.h"
#include "kernels/plan.h"
#include "kernels/weight.h"

/**
 * FbDeviceOps:
 *
 * One device's functions. kernels/<op>.c checks shapes and the error state, then calls the slot; so a slot's function can trust its arguments.
 * A new device (CUDA) is one more of these tables; an empty op slot says "cannot".
 */
typedef struct
{
  const char *name;

  gboolean (* open)       (FbDevice *dev, GError **error);
  void     (* close)      (FbDevice *dev);
  FbDtype  (* best_dtype) (const FbDevice *dev);
  gboolean (* supports)   (const FbDevice *dev, FbDtype dtype);
  char *   (* describe)   (const FbDevice *dev);                         /* libraries and instruction set; NULL: nothing that matters */
  const char * (* card)   (const FbDevice *dev);                         /* its name; NULL: the device is none */
  void     (* finish)     (FbDevice *dev);                               /* waits for all work; NULL: work is done when an op returns */

  void *   (* alloc)      (FbDevice *dev, size_t n_bytes);              /* NULL when memory runs out */
  void     (* free)       (FbDevice *dev, void *data, size_t n_bytes);
  void     (* trim)       (FbDevice *dev);
  size_t   (* bytes_free) (FbDevice *dev);                              /* of its own memory; NULL: it takes the system's */
  void     (* upload)     (FbDevice *dev, void *device, FbDtype device_dtype, const void *host, FbDtype host_dtype, size_t n);
  void     (* download)   (FbDevice *dev, void *host, FbDtype host_dtype, const void *device, FbDtype device_dtype, size_t n);

  /* all or none of these four, see kernels/recording.h: between begin and end, ops are kept and not done. Begin says whether it can; end gives NULL
   * where something came in between, or @dev has failed. Replay is FALSE, and has done nothing, where @recorded names memory that has moved. */
  gboolean (* record_begin)  (FbDevice *dev);
  void *   (* record_end)    (FbDevice *dev);
  gboolean (* replay)        (FbDevice *dev, void *recorded);
  void     (* free_recorded) (FbDevice *dev, void *recorded);

  /* sets packed and n_bytes, or fails @dev; a weight that is packed already gets its new values in place; @widens: kept may be less than dtype */
  gboolean widens;
  void     (* pack)        (FbDevice *dev, FbWeight *weight, const void *data, FbDtype data_dtype);
  void     (* free_packed) (FbDevice *dev, FbWeight *weight);

  void (* activation) (FbDevice *dev, FbTensor *out, const FbTensor *x, FbActivation act);
  void (* geglu)      (FbDevice *dev, FbTensor *out, const FbTensor *x);
  void (* conv2d)     (FbDevice *dev, FbTensor *out, const FbTensor *x, const FbWeight *weight, const FbTensor *bias,
                       const FbTensor *residual, const FbConv2dParams *params, FbActivation act);
  void (* linear)     (FbDevice *dev, FbTensor *out, const FbTensor *x, const FbWeight *weight, const FbTensor *bias,
                       const FbTensor *residual, FbActivation act);
  void (* attention)  (FbDevice *dev, FbTensor *out, const FbTensor *q, const FbTensor *k, const FbTensor *v,
                       int n_heads, float scale, gboolean causal);
  void (* group_norm) (FbDevice *dev, FbTensor *out, const FbTensor *x, const FbTensor *weight, const FbTensor *bias,
                       int n_groups, float eps, FbActivation act);
  void (* layer_norm) (FbDevice *dev, FbTensor *out, const FbTensor *x, const FbTensor *weight, const FbTensor *bias, float eps);
  void (* add)        (FbDevice *dev, FbTensor *out, const FbTensor *a, const FbTensor *b);
  void (* concat)     (FbDevice *dev, FbTensor *out, const FbTensor *a, const FbTensor *b);
  void (* upsample)   (FbDevice *dev, FbTensor *out, const FbTensor *x);
  void (* cast)       (FbDevice *dev, FbTensor *out, const FbTensor *x);
  void (* max_pool)   (FbDevice *dev, FbTensor *out, const FbTensor *x);
  void (* feature_distance) (FbDevice *dev, FbTensor *out, const FbTensor *a, const FbTensor *b, const FbTensor *weight, float eps);

  void (* activation_backward)    (FbDevice *dev, FbTensor *dx, const FbTensor *dy, const FbTensor *x, FbActivation act);
  void (* geglu_backward)         (FbDevice *dev, FbTensor *dx, const FbTensor *dy, const FbTensor *x);
  void (* conv2d_backward_input)  (FbDevice *dev, FbTensor *dx, const FbTensor *dy, const FbWeight *weight, const FbConv2dParams *params,
                                   const FbTensor *sum);
  void (* conv2d_backward_weight) (FbDevice *dev, FbTensor *dw, const FbTensor *dy, const FbTensor *x, const FbConv2dParams *params);
  void (* linear_backward_input)  (FbDevice *dev, FbTensor *dx, const FbTensor *dy, const FbWeight *weight, const FbTensor *sum);
  void (* linear_backward_weight) (FbDevice *dev, FbTensor *dw, const FbTensor *dy, const FbTensor *x);
  void (* bias_backward)          (FbDevice *dev, FbTensor *db, const FbTensor *dy);
  void (* attention_backward)     (FbDevice *dev, FbTensor *dq, FbTensor *dk, FbTensor *dv, const FbTensor *dout, const FbTensor *q,
                                   const FbTensor *k, const FbTensor *v, const FbTensor *out, int n_heads, float scale, gboolean causal);
  void (* group_norm_backward)    (FbDevice *dev, FbTensor *dx, FbTensor *dweight, FbTensor *dbias, const FbTensor *dy, const FbTensor *x,
                                   const FbTensor *weight, const FbTensor *bias, int n_groups, float eps, FbActivation act);
  void (* layer_norm_backward)    (FbDevice *dev, FbTensor *dx, FbTensor *dweight, FbTensor *dbias, const FbTensor *dy, const FbTensor *x,
                                   const FbTensor *weight, const FbTensor *bias, float eps);
  void (* concat_backward)        (FbDevice *dev, FbTensor *da, FbTensor *db, const FbTensor *dout);
  void (* upsample_backward)      (FbDevice *dev, FbTensor *dx, const FbTensor *dout);
  void (* max_pool_backward)      (FbDevice *dev, FbTensor *dx, const FbTensor *dout, const FbTensor *x);
  void (* feature_distance_backward) (FbDevice *dev, FbTensor *da, const FbTensor *dout, const FbTensor *a, const FbTensor *b,
                                      const FbTensor *weight, float eps);
} FbDeviceOps;

extern const FbDeviceOps fb_reference_ops;
extern const FbDeviceOps fb_cpu_ops;

/**
 * FbTemporary: how the tensors of a recording's work are placed, kernels/recording.c
 * @places: offsets in @plan by address, in a plain run
 * @block, @n_bytes: in a recorded one: where all of them lie
 */
typedef struct
{
  FbPlan     *plan;
  GHashTable *places;
  void       *block;
  size_t      n_bytes;
} FbTemporary;

struct FbDevice
{
  const FbDeviceOps *ops;
  void              *state;          /* the device's own, made by open */
  int                ref_count;
  int                n_threads;
  int                place;          /* among this machine's processes that compute together, 0 …; −1: it is by itself */
  GError            *failure;        /* the first since the last check, owned */
  const gint        *cancel_flag;
  size_t             bytes_in_use;
  size_t             bytes_peak;
  size_t             limit;
  guint64            n_tensors;      /* made so far */
  FbTemporary       *temporary;      /* NULL but within fb_recording_run() */
};

struct FbWeight
{
  FbDevice    *dev;
  FbWeightKind kind;
  FbDtype      dtype;                /* to multiply in */
  FbDtype      kept;                 /* of what is packed: dtype, or 16 bits for f32 */
  int          shape[4];
  size_t       n_bytes;              /* of the packed data, set by pack */
  void        *packed;               /* the device's own */
  int          ref_count;
};

/* Whether the cancel flag is set; callable from any thread of an op. */
static inline gboolean
fb_device_cancel_requested (const FbDevice *dev)
{
  return dev->cancel_flag != NULL && g_atomic_int_get (dev->cancel_flag) != 0;
}

/* Fails @dev and returns TRUE when the cancel flag is set; ops call it between bands, from the caller's thread. */
gboolean fb_device_cancelled (FbDevice *dev);

/* Fails @dev with FB_DEVICE_ERROR_NO_MEMORY. */
void     fb_device_fail_no_memory (FbDevice *dev, size_t n_bytes);

/* Device memory that counts in bytes_in_use; NULL when @dev has failed or fails now. Freeing NULL does nothing. */
void *   fb_device_alloc (FbDevice *dev, size_t n_bytes);
void     fb_device_free  (FbDevice *dev, void *data, size_t n_bytes);

/* Whether an op on @tensors (some may be NULL) can start; where not, @dev has failed. Every op asks this once its shapes are checked. */
gboolean fb_op_ready (FbDevice *dev, gboolean device_has_op, const FbTensor * const *tensors, size_t n_tensors);
/* Whether @parameter (a bias, a scale) has the dtype that ops on @x take: f32, or f64 where all is f64. */
static inline gboolean
fb_op_is_parameter (const FbTensor *parameter, const FbTensor *x)
{
  return parameter->dtype == FB_DTYPE_F32 || (parameter->dtype == FB_DTYPE_F64 && x->dtype == FB_DTYPE_F64);
}

/* Whether @parameter is one per channel of @x, or not there. */
static inline gboolean
fb_op_is_per_channel (const FbTensor *parameter, const FbTensor *x)
{
  return parameter == NULL
         || (parameter->n_dims == 1 && parameter->shape[0] == x->shape[x->n_dims - 1] && fb_op_is_parameter (parameter, x));
}

/* As fb_op_ready(), for a weight. */
gboolean fb_weight_ready (const FbWeight *w);
