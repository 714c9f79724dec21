/* tests/gimp/digest.c: all that an image holds, as one number. SPDX-License-Identifier: LGPL-3.0-or-later */
#include "tests/gimp/digest.h"

#include <string.h>

static void
add_text (GChecksum *sum, const char *text)
{
  g_checksum_update (sum, (const guchar *) text, (gssize) strlen (text) + 1);
}

static void
add_pixels (GChecksum *sum, GimpDrawable *drawable)
{
  g_autoptr(GeglBuffer) buffer = gimp_drawable_get_buffer (drawable);
  const Babl           *format = gegl_buffer_get_format (buffer);
  int                   width  = gegl_buffer_get_width (buffer);
  int                   bytes  = width * babl_format_get_bytes_per_pixel (format);
  g_autofree guchar    *row    = g_malloc (bytes);

  add_text (sum, babl_format_get_encoding (format));
  for (int y = 0; y < gegl_buffer_get_height (buffer); y++)
    {
      gegl_buffer_get (buffer, GEGL_RECTANGLE (0, y, width, 1), 1.0, format, row, GEGL_AUTO_ROWSTRIDE, GEGL_ABYSS_NONE);
      g_checksum_update (sum, row, bytes);
    }
}

static void
add_parasites (GChecksum *sum, GimpItem *item)
{
  g_auto(GStrv) names = gimp_item_get_parasite_list (item);

  for (int i = 0; names != NULL && names[i] != NULL; i++)
    {
      GimpParasite *parasite = gimp_item_get_parasite (item, names[i]);
      guint32       size     = 0;
      gconstpointer data     = gimp_parasite_get_data (parasite, &size);

      add_text (sum, names[i]);
      g_checksum_update (sum, data, size);
      gimp_parasite_free (parasite);
    }
}

static void
add_item (GChecksum *sum, GimpItem *item)
{
  g_autofree char *name  = gimp_item_get_name (item);
  g_autofree char *place = NULL;
  int              x, y;

  gimp_drawable_get_offsets (GIMP_DRAWABLE (item), &x, &y);
  place = g_strdup_printf ("%d %d %d %d %d", x, y, gimp_drawable_get_width (GIMP_DRAWABLE (item)),
                           gimp_drawable_get_height (GIMP_DRAWABLE (item)), gimp_item_get_visible (item));
  add_text (sum, name);
  add_text (sum, place);
  add_parasites (sum, item);
  add_pixels (sum, GIMP_DRAWABLE (item));
}

static void
add_layers (GChecksum *sum, GimpItem **layers, GimpLayer *ignored)
{
  for (int i = 0; layers != NULL && layers[i] != NULL; i++)
    {
      GimpLayerMask        *mask     = gimp_layer_get_mask (GIMP_LAYER (layers[i]));
      g_autofree GimpItem **children = NULL;

      if (layers[i] == GIMP_ITEM (ignored))
        continue;
      if (gimp_item_is_group (layers[i]))
        {
          children = gimp_item_get_children (layers[i]);
          add_text (sum, "group");
          add_layers (sum, children, ignored);
          continue;                              /* its own pixels follow from theirs, the ignored layer's included */
        }
      add_item (sum, layers[i]);
      if (mask != NULL)
        add_item (sum, GIMP_ITEM (mask));
    }
}

char *
fb_test_digest (GimpImage *image, GimpLayer *ignored)
{
  g_autoptr(GChecksum)     sum      = g_checksum_new (G_CHECKSUM_SHA256);
  g_autofree GimpLayer   **layers   = gimp_image_get_layers (image);
  g_autofree GimpChannel **channels = gimp_image_get_channels (image);

  add_layers (sum, (GimpItem **) layers, ignored);
  for (int i = 0; channels != NULL && channels[i] != NULL; i++)
    add_item (sum, GIMP_ITEM (channels[i]));
  add_pixels (sum, GIMP_DRAWABLE (gimp_image_get_selection (image)));

  return g_strdup (g_checksum_get_string (sum));
}

char *
fb_test_digest_pixels (GimpDrawable *drawable)
{
  g_autoptr(GChecksum) sum = g_checksum_new (G_CHECKSUM_SHA256);

  add_pixels (sum, drawable);

  return g_strdup (g_checksum_get_string (sum));
}
