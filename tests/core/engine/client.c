/* tests/core/engine/client.c: a client to be started many times, and killed. SPDX-License-Identifier: LGPL-3.0-or-later
 *
 * client REQUEST: runs one "test-sleep" job; prints its engine's process number, "begins", and then "done" or the error.
 */
#include <stdio.h>

#include "core/engine/client-private.h"

static void
on_progress (const FbJobProgress *progress, gpointer user_data)
{
  if (!*(gboolean *) user_data)
    printf ("begins\n");
  fflush (stdout);
  *(gboolean *) user_data = TRUE;
}

/* the engine's number, read from its Hello */
static void
on_link (GObject *source, GAsyncResult *result, gpointer user_data)
{
  g_autoptr(GError)  error = NULL;
  g_autoptr(FbLink)  link  = fb_engine_client_get_link_finish (FB_ENGINE_CLIENT (source), result, &error);

  if (link != NULL)
    printf ("%u\n", link->pid);
  else
    printf ("%s\n", error->message);
  fflush (stdout);
  *(gboolean *) user_data = TRUE;
}

int
main (int argc, char **argv)
{
  g_autoptr(FbEngineClient) client    = fb_engine_client_new ();
  g_autoptr(GVariant)       request   = g_variant_parse (G_VARIANT_TYPE_VARDICT, argc > 1 ? argv[1] : "{}", NULL, NULL, NULL);
  g_autoptr(FbJob)          job       = fb_job_new (client, "test-sleep", request);
  g_autoptr(GError)         error     = NULL;
  gboolean                  connected = FALSE;
  gboolean                  begun     = FALSE;

  fb_engine_client_get_link_async (client, NULL, on_link, &connected);
  while (!connected)
    g_main_context_iteration (NULL, TRUE);

  if (fb_job_run (job, on_progress, &begun, NULL, &error))
    printf ("done\n");
  else
    printf ("%s %d %s\n", g_quark_to_string (error->domain), error->code, error->message);
  return error != NULL;
}
