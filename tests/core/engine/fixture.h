/* tests/core/engine/fixture.h: a private engine for each test. SPDX-License-Identifier: LGPL-3.0-or-later */
#pragma once

#include "core/engine/client-private.h"

/**
 * FixtureEngine: a folder of its own with socket, settings and log; FLASHBRUSH_SOCKET points there. The test ends by SIGALRM after a minute.
 */
typedef struct
{
  char           *folder;
  char           *socket;
  FbEngineClient *client;
} Fixture;

void       fixture_set_up    (Fixture *f, gconstpointer settings);     /* text of engine.conf, or NULL */
void       fixture_tear_down (Fixture *f, gconstpointer settings);     /* the engine ends by SIGTERM, and leaves neither socket nor lock */

#define fixture_test(path, settings, func) g_test_add (path, Fixture, settings, fixture_set_up, func, fixture_tear_down)

/* A "test-sleep" job of the fixture's client; @request is GVariant text */
FbJob *    fixture_job       (Fixture *f, const char *request);
/* Iterates the default main context until the job has finished, for at most @seconds */
void       fixture_wait      (FbJob *job, double seconds);
/* Starts the job, and waits until it has done its first step */
void       fixture_begin     (FbJob *job);
/* The link of the fixture's client */
FbLink *   fixture_link      (Fixture *f);

/* whether a process runs; a zombie doesn't */
gboolean   process_runs      (guint32 pid);
/* waits until @pid has ended; fails the test after @seconds */
void       process_wait_end  (guint32 pid, double seconds);

/* starts tests' client executable; its standard output is a pipe */
GSubprocess * fixture_start_client (const char *request, const char * const *environment);
/* (transfer full): its next line, which must come within 20 seconds */
char *     fixture_read_line (GSubprocess *client);

/* (transfer full): where @image (transfer full) lies now, in the fixture's folder */
char *     fixture_save_png  (Fixture *f, const char *name, FbImage *image);
/* (transfer full): what `flashbrush-engine NAME ARGUMENTS…` says when it fails; its exit status must be @status */
char *     fixture_command   (const char *name, int status, const char * const *arguments);
