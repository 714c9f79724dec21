/* tests/core/test-inpaint.c: inpainting against diffusers' pipeline, and what holds for every result.
 * tests/golden/inpaint/make.py made pictures and the inpainting model. SPDX-License-Identifier: LGPL-3.0-or-later */
#include "core/tasks/inpaint-private.h"

#include "tests/core/inpaint-request.h"
#include "tests/core/scratch.h"

#include <glib/gstdio.h>
#include <json-glib/json-glib.h>
#include <math.h>
#include <string.h>
#include <unistd.h>

#define TOLERANCE 1e-4       /* ‖a − b‖ / ‖b‖ of the final picture in f32 */

static char *
golden_path (const char *folder, const char *name)
{
  g_autofree char *path = g_build_filename (g_test_get_dir (G_TEST_DIST), "golden", folder, name, NULL);

  return g_canonicalize_filename (path, NULL);
}

static void
link_into (const char *folder, const char *name, const char *target)
{
  g_autofree char *path = g_build_filename (folder, name, NULL);

  g_assert_cmpint (symlink (target, path), ==, 0);
}

/* (transfer full): a model folder of links: the golden pipeline's, with the inpainting UNet if @nine */
static char *
model_folder (gboolean nine)
{
  static const char * const parts[] = { "model_index.json", "scheduler", "text_encoder", "tokenizer", "vae" };
  char            *folder = scratch_new ();
  g_autofree char *unet   = nine ? golden_path ("inpaint", "unet-9") : golden_path ("pipeline", "model/unet");

  for (gsize i = 0; i < G_N_ELEMENTS (parts); i++)
    {
      g_autofree char *inside = g_build_filename ("model", parts[i], NULL);
      g_autofree char *target = golden_path ("pipeline", inside);

      link_into (folder, parts[i], target);
    }
  link_into (folder, "unet", unet);
  return folder;
}

static FbModel *
open_model (const char *folder)
{
  g_autoptr(GError)   error = NULL;
  g_autoptr(FbDevice) dev   = fb_device_new ("cpu", 0, &error);
  FbModel            *model;

  g_assert_no_error (error);
  model = fb_model_open (folder, NULL, NULL, dev, FB_DTYPE_F32, &error);
  g_assert_no_error (error);

  return model;
}

typedef struct
{
  char    *folder;
  FbModel *model;
} Fixture;

static void
set_up (Fixture *f, gconstpointer data)
{
  f->folder = model_folder (FALSE);
  f->model  = open_model (f->folder);
}

static void
tear_down (Fixture *f, gconstpointer data)
{
  fb_model_free (f->model);
  scratch_free (f->folder);
}

/* --- pictures ------------------------------------------------------------------------------------------------------------ */

/* the picture of make.py, at any size, with alpha 1 if it has 4 channels */
static FbImage *
some_picture (int width, int height, int n_channels)
{
  FbImage *image = fb_image_new (width, height, n_channels);

  for (int y = 0; y < height; y++)
    for (int x = 0; x < width; x++)
      for (int c = 0; c < n_channels; c++)
        image->pixels[((size_t) y * width + x) * n_channels + c] = c == 3 ? 1.0f : (7 * x + 13 * y + 50 * c + 5 * ((x * y) % 17)) % 256 / 255.0f;
  return image;
}

static FbImage *
box_mask (int width, int height, FbRect r, float value)
{
  FbImage *mask = fb_image_new (width, height, 1);

  for (int y = 0; y < height; y++)
    for (int x = 0; x < width; x++)
      mask->pixels[(size_t) y * width + x] = x >= r.x && x < r.x + r.width && y >= r.y && y < r.y + r.height ? value : 0.0f;
  return mask;
}

typedef struct
{
  FbImage      *picture;
  int           n_pictures, n_steps, n_previews;
  FbImage      *preview;
  double        fraction;
  GCancellable *cancel;
} Result;

