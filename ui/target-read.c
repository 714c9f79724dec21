/* ui/target-read.c: pixels out of GIMP's buffers. SPDX-License-Identifier: LGPL-3.0-or-later */
#include "ui/target-private.h"

#include <math.h>
#include <string.h>

#include <glib/gi18n-lib.h>

#include "ui/drawable-surface.h"

/* the drawable to read; NULL with @error where it is no more */
static GimpDrawable *
input_of (const FbTarget *target, GError **error)
{
  GimpDrawable *drawable = fb_drawable_by_id (target->input_id);

  if (drawable == NULL)
    g_set_error_literal (error, FB_TARGET_ERROR, FB_TARGET_ERROR_CHANGED,
                         _("The layer to start from was deleted meanwhile; select another one."));

  return drawable;
}

static void
no_memory (int width, int height, GError **error)
{
  g_set_error (error, FB_TARGET_ERROR, FB_TARGET_ERROR_SIZE,
               _("There is not enough memory for %d × %d pixels; select a smaller part."), width, height);
}

/* (transfer full) (nullable): RGBA */
static FbImage *
picture_new (int width, int height, GError **error)
{
  FbImage *picture = fb_image_new (width, height, 4);

  if (picture == NULL)
    no_memory (width, height, error);

  return picture;
}

/* (transfer full) (nullable): scaled with its colours multiplied by alpha, or what is transparent beside them would darken them */
static FbImage *
scaled_by_alpha (FbImage *picture, int width, int height)
{
  const gsize  n      = (gsize) picture->width * picture->height;
  FbImage     *scaled = NULL;

  for (gsize i = 0; i < n; i++)
    for (int c = 0; c < 3; c++)
      picture->pixels[4 * i + c] *= picture->pixels[4 * i + 3];
  scaled = fb_image_resize (picture, width, height);
  for (gsize i = 0; scaled != NULL && i < (gsize) width * height; i++)
    {
      float       *p     = scaled->pixels + 4 * i;
      const float  share = p[3] > 1e-4f ? 1.0f / p[3] : 0.0f;

      for (int c = 0; c < 3; c++)
        p[c] *= share;
      p[3] = CLAMP (p[3], 0.0f, 1.0f);                    /* scaling overshoots at edges */
    }

  return scaled;
}

/* libgimp leaves this to plug-ins; without it, GEGL has no tables for scaling 8 bits down, and gives black */
static void
init_gegl (void)
{
  static gsize done = 0;

  if (g_once_init_enter (&done))
    {
      gegl_init (NULL, NULL);
      g_once_init_leave (&done, 1);
    }
}

/* --- step by step -------------------------------------------------------------------------------------------------------- */

/* the drawable's pixels that are read at a time: about 10 ms, and whole tiles of GIMP's; low, because memory that is new is cleared by whole rows */
#define SLICE_WIDTH  1024
#define SLICE_HEIGHT 128
#define COARSE       0.25                    /* below that, a slice would have to be read from so many tiles that it takes long */
#define READ_MAX     (64 * 1024 * 1024)      /* pixels */

/**
 * Slices: a rectangle, cut along a grid that begins at the drawable's corner
 * @scale: pixels of the rectangle to one of the drawable's, to a side
 * @next: the index of the slice to come
 */
typedef struct
{
  GeglRectangle rect;
  double        scale;
  int           next;
} Slices;

/**
 * Reading: a part of a drawable on its way into a picture
 * @coarse: where @fine has fewer pixels than COARSE to one: what GEGL keeps at that scale, which is made first
 * @fine: what the picture is read from
 * @width, @height: as large as it is to be in the end
 */
typedef struct
{
  int         drawable_id, drawable_width, drawable_height;
  GeglBuffer *buffer;
  Slices      coarse, fine;
  FbImage    *picture;
  int         width, height;
} Reading;

static void
reading_free (Reading *self)
{
  g_clear_object (&self->buffer);
  g_clear_pointer (&self->picture, fb_image_unref);
  g_free (self);
}
G_DEFINE_AUTOPTR_CLEANUP_FUNC (Reading, reading_free)

/* @length pixels of a drawable at @scale */
static int
scaled (int length, double scale)
{
  return MAX (1, (int) round (length * scale));
}

/* A large layer is read at twice the wanted size or more, not whole, unless that would be too much, or a half of a half … is just what is wanted: by
 * halves, which GEGL makes alike whatever is read of them at a time. */
