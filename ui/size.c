/* ui/size.c: the size a picture is generated at, for the place it goes to. SPDX-License-Identifier: LGPL-3.0-or-later */
#include "ui/size.h"

#include <math.h>

#include <glib.h>

#define ASPECT_MAX 3.0
#define AREA_MAX   2.25      /* 1.5 times the model's side */

/* an eighth of the model's side, a multiple of 8: 64 at 512, 16 at 128 */
static int
grid_of (double side)
{
  return MAX (8, (int) (side / 64.0) * 8);
}

static int
to_grid (double length, int grid)
{
  return MAX (grid, (int) (length / grid + 0.5) * grid);
}

void
fb_size_choose (int place_width, int place_height, int model_width, int model_height, int *width, int *height)
{
  double model_area = (double) model_width * model_height;
  double aspect     = CLAMP ((double) place_width / place_height, 1.0 / ASPECT_MAX, ASPECT_MAX);
  double area       = CLAMP ((double) place_width * place_height, model_area, AREA_MAX * model_area);
  int    grid       = grid_of (sqrt (model_area));

  *width  = to_grid (sqrt (area * aspect), grid);
  *height = to_grid (sqrt (area / aspect), grid);
}
