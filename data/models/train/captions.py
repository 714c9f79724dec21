# data/models/train/captions.py: what a picture is called. SPDX-License-Identifier: LGPL-3.0-or-later
"""Labels into things, pictures into colour words, rows into captions, and the held-out combinations. No imports but numpy."""
import hashlib
import re

import numpy as np

STYLES = ("3d", "flat", "noto")
COLOURS = ("black", "white", "gray", "red", "orange", "yellow", "green", "blue", "purple", "pink", "brown")
TONE = re.compile(r"(?:medium-light|medium-dark|light|medium|dark) skin tone")
GENDER = re.compile(r"\b(woman|women|man|men|person|people|girl|boy|child)\b")

# Writing, directions and dials: their mirror image is another thing.
ONE_WAY = re.compile(r"keycap|flag|button|arrow|left|right|clock|o’clock|thirty|input|symbol|mark|sign|letter|numbers|latin|"
                     r"hundred|calendar|facing|east|west|ABC|ATM|SOON|TOP|BACK|END|ON!|yen|dollar|euro|pound|memo|newspaper|"
                     r"mahjong|joker|Japanese|regional|trade mark|registered|copyright|zodiac|aries|taurus|gemini|cancer|leo|virgo|"
                     r"libra|scorpio|sagittarius|capricorn|aquarius|pisces|ophiuchus|repeat|shuffle|play|forward|reverse|music", re.I)


def unit(*words):
    """A number in 0…1 that depends on the words alone, on every machine."""
    return int.from_bytes(hashlib.sha256("\t".join(words).encode()).digest()[:6], "big") / 2.0 ** 48


def thing(label):
    """The label without skin tones: what the classifier is asked to name."""
    head, _, tail = label.partition(": ")
    parts = [p for p in tail.split(", ") if p and not TONE.fullmatch(p)]
    return head + (": " + ", ".join(parts) if parts else "")


def concept(label):
    """The thing without gender either: pictures of one concept share one sampling weight."""
    return GENDER.sub("*", thing(label).split(":")[0] if not label.startswith(("flag", "keycap")) else label)


def is_symbol(label):
    """Flags, keycaps, buttons, signs: drawn and named differently from things one would ask for."""
    return bool(re.search(r"flag|keycap|button|symbol|sign\b|o’clock|-thirty|ATM|arrow|square|mark|input|Japanese|"
                          r"Aries|Taurus|Gemini|Cancer|Leo$|Virgo|Libra|Scorpio|Sagit|Capric|Aquar|Pisces|Ophiu|bars|ABC|regional", label))


def importance(label):
    """How much of the training a concept deserves: three hundred flags and dials are not three hundred things."""
    if label.startswith("flag"):
        return 0.25
    if re.search(r"o’clock|-thirty|keycap|button|moon face|mahjong", label):
        return 0.3
    if re.search(r"family|couple|kiss|holding hands", label):
        return 0.5
    return 1.0


def dominant_colour(rgba):
    """rgba [H, W, 4] uint8 -> the basic colour word of more than 45 % of what is opaque, or ''."""
    p = rgba[::4, ::4].reshape(-1, 4).astype(np.float32)
    p = p[p[:, 3] > 128, :3] / 255
    if len(p) < 50:
        return ""
    hi, lo = p.max(1), p.min(1)
    span = np.maximum(hi - lo, 1e-6)
    r, g, b = p.T
    hue = np.where(hi == r, (g - b) / span % 6, np.where(hi == g, (b - r) / span + 2, (r - g) / span + 4)) * 60
    saturation = (hi - lo) / np.maximum(hi, 1e-6)
    names = np.select(
        [hi < 0.22, (saturation < 0.12) & (hi > 0.88), saturation < 0.16,
         (hue < 45) & (hi < 0.62), (hue >= 330) & (saturation < 0.62) & (hi > 0.75), (hue < 14) | (hue >= 345), hue < 36, hue < 68,
         hue < 165, hue < 255, hue < 300], [0, 1, 2, 10, 9, 3, 4, 5, 6, 7, 8], 9)
    counts = np.bincount(names, minlength=len(COLOURS))
    best = int(counts.argmax())
    return COLOURS[best] if counts[best] > 0.45 * len(p) else ""


def names_colour(label):
    return any(w in COLOURS or w == "grey" for w in re.findall(r"[a-z]+", label.lower()))


def noun(label):
    if label.startswith("flag: "):
        return "flag of " + label[6:]
    return label.replace(": ", ", ").lower()


def with_article(text):
    return ("an " if text[0] in "aeiou" else "a ") + text


def caption(row, rng):
    """One of the many ways to ask for a picture; rng is a random.Random."""
    text = noun(row["label"])
    if row["colour"] and rng.random() < 0.4:
        text = row["colour"] + " " + text
    if rng.random() < 0.35:
        text = with_article(text)
    fresh = [t for t in row["tags"] if t.lower() not in text]
    if fresh and rng.random() < 0.3:
        text += ", " + ", ".join(rng.sample(fresh, min(len(fresh), rng.randint(1, 3))))
    where = rng.random()
    if where < 0.8:
        return text + ", " + row["style"]
    return row["style"] + " " + text if where < 0.9 else text


def plain(label, style, colour=""):
    """The caption that evaluation asks for."""
    return (colour + " " if colour else "") + noun(label) + ", " + style


def held_out(rows):
    """The combinations no model may see: (kind, style, label, colour), chosen by hash alone.

    style: this thing in this style; the other styles stay in training. colour: this colour of an object of which at least
    three other colours stay. novel: a colour no picture of the thing has; nothing is withheld, but evaluation asks for it.
    """
    out, styles, colours = [], {}, {}
    for r in rows:
        styles.setdefault(r["label"], set()).add(r["style"])
        first, _, rest = r["label"].partition(" ")
        if first in COLOURS and rest:
            colours.setdefault(rest, set()).add(first)

    gone = set()
    for obj, seen in sorted(colours.items()):
        if len(seen) >= 4:
            ranked = sorted(seen, key=lambda c: unit("colour", obj, c))
            for colour in ranked[:2 if len(seen) >= 8 else 1]:
                gone.add(f"{colour} {obj}")
                out += [("colour", s, f"{colour} {obj}", colour) for s in STYLES if s in styles[f"{colour} {obj}"]]

    toned = {thing(r["label"]) for r in rows if "skin tone" in r["label"]}
    solid = {}
    for r in rows:
        if r["label"] not in toned and not is_symbol(r["label"]) and ":" not in r["label"]:
            solid.setdefault(r["label"], set()).add(r["colour"])
    for label in sorted(solid):
        if label not in gone and len(styles[label]) >= 2 and unit("style", label) < 0.125:
            out.append(("style", min(styles[label], key=lambda s: unit("which", label, s)), label, ""))
        elif not names_colour(label) and "" not in solid[label] and "face" not in label and unit("novel", label) < 0.1:
            free = [c for c in COLOURS[3:] if c not in solid[label]]
            out.append(("novel", STYLES[int(unit("in", label) * 3)], label, min(free, key=lambda c: unit("new", label, c))))
    return out
