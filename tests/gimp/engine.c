/* tests/gimp/engine.c: an engine without models, for what GIMP's side does with one. SPDX-License-Identifier: LGPL-3.0-or-later
 *
 * Its model "test" is 128 × 128 and takes 4 steps. A picture depends on prompt and seed, and follows the input as far as
 * the strength leaves it; a LoRA meets it but for two tensors. A prompt that starts with "slow" takes a second a step, one that starts with "fail" fails, and one
 * that starts with "crash" kills the engine, each after the first step; with "late", the job ends only when the file $FB_TEST_GATE.end is there. There are no models while the file $FB_TEST_NO_MODELS exists.
 */
#include <math.h>
#include <string.h>
#include <sys/resource.h>

#include "core/engine/server.h"
#include "tests/gimp/engine-distill.h"

#define SIDE    128
#define N_STEPS 4

static int
int_of (GVariant *request, const char *key, int otherwise)
{
  int value = 0;

  g_variant_lookup (request, key, "i", &value);

  return value != 0 ? value : otherwise;
}

static double
double_of (GVariant *request, const char *key, double otherwise)
{
  double value = 0.0;

  g_variant_lookup (request, key, "d", &value);

  return value != 0.0 ? value : otherwise;
}

static const char *
string_of (GVariant *request, const char *key, const char *otherwise)
{
  const char *value = otherwise;

  g_variant_lookup (request, key, "&s", &value);

  return value;
}

static gboolean
refuse (GError **error, const char *sentence)
{
  g_set_error_literal (error, FB_ENGINE_ERROR, FB_ENGINE_ERROR_REQUEST, sentence);

  return FALSE;
}

static gboolean
check (GVariant *request, GError **error)
{
  if (!g_str_equal (string_of (request, "model", "test"), "test"))
    return refuse (error, "There is no model of this name; the nearest is “test”.");
  if (!g_str_equal (string_of (request, "sampler", "lcm"), "lcm"))
    return refuse (error, "There is no sampler of this name; the nearest is “lcm”.");
  if (int_of (request, "width", SIDE) % 8 != 0 || int_of (request, "height", SIDE) % 8 != 0)
    return refuse (error, "The size must be a multiple of 8.");
  if (*string_of (request, "prompt", "") == '\0')
    return refuse (error, "The prompt is empty.");

  return TRUE;
}

static GVariant *
resolve (GVariant *request)
{
  g_auto(GVariantDict) dict = G_VARIANT_DICT_INIT (request);

  g_variant_dict_insert (&dict, "model", "s", "test");
  g_variant_dict_insert (&dict, "sampler", "s", "lcm");
  g_variant_dict_insert (&dict, "width", "i", int_of (request, "width", SIDE));
  g_variant_dict_insert (&dict, "height", "i", int_of (request, "height", SIDE));
  g_variant_dict_insert (&dict, "n-steps", "i", int_of (request, "n-steps", N_STEPS));
  g_variant_dict_insert (&dict, "guidance-scale", "d", double_of (request, "guidance-scale", 1.0));

  return g_variant_ref_sink (g_variant_dict_end (&dict));
}

static gboolean
estimate (FbWorkshop *workshop, GVariant *request, FbJobEstimate *estimate, GCancellable *cancellable, GError **error)
{
  if (!check (request, error))
    return FALSE;
  estimate->peak_bytes = 300 * 1000 * 1000;
  estimate->seconds    = 2.0;
  estimate->resolved   = resolve (request);

  return TRUE;
}

/* stripes whose direction and colours come from prompt and seed; @noise 0 … 1 hides them */
static FbImage *
paint (GVariant *request, FbImage *init, gint64 seed, int width, int height, float noise)
{
  guint              hash     = g_str_hash (string_of (request, "prompt", "")) ^ (guint) seed;
  g_autoptr(GRand)   rand     = g_rand_new_with_seed (hash);
  double             kept     = 1.0;
  float              strength;
  FbImage           *image    = fb_image_new (width, height, 3);
  double             fx       = g_rand_double_range (rand, -20.0, 20.0);
  double             fy       = g_rand_double_range (rand, -20.0, 20.0);
  double             colour[3];

  g_variant_lookup (request, "strength", "d", &kept);
  strength = init != NULL ? (float) kept : 1.0f;
  for (int c = 0; c < 3; c++)
    colour[c] = g_rand_double (rand);
  for (int i = 0; i < width * height; i++)
    {
      double stripe = 0.5 + 0.5 * sin (fx * (i % width) / width + fy * (i / width) / height);

      for (int c = 0; c < 3; c++)
        {
          float value = (float) (colour[c] * stripe) * (1.0f - noise) + noise * (float) g_rand_double (rand);

          image->pixels[3 * i + c] = strength * value + (init != NULL ? (1.0f - strength) * init->pixels[4 * i + c] : 0.0f);
        }
    }

  return image;
}

