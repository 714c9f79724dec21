/* ui/plug-in.c: a program that GIMP starts. SPDX-License-Identifier: LGPL-3.0-or-later */
#include "ui/plug-in.h"

static gboolean
set_i18n (GimpPlugIn *plug_in, const char *name, char **domain, char **folder)
{
  *domain = g_strdup (GETTEXT_PACKAGE);

  return TRUE;
}

void
fb_plug_in_class_set_up (FbPlugInClass *class, FbPlugInQuery query, FbPlugInCreate create)
{
  GimpPlugInClass *plug_in_class = &class->parent_class;

  plug_in_class->query_procedures = query;
  plug_in_class->create_procedure = create;
  plug_in_class->set_i18n         = set_i18n;
}
