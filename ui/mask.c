/* ui/mask.c: what is to be repainted, on a canvas of any size. SPDX-License-Identifier: LGPL-3.0-or-later */
#include "ui/mask-private.h"

#include <string.h>

/* --- tiles --------------------------------------------------------------------------------------------------------------- */

static Tile *
tile_new (guint8 value)
{
  Tile *tile = g_new (Tile, 1);

  g_atomic_ref_count_init (&tile->n_refs);
  memset (tile->pixels, value, sizeof tile->pixels);

  return tile;
}

static Tile *
tile_ref (Tile *tile)
{
  if (tile != NULL)
    g_atomic_ref_count_inc (&tile->n_refs);

  return tile;
}

static void
tile_unref (Tile *tile)
{
  if (tile != NULL && g_atomic_ref_count_dec (&tile->n_refs))
    g_free (tile);
}

static void
tile_set (Tile **place, Tile *tile)
{
  tile_unref (*place);
  *place = tile;
}

guint8 *
fb_mask_tile_for_writing (FbMask *mask, int column, int row)
{
  Tile **place = &mask->tiles[row * mask->n_columns + column];
  Tile  *tile  = *place;

  if (tile == NULL)
    *place = tile_new (0);
  else if (!g_atomic_ref_count_compare (&tile->n_refs, 1))
    {
      *place = tile_new (0);
      memcpy ((*place)->pixels, tile->pixels, sizeof tile->pixels);
      tile_unref (tile);
    }

  return (*place)->pixels;
}

FbMask *
fb_mask_new (int width, int height)
{
  FbMask *self = g_new0 (FbMask, 1);

  self->width     = width;
  self->height    = height;
  self->n_columns = (width + TILE - 1) / TILE;
  self->n_rows    = (height + TILE - 1) / TILE;
  self->tiles     = g_new0 (Tile *, (gsize) self->n_columns * self->n_rows);

  return self;
}

FbMask *
fb_mask_copy (const FbMask *mask)
{
  FbMask *self = fb_mask_new (mask->width, mask->height);

  for (int i = 0; i < mask->n_columns * mask->n_rows; i++)
    self->tiles[i] = tile_ref (mask->tiles[i]);

  return self;
}

void
fb_mask_free (FbMask *mask)
{
  for (int i = 0; i < mask->n_columns * mask->n_rows; i++)
    tile_unref (mask->tiles[i]);
  g_free (mask->tiles);
  g_free (mask);
}

int
fb_mask_width (const FbMask *mask)
{
  return mask->width;
}

int
fb_mask_height (const FbMask *mask)
{
  return mask->height;
}

/* --- pixels -------------------------------------------------------------------------------------------------------------- */

gboolean
fb_mask_clip (const FbMask *mask, const GdkRectangle *area, GdkRectangle *inside)
{
  return gdk_rectangle_intersect (area, &(GdkRectangle) { 0, 0, mask->width, mask->height }, inside);
}

/* called for each piece of a row that lies in one tile */
typedef void (* PieceFunc) (guint8 *in_tile, guint8 *outside, int n);

static void
piece_out (guint8 *in_tile, guint8 *outside, int n)
{
  memcpy (outside, in_tile, n);
}

static void
piece_in (guint8 *in_tile, guint8 *outside, int n)
{
  memcpy (in_tile, outside, n);
}

/* the part of @area in one tile, row by row, beside the same part of @pixels */
static void
copy_tile (guint8 *tile, const GdkRectangle *part, const GdkRectangle *area, guint8 *pixels, PieceFunc copy)
{
  for (int y = part->y; y < part->y + part->height; y++)
    copy (tile + (y % TILE) * TILE + part->x % TILE,
          pixels + (gsize) (y - area->y) * area->width + (part->x - area->x), part->width);
}

void
fb_mask_read (const FbMask *mask, const GdkRectangle *area, guint8 *pixels)
{
  GdkRectangle inside, part;

  memset (pixels, 0, (gsize) area->width * area->height);
  if (!fb_mask_clip (mask, area, &inside))
    return;
  for (int row = inside.y / TILE; row <= (inside.y + inside.height - 1) / TILE; row++)
    for (int column = inside.x / TILE; column <= (inside.x + inside.width - 1) / TILE; column++)
      {
        Tile *tile = mask->tiles[row * mask->n_columns + column];

        if (tile != NULL && gdk_rectangle_intersect (&inside, &(GdkRectangle) { column * TILE, row * TILE, TILE, TILE }, &part))
          copy_tile (tile->pixels, &part, area, pixels, piece_out);
      }
}

static gboolean
is_empty (const GdkRectangle *part, const GdkRectangle *area, const guint8 *pixels)
{
  for (int y = part->y; y < part->y + part->height; y++)
    for (int x = part->x; x < part->x + part->width; x++)
      if (pixels[(gsize) (y - area->y) * area->width + (x - area->x)] != 0)
        return FALSE;

  return TRUE;
}

