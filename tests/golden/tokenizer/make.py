#!/usr/bin/env python3
"""Token ids of transformers' slow CLIPTokenizer. SPDX-License-Identifier: LGPL-3.0-or-later

Needs transformers 4.x (5 has no slow tokenizer), without ftfy, and numpy. Writes tokens.jsonl: a line per text,
[TEXT, ids with CLIP's vocabulary, ids with that in small/, ids with CLIP's when "!" pads, or null if as in the first].
CLIP's vocab.json and merges.txt are made from ../../../data/tokenizer/clip-merges.txt.gz as OpenAI's simple_tokenizer.py makes them.
Texts hold characters of Unicode 14 only, the version of Python 3.11's str and unicodedata.
"""
import gzip
import json
import os
import random
import tempfile
import unicodedata
import transformers

HERE = os.path.dirname(os.path.abspath(__file__))
rnd = random.Random(20)


def standard_files(folder):
    merges = gzip.open(os.path.join(HERE, "../../../data/tokenizer/clip-merges.txt.gz")).read().decode()
    visible = [*range(33, 127), *range(161, 173), *range(174, 256)]
    letters = [chr(b) for b in visible] + [chr(256 + i) for i in range(256 - len(visible))]
    tokens = letters + [c + "</w>" for c in letters]
    tokens += ["".join(line.split()) for line in merges.strip().split("\n")[1:]]
    tokens += ["<|startoftext|>", "<|endoftext|>"]
    assert len(tokens) == 49408
    with open(folder + "/vocab.json", "w", encoding="utf-8") as out:
        json.dump({t: i for i, t in enumerate(tokens)}, out, ensure_ascii=False)
    with open(folder + "/merges.txt", "w", encoding="utf-8") as out:
        out.write(merges)


FIXED = """a photo of an astronaut riding a horse on mars
A Photo Of A CAT, highly detailed, 8k, trending on artstation
it's they're we've I'm you'll he'd don't IT'S THEY'RE 'S 'LL ''s ''' 's's 'sx x's
rock'n'roll o'clock ’s it’s “quoted” ‘single’
3.14159 1,000,000 2nd 1st 42 ½ ² ⅷ Ⅷ ① ⒈ ٣ ४ 1e-5 0x1F
(masterpiece:1.3), [blurry], <lora:name:0.8>, BREAK, {a|b}, __wildcard__
hello!!! what??? ... --- ___ *** ### @user #tag $100 100% a&b a/b a\\b
<b>bold</b> &amp; &lt; &#39; &quot; &nbsp; <!-- comment --> http://example.org/?a=1&b=2#c
<|startoftext|> <|endoftext|> a<|endoftext|>b <|ENDOFTEXT|> <|StartOfText|>x <|endoftext <|endoftext|><|endoftext|>
naïve café résumé Ångström façade coöperate über Straße GROẞ ﬁn ﬀ ǆ ǅ Ǆ
ÀÁÂÃÄÅÆÇÈÉÊËÌÍÎÏÐÑÒÓÔÕÖØÙÚÛÜÝÞß İstanbul Iğdır ISPARTA ıI iİ
ΟΔΟΣ ΟΔΟΣ. ΣΑΣ Σ ΣΣ ΑΣ' ΑΣ'Α ΑΣ.Α 1Σ ΑΣ̈ ᾼΣ Α Σ ᾼΣ ΠΕΡΙΣΣΟΣ
Привет мир Ёлка Їжак ЂЈЉ שלום עולם مرحبا بالعالم नमस्ते दुनिया สวัสดีชาวโลก
你好，世界！ 日本語のテキスト ひらがなカタカナ 한국어 텍스트 臺灣 𠀀𪜀 豈更 丽
😀 😃😄 👨‍👩‍👧‍👦 👍🏽 🇩🇪 ❤️ ☺︎ 1️⃣ 🏳️‍🌈 cat🐈dog🐕 🫠
a ſ 'ſ 'ſt it'ſ ſt K Å Ω ℵ ª º ʰ ⓐ Ⓐ 🅐 𝐀 𝔸 Ａ ａ １
aͅb ͅ ͅͅx ᾳ ᾼ é é ñ Å ḍ̇ q̣̇ ộ 각 각 ཱུ
tab\there new\nline car\rriage v\vtab f\fform nul\x01one esc\x1b del\x7f nel\x85x
nbsp\xa0x shy\xadx zwsp\u200bx zwj\u200dx lrm\u200ex bom\ufeffx wj\u2060x ideographic\u3000x ogham\u1680x line\u2028x para\u2029x
fffd\ufffdx private\ue000x tag\U000e0041x fs\x1cx gs\x1dx rs\x1ex us\x1fx thin\u2009x nnbsp\u202fx mmsp\u205fx
""".replace("\\t", "\t").replace("\\n", "\x00").replace("\x00", "\n").split("\n")

