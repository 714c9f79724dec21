/* kernels/device.h: devices that run ops. SPDX-License-Identifier: LGPL-3.0-or-later */
#pragma once

#include "kernels/tensor.h"

typedef enum
{
  FB_DEVICE_ERROR_UNKNOWN,        /* no device has that name, or this build or machine lacks it */
  FB_DEVICE_ERROR_NO_MEMORY,      /* an allocation failed */
  FB_DEVICE_ERROR_CANCELLED,      /* the cancel flag was set */
  FB_DEVICE_ERROR_FAILED,         /* the device's library reported a failure */
} FbDeviceError;
#define FB_DEVICE_N_ERRORS (FB_DEVICE_ERROR_FAILED + 1)

#define FB_DEVICE_ERROR (fb_device_error_quark ())
GQuark fb_device_error_quark (void);

/**
 * fb_device_new:
 * @name: "cuda" (an NVIDIA card), "cpu" (oneDNN), "reference" (plain loops with f64 sums; slow, the truth for tests)
 * @n_threads: threads an op may use; 0 means one per physical core. Results do not depend on it.
 *
 * One device serves one thread of the caller at a time.
 *
 * Returns: (transfer full): the device, or %NULL with @error set.
 */
FbDevice *   fb_device_new   (const char *name, int n_threads, GError **error);

/**
 * fb_device_new_chosen:
 *
 * Opens the device that the environment variable FLASHBRUSH_DEVICE names; with "auto", an NVIDIA card where a driver answers, else the
 * processor; without the variable, the processor, until the card's code has passed its tests on a card.
 *
 * Returns: (transfer full): the device, or %NULL with @error set.
 */
FbDevice *   fb_device_new_chosen (int n_threads, GError **error);

/**
 * fb_device_new_in_place:
 * @place: 0 …: this process's place among those of this machine that compute together; −1: it is by itself
 *
 * As fb_device_new_chosen(). Where that is a card, each place has another one; where cards are fewer, places take them in turn.
 */
FbDevice *   fb_device_new_in_place (int place, int n_threads, GError **error);

FbDevice *   fb_device_ref   (FbDevice *dev);
void         fb_device_unref (FbDevice *dev);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (FbDevice, fb_device_unref)

const char * fb_device_name      (const FbDevice *dev);
int          fb_device_n_threads (const FbDevice *dev);

/* Loops of the calling thread's own take as many threads as @dev's ops from now on: another number would end and begin threads each time. */
void         fb_device_share_threads (const FbDevice *dev);

/* (transfer full): all that decides the last bits of what @dev computes: its name, threads, instruction set and libraries, for logs and checkpoints */
char *       fb_device_describe  (const FbDevice *dev);

/* (transfer none) (nullable): what people call the graphics card, "NVIDIA GeForce RTX 4070"; %NULL where @dev is none */
const char * fb_device_card      (const FbDevice *dev);

/* (transfer none): the names fb_device_new() knows, best first, %NULL-terminated; whether this machine has them, opening one tells */
const char * const * fb_device_names (void);

/* The type @dev computes fastest in: BF16 where the processor multiplies it, else F32. */
FbDtype      fb_device_best_dtype (const FbDevice *dev);
/* Whether ops accept activations and weights of @dtype. */
gboolean     fb_device_supports (const FbDevice *dev, FbDtype dtype);

/**
 * fb_device_check:
 *
 * Waits for all work given to @dev. The first failure since the last check (cancel included) is reported here once, and @dev works again.
 * Between a failure and the check, ops do nothing and tensors hold undefined values.
 *
 * Returns: %TRUE if nothing failed.
 */
gboolean     fb_device_check (FbDevice *dev, GError **error);

/* Whether an op has failed since the last check: lets a long computation leave early. */
gboolean     fb_device_has_failed (const FbDevice *dev);

/**
 * fb_device_set_cancel_flag:
 * @flag: (nullable): read atomically, from any thread's writes; nonzero makes the running op stop within about 50 ms, and the device fail
 *   with %FB_DEVICE_ERROR_CANCELLED. Must stay valid until replaced.
 */
void         fb_device_set_cancel_flag (FbDevice *dev, const gint *flag);

/* Makes the device fail with @code, unless it has failed already; for ops and for layers above that meet an error mid-way. */
void         fb_device_fail (FbDevice *dev, FbDeviceError code, const char *format, ...) G_GNUC_PRINTF (3, 4);

/* Most bytes of freed tensors that a device keeps for the next ones: a decoder's two largest and some */
#define FB_DEVICE_MAX_SPARE ((size_t) 512 << 20)

/* Bytes of tensors and weights alive on @dev, and the most there has been since the last reset. */
size_t       fb_device_bytes_in_use (const FbDevice *dev);
size_t       fb_device_bytes_peak   (const FbDevice *dev);
void         fb_device_reset_peak   (FbDevice *dev);

/**
 * fb_device_set_limit:
 * @n_bytes: most bytes of tensors and weights that may live on @dev, on a card of working memory too; G_MAXSIZE: no limit but the memory's end
 *
 * What would go beyond fails with %FB_DEVICE_ERROR_NO_MEMORY; what lives already stays. A device opens with as many MiB as the environment
 * variable FLASHBRUSH_DEVICE_MEMORY says, so that a small card can be tried on a large one.
 */
void         fb_device_set_limit  (FbDevice *dev, size_t n_bytes);
size_t       fb_device_limit      (const FbDevice *dev);

/* Whether @dev has memory of its own, as a card has, or takes the system's. */
gboolean     fb_device_has_memory (const FbDevice *dev);

/* Bytes that can be had besides those in use, by the limit and by the device's own memory; G_MAXSIZE where neither says. */
size_t       fb_device_bytes_free (FbDevice *dev);

/* Gives pooled free memory back to the system. */
void         fb_device_trim (FbDevice *dev);
