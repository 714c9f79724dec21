# floors.awk: finds includes that point up a floor. SPDX-License-Identifier: LGPL-3.0-or-later
# Reads lines of `grep -n`: FILE:LINE:#include …; prints those that are wrong, with the reason.

# A folder, and what it may include from this tree; the longest folder that fits a file counts
function floors ()
{
  may["kernels"]      = "kernels/"
  may["core/nn"]      = "kernels/ core/nn/"
  may["core"]         = "kernels/ core/nn/ core/formats/ core/image/ core/text/ core/samplers/ core/store/ core/models/"
  may["core/tasks"]   = may["core"] " core/tasks/ core/distill/"
  may["core/distill"] = may["core/tasks"]
  may["core/engine"]  = "core/"
  may["ui"]           = "core/engine/client.h ui/"
  may["plugins"]      = "core/engine/client.h ui/ plugins/"
}

# The start of a header from outside, and the folders that may include it
function libraries ()
{
  only["oneapi/"]    = "kernels/cpu"
  only["omp.h"]      = "kernels/cpu"
  only["cu"]         = "kernels/cuda core/distill/nccl"     # cuda_runtime.h, cublasLt.h, cudnn.h
  only["nccl.h"]     = "core/distill"
  only["mpi.h"]      = "core/distill"
  only["gegl"]       = "core/image ui plugins"
  only["babl/"]      = "core/image ui plugins"
  only["gio/"]       = "core ui plugins"
  only["json-glib/"] = "core ui plugins"
  only["gtk/"]       = "ui plugins"
  only["gdk"]        = "ui plugins"
  only["libgimp/"]   = "ui plugins"
}

function starts_with_one_of (text, list,    n, word, i)
{
  n = split (list, word, " ")
  for (i = 1; i <= n; i++)
    if (index (text, word[i]) == 1)
      return 1
  return 0
}

function folder_of (file)
{
  sub (/\/[^\/]*$/, "", file)
  return file
}

# The entry of `may` for a file: its folder, or the nearest folder above
function floor_of (file,    folder)
{
  for (folder = folder_of(file); !(folder in may); sub (/\/[^\/]*$/, "", folder))
    if (folder !~ /\//)
      return ""
  return folder
}

function wrong (reason) { print file ":" line ": " reason; n_wrong++ }

BEGIN { floors(); libraries() }

{
  n = split ($0, part, ":")
  file = part[1]; line = part[2]

  if (match ($0, /"[^"]*"/))
    {
      header = substr ($0, RSTART + 1, RLENGTH - 2)
      if (header == "config.h")
        next
      if (header !~ /\//)
        wrong("\"" header "\" is not written from the root")
      else if (!starts_with_one_of(header, may[floor_of(file)]))
        wrong(floor_of(file) "/ may not include " header)
      else if (header ~ /-private\.h$/ && folder_of(file) != folder_of(header) && index (file, folder_of(header) "/") != 1)
        wrong(header " is for its own folder")
    }
  else if (match ($0, /<[^>]*>/))
    {
      header = substr ($0, RSTART + 1, RLENGTH - 2)
      for (start in only)
        if (index (header, start) == 1 && !starts_with_one_of(file, only[start]))
          wrong("<" header "> is only for " only[start])
    }
}

END { exit n_wrong > 0 }
