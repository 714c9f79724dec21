/* core/engine/residents.c: models that stay in memory between jobs. SPDX-License-Identifier: LGPL-3.0-or-later */
#include "core/engine/residents.h"

#include <string.h>

typedef struct
{
  char                *key;
  GVariant            *info;
  gpointer             object;
  FbResidentBytesFunc  measure;
  GDestroyNotify       free_func;
  guint64              bytes;         /* as measured last */
} Resident;

struct FbResidents
{
  GMutex  lock;                       /* for the list and the numbers; objects belong to the worker */
  GQueue  used;                       /* of Resident, most recently used first */
  guint64 budget;
};

static void
resident_free (Resident *resident)
{
  resident->free_func (resident->object);
  g_variant_unref (resident->info);
  g_free (resident->key);
  g_free (resident);
}

FbResidents *
fb_residents_new (guint64 budget)
{
  FbResidents *self = g_new0 (FbResidents, 1);

  g_mutex_init (&self->lock);
  g_queue_init (&self->used);
  self->budget = budget;
  return self;
}

void
fb_residents_free (FbResidents *self)
{
  fb_residents_drop (self, NULL);
  g_mutex_clear (&self->lock);
  g_free (self);
}

static GList *
find (FbResidents *self, const char *key)
{
  for (GList *l = self->used.head; l != NULL; l = l->next)
    if (strcmp (((Resident *) l->data)->key, key) == 0)
      return l;
  return NULL;
}

gpointer
fb_residents_get (FbResidents *self, const char *key)
{
  gpointer  object = NULL;
  GList    *l;

  g_mutex_lock (&self->lock);
  l = find (self, key);
  if (l != NULL)
    {
      g_queue_unlink (&self->used, l);
      g_queue_push_head_link (&self->used, l);
      object = ((Resident *) l->data)->object;
    }
  g_mutex_unlock (&self->lock);
  return object;
}

gboolean
fb_residents_has (FbResidents *self, const char *key)
{
  gboolean found;

  g_mutex_lock (&self->lock);
  found = find (self, key) != NULL;
  g_mutex_unlock (&self->lock);
  return found;
}

void
fb_residents_add (FbResidents *self, const char *key, GVariant *info, gpointer object, FbResidentBytesFunc bytes, GDestroyNotify free_func)
{
  Resident *resident = g_new0 (Resident, 1);

  resident->key       = g_strdup (key);
  resident->info      = g_variant_ref_sink (info);
  resident->object    = object;
  resident->measure   = bytes;
  resident->free_func = free_func;
  resident->bytes     = bytes (object);

  g_mutex_lock (&self->lock);
  g_assert (find (self, key) == NULL);
  g_queue_push_head (&self->used, resident);
  g_mutex_unlock (&self->lock);
}

/* takes @l off the list; its object is freed outside the lock, because giving back gigabytes takes a while */
static void
drop_link (FbResidents *self, GList *l)
{
  Resident *resident = l->data;

  g_mutex_lock (&self->lock);
  g_queue_delete_link (&self->used, l);
  g_mutex_unlock (&self->lock);

  g_message ("unloading %s", resident->key);
  resident_free (resident);
}

int
fb_residents_drop (FbResidents *self, const char *key)
{
  GList *l;
  int    n = 0;

  while ((l = key != NULL ? find (self, key) : self->used.tail) != NULL)
    {
      drop_link (self, l);
      n++;
    }
  return n;
}

static void
measure (FbResidents *self)
{
  for (GList *l = self->used.head; l != NULL; l = l->next)
    {
      Resident *resident = l->data;
      guint64   bytes    = resident->measure (resident->object);

      g_mutex_lock (&self->lock);
      resident->bytes = bytes;
      g_mutex_unlock (&self->lock);
    }
}

void
fb_residents_settle (FbResidents *self)
{
  measure (self);
  while (self->used.tail != NULL && fb_residents_bytes (self) > self->budget)
    drop_link (self, self->used.tail);
}

guint64
fb_residents_make_room (FbResidents *self, const char *keep, guint64 needed, guint64 available)
{
  GList *l = self->used.tail;

  while (l != NULL && needed > available)
    {
      GList    *newer    = l->prev;
      Resident *resident = l->data;

      if (keep == NULL || strcmp (resident->key, keep) != 0)
        {
          available += resident->bytes;
          drop_link (self, l);
        }
      l = newer;
    }
  return available;
}

guint64
fb_residents_bytes (FbResidents *self)
{
  guint64 bytes = 0;

  g_mutex_lock (&self->lock);
  for (GList *l = self->used.head; l != NULL; l = l->next)
    bytes += ((Resident *) l->data)->bytes;
  g_mutex_unlock (&self->lock);
  return bytes;
}

guint64
fb_residents_budget (const FbResidents *self)
{
  return self->budget;
}

GVariant *
fb_residents_list (FbResidents *self)
{
  GVariantBuilder list;

  g_variant_builder_init (&list, G_VARIANT_TYPE ("aa{sv}"));
  g_mutex_lock (&self->lock);
  for (GList *l = self->used.head; l != NULL; l = l->next)
    {
      Resident     *resident = l->data;
      GVariantDict  dict;

      g_variant_dict_init (&dict, resident->info);
      g_variant_dict_insert (&dict, "bytes", "t", resident->bytes);
      g_variant_builder_add_value (&list, g_variant_dict_end (&dict));
    }
  g_mutex_unlock (&self->lock);
  return g_variant_builder_end (&list);
}
