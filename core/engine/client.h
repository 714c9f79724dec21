/* core/engine/client.h: the engine as plug-ins see it. SPDX-License-Identifier: LGPL-3.0-or-later
 *
 * The only header of core that ui/ and plugins/ include. Nothing here blocks, but what says so.
 */
#pragma once

#include <gio/gio.h>

#include "core/engine/error.h"
#include "core/image/image.h"
#include "core/tasks/inpaint-place.h"

/**
 * FbEngineClient: the way to the user's engine, which is found, or started, when the first call needs it, and again when it has left meanwhile
 * (it does so after some idle minutes). Serves one thread at a time.
 *
 * The environment: FLASHBRUSH_ENGINE, the executable to start; FLASHBRUSH_SOCKET, another socket than the user's own; FLASHBRUSH_REMOTE, a
 * socket forwarded from another machine, behind which no engine is ever started; FLASHBRUSH_INLINE=1 sends no file descriptors.
 *
 * Every wait has a limit. Errors: %FB_ENGINE_ERROR, the domains of the engine's tasks, %G_IO_ERROR_CANCELLED.
 */
#define FB_TYPE_ENGINE_CLIENT (fb_engine_client_get_type ())
G_DECLARE_FINAL_TYPE (FbEngineClient, fb_engine_client, FB, ENGINE_CLIENT, GObject)

FbEngineClient * fb_engine_client_new (void);

/* Finds or starts the engine ahead of time, so that the first job needn't wait for it; all other calls do the same by themselves. */
void     fb_engine_client_connect_async  (FbEngineClient *self, GCancellable *cancellable, GAsyncReadyCallback callback, gpointer user_data);
gboolean fb_engine_client_connect_finish (FbEngineClient *self, GAsyncResult *result, GError **error);

/**
 * fb_engine_client_get_capabilities_async:
 *
 * Returns: (transfer full): a{sv}: "version" s, "device" s (its name), "card" s (what people call it, where it is a
 *   graphics card), "dtype" s ("f32", "bf16" or "f16"), "threads" i, "kinds" as, "stages" as,
 *   "samplers" aa{sv} (each "name" s, "label" s untranslated, "steps" i, "guidance" d), "memory-budget" t, "available-bytes" t,
 *   "tasks" as (what a default model can be chosen for: "generate" …).
 */
void       fb_engine_client_get_capabilities_async  (FbEngineClient *self, GCancellable *cancellable, GAsyncReadyCallback callback, gpointer user_data);
GVariant * fb_engine_client_get_capabilities_finish (FbEngineClient *self, GAsyncResult *result, GError **error);

/**
 * fb_engine_client_list_models_async:
 *
 * Returns: (transfer full): aa{sv}, one for each model the store knows: "name" s, "path" s, "kind" s ("checkpoint", "lora", "vae", "taesd"),
 *   "family" s ("sd-1.5"; of a LoRA, what it fits), "family-label" s (for people), "title" s, "bytes" t, "loaded" b, "tasks" as (of a model: what it can
 *   do), "default-for" as (the tasks that take it when no model is named),
 *   "embedded" b (came with the program), "own" b (a file in Flashbrush's folder, which removing deletes), "target" s (where it lies, when "path" is
 *   a link), "precision" s (in the file: "F16"), "licence" s, "hash" s (when it has been computed since the file changed last), "base" s (what a LoRA
 *   says it was made for), "trigger" s (words that call a LoRA up), "sampler" s, "n-steps" i, "guidance-scale" d, "few-steps" b (what suits it),
 *   "problem" s (why it can't be used); keys that are not known are absent.
 */
void       fb_engine_client_list_models_async  (FbEngineClient *self, GCancellable *cancellable, GAsyncReadyCallback callback, gpointer user_data);
GVariant * fb_engine_client_list_models_finish (FbEngineClient *self, GAsyncResult *result, GError **error);

/* Returns: (transfer full): aa{sv}, the models in memory: "path" s, "dtype" s, "bytes" t */
void       fb_engine_client_list_loaded_async  (FbEngineClient *self, GCancellable *cancellable, GAsyncReadyCallback callback, gpointer user_data);
GVariant * fb_engine_client_list_loaded_finish (FbEngineClient *self, GAsyncResult *result, GError **error);

/**
 * FbJobEstimate:
 * @peak_bytes: memory the job will need, weights included
 * @seconds: negative while unknown
 * @available_bytes: memory the engine's machine can give now; a job that needs more is refused before it computes
 * @resolved: (transfer full) (nullable): a{sv}, the request with the model's own values in the places it left open
 * @least_bytes: for the engine's own use: what the job can do with, slower, where there is less than @peak_bytes; 0 where it can't. A client is
 *   told as @peak_bytes what it will be
 */
typedef struct
{
  guint64   peak_bytes;
  double    seconds;
  guint64   available_bytes;
  GVariant *resolved;
  guint64   least_bytes;
} FbJobEstimate;