void
fb_mask_write (FbMask *mask, const GdkRectangle *area, const guint8 *pixels)
{
  GdkRectangle inside, part;

  if (!fb_mask_clip (mask, area, &inside))
    return;
  for (int row = inside.y / TILE; row <= (inside.y + inside.height - 1) / TILE; row++)
    for (int column = inside.x / TILE; column <= (inside.x + inside.width - 1) / TILE; column++)
      if (gdk_rectangle_intersect (&inside, &(GdkRectangle) { column * TILE, row * TILE, TILE, TILE }, &part) &&
          (mask->tiles[row * mask->n_columns + column] != NULL || !is_empty (&part, area, pixels)))
        copy_tile (fb_mask_tile_for_writing (mask, column, row), &part, area, (guint8 *) pixels, piece_in);
}

void
fb_mask_fill (FbMask *mask, guint8 value)
{
  Tile *tile = value != 0 ? tile_new (value) : NULL;      /* one for all */

  for (int i = 0; i < mask->n_columns * mask->n_rows; i++)
    tile_set (&mask->tiles[i], tile_ref (tile));
  tile_unref (tile);
}

void
fb_mask_invert (FbMask *mask)
{
  g_autoptr(GHashTable) inverted = g_hash_table_new (NULL, NULL);      /* of Tile, so that what was shared stays shared */
  Tile                 *full     = tile_new (255);

  for (int i = 0; i < mask->n_columns * mask->n_rows; i++)
    {
      Tile *tile = mask->tiles[i];
      Tile *made = tile != NULL ? g_hash_table_lookup (inverted, tile) : full;

      if (made == NULL)
        {
          made = tile_new (0);
          for (int p = 0; p < TILE * TILE; p++)
            made->pixels[p] = 255 - tile->pixels[p];
          g_hash_table_insert (inverted, tile_ref (tile), made);
        }
      else
        tile_ref (made);
      tile_set (&mask->tiles[i], made);
    }
  tile_unref (full);

  {
    GHashTableIter iter;
    gpointer       tile;

    g_hash_table_iter_init (&iter, inverted);
    while (g_hash_table_iter_next (&iter, &tile, NULL))
      tile_unref (tile);
  }
}

/* --- a larger canvas ----------------------------------------------------------------------------------------------------- */

enum { BAND = 64 };      /* rows that are written at a time */

static void
fill_area (FbMask *mask, int x, int y, int width, int height)
{
  g_autofree guint8 *full = g_malloc ((gsize) width * BAND);

  memset (full, 255, (gsize) width * BAND);
  for (int from = y; from < y + height; from += BAND)
    fb_mask_write (mask, &(GdkRectangle) { x, from, width, MIN (BAND, y + height - from) }, full);
}

FbMask *
fb_mask_enlarged (const FbMask *mask, int left, int top, int right, int bottom)
{
  FbMask             *self   = fb_mask_new (mask->width + left + right, mask->height + top + bottom);
  GdkRectangle        bounds = { 0 };
  g_autofree guint8  *band   = NULL;

  fb_mask_get_bounds (mask, &bounds);
  band = g_malloc ((gsize) bounds.width * BAND);
  for (int y = bounds.y; y < bounds.y + bounds.height; y += BAND)
    {
      const int height = MIN (BAND, bounds.y + bounds.height - y);

      fb_mask_read (mask, &(GdkRectangle) { bounds.x, y, bounds.width, height }, band);
      fb_mask_write (self, &(GdkRectangle) { bounds.x + left, y + top, bounds.width, height }, band);
    }
  fill_area (self, 0, 0, self->width, top);
  fill_area (self, 0, top + mask->height, self->width, bottom);
  fill_area (self, 0, top, left, mask->height);
  fill_area (self, left + mask->width, top, right, mask->height);

  return self;
}

/* --- what it holds ------------------------------------------------------------------------------------------------------- */

/* the part of a tile that is on the canvas */
static GdkRectangle
tile_area (const FbMask *mask, int column, int row)
{
  return (GdkRectangle) { column * TILE, row * TILE, MIN (TILE, mask->width - column * TILE), MIN (TILE, mask->height - row * TILE) };
}

static gboolean
tile_bounds (const Tile *tile, const GdkRectangle *area, GdkRectangle *bounds)
{
  int x0 = TILE, x1 = -1, y0 = TILE, y1 = -1;

  *bounds = *area;
  if (tile->pixels[0] != 0 && tile->pixels[(area->height - 1) * TILE + area->width - 1] != 0)      /* most tiles of a large mask */
    return TRUE;
  for (int y = 0; y < area->height; y++)
    for (int x = 0; x < area->width; x++)
      if (tile->pixels[y * TILE + x] != 0)
        {
          x0 = MIN (x0, x);
          x1 = MAX (x1, x);
          y0 = MIN (y0, y);
          y1 = y;
        }
  *bounds = (GdkRectangle) { area->x + x0, area->y + y0, x1 - x0 + 1, y1 - y0 + 1 };

  return x1 >= 0;
}

