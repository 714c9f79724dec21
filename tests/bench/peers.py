"""Times one full-size SD 1.5 UNet step at 512x512 against PyTorch and OpenVINO: same weights, size, precision and threads.

Usage: python peers.py --ours BENCH_UNET [--model FOLDER] [--rounds 5] [--threads 2] [--precision f32 bf16] [--no-compile]

BENCH_UNET is our bench-unet program; FOLDER a diffusers folder, by default the random
checkpoint that bench-unet makes. Each contender is a process of its own that
loads once and then makes one step for every line it reads; the contenders take turns, so that a machine whose speed drifts is fair to
all. PyTorch runs eager with channels-last weights and through torch.compile: the faster one counts. OpenVINO gets static shapes.
Batch 1, no guidance: the same work for all. SPDX-License-Identifier: LGPL-3.0-or-later
"""
import argparse, os, statistics, subprocess, sys, threading, time

SHAPE, CONTEXT, TIMESTEP = (1, 4, 64, 64), (1, 77, 768), 499


def unet(model):
    import torch
    from diffusers import UNet2DConditionModel
    return UNet2DConditionModel.from_pretrained(model, subfolder="unet", torch_dtype=torch.float32).eval()


def inputs():
    import torch
    g = torch.Generator().manual_seed(0)
    return torch.randn(SHAPE, generator=g), torch.tensor(TIMESTEP), torch.randn(CONTEXT, generator=g)


def worker_torch(args, compiled):
    import torch
    torch.set_num_threads(args.threads)
    dtype = torch.bfloat16 if args.precision[0] == "bf16" else torch.float32
    net = unet(args.model).to(dtype).to(memory_format=torch.channels_last)
    x, t, c = inputs()
    x, c = x.to(dtype).to(memory_format=torch.channels_last), c.to(dtype)
    call = torch.compile(net) if compiled else net

    def step():
        with torch.inference_mode():
            return call(x, t, c, return_dict=False)[0]
    return step


def worker_openvino(args):
    import numpy as np, openvino as ov, torch

    class Net(torch.nn.Module):
        def __init__(self, net):
            super().__init__()
            self.net = net

        def forward(self, x, t, c):
            return self.net(x, t, c, return_dict=False)[0]

    x, t, c = inputs()
    with torch.inference_mode():
        ir = ov.convert_model(Net(unet(args.model)), example_input=(x, t, c), input=[SHAPE, [], CONTEXT])
    core = ov.Core()
    compiled = core.compile_model(ir, "CPU", {
        "INFERENCE_PRECISION_HINT": args.precision[0], "INFERENCE_NUM_THREADS": args.threads,
        "PERFORMANCE_HINT": "LATENCY", "NUM_STREAMS": 1})
    request = compiled.create_infer_request()
    feeds = [x.numpy(), np.array(TIMESTEP, dtype=np.int64), c.numpy()]
    return lambda: request.infer(feeds)


def serve(args):
    serve_steps({"pytorch-eager": lambda: worker_torch(args, False), "pytorch-compiled": lambda: worker_torch(args, True),
                 "openvino": lambda: worker_openvino(args)}[args.worker]())


def serve_steps(step, warm_ups=1):
    for _ in range(warm_ups):
        step()
    print("ready", flush=True)
    for _ in sys.stdin:
        t0 = time.perf_counter()
        step()
        print("%.6f" % (time.perf_counter() - t0), flush=True)


class Contender:
    def __init__(self, name, command, env, end=None):
        """end: the moment of time.monotonic() at which it is stopped, whatever it does"""
        if name == "flashbrush":
            env = dict(env, GOMP_SPINCOUNT="1000")    # as the engine sets it
        self.name, self.times, self.end = name, [], end
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=env)

    def answer(self):
        timer = threading.Timer(max(0, self.end - time.monotonic()), self.process.kill) if self.end is not None else None
        if timer is not None:
            timer.start()
        try:
            return self.read()
        finally:
            if timer is not None:
                timer.cancel()

    def read(self):
        for line in self.process.stdout:
            word = line.strip()
            if word == "ready":
                return None
            try:
                return float(word)
            except ValueError:
                continue                         # a library's chatter
        raise RuntimeError(f"{self.name} " + ("had no time left" if self.end is not None and time.monotonic() >= self.end else "stopped"))

    def ask(self, word):
        self.process.stdin.write(word + "\n")
        self.process.stdin.flush()
        return self.answer()

    def step(self):
        return self.ask("step")

    def close(self):
        try:
            self.process.stdin.close()
        except BrokenPipeError:
            pass                                 # it has stopped already
        self.process.wait()


def take_turns(contenders, rounds):
    for round_ in range(rounds + 1):
        for c in contenders:
            seconds = c.step()
            if round_ > 0:                       # the first round warms caches
                c.times.append(seconds)


def compare(args, precision):
    env = dict(os.environ, OMP_NUM_THREADS=str(args.threads), HF_HUB_OFFLINE="1")
    me = [sys.executable, os.path.abspath(__file__), "--model", args.model, "--threads", str(args.threads), "--precision", precision]
    commands = {"flashbrush": [args.ours, "--serve", precision, "--threads", str(args.threads), "--model", args.model],
                "pytorch-eager": me + ["--worker", "pytorch-eager"],
                "openvino": me + ["--worker", "openvino"]}
    if not args.no_compile:
        commands["pytorch-compiled"] = me + ["--worker", "pytorch-compiled"]
    contenders = []
    for name, command in commands.items():
        contender = Contender(name, command, env)
        try:
            contender.answer()
        except RuntimeError as error:
            print(f"peers: {error} while loading in {precision}; left out", file=sys.stderr)
            continue
        contenders.append(contender)
    take_turns(contenders, args.rounds)
    for c in contenders:
        c.close()
    return {c.name: statistics.median(c.times) for c in contenders}


def main():
    p = argparse.ArgumentParser()
    p.add_argument("--ours")
    p.add_argument("--model")
    p.add_argument("--rounds", type=int, default=5)
    p.add_argument("--threads", type=int, default=2)
    p.add_argument("--precision", nargs="+", default=["f32", "bf16"])
    p.add_argument("--no-compile", action="store_true")
    p.add_argument("--worker")
    args = p.parse_args()
    if args.worker:
        return serve(args)
    if not args.model:
        args.model = subprocess.run([args.ours, "--make-model"], check=True, stdout=subprocess.PIPE, text=True).stdout.strip()

    ratios = {"pytorch": [], "openvino": []}
    print("| precision | contender | median step, s | its time / ours |\n| --- | --- | --- | --- |")
    for precision in args.precision:
        medians = compare(args, precision)
        ours = medians["flashbrush"]
        for name, seconds in medians.items():
            print(f"| {precision} | {name} | {seconds:.2f} | {seconds / ours:.2f} |")
        torch_best = min((s for n, s in medians.items() if n.startswith("pytorch")), default=None)
        if torch_best is not None:
            ratios["pytorch"].append(torch_best / ours)
        if "openvino" in medians:
            ratios["openvino"].append(medians["openvino"] / ours)
    for name, values in ratios.items():
        if len(values) == len(args.precision):
            print(f"BENCH unet_step_speed_vs_{name} {min(values):.3f} x")


if __name__ == "__main__":
    main()
