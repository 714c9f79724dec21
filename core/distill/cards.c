/* core/distill/cards.c: the graphics cards of a team, and sums over them. SPDX-License-Identifier: LGPL-3.0-or-later
 *
 * Connecting is done in steps that each process takes only if all can take it: one that came alone would wait for the others for ever. */
#include "core/distill/cards.h"

#include <dlfcn.h>
#include <glib/gi18n-lib.h>
#include <string.h>

#include "core/distill/distill-error.h"
#include "kernels/device.h"
#include "kernels/module.h"

struct FbCards
{
  FbDevice            *dev;
  const FbCardsModule *module;
  void                *link;
};

/* (transfer none) (nullable): with @reason (transfer full) */
static const FbCardsModule *
load_module (char **reason)
{
  g_autofree char     *path    = fb_module_path ("nccl");
  void                *library = dlopen (path, RTLD_NOW | RTLD_LOCAL);
  const FbCardsModule *module  = library != NULL ? dlsym (library, "fb_cards_module") : NULL;

  if (library == NULL)
    *reason = g_strdup (dlerror ());
  else if (module == NULL || module->size != sizeof *module)
    *reason = g_strdup_printf (_("%s belongs to another version of this program"), path);
  return *reason == NULL ? module : NULL;
}

/* Whether all of the team's processes are without a @reason why not; the first one says what is in the way. */
static gboolean
all_can (const FbTeam *team, const char *reason)
{
  double n_that_cannot = reason != NULL;

  fb_team_sum_doubles (team, &n_that_cannot, 1);
  if (n_that_cannot > 0.0 && team->rank == 0)
    g_message (_("NCCL does not connect the graphics cards: %s. Sums take the way through the processor's memory."),
               reason != NULL ? reason : _("another process has no card or no NCCL"));
  return n_that_cannot == 0.0;
}

/* Whether no two processes have the same card; @name is this one's. */
static gboolean
cards_differ (const FbTeam *team, const guint8 *name)
{
  g_autofree double *names = g_new0 (double, (gsize) team->size * FB_CARDS_NAME_SIZE);
  const gsize        n     = FB_CARDS_NAME_SIZE * sizeof *names;

  for (int i = 0; i < FB_CARDS_NAME_SIZE; i++)
    names[team->rank * FB_CARDS_NAME_SIZE + i] = name[i];
  fb_team_sum_doubles (team, names, (gsize) team->size * FB_CARDS_NAME_SIZE);
  for (int a = 0; a < team->size; a++)
    for (int b = 0; b < a; b++)
      if (memcmp (names + a * FB_CARDS_NAME_SIZE, names + b * FB_CARDS_NAME_SIZE, n) == 0)
        return FALSE;
  return TRUE;
}

static gboolean
is_card (const FbDevice *dev)
{
  return g_str_equal (fb_device_name (dev), "cuda");
}

/* @place: memory of this process's card */
static gboolean
connect_cards (FbCards *self, const FbTeam *team, const FbTensor *place)
{
  g_autofree char *reason = NULL;
  guint8           name[FB_CARDS_NAME_SIZE] = { 0 };
  guint8           key[FB_CARDS_KEY_SIZE]   = { 0 };

  if (!is_card (self->dev))
    reason = g_strdup (_("a process computes on the processor"));
  else if (place->data == NULL)
    reason = g_strdup (_("the card's memory is full"));
  else
    self->module = load_module (&reason);
  if (self->module != NULL)
    reason = g_strdup (self->module->name_card (place->data, name));
  if (!all_can (team, reason))
    return FALSE;

  if (!cards_differ (team, name))
    reason = g_strdup (_("two processes share a card"));
  else if (team->rank == 0)
    reason = g_strdup (self->module->make_key (key));
  if (!all_can (team, reason))
    return FALSE;

  fb_team_share (team, key, sizeof key);
  reason = g_strdup (self->module->connect (&self->link, place->data, key, team->rank, team->size));
  return all_can (team, reason);
}

FbCards *
fb_cards_join (const FbTeam *team, FbDevice *dev)
{
  FbCards  *self;
  FbTensor *place;
  double    n_cards = is_card (dev);
  gboolean  connected;

  fb_team_sum_doubles (team, &n_cards, 1);
  if (team->size == 1 || n_cards == 0.0)
    return NULL;

  self = g_new0 (FbCards, 1);
  self->dev = fb_device_ref (dev);
  place = fb_tensor_new_1d (dev, FB_DTYPE_F32, 1);
  connected = connect_cards (self, team, place);
  fb_tensor_unref (place);
  fb_device_check (dev, NULL);                         /* a lack of memory was told above */
  if (!connected)
    g_clear_pointer (&self, fb_cards_free);
  return self;
}

void
fb_cards_free (FbCards *self)
{
  if (self == NULL)
    return;

  if (self->link != NULL)
    self->module->disconnect (self->link);
  fb_device_unref (self->dev);
  g_free (self);
}

gboolean
fb_cards_sum (FbCards *self, GPtrArray *tensors, GError **error)
{
  g_autofree float **data = g_new (float *, tensors->len);
  g_autofree size_t *n    = g_new (size_t, tensors->len);
  const char        *reason;

  if (!fb_device_check (self->dev, error))
    return FALSE;

  for (guint i = 0; i < tensors->len; i++)
    {
      const FbTensor *t = tensors->pdata[i];

      g_assert (t->dtype == FB_DTYPE_F32 && t->dev == self->dev);
      data[i] = t->data;
      n[i]    = fb_tensor_n_elements (t);
    }
  reason = self->module->sum (self->link, data, n, tensors->len);
  if (reason != NULL)
    g_set_error (error, FB_DISTILL_ERROR, FB_DISTILL_ERROR_TEAM,
                 /* Translators: %s is NCCL's own reason, in English */
                 _("The graphics cards lost each other: NCCL says “%s”. The same command goes on from the last checkpoint."), reason);
  return reason == NULL;
}
