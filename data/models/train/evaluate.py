# data/models/train/evaluate.py: how well a model draws what it is asked for. SPDX-License-Identifier: LGPL-3.0-or-later
"""python3 evaluate.py --pack PACK --model MODEL --classifier FOLDER --out OUT [--lora FOLDER --few --steps 4]

Draws 200 prompts, half of them combinations that training never saw (heldout.tsv), half it did, and asks the classifier: is the
thing among its first five? For colours that no picture of the thing has ("novel") it also looks whether the colour came out.
--frechet N adds the Fréchet distance between the classifier's features of N pictures drawn from training captions and those
of all real pictures (the same N and classifier make two distances comparable; nothing else does).
--write-prompts FILE writes the 200 prompts instead, for `./dev bench starter`.
Writes OUT/evaluation.json with every prompt and answer, and OUT/evaluation.png with the first 32.
"""
import os
import random

import torch

import captions
import common
import data
import figures
import sample
from classifier import Classifier


def prompts(rows, heldout, n):
    """-> n dicts(kind, style, label, thing, colour, prompt): half seen; the other half held-out styles and colours. All by hash."""
    # a colour word that is withheld names its own class; for the others the class is the label
    held = [dict(kind=k, style=s, label=l, colour=c) for k, s, l, c in heldout if k != "novel"]
    held.sort(key=lambda p: captions.unit("ask", p["style"], p["label"]))
    toned = {r["thing"] for r in rows if "skin tone" in r["label"]}
    seen = [dict(kind="seen", style=r["style"], label=r["label"], colour="") for r in rows
            if r["split"] == "train" and r["thing"] not in toned and not captions.is_symbol(r["label"])]
    seen.sort(key=lambda p: captions.unit("ask", p["style"], p["label"]))
    novel = [dict(kind="novel", style=s, label=l, colour=c) for k, s, l, c in heldout if k == "novel"]
    asked = seen[:n - n // 2] + held[:n // 2] + novel
    for p in asked:
        p["thing"] = captions.thing(p["label"])
        p["prompt"] = captions.plain(p["label"], p["style"], p["colour"] if p["kind"] == "novel" else "")
    return asked


def drawn_colour(picture):
    """The colour word of what is not background; picture [3, H, W] in -1…1."""
    rgb = ((picture.clamp(-1, 1) + 1) * 127.5).round().to(torch.uint8)
    alpha = ((picture < 0.9).any(0) * 255).to(torch.uint8)[None]
    return captions.dominant_colour(torch.cat([rgb, alpha]).permute(1, 2, 0).cpu().numpy())


def batches(items, n):
    return [items[i:i + n] for i in range(0, len(items), n)]


def write_prompts(args):
    rows, heldout, _, _ = data.read_rows(args.pack)
    with open(args.write_prompts, "w", encoding="utf-8") as file:
        file.write("kind\tthing\tprompt\n")
        file.writelines(f"{p['kind']}\t{p['thing']}\t{p['prompt']}\n" for p in prompts(rows, heldout, args.prompts) if p["kind"] != "novel")


def main():
    args = common.arguments(__doc__, batch=64, lr=0.0, model="", classifier="", lora="", few=False, sample_steps=25, guidance=5.0,
                            prompts=200, frechet=0, name="evaluation", write_prompts="")
    if args.write_prompts:
        write_prompts(args)
        return
    run = common.Run(args)
    judge = common.load_model(Classifier, args.classifier, run.device)
    pipeline = sample.Pipeline(args.model, run.device, lora=args.lora)
    rows, heldout, _, _ = data.read_rows(args.pack)
    things = judge.config["things"]

    def draw(texts, first_seed):
        return pipeline.draw(texts, range(first_seed, first_seed + len(texts)), args.sample_steps, args.guidance, args.few, run.autocast)

    asked, shown = prompts(rows, heldout, args.prompts), []
    asked = asked[:args.limit] if args.limit else asked
    for i, part in enumerate(batches(asked, args.batch)):
        pictures = draw([p["prompt"] for p in part], 1000 + i * args.batch)
        shown += [pictures] if i == 0 else []
        with torch.no_grad():
            best = judge(pictures).topk(5).indices
        for p, picture, five in zip(part, pictures, best.tolist()):
            p["answers"] = [things[k] for k in five]
            p["top1"], p["top5"] = p["answers"][0] == p["thing"], p["thing"] in p["answers"]
            p["drawn_colour"] = drawn_colour(picture)

    scores = {}
    for kind in ("seen", "style", "colour", "novel"):
        of = [p for p in asked if p["kind"] == kind]
        if of:
            scores[kind] = dict(n=len(of), top1=sum(p["top1"] for p in of) / len(of), top5=sum(p["top5"] for p in of) / len(of))
            if kind == "novel":
                scores[kind]["colour"] = sum(p["drawn_colour"] == p["colour"] for p in of) / len(of)
    main_part = [p for p in asked if p["kind"] != "novel"]
    scores["all"] = dict(n=len(main_part), top5=sum(p["top5"] for p in main_part) / max(1, len(main_part)))
    if args.frechet:
        pics = data.Pictures(args.pack, run.device, 128, args.limit)
        rng = random.Random(args.seed)
        texts = [captions.plain(r["label"], r["style"])
                 for r in rng.choices(pics.rows, weights=[r["weight"] for r in pics.rows], k=args.frechet)]
        with torch.no_grad():
            fake = torch.cat([judge.features(draw(part, 5000 + i * args.batch)) for i, part in enumerate(batches(texts, args.batch))])
            ids = pics.draw(max(len(pics), 2 * args.frechet), run.generator)    # the same distribution the prompts have
            real = torch.cat([judge.features(data.over(pics.rgba[part])) for part in ids.split(256)])
        scores["frechet"] = dict(n=args.frechet, distance=figures.frechet(figures.moments(fake), figures.moments(real)))
    run.note(f"{scores}")
    how = dict(model=os.path.basename(args.model), lora=bool(args.lora), few=args.few, steps=args.sample_steps, guidance=args.guidance)
    common.write_json(f"{args.out}/{args.name}.json", dict(how=how, scores=scores, prompts=asked))
    data.write_grid(f"{args.out}/{args.name}.png", shown[0][:32])


if __name__ == "__main__":
    main()
