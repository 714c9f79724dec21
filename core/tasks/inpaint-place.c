/* core/tasks/inpaint-place.c: what is read around a mask, and how the result goes back. SPDX-License-Identifier: LGPL-3.0-or-later */
#include "core/tasks/inpaint-place.h"

#include <math.h>
#include <string.h>

#include "core/image/curve.h"
#include "core/image/wide.h"
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
  if (use == FB_INPAINT_REMOVE || use == FB_INPAINT_EXPAND)
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
  const gboolean narrow = wishes->use == FB_INPAINT_BACKGROUND;
  int            least  = narrow ? 0 : (int) rint (32.0 * unit * MAX (strength, 0.25));
  int            width  = MAX ((int) (MIN (wishes->feather, narrow ? 0.01 : 0.5) * strength * diagonal), least);
  int            offset = (int) rint (4.0 * unit);
  int            grow   = offset + width / 2;
  int            most   = (int) MAX (25.0 * unit, diagonal / 20.0);
  int            blend  = MIN (most, grow + width / 2);

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

void
fb_ramps_limit (FbRamps *ramps, int most)
{
  ramps->outer       = MIN (ramps->outer, most);
  ramps->inner       = MIN (ramps->inner, ramps->outer);
  ramps->blend_inner = MIN (ramps->blend_inner, ramps->outer);
}

gboolean
fb_rect_intersect (FbRect a, FbRect b, FbRect *both)
{
  const int x = MAX (a.x, b.x), y = MAX (a.y, b.y);

  *both = (FbRect) { x, y, MIN (a.x + a.width, b.x + b.width) - x, MIN (a.y + a.height, b.y + b.height) - y };

  return both->width > 0 && both->height > 0;
}

FbRect
fb_rect_grown (FbRect r, int pad, int width, int height)
{
  const int left = MAX (r.x - pad, 0), top = MAX (r.y - pad, 0);

  return (FbRect) { left, top, MIN (r.x + r.width + pad, width) - left, MIN (r.y + r.height + pad, height) - top };
}

/* --- the context --------------------------------------------------------------------------------------------------------- */

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

static int
native_of (const FbInpaintPlace *place)
{
  return place->native > 0 ? place->native : 512;
}

static double
strength_of (const FbInpaintPlace *place)
{
  return place->strength >= 0.0 ? place->strength : fb_inpaint_strength (place->use);
}

/* How much of its pixels a model has to spare for the surroundings of something new. Measured with the starter, of 128 pixels: with as much around as a
 * large model gets, it drew blobs where it drew hearts without; but what it made go on had fewer streaks with all of it. */
static double
spare (FbInpaintUse use, int native)
{
  return use == FB_INPAINT_FILL ? CLAMP ((native - 128) / 384.0, 0.0, 1.0) : 1.0;
}

gboolean
fb_inpaint_context (const FbInpaintPlace *place, FbRect *context)
{
  const FbRect canvas   = { 0, 0, place->canvas_width, place->canvas_height };
  int          longest  = MAX (canvas.width, canvas.height);
  int          native   = native_of (place);
  double       strength = strength_of (place);
  double       whole    = fb_inpaint_whole (place->use, strength);
  double       unit     = fb_inpaint_unit (longest, 8 * native, native);
  FbRect       r;
  FbRampWishes wishes   = { place->feather, -1.0, -1.0, place->use };
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
  if (!fb_rect_intersect (place->mask, canvas, &r))
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

      around = (int) (whole * spare (place->use, native) * MAX (longest / 16, (r.width + r.height) / 2 / 2));
      less   = MAX (around / 2, around - uneven);               /* towards a square */
      r = pad_both (r, r.width > r.height ? less : around, r.height > r.width ? less : around,
                    (int) (native * (0.5 + 0.5 * whole)), 8, place);
    }

  *context = r;
  return TRUE;
}

FbRect
fb_inpaint_shown (const FbInpaintPlace *place, double grow, FbRect context)
{
  const FbRampWishes wishes = { place->feather, grow, -1.0, place->use };
  const int          native = native_of (place);
  FbRect             r;
  FbRamps            ramps;

  if (place->use == FB_INPAINT_BACKGROUND || place->use == FB_INPAINT_EXPAND || !fb_rect_intersect (place->mask, context, &r))
    return context;

  fb_ramps_init (&ramps, hypot (r.width, r.height), fb_inpaint_unit (MAX (context.width, context.height), 2 * native, native), strength_of (place),
                 &wishes);
  r = (FbRect) { r.x - ramps.outer, r.y - ramps.outer, r.width + 2 * ramps.outer, r.height + 2 * ramps.outer };
  fb_rect_intersect (r, context, &r);

  return r;
}