WORDS = """a an the of on in with and portrait landscape photo painting oil watercolor cat dog horse astronaut castle mountain river forest city
night sunset neon cyberpunk fantasy dragon wizard girl boy woman man old young beautiful highly detailed intricate sharp focus trending
artstation greg rutkowski masterpiece best quality 4k 8k hdr unreal engine octane render cinematic lighting volumetric fog bokeh depth field
wide-angle close-up f/1.8 50mm iso100 black-and-white low-poly pixel-art studio_ghibli #photography @artist it's don't they're
electroencephalographically antidisestablishmentarianism pneumonoultramicroscopicsilicovolcanoconiosis xyzzy qwertz""".split()

RANGES = [(0x21, 0x7e), (0xa1, 0x17f), (0x180, 0x24f), (0x250, 0x2ff), (0x300, 0x36f), (0x370, 0x3ff), (0x400, 0x52f), (0x530, 0x5ff),
          (0x600, 0x6ff), (0x700, 0x8ff), (0x900, 0xdff), (0xe00, 0xfff), (0x1000, 0x13ff), (0x1400, 0x1cff), (0x1d00, 0x1fff),
          (0x2000, 0x2bff), (0x2c00, 0x2fff), (0x3000, 0x33ff), (0x3400, 0x9fff), (0xa000, 0xabff), (0xac00, 0xd7ff), (0xe000, 0xf8ff),
          (0xf900, 0xfaff), (0xfb00, 0xfeff), (0xff00, 0xffef), (0x10000, 0x10fff), (0x11000, 0x12fff), (0x16000, 0x1bfff),
          (0x1d000, 0x1d7ff), (0x1e000, 0x1f0ff), (0x1f100, 0x1f2ff), (0x1f300, 0x1faff), (0x20000, 0x2ffff), (0xe0000, 0xe01ff)]


def characters(n):
    first, last = rnd.choice(RANGES)
    found = [chr(rnd.randint(first, last)) for _ in range(n)]
    return "".join(c for c in found if unicodedata.category(c) not in ("Cn", "Cs"))


def some_text():
    kind = rnd.randrange(8)
    if kind == 0:                                          # a prompt
        return ", ".join(" ".join(rnd.choices(WORDS, k=rnd.randint(1, 5))) for _ in range(rnd.randint(1, 6)))
    if kind == 1:                                          # one script
        return characters(rnd.randint(1, 12))
    if kind == 2:                                          # several, with blanks
        return " ".join(characters(rnd.randint(1, 5)) for _ in range(rnd.randint(1, 5)))
    if kind == 3:                                          # letters with marks on them
        return "".join(rnd.choice("aeiouAEIOUnscΑΣΩαшЙ각ᄀ") + characters_of(0x300, 0x36f, rnd.randint(0, 3)) for _ in range(rnd.randint(1, 6)))
    if kind == 4:                                          # capitals
        return " ".join(rnd.choices(WORDS, k=4)).upper()
    if kind == 5:                                          # punctuation and contractions
        return "".join(rnd.choice(["'s", "'T", "'re", "'", "!", "?", " ", "a", "B", "1", "<", "|", ">", "...", "(", ")", ":", "\"", "&", "é"])
                       for _ in range(rnd.randint(1, 15)))
    if kind == 6:                                          # sigmas
        return "".join(rnd.choice("ΣΣσaA1'.:·´^ʰ\u0301\u00ad -Ⓐªⅷ") for _ in range(rnd.randint(2, 8)))
    return "".join(rnd.choice("abcdefghijklmnopqrstuvwxyz") for _ in range(rnd.randint(1, 30)))


def characters_of(first, last, n):
    return "".join(chr(rnd.randint(first, last)) for _ in range(n))


def main():
    with tempfile.TemporaryDirectory() as folder:
        standard_files(folder)
        files = [folder + "/vocab.json", folder + "/merges.txt"]
        standard = transformers.CLIPTokenizer(*files)
        exclaim = transformers.CLIPTokenizer(*files, pad_token="!")
    small = transformers.CLIPTokenizer(HERE + "/small/vocab.json", HERE + "/small/merges.txt")
    assert standard.fix_text is None, "ftfy is installed"

    texts = FIXED + [piece for line in FIXED for piece in line.split(" ")]
    texts += ["", " ", "\n", "a" * 300, "ab" * 200, "word " * 200, "é" * 100, "😀" * 60, "1234567890" * 20, "ha" * 77 + "!" * 50]
    texts += [chr(c) + "x" + chr(c) for c in range(1, 0x100)]
    while len(texts) < 1700:
        texts.append(some_text())
    texts = list(dict.fromkeys(texts))

    with open(os.path.join(HERE, "tokens.jsonl"), "w") as out:
        for text in texts:
            ids = [t.convert_tokens_to_ids(t.tokenize(text)) for t in (standard, small, exclaim)]
            print(json.dumps([text, ids[0], ids[1], ids[2] if ids[2] != ids[0] else None], separators=(",", ":")), file=out)
    print(f"{len(texts)} texts, transformers {transformers.__version__}")


main()
