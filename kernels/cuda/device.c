/* kernels/cuda/device.c: an NVIDIA card as a device. SPDX-License-Identifier: LGPL-3.0-or-later */

#include <glib/gi18n-lib.h>

#include "kernels/cuda/cuda-private.h"
#include "kernels/module.h"

#define STAGING_BYTES   ((size_t) 8 << 20)
#define LAP             16                  /* launches between two marks: with two laps in flight a few milliseconds of a UNet's work */
#define LEAST_SUPPORTED 75                  /* the lowest architecture that the kernels are compiled for */

gboolean
fb_cuda_succeeded (FbDevice *dev, cudaError_t status, const char *call)
{
  if (status == cudaSuccess)
    return TRUE;

  cudaGetLastError ();                                           /* an error that does not stick must not come back with the next call */
  if (status == cudaErrorMemoryAllocation)
    fb_device_fail (dev, FB_DEVICE_ERROR_NO_MEMORY,
                    _("The graphics card's memory ran out. Choose a smaller picture or close other programs that use the card."));
  else
    fb_cuda_library_failed (dev, "CUDA", cudaGetErrorString (status), call);
  return FALSE;
}

void
fb_cuda_library_failed (FbDevice *dev, const char *library, const char *reason, const char *call)
{
  g_debug ("%s: %s in %s", library, reason, call);
  fb_device_fail (dev, FB_DEVICE_ERROR_FAILED,
                  /* Translators: the first %s is the name of a library (CUDA, cuBLAS, cuDNN), the second its own message, in English */
                  _("The graphics card failed; %s says “%s”. FLASHBRUSH_DEVICE=cpu works without it."), library, reason);
}

/* Called before waiting for the card. The pool gives back what is free as soon as it holds more than its threshold, and it counts what is in use. */
static gboolean
keep_spare (FbDevice *dev)
{
  FbCuda *cuda = fb_cuda (dev);
  guint64 kept = dev->bytes_in_use + cuda->workspace_bytes + FB_DEVICE_MAX_SPARE;

  return FB_CUDA (dev, cudaMemPoolSetAttribute (cuda->pool, cudaMemPoolAttrReleaseThreshold, &kept));
}

gboolean
fb_cuda_ready (FbDevice *dev)
{
  FbCuda *cuda = fb_cuda (dev);
  guint   lap  = cuda->n_launches / LAP;

  if (dev->failure != NULL || !FB_CUDA (dev, cudaSetDevice (cuda->ordinal)))
    return FALSE;
  if (cuda->records)
    return TRUE;

  /* one event per lap in turn: the one about to be recorded again was recorded two laps ago */
  if (cuda->n_launches++ % LAP == 0)
    return keep_spare (dev) && FB_CUDA (dev, cudaEventSynchronize (cuda->laps[lap % 2])) &&
           FB_CUDA (dev, cudaEventRecord (cuda->laps[lap % 2], cuda->stream)) && !fb_device_cancelled (dev);
  return TRUE;
}

unsigned
fb_cuda_n_blocks (const FbDevice *dev, size_t n, unsigned block)
{
  size_t most = (size_t) fb_cuda (dev)->n_processors * 2048 / block * 2;          /* a multiprocessor holds up to 2048 threads */

  return (unsigned) CLAMP ((n + block - 1) / block, 1, most);
}

/* --- memory ----------------------------------------------------------------------------------------------------------- */

