/* kernels/device.c: a device's sticky error, cancel flag and memory account. SPDX-License-Identifier: LGPL-3.0-or-later */

#include <gnu/libc-version.h>
#include <glib/gi18n-lib.h>

#include "kernels/device-private.h"

G_DEFINE_QUARK (fb-device-error-quark, fb_device_error)

FbDevice *
fb_device_ref (FbDevice *dev)
{
  dev->ref_count++;
  return dev;
}

void
fb_device_unref (FbDevice *dev)
{
  if (--dev->ref_count > 0)
    return;

  if (dev->bytes_in_use > 0)
    g_critical ("device %s closed while %zu bytes of tensors or weights live on it", dev->ops->name, dev->bytes_in_use);
  dev->ops->close (dev);
  g_clear_error (&dev->failure);
  g_free (dev);
}

const char *
fb_device_name (const FbDevice *dev)
{
  return dev->ops->name;
}

int
fb_device_n_threads (const FbDevice *dev)
{
  return dev->n_threads;
}

char *
fb_device_describe (const FbDevice *dev)
{
  g_autofree char *libraries = dev->ops->describe != NULL ? dev->ops->describe (dev) : g_strdup ("no libraries");

  return g_strdup_printf ("%s, threads %d, %s, GLib %u.%u.%u, C library %s", dev->ops->name, dev->n_threads, libraries,
                          glib_major_version, glib_minor_version, glib_micro_version, gnu_get_libc_version ());
}

const char *
fb_device_card (const FbDevice *dev)
{
  return dev->ops->card != NULL ? dev->ops->card (dev) : NULL;
}

FbDtype
fb_device_best_dtype (const FbDevice *dev)
{
  return dev->ops->best_dtype (dev);
}

gboolean
fb_device_supports (const FbDevice *dev, FbDtype dtype)
{
  return dev->ops->supports (dev, dtype);
}

gboolean
fb_device_check (FbDevice *dev, GError **error)
{
  if (dev->ops->finish != NULL)
    dev->ops->finish (dev);
  if (dev->failure == NULL)
    return TRUE;

  g_propagate_error (error, g_steal_pointer (&dev->failure));
  return FALSE;
}

gboolean
fb_device_has_failed (const FbDevice *dev)
{
  return dev->failure != NULL;
}

void
fb_device_set_cancel_flag (FbDevice *dev, const gint *flag)
{
  dev->cancel_flag = flag;
}

gboolean
fb_device_cancelled (FbDevice *dev)
{
  if (!fb_device_cancel_requested (dev))
    return FALSE;

  fb_device_fail (dev, FB_DEVICE_ERROR_CANCELLED, _("The computation was cancelled."));
  return TRUE;
}

void
fb_device_fail (FbDevice *dev, FbDeviceError code, const char *format, ...)
{
  va_list args;

  if (dev->failure != NULL)
    return;

  va_start (args, format);
  dev->failure = g_error_new_valist (FB_DEVICE_ERROR, code, format, args);
  va_end (args);
}

void
fb_device_fail_no_memory (FbDevice *dev, size_t n_bytes)
{
  g_autofree char *size = g_format_size (n_bytes);

  fb_device_fail (dev, FB_DEVICE_ERROR_NO_MEMORY,
                  /* Translators: %s is a size such as “1.2 GB” */
                  _("Memory ran out: %s more were needed. Choose a smaller picture or close other programs."), size);
}

gboolean
fb_op_ready (FbDevice *dev, gboolean device_has_op, const FbTensor * const *tensors, size_t n_tensors)
{
  for (size_t i = 0; i < n_tensors; i++)
    g_assert (tensors[i] == NULL || tensors[i]->dev == dev);

  if (dev->failure != NULL || fb_device_cancelled (dev))
    return FALSE;

  if (!device_has_op)
    {
      fb_device_fail (dev, FB_DEVICE_ERROR_FAILED, _("The compute device “%s” cannot do an operation that this model needs."), dev->ops->name);
      return FALSE;
    }

  for (size_t i = 0; i < n_tensors; i++)
    if (tensors[i] != NULL && tensors[i]->data == NULL)         /* made while the device had failed, used after the check */
      {
        fb_device_fail_no_memory (dev, tensors[i]->n_bytes);
        return FALSE;
      }

  return TRUE;
}

