"""Flexible attention against PyTorch: ``python -m benchmarks --flex``.

One call of 8 heads of 1024 positions with 64 features, in one thread, without gradients: compiled
by rushlight, and by PyTorch eager and compiled. PyTorch compiles with the C++ compiler of the
machine. Training is against rushlight's eager mode, because PyTorch has no gradients of flexible
attention on processors.
"""

import importlib
import warnings
from functools import partial

import numpy as np

from benchmarks.operations import compared
from benchmarks.process import shown
from benchmarks.tables import head, line

__all__ = ["show"]

HEADS, LENGTH, FEATURES = 8, 1024, 64


def calls(torch, module):
    """name → a function of query, key and value."""
    flex = importlib.import_module(module)
    slopes = torch.tensor([2.0**-i for i in range(1, HEADS + 1)])
    table = torch.tensor(np.random.default_rng(0).standard_normal((HEADS, 2 * LENGTH), np.float32))
    document = torch.arange(LENGTH) // 300
    changes = {
        "ALiBi": lambda score, b, h, q, k: score + slopes[h] * (k - q),
        "table of relative positions": lambda score, b, h, q, k: score + table[h, q - k + LENGTH],
        "soft cap": lambda score, b, h, q, k: torch.tanh(score / 20) * 20,
    }
    masks = {
        "causal": lambda b, h, q, k: q >= k,
        "window of 128": lambda b, h, q, k: (q >= k) & (q - k < 128),
        "documents": lambda b, h, q, k: (document[q] == document[k]) & (q >= k),
    }
    made = lambda mask: flex.create_block_mask(mask, None, None, LENGTH, LENGTH, device="cpu")
    rules = {name: (change, None) for name, change in changes.items()}
    rules |= {name: (None, made(mask)) for name, mask in masks.items()}
    rules["causal, soft cap"] = changes["soft cap"], rules["causal"][1]
    return {
        name: lambda q, k, v, rule=rule: flex.flex_attention(q, k, v, *rule)
        for name, rule in rules.items()
    }


def show(only):
    """Print the times and ratios of the rules whose name contains ``only``."""
    import torch

    import rushlight

    warnings.simplefilter("ignore")
    rng = np.random.default_rng(1)
    arrays = [rng.standard_normal((1, HEADS, LENGTH, FEATURES), np.float32) for _ in range(3)]
    ours, theirs = [
        calls(t, f"{t.__name__}.nn.attention.flex_attention") for t in (rushlight, torch)
    ]
    head("flexible attention", "rushlight compiled", "PyTorch", "ratio", "torch.compile", "ratio",
         "training compiled", "eager", "ratio")  # fmt: skip
    for name in [n for n in ours if only in n]:
        compiled = rushlight.compile(ours[name])
        mine, others = [
            [framework.from_numpy(a) for a in arrays] for framework in (rushlight, torch)
        ]
        leaves = [x.clone().requires_grad_() for x in mine]
        with torch.no_grad():
            runs = [partial(call, *others) for call in (theirs[name], torch.compile(theirs[name]))]
            cells = [_cells(partial(compiled, *mine), run) for run in runs]
        step = lambda call, leaves: rushlight.autograd.grad(call(*leaves).sum(), leaves)
        training = _cells(partial(step, compiled, leaves), partial(step, ours[name], leaves))
        line(name, *cells[0], *cells[1][1:], *training)


def _cells(ours, theirs):
    """The two times and their ratio. PyTorch's compiler has no C++ for some rules."""
    try:
        theirs()
    except Exception as error:
        return "", type(error).__name__, ""
    ratio, *times = compared(ours, theirs)
    return *map(shown, times), f"{ratio:.2f}"
