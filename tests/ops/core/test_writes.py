"""What an operation saves decides what may be written before backward: the same as in PyTorch."""

import numpy as np
import pytest

import rushlight as torch
from tests import conformance as c
from tests.daily import daily, drawn
from tests.golden import writes as golden
from tests.ops.writes import cases, outcome
from tests.samples import SAMPLES

#: Cases that differ on purpose, by the beginning of their keys; ``docs/differences.md`` has them.
DIFFERENT = (
    "H/result",  # a conjugate has memory of its own and refuses writes
    "mH/result",
    "kron/input",  # PyTorch's gradient is that of the new values
    "kron-2/input", "kron-3/input", "kron-4/input", "kron-5/input",
    "matmul-10/input",  # PyTorch copies operands whose batches do not lie as those of one dim
    "sparse_product/input/1", "sparse_sampled_product/input",  # PyTorch's side is a stand-in
    "lstm/input/5", "lstm/input/6", "lstm/result/0",  # another library computes it for PyTorch
)  # fmt: skip


@pytest.mark.parametrize("part", daily(range(4), 1, "writes"))
def test_writes_are_refused_where_pytorch_refuses_them(part):
    recorded = golden.load()
    wrong = []
    for key, *case in cases(part, 4):
        got = outcome(torch, *case)
        if got != recorded[key] and not key.startswith(DIFFERENT):
            wrong.append(f"{key}: {'taken' if got else 'refused'}")
    assert not wrong, "\n".join([f"{len(wrong)} otherwise than in PyTorch:", *wrong[:40]])


def test_every_difference_is_one():
    recorded = golden.load()
    found = {key for key, *case in cases() if key.startswith(DIFFERENT)
             and outcome(torch, *case) != recorded[key]}  # fmt: skip
    assert all(any(key.startswith(d) for key in found) for d in DIFFERENT)


@pytest.mark.parity
@pytest.mark.slow
def test_the_record_is_pytorchs():
    peer = pytest.importorskip("torch")
    recorded = golden.load()
    wrong = [key for key, *case in cases() if outcome(peer, *case) != recorded[key]]
    assert not wrong


# Second order: writes between the gradient and the gradient of the gradient -----------------


def again(sample, written=None):
    """The second-order gradients of ``sample``, and how many tensors it takes and gives.

    ``written``: the number of one of these tensors, which is written before the second order. The
    gradients are None where this is refused, and where there is no second order.
    """
    given = c.tensors(torch, sample, requires_grad=True)
    operands = [t.clone() for t in given]
    torch.manual_seed(0)
    outs = [o for o in c.flat(sample.call(torch, *operands)) if isinstance(o, torch.Tensor)]
    count = len(operands) + len(outs)
    roots = [o.sum() for o in outs if o.requires_grad and not o.is_complex()]
    wanted = [t for t in operands if t.requires_grad]
    if not roots:
        return None, count
    slopes = torch.autograd.grad(roots, wanted, allow_unused=True, create_graph=True)
    totals = [g.abs().pow(2).sum() for g in slopes if g is not None and g.requires_grad]
    if not totals:
        return None, count
    try:
        if written is not None:
            x = (operands + outs)[written]
            x.mul_(2) if x.is_floating_point() or x.is_complex() else x.zero_()
        leaves = [t for t in given if t.requires_grad]
        found = torch.autograd.grad(totals, leaves, allow_unused=True)
    except RuntimeError:
        return None, count
    return [None if g is None else c.array(g) for g in found], count


_SAMPLES = [s for s in SAMPLES.values() if s.second]
_TODAY = drawn(_SAMPLES, len(_SAMPLES) // 24, "second order")


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("day", [True, pytest.param(False, marks=pytest.mark.slow)])
def test_the_second_order_is_that_of_the_values_before_a_write_or_refused(day):
    wrong = []
    for i, sample in enumerate(_SAMPLES):
        before, count = again(sample) if (i in _TODAY) is day else (None, 0)
        for k in range(count if before is not None else 0):
            found, _ = again(sample, k)
            for g, h in zip(found or (), before, strict=False):
                if (g is None) != (h is None) or (
                    g is not None and not np.allclose(g, h, 1e-4, 1e-4, equal_nan=True)
                ):
                    wrong.append(f"{sample.name}, tensor {k}")
    assert wrong == []


REFUSED = ("sin", "cos", "log", "atan", "erf", "sinh", "lgamma", "sinc", "prod")
#: Their gradients need the result only, or as that of ``square`` nothing. (PyTorch refuses that.)
UNTOUCHED = ("exp", "tanh", "sigmoid", "sqrt", "square")


@pytest.mark.parametrize("compiled", [False, True])
@pytest.mark.parametrize("name", REFUSED + UNTOUCHED)
def test_second_order_after_a_write(name, compiled):
    def gradient(w, write=True):
        p = w * 1
        (g,) = torch.autograd.grad(getattr(p, name)().sum(), p, create_graph=True)
        if write:
            p.mul_(2)
        return torch.autograd.grad(g.sum(), w)[0]

    w = torch.tensor([1.0, 2.0], requires_grad=True)
    call = torch.compile(gradient) if compiled else gradient
    if name in UNTOUCHED:
        assert torch.allclose(call(w), gradient(w, write=False))
    else:
        with pytest.raises(RuntimeError, match="modified by an inplace operation"):
            call(w)


def test_second_order_after_a_step_of_an_optimizer():
    layer = torch.nn.Linear(2, 1)
    optimizer = torch.optim.SGD(layer.parameters(), lr=0.1)
    x = torch.ones(3, 2, requires_grad=True)
    (g,) = torch.autograd.grad(layer(x).tanh().sum(), x, create_graph=True)
    layer.weight.grad = torch.ones(1, 2)
    optimizer.step()
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        torch.autograd.grad(g.sum(), layer.weight)
