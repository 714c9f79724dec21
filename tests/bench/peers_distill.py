"""Times an iteration of Flash Diffusion against the same loop in PyTorch. SPDX-License-Identifier: LGPL-3.0-or-later

Usage: python peers_distill.py --ours BENCH_DISTILL --engine FLASHBRUSH_ENGINE [--only starter sd15 ranks] [--rounds 7] [--threads N]
       [--precision f32|bf16] [--no-compile]

starter: the model that comes along at 128×128, batch 8, K = 8, LoRA of rank 32 on every layer, nothing computed again; processes that are all loaded take turns.
sd15: full-size SD 1.5 with random weights (--model FOLDER for another) at 512×512, batch 1, K = 4, rank 64 on attention, blocks computed again on both sides;
one process after another, so that each has the memory for itself. Its peak counts, loading included.
ranks: the starter, two processes of one thread under mpirun against one, at 4 samples each.

One job file per part serves all contenders: all three losses, the start step fixed at the middle of the mixture, guidance 5, the precision that
this processor is best at. The data are pictures made here. PyTorch runs eager and through torch.compile: the faster one counts, and of its
memory the smaller one. Every line of the table says how many network calls per sample an iteration made; they must be the same.
"""
import argparse, json, os, shutil, statistics, subprocess, sys, tempfile

import numpy as np
from PIL import Image

from peers import Contender

HERE = os.path.dirname(os.path.abspath(__file__))
STARTER = os.path.join(HERE, "..", "..", "data", "models", "starter")
N_PICTURES = 8
SECONDS, PEAK = 0, 1    # of a result
ATTENTION = ["to_q", "to_k", "to_v", "to_out.0"]
PARTS = {"starter": {"width": 128, "height": 128, "batch_size": 8, "samples_per_call": 8, "teacher_steps": 8, "lora_rank": 32, "lora_alpha": 32,
                     "lora_targets": ATTENTION + ["proj_in", "proj_out", "ff.net.0.proj", "ff.net.2", "time_emb_proj", "conv_in", "conv_out",
                                                  "conv1", "conv2", "conv_shortcut", "conv"]},                    # as the preset has it
         "sd15": {"width": 512, "height": 512, "batch_size": 1, "samples_per_call": 1, "teacher_steps": 4, "lora_rank": 64, "lora_alpha": 64,
                  "lora_targets": ATTENTION, "memory": 2700}}    # MB: blocks are computed again, and weights kept in the file's 16 bits


def write_pictures(folder, size):
    os.makedirs(folder, exist_ok=True)
    y, x = np.mgrid[0:size, 0:size] / size
    for i in range(N_PICTURES):
        inside = (x - 0.3 - 0.05 * i) ** 2 + (y - 0.5) ** 2 < 0.04
        picture = np.stack([x, y, np.full_like(x, i / N_PICTURES)], -1)
        picture[inside] = 1 - picture[inside]
        Image.fromarray((255 * picture).astype(np.uint8)).save(os.path.join(folder, f"{i}.png"))
        with open(os.path.join(folder, f"{i}.txt"), "w") as file:
            file.write(f"a disc before colours, number {i}\n")


def write_job(folder, part, teacher, args, **fields):
    """-> its path"""
    settings = dict(PARTS[part], preset="small", teacher=os.path.abspath(teacher), pictures=f"pictures-{part}", seed=0, steps=1000,
                    teacher_reuse=1, guidance_min=5, guidance_max=5, mode_variance=0.01, learning_rate=1e-5, clip=1, average=0, warm_up=0,
                    dtype=args.precision, threads=args.threads, checkpoint_every=1000, sample_every=0)
    settings.update(fields)
    settings["phases"] = [{"steps": settings["steps"], "modes": [0, 0, 1, 0], "distillation": 1, "matching": 0.5, "adversarial": 0.2}]
    write_pictures(os.path.join(folder, settings["pictures"]), settings["width"])
    path = os.path.join(folder, f"{part}-{settings['batch_size']}-{settings['threads']}.json")
    with open(path, "w") as file:
        json.dump(settings, file, indent=1)
    return path


def environment(folder, threads):
    return dict(os.environ, OMP_NUM_THREADS=str(threads), HF_HUB_OFFLINE="1", XDG_CACHE_HOME=os.path.join(folder, "cache"))


def commands(args, job, checkpointing):
    loop = [sys.executable, os.path.join(HERE, "distill_torch.py"), job] + ["--checkpointing"] * checkpointing
    out = {"flashbrush": [args.ours, job], "pytorch-eager": loop}
    if not args.no_compile:
        out["pytorch-compiled"] = loop + ["--compiled"]
    return out


def start(name, command, env):
    """-> a contender that is ready, or None"""
    contender = Contender(name, command, env)
    try:
        contender.answer()
        return contender
    except RuntimeError as error:
        print(f"peers: {error} before its first iteration was done; left out", file=sys.stderr)
        return None


def head(part, args):
    print(f"{part}, {args.precision}, threads: {args.threads}\n\n| contender | median iteration, s | network calls per sample | peak memory, GB |\n"
          "| --- | --- | --- | --- |", flush=True)


