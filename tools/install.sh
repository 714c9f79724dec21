# tools/install.sh: installing into the system's GIMP. SPDX-License-Identifier: LGPL-3.0-or-later
# shellcheck shell=bash

release_dir=$build_dir-release                               # apart from build/: it is built for another prefix

# install [--prefix DIR]: for everyone below /usr/local with the plug-ins in GIMP's own folder, or all of it below DIR
cmd_install ()
{
  local prefix=/usr/local plugins
  case "${1:-}" in
    "") ;;
    --prefix)   [ $# -eq 2 ] || die "--prefix needs a folder"; prefix=$2 ;;
    --prefix=*) prefix=${1#--prefix=} ;;
    *) die "install takes --prefix DIR and nothing else" ;;
  esac
  case "$prefix" in \~/*) prefix=$HOME/${prefix#??} ;; /*) ;; *) prefix=$PWD/$prefix ;; esac
  system_has_gimp3 || die "this system has no GIMP 3 to install into (Debian 13, Ubuntu 25.04 and later have it); \
./dev gimp and ./dev demo run one from here"

  prepare
  if [ "$prefix" = /usr/local ]; then plugins=$(pkg-config --variable=gimplibdir gimp-3.0)/plug-ins
  else plugins=$prefix/lib/gimp/3.0/plug-ins; fi
  build_in "$installed" "$release_dir" --prefix="$prefix" -Dplugindir="$plugins" --buildtype=release

  mkdir -p "$prefix" "$plugins" 2>/dev/null || true
  writing_to "$prefix" "$plugins" meson install -C "$release_dir" --no-rebuild --quiet
  printf '%s\n' "$prefix" "$plugins" >"$release_dir/.dev-installed"
  say "installed below $prefix, the plug-ins in $plugins; ./dev uninstall removes them"
  [ "$prefix" = /usr/local ] || say "add that folder to GIMP's plug-ins (Preferences > Folders > Plug-ins) and start GIMP anew"
}

# writing_to FOLDER FOLDER CMD...: runs CMD, as administrator where one of the folders is not the user's to write
writing_to ()
{
  local prefix=$1 plugins=$2
  shift 2
  if [ -w "$prefix" ] && [ -w "$plugins" ]; then "$@" >&2; return; fi
  has sudo || die "$prefix and $plugins are not yours to write; run this as root, or choose --prefix ~/.local"
  as_administrator "$@" >&2
}

# uninstall: removes what the last ./dev install from this folder put there
cmd_uninstall ()
{
  local where
  [ -e "$release_dir/.dev-installed" ] || die "nothing was installed from here, so there is nothing to remove"
  mapfile -t where <"$release_dir/.dev-installed"
  writing_to "${where[@]}" ninja -C "$release_dir" --quiet uninstall >/dev/null
  rm "$release_dir/.dev-installed"
  say "removed what was below ${where[0]} and in ${where[1]}"
}
