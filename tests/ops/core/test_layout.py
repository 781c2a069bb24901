"""How results and gradients lie in memory, for inputs of every layout: PyTorch's strides."""

import re
from itertools import islice

import numpy as np
import pytest

import rushlight as torch
from rushlight.compiler.calls.compiled import Compiled
from rushlight.strides import is_dense
from rushlight.tensor import Tensor
from tests.conformance import _seeded, flat
from tests.daily import daily
from tests.golden import layouts as golden
from tests.ops.layouts import cases, laid_out, outcome, strides, tensor

#: Of windows and expanded tensors PyTorch's results have the strides, gaps and all. Ours are dense.
DENSE = {"H", "mH", "as_strided_scatter", "diagonal_scatter", "select_scatter", "slice_scatter"}
#: A third of the cases runs each day.
THIRDS = pytest.mark.parametrize("third", daily(range(3), 1, "layouts"))
#: PyTorch refuses some layouts that we take: it views its operands, or rounding decides whether
#: LAPACK finds a matrix of equal rows singular.
TAKEN = {"conv_tbc", "kron", "linalg_lstsq", "lobpcg"}


def _is_known(key, want):
    """Whether the result lies otherwise on purpose."""
    sample, layout = key.split("/")[:2]
    name = re.sub(r"-\d+$", "", sample)
    gaps = layout in ("sliced", "window", "turned_window", "expanded")
    gaps = gaps or sample in ("select_scatter-7", "as_strided_scatter-3")  # they make windows
    return (
        (name in DENSE and gaps)
        or (name in TAKEN and want == "error")
        or name == "conv3d"  # contiguous
    )


def _check(answers, part=1, first=0):
    """Compare each ``part``-th case."""
    wrong = []
    for key, sample, layout, only in islice(cases(), first, None, part):
        want = answers(key, sample, layout, only)
        if want is None or _is_known(key, want):
            continue
        got = outcome(torch, sample, layout, only)
        if got != want:
            wrong.append(f"{key}: {got}, PyTorch {want}")
    assert not wrong, "\n".join([f"{len(wrong)} results lie otherwise:", *wrong[:40]])


@THIRDS
def test_results_lie_as_recorded(third):
    recorded = golden.load()
    _check(lambda key, *_: recorded.get(key), 3, third)


@pytest.mark.parity
@pytest.mark.parametrize("part", [37, pytest.param(1, marks=pytest.mark.slow)])
def test_results_lie_as_pytorchs(part):
    peer = pytest.importorskip("torch")
    _check(lambda _, sample, layout, only: outcome(peer, sample, layout, only), part)


def _apart(t):
    """The strides of dims with several elements."""
    return [s for n, s in zip(t.shape, t.stride(), strict=True) if n > 1]


def _leaf_strides(leaf):
    """A gradient has the strides of a dense leaf, else it is contiguous.

    PyTorch leaves out dims of size 1, and so does what a compiled call gives.
    """
    order = np.argsort([-s for s in leaf.stride()], kind="stable").tolist()
    dense = leaf.detach().permute(*order).is_contiguous() if leaf.ndim else True
    return _apart(leaf if dense else torch.empty(leaf.shape))


@pytest.mark.slow
@THIRDS
def test_gradients_lie_as_their_leaves(third):
    wrong = []
    for key, sample, layout, only in islice(cases(), third, None, 3):
        inputs = laid_out(sample, layout, only) if sample.grad else None
        if inputs is None:
            continue
        given = [tensor(torch, a) for a in inputs]
        leaves = [t.requires_grad_() for t in given if t.dtype.category > 1]
        torch.manual_seed(0)
        try:
            torch.autograd.backward(*_seeded(torch, sample, given, None))
        except RuntimeError:  # a layout that the operation refuses
            continue
        wrong += [
            f"{key}: {leaf.grad.stride()} for a leaf of {leaf.stride()}"
            for leaf in leaves
            if leaf.grad is not None and _apart(leaf.grad) != _leaf_strides(leaf)
        ]
    assert not wrong, "\n".join([f"{len(wrong)} gradients lie otherwise:", *wrong[:40]])


def _geometry(sample, inputs, wanted):
    """For each result its strides, and which inputs it shares memory with."""
    given = [tensor(torch, a) for a in inputs]
    arrays = [t._array for t in given]
    for t in given:
        t.requires_grad_(wanted and t.dtype.category > 1)
    torch.manual_seed(0)
    try:
        found = [t for t in flat(sample.call(torch, *given)) if isinstance(t, Tensor)]
    except RuntimeError:
        return None
    shared = lambda t: [np.shares_memory(t._array, a) for a in arrays]
    return [(strides(t), shared(t)) for t in found]