/* Device memory in the stream's order that no account counts, or NULL without a failure */
static void *
take (FbDevice *dev, size_t n_bytes)
{
  FbCuda     *cuda = fb_cuda (dev);
  void       *data = NULL;
  cudaError_t status;

  if (n_bytes > dev->limit || dev->bytes_in_use > dev->limit - n_bytes || cuda->workspace_bytes > dev->limit - n_bytes - dev->bytes_in_use)
    return NULL;
  if (n_bytes > G_MAXSIZE / 2)                                   /* the driver rounds up, and that could wrap */
    return NULL;
  if (!FB_CUDA (dev, cudaSetDevice (cuda->ordinal)))
    return NULL;

  status = cudaMallocFromPoolAsync (&data, n_bytes, cuda->pool, cuda->stream);
  if (status != cudaSuccess)                                     /* what the pool keeps may lie in pieces too small */
    {
      cudaGetLastError ();
      if (!FB_CUDA (dev, cudaStreamSynchronize (cuda->stream)) || !FB_CUDA (dev, cudaMemPoolTrimTo (cuda->pool, 0)))
        return NULL;
      status = cudaMallocFromPoolAsync (&data, n_bytes, cuda->pool, cuda->stream);
      cudaGetLastError ();
    }
  return status == cudaSuccess ? data : NULL;
}

static void *
cuda_alloc (FbDevice *dev, size_t n_bytes)
{
  return take (dev, n_bytes);
}

static void
cuda_free (FbDevice *dev, void *data, size_t n_bytes)
{
  if (FB_CUDA (dev, cudaSetDevice (fb_cuda (dev)->ordinal)))
    FB_CUDA (dev, cudaFreeAsync (data, fb_cuda (dev)->stream));  /* not before what was launched on it */
}

static void
drop_workspace (FbDevice *dev)
{
  FbCuda *cuda = fb_cuda (dev);

  if (cuda->workspace != NULL)
    FB_CUDA (dev, cudaFreeAsync (cuda->workspace, cuda->stream));
  cuda->n_moves        += cuda->workspace != NULL;
  cuda->workspace       = NULL;
  cuda->workspace_bytes = 0;
}

void *
fb_cuda_workspace (FbDevice *dev, size_t n_bytes)
{
  FbCuda *cuda = fb_cuda (dev);

  if (dev->failure != NULL)
    return NULL;
  if (n_bytes <= cuda->workspace_bytes)
    return cuda->workspace;

  if (!cuda->records)                                            /* a recording keeps to what its first run has left there */
    {
      drop_workspace (dev);
      cuda->workspace = take (dev, n_bytes);
    }
  if (cuda->workspace == NULL || cuda->records)
    {
      fb_device_fail_no_memory (dev, n_bytes);
      return NULL;
    }
  cuda->workspace_bytes = n_bytes;
  return cuda->workspace;
}

static void
cuda_trim (FbDevice *dev)
{
  FbCuda *cuda = fb_cuda (dev);

  if (!FB_CUDA (dev, cudaSetDevice (cuda->ordinal)))
    return;
  if (cuda->n_recordings == 0)                                   /* they would have to be made again */
    drop_workspace (dev);
  if (FB_CUDA (dev, cudaStreamSynchronize (cuda->stream)))
    FB_CUDA (dev, cudaMemPoolTrimTo (cuda->pool, 0));
}

/* What other programs leave, and what the pool keeps for later; within a limit, to which the workspace counts too */
static size_t
cuda_bytes_free (FbDevice *dev)
{
  FbCuda *cuda     = fb_cuda (dev);
  size_t  free     = 0, total = 0;
  guint64 reserved = 0, used = 0;

  if (!FB_CUDA (dev, cudaSetDevice (cuda->ordinal)) || !FB_CUDA (dev, cudaMemGetInfo (&free, &total)) ||
      !FB_CUDA (dev, cudaMemPoolGetAttribute (cuda->pool, cudaMemPoolAttrReservedMemCurrent, &reserved)) ||
      !FB_CUDA (dev, cudaMemPoolGetAttribute (cuda->pool, cudaMemPoolAttrUsedMemCurrent, &used)))
    return 0;
  free += (size_t) (reserved - MIN (reserved, used));

  return dev->limit == G_MAXSIZE ? free : MIN (free, dev->limit - MIN (dev->limit, dev->bytes_in_use + cuda->workspace_bytes));
}

/* --- copies ----------------------------------------------------------------------------------------------------------- */

