"""Time steps of networks of libraries in their steady state, on rushlight and on PyTorch.

    python tools/libraries/steady.py FOLDER [--rounds N] [--only TEXT]

FOLDER is where environments are made, or were made by an earlier run: ``FOLDER/steady/rushlight``
and ``FOLDER/steady/pytorch``. Both run each row with the same seed on one thread, in blocks that
take turns. A ratio is the median of the ratios of neighbouring blocks; below 1, rushlight takes
less. Needs: pip, and a network that reaches PyPI.
"""

import argparse
import contextlib
import json
import statistics
import subprocess
import sys
import time
from pathlib import Path

ROWS = {}  # name -> (packages, a function of torch that returns the step)
WARM_UP, MOST_CALLS = 6.0, 2000  # untimed calls: seconds, and at most how many
BLOCK = 0.3  # seconds that a block takes at least


def row(name, *packages):
    """Add the function below to ``ROWS``."""
    return lambda make: ROWS.setdefault(name, (packages, make)) and make


def training(torch, model, *inputs):
    """A step that trains ``model`` by SGD towards zero."""
    optimizer = torch.optim.SGD(model.parameters(), lr=1e-4)

    def step():
        optimizer.zero_grad()
        loss = model(*inputs).square().mean()
        loss.backward()
        optimizer.step()
        return loss.item()

    return step


@row("MONAI's tiny U-Net, training", "monai")
def monai(torch):
    from monai.networks.nets import UNet

    model = UNet(
        spatial_dims=2, in_channels=1, out_channels=2, channels=(8, 16, 32), strides=(2, 2)
    )
    return training(torch, model, torch.randn(2, 1, 64, 64))


@row("neuraloperator's FNO, training", "neuraloperator")
def neuraloperator(torch):
    from neuralop.models import FNO

    model = FNO(n_modes=(8, 8), hidden_channels=16, in_channels=1, out_channels=1, n_layers=2)
    return training(torch, model, torch.randn(4, 1, 32, 32))


@row("diffusers' U-Net, a denoising step", "diffusers")
def diffusers(torch):
    from diffusers import UNet2DModel

    model = UNet2DModel(
        sample_size=32, in_channels=3, out_channels=3, layers_per_block=1,
        block_out_channels=(32, 64), norm_num_groups=8,
        down_block_types=("DownBlock2D", "AttnDownBlock2D"),
        up_block_types=("AttnUpBlock2D", "UpBlock2D"),
    ).eval()  # fmt: skip
    x, at = torch.randn(1, 3, 32, 32), torch.tensor([5])

    def step():
        with torch.no_grad():
            return model(x, at).sample.sum().item()

    return step


@row("kornia: blur, edges, warp", "kornia")
def kornia(torch):
    from kornia import filters, geometry

    x, angle = torch.rand(2, 3, 64, 64), torch.tensor([10.0, -20.0])

    def step():
        y = filters.gaussian_blur2d(x, (5, 5), (1.5, 1.5))
        return geometry.transform.rotate(filters.sobel(y), angle).sum().item()

    return step


@row("nflows: a spline flow, training", "nflows")
def nflows(torch):
    from nflows import distributions, flows, transforms

    def layer():
        return transforms.MaskedPiecewiseRationalQuadraticAutoregressiveTransform(
            features=2, hidden_features=16, num_bins=8, tails="linear", tail_bound=3.0
        )

    flow = flows.Flow(
        transforms.CompositeTransform([layer(), transforms.ReversePermutation(2), layer()]),
        distributions.StandardNormal([2]),
    )
    optimizer, x = torch.optim.Adam(flow.parameters(), lr=1e-4), torch.randn(128, 2)

    def step():
        optimizer.zero_grad()
        loss = -flow.log_prob(x).mean()
        loss.backward()
        optimizer.step()
        return loss.item()

    return step


@row("torch_geometric: two GCN layers, training", "torch_geometric")
def geometric(torch):
    from torch_geometric.nn import GCN

    model = GCN(16, 32, 2, 4)
    return training(torch, model, torch.randn(200, 16), torch.randint(200, (2, 1000)))


@row("timm's MobileNetV3, inference", "timm")
def mobilenet(torch):
    import timm

    return inference(torch, timm.create_model("mobilenetv3_small_050").eval())


@row("ResNet-18, inference", "timm")
def resnet(torch):
    import timm

    return inference(torch, timm.create_model("resnet18").eval())


@row("ResNet-18, training", "timm")
def resnet_training(torch):
    import timm

    return training(torch, timm.create_model("resnet18"), torch.randn(4, 3, 64, 64))