@pytest.mark.slow
@THIRDS
def test_results_lie_alike_with_and_without_gradients(third):
    wrong = []
    for key, sample, layout, only in islice(cases(), third, None, 3):
        alike = sample.grad and only is None and sample.name != "max_pool1d"  # see pool.py
        inputs = laid_out(sample, layout) if alike else None
        if inputs is None:
            continue
        without, wanted = [_geometry(sample, inputs, wanted) for wanted in (False, True)]
        # A leaf refuses what its like without a gradient allows: a write, in a few samples.
        if None not in (without, wanted) and without != wanted:
            wrong.append(f"{key}: {without}, with gradients {wanted}")
    assert not wrong, "\n".join([f"{len(wrong)} results lie otherwise:", *wrong[:40]])


def _compiled_cases():
    for key, sample, layout, only in cases():
        if only is None and sample.trace and layout in ("contiguous", "turned", "swapped"):
            inputs = laid_out(sample, layout)
            if inputs is not None:
                yield key, sample, inputs


def _given(call, inputs):
    torch.manual_seed(0)
    with torch.no_grad():
        found = flat(call(torch, *[tensor(torch, a) for a in inputs]))
    return [t for t in found if isinstance(t, Tensor)]


def _check_compiled(part):
    wrong = []
    for key, sample, inputs in islice(_compiled_cases(), 0, None, part):
        try:
            eager = _given(sample.call, inputs)
        except RuntimeError:
            continue
        compiled = Compiled(lambda *xs, s=sample: s.call(torch, *xs), fullgraph=True)
        for g, w in zip(_given(lambda _, *xs, f=compiled: f(*xs), inputs), eager, strict=True):
            # A result of a compiled call is dense, also where eager gives a view with gaps.
            gaps = not is_dense(w.shape, w._array.strides, w._array.itemsize)
            if _apart(g) != _apart(w) and not (gaps and g.is_contiguous()):
                wrong.append(f"{key}: {g.stride()}, eager {w.stride()}")
    assert not wrong, "\n".join([f"{len(wrong)} results lie otherwise:", *wrong[:40]])


@pytest.mark.parametrize("part", [97, pytest.param(3, marks=pytest.mark.slow)])
def test_compiled_results_lie_as_eager_ones(monkeypatch, part):
    monkeypatch.setattr("rushlight.backend.native.COMPILER", "numpy")
    _check_compiled(part)


@pytest.mark.slow
def test_native_results_lie_as_eager_ones():
    pytest.importorskip("llvmlite")
    _check_compiled(part=10)


def test_a_write_in_a_program_keeps_the_order_of_memory():
    @torch.compile(fullgraph=True)
    def f(x, y):
        kept = x.t().clone()
        kept.add_(y)
        return kept, kept.t().view(-1)

    x, y = torch.arange(6.0).reshape(2, 3), torch.ones(3, 2)
    for _ in range(2):
        kept, row = f(x, y)
        assert kept.stride() == (1, 3)
        assert torch.equal(row, torch.arange(6.0) + 1)


def test_gradients_have_no_negative_strides():
    for call in (lambda x: x.flip(0), lambda x: x.cumsum(0)):
        x = torch.ones(3, 2, requires_grad=True)
        (g,) = torch.autograd.grad(call(x), x, torch.ones(3, 2))
        assert g.stride() == (2, 1)


def test_addr_lies_as_its_matrix():
    matrix, column, row = torch.ones(4, 2).t(), torch.ones(2), torch.ones(4)
    for named in ({}, {"beta": 0.5}, {"alpha": 2}, {"beta": 0}):
        assert torch.addr(matrix, column, row, **named).stride() == (1, 2)
        assert torch.addr(row, column, row, **named).stride() == (4, 1)


@pytest.mark.parametrize("unique", [torch.unique, torch.unique_consecutive])
def test_distinct_slices_lie_one_after_the_other(unique):
    x = torch.tensor([[[0], [1]], [[2], [3]], [[4], [5]]])
    assert unique(x, dim=1).stride()[:2] == (1, 3)
    assert unique(x, dim=0).stride()[:2] == (2, 1)
