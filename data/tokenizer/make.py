#!/usr/bin/env python3
"""Cuts CLIP's merges out of the file OpenAI published. SPDX-License-Identifier: LGPL-3.0-or-later

make.py bpe_simple_vocab_16e6.txt.gz: writes clip-merges.txt.gz beside itself. The package open_clip_torch on PyPI holds the file.
"""
import gzip
import hashlib
import os
import sys

source = open(sys.argv[1], "rb").read()
assert hashlib.sha256(source).hexdigest() == "924691ac288e54409236115652ad4aa250f48203de50a9e4722a6ecd48d6804a"
lines = gzip.decompress(source).decode().split("\n")[1 : 49152 - 256 - 2 + 1]      # CLIP reads no further
text = "#version: 0.2\n" + "".join(line + "\n" for line in lines)
with open(os.path.join(os.path.dirname(os.path.abspath(__file__)), "clip-merges.txt.gz"), "wb") as out:
    out.write(gzip.compress(text.encode(), 9, mtime=0))
