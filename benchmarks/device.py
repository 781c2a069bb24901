"""Time a device against its memory and against PyTorch: ``python -m benchmarks.device``.

There are five tables: work that memory bandwidth limits, as a share of a copy; products of matrices
and convolutions; training steps, eager and compiled; the time of a small eager call; and the time
until the first result of a step. PyTorch is timed in the same process if it has the same type of
device. A time is the median of several blocks; each block waits for the device once, at its end.
"""

import argparse
import importlib
import os
import statistics
import subprocess
import sys
import tempfile
import time
import warnings

import rushlight
from benchmarks.steps import STEPS

#: Seconds of a block, and blocks of a row.
_BLOCK, _BLOCKS = 0.1, 5


def main():
    """Print the tables."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.device", description=__doc__.splitlines()[0]
    )
    parser.add_argument("--device", help="such as cuda or opencl (default: the best one)")
    parser.add_argument("--only", default="", help="only tables whose name contains this")
    parser.add_argument("--small", action="store_true", help="sizes for a device that is a CPU")
    parser.add_argument("--first", help=argparse.SUPPRESS)
    options = parser.parse_args()
    device = _device(options.device)
    if options.first:
        return first_step(options.first, device)
    warnings.simplefilter("ignore")
    p = getattr(rushlight, device.type).get_device_properties(device.index)
    print(f"{device}: {p.name}, {p.multi_processor_count} units, {p.total_memory / 2**30:.0f} GiB")
    ways = {"rushlight": rushlight, **_pytorch(device)}
    small = options.small or p.kind != "GPU"
    for table in (bandwidth, products, convolutions, training, calls, first_results):
        if options.only in table.__name__:
            print(f"\n{table.__doc__}")
            table(ways, device, small)
    print("\nComputed on the host:", getattr(rushlight, device.type).fallbacks() or "nothing")
    return 0


def _device(name):
    if name is None:
        found = rushlight.accelerator.current_accelerator()
        name = found or ("opencl" if rushlight.opencl.is_available() else None)
    if name is None:
        raise SystemExit("benchmarks: no device was found; see `rushlight devices`")
    return rushlight.zeros(1, device=name).device


def _pytorch(device):
    """PyTorch, if it is installed and has devices of this type."""
    try:
        torch = importlib.import_module("torch")
    except ImportError:
        print("PyTorch is not installed")
        return {}
    has = getattr(torch, device.type, None)
    if has is None or not has.is_available():
        print(f"PyTorch {torch.__version__} has no device of the type {device.type}")
        return {}
    return {"PyTorch": torch}


def seconds(torch, device, call):
    """The time of a call: the median of blocks."""
    wait = lambda: getattr(torch, device.type).synchronize()
    call()
    wait()
    start = time.perf_counter()
    call()
    wait()
    count = max(1, int(_BLOCK / max(time.perf_counter() - start, 1e-7)))
    found = []
    for _ in range(_BLOCKS):
        start = time.perf_counter()
        for _ in range(count):
            call()
        wait()
        found.append((time.perf_counter() - start) / count)
    return statistics.median(found)


def _row(name, times, told):
    """Print what ``told`` makes of each way's time, and the ratio of the times."""
    cells = [f"{way} {told(t)}" for way, t in times.items()]
    if "PyTorch" in times:
        cells.append(f"ratio {times['rushlight'] / times['PyTorch']:.2f}")
    print(f"  {name:32}", "   ".join(cells), flush=True)


# Tables -------------------------------------------------------------------------------------


def bandwidth(ways, device, small):
    """Share of a copy's bandwidth"""
    rows, columns = (512, 1024) if small else (8192, 4096)
    copies = {}
    for name, make, arrays in (
        ("copy", lambda t, x, y: lambda: x.clone(), 2),
        ("add", lambda t, x, y: lambda: x + y, 3),
        ("gelu", lambda t, x, y: lambda: t.nn.functional.gelu(x), 2),
        ("sum of all", lambda t, x, y: x.sum, 1),
        ("softmax of rows", lambda t, x, y: lambda: x.softmax(-1), 2),
        (
            "layer norm of rows",
            lambda t, x, y: lambda: t.nn.functional.layer_norm(x, x.shape[1:]),
            2,
        ),
        ("transposed copy", lambda t, x, y: lambda: x.t().contiguous(), 2),
        ("Adam, fused or compiled", _adam, 7),
    ):
        times = {}
        for way, t in ways.items():
            x, y = [t.randn(rows, columns, device=str(device)) for _ in range(2)]
            times[way] = seconds(t, device, make(t, x, y)) / arrays
            copies.setdefault(way, times[way])
        size = rows * columns * 4
        told = lambda s, n=size: f"{n / s / 1e9:7.1f} GB/s"
        _row(f"{name} ({copies['rushlight'] / times['rushlight']:.0%})", times, told)


def _layer_norm(torch, x, y):
    return lambda: torch.nn.functional.layer_norm(x, x.shape[1:])


def _adam(torch, x, y):
    x.requires_grad_()
    x.grad = y
    optimizer = torch.optim.Adam([x], fused=True if torch is not rushlight else None)
    return torch.compile(optimizer.step) if torch is rushlight else optimizer.step


