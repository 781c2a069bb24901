"""Eager calls: each row sets up one piece of work under a framework with PyTorch's API.

In ``ROWS[name] = (setup, target)``, ``setup(torch)`` returns the function to time, and ``target``
is the ratio to PyTorch's time that rushlight should not exceed.
"""

import importlib

from benchmarks import large, steps


def small(expression, requires_grad=False):
    """One operation on 8×8 tensors.

    The result is dropped at once, or, for "add, kept", kept until the next result replaces it.
    """

    def setup(torch):
        torch.manual_seed(0)
        x = torch.randn(8, 8, requires_grad=requires_grad)
        y = torch.randn(8, 8, requires_grad=requires_grad)
        kept = [None]

        def keeping():
            kept[0] = x + y

        ways = {"add": lambda: x + y, "add, kept": keeping, "matmul": lambda: x @ y}
        return ways[expression]

    return setup


def chain(torch):
    """100 operations on 200 elements, forward and backward."""
    x = torch.ones(200, requires_grad=True)
    seed = torch.ones(200)

    def run():
        y = x
        for _ in range(50):
            y = y * 1.01
            y = y + 0.1
        y.backward(seed)
        x.grad = None

    return run


def training(row):
    """One training step of the table of steps."""

    def setup(torch):
        return steps.taking(*steps.stepping(*steps.parts(torch, row)))

    return setup


ROWS = {
    "add 8×8, no grad": (small("add"), 0.7),
    "add 8×8, taped": (small("add", True), 0.6),
    "add 8×8, taped, the result kept": (small("add, kept", True), 0.6),
    "matmul 8×8, no grad": (small("matmul"), 0.7),
    "matmul 8×8, taped": (small("matmul", True), 0.6),
    "chain of 100 operations on 200 elements, forward and backward": (chain, 0.8),
    "step 4-8-2, batch 1, SGD": (training("4-8-2, batch 1, SGD"), 0.35),
    "step 4-64-64-2, batch 32, Adam": (training("4-64-64-2, batch 32, Adam"), 0.35),
    "step 784-128-10, batch 64, Adam": (training("784-128-10, batch 64, Adam"), 1.5),
    "step MNIST CNN, batch 64, Adam": (training("MNIST CNN, batch 64, Adam"), 1.5),
    **large.ROWS,
}


def start(way, row):
    """The function to time for a row, under the framework whose module is called ``way``."""
    setup, _ = ROWS[row]
    return setup(importlib.import_module(way))
