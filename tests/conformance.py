"""The checks that every sample of every operation goes through. ``test_conformance.py`` runs them."""

import numpy as np

import rushlight as torch
from rushlight.autograd import mode
from rushlight.autograd.tangents import pushed
from rushlight.compiler.calls.compiled import Compiled
from rushlight.compiler.run.program import Program
from rushlight.ops.core import dispatch
from rushlight.tensor import Tensor

__all__ = [
    "close",
    "doubles",
    "flat",
    "gradients",
    "operations",
    "products",
    "run",
    "same",
    "tensors",
    "traced",
]


def tensors(framework, sample, dtype=None, requires_grad=False):
    """The sample's inputs as tensors; ``dtype`` replaces the type of the floating ones."""
    out = []
    for a in sample.inputs:
        # The array is copied with its memory order, so that non-contiguous inputs stay so.
        t = framework.from_numpy(a.copy(order="K"))
        if a.dtype.kind == "f" and dtype is not None:
            t = t.to(getattr(framework, dtype))
        if requires_grad and a.dtype.kind in "fc":
            t.requires_grad_()
        out.append(t)
    return out


def flat(result):
    """The tensors in a result, in order."""
    if isinstance(result, (tuple, list)):
        return [t for r in result for t in flat(r)]
    return [result]


def array(t):
    """A tensor's values as an array that NumPy can compare (bfloat16 as float32)."""
    if not hasattr(t, "detach"):
        return np.asarray(t)
    t = t.detach()
    if str(t.dtype) == "torch.bfloat16":
        t = t.float()
    return t.resolve_conj().resolve_neg().numpy() if hasattr(t, "resolve_conj") else t.numpy()


def run(framework, sample, dtype=None):
    """The outputs of a sample, as a list of tensors."""
    framework.manual_seed(0)
    return flat(sample.call(framework, *tensors(framework, sample, dtype)))


def _weights(out, k):
    rng = np.random.default_rng(k)
    w = rng.uniform(0.5, 1.5, tuple(out.shape))
    if out.dtype.is_complex:
        w = w + 1j * rng.uniform(0.5, 1.5, tuple(out.shape))
    return w


def _seeded(framework, sample, given, call):
    """The outputs that have gradients, and one weight for each of their elements."""
    framework.manual_seed(0)
    outs = flat((call or sample.call)(framework, *given))
    outs = [o for o in outs if hasattr(o, "requires_grad") and o.requires_grad]
    return outs, [
        framework.from_numpy(np.asarray(_weights(o, k))).to(o.dtype) for k, o in enumerate(outs)
    ]


def gradients(framework, sample, dtype=None, create_graph=False, call=None):
    """The gradient of a weighted sum of the outputs with respect to each floating input."""
    given = tensors(framework, sample, dtype, requires_grad=True)
    outs, seeds = _seeded(framework, sample, given, call)
    wanted = [t for t in given if t.requires_grad]
    return framework.autograd.grad(
        outs, wanted, seeds, allow_unused=True, create_graph=create_graph
    )


def products(sample):
    """Pairs of equal numbers: uᵀ (J v), with J v by forward mode, and (Jᵀ u)ᵀ v.

    The inputs move along v one by one, and all together. Tangents are arrays, or tensors with a
    history if all inputs move.
    """
    given = tensors(torch, sample, requires_grad=True)
    moving = [t for t in given if t.requires_grad]
    outs, seeds = _seeded(torch, sample, given, None)
    back = torch.autograd.grad(outs, moving, seeds, allow_unused=True, retain_graph=True)
    along = [
        torch.from_numpy(np.asarray(_weights(t, 7 + k))).to(t.dtype) for k, t in enumerate(moving)
    ]
    every = list(range(len(moving)))
    for places, graph in [*[([i], False) for i in every], (every, True)]:
        found = pushed(outs, [moving[i] for i in places], [along[i] for i in places], graph)
        for out, t in zip(outs, found, strict=True):
            assert t is None or (t.dtype is out.dtype and t.shape == out.shape)
        yield (
            sum([_dot(u, t) for u, t in zip(seeds, found, strict=True) if t is not None]),
            sum([_dot(back[i], along[i]) for i in places if back[i] is not None]),
        )