/* (transfer full): @picture (transfer full) with its left half cut away, where that is asked for */
static FbImage *
cut_out (GVariant *request, FbImage *picture)
{
  FbImage *cut = NULL;

  if (!g_str_equal (string_of (request, "background", "keep"), "transparent"))
    return picture;
  cut = fb_image_new (picture->width, picture->height, 4);
  for (int i = 0; i < picture->width * picture->height; i++)
    {
      memcpy (cut->pixels + 4 * i, picture->pixels + 3 * i, 3 * sizeof (float));
      cut->pixels[4 * i + 3] = i % picture->width < picture->width / 2 ? 0.0f : 1.0f;
    }
  fb_image_unref (picture);

  return cut;
}

/* TRUE when cancelled */
static gboolean
wait (FbTask *task, double seconds)
{
  for (double t = 0.0; t < seconds; t += 0.01)
    {
      if (g_cancellable_is_cancelled (fb_task_cancellable (task)))
        return TRUE;
      g_usleep (10 * 1000);
    }

  return FALSE;
}

/* A prompt that begins with "held" stays in the second step until the file $FB_TEST_GATE is there, and in the last one until it is
 * cancelled: so a test sees both, however long it takes to look. TRUE when cancelled. */
static gboolean
wait_at_gate (FbTask *task, const char *prompt, int step, int n_steps)
{
  const char *gate = g_getenv ("FB_TEST_GATE");

  if (!g_str_has_prefix (prompt, "held"))
    return FALSE;
  while ((step == 1 && !g_file_test (gate, G_FILE_TEST_EXISTS)) || step == n_steps - 1)
    if (wait (task, 0.05))
      return TRUE;

  return FALSE;
}

static gboolean
run_steps (FbTask *task, GVariant *request, int picture, int count, gint64 seed, GError **error)
{
  const char *prompt  = string_of (request, "prompt", "");
  int         n_steps = int_of (request, "n-steps", N_STEPS);
  double      seconds = g_str_has_prefix (prompt, "slow") ? 1.0 : 0.02;

  for (int step = 0; step < n_steps; step++)
    {
      float              noise    = 1.0f - (step + 1.0f) / n_steps;
      double             left     = seconds * (n_steps * (count - picture) - step - 1);
      FbJobProgress      progress = { "step", picture, step + 1, n_steps,
                                      (picture * n_steps + step + 1.0) / (count * n_steps), left, NULL };
      g_autoptr(FbImage) preview  = NULL;

      if (wait (task, seconds) || wait_at_gate (task, prompt, step, n_steps))
        {
          g_cancellable_set_error_if_cancelled (fb_task_cancellable (task), error);
          return FALSE;
        }
      if (step == 1 && g_str_has_prefix (prompt, "crash"))
        abort ();
      if (step == 1 && g_str_has_prefix (prompt, "fail"))
        return refuse (error, "The model gave no numbers.");
      preview = paint (request, NULL, seed, int_of (request, "width", 0) / 8, int_of (request, "height", 0) / 8, noise);
      if (!g_str_equal (string_of (request, "preview", "none"), "none"))
        progress.preview = preview;
      fb_task_progress (task, &progress);
    }

  return TRUE;
}

/* TRUE when cancelled */
static gboolean
wait_for_end (FbTask *task, GVariant *request)
{
  g_autofree char *gate = g_strconcat (g_getenv ("FB_TEST_GATE"), ".end", NULL);

  while (g_str_has_prefix (string_of (request, "prompt", ""), "late") && !g_file_test (gate, G_FILE_TEST_EXISTS))
    if (wait (task, 0.05))
      return TRUE;

  return FALSE;
}

static gboolean
has_loras (GVariant *request)
{
  g_autoptr(GVariant) loras = g_variant_lookup_value (request, "loras", G_VARIANT_TYPE ("a(sd)"));

  return loras != NULL && g_variant_n_children (loras) > 0;
}