def products(ways, device, small):
    """Products of square matrices"""
    for name in ("float32", "tf32", "bfloat16", "float16"):
        dtype = "float32" if name == "tf32" else name
        for n in (128, 256, 512) if small else (1024, 2048, 4096, 8192):
            times = {}
            for way, t in ways.items():
                t.set_float32_matmul_precision("high" if name == "tf32" else "highest")
                x, y = [t.randn(n, n, device=str(device)).to(getattr(t, dtype)) for _ in range(2)]
                times[way] = seconds(t, device, lambda x=x, y=y: x @ y)
                t.set_float32_matmul_precision("highest")
            _row(f"{name} {n}", times, lambda s, n=n: f"{2 * n**3 / s / 1e12:7.3f} TFLOPS")


def convolutions(ways, device, small):
    """Convolutions of 3×3, forward and backward: images, channels, size"""
    for name in ("float32", "tf32", "bfloat16"):
        for n, c, size in ((2, 16, 28),) if small else ((64, 64, 56), (64, 128, 28), (64, 256, 14)):
            times = {way: _convolution(t, device, name, n, c, size) for way, t in ways.items()}
            flops = 6 * n * c * c * 9 * size * size
            _row(f"{name} {n} {c} {size}", times, lambda s, f=flops: f"{f / s / 1e12:7.3f} TFLOPS")


def _convolution(torch, device, name, n, c, size):
    """The time of a convolution of ``n`` images of ``c`` channels, forward and backward."""
    dtype = getattr(torch, "float32" if name == "tf32" else name)
    x = torch.randn(n, c, size, size).to(str(device), dtype).requires_grad_()
    layer = torch.nn.Conv2d(c, c, 3, padding=1).to(str(device), dtype)
    before = torch.backends.cudnn.allow_tf32
    torch.backends.cudnn.allow_tf32 = name == "tf32"
    try:
        return seconds(torch, device, lambda: layer(x).sum().backward())
    finally:
        torch.backends.cudnn.allow_tf32 = before


def training(ways, device, small):
    """Training steps of benchmarks/steps.py"""
    for name in STEPS:
        for compiled in (False, True):
            times = {}
            for way, t in ways.items():
                options = {"mode": "reduce-overhead"} if t is not rushlight else {}
                step = made_step(t, name, device)
                run = t.compile(step, **options) if compiled else step
                times[way] = seconds(t, device, run)
            kind = "compiled" if compiled else "eager"
            _row(f"{name}, {kind}", times, lambda s: f"{1e6 * s:9.1f} µs")


def made_step(torch, name, device):
    """A step of ``STEPS`` on one batch, as a function without arguments."""
    made = STEPS[name]
    with torch.device(str(device)):
        model = made.model(torch)
        x, y = made.batch(torch)
        optimizer = made.optimizer(torch, model.parameters())
    model, x, y = model.to(str(device)), x.to(str(device)), y.to(str(device))

    def step():
        optimizer.zero_grad()
        with torch.device(str(device)):
            loss = torch.nn.functional.cross_entropy(model(x), y)
        loss.backward()
        optimizer.step()
        return loss

    return step


def calls(ways, device, small):
    """Small eager calls: the time that the host takes for each"""
    for name, make in (
        ("x * y of (32, 64)", lambda t, x, y: lambda: x * y),
        ("x.view", lambda t, x, y: lambda: x.view(64, 32)),
        ("x.sum()", lambda t, x, y: x.sum),
        ("x.mm(y.T), turned before", _product),
        ("x @ y.T", lambda t, x, y: lambda: x @ y.T),
        ("x.add_(y)", lambda t, x, y: lambda: x.add_(y)),
        ("x.add_(y, alpha=0.3)", lambda t, x, y: lambda: x.add_(y, alpha=0.3)),
        ("x * 0.3", lambda t, x, y: lambda: x * 0.3),
        ("backward of two linear layers", _backward),
    ):
        times = {}
        for way, t in ways.items():
            x, y = [t.randn(32, 64, device=str(device)) for _ in range(2)]
            times[way] = seconds(t, device, make(t, x, y))
        _row(name, times, lambda s: f"{1e6 * s:7.1f} µs")


def _product(torch, x, y):
    turned = y.T.contiguous()
    return lambda: x.mm(turned)


def _backward(torch, x, y):
    """The backward of a small network, whose gradients are added to those before."""
    nn, n = torch.nn, x.shape[1]
    model = nn.Sequential(nn.Linear(n, n), nn.ReLU(), nn.Linear(n, n)).to(x.device)
    loss = model(x).sum()
    return lambda: loss.backward(retain_graph=True)


def first_results(ways, device, small):
    """A new process until the first result of a step, with an empty cache and then with its own"""
    with tempfile.TemporaryDirectory() as folder:
        environment = {**os.environ, "RUSHLIGHT_CACHE_DIR": folder}
        for name in STEPS:
            found = []
            for _ in range(2):
                start = time.perf_counter()
                command = [sys.executable, "-m", "benchmarks.device", "--device", str(device)]
                subprocess.run([*command, "--first", name], env=environment, check=True)
                found.append(time.perf_counter() - start)
            print(f"  {name:32} {found[0]:.2f} s, then {found[1]:.2f} s", flush=True)


def first_step(name, device):
    """Take one compiled step, which the parent times."""
    warnings.simplefilter("ignore")
    rushlight.compile(made_step(rushlight, name, device))().item()
    return 0


if __name__ == "__main__":
    sys.exit(main())
