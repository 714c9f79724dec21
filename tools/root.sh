# tools/root.sh: where things are built. SPDX-License-Identifier: LGPL-3.0-or-later
# Debian 13, Ubuntu 25.04 and later have GIMP 3: packages are installed and everything runs in place. Elsewhere the same
# commands run inside a Debian 13 root in the user's cache folder, with the same paths as outside.
# shellcheck shell=bash

suite=trixie
mirror=${FLASHBRUSH_MIRROR:-http://deb.debian.org/debian}
keyring=/usr/share/keyrings/debian-archive-keyring.gpg

# Debian package names; the root is keyed by this list and made anew when it changes
packages=(
  adwaita-icon-theme appstream at-spi2-core ca-certificates dbus-daemon dbus-x11 desktop-file-utils fonts-dejavu-core
  g++ gcc gettext gimp imagemagick libatspi2.0-dev libbabl-dev libc6-dev libdnnl-dev libgegl-dev libgimp-3.0-dev
  libgtk-3-dev libjpeg-dev libjson-glib-dev libopenmpi-dev libpng-dev locales mandoc meson ninja-build openbox openmpi-bin
  pkgconf procps python3-dev python3-venv shellcheck x11-utils xauth xdotool xvfb
)

is_root () { [ "$(id -u)" = 0 ]; }
has ()     { command -v "$1" >/dev/null; }

system_has_gimp3 ()
{
  local os
  os=$(. /etc/os-release 2>/dev/null && echo "${ID:-}:${VERSION_ID:-}")
  case "$os" in
    debian:|debian:1[3-9]) return 0 ;;                        # testing and unstable have no number
    ubuntu:25.*|ubuntu:2[6-9].*) return 0 ;;
    *) return 1 ;;
  esac
}

# --- in place ----------------------------------------------------------------------------------------------------------

# as_administrator CMD...: as it is for root, through sudo for others
as_administrator ()
{
  if is_root; then "$@"; else say "sudo $*"; sudo "$@"; fi
}