def finish(contender, batch_size):
    """-> median seconds, peak bytes"""
    seconds, calls, peak = statistics.median(contender.times), contender.ask("calls"), contender.ask("peak")
    contender.close()
    print(f"| {contender.name} | {seconds:.2f} | {calls / batch_size:g} | {peak / 1e9:.2f} |", flush=True)
    return seconds, peak


def best_peer(results, which):
    """-> of PyTorch eager and compiled the better one; None where there is none to compare, or nothing of ours"""
    values = [r[which] for name, r in results.items() if name.startswith("pytorch")]
    return min(values) if values and "flashbrush" in results else None


def report_speed(name, results):
    theirs = best_peer(results, SECONDS)
    if theirs is None:
        print(f"{name}: not measured: a side is missing (its reason is above)")
    else:
        print(f"BENCH {name} {theirs / results['flashbrush'][SECONDS]:.3f} x", flush=True)


def starter(args, folder):
    job = write_job(folder, "starter", STARTER, args)
    contenders = [start(name, command, environment(folder, args.threads)) for name, command in commands(args, job, False).items()]
    contenders = [c for c in contenders if c is not None]
    for _ in range(args.rounds):
        for c in contenders:
            c.times.append(c.step())
    head("starter", args)
    report_speed("distill_iter_speed_vs_pytorch", {c.name: finish(c, PARTS["starter"]["batch_size"]) for c in contenders})


def sd15(args, folder):
    model = args.model or subprocess.run([args.ours, "--make-model"], check=True, stdout=subprocess.PIPE, text=True).stdout.strip()
    job = write_job(folder, "sd15", model, args)
    results = {}
    head("sd15", args)
    for name, command in commands(args, job, True).items():
        contender = start(name, command, environment(folder, args.threads))
        if contender is None:
            continue
        for _ in range(args.sd15_rounds):
            contender.times.append(contender.step())
        results[name] = finish(contender, PARTS["sd15"]["batch_size"])
    report_speed("distill_iter_speed_vs_pytorch_sd15", results)
    if best_peer(results, PEAK) is not None:
        print(f"BENCH distill_memory_vs_pytorch_sd15 {results['flashbrush'][PEAK] / best_peer(results, PEAK):.3f} x", flush=True)


def log_seconds(job):
    """-> of each iteration but the first"""
    with open(os.path.join(job[:-len(".json")], "log.tsv")) as file:
        return [float(line.split("\t")[1]) for line in file.read().splitlines()[2:]]


def ranks(args, folder):
    name = "distill_two_ranks_speedup"
    mpirun = shutil.which("mpirun")
    if mpirun is None:
        print(f"{name}: not measured: there is no mpirun")
        return
    one_thread = argparse.Namespace(**dict(vars(args), threads=1))
    root = ["--allow-run-as-root"] * (os.geteuid() == 0)
    times = {1: [], 2: []}
    for turn in range(2):
        for n in times:
            turns_folder = os.path.join(folder, f"turn-{turn}")
            job = write_job(turns_folder, "starter", STARTER, one_thread, batch_size=4 * n, samples_per_call=4, steps=args.rounds + 1)
            launch = [mpirun, *root, "--oversubscribe", "--bind-to", "none", "-np", "2"] if n == 2 else []
            result = subprocess.run([*launch, args.engine, "distill", "--quiet", job], env=environment(folder, 1), stdout=subprocess.DEVNULL,
                                    stderr=subprocess.PIPE, text=True)
            if result.returncode != 0:
                reason = [line for line in result.stderr.splitlines() if line.startswith("flashbrush-engine")] or result.stderr.split("\n")[:1]
                print(f"{name}: not measured: {n} of {n} ranks stopped: {reason[0]}")
                return
            times[n] += log_seconds(job)
    one, two = statistics.median(times[1]), statistics.median(times[2])
    print(f"ranks: 4 samples in {one:.2f} s by one process, 8 in {two:.2f} s by two\nBENCH {name} {2 * one / two:.3f} x", flush=True)


def main():
    parts = {"starter": starter, "sd15": sd15, "ranks": ranks}
    p = argparse.ArgumentParser()
    p.add_argument("--ours", required=True)
    p.add_argument("--engine", required=True)
    p.add_argument("--model")
    p.add_argument("--only", nargs="+", choices=list(parts), default=list(parts))
    p.add_argument("--rounds", type=int, default=7)
    p.add_argument("--sd15-rounds", type=int, default=2)
    p.add_argument("--threads", type=int, default=len(os.sched_getaffinity(0)))
    p.add_argument("--precision", choices=["f32", "bf16"])
    p.add_argument("--no-compile", action="store_true")
    args = p.parse_args()
    if args.precision is None:
        args.precision = subprocess.run([args.ours, "--best-dtype"], check=True, stdout=subprocess.PIPE, text=True).stdout.strip()
    for part in args.only:
        with tempfile.TemporaryDirectory(prefix="flashbrush-distill-") as folder:
            parts[part](args, folder)


if __name__ == "__main__":
    main()