/* --- back into the picture ----------------------------------------------------------------------------------------------- */

#define CHUNK 128

/* Mixes @n pixels' channel in linear light; @alpha: of the sum. Where both are the same it is exact, where the curve and back would round. */
FB_WIDE static void
mix (const float *over, const float *opacity, const float *below, const float *alpha, int n, float *pixel)
{
#pragma omp simd
  for (int i = 0; i < n; i++)
    {
      float linear = (fb_to_linear (over[i]) * opacity[i] + fb_to_linear (pixel[i]) * below[i] * (1.0f - opacity[i])) / alpha[i];
      float mixed  = fb_from_linear (linear);

      pixel[i] = over[i] == pixel[i] ? pixel[i] : mixed;
    }
}

/* Up to CHUNK pixels that the mask lets through in part; a channel at a time, so that a processor does several at once */
static void
blend_some (const float *over, float *pixel, int n, int C)
{
  float above[CHUNK], opacity[CHUNK], below[CHUNK], alpha[CHUNK], mixed[CHUNK];

  for (int i = 0; i < n; i++)
    {
      opacity[i] = over[4 * i + 3];
      below[i]   = C == 4 ? pixel[4 * i + 3] : 1.0f;
      alpha[i]   = opacity[i] + below[i] * (1.0f - opacity[i]);
    }
  for (int c = 0; c < 3; c++)
    {
      for (int i = 0; i < n; i++)
        {
          above[i] = over[4 * i + c];
          mixed[i] = pixel[C * i + c];
        }
      mix (above, opacity, below, alpha, n, mixed);
      for (int i = 0; i < n; i++)
        pixel[C * i + c] = mixed[i];
    }
  for (int i = 0; i < n && C == 4; i++)
    pixel[4 * i + 3] = alpha[i];
}

/* @n pixels of @over become those of @pixel */
static void
replace_some (const float *over, float *pixel, int n, int C)
{
  for (int i = 0; i < n; i++)
    {
      pixel[C * i]     = over[4 * i];
      pixel[C * i + 1] = over[4 * i + 1];
      pixel[C * i + 2] = over[4 * i + 2];
      if (C == 4)
        pixel[4 * i + 3] = 1.0f;
    }
}

/* the end of the pixels from @from on that the mask lets through in part, CHUNK at most */
static int
end_of_ramp (const float *over, int from, int n)
{
  int to = from;

  while (to < MIN (n, from + CHUNK) && over[4 * to + 3] > 0.0f && over[4 * to + 3] < 1.0f)
    to++;
  return to;
}

/* @n pixels of @over lie over those of @pixel */
static void
blend_row (const float *over, float *pixel, int n, int C)
{
  for (int i = 0; i < n; )
    {
      int from, end;

      while (i < n && over[4 * i + 3] <= 0.0f)
        i++;
      from = i;
      while (i < n && over[4 * i + 3] >= 1.0f)
        i++;
      replace_some (over + 4 * from, pixel + C * from, i - from, C);
      end = end_of_ramp (over, i, n);
      blend_some (over + 4 * i, pixel + C * i, end - i, C);
      i = MAX (end, from + 1);                                  /* what is not a number is left as it is */
    }
}

FbImage *
fb_inpaint_blend (const FbImage *image, const FbImage *result)
{
  const int    C   = image->n_channels;
  const size_t w   = image->width;
  FbImage     *out = fb_image_new (image->width, image->height, C);

  g_return_val_if_fail (C >= 3 && result->n_channels == 4 && result->width == image->width && result->height == image->height, NULL);

  if (out == NULL)
    return NULL;

#pragma omp parallel for schedule(static) if (image->height > 1)
  for (int y = 0; y < image->height; y++)
    {
      memcpy (out->pixels + y * w * C, image->pixels + y * w * C, w * C * sizeof (float));
      blend_row (result->pixels + y * w * 4, out->pixels + y * w * C, image->width, C);
    }

  return out;
}