/* The pinned buffers, made when first needed; both directions wait for them */
static gboolean
have_staging (FbDevice *dev)
{
  FbCuda *cuda = fb_cuda (dev);

  if (cuda->records)                                             /* a copy would be made from what lies there when it is replayed */
    fb_device_fail (dev, FB_DEVICE_ERROR_FAILED, "a copy within a recording");
  if (dev->failure != NULL || !FB_CUDA (dev, cudaSetDevice (cuda->ordinal)) || !keep_spare (dev))
    return FALSE;
  for (int i = 0; i < FB_CUDA_N_STAGING; i++)
    if (cuda->staging[i] == NULL && !FB_CUDA (dev, cudaHostAlloc (&cuda->staging[i], STAGING_BYTES, cudaHostAllocDefault)))
      return FALSE;
  return TRUE;
}

void
fb_cuda_upload (FbDevice *dev, void *device, FbDtype device_dtype, const void *host, FbDtype host_dtype, size_t n)
{
  FbCuda *cuda  = fb_cuda (dev);
  size_t  to    = fb_dtype_size (device_dtype), from = fb_dtype_size (host_dtype);
  size_t  chunk = STAGING_BYTES / to;

  if (!have_staging (dev))
    return;

  for (size_t i = 0, turn = 0; i < n; i += chunk, turn++)        /* one buffer is filled while the other is copied */
    {
      int    which = turn % FB_CUDA_N_STAGING;
      size_t count = MIN (chunk, n - i);

      if (fb_device_cancelled (dev) || !FB_CUDA (dev, cudaEventSynchronize (cuda->staged[which])))
        return;
      fb_dtype_convert (cuda->staging[which], device_dtype, (const char *) host + i * from, host_dtype, count);
      if (!FB_CUDA (dev, cudaMemcpyAsync ((char *) device + i * to, cuda->staging[which], count * to, cudaMemcpyHostToDevice, cuda->stream)) ||
          !FB_CUDA (dev, cudaEventRecord (cuda->staged[which], cuda->stream)))
        return;
    }
}

static void
cuda_download (FbDevice *dev, void *host, FbDtype host_dtype, const void *device, FbDtype device_dtype, size_t n)
{
  FbCuda *cuda  = fb_cuda (dev);
  size_t  from  = fb_dtype_size (device_dtype), to = fb_dtype_size (host_dtype);
  size_t  chunk = STAGING_BYTES / from;

  if (!have_staging (dev))
    return;

  for (size_t i = 0; i < n; i += chunk)                          /* pictures and latents: one chunk, seldom more */
    {
      size_t count = MIN (chunk, n - i);

      /* the buffer may still be read by an upload: the stream's order keeps this copy behind it */
      if (fb_device_cancelled (dev) ||
          !FB_CUDA (dev, cudaMemcpyAsync (cuda->staging[0], (const char *) device + i * from, count * from, cudaMemcpyDeviceToHost, cuda->stream)) ||
          !FB_CUDA (dev, cudaStreamSynchronize (cuda->stream)))
        return;
      fb_dtype_convert ((char *) host + i * to, host_dtype, cuda->staging[0], device_dtype, count);
    }
}

static void
cuda_finish (FbDevice *dev)
{
  if (FB_CUDA (dev, cudaSetDevice (fb_cuda (dev)->ordinal)) && keep_spare (dev))
    FB_CUDA (dev, cudaStreamSynchronize (fb_cuda (dev)->stream));
}

/* --- opening ---------------------------------------------------------------------------------------------------------- */