/* Bytes up to the limit */
static size_t
within_limit (const FbDevice *dev)
{
  return dev->limit - MIN (dev->limit, dev->bytes_in_use);
}

/* A place in the recording's block; the first run has told how large that has to be */
static void *
place_in_block (FbDevice *dev, size_t n_bytes)
{
  const FbTemporary *t      = dev->temporary;
  const size_t       offset = n_bytes <= t->n_bytes ? fb_plan_take (t->plan, n_bytes) : t->n_bytes;

  if (offset <= t->n_bytes - MIN (t->n_bytes, n_bytes) && n_bytes <= t->n_bytes)
    return (char *) t->block + offset;

  fb_device_fail_no_memory (dev, n_bytes);
  return NULL;
}

void *
fb_device_alloc (FbDevice *dev, size_t n_bytes)
{
  void *data;

  if (dev->failure != NULL)
    return NULL;
  if (dev->temporary != NULL && dev->temporary->block != NULL)
    return place_in_block (dev, n_bytes);

  data = n_bytes <= within_limit (dev) ? dev->ops->alloc (dev, n_bytes) : NULL;
  if (data == NULL)
    {
      fb_device_fail_no_memory (dev, n_bytes);
      return NULL;
    }
  dev->bytes_in_use += n_bytes;
  dev->bytes_peak    = MAX (dev->bytes_peak, dev->bytes_in_use);
  if (dev->temporary != NULL)
    g_hash_table_insert (dev->temporary->places, data, GSIZE_TO_POINTER (fb_plan_take (dev->temporary->plan, n_bytes)));
  return data;
}

void
fb_device_free (FbDevice *dev, void *data, size_t n_bytes)
{
  if (data == NULL)
    return;
  if (dev->temporary != NULL && dev->temporary->block != NULL)
    {
      if (!fb_plan_give (dev->temporary->plan, (size_t) ((char *) data - (char *) dev->temporary->block)))
        g_assert_not_reached ();                       /* the work frees what it has not made */
      return;
    }
  if (dev->temporary != NULL && g_hash_table_contains (dev->temporary->places, data))
    {
      fb_plan_give (dev->temporary->plan, GPOINTER_TO_SIZE (g_hash_table_lookup (dev->temporary->places, data)));
      g_hash_table_remove (dev->temporary->places, data);
    }

  dev->ops->free (dev, data, n_bytes);
  dev->bytes_in_use -= n_bytes;
}

size_t
fb_device_bytes_in_use (const FbDevice *dev)
{
  return dev->bytes_in_use;
}

size_t
fb_device_bytes_peak (const FbDevice *dev)
{
  return dev->bytes_peak;
}

void
fb_device_reset_peak (FbDevice *dev)
{
  dev->bytes_peak = dev->bytes_in_use;
}

void
fb_device_set_limit (FbDevice *dev, size_t n_bytes)
{
  dev->limit = n_bytes;
}

size_t
fb_device_limit (const FbDevice *dev)
{
  return dev->limit;
}

gboolean
fb_device_has_memory (const FbDevice *dev)
{
  return dev->ops->bytes_free != NULL;
}

size_t
fb_device_bytes_free (FbDevice *dev)
{
  const size_t free = dev->ops->bytes_free != NULL ? dev->ops->bytes_free (dev) : G_MAXSIZE;

  return dev->limit == G_MAXSIZE ? free : MIN (free, within_limit (dev));
}

void
fb_device_trim (FbDevice *dev)
{
  if (dev->ops->trim != NULL)
    dev->ops->trim (dev);
}
