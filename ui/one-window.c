/* ui/one-window.c: a window that there is once, however often it is asked for. SPDX-License-Identifier: LGPL-3.0-or-later */
#include "ui/one-window.h"

#include <glib/gi18n-lib.h>

#define BUS          "org.freedesktop.DBus"
#define PATH         "/org/flashbrush/Window"
#define INTERFACE    "org.flashbrush.Window1"
#define DO_NOT_QUEUE 4         /* of the bus's RequestName, and its answer when the name is taken */
#define EXISTS       3
#define ANSWER_MS    2000      /* what a window that is not busy with something else needs by far */

static const char interface_xml[] =
  "<node><interface name='" INTERFACE "'><method name='Present'><arg name='time' type='u' direction='in'/></method></interface></node>";

typedef struct
{
  GDBusConnection *bus;
  char            *name;
  guint            object;
} Claim;

static void
claim_free (gpointer data)
{
  Claim               *claim = data;
  g_autoptr(GVariant)  reply = g_dbus_connection_call_sync (claim->bus, BUS, "/org/freedesktop/DBus", BUS, "ReleaseName",
                                                            g_variant_new ("(s)", claim->name), NULL, G_DBUS_CALL_FLAGS_NONE, ANSWER_MS, NULL, NULL);

  g_dbus_connection_unregister_object (claim->bus, claim->object);
  g_object_unref (claim->bus);
  g_free (claim->name);
  g_free (claim);
}

static void
on_call (GDBusConnection *bus, const char *sender, const char *path, const char *interface, const char *method, GVariant *parameters,
         GDBusMethodInvocation *invocation, gpointer window)
{
  guint32 time;

  g_variant_get (parameters, "(u)", &time);
  gtk_window_present_with_time (window, time);
  g_dbus_method_invocation_return_value (invocation, NULL);
}

/* Answers for @window, before anybody can know its name. */
static guint
export (GDBusConnection *bus, GtkWindow *window)
{
  static const GDBusInterfaceVTable  vtable = { .method_call = on_call };
  g_autoptr(GDBusNodeInfo)           node   = g_dbus_node_info_new_for_xml (interface_xml, NULL);

  return g_dbus_connection_register_object (bus, PATH, node->interfaces[0], &vtable, window, NULL, NULL);
}

static gboolean
is_taken (GDBusConnection *bus, const char *name)
{
  g_autoptr(GVariant) reply  = g_dbus_connection_call_sync (bus, BUS, "/org/freedesktop/DBus", BUS, "RequestName",
                                                            g_variant_new ("(su)", name, DO_NOT_QUEUE), G_VARIANT_TYPE ("(u)"),
                                                            G_DBUS_CALL_FLAGS_NONE, ANSWER_MS, NULL, NULL);
  guint32             answer = 0;

  if (reply != NULL)
    g_variant_get (reply, "(u)", &answer);

  return answer == EXISTS;
}

static gboolean
present_other (GDBusConnection *bus, const char *name, guint32 time, GError **error)
{
  g_autoptr(GVariant) reply = g_dbus_connection_call_sync (bus, name, PATH, INTERFACE, "Present", g_variant_new ("(u)", time), NULL,
                                                           G_DBUS_CALL_FLAGS_NO_AUTO_START, ANSWER_MS, NULL, NULL);

  if (reply == NULL)
    g_set_error (error, G_IO_ERROR, G_IO_ERROR_BUSY, _("This window is open already, and busy. Close the dialog that was opened from it first."));

  return reply != NULL;
}

gboolean
fb_one_window_claim (GtkWindow *window, const char *name, guint32 time, GError **error)
{
  g_autoptr(GDBusConnection)  bus = g_bus_get_sync (G_BUS_TYPE_SESSION, NULL, NULL);
  Claim                      *claim;
  guint                       object;

  if (bus == NULL)
    return TRUE;
  g_dbus_connection_set_exit_on_close (bus, FALSE);
  object = export (bus, window);
  if (is_taken (bus, name))
    {
      g_dbus_connection_unregister_object (bus, object);
      present_other (bus, name, time, error);
      return FALSE;
    }
  claim  = g_new (Claim, 1);
  *claim = (Claim) { g_steal_pointer (&bus), g_strdup (name), object };
  g_object_set_data_full (G_OBJECT (window), "fb-claim", claim, claim_free);

  return TRUE;
}
