/* core/engine/trade.c: what the real engine does, and what it tells of itself. SPDX-License-Identifier: LGPL-3.0-or-later */
#include "core/engine/trade.h"

#include "core/engine/bench.h"
#include "core/engine/catalogue.h"
#include "core/samplers/sampler.h"
#include "core/tasks/generate.h"

static const FbJobKind kinds[] =
{
  { "generate",        fb_kind_generate_estimate,      fb_kind_generate_run              },
  { "inpaint",         fb_kind_inpaint_estimate,       fb_kind_inpaint_run               },
  { "upscale",         fb_kind_upscale_estimate,       fb_kind_upscale_run               },
  { "load",            NULL,                           fb_kind_load_run                  },
  { "unload",          NULL,                           fb_kind_unload_run                },
  { "import",          NULL,                           fb_kind_import_run,          TRUE },
  { "remove",          NULL,                           fb_kind_remove_run                },      /* after the jobs that may be reading it */
  { "set-default",     NULL,                           fb_kind_set_default_run,     TRUE },
  { "verify",          NULL,                           fb_kind_verify_run,          TRUE },
  { "distill-presets", NULL,                           fb_kind_distill_presets_run, TRUE },
  { "distill-start",   fb_kind_distill_start_estimate, fb_kind_distill_start_run,   TRUE },
  { "distill-list",    NULL,                           fb_kind_distill_list_run,    TRUE },
  { "distill-pause",   NULL,                           fb_kind_distill_pause_run,   TRUE },
  { "distill-resume",  NULL,                           fb_kind_distill_resume_run,  TRUE },
  { "distill-stop",    NULL,                           fb_kind_distill_stop_run,    TRUE },
  { "distill-remove",  NULL,                           fb_kind_distill_remove_run,  TRUE },
  { "distill-watch",   NULL,                           fb_kind_distill_watch_run,   TRUE },
  { NULL }
};

static GVariant *
list_samplers (void)
{
  int                  n    = 0;
  const FbSamplerInfo *list = fb_sampler_list (&n);
  GVariantBuilder      builder;

  g_variant_builder_init (&builder, G_VARIANT_TYPE ("aa{sv}"));
  for (int i = 0; i < n; i++)
    g_variant_builder_add_parsed (&builder, "{'name': <%s>, 'label': <%s>, 'steps': <%i>, 'guidance': <%d>, 'few-steps': <%b>}",
                                  list[i].name, list[i].label, list[i].n_steps, list[i].guidance_scale, list[i].few_steps);
  return g_variant_builder_end (&builder);
}

/* the tasks with a default model that this engine does */
static GVariant *
list_tasks (void)
{
  GVariantBuilder builder;

  g_variant_builder_init (&builder, G_VARIANT_TYPE_STRING_ARRAY);
  for (const char * const *task = fb_store_tasks (); *task != NULL; task++)
    for (gsize i = 0; kinds[i].name != NULL; i++)
      if (g_str_equal (kinds[i].name, *task))
        g_variant_builder_add (&builder, "s", *task);
  return g_variant_builder_end (&builder);
}

static void
capabilities (FbWorkshop *workshop, GVariantDict *dict)
{
  const char *stages[FB_N_STAGES];
  FbDesk     *desk = fb_desk_get (workshop, NULL);

  for (int stage = 0; stage < FB_N_STAGES; stage++)
    stages[stage] = fb_stage_name (stage);
  g_variant_dict_insert_value (dict, "stages", g_variant_new_strv (stages, FB_N_STAGES));
  g_variant_dict_insert_value (dict, "samplers", list_samplers ());
  g_variant_dict_insert_value (dict, "tasks", list_tasks ());
  if (desk != NULL)
    {
      g_variant_dict_insert (dict, "device",  "s", fb_device_name (desk->dev));
      if (fb_device_card (desk->dev) != NULL)
        g_variant_dict_insert (dict, "card",  "s", fb_device_card (desk->dev));
      g_variant_dict_insert (dict, "dtype",   "s", fb_dtype_name (fb_device_best_dtype (desk->dev)));
      g_variant_dict_insert (dict, "threads", "i", fb_device_n_threads (desk->dev));
    }
}

const FbTrade fb_trade = { kinds, capabilities, fb_catalogue_list };