def _dot(x, y):
    """The real part of the sum of conj(x) y, in double precision."""
    x, y = (array(t) for t in (x, y))
    return float((np.conj(x.astype(complex)) * y).real.sum())


def doubles(sample):
    """The sample's inputs in double precision; those with a gradient require one."""
    given = tensors(torch, sample, "float64")
    given = [t.to(torch.complex128) if t.dtype.is_complex else t for t in given]
    return [t.requires_grad_() if t.dtype.category > 1 else t for t in given]


def close(got, want, tolerance, what):
    """Assert equal arrays to a relative and absolute tolerance."""
    np.testing.assert_allclose(got, want, rtol=tolerance, atol=tolerance, err_msg=what)


_TOLERANCE = {"torch.float16": 2e-3, "torch.bfloat16": 1.6e-2, "torch.float64": 1e-8}


def same(got, want, tolerance, what):
    """Assert equal shape, dtype and values."""
    assert str(got.dtype) == str(want.dtype), f"{what}: dtype {got.dtype}, expected {want.dtype}"
    shapes = tuple(got.shape), tuple(want.shape)
    assert shapes[0] == shapes[1], f"{what}: shape {shapes[0]}, expected {shapes[1]}"
    close(array(got), array(want), _TOLERANCE.get(str(got.dtype), tolerance), what)


class Checked(Program):
    """A program that compares what it computes with what tracing inferred."""

    def run(self, arrays, held=()):
        found = super().run(arrays, held)
        for value, a in zip(self.outputs, found, strict=True):
            if hasattr(value, "is_abstract"):
                assert a.shape == value.shape, f"inferred {value}, computed {a.shape}"
                assert a.dtype == value.dtype, f"inferred {value}, computed {a.dtype}"
        return found


def traced(sample):
    """The outputs of the recorded program of a sample, replayed or native, on its second run."""
    compiled = Compiled(lambda *xs: sample.call(torch, *xs), fullgraph=True)
    torch.manual_seed(0)
    compiled(*tensors(torch, sample))
    (entry,) = compiled.entries
    if type(entry.program) is Program:
        entry.program.__class__ = Checked
    given, found = _run(compiled, sample)
    assert compiled.count == 1, "the second run recorded again"
    # Not all looks are shared: an element picked by a tensor's number is a copy in a program.
    assert _shared(given, found) <= _shared(*_run(lambda *xs: sample.call(torch, *xs), sample))
    return found


def _run(call, sample):
    """The inputs of a sample, and the tensors that ``call`` makes of them."""
    torch.manual_seed(0)
    given = tensors(torch, sample)
    return given, [t for t in flat(call(*given)) if isinstance(t, Tensor)]


def _shared(given, found):
    """The pairs of an output and an input, or another output, that share memory."""
    arrays = [t._array for t in (*given, *found)]
    return {
        (i, j) for i in range(len(given), len(arrays)) for j in range(i)
        if np.shares_memory(arrays[i], arrays[j])
    }  # fmt: skip


def _twice(sample):
    """Differentiate the gradients of a sample by its inputs and by the gradients they came from."""
    given = tensors(torch, sample, requires_grad=True)
    outs, seeds = _seeded(torch, sample, given, None)
    wanted = [t for t in given if t.requires_grad]
    seeds = [s.requires_grad_() for s in seeds]
    found = torch.autograd.grad(outs, wanted, seeds, allow_unused=True, create_graph=True)
    again = [g.abs().sum() for g in found if g is not None and g.requires_grad]
    if again:
        torch.autograd.grad(sum(again), wanted + seeds, allow_unused=True, create_graph=True)


def operations(sample):
    """Names of the operations that a sample runs, its first and second gradients' included."""
    names, compute = set(), dispatch.compute

    def noted(op, inputs, params):
        names.add(op.name)
        return compute(op, inputs, params)

    others = mode.intercept  # a subclass of Tensor somewhere, with an override
    dispatch.compute = noted
    mode.add_intercept(-others)
    try:
        if sample.grad:
            # Views that several results share are recorded on the short way only.
            gradients(torch, sample)
        mode.add_intercept(1)
        run(torch, sample)
        if sample.grad:
            try:
                _twice(sample)
            except RuntimeError as error:
                if "is not implemented" not in str(error):  # some have no second derivative
                    raise
    finally:
        dispatch.compute = compute
        mode.add_intercept(others - mode.intercept)
    return names
