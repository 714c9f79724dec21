/* core/engine/fingerprints.h: hashes of a job's files, computed beside it. SPDX-License-Identifier: LGPL-3.0-or-later
 *
 * The first SHA-256 of a file of several gigabytes takes some ten seconds; the store remembers it afterwards. So it is computed on a thread of its
 * own from the moment the job begins, while loading brings the same bytes into the page cache; pictures don't wait for it, only the
 * metadata at the job's end does.
 */
#pragma once

#include "core/engine/model-use.h"

typedef struct FbFingerprints FbFingerprints;

FbFingerprints * fb_fingerprints_start (const FbModelUse *use, GCancellable *cancellable);

/**
 * fb_fingerprints_add:
 *
 * Where they are known by now, adds "model-hash" s, "vae-hash" s where there is a separate one, "lora-hashes" as, one for each of the request's "loras", and "model-lora-hash" s
 * where the model brought another. What could not be read is left out, or "".
 */
void             fb_fingerprints_add    (FbFingerprints *self, GVariantDict *metadata);

/* Waits, adds them and frees @self. */
void             fb_fingerprints_finish (FbFingerprints *self, GVariantDict *metadata);
