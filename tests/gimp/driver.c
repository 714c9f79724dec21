/* tests/gimp/driver.c: a person who knows the dialog only by what a screen reader says. SPDX-License-Identifier: LGPL-3.0-or-later
 *
 * flashbrush-driver COMMAND [NAME [TEXT]], for the window of the application "flashbrush"; waits up to 60 s for what it needs.
 *   open                 until its window is there
 *   gone                 until it is not
 *   menu NAME            an entry of GIMP's own menus, when it can be used
 *   press NAME           a button
 *   type NAME TEXT       into a text
 *   set NAME NUMBER      a number or a slider
 *   enabled NAME, disabled NAME   until it can be used, or cannot
 *   says TEXT            until something shown says TEXT
 *   silent TEXT          fails when something shown says TEXT
 *   tell NAME            prints what it says and its description
 *   where NAME           prints x, y, width and height on the screen
 *   unnamed              prints the controls without a name; fails when there are any
 *   controls             prints role, name and description of every control
 */
#include <atspi/atspi.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define WAIT_S 60

/* libatspi defines no cleanup functions */
G_DEFINE_AUTOPTR_CLEANUP_FUNC (AtspiAccessible, g_object_unref)
G_DEFINE_AUTOPTR_CLEANUP_FUNC (AtspiAction, g_object_unref)
G_DEFINE_AUTOPTR_CLEANUP_FUNC (AtspiComponent, g_object_unref)
G_DEFINE_AUTOPTR_CLEANUP_FUNC (AtspiEditableText, g_object_unref)
G_DEFINE_AUTOPTR_CLEANUP_FUNC (AtspiStateSet, g_object_unref)
G_DEFINE_AUTOPTR_CLEANUP_FUNC (AtspiText, g_object_unref)
G_DEFINE_AUTOPTR_CLEANUP_FUNC (AtspiValue, g_object_unref)

/* called for each accessible below a window; TRUE ends the walk */
typedef gboolean (* VisitFunc) (AtspiAccessible *accessible, gpointer data);

static gboolean
walk (AtspiAccessible *accessible, VisitFunc visit, gpointer data)
{
  int n = atspi_accessible_get_child_count (accessible, NULL);

  if (visit (accessible, data))
    return TRUE;
  for (int i = 0; i < n; i++)
    {
      g_autoptr(AtspiAccessible) child = atspi_accessible_get_child_at_index (accessible, i, NULL);

      if (child != NULL && walk (child, visit, data))
        return TRUE;
    }

  return FALSE;
}

/* (transfer full) (nullable): the application called @called, when it shows a window */
static AtspiAccessible *
find_called (const char *called)
{
  AtspiAccessible *desktop = atspi_get_desktop (0);

  for (int i = 0; i < atspi_accessible_get_child_count (desktop, NULL); i++)
    {
      g_autoptr(AtspiAccessible) application = atspi_accessible_get_child_at_index (desktop, i, NULL);
      g_autofree char           *name        = application != NULL ? atspi_accessible_get_name (application, NULL) : NULL;

      if (name != NULL && g_str_equal (name, called) && atspi_accessible_get_child_count (application, NULL) > 0)
        return g_steal_pointer (&application);
    }

  return NULL;
}

static AtspiAccessible *
find_application (void)
{
  return find_called ("flashbrush");
}

static gboolean
has_state (AtspiAccessible *accessible, AtspiStateType state)
{
  g_autoptr(AtspiStateSet) states = atspi_accessible_get_state_set (accessible);

  return states != NULL && atspi_state_set_contains (states, state);
}

/* --- finding ------------------------------------------------------------------------------------------------------------ */

typedef struct
{
  const char      *text;
  AtspiAccessible *found;
} Search;

static gboolean is_control (AtspiAccessible *accessible);

/* by name, of what can be used: labels and windows have names of their own */
static gboolean
is_named (AtspiAccessible *accessible, gpointer data)
{
  Search          *search = data;
  g_autofree char *name   = atspi_accessible_get_name (accessible, NULL);

  if (name == NULL || !g_str_equal (name, search->text) ||
      !is_control (accessible) || !has_state (accessible, ATSPI_STATE_SHOWING))
    return FALSE;
  search->found = g_object_ref (accessible);

  return TRUE;
}

/* (transfer full): what a label, a button, a text or a progress bar shows */
static char *
words_of (AtspiAccessible *accessible)
{
  g_autoptr(AtspiText) text = atspi_accessible_get_text_iface (accessible);

  if (text != NULL)
    return atspi_text_get_text (text, 0, atspi_text_get_character_count (text, NULL), NULL);

  return atspi_accessible_get_name (accessible, NULL);
}

