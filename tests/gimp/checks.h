/* tests/gimp/checks.h: what the checks inside GIMP share. SPDX-License-Identifier: LGPL-3.0-or-later */
#pragma once

#include <libgimp/gimp.h>

/* one line of TAP */
void        check         (gboolean holds, const char *format, ...) G_GNUC_PRINTF (2, 3);

/* what a call gave; cleared by the next one */
typedef struct
{
  GimpPDBStatusType  status;
  char              *message;
  GimpImage         *image;
  GimpLayer         *layer;        /* the first */
  int                n_layers;
  GStrv              seeds;
} Got;

extern Got got;

/* call (PROCEDURE, image, drawable, "prompt", "…", "seed", "7", NULL): image and drawable may be NULL */
void        call          (const char *name, GimpImage *image, GimpDrawable *drawable, const char *first, ...) G_GNUC_NULL_TERMINATED;
#define generate(image, drawable, ...) call ("plug-in-flashbrush-generate", image, drawable, __VA_ARGS__, NULL)
#define inpaint(image, drawable, ...)  call ("plug-in-flashbrush-inpaint", image, drawable, __VA_ARGS__, NULL)
#define repeat(image, drawable, ...)   call ("plug-in-flashbrush-repeat", image, drawable, __VA_ARGS__, NULL)

/* whether the last call was a success; tells the reason if it wasn't */
gboolean    succeeded     (void);
/* that it wasn't: @word is what the sentence must name */
void        check_refused (GimpPDBStatusType status, const char *word, const char *name);

/* every pixel different from its neighbours */
GimpLayer * add_layer     (GimpImage *image, GimpLayer *parent, const char *name, int x, int y, int width, int height);
/* layers that stick out, a group, a mask, a channel, a feathered selection of 100 × 60 at 40, 30 */
GimpImage * users_image   (GimpImageBaseType type, GimpPrecision precision, GimpLayer **chosen);

/* the largest difference of two layers of the same size, as people see them */
double      difference    (GimpLayer *a, GimpLayer *b);
gboolean    is_at         (GimpLayer *layer, int x, int y, int width, int height);

/* tests/gimp/checks-inpaint.c: (transfer full): what the image shows, in its own format */
guint8 *    projection    (GimpImage *image, int *bytes);
/* pixels that changed where @layer's mask is 0; @inside (out): and whether anything changed elsewhere */
int         count_changed (GimpImage *image, GimpLayer *layer, const guint8 *before, const guint8 *after, int bytes, gboolean *inside);
void        check_inpaint (void);
/* with any engine */
void        check_inpaint_model (void);
/* tests/gimp/checks-upscale.c: with the real engine and a model for it */
void        check_upscale (void);
/* tests/gimp/checks-inpaint-any.c: with the engine of stripes */
void        check_inpaint_any (void);
