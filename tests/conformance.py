"""The checks that every sample of every operation goes through. ``test_conformance.py`` runs them."""

import numpy as np

import rushlight as torch
from rushlight.compiler.compiled import Compiled, Entry
from rushlight.compiler.program import Program
from rushlight.tensor import Tensor

__all__ = ["flat", "gradients", "run", "same", "tensors"]


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
    return t.resolve_conj().numpy() if hasattr(t, "resolve_conj") else t.numpy()


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


def gradients(framework, sample, dtype=None, create_graph=False, call=None):
    """The gradient of a weighted sum of the outputs with respect to each floating input."""
    framework.manual_seed(0)
    given = tensors(framework, sample, dtype, requires_grad=True)
    outs = [o for o in flat((call or sample.call)(framework, *given)) if hasattr(o, "requires_grad") and o.requires_grad]
    seeds = [framework.from_numpy(np.asarray(_weights(o, k))).to(o.dtype) for k, o in enumerate(outs)]
    wanted = [t for t in given if t.requires_grad]
    return framework.autograd.grad(outs, wanted, seeds, allow_unused=True, create_graph=create_graph)


def same(got, want, tolerance, what):
    """Assert equal shape, dtype and values."""
    assert str(got.dtype) == str(want.dtype), f"{what}: dtype {got.dtype}, expected {want.dtype}"
    assert tuple(got.shape) == tuple(want.shape), f"{what}: shape {tuple(got.shape)}, expected {tuple(want.shape)}"
    tolerance = {"torch.float16": 2e-3, "torch.bfloat16": 1.6e-2, "torch.float64": 1e-8}.get(str(got.dtype), tolerance)
    np.testing.assert_allclose(array(got), array(want), rtol=tolerance, atol=tolerance, err_msg=what)


class Checked(Program):
    """A program that compares what it computes with what tracing inferred."""

    def run(self, arrays):
        found = super().run(arrays)
        for value, a in zip(self.outputs, found, strict=True):
            if hasattr(value, "is_abstract"):
                assert a.shape == value.shape, f"inferred {value}, computed {a.shape}"
                assert a.dtype == value.dtype, f"inferred {value}, computed {a.dtype}"
        return found


def traced(sample, requires_grad=False):
    """The outputs of the recorded program of a sample, on its second run, and its entry."""
    given = tensors(torch, sample, requires_grad=requires_grad)
    compiled = Compiled(lambda *xs: sample.call(torch, *xs), fullgraph=True)
    torch.manual_seed(0)
    compiled(*given)
    (entries,) = compiled.programs.values()
    entry: Entry = entries[0]
    entry.program.__class__ = Checked
    torch.manual_seed(0)
    found = compiled(*tensors(torch, sample, requires_grad=requires_grad))
    assert compiled.count == 1, "the second run recorded again"
    return [t for t in flat(found) if isinstance(t, Tensor)], entry