static gboolean
says (AtspiAccessible *accessible, gpointer data)
{
  Search          *search = data;
  g_autofree char *words  = NULL;

  if (!has_state (accessible, ATSPI_STATE_SHOWING))
    return FALSE;
  words = words_of (accessible);

  return words != NULL && strstr (words, search->text) != NULL;
}

static AtspiAccessible *
find (const char *name)
{
  g_autoptr(AtspiAccessible) application = find_application ();
  Search                     search      = { name, NULL };

  if (application != NULL)
    walk (application, is_named, &search);

  return search.found;
}

static gboolean
is_said (const char *text)
{
  g_autoptr(AtspiAccessible) application = find_application ();
  Search                     search      = { text, NULL };

  return application != NULL && walk (application, says, &search);
}

/* --- waiting and doing -------------------------------------------------------------------------------------------------- */

typedef gboolean (* TryFunc) (const char *name, const char *text);

static gboolean
try_open (const char *name, const char *text)
{
  g_autoptr(AtspiAccessible) application = find_application ();

  return application != NULL;
}

static gboolean
try_gone (const char *name, const char *text)
{
  return !try_open (name, text);
}

static gboolean
is_menu_item (AtspiAccessible *accessible, gpointer data)
{
  Search          *search = data;
  g_autofree char *name   = atspi_accessible_get_name (accessible, NULL);

  if (name == NULL || !g_str_equal (name, search->text) || atspi_accessible_get_role (accessible, NULL) != ATSPI_ROLE_MENU_ITEM)
    return FALSE;
  search->found = g_object_ref (accessible);

  return TRUE;
}

static gboolean
try_menu (const char *name, const char *text)
{
  g_autoptr(AtspiAccessible) gimp   = find_called ("gimp");
  Search                     search = { name, NULL };
  g_autoptr(AtspiAccessible) item   = gimp != NULL && walk (gimp, is_menu_item, &search) ? search.found : NULL;
  g_autoptr(AtspiAction)     action = item != NULL ? atspi_accessible_get_action_iface (item) : NULL;

  return action != NULL && has_state (item, ATSPI_STATE_SENSITIVE) && atspi_action_do_action (action, 0, NULL);
}

static gboolean
try_press (const char *name, const char *text)
{
  g_autoptr(AtspiAccessible) button = find (name);
  g_autoptr(AtspiAction)     action = button != NULL ? atspi_accessible_get_action_iface (button) : NULL;

  return action != NULL && has_state (button, ATSPI_STATE_SENSITIVE) && atspi_action_do_action (action, 0, NULL);
}

static gboolean
try_type (const char *name, const char *text)
{
  g_autoptr(AtspiAccessible)   widget   = find (name);
  g_autoptr(AtspiEditableText) editable = widget != NULL ? atspi_accessible_get_editable_text_iface (widget) : NULL;

  return editable != NULL && atspi_editable_text_set_text_contents (editable, text, NULL);
}

static gboolean
try_set (const char *name, const char *text)
{
  g_autoptr(AtspiAccessible) widget = find (name);
  g_autoptr(AtspiValue)      value  = widget != NULL ? atspi_accessible_get_value_iface (widget) : NULL;

  return value != NULL && atspi_value_set_current_value (value, g_ascii_strtod (text, NULL), NULL);
}

static gboolean
try_enabled (const char *name, const char *text)
{
  g_autoptr(AtspiAccessible) widget = find (name);

  return widget != NULL && has_state (widget, ATSPI_STATE_SENSITIVE);
}

static gboolean
try_disabled (const char *name, const char *text)
{
  g_autoptr(AtspiAccessible) widget = find (name);

  return widget != NULL && !has_state (widget, ATSPI_STATE_SENSITIVE);
}

static gboolean
try_says (const char *name, const char *text)
{
  return is_said (name);
}

static gboolean
try_tell (const char *name, const char *text)
{
  g_autoptr(AtspiAccessible) widget      = find (name);
  g_autofree char           *words       = widget != NULL ? words_of (widget) : NULL;
  g_autofree char           *description = widget != NULL ? atspi_accessible_get_description (widget, NULL) : NULL;

  if (widget == NULL)
    return FALSE;
  printf ("%s\t%s\n", words != NULL ? words : "", description != NULL ? description : "");

  return TRUE;
}

static gboolean
try_where (const char *name, const char *text)
{
  g_autoptr(AtspiAccessible) widget    = find (name);
  g_autoptr(AtspiComponent)  component = widget != NULL ? atspi_accessible_get_component_iface (widget) : NULL;
  AtspiRect                 *rect      = component != NULL ? atspi_component_get_extents (component, ATSPI_COORD_TYPE_SCREEN, NULL) : NULL;

  if (rect == NULL || rect->width <= 0)
    return FALSE;
  printf ("%d %d %d %d\n", rect->x, rect->y, rect->width, rect->height);
  g_free (rect);

  return TRUE;
}

