# data/models/train/common.py: what every training script needs. SPDX-License-Identifier: LGPL-3.0-or-later
"""Arguments, a time budget, atomic checkpoints, exported folders in files under 16 MB, moving averages."""
import argparse
import contextlib
import json
import math
import os
import shutil
import sys
import time

import torch
from safetensors.torch import load_file, save_file

SHARD_BYTES = 15 << 20    # below 16 MiB with the header
SCALE = "::scale"


def arguments(doc, batch, lr, **extra):
    """The options all scripts share. extra: further ones as name=default (the default's type is the option's)."""
    p = argparse.ArgumentParser(description=doc, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--pack", required=True, help="the folder pack.py wrote")
    p.add_argument("--out", required=True, help="folder for checkpoints, the exported model and sample grids")
    p.add_argument("--resume", default="", help="a folder with state.pt (continues exactly) or an exported model (weights only)")
    p.add_argument("--seconds", type=float, default=60, help="time budget of this call, loading and export included")
    p.add_argument("--total", type=float, default=0, help="training seconds the learning rate is planned for, all calls together")
    p.add_argument("--steps", type=int, default=0, help="plan and stop by steps instead of by the clock: repeatable")
    p.add_argument("--batch", type=int, default=batch)
    p.add_argument("--lr", type=float, default=lr)
    p.add_argument("--seed", type=int, default=1)
    p.add_argument("--save-every", type=float, default=60, help="seconds between checkpoints (steps, with --steps)")
    p.add_argument("--limit", type=int, default=0, help="use only so many pictures")
    p.add_argument("--size", type=int, default=256, help="picture width and height in pixels")
    p.add_argument("--toy", action="store_true", help="a fraction of every width, for trying the script on a CPU")
    p.add_argument("--compile", action="store_true", help="torch.compile, falling back to eager where that fails")
    p.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    p.add_argument("--threads", type=int, default=0)
    for name, default in extra.items():
        if isinstance(default, bool):
            p.add_argument("--" + name.replace("_", "-"), action="store_true")
        else:
            p.add_argument("--" + name.replace("_", "-"), type=type(default), default=default)
    return p.parse_args()


class Run:
    """The clock, the random numbers, the log and the checkpoints of one training."""

    def __init__(self, args):
        self.began = time.monotonic()
        self.args, self.device = args, torch.device(args.device)
        if args.threads:
            torch.set_num_threads(args.threads)
        torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = True
        torch.backends.cudnn.benchmark = True
        torch.manual_seed(args.seed)
        self.generator = torch.Generator(self.device).manual_seed(args.seed)
        self.step, self.trained, self.reserve = 0, 0.0, 0.0
        self.tracked, self.sums, self.seen = {}, {}, 0
        os.makedirs(args.out, exist_ok=True)
        print(f"{os.path.basename(sys.argv[0])}: {self.device}, torch {torch.__version__}, seed {args.seed}", flush=True)

    def note(self, text):
        print(f"[{time.monotonic() - self.began:7.1f} s] {text}", flush=True)

    def autocast(self):
        return torch.autocast(self.device.type, torch.bfloat16) if self.device.type == "cuda" else contextlib.nullcontext()

    def compiled(self, function):
        """torch.compile that may fail at the first call: eager then takes over for good."""
        if not self.args.compile:
            return function
        fast = torch.compile(function, dynamic=False)    # a few fixed shapes, each compiled well

        def call(*args):
            nonlocal fast
            if fast is not None:
                try:
                    return fast(*args)
                except Exception as e:    # whatever the compiler throws: a slower run is better than none
                    self.note(f"torch.compile gave up ({type(e).__name__}: {str(e)[:200]}); running eagerly")
                    fast = None
            return function(*args)
        return call

    # --- progress and the loop ---

    def start(self, reserve=0.0, **tracked):
        """Begins training. tracked: modules, optimizers and Averages that checkpoints hold. reserve: seconds for the end."""
        self.tracked, self.reserve = tracked, reserve
        path = os.path.join(self.args.resume, "state.pt") if self.args.resume else ""
        if path and os.path.exists(path):
            self.load(path)
        self.loop = self.mark = self.saved = time.monotonic()
        self.saved_step, self.before = self.step, self.trained
        self.plan = self.args.total or self.before + self.args.seconds - (self.loop - self.began) - reserve

    def progress(self):
        """0 at the beginning, 1 at the end of the planned training, over all calls."""
        return min(1.0, self.step / self.args.steps if self.args.steps else self.trained / max(self.plan, 1e-6))

    def more(self):
        now = time.monotonic()
        self.trained = self.before + now - self.loop
        due = self.step - self.saved_step if self.args.steps else now - self.saved
        if due >= self.args.save_every:
            self.save()
        if self.args.steps:
            return self.step < self.args.steps
        return now - self.began < self.args.seconds - self.reserve and self.progress() < 1.0

    def rate(self, warmup=100, hold=0.5, floor=0.02):
        """The learning rate: linear warm-up, held, then a cosine down to floor times the top."""
        p = self.progress()
        fall = 1.0 if p < hold else floor + (1 - floor) * 0.5 * (1 + math.cos(math.pi * (p - hold) / (1 - hold)))
        return self.args.lr * fall * min(1.0, (self.step + 1) / warmup)

    def set_rate(self, optimizer, value):
        for group in optimizer.param_groups:
            group["lr"] = value

    def log(self, n_pictures, every=5.0, **losses):
        """Sums losses (tensors: no synchronisation until they are printed) and prints their means now and then."""
        self.step += 1
        self.seen += n_pictures
        for name, value in losses.items():
            total, n = self.sums.get(name, (0.0, 0))
            self.sums[name] = (total + (value.detach() if torch.is_tensor(value) else value), n + 1)
        now = time.monotonic()
        if now - self.mark >= every:
            means = {k: float(t) / n for k, (t, n) in self.sums.items()}
            if not all(math.isfinite(v) for v in means.values()):
                raise SystemExit(f"step {self.step}: a loss is not a number: {means}. The last checkpoint in {self.args.out} "
                                 "is from before; resume it with a smaller --lr")
            self.note(f"step {self.step} ({100 * self.progress():.0f} %), {self.seen / (time.monotonic() - self.mark):.0f} pictures/s, "
                      + ", ".join(f"{k} {v:.4f}" for k, v in means.items()))
            self.mark, self.sums, self.seen = time.monotonic(), {}, 0

    # --- checkpoints ---

    def save(self):
        state = {name: part.state_dict() for name, part in self.tracked.items()}
        state["run"] = dict(step=self.step, trained=self.trained, generator=self.generator.get_state())
        path = os.path.join(self.args.out, "state.pt")
        with open(path + ".tmp", "wb") as f:
            torch.save(state, f)
            f.flush()
            os.fsync(f.fileno())
        os.replace(path + ".tmp", path)
        self.saved, self.saved_step = time.monotonic(), self.step

    def load(self, path):
        state = torch.load(path, map_location=self.device, weights_only=True)
        for name, part in self.tracked.items():
            part.load_state_dict(state[name])
        self.step, self.trained = state["run"]["step"], state["run"]["trained"]
        self.generator.set_state(state["run"]["generator"].cpu())
        self.note(f"continuing {path} at step {self.step}, {self.trained:.0f} s of training")


class Average:
    """Exponential moving average of a module's parameters; early steps count less, so that it starts near the weights."""

    def __init__(self, module, decay):
        self.module, self.decay, self.n = module, decay, 0
        self.values = [p.detach().clone() for p in module.parameters()]

    @torch.no_grad()
    def update(self):
        self.n += 1
        d = min(self.decay, (1 + self.n) / (10 + self.n))
        torch._foreach_lerp_(self.values, [p.detach() for p in self.module.parameters()], 1 - d)

    @contextlib.contextmanager
    def applied(self):
        """The module has the averaged weights inside the with block, and its own again after it."""
        own = [p.detach().clone() for p in self.module.parameters()]
        self.copy(self.values)
        try:
            yield self.module
        finally:
            self.copy(own)

    @torch.no_grad()
    def copy(self, values):
        for p, v in zip(self.module.parameters(), values):
            p.copy_(v)

    def reset(self):
        self.n, self.values = 0, [p.detach().clone() for p in self.module.parameters()]

    def state_dict(self):
        return dict(n=self.n, values=self.values)

    def load_state_dict(self, state):
        self.n, self.values = state["n"], [v.to(p.device) for v, p in zip(state["values"], self.values)]


# --- exported models ------------------------------------------------------------------------------------------------

def export(folder, tensors, config, stem="diffusion_pytorch_model", dtype=torch.float16, note=None):
    """Writes a diffusers folder: config.json and safetensors files below 16 MiB, with an index where there are several.

    The old folder stays until the new one is whole. note: a dict for train.json (how it came about). dtype None: as they are.
    """
    tensors = {k: (v.detach().to("cpu", dtype) if dtype else v).contiguous() for k, v in sorted(tensors.items())}
    shards, room = [{}], SHARD_BYTES
    for name, value in tensors.items():
        size = value.numel() * value.element_size()
        if size > room and shards[-1]:
            shards.append({})
            room = SHARD_BYTES
        shards[-1][name] = value
        room -= size

    fresh, old = folder + ".new", folder + ".old"
    shutil.rmtree(fresh, ignore_errors=True)
    os.makedirs(fresh)
    names = [f"{stem}.safetensors" if len(shards) == 1 else f"{stem}-{i + 1:05d}-of-{len(shards):05d}.safetensors"
             for i in range(len(shards))]
    for name, shard in zip(names, shards):
        save_file(shard, os.path.join(fresh, name), metadata={"format": "pt"})
        os.chmod(os.path.join(fresh, name), 0o644)    # safetensors makes files only their owner can read
    if len(shards) > 1:
        total = sum(v.numel() * v.element_size() for v in tensors.values())
        index = dict(metadata=dict(total_size=total), weight_map={k: n for n, s in zip(names, shards) for k in s})
        write_json(os.path.join(fresh, f"{stem}.safetensors.index.json"), index)
    if config is not None:
        write_json(os.path.join(fresh, "config.json"), config)
    if note is not None:
        write_json(os.path.join(fresh, "train.json"), note)

    shutil.rmtree(old, ignore_errors=True)
    if os.path.isdir(folder):
        os.rename(folder, old)
    os.rename(fresh, folder)
    shutil.rmtree(old, ignore_errors=True)


def write_json(path, value):
    with open(path, "w", encoding="utf-8") as f:
        json.dump(value, f, indent=1)
        f.write("\n")


def read_folder(folder):
    """-> (config, tensors f32) of an exported folder; of the one before where a move was cut short."""
    if not os.path.isdir(folder) and os.path.isdir(folder + ".old"):
        folder += ".old"
    files = sorted(f for f in os.listdir(folder) if f.endswith(".safetensors")) if os.path.isdir(folder) else []
    if not files:
        raise SystemExit(f"{folder}: no .safetensors file in it; is it the folder a training script exported?")
    tensors = {}
    for name in files:
        tensors.update(load_file(os.path.join(folder, name)))
    scales = {k: tensors.pop(k) for k in list(tensors) if k.endswith(SCALE)}
    config = os.path.join(folder, "config.json")
    return (json.load(open(config, encoding="utf-8")) if os.path.exists(config) else None,
            {k: v.float() * scales[k + SCALE] if k + SCALE in scales else v.float() for k, v in tensors.items()})


def to_bytes(tensors):
    """Matrices and kernels as int8 with one f32 scale per output row; vectors stay. For travel only: read_folder() undoes it."""
    out = {}
    for name, value in tensors.items():
        if value.ndim < 2:
            out[name] = value.half()
            continue
        scale = value.abs().amax(tuple(range(1, value.ndim)), keepdim=True).clamp_min(1e-12) / 127
        out[name], out[name + SCALE] = (value / scale).round().to(torch.int8), scale
    return out


def load_model(kind, folder, device):
    """An exported model, f32, for inference."""
    config, tensors = read_folder(folder)
    model = kind(config)
    model.load_state_dict(tensors)
    return model.to(device).eval().requires_grad_(False)
