"""Times a picture and a training iteration on a card against PyTorch's. SPDX-License-Identifier: LGPL-3.0-or-later

Usage: python peers_cuda.py --ours BENCH_CUDA --ours-distill BENCH_DISTILL [--only generation distillation] [--rounds 7] [--seconds 3600]
       [--no-compile] [--device cpu] [--tiny]

generation: full-size SD 1.5 at 512×512, f16, batch 1: four steps and the full decoder, from a prompt to the pixels in the host's memory. PyTorch
draws with the networks of diffusers and transformers, channels last, eager and through torch.compile (max-autotune, which replays CUDA graphs).
distillation: peers_distill.py's part sd15 in bf16 at batch 8, nothing computed again: PyTorch's loop is distill_torch.py, eager and compiled.

Weights are random. A contender is a process that loads once, warms up and waits; ours and one of PyTorch take turns, round by round, and medians
count. Eager comes first and compiled last, for it takes minutes: what is known is printed at once, and what --seconds had no room for is said. A figure is
against compiled; where eager is the faster one, against eager. BENCH_CUDA and BENCH_DISTILL may be whole command lines.

--device cpu --tiny tries all this without a card: the starter model at 128×128, f32, batch 1.
"""
import argparse, importlib.util, os, shlex, statistics, subprocess, sys, tempfile, time

from peers import Contender, serve_steps, take_turns

HERE = os.path.dirname(os.path.abspath(__file__))
NEEDED = {"generation": ["torch", "diffusers", "transformers"], "distillation": ["torch", "diffusers", "peft", "numpy", "PIL"]}
N_STEPS = 4


def worker_pictures(args):
    import torch
    from diffusers import AutoencoderKL, UNet2DConditionModel
    from transformers import CLIPTextModel
    sys.path.append(os.path.join(HERE, "..", "golden", "distill"))
    import method

    torch.backends.cudnn.benchmark = True
    dtype, device = {"f32": torch.float32, "f16": torch.float16}[args.precision], args.device
    text, net, vae = (kind.from_pretrained(args.model, subfolder=folder, torch_dtype=dtype).eval().to(device)
                      for kind, folder in ((CLIPTextModel, "text_encoder"), (UNet2DConditionModel, "unet"), (AutoencoderKL, "vae")))
    for network in (net, vae):
        network.to(memory_format=torch.channels_last)
    encode, denoise, decode = text, net, vae.decode
    if args.worker == "pytorch-compiled":
        encode, denoise, decode = (torch.compile(call, mode="max-autotune", dynamic=False) for call in (text, net, vae.decode))

    words = torch.randint(0, text.config.vocab_size, (1, text.config.max_position_embeddings), generator=torch.Generator().manual_seed(0))
    side = args.size // 2 ** (len(vae.config.block_out_channels) - 1)
    levels = method.trailing(N_STEPS)
    timesteps = [torch.tensor(t, device=device) for t in levels]
    noise_levels = [method.Schedule().at(t) for t in levels] + [(1.0, 0.0)]

    def step():
        with torch.inference_mode():
            context = encode(words.to(device), return_dict=False)[0]
            z = torch.randn(1, 4, side, side, device=device)
            for i in range(N_STEPS):
                (a, s), (next_a, next_s) = noise_levels[i:i + 2]
                x = z.to(dtype, memory_format=torch.channels_last)
                clean = (z - s * denoise(x, timesteps[i], context, return_dict=False)[0].float()) / a
                z = next_a * clean + next_s * torch.randn_like(clean) if next_s > 0 else clean
            latents = (z / vae.config.scaling_factor).to(dtype, memory_format=torch.channels_last)
            picture = decode(latents, return_dict=False)[0]
            return (picture / 2 + 0.5).clamp(0, 1).permute(0, 2, 3, 1).float().cpu()
    return step


def missing(part):
    """-> names of the modules that this Python lacks for it"""
    return [name for name in NEEDED[part] if importlib.util.find_spec(name) is None]


def against(args, part, ours, theirs, env, end):
    """Times two command lines in turns -> (ours, theirs) as (seconds, network calls, bytes), or None with the reason printed"""
    contenders = []
    try:
        for name, command in (("flashbrush", ours), theirs):
            contenders.append(Contender(name, command, env, end))
            contenders[-1].answer()
        take_turns(contenders, args.rounds)
        results = [(statistics.median(c.times), c.ask("calls") if part == "distillation" else N_STEPS,
                    c.ask("peak") if part == "distillation" else None) for c in contenders]
    except (RuntimeError, BrokenPipeError) as error:
        print(f"{part} against {theirs[0]}: not measured: {error}", flush=True)
        for c in contenders:
            c.process.kill()
        return None
    finally:
        for c in contenders:
            c.close()
    for c, (seconds, calls, peak) in zip(contenders, results):
        memory = f"{peak / 1e9:.2f}" if peak else ""
        print(f"| {part} | {c.name} | {1e3 * seconds:.1f} | {calls / (args.batch if part == 'distillation' else 1):g} | {memory} |", flush=True)
    return results