/* Checks @request as Run would, and says what it costs. @request as for fb_job_new(). */
void       fb_engine_client_estimate_async  (FbEngineClient *self, const char *kind, GVariant *request,
                                             GCancellable *cancellable, GAsyncReadyCallback callback, gpointer user_data);
gboolean   fb_engine_client_estimate_finish (FbEngineClient *self, GAsyncResult *result, FbJobEstimate *estimate, GError **error);


/**
 * FbJobProgress:
 * @stage: untranslated: "queue", "load", "text", "encode", "step", "decode", "check"; fb_job_stage_label() is for people
 * @picture: index of the picture, 0 … count − 1
 * @step, @n_steps: finished steps of this stage, and how many there are; 0 of 0 where a stage has none; in "queue", @step jobs are ahead
 * @fraction: of the whole job, 0 … 1, never falls
 * @seconds_left: negative while unknown
 * @preview: (nullable): a new preview; may be smaller than the result
 */
typedef struct
{
  const char *stage;
  int         picture;
  int         step, n_steps;
  double      fraction;
  double      seconds_left;
  FbImage    *preview;
} FbJobProgress;

/* a translated phrase without full stop, "Denoising" for "step" */
const char * fb_job_stage_label (const char *stage);

/**
 * FbJob: one request. Signals, in the main context that was the thread's default at fb_job_start():
 *
 * - progress (const FbJobProgress *progress): valid during the emission; a preview may be kept with a reference
 * - picture (int index): a finished picture has arrived; a later cancel or failure does not take it away
 * - finished (void): exactly once, after the last picture; fb_job_get_error() tells how it went
 *
 * A started job holds a reference to itself until it has finished.
 */
#define FB_TYPE_JOB (fb_job_get_type ())
G_DECLARE_FINAL_TYPE (FbJob, fb_job, FB, JOB, GObject)

/**
 * fb_job_new:
 * @kind: "generate", "inpaint", "upscale", "load", "unload", "import", "remove", "set-default", "verify", "distill-…"
 * @request: a{sv}; a floating reference is taken.
 *   "generate": "model" s (a name in the store, or an absolute path), "vae" s and "taesd" s (the same, optional), "loras" a(sd) (name or path, strength),
 *     "dtype" s ("auto", "f32", "bf16", "f16"), and the keys of a generate request: "prompt" s, "negative-prompt" s, "sampler" s, "timestep-spacing" s,
 *     "n-steps" i, "guidance-scale" d, "seed" x, "count" i, "width" i, "height" i, "clip-skip" i, "strength" d, "preview" s ("none", "linear", "taesd"), "decoder" s ("full", "taesd");
 *     absent ones take the model's own values. Picture "init": to start from.
 *   "inpaint": those keys without "width" and "height", and "use" s ("fill", "remove", "background", "expand", "refine"), "route" s ("auto", "inpaint-model",
 *     "masked-latents", "differential"), "fill" s ("auto", "original", "neutral", "blur", "border", "noise"), "passes" s ("auto", "one", "two"),
 *     "resolution" i, "feather" d, "grow" d, "blend" d, "match-colours" b, as core/tasks/inpaint.h explains them; "strength" is negative for the use's own. Pictures "image" (RGB or
 *     RGBA) and "mask" (1 channel), of the context's size, see fb_inpaint_context(); with "around" (iiii), the context in the mask's pixels, the mask is
 *     what of it fb_inpaint_shown() says and the image has any size. The job's pictures and previews are RGBA with the composite mask as alpha and
 *     cover what the mask does. The mask is sent as painted: for "background" the engine inverts it. Both may be sent at a lower scale, for a
 *     draft: the result then comes in that size. An estimate needs no pictures; its "width" and "height" are the model's own size.
 *   "upscale": those of "generate" without "width", "height" and "strength", and "scale" d, "target-width" i, "target-height" i, "noise-level" i and
 *     "faithful" s ("pixels", "tones", "none"), as core/tasks/upscale.h explains them. Picture "image" (RGB or RGBA). An estimate needs none, but
 *     takes "source-width" i and "source-height" i for its size; its "width" and "height" are those that the network draws.
 *   "load": "model" s, "vae" s, "taesd" s, "loras" a(sd), "dtype" s. "unload": "model" s, absent for all; gives "n-unloaded" i.
 *   "import": "path" s (a file, a model's folder, or a folder of such), "kind" s (as the models are listed with; absent: looks into the files),
 *     "copy" b (a file that is no whole model is copied; else it is used where it lies). Gives "kind" s, "name" s, "path" s, "family" s, "n-found" i.
 *   "remove": "model" s, "kind" s; gives "name" s, "kind" s, "deleted" b (else the files, which are elsewhere, are only forgotten).
 *   "set-default": "task" s, "model" s (absent: the first there is).
 *   "verify": "model" s, "kind" s; gives "hash" s, "kind" s, and of a LoRA "fits" as (names of the models that have all its layers).
 *   "import", "set-default" and "verify" don't wait for jobs that compute.
 *   Distillation; these neither wait nor last, the work is done in the background and outlives the client:
 *   "distill-presets" gives "presets" aa{sv}: "name" s, "label" s (untranslated), "size" i, "steps" i.
 *   "distill-start": "pictures" s (a folder), "name" s, and, where the preset shall not decide, "preset" s, "teacher" s, "size" i, "steps" i; gives what
 *     "distill-list" has of the new job. Its estimate, for which pictures and name may be open, tells the least memory it can do with, and in
 *     "resolved" "n-pictures" i and "n-without-caption" i.
 *   "distill-list" gives "jobs" aa{sv}, those that run or wait first, in the order in which they will be done: "job" s (path of its file, which names
 *     it), "created" x (tells it from another that had the file before), "name" s, "teacher" s, "state" s
 *     ("waiting", "preparing", "measuring": the first step, "running", "paused", "stopped", "done", "failed"), "problem" s, "step" i, "n-steps" i
 *     (pictures and captions while preparing), "seconds-left" d, "seconds-total" d (for all steps; both negative before they are measured),
 *     "peak-bytes" t (the most memory it has taken; 0 before), "output" s (the LoRA's path) and "lora" s (its name among the LoRAs) once there is one.
 *   "distill-pause", "distill-resume", "distill-stop" (writes the LoRA as it is), "distill-remove" (of one that is not at work: off the list; its files,
 *     except for the LoRA, are deleted unless they were brought in from elsewhere): "job" s; give what "distill-list" has of it.
 *   "distill-watch": "job" s, "from" i (the last step that is known), "sample" i (step of the last sample that is known, −1 for none); gives "rows"
 *     a(idddd): step, losses of distillation, matching, adversary and discriminator; and as its picture a newer sample, the teacher's beside the
 *     student's, whose seed is its step.
 */
