"""Work that memory limits, on 10 million float32 numbers, against the bandwidth of a plain copy.

In ``KERNELS[name] = Kernel(passes, torch, jax)``, ``passes`` is how many arrays cross the memory
bus in all, and ``torch`` and ``jax`` are functions that set up the work. Adam has 7 passes, because
it reads four arrays and writes three.
"""

import importlib
import os
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any, NamedTuple

ROWS, COLUMNS = 10_000, 1_000
BYTES = 4 * ROWS * COLUMNS
AIM = 0.8  # the target, as a share of the bandwidth of a copy
WAYS = ("copy", "rushlight", "compiled", "PyTorch", "torch.compile", "JAX jit")


class Kernel(NamedTuple):
    """One row of the table."""

    passes: int
    torch: Any  # (torch, compile) → the function to time
    jax: Any  # (jax) → the function to time


def pointwise(function):
    """Return a setup that times ``function`` of two matrices, without a gradient."""

    def setup(torch, compile):
        x, y = torch.randn(ROWS, COLUMNS), torch.randn(ROWS, COLUMNS)
        run = compile(lambda x, y: function(torch, x, y))
        return lambda: run(x, y)

    return setup


def jitted(function):
    """Return a setup that times ``function`` of two matrices in JAX, under ``jit``."""

    def setup(jax):
        import numpy as np

        random = np.random.default_rng(0)
        x, y = (jax.numpy.asarray(random.random((ROWS, COLUMNS), np.float32)) for _ in range(2))
        run = jax.jit(lambda x, y: function(jax, x, y))
        return lambda: run(x, y)

    return setup


def layer_norm(jax, x, _):
    x = x - x.mean(-1, keepdims=True)
    return x * jax.lax.rsqrt((x * x).mean(-1, keepdims=True) + 1e-5)


def adam(torch, compile):
    """An Adam step on ten parameters of a million elements each; the gradients are given."""
    parameters = [torch.randn(1_000, 1_000).requires_grad_() for _ in range(10)]
    optimizer = torch.optim.Adam(parameters)
    for p in parameters:
        p.grad = torch.randn(1_000, 1_000)
    return compile(lambda: optimizer.step())


def jax_adam(jax):
    from benchmarks.jax_steps import adam, normal

    parameters, g = ([normal(1_000, 1_000) for _ in range(10)] for _ in range(2))
    state, update = adam(parameters)
    step = jax.jit(update, donate_argnums=(0, 2))

    def run():
        nonlocal parameters, state
        parameters, state = step(parameters, g, state)
        return parameters[-1]

    return run


KERNELS = {
    "add": Kernel(3, pointwise(lambda _, x, y: x + y), jitted(lambda _, x, y: x + y)),
    "gelu": Kernel(
        2,
        pointwise(lambda torch, x, _: torch.nn.functional.gelu(x)),
        jitted(lambda jax, x, _: jax.nn.gelu(x, approximate=False)),
    ),
    "softmax": Kernel(
        2,
        pointwise(lambda torch, x, _: torch.nn.functional.softmax(x, -1)),
        jitted(lambda jax, x, _: jax.nn.softmax(x)),
    ),
    "layer norm": Kernel(
        2,
        pointwise(lambda torch, x, _: torch.nn.functional.layer_norm(x, x.shape[-1:])),
        jitted(layer_norm),
    ),
    "Adam": Kernel(7, adam, jax_adam),
}


def copying():
    """A copy of one matrix by one thread or by one for each core, whichever is faster."""
    import numpy as np

    source, target = np.ones(ROWS * COLUMNS, np.float32), np.zeros(ROWS * COLUMNS, np.float32)

    def by(count):
        pairs = [*zip(np.array_split(target, count), np.array_split(source, count), strict=True)]
        pool = ThreadPoolExecutor(count)
        return lambda: [*pool.map(lambda pair: np.copyto(*pair), pairs)]

    def taken(run):
        run()
        start = time.perf_counter()
        for _ in range(5):
            run()
        return time.perf_counter() - start

    return min((by(count) for count in {1, os.cpu_count() or 1}), key=taken)


def start(way, row):
    """The function to time for a row, under the framework or compiler ``way``."""
    if way == "copy":
        return copying()
    kernel = KERNELS[row]
    if way == "JAX jit":
        return kernel.jax(importlib.import_module("jax"))
    torch = importlib.import_module("torch" if "orch" in way else "rushlight")
    eager = way in ("rushlight", "PyTorch")
    return kernel.torch(torch, (lambda f: f) if eager else torch.compile)


def bandwidth(way, row, seconds):
    """Bytes per second of a call that took ``seconds``. A copy reads once and writes once."""
    return (2 if way == "copy" else KERNELS[row].passes) * BYTES / seconds
