/* ui/model-list.h: what a task can use of the models the engine lists. SPDX-License-Identifier: LGPL-3.0-or-later */
#pragma once

#include <glib.h>

/* @model: an entry of the list, which is as fb_engine_client_list_models_finish() gives it; one that says nothing of tasks suits all */
gboolean   fb_model_list_suits    (GVariant *model, const char *task);

/* (transfer full): of @models those that can do @task, the one that it takes by itself first, and all that are no models */
GVariant * fb_model_list_for_task (GVariant *models, const char *task);