@row("ultralytics' YOLO11n, inference", "ultralytics")
def yolo(torch):
    from ultralytics import YOLO

    model, x = YOLO("yolo11n.yaml").model.eval(), torch.rand(1, 3, 160, 160)

    def step():
        with torch.no_grad():
            return model(x)[0].sum().item()

    return step


def inference(torch, model):
    x = torch.randn(1, 3, 128, 128)

    def step():
        with torch.no_grad():
            return model(x).sum().item()

    return step


@row("Pyro's SVI of a regression", "pyro-ppl")
def pyro(torch):
    import pyro
    from pyro import distributions as dist
    from pyro.infer import SVI, Trace_ELBO
    from pyro.infer.autoguide import AutoNormal

    x = torch.randn(50, 3)
    y = x.sum(1)

    def model():
        w = pyro.sample("w", dist.Normal(torch.zeros(3), 1.0).to_event(1))
        with pyro.plate("data", 50):
            pyro.sample("y", dist.Normal(x @ w, 0.5), obs=y)

    svi = SVI(model, AutoNormal(model), pyro.optim.Adam({"lr": 1e-3}), Trace_ELBO())
    return svi.step


@row("transformers: a small GPT-2 writes 20 tokens", "transformers")
def gpt2(torch):
    from transformers import GPT2Config, GPT2LMHeadModel

    config = GPT2Config(n_layer=4, n_head=4, n_embd=128, vocab_size=1000, n_positions=128)
    model, ids = GPT2LMHeadModel(config).eval(), torch.randint(1000, (1, 8))
    return lambda: (
        model.generate(ids, max_new_tokens=20, min_new_tokens=20, do_sample=False, pad_token_id=0)
        .sum()
        .item()
    )


# The process of one row -----------------------------------------------------------------------


def serve(name):
    """Answer each line of stdin with the seconds of a call, averaged over a block."""
    import torch

    torch.set_num_threads(1)
    torch.manual_seed(0)
    with contextlib.redirect_stdout(sys.stderr):  # some libraries greet
        step = ROWS[name][1](torch)
        first, end = step(), time.perf_counter() + WARM_UP
    for _ in range(MOST_CALLS):
        if time.perf_counter() > end:
            break
        step()
    print(json.dumps(first), flush=True)
    for _ in sys.stdin:
        calls, began = 0, time.thread_time()
        while (taken := time.thread_time() - began) < BLOCK:
            step()
            calls += 1
        print(json.dumps(taken / calls), flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--only", default="", help="rows whose name contains this")
    options = parser.parse_args()
    pythons = environments(options.folder)
    print("| step | rushlight | PyTorch | ratio |\n| --- | --- | --- | --- |")
    for name in ROWS:
        if options.only in name:
            show(name, pythons, options.rounds)


def environments(folder):
    """The Python of each environment, with the libraries of all rows."""
    from run import ROOT, Environment

    sys.path.append(str(ROOT))  # for the benchmarks
    requires = sorted({name for packages, _ in ROWS.values() for name in packages})
    found = []
    for torch in ("rushlight", "pytorch"):
        made = Environment(folder, "steady", torch)
        if not made.python.exists():
            made.make([argparse.Namespace(requires=requires)])
        found.append(made.python)
    return found


def show(name, pythons, rounds):
    """Print the row ``name`` of the table."""
    from benchmarks.process import ENVIRONMENT, median_ratio, shown

    command, pipe = [Path(__file__).resolve(), "--serve", name], subprocess.PIPE
    workers = [
        subprocess.Popen([python, *command], stdin=pipe, stdout=pipe, text=True, env=ENVIRONMENT)
        for python in pythons
    ]
    firsts = [float(w.stdout.readline()) for w in workers]
    times = []
    for _ in range(rounds):
        for w in workers:
            w.stdin.write("\n")
            w.stdin.flush()
            times.append(float(w.stdout.readline()))
    for w in workers:
        w.stdin.close()
        w.wait()
    ours, theirs = times[::2], times[1::2]
    differ = "" if abs(firsts[0] - firsts[1]) <= 1e-3 * (1 + abs(firsts[1])) else f" ({firsts})"
    cells = [shown(statistics.median(t)) for t in (ours, theirs)]
    ratio = median_ratio(ours, theirs)
    print(f"| {name}{differ} | {' | '.join(cells)} | {ratio:.2f} |", flush=True)


if __name__ == "__main__":
    if sys.argv[1:2] == ["--serve"]:
        serve(sys.argv[2])
    else:
        main()
