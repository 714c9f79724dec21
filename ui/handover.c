/* ui/handover.c: settings that one window gives the next. SPDX-License-Identifier: LGPL-3.0-or-later */
#include "ui/handover.h"

#include <json-glib/json-glib.h>

#include "ui/record.h"

static char *
parasite_name (const char *kind)
{
  return g_strdup_printf ("flashbrush-begin-%s", kind);
}

void
fb_handover_put (const char *kind, GVariant *values)
{
  g_autoptr(GVariant)  owned    = g_variant_ref_sink (values);
  g_autofree char     *name     = parasite_name (kind);
  gsize                size     = 0;
  g_autofree char     *text     = json_gvariant_serialize_data (owned, &size);
  GimpParasite        *parasite = gimp_parasite_new (name, 0, (guint32) size, text);

  gimp_attach_parasite (parasite);
  gimp_parasite_free (parasite);
}

void
fb_handover_take (const char *kind, const FbArg *args, GimpProcedureConfig *config)
{
  g_autofree char     *name     = parasite_name (kind);
  GimpParasite        *parasite = gimp_get_parasite (name);
  g_autoptr(GVariant)  values   = NULL;
  gconstpointer        data     = NULL;
  guint32              size     = 0;

  if (parasite == NULL)
    return;
  data   = gimp_parasite_get_data (parasite, &size);
  values = fb_record_parse_some (data, size, args, NULL);
  gimp_parasite_free (parasite);
  gimp_detach_parasite (name);
  if (values != NULL)
    fb_args_from_variant (args, config, values);
}
