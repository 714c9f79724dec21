/* ui/model-list.c: what a task can use of the models the engine lists. SPDX-License-Identifier: LGPL-3.0-or-later */
#include "ui/model-list.h"

/* the texts that an entry has under @key hold @task; TRUE where it has none */
static gboolean
lists (GVariant *model, const char *key, const char *task)
{
  g_autofree const char **tasks = NULL;

  return !g_variant_lookup (model, key, "^a&s", &tasks) || g_strv_contains (tasks, task);
}

gboolean
fb_model_list_suits (GVariant *model, const char *task)
{
  return lists (model, "tasks", task);
}

GVariant *
fb_model_list_for_task (GVariant *models, const char *task)
{
  GVariantBuilder builder;

  g_variant_builder_init (&builder, G_VARIANT_TYPE ("aa{sv}"));
  for (int others = 0; others < 2; others++)
    for (gsize i = 0; i < g_variant_n_children (models); i++)
      {
        g_autoptr(GVariant) model = g_variant_get_child_value (models, i);

        if (lists (model, "tasks", task) && lists (model, "default-for", task) == !others)
          g_variant_builder_add_value (&builder, model);
      }

  return g_variant_ref_sink (g_variant_builder_end (&builder));
}