static GVariant *
run (FbTask *task, GError **error)
{
  g_autoptr(GVariant)  request = resolve (fb_task_request (task));
  g_auto(GVariantDict) dict    = G_VARIANT_DICT_INIT (request);
  FbImage             *init    = fb_task_picture (task, "init");
  int                  count   = int_of (request, "count", 1);
  gint64               seed    = 0;

  if (!check (request, error))
    return NULL;
  g_variant_lookup (request, "seed", "x", &seed);
  for (int i = 0; i < count; i++)
    {
      g_autoptr(FbImage) picture = NULL;

      if (!run_steps (task, request, i, count, seed + i, error))
        return NULL;
      picture = cut_out (request, paint (request, init, seed + i, int_of (request, "width", 0), int_of (request, "height", 0), 0.0f));
      fb_task_add_picture (task, picture, seed + i, g_variant_new_parsed ("{'seed': <%x>}", seed + i));
    }
  if (wait_for_end (task, request))
    {
      g_cancellable_set_error_if_cancelled (fb_task_cancellable (task), error);
      return NULL;
    }
  g_variant_dict_remove (&dict, "seed");
  g_variant_dict_insert (&dict, "model-hash", "s", "0123456789abcdef");
  if (has_loras (request))
    g_variant_dict_insert_value (&dict, "lora-reports", g_variant_new_parsed ("[('/loras/ink.safetensors', 190, 2, ['a', 'b'])]"));

  return g_variant_ref_sink (g_variant_dict_end (&dict));
}

/* --- inpaint ------------------------------------------------------------------------------------------------------------- */

static gboolean
check_inpaint (GVariant *request, GError **error)
{
  return g_str_equal (string_of (request, "model", "test"), "test") || refuse (error, "There is no model of this name; the nearest is “test”.");
}

static GVariant *
resolve_inpaint (GVariant *request)
{
  g_autoptr(GVariant)  resolved   = resolve (request);
  g_auto(GVariantDict) dict       = G_VARIANT_DICT_INIT (resolved);
  int                  resolution = int_of (request, "resolution", SIDE);

  g_variant_dict_insert (&dict, "resolution", "i", resolution);
  g_variant_dict_insert (&dict, "strength", "d", double_of (request, "strength", 1.0));

  return g_variant_ref_sink (g_variant_dict_end (&dict));
}

static gboolean
estimate_inpaint (FbWorkshop *workshop, GVariant *request, FbJobEstimate *estimate, GCancellable *cancellable, GError **error)
{
  if (!check_inpaint (request, error))
    return FALSE;
  estimate->peak_bytes = 300 * 1000 * 1000;
  estimate->seconds    = 2.0;
  estimate->resolved   = resolve_inpaint (request);

  return TRUE;
}

/* (transfer full): what @mask covers of the context, which @image shows at any size */
static FbImage *
covered (GVariant *request, FbImage *image, FbImage *mask)
{
  int x = 0, y = 0, width = 0, height = 0;

  if (!g_variant_lookup (request, "around", "(iiii)", &x, &y, &width, &height))
    return fb_image_ref (image);
  return fb_image_resize_part (image, width, height, -x, -y, mask->width, mask->height);
}

/* stripes over @image with an alpha of @mask, as far again as REACH pixels around it at half */
#define REACH 3
static FbImage *
paint_over (GVariant *request, FbImage *image, FbImage *mask, gint64 seed, float noise)
{
  int                width     = image->width;
  int                height    = image->height;
  gboolean           is_behind = g_str_equal (string_of (request, "use", "fill"), "background");
  g_autoptr(FbImage) stripes   = paint (request, image, seed, width, height, noise);
  FbImage           *result    = fb_image_new (width, height, 4);

  for (int y = 0; y < height; y++)
    for (int x = 0; x < width; x++)
      {
        float most = 0.0f;

        for (int dy = -REACH; dy <= REACH; dy++)
          for (int dx = -REACH; dx <= REACH; dx++)
            {
              int   px    = CLAMP (x + dx, 0, width - 1);
              int   py    = CLAMP (y + dy, 0, height - 1);
              float value = mask->pixels[(gsize) py * width + px];

              value = is_behind ? 1.0f - value : value;
              most  = MAX (most, dx == 0 && dy == 0 ? value : value / 2.0f);
            }
        memcpy (result->pixels + 4 * ((gsize) y * width + x), stripes->pixels + 3 * ((gsize) y * width + x), 3 * sizeof (float));
        result->pixels[4 * ((gsize) y * width + x) + 3] = most;
      }

  return result;
}

