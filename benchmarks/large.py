"""Large eager calls: rows of the benchmark against PyTorch, and a grid of kernels against NumPy.

``python -m benchmarks.large [--only TEXT]`` times each call with the compiler's kernels and without
them, in turns, around the sizes from which on they are used (``rushlight/backend/native.py``): the
ratio must not be above 1 where a kernel is used.
"""

import argparse
import time

__all__ = ["CALLS", "ROWS"]


def elements(name, functional=False):
    """A function of ``n`` numbers."""

    def call(torch, n):
        function = getattr(torch.nn.functional if functional else torch, name)
        return function, [torch.rand(n) * 5 + 1 if name == "acosh" else torch.randn(n) * 2]

    return call


def rows(function, width):
    """A function of a matrix of about ``n`` numbers and of two vectors as long as its rows."""

    def call(torch, n):
        given = torch.randn(max(n // width, 2), width), torch.rand(width), torch.randn(width)
        return lambda x, w, b: function(torch, x, w, b), given

    return call


def images(function, channels, size, *kernel):
    """A function of images (of about ``n`` numbers in all), of weights and of a vector.

    The weights are of shape ``kernel``, or else one for each channel, as is the vector.
    """

    def call(torch, n):
        shape = max(n // (channels * size * size), 1), channels, size, size
        given = torch.randn(shape), torch.randn(kernel or (channels,)), torch.randn(channels)
        return lambda x, w, b: function(torch, x, w, b), given

    return call


def slope(call):
    """Turn ``call`` into the forward computation and the gradient of its first argument."""

    def sloped(torch, n):
        function, (x, *rest) = call(torch, n)
        x.requires_grad_()
        g = torch.rand(function(x, *rest).shape)

        def run(x, *rest):
            return torch.autograd.grad(function(x, *rest), x, g)[0]

        return run, [x, *rest]

    return sloped


def filled(name, *bounds):
    """An in-place draw of ``n`` random numbers."""

    def call(torch, n):
        return lambda x: getattr(x, name)(*bounds), [torch.empty(n)]

    return call


def added(rows, width):
    """About ``n`` numbers, added at random rows of a table."""

    def call(torch, n):
        table, count = torch.zeros(rows, width), max(n // width, 1)
        given = torch.randn(count, width), torch.randint(rows, (count,))
        return lambda x, at: table.index_add_(0, at, x), given

    return call


def optimizer(name, **options):
    """A step of an optimizer on one parameter of ``n`` numbers."""

    def call(torch, n):
        p = torch.randn(n).requires_grad_()
        p.grad = torch.randn(n)
        made = getattr(torch.optim, name)([p], lr=1e-3, **options)
        return lambda: (made.step(), p)[1], []

    return call


def _entropy(torch, x, w, b):
    target = torch.arange(len(x)) % x.shape[1]
    return torch.nn.functional.cross_entropy(x, target)


def _norm(torch, x, w, b):
    return torch.nn.functional.layer_norm(x, w.shape, w, b)


def _batch(torch, x, w, b):
    return torch.nn.functional.batch_norm(x, None, None, w, b, True)


def _conv(groups):
    return lambda torch, x, w, b: torch.nn.functional.conv2d(x, w, padding=1, groups=groups)


def _pool(torch, x, w, b):
    return torch.nn.functional.max_pool2d(x, 2)


_PUBLIC = ("acosh", "erf", "exp", "sigmoid")
_FUNCTIONAL = (
    "elu", "gelu", "hardshrink", "hardsigmoid", "hardswish", "leaky_relu", "logsigmoid", "mish",
    "silu", "softplus", "softshrink",
)  # fmt: skip
_FORWARD = {
    **{n: elements(n) for n in _PUBLIC},
    **{n: elements(n, True) for n in _FUNCTIONAL},
    "softmax, 128 wide": rows(lambda torch, x, w, b: x.softmax(1), 128),
    "log_softmax, 1000 wide": rows(lambda torch, x, w, b: x.log_softmax(1), 1000),
    "cross_entropy, 128 classes": rows(_entropy, 128),
    "layer_norm, 128 wide": rows(_norm, 128),
    "layer_norm, 1024 wide": rows(_norm, 1024),
    "batch_norm, 32×28×28": images(_batch, 32, 28),
    "max_pool2d, 32×28×28": images(_pool, 32, 28),
    "conv2d 3×3, 32×14×14 to 32": images(_conv(1), 32, 14, 32, 32, 3, 3),
    "conv2d 3×3 depthwise, 64×28×28": images(_conv(64), 64, 28, 64, 1, 3, 3),
}
#: ``CALLS[name](torch, n)`` returns (function, arguments) for work on about ``n`` numbers.
CALLS = {
    **_FORWARD,
    **{f"{n}, with gradient": slope(call) for n, call in _FORWARD.items()},
    "conv2d 3×3, 512×2×2 to 512": images(_conv(1), 512, 2, 512, 512, 3, 3),
    "index_add, 768 wide": added(50257, 768),
    "sum": elements("sum"),
    "sum, 1000 wide": rows(lambda torch, x, w, b: x.sum(1), 1000),
    "amax, 10 wide": rows(lambda torch, x, w, b: x.amax(1), 10),
    "var": elements("var"),
    "var, 64 wide": rows(lambda torch, x, w, b: x.var(1), 64),
    "uniform_": filled("uniform_", -0.5, 0.5),
    "normal_": filled("normal_"),
    "bernoulli_": filled("bernoulli_", 0.3),
    "SGD": optimizer("SGD"),
    "SGD with momentum": optimizer("SGD", momentum=0.9),
    "Adam": optimizer("Adam"),
}


def row(name, n):
    """A row of the table of eager calls: a call on about ``n`` numbers."""

    def setup(torch):
        torch.manual_seed(0)
        function, given = CALLS[name](torch, n)
        return lambda: function(*given)

    return setup


_SHOWN = (
    "gelu", "silu, with gradient", "softmax, 128 wide", "cross_entropy, 128 classes, with gradient",
    "layer_norm, 1024 wide", "layer_norm, 1024 wide, with gradient",
    "batch_norm, 32×28×28, with gradient", "max_pool2d, 32×28×28, with gradient",
    "conv2d 3×3, 32×14×14 to 32, with gradient", "conv2d 3×3 depthwise, 64×28×28, with gradient",
    "sum", "sum, 1000 wide", "var, 64 wide", "uniform_", "normal_", "bernoulli_", "SGD", "Adam",
)  # fmt: skip
ROWS = {f"{name}, {1 << 20:,} numbers": (row(name, 1 << 20), 1.0) for name in _SHOWN}


# Against NumPy ----------------------------------------------------------------------------


def fastest(function, given, turns=9, spent=0.004):
    """Return the least seconds of one call (with kernels, with NumPy); the two take turns."""
    from rushlight.backend import native

    least = {}
    for turn in range(turns + 1):
        for way in ("native", "numpy"):
            native.COMPILER = way
            count, began = 0, time.perf_counter()
            while time.perf_counter() - began < spent or not count:
                function(*given)
                count += 1
            took = (time.perf_counter() - began) / count
            if turn:  # the first turn is not counted: it warms up and compiles
                least[way] = min(took, least.get(way, took))
    return least["native"], least["numpy"]


def main():
    """Print the grid."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.large", description=__doc__)
    parser.add_argument("--only", default="", help="only calls whose name contains this")
    only = parser.parse_args().only
    import rushlight as torch

    sizes = [1 << k for k in range(14, 22)]
    print(f"{'kernel / NumPy':48}", *[f"{n:>9,}" for n in sizes])
    for name, call in CALLS.items():
        if only not in name:
            continue
        ratios = []
        for n in sizes:
            native, numpy = fastest(*call(torch, n))
            ratios.append(f"{native / numpy:9.2f}")
        print(f"{name:48}", *ratios, flush=True)


if __name__ == "__main__":
    main()