def command_lines(args, part, worker, folder):
    """-> ours, theirs"""
    if part == "generation":
        ours = [*shlex.split(args.ours), "--serve", "--model", args.model, "--device", args.device, "--dtype", args.precision, "--size", str(args.size)]
        return ours, [sys.executable, os.path.abspath(__file__), "--worker", worker, "--model", args.model, "--device", args.device,
                      "--precision", args.precision, "--size", str(args.size)]
    from peers_distill import write_job
    fields = dict(width=args.size, height=args.size, batch_size=args.batch, samples_per_call=args.batch, memory=0)
    job = write_job(folder, "sd15", args.model, argparse.Namespace(precision="f32" if args.tiny else "bf16", threads=len(os.sched_getaffinity(0))), **fields)
    theirs = [sys.executable, os.path.join(HERE, "distill_torch.py"), job, "--device", args.device]
    return [*shlex.split(args.ours_distill), "--device", args.device, job], theirs + ["--compiled"] * (worker == "pytorch-compiled")


def report(args, part, results):
    """results: by contender (ours, theirs), each timed in turns with it"""
    word = "BENCH" if args.device == "cuda" else "TRIED"    # a figure is a card's
    speed, memory = {"generation": ("cuda_speed_vs_torch_compile", None),
                     "distillation": ("cuda_distill_speed_vs_torch", "cuda_distill_memory_vs_torch")}[part]
    if "pytorch-compiled" not in results:
        print(f"{speed}: not measured: there is no compiled PyTorch to compare with (its reason is above)")
        return
    print(f"{word} {speed} {min(theirs[0] / ours[0] for ours, theirs in results.values()):.3f} x")
    if memory is not None and all(ours[2] and theirs[2] for ours, theirs in results.values()):
        print(f"{word} {memory} {max(ours[2] / theirs[2] for ours, theirs in results.values()):.3f} x")
    sys.stdout.flush()


def main():
    p = argparse.ArgumentParser()
    p.add_argument("--ours")
    p.add_argument("--ours-distill")
    p.add_argument("--model")
    p.add_argument("--only", nargs="+", choices=list(NEEDED), default=list(NEEDED))
    p.add_argument("--rounds", type=int, default=7)
    p.add_argument("--seconds", type=float, default=3600)
    p.add_argument("--device", choices=["cpu", "cuda"], default="cuda")
    p.add_argument("--precision", choices=["f32", "f16"], default="f16")
    p.add_argument("--size", type=int, default=512)
    p.add_argument("--batch", type=int, default=8)
    p.add_argument("--no-compile", action="store_true")
    p.add_argument("--tiny", action="store_true")
    p.add_argument("--worker")
    args = p.parse_args()
    if args.worker:
        return serve_steps(worker_pictures(args), warm_ups=3)    # compiles, finds algorithms, records graphs
    end = time.monotonic() + args.seconds
    if args.tiny:
        args.precision, args.size, args.batch = "f32", 128, 1
        args.model = args.model or os.path.join(HERE, "..", "..", "data", "models", "starter")
    parts = []
    for part in args.only:
        lacking = missing(part)
        if lacking:
            print(f"{part}: left out: this Python has no {', '.join(lacking)}", flush=True)
        else:
            parts.append(part)
    if not parts:
        return
    if not args.model:
        args.model = subprocess.run([*shlex.split(args.ours), "--make-model"], check=True, stdout=subprocess.PIPE, text=True).stdout.strip()

    print("| part | contender | median, ms | network calls per sample | peak memory, GB |\n| --- | --- | --- | --- | --- |", flush=True)
    results = {part: {} for part in parts}
    workers = ["pytorch-eager"] + ["pytorch-compiled"] * (not args.no_compile)
    for worker in workers:
        for i, part in enumerate(parts):
            now = time.monotonic()
            with tempfile.TemporaryDirectory(prefix="flashbrush-peers-") as folder:
                env = dict(os.environ, HF_HUB_OFFLINE="1")
                ours, theirs = command_lines(args, part, worker, folder)
                pair = against(args, part, ours, (worker, theirs), env, now + (end - now) / (len(parts) - i))    # a fair share of what is left
            if pair is not None:
                results[part][worker] = pair
            if worker == workers[-1]:
                report(args, part, results[part])


if __name__ == "__main__":
    main()
