/* ui/plug-in.h: a program that GIMP starts. SPDX-License-Identifier: LGPL-3.0-or-later */
#pragma once

#include <libgimp/gimp.h>

typedef struct { GimpPlugIn      parent_instance; } FbPlugIn;
typedef struct { GimpPlugInClass parent_class; }    FbPlugInClass;

typedef GList *         (* FbPlugInQuery)  (GimpPlugIn *plug_in);
typedef GimpProcedure * (* FbPlugInCreate) (GimpPlugIn *plug_in, const char *name);

/* Our texts, and these two. */
void fb_plug_in_class_set_up (FbPlugInClass *class, FbPlugInQuery query, FbPlugInCreate create);

/**
 * FB_PLUG_IN_MAIN:
 * @query, @create: names its procedures, and makes one, as GimpPlugInClass has it
 *
 * The plug-in's type and its main().
 */
#define FB_PLUG_IN_MAIN(query, create)                                                                    \
  static GType fb_plug_in_get_type (void);                                                                \
  G_DEFINE_TYPE (FbPlugIn, fb_plug_in, GIMP_TYPE_PLUG_IN)                                                 \
  static void fb_plug_in_class_init (FbPlugInClass *class) { fb_plug_in_class_set_up (class, query, create); }  \
  static void fb_plug_in_init (FbPlugIn *plug_in) { }                                                     \
  GIMP_MAIN (fb_plug_in_get_type ())