FbJob *        fb_job_new         (FbEngineClient *client, const char *kind, GVariant *request);

/* Before the start. @image must not be written to any more. */
void           fb_job_add_picture (FbJob *self, const char *name, FbImage *image);

/**
 * FbJobSource: a picture that is made while its job is on the way, so that a main loop is never held up for long
 * @step: (nullable): called again and again while it returns %TRUE, each time a short piece of work, when the main loop that the job's signals come
 *   from has nothing else to do; %FALSE when it has done its part, or with @error
 * @finish: then called once, in a thread of its own. Returns: (transfer full): the picture, or %NULL with @error, with which the job ends
 * @free: when the job needs it no more, whatever became of it; never while one of the others runs
 */
typedef struct
{
  gboolean  (* step)   (gpointer data, GError **error);
  FbImage * (* finish) (gpointer data, GError **error);
  void      (* free)   (gpointer data);
} FbJobSource;

/* Before the start, as fb_job_add_picture(). @source is static, @data becomes its own. */
void           fb_job_add_source  (FbJob *self, const char *name, const FbJobSource *source, gpointer data);

/* Returns at once; once per job. */
void           fb_job_start       (FbJob *self);

/* Returns at once; the job finishes with %G_IO_ERROR_CANCELLED soon after, unless it was done already. */
void           fb_job_cancel      (FbJob *self);

gboolean       fb_job_is_finished (FbJob *self);

/* (transfer none) (nullable): why a finished job failed; %NULL while it runs and if it succeeded */
const GError * fb_job_get_error   (FbJob *self);

int            fb_job_get_n_pictures (FbJob *self);
/* (transfer none): picture @index that has arrived */
FbImage *      fb_job_get_picture    (FbJob *self, int index);
gint64         fb_job_get_seed       (FbJob *self, int index);

/**
 * fb_job_get_metadata:
 *
 * What made picture @index; complete when the job has finished, because a large model's hash may come later than the first picture.
 *
 * Returns: (transfer full): a{sv}: the request's keys with everything resolved, for this picture alone ("count" 1, its own "seed"), so that it can be
 *   used as a request; and "model-path" s, "family" s, "dtype" s, "model-hash" s (for a folder: of its files' hashes), "vae-hash" s,
 *   "lora-hashes" as (in the order of "loras"), "model-lora-hash" s (of the model's own LoRA for few steps), "lora-reports" a(siias) (path, layers that matched, layers that didn't, first names of those), "engine-version" s,
 *   "stage-seconds" a{sd}, "retried-in-f32" b where that happened;
 *   for "inpaint" also "bounds" (iiii): x, y, width and height within the picture of all that the composite mask lets through
 */
GVariant *     fb_job_get_metadata   (FbJob *self, int index);

/* Returns: (transfer full): a{sv}, what a finished job of a kind that makes no pictures gives */
GVariant *     fb_job_get_result     (FbJob *self);

typedef void (* FbJobProgressFunc) (const FbJobProgress *progress, gpointer user_data);

/**
 * fb_job_run: (blocking)
 * @progress: (nullable): called while it runs
 *
 * For plug-ins without a main loop: starts the job and waits for its end; no source of the caller's main context runs meanwhile.
 * Pictures are then read from the job, after a failure or a cancel too.
 */
gboolean       fb_job_run (FbJob *self, FbJobProgressFunc progress, gpointer user_data, GCancellable *cancellable, GError **error);