static void
result_clear (Result *result)
{
  g_clear_pointer (&result->picture, fb_image_unref);
  g_clear_pointer (&result->preview, fb_image_unref);
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC (Result, result_clear)

static void
on_picture (FbImage *picture, gint64 seed, gpointer user_data)
{
  Result *result = user_data;

  g_clear_pointer (&result->picture, fb_image_unref);
  result->picture = fb_image_ref (picture);
  result->n_pictures++;
}

static void
on_progress (const FbProgress *progress, gpointer user_data)
{
  Result *result = user_data;

  g_assert_cmpfloat (progress->fraction, >=, result->fraction);
  g_assert_cmpfloat (progress->fraction, <=, 1.0);
  result->fraction = progress->fraction;
  result->n_steps += progress->stage == FB_STAGE_STEP && progress->step > 0;
  if (progress->preview != NULL)
    {
      g_clear_pointer (&result->preview, fb_image_unref);
      result->preview = fb_image_ref (progress->preview);
      result->n_previews++;
    }
  if (result->cancel != NULL && progress->stage == FB_STAGE_STEP)
    g_cancellable_cancel (result->cancel);
}

static void
run (const FbInpaint *request, FbModel *model, Result *result)
{
  g_autoptr(GError) error = NULL;

  fb_inpaint_run (request, model, on_progress, on_picture, result, NULL, &error);
  g_assert_no_error (error);
  g_assert_nonnull (result->picture);
  g_assert_cmpint (result->picture->n_channels, ==, 4);
  g_assert_cmpint (result->picture->width, ==, request->image->width);
  g_assert_cmpint (result->picture->height, ==, request->image->height);
}

/* Where the composite mask is 0 the colours are the input's, and blending gives the input's bytes; returns how many pixels are changed. */
static int
assert_untouched (const FbInpaint *request, const FbImage *picture)
{
  const FbImage     *image   = request->image;
  const int          C       = image->n_channels;
  g_autoptr(FbImage) out     = fb_inpaint_blend (image, picture);
  int                changed = 0;

  for (int i = 0; i < image->width * image->height; i++)
    if (picture->pixels[4 * i + 3] == 0.0f)
      {
        g_assert_cmpmem (picture->pixels + 4 * i, 3 * sizeof (float), image->pixels + C * i, 3 * sizeof (float));
        g_assert_cmpmem (out->pixels + C * i, C * sizeof (float), image->pixels + C * i, C * sizeof (float));
      }
    else
      changed += memcmp (out->pixels + C * i, image->pixels + C * i, 3 * sizeof (float)) != 0;
  return changed;
}

/* --- against diffusers --------------------------------------------------------------------------------------------------- */

/* the adapter that the case names, if any */
static void
use_lora (FbModel *model, JsonObject *c)
{
  g_autoptr(GError)  error = NULL;
  g_autofree char   *path  = NULL;
  FbLoraUse          use;
  int                n_reports;

  if (!json_object_has_member (c, "lora"))
    return;
  path = golden_path ("inpaint", json_object_get_string_member (c, "lora"));
  use  = (FbLoraUse) { path, json_object_get_double_member (c, "lora_strength") };
  fb_model_set_loras (model, &use, 1, NULL, &error);
  g_assert_no_error (error);
  g_assert_null (fb_model_lora_reports (model, &n_reports)->unmatched[0]);
}

static void
test_equals_diffusers (gconstpointer data)
{
  JsonObject           *c       = (JsonObject *) data;
  const gboolean        nine    = json_object_get_boolean_member (c, "nine");
  g_autofree char      *path    = golden_path ("inpaint", json_object_get_string_member (c, "file"));
  char                 *folder  = model_folder (nine);
  g_autoptr(FbModel)    model   = open_model (folder);
  g_autoptr(FbInpaint)  request = request_for (some_picture (48, 40, 3), box_mask (48, 40, (FbRect) { 16, 8, 24, 24 }, 1.0f));
  FbGenerate           *g       = request->generate;
  g_auto(FbDiffusion)   job     = { .request = g, .model = model, .info = fb_model_info (model) };
  g_autoptr(FbImage)    drawn   = NULL;
  g_autoptr(GError)     error   = NULL;
  g_autofree char      *bytes   = NULL;
  FbTorchRandom         random;
  gsize                 n_bytes;
  const float          *expected;
  double                off = 0.0, norm = 0.0;

  g_free (g->prompt);
  g->prompt = g_strdup ("a red apple, 3d");
  g_free (g->negative_prompt);
  g->negative_prompt = g_strdup ("blue");
  g_free (g->sampler);
  g->sampler = g_strdup (json_object_get_string_member (c, "sampler"));
  g_free (g->timestep_spacing);
  g->timestep_spacing = g_strdup (json_object_get_string_member (c, "spacing"));
  g->n_steps          = json_object_get_int_member (c, "steps");
  g->strength         = json_object_get_double_member (c, "strength");
  g->guidance_scale   = json_object_get_double_member (c, "guidance_scale");
  request->route      = nine ? FB_ROUTE_INPAINT_MODEL : FB_ROUTE_MASKED_LATENTS;
  request->fill       = FB_FILL_NOISE;
  g_assert_true (fb_inpaint_resolve (request, model, &error));
  g->width  = 48;
  g->height = 40;
  use_lora (model, c);
  fb_diffusion_set_size (&job);
  g_assert_true (fb_diffusion_encode_prompts (&job, &error));

  fb_torch_random_init (&random, json_object_get_int_member (c, "seed"));
  drawn = fb_inpaint_draw (&job, request, request->image, request->image, request->mask->pixels, &random, &error);
  g_assert_no_error (error);

  g_assert_true (g_file_get_contents (path, &bytes, &n_bytes, &error));
  g_assert_cmpuint (n_bytes, ==, (5 * 6 * 4 + 48 * 40 * 3) * sizeof (float));
  expected = (const float *) bytes + 5 * 6 * 4;
  for (int i = 0; i < 48 * 40 * 3; i++)
    {
      off  += pow ((double) drawn->pixels[i] - expected[i], 2.0);
      norm += pow (expected[i], 2.0);
    }
  g_test_message ("relative error %g", sqrt (off / norm));
  g_assert_cmpfloat (sqrt (off / norm), <, TOLERANCE);
  fb_model_free (g_steal_pointer (&model));
  scratch_free (folder);
}

/* --- what holds for every result ----------------------------------------------------------------------------------------- */

static void
test_nothing_changes_outside_the_mask (Fixture *f, gconstpointer data)
{
  g_autoptr(GRand) random = g_rand_new_with_seed (7);

  for (int k = 0; k < 24; k++)
    {
      const int             width   = g_rand_int_range (random, 1, 150), height = g_rand_int_range (random, 1, 150);
      const FbRect          r       = { g_rand_int_range (random, 0, width), g_rand_int_range (random, 0, height),
                                        g_rand_int_range (random, 1, 60), g_rand_int_range (random, 1, 60) };
      g_autoptr(FbInpaint)  request = request_for (some_picture (width, height, 3 + k % 2), box_mask (width, height, r, k % 3 == 0 ? 0.6f : 1.0f));
      g_auto(Result)        result  = { NULL };

      request->route              = k % 2 == 0 ? FB_ROUTE_MASKED_LATENTS : FB_ROUTE_DIFFERENTIAL;
      request->fill               = FB_FILL_ORIGINAL + k % 5;
      request->generate->strength = k % 4 == 0 ? 0.5 : 1.0;
      request->generate->n_steps  = 1;
      request->feather            = 0.05 * (k % 3);
      run (request, f->model, &result);
      g_assert_cmpint (assert_untouched (request, result.picture), >, 0);
    }
}

static void
test_strength_0_changes_nothing (Fixture *f, gconstpointer data)
{
  g_autoptr(FbInpaint) request = request_for (some_picture (70, 50, 3), box_mask (70, 50, (FbRect) { 20, 20, 30, 10 }, 1.0f));
  g_auto(Result)       result  = { NULL };
  g_autoptr(FbImage)   out     = NULL;

  request->generate->strength = 0.0;
  run (request, f->model, &result);
  out = fb_inpaint_blend (request->image, result.picture);
  g_assert_cmpmem (out->pixels, fb_image_n_bytes (out), request->image->pixels, fb_image_n_bytes (out));
  g_assert_cmpint (result.n_steps, ==, 0);
}

static const struct { const char *name; int width, height; FbRect mask; } places[] =
{
  { "one-pixel",         90, 70,  { 40, 30, 1, 1 }   },
  { "one-pixel-picture", 1,  1,   { 0, 0, 1, 1 }     },
  { "left-edge",         90, 70,  { 0, 20, 12, 20 }  },
  { "top-edge",          90, 70,  { 30, 0, 20, 12 }  },
  { "right-edge",        90, 70,  { 78, 20, 12, 20 } },
  { "bottom-edge",       90, 70,  { 30, 58, 20, 12 } },
  { "top-left",          90, 70,  { 0, 0, 20, 10 }   },
  { "top-right",         90, 70,  { 70, 0, 20, 10 }  },
  { "bottom-left",       90, 70,  { 0, 60, 20, 10 }  },
  { "bottom-right",      90, 70,  { 70, 60, 20, 10 } },
  { "everything",        90, 70,  { 0, 0, 90, 70 }   },
  { "all-but-a-row",     90, 70,  { 0, 0, 90, 69 }   },
  { "panorama",          400, 20, { 100, 5, 30, 10 } },
};

static void
test_place (Fixture *f, gconstpointer data)
{
  const int            i       = GPOINTER_TO_INT (data);
  g_autoptr(FbInpaint) request = request_for (some_picture (places[i].width, places[i].height, 3),
                                              box_mask (places[i].width, places[i].height, places[i].mask, 1.0f));
  g_auto(Result)       result  = { NULL };
  const FbRect        *m       = &places[i].mask;

  run (request, f->model, &result);
  g_assert_cmpint (assert_untouched (request, result.picture), >, 0);
  for (int y = m->y; y < m->y + m->height; y++)
    for (int x = m->x; x < m->x + m->width; x++)
      g_assert_cmpfloat (result.picture->pixels[(y * places[i].width + x) * 4 + 3], ==, 1.0f);
}

/* the mask as it is, so that there is one pixel to leave alone */
static void
test_all_but_one_pixel (Fixture *f, gconstpointer data)
{
  g_autoptr(FbInpaint) request = request_for (some_picture (90, 70, 3), box_mask (90, 70, (FbRect) { 0, 0, 90, 70 }, 1.0f));
  g_auto(Result)       result  = { NULL };

  request->mask->pixels[35 * 90 + 44] = 0.0f;
  request->feather                    = 0.0;
  run (request, f->model, &result);
  for (int i = 0; i < 90 * 70; i++)
    g_assert_cmpfloat (result.picture->pixels[4 * i + 3], ==, i == 35 * 90 + 44 ? 0.0f : 1.0f);
  g_assert_cmpint (assert_untouched (request, result.picture), >, 0);
}

/* how far two pictures are apart, as a sum */
static double
distance (const FbImage *a, const FbImage *b)
{
  double sum = 0.0;

  for (int i = 0; i < a->width * a->height; i++)
    for (int c = 0; c < 3; c++)
      sum += fabs (a->pixels[4 * i + c] - b->pixels[4 * i + c]);
  return sum;
}

/* (transfer full): some picture drawn anew under a mask of @value everywhere */
static FbImage *
draw_under (Fixture *f, float value)
{
  g_autoptr(FbInpaint) request = request_for (some_picture (64, 64, 3), box_mask (64, 64, (FbRect) { 0, 0, 64, 64 }, value));
  g_auto(Result)       result  = { NULL };

  request->route             = FB_ROUTE_DIFFERENTIAL;
  request->fill              = FB_FILL_ORIGINAL;
  request->match_colours     = FALSE;
  request->generate->n_steps = 4;
  run (request, f->model, &result);
  g_assert_cmpfloat (result.picture->pixels[3], ==, value);
  return fb_image_ref (result.picture);
}

/* against a mask of next to nothing, which shows what the autoencoder alone does */
static void
test_soft_masks_change_less (Fixture *f, gconstpointer data)
{
  g_autoptr(FbImage) plain = draw_under (f, 0.001f);
  g_autoptr(FbImage) soft  = draw_under (f, 0.25f);
  g_autoptr(FbImage) full  = draw_under (f, 1.0f);

  g_assert_cmpfloat (distance (soft, plain), >, 0.0);
  g_assert_cmpfloat (distance (soft, plain), <, 0.9 * distance (full, plain));
}

/* with four steps, masks on both sides of one quarter draw nearly the same; were a pixel let go at whole steps only, they would be a step apart */
static void
test_soft_masks_have_no_contours (Fixture *f, gconstpointer data)
{
  g_autoptr(FbImage) below = draw_under (f, 0.23f);
  g_autoptr(FbImage) above = draw_under (f, 0.27f);
  g_autoptr(FbImage) half  = draw_under (f, 0.52f);

  g_assert_cmpfloat (distance (below, above), >, 0.0);
  g_assert_cmpfloat (distance (below, above), <, 0.4 * distance (above, half));
}

/* at strength 1, too, the network begins with what has been filled in; but for noise, which is nothing */
static void
test_what_is_filled_in_matters (Fixture *f, gconstpointer data)
{
  FbImage *pictures[3];

  for (int k = 0; k < 3; k++)
    {
      g_autoptr(FbInpaint) request = request_for (some_picture (64, 64, 3), box_mask (64, 64, (FbRect) { 16, 16, 32, 32 }, 1.0f));
      g_auto(Result)       result  = { NULL };

      request->fill = k == 0 ? FB_FILL_NEUTRAL : k == 1 ? FB_FILL_BORDER : FB_FILL_NOISE;
      run (request, f->model, &result);
      pictures[k] = fb_image_ref (result.picture);
    }
  for (int k = 0; k < 3; k++)
    g_assert_cmpint (memcmp (pictures[k]->pixels, pictures[(k + 1) % 3]->pixels, fb_image_n_bytes (pictures[k])), !=, 0);
  for (int k = 0; k < 3; k++)
    fb_image_unref (pictures[k]);
}

static void
test_same_seed_gives_the_same_bytes (Fixture *f, gconstpointer data)
{
  g_autoptr(FbInpaint) request = request_for (some_picture (80, 60, 3), box_mask (80, 60, (FbRect) { 20, 20, 30, 30 }, 1.0f));
  g_auto(Result)       a       = { NULL }, b = { NULL }, other = { NULL };

  run (request, f->model, &a);
  run (request, f->model, &b);
  g_assert_cmpmem (a.picture->pixels, fb_image_n_bytes (a.picture), b.picture->pixels, fb_image_n_bytes (b.picture));
  request->generate->seed++;
  run (request, f->model, &other);
  g_assert_cmpint (memcmp (a.picture->pixels, other.picture->pixels, fb_image_n_bytes (a.picture)), !=, 0);
}

/* by few steps of an ordinary model: other pixels under the mask, the same around it, and the first ones again without the LoRA */
static void
test_a_lora_changes_what_is_masked (Fixture *f, gconstpointer data)
{
  g_autofree char      *path    = golden_path ("inpaint", "lora-latents.safetensors");
  const FbLoraUse       use     = { path, 1.0 };
  g_autoptr(FbInpaint)  request = request_for (some_picture (80, 60, 3), box_mask (80, 60, (FbRect) { 20, 20, 30, 30 }, 1.0f));
  g_auto(Result)        without = { NULL }, with = { NULL }, again = { NULL };
  g_autoptr(GError)     error   = NULL;

  run (request, f->model, &without);
  g_assert_true (fb_model_set_loras (f->model, &use, 1, NULL, &error));
  run (request, f->model, &with);
  g_assert_cmpint (assert_untouched (request, with.picture), >, 0);
  g_assert_cmpint (memcmp (without.picture->pixels, with.picture->pixels, fb_image_n_bytes (with.picture)), !=, 0);
  g_assert_true (fb_model_set_loras (f->model, NULL, 0, NULL, &error));
  run (request, f->model, &again);
  g_assert_cmpmem (again.picture->pixels, fb_image_n_bytes (again.picture), without.picture->pixels, fb_image_n_bytes (without.picture));
}

/* the second pass, in four tiles, draws over the first and nowhere else; its steps are two fifths as many */
static void
test_a_second_pass_draws_over_the_first (Fixture *f, gconstpointer data)
{
  const int native   = fb_inpaint_native (f->model);
  const int side     = 5 * native;
  FbImage  *pictures[3];

  for (int k = 0; k < 3; k++)
    {
      g_autoptr(FbInpaint) request = request_for (some_picture (side, side, 3),
                                                  box_mask (side, side, (FbRect) { native, native, 2 * native, 2 * native }, 1.0f));
      g_auto(Result)       result  = { NULL };

      request->passes            = k == 0 ? FB_PASSES_ONE : FB_PASSES_TWO;
      request->generate->n_steps = 5;
      run (request, f->model, &result);
      g_assert_cmpint (assert_untouched (request, result.picture), >, 0);
      g_assert_cmpint (result.n_steps, ==, k == 0 ? 5 : 5 + 4 * 2);
      pictures[k] = fb_image_ref (result.picture);
    }
  g_assert_cmpint (memcmp (pictures[0]->pixels, pictures[1]->pixels, fb_image_n_bytes (pictures[0])), !=, 0);
  g_assert_cmpmem (pictures[1]->pixels, fb_image_n_bytes (pictures[1]), pictures[2]->pixels, fb_image_n_bytes (pictures[2]));
  for (int k = 0; k < 3; k++)
    fb_image_unref (pictures[k]);
}

static void
test_drafts_take_one_pass (Fixture *f, gconstpointer data)
{
  const int            side    = 5 * fb_inpaint_native (f->model);
  g_autoptr(FbInpaint) request = request_for (some_picture (side, side, 3), box_mask (side, side, (FbRect) { 60, 60, 100, 100 }, 1.0f));
  g_auto(Result)       result  = { NULL };

  request->passes     = FB_PASSES_TWO;
  request->resolution = 64;
  run (request, f->model, &result);
  g_assert_cmpint (result.n_steps, ==, 2);
}

/* two marks at the ends of a long picture: each is drawn by itself */
static void
test_islands_are_drawn_apart (Fixture *f, gconstpointer data)
{
  g_autoptr(FbInpaint) request = request_for (some_picture (1200, 96, 3), box_mask (1200, 96, (FbRect) { 20, 40, 20, 20 }, 1.0f));
  g_auto(Result)       result  = { NULL };
  int                  changed;

  for (int y = 40; y < 60; y++)
    for (int x = 1150; x < 1170; x++)
      request->mask->pixels[y * 1200 + x] = 1.0f;
  run (request, f->model, &result);
  changed = assert_untouched (request, result.picture);
  g_assert_cmpint (result.n_steps, ==, 4);                      /* two pieces of two steps */
  g_assert_cmpint (changed, >, 800);
  g_assert_cmpint (changed, <, 1200 * 96 / 8);
  g_assert_cmpfloat (result.picture->pixels[(50 * 1200 + 600) * 4 + 3], ==, 0.0f);
}

static void
test_previews_lie_under_the_mask (Fixture *f, gconstpointer data)
{
  g_autoptr(FbInpaint) request = request_for (some_picture (128, 96, 3), box_mask (128, 96, (FbRect) { 40, 30, 40, 30 }, 1.0f));
  g_auto(Result)       result  = { NULL };
  const float         *corner;

  request->generate->n_steps = 4;
  request->generate->preview = FB_PREVIEW_LINEAR;
  run (request, f->model, &result);
  g_assert_cmpint (result.n_previews, ==, 3);
  g_assert_cmpint (result.preview->n_channels, ==, 4);
  g_assert_cmpfloat (fabs ((double) result.preview->width / result.preview->height - 128.0 / 96.0), <, 0.1);
  corner = result.preview->pixels;
  g_assert_cmpfloat (corner[3], ==, 0.0f);
  g_assert_cmpfloat (result.preview->pixels[(result.preview->height / 2 * result.preview->width + result.preview->width / 2) * 4 + 3], ==, 1.0f);
}

static void
test_background_is_what_is_not_masked (Fixture *f, gconstpointer data)
{
  g_autoptr(FbInpaint) request = request_for (some_picture (64, 64, 3), box_mask (64, 64, (FbRect) { 20, 20, 24, 24 }, 1.0f));
  g_auto(Result)       result  = { NULL };

  request->use     = FB_INPAINT_BACKGROUND;
  request->feather = 0.0;
  run (request, f->model, &result);
  g_assert_cmpfloat (result.picture->pixels[3], ==, 1.0f);
  g_assert_cmpfloat (result.picture->pixels[(32 * 64 + 32) * 4 + 3], ==, 0.0f);
  assert_untouched (request, result.picture);
}

/* the ramp lies on the thing that is kept: with the width it has around a hole, there would be nothing left of one this small */
static void
test_a_new_background_leaves_the_thing (Fixture *f, gconstpointer data)
{
  const FbRect         thing   = { 100, 90, 60, 60 };
  g_autoptr(FbInpaint) request = request_for (some_picture (256, 256, 3), box_mask (256, 256, thing, 1.0f));
  g_auto(Result)       result  = { NULL };

  request->use = FB_INPAINT_BACKGROUND;
  run (request, f->model, &result);
  for (int y = thing.y + 10; y < thing.y + thing.height - 10; y++)
    for (int x = thing.x + 10; x < thing.x + thing.width - 10; x++)
      g_assert_cmpfloat (result.picture->pixels[(y * 256 + x) * 4 + 3], ==, 0.0f);
  g_assert_cmpfloat (result.picture->pixels[(thing.y * 256 + thing.x - 1) * 4 + 3], ==, 1.0f);
  assert_untouched (request, result.picture);
}

static void
test_expanding_draws_where_nothing_is (Fixture *f, gconstpointer data)
{
  g_autoptr(FbInpaint) request = request_for (some_picture (96, 64, 4), box_mask (96, 64, (FbRect) { 0, 0, 0, 0 }, 1.0f));
  g_auto(Result)       result  = { NULL };

  for (int y = 0; y < 64; y++)
    for (int x = 64; x < 96; x++)
      memset (request->image->pixels + (y * 96 + x) * 4, 0, 4 * sizeof (float));
  request->use = FB_INPAINT_EXPAND;
  run (request, f->model, &result);
  assert_untouched (request, result.picture);
  for (int y = 0; y < 64; y++)
    for (int x = 64; x < 96; x++)
      g_assert_cmpfloat (result.picture->pixels[(y * 96 + x) * 4 + 3], ==, 1.0f);
  g_assert_cmpfloat (result.picture->pixels[3], ==, 0.0f);
}

static void
test_count_gives_variations (Fixture *f, gconstpointer data)
{
  g_autoptr(FbInpaint) request = request_for (some_picture (64, 64, 3), box_mask (64, 64, (FbRect) { 20, 20, 24, 24 }, 1.0f));
  g_auto(Result)       result  = { NULL };

  request->generate->count = 3;
  run (request, f->model, &result);
  g_assert_cmpint (result.n_pictures, ==, 3);
}

static void
test_cancel_leaves_no_picture (Fixture *f, gconstpointer data)
{
  g_autoptr(FbInpaint)    request = request_for (some_picture (64, 64, 3), box_mask (64, 64, (FbRect) { 20, 20, 24, 24 }, 1.0f));
  g_autoptr(GCancellable) cancel  = g_cancellable_new ();
  g_auto(Result)          result  = { .cancel = cancel };
  g_autoptr(GError)       error   = NULL;

  g_assert_false (fb_inpaint_run (request, f->model, on_progress, on_picture, &result, cancel, &error));
  g_assert_error (error, G_IO_ERROR, G_IO_ERROR_CANCELLED);
  g_assert_null (result.picture);
}

static void
test_an_estimate_needs_no_pictures (Fixture *f, gconstpointer data)
{
  g_autoptr(FbInpaint) early    = request_for (NULL, NULL);
  g_autoptr(FbInpaint) late     = request_for (some_picture (64, 64, 3), box_mask (64, 64, (FbRect) { 20, 20, 24, 24 }, 1.0f));
  g_autoptr(GError)    error    = NULL;
  FbEstimate           estimate = { 0 }, with = { 0 };

  g_assert_true (fb_inpaint_estimate (early, f->model, &estimate, &error));
  g_assert_true (fb_inpaint_estimate (late, f->model, &with, &error));
  g_assert_cmpuint (estimate.peak_bytes, >, 1000000);
  g_assert_cmpuint (with.peak_bytes, >=, estimate.peak_bytes);
  g_assert_false (fb_inpaint_run (early, f->model, NULL, on_picture, NULL, NULL, &error));
  g_assert_error (error, FB_TASK_ERROR, FB_TASK_ERROR_FIELD);
}

/* --- the request --------------------------------------------------------------------------------------------------------- */

static void
test_request_survives_its_variant (void)
{
  g_autoptr(FbInpaint) request = fb_inpaint_new ();
  g_autoptr(GVariant)  variant = NULL;
  g_autoptr(FbInpaint) back    = NULL;
  g_autoptr(GVariant)  again   = NULL;
  g_autoptr(GError)    error   = NULL;

  request->use               = FB_INPAINT_REMOVE;
  request->route             = FB_ROUTE_MASKED_LATENTS;
  request->fill              = FB_FILL_BORDER;
  request->resolution        = 256;
  request->feather           = 0.25;
  request->grow              = 0.125;
  request->match_colours     = FALSE;
  request->generate->n_steps = 3;
  variant = fb_inpaint_to_variant (request);
  back    = fb_inpaint_from_variant (variant, &error);
  g_assert_no_error (error);
  again   = fb_inpaint_to_variant (back);
  g_assert_true (g_variant_equal (variant, again));
  g_assert_false (g_variant_lookup (variant, "width", "i", NULL));
}

static void
test_an_absent_strength_is_the_uses_own (Fixture *f, gconstpointer data)
{
  g_autoptr(GVariant)  variant = g_variant_ref_sink (g_variant_new_parsed ("{'use': <'refine'>}"));
  g_autoptr(GError)    error   = NULL;
  g_autoptr(FbInpaint) request = fb_inpaint_from_variant (variant, &error);

  g_assert_no_error (error);
  g_assert_true (fb_inpaint_resolve (request, f->model, &error));
  g_assert_cmpfloat (request->generate->strength, ==, 0.4);
  g_assert_cmpint (request->fill, ==, FB_FILL_ORIGINAL);
}

static void
test_bad_requests_name_the_field (Fixture *f, gconstpointer data)
{
  static const struct { const char *text, *field; } cases[] =
  {
    { "{'use': <'erase'>}",              "“use”"        },
    { "{'route': <1>}",                  "“route”"      },
    { "{'route': <'inpaint-model'>}",    "“route”"      },
    { "{'fill': <'lama'>}",              "“fill”"       },
    { "{'resolution': <-1>}",            "“resolution”" },
    { "{'resolution': <63>}",            "“resolution”" },
    { "{'feather': <0.6>}",              "“feather”"    },
    { "{'feather': <nan>}",              "“feather”"    },
    { "{'grow': <0.6>}",                 "“grow”"       },
    { "{'blend': <inf>}",                "“blend”"      },
    { "{'match-colours': <'no'>}",       "“match-colours”" },
    { "{'strength': <1.5>}",             "“strength”"   },
    { "{'n-steps': <2000>}",             "“n-steps”"    },
  };

  for (gsize i = 0; i < G_N_ELEMENTS (cases); i++)
    {
      g_autofree char      *text    = g_strdup (cases[i].text);
      g_autoptr(GError)     error   = NULL;
      g_autoptr(GVariant)   variant = NULL;
      g_autoptr(FbInpaint)  request = NULL;

      variant = g_variant_parse (G_VARIANT_TYPE_VARDICT, text, NULL, NULL, &error);
      g_assert_no_error (error);
      request = fb_inpaint_from_variant (variant, &error);
      g_assert_true (request == NULL || !fb_inpaint_resolve (request, f->model, &error));
      g_assert_error (error, FB_TASK_ERROR, FB_TASK_ERROR_FIELD);
      g_assert_nonnull (strstr (error->message, cases[i].field));
    }
}

static void
assert_refused (FbModel *model, FbInpaintUse use, FbImage *image, FbImage *mask, const char *words)
{
  g_autoptr(FbInpaint) request = request_for (image, mask);
  g_autoptr(GError)    error   = NULL;

  request->use = use;
  g_assert_false (fb_inpaint_run (request, model, NULL, on_picture, NULL, NULL, &error));
  g_assert_error (error, FB_TASK_ERROR, FB_TASK_ERROR_FIELD);
  if (strstr (error->message, words) == NULL)
    g_error ("“%s” does not say “%s”", error->message, words);
}

static void
test_masks_that_say_nothing_are_refused (Fixture *f, gconstpointer data)
{
  const FbRect none = { 0 }, all = { 0, 0, 64, 64 };

  assert_refused (f->model, FB_INPAINT_FILL, some_picture (64, 64, 3), box_mask (64, 64, none, 1.0f), "The mask is empty");
  assert_refused (f->model, FB_INPAINT_FILL, some_picture (64, 64, 3), box_mask (64, 64, all, NAN), "The mask is empty");
  assert_refused (f->model, FB_INPAINT_BACKGROUND, some_picture (64, 64, 3), box_mask (64, 64, all, 1.0f), "covers everything");
  assert_refused (f->model, FB_INPAINT_EXPAND, some_picture (64, 64, 4), box_mask (64, 64, none, 1.0f), "nothing to expand into");
  assert_refused (f->model, FB_INPAINT_FILL, some_picture (64, 64, 3), box_mask (64, 60, all, 1.0f), "differ in size");
  assert_refused (f->model, FB_INPAINT_FILL, some_picture (64, 64, 3), some_picture (64, 64, 3), "1 channel");
  assert_refused (f->model, FB_INPAINT_FILL, box_mask (64, 64, all, 1.0f), box_mask (64, 64, all, 1.0f), "3 or 4 channels");
  assert_refused (f->model, FB_INPAINT_FILL, some_picture (64, 64, 3), NULL, "no picture “mask”");
  assert_refused (f->model, FB_INPAINT_FILL, NULL, box_mask (64, 64, all, 1.0f), "no picture “image”");
}

static void
add_golden_cases (JsonParser *parser)
{
  g_autoptr(GError)  error = NULL;
  g_autofree char   *path  = golden_path ("inpaint", "cases.json");
  JsonArray         *cases;

  g_assert_true (json_parser_load_from_file (parser, path, &error));
  cases = json_object_get_array_member (json_node_get_object (json_parser_get_root (parser)), "cases");
  for (guint i = 0; i < json_array_get_length (cases); i++)
    {
      JsonObject      *c    = json_array_get_object_element (cases, i);
      const char      *file = json_object_get_string_member (c, "file");
      g_autofree char *name = g_strdup_printf ("/core/tasks/inpaint/equals-diffusers/%.*s", (int) (strlen (file) - 4), file);

      g_test_add_data_func (name, c, test_equals_diffusers);
    }
}

int
main (int argc, char **argv)
{
  g_autoptr(JsonParser) parser = json_parser_new ();

  g_test_init (&argc, &argv, NULL);
  add_golden_cases (parser);
  for (gsize i = 0; i < G_N_ELEMENTS (places); i++)
    {
      g_autofree char *name = g_strdup_printf ("/core/tasks/inpaint/place/%s", places[i].name);

      g_test_add (name, Fixture, GINT_TO_POINTER (i), set_up, test_place, tear_down);
    }
#define ADD(name, func) g_test_add ("/core/tasks/inpaint/" name, Fixture, NULL, set_up, func, tear_down)
  ADD ("nothing-changes-outside-the-mask", test_nothing_changes_outside_the_mask);
  ADD ("strength-0-changes-nothing", test_strength_0_changes_nothing);
  ADD ("all-but-one-pixel", test_all_but_one_pixel);
  ADD ("soft-masks-have-no-contours", test_soft_masks_have_no_contours);
  ADD ("soft-masks-change-less", test_soft_masks_change_less);
  ADD ("what-is-filled-in-matters", test_what_is_filled_in_matters);
  ADD ("same-seed-gives-the-same-bytes", test_same_seed_gives_the_same_bytes);
  ADD ("a-second-pass-draws-over-the-first", test_a_second_pass_draws_over_the_first);
  ADD ("drafts-take-one-pass", test_drafts_take_one_pass);
  ADD ("a-lora-changes-what-is-masked", test_a_lora_changes_what_is_masked);
  ADD ("islands-are-drawn-apart", test_islands_are_drawn_apart);
  ADD ("previews-lie-under-the-mask", test_previews_lie_under_the_mask);
  ADD ("background-is-what-is-not-masked", test_background_is_what_is_not_masked);
  ADD ("a-new-background-leaves-the-thing", test_a_new_background_leaves_the_thing);
  ADD ("expanding-draws-where-nothing-is", test_expanding_draws_where_nothing_is);
  ADD ("count-gives-variations", test_count_gives_variations);
  ADD ("cancel-leaves-no-picture", test_cancel_leaves_no_picture);
  ADD ("an-estimate-needs-no-pictures", test_an_estimate_needs_no_pictures);
  ADD ("an-absent-strength-is-the-uses-own", test_an_absent_strength_is_the_uses_own);
  ADD ("bad-requests-name-the-field", test_bad_requests_name_the_field);
  ADD ("masks-that-say-nothing-are-refused", test_masks_that_say_nothing_are_refused);
  g_test_add_func ("/core/tasks/inpaint/request-survives-its-variant", test_request_survives_its_variant);

  return g_test_run ();
}
