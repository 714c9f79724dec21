# data/models/train/tokenizer.py: a byte-pair vocabulary in CLIP's format. SPDX-License-Identifier: LGPL-3.0-or-later
"""python3 tokenizer.py PACK OUT [--size 4096]: learns vocab.json and merges.txt from the captions.

The Tokenizer class reads them and gives the ids that transformers' CLIPTokenizer gives (check.py compares). Merges follow
Sennrich et al., arXiv:1508.07909, over bytes as in GPT-2, with </w> after a word's last byte. Standard library only.
"""
import argparse
import collections
import json
import os
import unicodedata

import captions

START, END = "<|startoftext|>", "<|endoftext|>"
# Words a person writes around the things that labels name.
PROMPT_WORDS = ("a an the of on in with and at over under behind cute little big small sleeping happy sad angry old new shiny "
                "icon sticker emoji picture drawing style background colourful colorful cartoon simple glossy grey")


def byte_letters():
    """Byte -> a printable letter, so that vocab.json is text (GPT-2's table)."""
    plain = [*range(33, 127), *range(161, 173), *range(174, 256)]
    table = {b: chr(b) for b in plain}
    for b in range(256):
        table.setdefault(b, chr(256 + len(table) - len(plain)))
    return {b: table[b] for b in plain + [b for b in range(256) if b not in plain]}


LETTERS = byte_letters()


def words(text):
    """Lower case, NFC; runs of letters, single digits, runs of other signs, and English contractions are words."""
    text = " ".join(unicodedata.normalize("NFC", text).split()).lower()
    out, i = [], 0
    kind = lambda ch: " " if ch.isspace() else unicodedata.category(ch)[0] if unicodedata.category(ch)[0] in "LN" else "-"
    while i < len(text):
        contraction = next((c for c in ("'s", "'t", "'re", "'ve", "'m", "'ll", "'d") if text.startswith(c, i)), "")
        k = kind(text[i])
        j = i + 1
        if contraction:
            j = i + len(contraction)
        elif k in "L-":
            while j < len(text) and kind(text[j]) == k:
                j += 1
        if k != " ":
            out.append(text[i:j])
        i = j
    return out


def symbols(word):
    s = [LETTERS[b] for b in word.encode("utf-8")]
    return s[:-1] + [s[-1] + "</w>"]


def learn(counts, n_merges):
    """counts {word: number} -> merges, most frequent pair first; ties in alphabetical order."""
    spelled = [(symbols(w), n) for w, n in sorted(counts.items())]
    pairs, where = collections.Counter(), collections.defaultdict(set)
    for i, (s, n) in enumerate(spelled):
        for p in zip(s, s[1:]):
            pairs[p] += n
            where[p].add(i)
    merges = []
    while len(merges) < n_merges:
        best = min(pairs, key=lambda p: (-pairs[p], p), default=None)
        if best is None or pairs[best] <= 0:
            break
        merges.append(best)
        for i in sorted(where.pop(best)):
            s, n = spelled[i]
            for p in zip(s, s[1:]):
                pairs[p] -= n
            s = merge(s, best)
            spelled[i] = (s, n)
            for p in zip(s, s[1:]):
                pairs[p] += n
                where[p].add(i)
        del pairs[best]
    return merges


def merge(s, pair):
    out, i = [], 0
    while i < len(s):
        if i + 1 < len(s) and (s[i], s[i + 1]) == pair:
            out.append(s[i] + s[i + 1])
            i += 2
        else:
            out.append(s[i])
            i += 1
    return out


def save(folder, merges):
    os.makedirs(folder, exist_ok=True)
    letters = list(LETTERS.values())
    vocab = letters + [c + "</w>" for c in letters] + ["".join(m) for m in merges] + [START, END]
    special = dict(bos_token=START, eos_token=END, pad_token=END, unk_token=END)
    texts = {
        "vocab.json": json.dumps({token: i for i, token in enumerate(vocab)}, ensure_ascii=False),
        "merges.txt": "#version: 0.2\n" + "".join(" ".join(m) + "\n" for m in merges),
        "special_tokens_map.json": json.dumps(special, indent=1),
        "tokenizer_config.json": json.dumps(dict(special, tokenizer_class="CLIPTokenizer", model_max_length=77,
                                                 add_prefix_space=False, do_lower_case=True, errors="replace"), indent=1),
    }
    for name, text in texts.items():
        with open(os.path.join(folder, name), "w", encoding="utf-8") as f:
            f.write(text)


class Tokenizer:
    def __init__(self, folder):
        with open(os.path.join(folder, "vocab.json"), encoding="utf-8") as f:
            self.vocab = json.load(f)
        with open(os.path.join(folder, "merges.txt"), encoding="utf-8") as f:
            self.ranks = {tuple(line.split()): i for i, line in enumerate(f.read().splitlines()[1:])}
        self.known = {}

    def word(self, word):
        if word not in self.known:
            s = symbols(word)
            while True:
                best = min(zip(s, s[1:]), key=lambda p: self.ranks.get(p, len(self.ranks)), default=None)
                if best not in self.ranks:
                    break
                s = merge(s, best)
            self.known[word] = [self.vocab[t] for t in s]
        return self.known[word]

    def __call__(self, text, length=77):
        """-> length ids: start, the words' (cut where they do not fit), end, padded with end."""
        ids = [i for w in words(text) for i in self.word(w)][:length - 2]
        return [self.vocab[START]] + ids + [self.vocab[END]] * (length - 1 - len(ids))


def main():
    import data
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("pack")
    parser.add_argument("out")
    parser.add_argument("--size", type=int, default=4096)
    args = parser.parse_args()
    counts = collections.Counter()
    for row in data.read_rows(args.pack)[0]:
        counts.update(words(captions.noun(row["label"])) * 3 + words(" ".join(row["tags"])))
    common = max(counts.values())
    for w in (*captions.STYLES, *captions.COLOURS, *PROMPT_WORDS.split()):
        counts[w] += common // 20
    for w in words(" ".join((*captions.STYLES, ","))):
        counts[w] += common
    merges = learn(counts, args.size - 512 - 2)
    if len(merges) < args.size - 512 - 2:
        raise SystemExit(f"{args.pack}: its captions give only {512 + 2 + len(merges)} tokens; ask for a smaller --size")
    save(args.out, merges)
    tokenizer = Tokenizer(args.out)
    n = sum(len(tokenizer.word(w)) * c for w, c in counts.items()) / sum(counts.values())
    print(f"{args.out}: {args.size} tokens from {len(counts)} words, {n:.3f} tokens a word")


if __name__ == "__main__":
    main()
