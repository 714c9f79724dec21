/* core/tasks/inpaint-result.c: what is handed over before anything has been drawn, and meanwhile. SPDX-License-Identifier: LGPL-3.0-or-later */
#include "core/tasks/inpaint-run-private.h"

#include <math.h>
#include <string.h>

#define MAX_PREVIEW 768       /* pixels of a preview's longer side */

FbImage *
fb_inpaint_own_colours (FbImage *image, int width, int height, FbRect r)
{
  return image->width == width && image->height == height ? fb_image_cut (image, r.x, r.y, r.width, r.height)
                                                          : fb_image_resize_part (image, width, height, r.x, r.y, r.width, r.height);
}

/* the result as it is before anything has been drawn: the context's own colours, the composite mask as alpha */
static FbImage *
undrawn (const FbImage *image, const FbImage *composite)
{
  FbImage     *out = fb_image_new (image->width, image->height, 4);
  const size_t n   = (size_t) image->width * image->height;

  if (out == NULL)
    return NULL;
#pragma omp parallel for schedule(static)
  for (size_t i = 0; i < n; i++)
    {
      memcpy (out->pixels + 4 * i, image->pixels + image->n_channels * i, 3 * sizeof (float));
      out->pixels[4 * i + 3] = composite->pixels[i];
    }
  return out;
}

/* nothing but the composite mask as alpha */
static FbImage *
bare_result (const FbImage *composite)
{
  FbImage     *out = fb_image_new (composite->width, composite->height, 4);
  const size_t n   = (size_t) composite->width * composite->height;

#pragma omp parallel for schedule(static)
  for (size_t i = 0; i < (out != NULL ? n : 0); i++)
    {
      memset (out->pixels + 4 * i, 0, 3 * sizeof (float));
      out->pixels[4 * i + 3] = composite->pixels[i];
    }
  return out;
}

FbImage *
fb_inpaint_undrawn (const FbInpaintRun *run)
{
  const FbView       *view = &run->pieces->view;
  g_autoptr(FbImage)  own  = NULL;

  if (run->pieces->draws_all)
    return bare_result (run->composite);
  own = fb_inpaint_own_colours (run->request->image, view->width, view->height, view->shown);

  return own != NULL ? undrawn (own, run->composite) : NULL;
}

/* (transfer full) (nullable): what is shown as a preview before anything has been drawn, as large as the first piece would need it */
static FbImage *
undrawn_preview (const FbInpaintRun *run)
{
  const FbPiece     *piece  = &run->pieces->pieces[0];
  const FbView      *view   = &run->pieces->view;
  const FbRect      *s      = &view->shown;
  double             scale  = MIN (1.0, (double) piece->inner.width / piece->crop.width);
  FbRect             r;
  g_autoptr(FbImage) small  = NULL;
  g_autoptr(FbImage) mask   = NULL;
  int                width, height;

  scale  = MIN (scale, (double) MAX_PREVIEW / MAX (s->width, s->height));
  width  = MAX (1, (int) rint (view->width * scale));
  height = MAX (1, (int) rint (view->height * scale));
  r      = (FbRect) { MIN ((int) rint (s->x * scale), width - 1), MIN ((int) rint (s->y * scale), height - 1) };
  r.width  = CLAMP ((int) rint (s->width * scale), 1, width - r.x);
  r.height = CLAMP ((int) rint (s->height * scale), 1, height - r.y);
  small  = fb_inpaint_own_colours (run->small != NULL && run->small->width == width && run->small->height == height ? run->small : run->request->image,
                                   width, height, r);
  mask   = small != NULL ? fb_image_resize (run->composite, small->width, small->height) : NULL;
  if (mask == NULL)
    return NULL;
  for (int i = 0; i < mask->width * mask->height; i++)
    mask->pixels[i] = CLAMP (mask->pixels[i], 0.0f, 1.0f);

  return undrawn (small, mask);
}

FbImage *
fb_inpaint_dress (FbImage *picture, gpointer user_data)
{
  FbInpaintRun      *run   = user_data;
  g_autoptr(FbImage) owned = picture;
  FbImage           *shown;

  if (run->preview == NULL)
    run->preview = undrawn_preview (run);
  if (run->preview == NULL || !fb_pieces_put (run->pieces, run->piece, run->tile != NULL ? run->tile : &run->pieces->pieces[run->piece], owned, NULL, run->preview))
    return NULL;

  shown = fb_image_new (run->preview->width, run->preview->height, 4);
  if (shown != NULL)
    memcpy (shown->pixels, run->preview->pixels, fb_image_n_bytes (run->preview));
  return shown;
}
