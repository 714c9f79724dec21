/* core/tasks/inpaint-place.c: what is read around a mask, and how the result goes back. SPDX-License-Identifier: LGPL-3.0-or-later */
#include "core/tasks/inpaint-place.h"

#include <math.h>
#include <string.h>

#include "core/tasks/inpaint-private.h"

const char * const fb_inpaint_use_names[] = { "fill", "remove", "background", "expand", "refine", NULL };
const char * const fb_context_names[]     = { "auto", "mask", "all", NULL };

double
fb_inpaint_strength (FbInpaintUse use)
{
  return use == FB_INPAINT_REFINE ? 0.4 : 1.0;
}

double
fb_inpaint_whole (FbInpaintUse use, double strength)
{
  if (use == FB_INPAINT_REMOVE)
    return 1.0;
  return CLAMP (1.0 - 5.0 * (1.0 - strength), 0.0, 1.0);       /* exactly 1 at 1 */
}

/* the least widths of ramps are the latent pixel's, so that they stay what they are where a large picture is shrunk for the network */
double
fb_inpaint_unit (int longest, int whole, int native)
{
  return CLAMP (native / 512.0, 0.5, 1.0) * MAX (1.0, (double) longest / whole);
}

void
fb_ramps_init (FbRamps *ramps, double diagonal, double unit, double strength, const FbRampWishes *wishes)
{
  int least   = (int) rint (32.0 * unit * strength);
  int width   = MAX ((int) (wishes->feather * strength * diagonal), least);
  int offset  = (int) rint (4.0 * unit);
  int grow    = offset + width / 2;
  int most    = (int) MAX (25.0 * unit, diagonal / 20.0);
  int blend   = MIN (most, grow + width / 2);

  if (wishes->feather == 0.0)
    width = offset = grow = blend = 0;
  if (wishes->grow >= 0.0)
    {
      grow  = (int) rint (wishes->grow * diagonal) + width / 2;
      blend = MIN (blend, grow + width / 2);
    }
  if (wishes->blend >= 0.0)
    blend = MIN ((int) rint (wishes->blend * diagonal), grow + width / 2);

  ramps->width       = width;
  ramps->grow        = grow;
  ramps->blend       = blend;
  ramps->inner       = grow - width / 2;
  ramps->outer       = grow + width / 2;
  ramps->blend_inner = ramps->outer - blend / 2 * 2;
}

/* --- the context --------------------------------------------------------------------------------------------------------- */

/* the part of @r that lies on the canvas; FALSE for none */
static gboolean
clip (FbRect *r, int width, int height)
{
  int right  = MIN (r->x + r->width, width);
  int bottom = MIN (r->y + r->height, height);

  r->x      = MAX (r->x, 0);
  r->y      = MAX (r->y, 0);
  r->width  = right - r->x;
  r->height = bottom - r->y;

  return r->width > 0 && r->height > 0;
}

/* One axis: @pad on both sides, at least @least, a multiple of @unit, then moved onto the canvas, or cut to it. */
static void
pad_axis (int *start, int *size, int pad, int least, int unit, int canvas)
{
  int wanted = (MAX (*size + 2 * pad, least) + unit - 1) / unit * unit;
  int extra  = wanted - *size;

  *start -= extra >= 0 ? extra / 2 : -((1 - extra) / 2);
  *size   = MIN (wanted, canvas);
  *start  = CLAMP (*start, 0, canvas - *size);
}

static FbRect
pad_both (FbRect r, int pad_x, int pad_y, int least, int unit, const FbInpaintPlace *place)
{
  pad_axis (&r.x, &r.width, pad_x, least, unit, place->canvas_width);
  pad_axis (&r.y, &r.height, pad_y, least, unit, place->canvas_height);

  return r;
}

gboolean
fb_inpaint_context (const FbInpaintPlace *place, FbRect *context)
{
  const FbRect canvas   = { 0, 0, place->canvas_width, place->canvas_height };
  int          longest  = MAX (canvas.width, canvas.height);
  int          native   = place->native > 0 ? place->native : 512;
  double       strength = place->strength >= 0.0 ? place->strength : fb_inpaint_strength (place->use);
  double       whole    = fb_inpaint_whole (place->use, strength);
  double       unit     = fb_inpaint_unit (longest, 8 * native, native);
  FbRect       r        = place->mask;
  FbRampWishes wishes   = { place->feather, -1.0, -1.0 };
  FbRamps      ramps;
  double       diagonal;
  int          pad, around;

  if (canvas.width < 1 || canvas.height < 1)
    return FALSE;
  if (place->use == FB_INPAINT_BACKGROUND)
    {
      *context = canvas;
      return TRUE;
    }
  if (!clip (&r, canvas.width, canvas.height))
    return FALSE;
  if (place->context == FB_CONTEXT_ALL)
    {
      *context = canvas;
      return TRUE;
    }

  diagonal = hypot (r.width, r.height);
  fb_ramps_init (&ramps, diagonal, unit, strength, &wishes);
  pad = ramps.width + (int) rint (4.0 * unit) + (int) (0.06 * diagonal);
  r   = pad_both (r, pad, pad, native / 2, 16, place);

  if (place->context == FB_CONTEXT_AUTO && whole > 0.0)
    {
      int uneven = abs (r.width - r.height) / 2;
      int less;

      around = (int) (whole * MAX (longest / 16, (r.width + r.height) / 2 / 2));
      less   = MAX (around / 2, around - uneven);               /* towards a square */
      r = pad_both (r, r.width > r.height ? less : around, r.height > r.width ? less : around,
                    (int) (native * (0.5 + 0.5 * whole)), 8, place);
    }

  *context = r;
  return TRUE;
}

/* --- back into the picture ----------------------------------------------------------------------------------------------- */

static float
to_linear (float v)
{
  return v <= 0.04045f ? v / 12.92f : powf ((v + 0.055f) / 1.055f, 2.4f);
}

static float
from_linear (float v)
{
  return v <= 0.0031308f ? v * 12.92f : 1.055f * powf (v, 1.0f / 2.4f) - 0.055f;
}

FbImage *
fb_inpaint_blend (const FbImage *image, const FbImage *result)
{
  const int C   = image->n_channels;
  FbImage  *out = fb_image_new (image->width, image->height, C);
  size_t    n   = (size_t) image->width * image->height;

  g_return_val_if_fail (C >= 3 && result->n_channels == 4 && result->width == image->width && result->height == image->height, NULL);

  if (out == NULL)
    return NULL;

  memcpy (out->pixels, image->pixels, fb_image_n_bytes (image));
  for (size_t i = 0; i < n; i++)
    {
      const float *over  = result->pixels + 4 * i;
      float       *pixel = out->pixels + C * i;
      float        below = C == 4 ? pixel[3] : 1.0f;
      float        alpha = over[3] + below * (1.0f - over[3]);

      if (over[3] <= 0.0f)
        continue;
      for (int c = 0; c < 3; c++)
        if (over[3] >= 1.0f || over[c] == pixel[c])             /* exact, where the curve and back would round */
          pixel[c] = over[c];
        else
          pixel[c] = from_linear ((to_linear (over[c]) * over[3] + to_linear (pixel[c]) * below * (1.0f - over[3])) / alpha);
      if (C == 4)
        pixel[3] = alpha;
    }

  return out;
}