static double
scale_for (FbRect seen, int width, int height)
{
  const double wanted = MAX ((double) width / seen.width, (double) height / seen.height);
  double       scale  = 1.0;

  while (scale / 2.0 >= 2.0 * wanted || (scale / 2.0 >= wanted && scale * scale * seen.width * seen.height > READ_MAX) ||
         (scaled (seen.width, scale / 2.0) == width && scaled (seen.height, scale / 2.0) == height))
    scale /= 2.0;

  return scale;
}

/* @r, in the drawable's pixels, at @scale */
static Slices
slices_of (FbRect r, double scale)
{
  return (Slices) { { (int) round (r.x * scale), (int) round (r.y * scale), scaled (r.width, scale), scaled (r.height, scale) }, scale };
}

/* (transfer full) (nullable) */
static Reading *
reading_new (const FbTarget *target, int width, int height, GError **error)
{
  const FbRect        seen     = fb_target_seen (target);
  const double        scale    = scale_for (seen, width, height);
  GimpDrawable       *drawable = input_of (target, error);
  g_autoptr(Reading)  self     = g_new0 (Reading, 1);
  FbRect              r        = seen;
  int                 x, y;

  self->buffer = drawable != NULL ? gimp_drawable_get_buffer (drawable) : NULL;
  if (self->buffer == NULL)
    return NULL;
  if (scale < 1.0)
    init_gegl ();

  gimp_drawable_get_offsets (drawable, &x, &y);
  r.x                  -= x;
  r.y                  -= y;
  self->fine            = slices_of (r, scale);
  self->coarse          = scale < COARSE ? slices_of (r, COARSE) : (Slices) { .next = -1 };
  self->drawable_id     = gimp_item_get_id (GIMP_ITEM (drawable));
  self->drawable_width  = gegl_buffer_get_width (self->buffer);
  self->drawable_height = gegl_buffer_get_height (self->buffer);
  self->width           = width;
  self->height          = height;
  self->picture         = picture_new (self->fine.rect.width, self->fine.rect.height, error);

  return self->picture != NULL ? g_steal_pointer (&self) : NULL;
}

/* GIMP ends a plug-in that asks for what is no more. */
static gboolean
is_there (const Reading *self, GError **error)
{
  GimpDrawable *drawable = fb_drawable_by_id (self->drawable_id);

  if (drawable != NULL && gimp_drawable_get_width (drawable) == self->drawable_width && gimp_drawable_get_height (drawable) == self->drawable_height)
    return TRUE;
  g_set_error_literal (error, FB_TARGET_ERROR, FB_TARGET_ERROR_CHANGED,
                       _("The layer to start from was changed while it was read; start again."));

  return FALSE;
}

static int
floor_div (int a, int b)
{
  return a / b - (a % b < 0);
}

/* %FALSE with the last one, after which @self has none left */
static gboolean
next_slice (Slices *self, GeglRectangle *slice)
{
  const GeglRectangle *r        = &self->rect;
  const int            width    = MAX (1, (int) (SLICE_WIDTH * self->scale)), height = MAX (1, (int) (SLICE_HEIGHT * self->scale));
  const int            left     = floor_div (r->x, width), top = floor_div (r->y, height);
  const int            n_across = floor_div (r->x + r->width - 1, width) - left + 1;
  const int            n_down   = floor_div (r->y + r->height - 1, height) - top + 1;

  *slice = (GeglRectangle) { (left + self->next % n_across) * width, (top + self->next / n_across) * height, width, height };
  gegl_rectangle_intersect (slice, slice, r);
  self->next = self->next + 1 < n_across * n_down ? self->next + 1 : -1;

  return self->next >= 0;
}

/* Reads on. %FALSE when all has been read, or with @error. */
static gboolean
reading_step (Reading *self, GError **error)
{
  const Babl          *format = babl_format ("R'G'B'A float");
  const GeglRectangle *r      = &self->fine.rect;
  GeglRectangle        slice;
  gboolean             goes_on;

  if (!is_there (self, error))
    return FALSE;
  if (self->coarse.next >= 0)
    {
      g_autofree float *unused = NULL;

      next_slice (&self->coarse, &slice);
      unused = g_new (float, 4 * (gsize) slice.width * slice.height);
      gegl_buffer_get (self->buffer, &slice, self->coarse.scale, format, unused, GEGL_AUTO_ROWSTRIDE, GEGL_ABYSS_NONE);
      return TRUE;
    }

  goes_on = next_slice (&self->fine, &slice);
  gegl_buffer_get (self->buffer, &slice, self->fine.scale, format,
                   self->picture->pixels + 4 * ((gsize) (slice.y - r->y) * r->width + (slice.x - r->x)),
                   r->width * 4 * (int) sizeof (float), GEGL_ABYSS_NONE);

  return goes_on;
}