static gboolean
run_inpaint_steps (FbTask *task, GVariant *request, FbImage *image, FbImage *mask, int picture, int count, gint64 seed, GError **error)
{
  const char *prompt  = string_of (request, "prompt", "");
  double      seconds = g_str_has_prefix (prompt, "slow") ? 1.0 : 0.02;

  for (int step = 0; step < N_STEPS; step++)
    {
      g_autoptr(FbImage) preview  = paint_over (request, image, mask, seed, 1.0f - (step + 1.0f) / N_STEPS);
      FbJobProgress      progress = { "step", picture, step + 1, N_STEPS, (picture * N_STEPS + step + 1.0) / (count * N_STEPS),
                                      seconds * (N_STEPS - step - 1), g_str_equal (string_of (request, "preview", "none"), "none") ? NULL : preview };

      if (wait (task, seconds))
        {
          g_cancellable_set_error_if_cancelled (fb_task_cancellable (task), error);
          return FALSE;
        }
      if (step == 1 && g_str_has_prefix (prompt, "crash"))
        abort ();
      if (step == 1 && g_str_has_prefix (prompt, "fail"))
        return refuse (error, "The model gave no numbers.");
      fb_task_progress (task, &progress);
    }

  return TRUE;
}

static GVariant *
run_inpaint (FbTask *task, GError **error)
{
  g_autoptr(GVariant)  request = resolve_inpaint (fb_task_request (task));
  g_auto(GVariantDict) dict    = G_VARIANT_DICT_INIT (request);
  FbImage             *whole   = fb_task_picture (task, "image");
  FbImage             *mask    = fb_task_picture (task, "mask");
  g_autoptr(FbImage)   image   = whole != NULL && mask != NULL ? covered (request, whole, mask) : NULL;
  int                  count   = int_of (request, "count", 1);
  gint64               seed    = 0;

  if (!check_inpaint (request, error))
    return NULL;
  if (image == NULL || mask == NULL || image->width != mask->width || image->height != mask->height || mask->n_channels != 1)
    {
      refuse (error, "The pictures “image” and “mask” must be of one size.");
      return NULL;
    }
  g_variant_lookup (request, "seed", "x", &seed);
  for (int i = 0; i < count; i++)
    {
      g_autoptr(FbImage) picture = NULL;

      if (!run_inpaint_steps (task, request, image, mask, i, count, seed + i, error))
        return NULL;
      picture = paint_over (request, image, mask, seed + i, 0.0f);
      fb_task_add_picture (task, picture, seed + i, g_variant_new_parsed ("{'seed': <%x>, 'count': <1>}", seed + i));
    }
  g_variant_dict_remove (&dict, "seed");
  g_variant_dict_remove (&dict, "around");
  g_variant_dict_remove (&dict, "width");
  g_variant_dict_remove (&dict, "height");
  g_variant_dict_insert (&dict, "model-hash", "s", "0123456789abcdef");

  return g_variant_ref_sink (g_variant_dict_end (&dict));
}

static const FbJobKind kinds[] =
{
  { "generate",        estimate, run },
  { "inpaint",         estimate_inpaint, run_inpaint },
  { "distill-presets", NULL,                     fb_test_distill_presets, TRUE },
  { "distill-start",   fb_test_distill_estimate, fb_test_distill_start,   TRUE },
  { "distill-list",    NULL,                     fb_test_distill_list,    TRUE },
  { "distill-pause",   NULL,                     fb_test_distill_pause,   TRUE },
  { "distill-resume",  NULL,                     fb_test_distill_resume,  TRUE },
  { "distill-stop",    NULL,                     fb_test_distill_stop,    TRUE },
  { "distill-remove",  NULL,                     fb_test_distill_remove,  TRUE },
  { "distill-watch",   NULL,                     fb_test_distill_watch,   TRUE },
  { NULL }
};

static void
capabilities (FbWorkshop *workshop, GVariantDict *dict)
{
  g_variant_dict_insert (dict, "device", "s", "cuda");
  g_variant_dict_insert (dict, "card", "s", "Test Card 9000");
  g_variant_dict_insert_value (dict, "samplers",
                               g_variant_new_parsed ("[{'name': <'lcm'>, 'label': <'LCM'>, 'steps': <4>, 'guidance': <1.0>}]"));
}

static GVariant *
list_models (FbWorkshop *workshop, GCancellable *cancellable, GError **error)
{
  const char *models = g_getenv ("FB_TEST_NO_MODELS") == NULL || !g_file_test (g_getenv ("FB_TEST_NO_MODELS"), G_FILE_TEST_EXISTS)
                       ? "[{'name': <'test'>, 'kind': <'checkpoint'>, 'title': <'Test stripes'>, 'embedded': <true>},"
                         " {'name': <'ink'>, 'kind': <'lora'>}]"
                       : "@aa{sv} []";

  return g_variant_ref_sink (g_variant_new_parsed (models));
}

int
main (int argc, char **argv)
{
  static const FbTrade trade    = { kinds, capabilities, list_models };
  const struct rlimit  no_cores = { 0, 0 };

  setrlimit (RLIMIT_CORE, &no_cores);

  return fb_server_main (argc, argv, &trade);
}