prepare_system ()
{
  local missing
  mapfile -t missing < <(comm -13 \
    <(dpkg-query -W -f '${db:Status-Status} ${Package}\n' "${packages[@]}" 2>/dev/null | sed -n 's/^installed //p' | sort -u) \
    <(printf '%s\n' "${packages[@]}" | sort))
  [ ${#missing[@]} -gt 0 ] || return 0

  is_root || has sudo || die "packages are missing, ask an administrator for: apt-get install ${missing[*]}"
  say "installing ${#missing[@]} packages: ${missing[*]}"
  as_administrator apt-get update -q >&2 || say "apt-get update had errors (above); going on with the lists there are"
  as_administrator env DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends "${missing[@]}" >&2 \
    || die "apt-get could not install the packages (its reason is above)"
}

# --- in a root ---------------------------------------------------------------------------------------------------------

root_locales=$({ echo de_DE.UTF-8; echo "${LC_ALL:-${LANG:-}}"; } | grep '^[a-z][a-z]*_[A-Z]*\.UTF-8$' | sort -u)

root_dir () { echo "$cache/root-$(printf '%s\n' 2 "$suite" "${packages[@]}" | sha256sum | cut -c1-12)"; }

# The ids of the user's own range, mapped into a namespace where the user is root; root needs none
namespace ()
{
  if is_root; then unshare --mount --propagation private "$@"
  else unshare --user --map-root-user --map-auto --mount --propagation private "$@"; fi
}

# Says what is missing to make and enter a root, in one sentence with the way out
check_root_is_possible ()
{
  local missing=()
  has mmdebstrap || missing+=(mmdebstrap)
  [ -e "$keyring" ] || missing+=(debian-archive-keyring)
  is_root || has newuidmap || missing+=(uidmap)

  if [ ${#missing[@]} -gt 0 ] && is_root && has apt-get; then
    say "installing ${missing[*]}"
    apt-get update -q >&2 || say "apt-get update had errors (above); going on with the lists there are"
    DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends "${missing[@]}" >&2 \
      || die "apt-get could not install ${missing[*]} (its reason is above)"
  elif [ ${#missing[@]} -gt 0 ]; then
    die "packages are missing, ask an administrator for: apt-get install ${missing[*]}"
  fi

  if ! is_root; then
    local file
    for file in /etc/subuid /etc/subgid; do
      grep -qE "^($(id -un)|$(id -u)):" "$file" 2>/dev/null || getsubids "$(id -un)" >/dev/null 2>&1 || die \
        "$file has no range for you, ask an administrator for: usermod --add-subuids 100000-165535 --add-subgids 100000-165535 $(id -un)"
    done
  fi

  local why
  why=$(namespace true 2>&1) || die "this machine lets you make no mount namespace ($why): \
$(if is_root; then echo "in a container, run it with --cap-add SYS_ADMIN or start from Debian 13"
  else echo "allow user namespaces (sysctl kernel.apparmor_restrict_unprivileged_userns=0 on Ubuntu), or run this as root"; fi)"

  [ "$(df --output=avail -k "$cache" | tail -n 1)" -gt 3000000 ] || die "$cache needs 3 GB of free space for the Debian 13 root"
}

# Files in a root that an ordinary user made belong to the user's range of ids, so removing it takes a namespace too
remove_root () { if [ -e "$1" ]; then namespace rm -rf --one-file-system "$1"; fi; }

make_root ()
{
  local root=$1 include l options=()
  include=$(IFS=,; echo "${packages[*]}")
  for l in $root_locales; do
    options+=(--customize-hook="chroot \"\$1\" localedef --no-archive -i ${l%.*} -f UTF-8 $l")
  done
  options+=(--customize-hook='touch "$1/.ready"' --variant=apt --include="$include" --keyring="$keyring")

  say "making a Debian 13 root in $root (once; 2 GB, one to three minutes)"
  mkdir -p "$root.part"
  if is_root; then
    namespace mmdebstrap "${options[@]}" "$suite" "$root.part" "$mirror" >&2   # a kill leaves no mounts
  else                                                        # by way of tar: the range of ids may not enter $HOME
    TMPDIR=${TMPDIR:-/var/tmp} mmdebstrap --mode=unshare --format=tar "${options[@]}" "$suite" - "$mirror" \
      | namespace tar -x -C "$root.part" --exclude='./dev/*'
  fi
}

prepare_root ()
{
  local root old
  root=$(root_dir)
  [ -e "$root/.ready" ] && return
  mkdir -p "$cache" || die "$cache cannot be made; set XDG_CACHE_HOME to a folder you can write to"
  (
    flock -n 8 || { say "waiting for another ./dev that makes the root"; flock 8; }
    [ -e "$root/.ready" ] && exit
    check_root_is_possible
    remove_root "$root.part"                                  # of a run that was killed
    trap 'remove_root "$root.part"' EXIT
    trap 'exit 130' INT TERM HUP
    make_root "$root" || die "the Debian 13 root could not be made (the reason is above); nothing of it is left"
    remove_root "$root"
    mv "$root.part" "$root"
    for old in "$cache"/root-*/.ready; do
      [ "$old" = "$root/.ready" ] || say "${old%/.ready} is of another package list; ./dev clean removes such roots"
    done
  ) 8>"$cache/root.lock" || exit 1
}

prepare () { if system_has_gimp3; then prepare_system; else prepare_root; fi; }

# Runs inside the mount namespace, still outside the root: what the root shares with the system, at the same paths
enter_root='
  set -eu
  share () {
    for path; do
      if [ -d "$path" ]; then mkdir -p "$FB_ROOT$path"; mount --rbind "$path" "$FB_ROOT$path"
      elif [ -e "$path" ]; then mkdir -p "$FB_ROOT${path%/*}"; : >>"$FB_ROOT$path"; mount --bind "$path" "$FB_ROOT$path"; fi
    done
  }
  share /proc /sys /dev /tmp /etc/hosts /etc/resolv.conf /etc/ssl/certs/ca-certificates.crt
  [ "$HOME" = / ] || share "$HOME"
  share "$FB_HERE" "$FB_CACHE" ${XDG_RUNTIME_DIR:+"$XDG_RUNTIME_DIR"} ${XAUTHORITY:+"$XAUTHORITY"}
  case "${WAYLAND_DISPLAY:-}" in /*) share "$WAYLAND_DISPLAY" ;; esac
  case "$FB_PWD/" in
    //|/bin/*|/boot/*|/dev/*|/etc/*|/lib*|/proc/*|/run/*|/sbin/*|/sys/*|/tmp/*|/usr/*|/var/*) ;;
    *) share "$FB_PWD" ;;
  esac
  if [ -d /usr/local/cuda ]; then
    mkdir -p "$FB_ROOT/usr/local/cuda"
    mount --rbind "$(readlink -f /usr/local/cuda)" "$FB_ROOT/usr/local/cuda"
  fi

  # of the system outside, wrong inside
  unset CPATH GDK_PIXBUF_MODULE_FILE GIMP3_DIRECTORY GIO_MODULE_DIR GI_TYPELIB_PATH GTK_MODULES GTK_PATH LD_LIBRARY_PATH \
        LD_PRELOAD LIBRARY_PATH LOCPATH PKG_CONFIG_PATH PYTHONHOME PYTHONPATH XDG_CONFIG_DIRS XDG_DATA_DIRS
  export PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
  case "${LC_ALL:-${LANG:-}}" in
    *.UTF-8) locale=${LC_ALL:-$LANG}; [ -d "$FB_ROOT/usr/lib/locale/${locale%.UTF-8}.utf8" ] || { unset LC_ALL; export LANG=C.UTF-8; } ;;
    *) unset LC_ALL; export LANG=C.UTF-8 ;;
  esac
  exec chroot "$FB_ROOT" /bin/sh -c "cd \"\$1\" 2>/dev/null || cd \"\$2\"; shift 2; exec \"\$@\"" sh "$FB_PWD" "$FB_HERE" "$@"
'

# in_root CMD...: runs a command in the build environment, in the current folder
in_root ()
{
  prepare
  if system_has_gimp3; then "$@"; return; fi
  FB_ROOT=$(root_dir) FB_HERE=$here FB_CACHE=$cache FB_PWD=$PWD namespace bash -c "$enter_root" bash "$@"
}