/* --- what has no name --------------------------------------------------------------------------------------------------- */

static gboolean
is_control (AtspiAccessible *accessible)
{
  switch (atspi_accessible_get_role (accessible, NULL))
    {
    case ATSPI_ROLE_TEXT:
    case ATSPI_ROLE_ENTRY:
    case ATSPI_ROLE_SPIN_BUTTON:
    case ATSPI_ROLE_SLIDER:
    case ATSPI_ROLE_COMBO_BOX:
    case ATSPI_ROLE_PUSH_BUTTON:
    case ATSPI_ROLE_TOGGLE_BUTTON:
    case ATSPI_ROLE_RADIO_BUTTON:
    case ATSPI_ROLE_CHECK_BOX:
    case ATSPI_ROLE_MENU_ITEM:
    case ATSPI_ROLE_LIST_ITEM:
    case ATSPI_ROLE_PROGRESS_BAR:
    case ATSPI_ROLE_IMAGE:
    case ATSPI_ROLE_CANVAS:
      return TRUE;
    default:
      return FALSE;
    }
}

/* pictures inside a button are the button's */
static gboolean
is_part (AtspiAccessible *accessible)
{
  g_autoptr(AtspiAccessible) parent = atspi_accessible_get_parent (accessible, NULL);
  AtspiRole                  role   = parent != NULL ? atspi_accessible_get_role (parent, NULL) : ATSPI_ROLE_INVALID;

  return role == ATSPI_ROLE_PUSH_BUTTON || role == ATSPI_ROLE_TOGGLE_BUTTON || role == ATSPI_ROLE_RADIO_BUTTON ||
         role == ATSPI_ROLE_COMBO_BOX;
}

static gboolean
print_control (AtspiAccessible *accessible, gpointer only_unnamed)
{
  g_autofree char *name        = NULL;
  g_autofree char *role        = NULL;
  g_autofree char *description = NULL;

  if (!is_control (accessible) || is_part (accessible) || !has_state (accessible, ATSPI_STATE_SHOWING))
    return FALSE;
  name = atspi_accessible_get_name (accessible, NULL);
  if (only_unnamed != NULL && name != NULL && *name != '\0')
    return FALSE;

  role        = atspi_accessible_get_role_name (accessible, NULL);
  description = atspi_accessible_get_description (accessible, NULL);
  printf ("%s\t%s\t%s\n", role, name, description);
  if (only_unnamed != NULL)
    ++*(int *) only_unnamed;

  return FALSE;
}

static gboolean
print_controls (int *n_unnamed)
{
  g_autoptr(AtspiAccessible) application = find_application ();

  if (application == NULL)
    return FALSE;
  walk (application, print_control, n_unnamed);

  return TRUE;
}

int
main (int argc, char **argv)
{
  static const struct { const char *name; TryFunc try; int n_args; } commands[] =
  {
    { "open", try_open, 0 }, { "gone", try_gone, 0 }, { "menu", try_menu, 1 }, { "press", try_press, 1 }, { "type", try_type, 2 },
    { "set", try_set, 2 }, { "enabled", try_enabled, 1 }, { "disabled", try_disabled, 1 },
    { "says", try_says, 1 }, { "tell", try_tell, 1 }, { "where", try_where, 1 },
  };
  const char *command   = argc > 1 ? argv[1] : "";
  int         n_unnamed = 0;

  atspi_init ();
  if (g_str_equal (command, "controls"))
    return print_controls (NULL) ? 0 : 1;
  if (g_str_equal (command, "unnamed"))
    return print_controls (&n_unnamed) && n_unnamed == 0 ? 0 : 1;
  if (g_str_equal (command, "silent") && argc > 2)
    return is_said (argv[2]) ? 1 : 0;

  for (guint i = 0; i < G_N_ELEMENTS (commands); i++)
    if (g_str_equal (command, commands[i].name) && argc >= 2 + commands[i].n_args)
      {
        for (int tenths = 0; tenths < 10 * WAIT_S; tenths++)
          {
            if (commands[i].try (argc > 2 ? argv[2] : NULL, argc > 3 ? argv[3] : NULL))
              return 0;
            g_usleep (100 * 1000);
          }
        fprintf (stderr, "waited in vain: %s %s\n", command, argc > 2 ? argv[2] : "");
        return 1;
      }
  fprintf (stderr, "what is “%s”?\n", command);

  return 2;
}