gboolean
fb_mask_get_bounds (const FbMask *mask, GdkRectangle *bounds)
{
  gboolean found = FALSE;

  for (int row = 0; row < mask->n_rows; row++)
    for (int column = 0; column < mask->n_columns; column++)
      {
        Tile        *tile = mask->tiles[row * mask->n_columns + column];
        GdkRectangle area = tile_area (mask, column, row);
        GdkRectangle part;

        if (tile == NULL || !tile_bounds (tile, &area, &part))
          continue;
        if (found)
          gdk_rectangle_union (bounds, &part, bounds);
        else
          *bounds = part;
        found = TRUE;
      }

  return found;
}

gboolean
fb_mask_is_full (const FbMask *mask)
{
  for (int row = 0; row < mask->n_rows; row++)
    for (int column = 0; column < mask->n_columns; column++)
      {
        Tile        *tile = mask->tiles[row * mask->n_columns + column];
        GdkRectangle area = tile_area (mask, column, row);

        if (tile == NULL)
          return FALSE;
        for (int y = 0; y < area.height; y++)
          for (int x = 0; x < area.width; x++)
            if (tile->pixels[y * TILE + x] != 255)
              return FALSE;
      }

  return TRUE;
}

/* --- in a record --------------------------------------------------------------------------------------------------------- */

/* magic and bounds, then the bounds' pixels, all of it deflated */
#define MAGIC "flashbrush-mask-1"
typedef struct
{
  char    magic[20];
  gint32  width, height;           /* of the canvas; little-endian, as all here */
  gint32  x, y, w, h;
} Header;

static GBytes *
convert (GConverter *converter, gconstpointer data, gsize size, gsize size_max)
{
  g_autoptr(GInputStream)  memory = g_memory_input_stream_new_from_data (data, (gssize) size, NULL);
  g_autoptr(GInputStream)  stream = g_converter_input_stream_new (memory, converter);
  g_autoptr(GByteArray)    bytes  = g_byte_array_new ();
  guint8                   chunk[16384];
  gssize                   n;

  while ((n = g_input_stream_read (stream, chunk, sizeof chunk, NULL, NULL)) > 0)
    {
      g_byte_array_append (bytes, chunk, (guint) n);
      if (bytes->len > size_max)
        return NULL;
    }

  return n == 0 ? g_byte_array_free_to_bytes (g_steal_pointer (&bytes)) : NULL;
}

GBytes *
fb_mask_pack (const FbMask *mask)
{
  g_autoptr(GZlibCompressor) deflate = g_zlib_compressor_new (G_ZLIB_COMPRESSOR_FORMAT_ZLIB, 6);
  GdkRectangle               bounds  = { 0 };
  Header                     header  = { MAGIC };
  g_autofree guint8         *data    = NULL;
  gsize                      size;

  fb_mask_get_bounds (mask, &bounds);
  header.width  = GINT32_TO_LE (mask->width);
  header.height = GINT32_TO_LE (mask->height);
  header.x      = GINT32_TO_LE (bounds.x);
  header.y      = GINT32_TO_LE (bounds.y);
  header.w      = GINT32_TO_LE (bounds.width);
  header.h      = GINT32_TO_LE (bounds.height);
  size = sizeof header + (gsize) bounds.width * bounds.height;
  data = g_malloc (size);
  memcpy (data, &header, sizeof header);
  fb_mask_read (mask, &bounds, data + sizeof header);

  return convert (G_CONVERTER (deflate), data, size, G_MAXUINT32);
}

FbMask *
fb_mask_unpack (GBytes *bytes, int width, int height)
{
  g_autoptr(GZlibDecompressor) inflate = g_zlib_decompressor_new (G_ZLIB_COMPRESSOR_FORMAT_ZLIB);
  gsize                        size    = 0, whole = 0;
  gconstpointer                packed  = g_bytes_get_data (bytes, &size);
  g_autoptr(GBytes)            plain   = convert (G_CONVERTER (inflate), packed, size, sizeof (Header) + (gsize) width * height);
  const guint8                *data    = plain != NULL ? g_bytes_get_data (plain, &whole) : NULL;
  GdkRectangle                 bounds;
  Header                       header;
  FbMask                      *mask;

  if (data == NULL || whole < sizeof header)
    return NULL;
  memcpy (&header, data, sizeof header);
  bounds = (GdkRectangle) { GINT32_FROM_LE (header.x), GINT32_FROM_LE (header.y), GINT32_FROM_LE (header.w), GINT32_FROM_LE (header.h) };
  if (memcmp (header.magic, MAGIC, sizeof MAGIC) != 0 ||
      GINT32_FROM_LE (header.width) != width || GINT32_FROM_LE (header.height) != height ||
      bounds.width < 0 || bounds.height < 0 || bounds.x < 0 || bounds.y < 0 ||
      bounds.width > width - bounds.x || bounds.height > height - bounds.y ||
      whole != sizeof header + (gsize) bounds.width * bounds.height)
    return NULL;

  mask = fb_mask_new (width, height);
  if (bounds.width > 0 && bounds.height > 0)
    fb_mask_write (mask, &bounds, data + sizeof header);

  return mask;
}
