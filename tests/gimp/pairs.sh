#!/bin/sh
# pairs.sh: things removed and replaced in ten pictures, in GIMP's window with the model that comes along. SPDX-License-Identifier: LGPL-3.0-or-later
#
# $FB_PICTURES is a folder of Microsoft's Fluent Emoji in 3D (MIT), named by their code points, as the npm package @lobehub/fluent-emoji-3d has them.
# Leaves NAME-before.png and NAME-after.png of each and inpaint-pairs.png of all in $FB_SHOTS, for the eye; it tests nothing:
#
#   FB_PICTURES=… ./dev shell meson compile -C build inpaint-pairs
# shellcheck source-path=SCRIPTDIR
suite=pairs
. "$(dirname "$0")/window.sh"
ln -s "$FB_GIMP_PLUGINS/file-png" "$GIMP3_DIRECTORY/plug-ins/file-png"

# the model that comes along, drawing in few steps by itself: as its LoRA for that has learned
mkdir -p "$scratch/models/starter"
ln -s "$FLASHBRUSH_MODELS_PATH"/starter/* "$scratch/models/starter/"
rm "$scratch/models/starter/flashbrush.json"
sed 's/"steps": [0-9]*/"steps": 4/; s/"guidance_scale": [0-9.]*/"guidance_scale": 1.0/; s/"sampler": "[^"]*"/"sampler": "flash"/' \
  "$FLASHBRUSH_MODELS_PATH/starter/flashbrush.json" >"$scratch/models/starter/flashbrush.json"
export FLASHBRUSH_MODELS_PATH="$scratch/models"

# canvas SIZE BACKGROUND [PICTURE SIZE X Y]...: the picture to begin with
canvas ()
{
  size=$1; convert -size "$1" "$2" PNG24:"$scratch/picture.png"; shift 2
  while [ $# -gt 0 ]; do
    convert "$scratch/picture.png" '(' "$FB_PICTURES/$1.webp" -resize "$2" ')' -geometry "+$3+$4" -composite PNG24:"$scratch/picture.png"
    shift 4
  done
}

# point X Y: where on the screen a pixel of the picture is, which the canvas shows as large as it fits
point ()
{
  driver where Canvas | awk -v x="$1" -v y="$2" -v size="$size" '
    { split (size, s, "x"); fx = ($3 - 24) / s[1]; fy = ($4 - 24) / s[2]; f = fx < fy ? fx : fy; if (f > 8) f = 8
      print int ($1 + int (($3 - s[1] * f) / 2) + x * f), int ($2 + int (($4 - s[2] * f) / 2) + y * f) }'
}
move () { point "$1" "$2" | { read -r x y; xdotool mousemove "$x" "$y"; }; }

# strokes X0 Y0 X1 Y1...: one, through all the points
strokes ()
{
  move "$1" "$2"; xdotool mousedown 1; sleep 0.1
  while [ $# -ge 2 ]; do move "$1" "$2"; sleep 0.05; shift 2; done
  xdotool mouseup 1
}

in_image () { batch "(let* ((image (vector-ref (car (gimp-get-images)) 0))) $1)"; }

# use N: the Nth of the uses: 0 fill, 1 remove, 2 background, 3 expand, 4 refine
use () { focus '^Inpaint$'; xdotool key alt+w Home; i=0; while [ $i -lt "$1" ]; do xdotool key Down; i=$((i + 1)); done; }

# pair NAME USE PROMPT SEED BRUSH [X Y]...: one stroke over the picture in work, and what comes of it
pair ()
{
  name=$1; cp "$scratch/picture.png" "$FB_SHOTS/$name-before.png"
  batch "(gimp-display-new (car (gimp-file-load RUN-NONINTERACTIVE \"$scratch/picture.png\")))"
  driver menu 'Inpaint...' && driver open || return 1
  [ "$2" -eq 0 ] || use "$2"
  driver type 'Prompt' "$3"
  driver type 'Seed' "$4"
  driver set 'Brush size' "$5"
  shift 5
  [ $# -eq 0 ] || strokes "$@"
  [ "$margins" -eq 0 ] || { driver press 'More settings'; driver set 'Expand right' "$margins"; }
  driver press 'Generate' && driver enabled 'Insert' || return 1
  shot "pairs-$name"
  driver press 'Insert' && driver says 'Inserted as' || return 1
  in_image "(let ((copy (car (gimp-image-duplicate image)))) (gimp-image-flatten copy)
              (gimp-file-save RUN-NONINTERACTIVE copy \"$FB_SHOTS/$name-after.png\") (gimp-image-delete copy))"
  focus '^Inpaint$'; xdotool key Escape; driver gone
  in_image '(gimp-image-clean-all image)'
  close_all
}

gimp --no-data --no-fonts --stack-trace-mode=always --batch-interpreter=plug-in-script-fu-eval -b '1' >"$scratch/log" 2>&1 &
started="$started $!"
until gdbus call --session --timeout 5 --dest org.gimp.GIMP.UI --object-path /org/gimp/GIMP/UI --method org.gimp.GIMP.UI.BatchRun \
  plug-in-script-fu-eval 1 >/dev/null 2>&1; do sleep 1; done
margins=0
white='xc:white' sky='gradient:#bfe3ff-#ffffff' dusk='gradient:#ffb88a-#fff3d6' mint='xc:#d9f2e3'

#      size     background  picture px left top ...
canvas 160x160 "$white"     1f34e 130 15 15
pair 1-heart    0 'yellow heart, 3d'  3  60   45 45 115 45 115 115 45 115 45 80 115 80
canvas 160x160 "$mint"      1f34b 120 20 20
pair 2-on-mint  0 'purple heart, 3d'  3  60   45 45 115 45 115 115 45 115 45 80 115 80
canvas 192x192 "$white"     1f431 170 11 11
pair 3-mouth 0 'purple heart, 3d'  3  90   96 96 97 97
canvas 160x160 "$white"     1f436 140 10 10
pair 4-cat      0 'cat face, 3d'      5  70   45 45 115 45 115 115 45 115 45 80 115 80
canvas 256x128 "$sky"       1f388 100 14 10  1f31f 90 150 18
pair 5-star     1 ''                  3  60   170 40 220 40 220 86 170 86 170 62 220 62
canvas 256x128 "$white"     26bd 100 14 14  1f34e 100 140 14
pair 6-ball     1 ''                  3  70   40 40 90 40 90 90 40 90 40 65 90 65
canvas 256x192 "$dusk"      1f333 120 8 64  1f3e0 100 140 82
pair 7-house    1 ''                  3  60   160 110 220 110 220 165 160 165 160 135 220 135
canvas 192x192 "$white"     1f344 170 11 11
pair 8-spot     1 ''                  3  30   70 70 72 72
margins=64
canvas 128x128 "$sky"       2600 90 19 19
pair 9-wider    3 ''                  3  40
margins=0
canvas 160x160 "$white"     1f499 140 10 10
pair 10-refined 4 'purple heart, 3d'  3  70   45 45 115 45 115 115 45 115 45 80 115 80

cd "$FB_SHOTS" || exit 1
for i in 1 2 3 4 5 6 7 8 9 10; do
  convert "$i"-*-before.png "$i"-*-after.png -resize x112 -depth 8 -bordercolor white -border 3 +append -bordercolor gray -border 1 "$scratch/pair-$i.png"
done
montage "$scratch"/pair-[1-9].png "$scratch/pair-10.png" -tile 2x -geometry '+6+4' -depth 8 -strip PNG24:inpaint-pairs.png