/* (transfer full): what has been read, in its final size. On any thread */
static FbImage *
reading_finish (Reading *self, GError **error)
{
  g_autoptr(FbImage)  picture = g_steal_pointer (&self->picture);
  FbImage            *scaled  = NULL;

  if (picture->width == self->width && picture->height == self->height)
    return g_steal_pointer (&picture);
  scaled = scaled_by_alpha (picture, self->width, self->height);
  if (scaled == NULL)
    no_memory (self->width, self->height, error);

  return scaled;
}

FbImage *
fb_target_read (const FbTarget *target, int width, int height, GError **error)
{
  g_autoptr(Reading) reading = reading_new (target, width, height, error);
  g_autoptr(GError)  problem = NULL;

  while (reading != NULL && reading_step (reading, &problem))
    ;
  if (problem != NULL)
    g_propagate_error (error, g_steal_pointer (&problem));
  else if (reading != NULL)
    return reading_finish (reading, error);

  return NULL;
}

static gboolean
step (gpointer reading, GError **error)
{
  return reading_step (reading, error);
}

static FbImage *
finish (gpointer reading, GError **error)
{
  return reading_finish (reading, error);
}

static void
free_it (gpointer reading)
{
  reading_free (reading);
}

gboolean
fb_target_read_for (const FbTarget *target, FbJob *job, const char *name, int width, int height, GError **error)
{
  static const FbJobSource source = { step, finish, free_it };

  Reading *reading = reading_new (target, width, height, error);

  if (reading != NULL)
    fb_job_add_source (job, name, &source, reading);

  return reading != NULL;
}

/* --- at a glance --------------------------------------------------------------------------------------------------------- */

/* @part of @drawable, scaled to @area of @picture, which is transparent there. */
static gboolean
put_thumbnail (GimpDrawable *drawable, const GdkRectangle *part, const GdkRectangle *area, FbImage *picture)
{
  int                width  = area->width, height = area->height;
  g_autofree guint8 *pixels = fb_drawable_thumbnail (drawable, part, &width, &height);

  for (int y = 0; pixels != NULL && y < MIN (height, area->height); y++)
    for (int i = 0; i < 4 * MIN (width, area->width); i++)
      picture->pixels[4 * ((gsize) (area->y + y) * picture->width + area->x) + i] = pixels[4 * (gsize) y * width + i] / 255.0f;

  return pixels != NULL;
}

FbImage *
fb_target_glance (const FbTarget *target, int width, int height, GError **error)
{
  const FbRect        seen     = fb_target_seen (target);
  const double        fx       = (double) width / seen.width, fy = (double) height / seen.height;
  GimpDrawable       *drawable = input_of (target, error);
  g_autoptr(FbImage)  picture  = NULL;
  GdkRectangle        part, area;
  int                 x, y;

  if (drawable == NULL)
    return NULL;
  if (MAX (fx, fy) >= 0.5 || MAX (width, height) > FB_THUMBNAIL_MAX)
    return fb_target_read (target, width, height, error);
  picture = picture_new (width, height, error);
  if (picture == NULL)
    return NULL;
  memset (picture->pixels, 0, fb_image_n_bytes (picture));

  gimp_drawable_get_offsets (drawable, &x, &y);
  if (!gdk_rectangle_intersect (&(GdkRectangle) { seen.x, seen.y, seen.width, seen.height },
                                &(GdkRectangle) { x, y, gimp_drawable_get_width (drawable), gimp_drawable_get_height (drawable) }, &part))
    return g_steal_pointer (&picture);
  area.x      = (int) round ((part.x - seen.x) * fx);
  area.y      = (int) round ((part.y - seen.y) * fy);
  area.width  = MIN ((int) round ((part.x + part.width - seen.x) * fx), width) - area.x;
  area.height = MIN ((int) round ((part.y + part.height - seen.y) * fy), height) - area.y;
  part.x     -= x;
  part.y     -= y;
  if (area.width > 0 && area.height > 0 && !put_thumbnail (drawable, &part, &area, picture))
    return fb_target_read (target, width, height, error);

  return g_steal_pointer (&picture);
}