/* Of the cards that the kernels run on, the one with the most memory, or the one of @place; others are chosen with CUDA_VISIBLE_DEVICES. −1: none */
static int
choose_card (int place, struct cudaDeviceProp *chosen)
{
  g_autofree struct cudaDeviceProp *cards    = NULL;
  g_autofree int                   *ordinals = NULL;
  int                               n = 0, n_usable = 0, best = 0;

  if (cudaGetDeviceCount (&n) != cudaSuccess)
    n = 0;
  cards    = g_new (struct cudaDeviceProp, n);
  ordinals = g_new (int, n);
  for (int i = 0; i < n; i++)
    {
      struct cudaDeviceProp *card = &cards[n_usable];

      if (cudaGetDeviceProperties (card, i) == cudaSuccess && 10 * card->major + card->minor >= LEAST_SUPPORTED && card->memoryPoolsSupported)
        ordinals[n_usable++] = i;
    }
  cudaGetLastError ();
  if (n_usable == 0)
    return -1;

  for (int i = 1; i < n_usable; i++)
    if (cards[i].totalGlobalMem > cards[best].totalGlobalMem)
      best = i;
  if (place >= 0)
    best = place % n_usable;
  *chosen = cards[best];
  return ordinals[best];
}

static gboolean
make_resources (FbDevice *dev)
{
  FbCuda                 *cuda  = fb_cuda (dev);
  struct cudaMemPoolProps props = { 0 };

  props.allocType     = cudaMemAllocationTypePinned;
  props.location.type = cudaMemLocationTypeDevice;
  props.location.id   = cuda->ordinal;

  if (!FB_CUDA (dev, cudaSetDevice (cuda->ordinal)) ||
      !FB_CUDA (dev, cudaStreamCreateWithFlags (&cuda->stream, cudaStreamNonBlocking)) ||
      !FB_CUDA (dev, cudaMemPoolCreate (&cuda->pool, &props)))
    return FALSE;
  for (int i = 0; i < FB_CUDA_N_STAGING; i++)
    if (!FB_CUDA (dev, cudaEventCreateWithFlags (&cuda->staged[i], cudaEventDisableTiming)))
      return FALSE;
  for (int i = 0; i < 2; i++)
    if (!FB_CUDA (dev, cudaEventCreateWithFlags (&cuda->laps[i], cudaEventDisableTiming)))
      return FALSE;
  return TRUE;
}

/* Also of what make_resources() left half made */
static void
cuda_close (FbDevice *dev)
{
  FbCuda *cuda = fb_cuda (dev);

  cudaSetDevice (cuda->ordinal);
  if (cuda->stream != NULL)
    {
      cudaStreamSynchronize (cuda->stream);
      drop_workspace (dev);
    }
  fb_products_free (cuda->products);
  fb_dnn_free (cuda->dnn);
  for (int i = 0; i < FB_CUDA_N_STAGING; i++)
    {
      if (cuda->staging[i] != NULL)
        cudaFreeHost (cuda->staging[i]);
      if (cuda->staged[i] != NULL)
        cudaEventDestroy (cuda->staged[i]);
    }
  for (int i = 0; i < 2; i++)
    if (cuda->laps[i] != NULL)
      cudaEventDestroy (cuda->laps[i]);
  if (cuda->stream != NULL)
    cudaStreamSynchronize (cuda->stream);                        /* the workspace is back in the pool */
  if (cuda->pool != NULL)
    cudaMemPoolDestroy (cuda->pool);
  if (cuda->stream != NULL)
    cudaStreamDestroy (cuda->stream);
  cudaGetLastError ();
  g_free (cuda->name);
  g_free (cuda);
}

static gboolean
cuda_open (FbDevice *dev, GError **error)
{
  struct cudaDeviceProp card;
  int                   ordinal = choose_card (dev->place, &card);
  FbCuda               *cuda;

  if (ordinal < 0)
    {
      g_set_error (error, FB_DEVICE_ERROR, FB_DEVICE_ERROR_UNKNOWN,
                   _("No graphics card here can be used through CUDA: one of compute capability %.1f or later with a current driver is needed."),
                   LEAST_SUPPORTED / 10.0);
      return FALSE;
    }

  cuda               = g_new0 (FbCuda, 1);
  cuda->ordinal      = ordinal;
  cuda->name         = g_strdup (card.name);
  cuda->capability   = 10 * card.major + card.minor;
  cuda->n_processors = card.multiProcessorCount;
  dev->state         = cuda;
  if (!make_resources (dev))
    {
      g_propagate_error (error, g_steal_pointer (&dev->failure));
      cuda_close (dev);
      g_clear_error (&dev->failure);
      return FALSE;
    }
  g_debug ("CUDA on %s, compute capability %d.%d, %d multiprocessors", card.name, card.major, card.minor, card.multiProcessorCount);
  return TRUE;
}

