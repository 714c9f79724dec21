/* ui/job.h: from a procedure's arguments to an engine's job and its results. SPDX-License-Identifier: LGPL-3.0-or-later */
#pragma once

#include <libgimp/gimp.h>

#include "core/engine/client.h"
#include "ui/mask.h"
#include "ui/target.h"

/**
 * fb_job_prepare:
 * @kind: of job, for the engine
 * @request: a{sv}, as from fb_args_to_variant()
 * @target: gets the input's bounds as its place when the strength asks for an input picture
 * @model_width, @model_height: the model's own size, for what the request leaves open
 *
 * Returns: (transfer full): a job ready to start, or %NULL with @error when the input picture cannot be read
 */
FbJob *     fb_job_prepare (FbEngineClient *client, const char *kind, GVariant *request, FbTarget *target,
                            int model_width, int model_height, GError **error);

/* (transfer full) (element-type FbResult): the pictures that have arrived */
GPtrArray * fb_job_get_results (FbJob *job);

/**
 * fb_job_lora_text:
 * @parameters: a{sv} of a finished job
 * @all_matched: (out): whether every tensor of every LoRA found its place
 *
 * Returns: (transfer full) (nullable): how the LoRAs met the model, in words; %NULL without LoRAs
 */
char *      fb_job_lora_text (GVariant *parameters, gboolean *all_matched);

/* (transfer full): the seeds of @results as text, for scripts */
GStrv       fb_results_get_seeds (GPtrArray *results);

/* (transfer full): "Denoising, step 2 of 4", and the picture's number when there are several */
char *      fb_job_progress_text (const FbJobProgress *progress, int n_pictures);

/**
 * fb_engine_resolve: (blocking)
 *
 * Returns: (transfer full): a{sv}, @request with every open place filled from the model's own settings, or %NULL with the
 * reason why it cannot be run
 */
GVariant *  fb_engine_resolve (FbEngineClient *client, const char *kind, GVariant *request, GError **error);

/**
 * fb_job_check_for_gimp, fb_job_prepare_for_gimp: (blocking)
 * @resolved: (out) (transfer full): as from fb_engine_resolve()
 *
 * What precedes a job without a dialog: everything that can be known to fail is refused before it computes, and what the request is to blame for is
 * %G_IO_ERROR_INVALID_ARGUMENT. The second goes on with fb_job_prepare().
 *
 * Returns: (transfer full): an engine that would take @request; a job ready to start
 */
FbEngineClient * fb_job_check_for_gimp   (const char *kind, GVariant *request, FbTarget *target, FbDestination destination,
                                          GVariant **resolved, GError **error);
FbJob *          fb_job_prepare_for_gimp (const char *kind, GVariant *request, FbTarget *target, FbDestination destination, GError **error);

/**
 * fb_job_run_for_gimp: (blocking)
 * @job: (nullable) (transfer full): %NULL where it could not be prepared
 * @mask: (nullable): what was painted, for the layers' records
 * @otherwise: the layers' name where there is no prompt
 * @error: (nullable) (transfer full): why there is no @job
 *
 * Runs one request to its end while GIMP shows the progress, then inserts the results. The image is touched in this last
 * step only: GIMP's Cancel ends the whole plug-in, and the engine takes the lost connection as a cancel.
 *
 * Returns: the procedure's return values
 */
GimpValueArray * fb_job_run_for_gimp (GimpProcedure *procedure, FbJob *job, GVariant *request, FbTarget *target, const FbMask *mask,
                                      FbDestination destination, const char *otherwise, gboolean show, GError *error);
