/* core/engine/main.c: flashbrush-engine. SPDX-License-Identifier: LGPL-3.0-or-later */
#include "config.h"

#include <glib/gi18n-lib.h>
#include <locale.h>
#include <malloc.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "core/engine/command.h"
#include "core/engine/server.h"
#include "core/engine/trade.h"

static const struct { const char *name; int (* run) (int argc, char **argv); } commands[] =
{
  { "distill",  fb_command_distill  },
  { "eval",     fb_command_eval     },
  { "generate", fb_command_generate },
  { "inpaint",  fb_command_inpaint  },
  { "models",   fb_command_models   },
  { "upscale",  fb_command_upscale  },
};

/* a command has a person in front of it, who wants its results and not the engine's diary */
static GLogWriterOutput
write_warnings (GLogLevelFlags level, const GLogField *fields, gsize n_fields, gpointer user_data)
{
  if ((level & (G_LOG_LEVEL_MESSAGE | G_LOG_LEVEL_INFO)) != 0)
    return G_LOG_WRITER_HANDLED;
  return g_log_writer_default (level, fields, n_fields, user_data);
}

static int
run_command (gsize i, int argc, char **argv)
{
  g_autofree char *name = g_strconcat ("flashbrush-engine ", commands[i].name, NULL);

  g_set_prgname (name);
  g_log_set_writer_func (write_warnings, NULL, NULL);
  return commands[i].run (argc, argv);
}

/* OpenMP's threads would spin at every barrier for milliseconds, which on a processor that others use too costs many times the job's own work
 * (12 steps of a small model: 13 s instead of 0.4 s). Its library reads the setting before main(), hence the second start. */
static void
let_idle_threads_sleep (char **argv)
{
  if (g_getenv ("OMP_WAIT_POLICY") != NULL || g_getenv ("GOMP_SPINCOUNT") != NULL)
    return;
  g_setenv ("GOMP_SPINCOUNT", "1000", TRUE);
  execv ("/proc/self/exe", argv);                          /* if that fails, it goes on, slower */
}

/* A job's pictures come and go by megabytes. Handed back to the system each time, they would come as new pages, and these cost as much as what is done
 * with them: a third of what is around the network in a job of inpainting. So up to 64 MB stay, and what is larger than 32 MB still goes at once. */
static void
keep_freed_memory (void)
{
  mallopt (M_MMAP_THRESHOLD, 32 << 20);
  mallopt (M_TRIM_THRESHOLD, 64 << 20);
}

int
main (int argc, char **argv)
{
  let_idle_threads_sleep (argv);

  setlocale (LC_ALL, "");
  setlocale (LC_NUMERIC, "C");                             /* numbers in files and options have a point */
  bindtextdomain (GETTEXT_PACKAGE, FB_LOCALEDIR);
  bind_textdomain_codeset (GETTEXT_PACKAGE, "UTF-8");

  for (gsize i = 0; argc > 1 && i < G_N_ELEMENTS (commands); i++)
    if (strcmp (argv[1], commands[i].name) == 0)
      return run_command (i, argc - 1, argv + 1);
  keep_freed_memory ();
  return fb_server_main (argc, argv, &fb_trade);
}