/* f16 keeps three bits more than bf16, and networks that overflow it are redone in f32 */
static FbDtype
cuda_best_dtype (const FbDevice *dev)
{
  return FB_DTYPE_F16;
}

static gboolean
cuda_supports (const FbDevice *dev, FbDtype dtype)
{
  return dtype == FB_DTYPE_F32 || dtype == FB_DTYPE_F16 || (dtype == FB_DTYPE_BF16 && fb_cuda (dev)->capability >= 80);
}

static char *
cuda_describe (const FbDevice *dev)
{
  const FbCuda *cuda = fb_cuda (dev);

  return g_strdup_printf ("%s, compute capability %.1f, CUDA %d", cuda->name, cuda->capability / 10.0, CUDART_VERSION);
}

static const char *
cuda_card (const FbDevice *dev)
{
  return fb_cuda (dev)->name;
}

static const FbDeviceOps cuda_ops =
{
  .name        = "cuda",
  .open        = cuda_open,
  .close       = cuda_close,
  .best_dtype  = cuda_best_dtype,
  .supports    = cuda_supports,
  .describe    = cuda_describe,
  .card        = cuda_card,
  .finish      = cuda_finish,
  .alloc       = cuda_alloc,
  .free        = cuda_free,
  .trim        = cuda_trim,
  .bytes_free  = cuda_bytes_free,
  .record_begin  = fb_cuda_record_begin,
  .record_end    = fb_cuda_record_end,
  .replay        = fb_cuda_replay,
  .free_recorded = fb_cuda_free_recorded,
  .upload      = fb_cuda_upload,
  .download    = cuda_download,
  .pack        = fb_cuda_pack,
  .free_packed = fb_cuda_free_packed,
  .activation  = fb_cuda_activation,
  .geglu       = fb_cuda_geglu,
  .conv2d      = fb_cuda_conv2d,
  .linear      = fb_cuda_linear,
  .attention   = fb_cuda_attention,
  .group_norm  = fb_cuda_group_norm,
  .layer_norm  = fb_cuda_layer_norm,
  .add         = fb_cuda_add,
  .concat      = fb_cuda_concat,
  .upsample    = fb_cuda_upsample,
  .cast        = fb_cuda_cast,
  .max_pool    = fb_cuda_max_pool,

  .feature_distance = fb_cuda_feature_distance,

  .activation_backward    = fb_cuda_activation_backward,
  .geglu_backward         = fb_cuda_geglu_backward,
  .conv2d_backward_input  = fb_cuda_conv2d_backward_input,
  .conv2d_backward_weight = fb_cuda_conv2d_backward_weight,
  .linear_backward_input  = fb_cuda_linear_backward_input,
  .linear_backward_weight = fb_cuda_linear_backward_weight,
  .bias_backward          = fb_cuda_bias_backward,
  .attention_backward     = fb_cuda_attention_backward,
  .group_norm_backward    = fb_cuda_group_norm_backward,
  .layer_norm_backward    = fb_cuda_layer_norm_backward,
  .concat_backward        = fb_cuda_concat_backward,
  .upsample_backward      = fb_cuda_upsample_backward,
  .max_pool_backward      = fb_cuda_max_pool_backward,

  .feature_distance_backward = fb_cuda_feature_distance_backward,
};

/* What kernels/module.c looks for */
__attribute__ ((visibility ("default"))) const FbDeviceOps * fb_device_module_ops (size_t ops_size, size_t device_size);

const FbDeviceOps *
fb_device_module_ops (size_t ops_size, size_t device_size)
{
  return ops_size == sizeof (FbDeviceOps) && device_size == sizeof (FbDevice) ? &cuda_ops : NULL;
}
