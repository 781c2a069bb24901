"""Running a program's lines on rushlight and PyTorch side by side.

Rounding differs between the two, and jumps (comparisons, ``floor``) make much of it. So each line
also runs in noisy scopes, where what a line computes is changed in its last digits: how far these
scopes lie apart says what rounding can do to a value. Where a jump depends on noise, the line is no
ground for a comparison. After each line rushlight takes over PyTorch's bits, so that small
differences don't grow.
"""

import ml_dtypes
import numpy as np

import rushlight
from tests.search.programs.program import backward, tensor

try:
    import torch
except ImportError:
    torch = None

ORACLE = torch or rushlight


def array_of(t):
    """The numbers of a tensor of either framework, in its memory where that can be."""
    if isinstance(t, rushlight.Tensor):
        return t.detach().resolve_conj()._array
    t = t.detach().resolve_conj().resolve_neg()
    t = t.clone() if t._is_zerotensor() else t
    if t.dtype is torch.bfloat16:
        return t.view(torch.uint16).numpy().view(ml_dtypes.bfloat16)
    return t.numpy()


def gradient(t):
    """The gradient of a leaf as an array; None if ``t`` has none."""
    if not t.is_leaf or t.grad is None:
        return None
    return array_of(t.grad)


def is_exact(dtype):
    """Whether numbers of the dtype are not rounded."""
    return dtype.kind in "biu"


def eps(dtype):
    return float(ml_dtypes.finfo(dtype).eps)


def address(t):
    """Where the memory of a tensor begins; None if it has none."""
    if not t.numel():
        return None
    return t.untyped_storage().data_ptr()


def layout(t):
    """Strides, of the dims where they matter."""
    if not t.numel():
        return ()
    return tuple([step for n, step in zip(t.shape, t.stride(), strict=True) if n > 1])


def strides(t):
    """All strides, where they mean anything."""
    return tuple(t.stride()) if t.numel() else ()


def wide(x):
    return x.astype(complex if x.dtype.kind == "c" else float)


def shake(x, noise, random, size=0.0):
    """Change the numbers of an array by some units in the last place, of theirs and of ``size``."""
    real = np.dtype(x.real.dtype) if x.dtype.kind == "c" else x.dtype
    change = noise * eps(real) * random.uniform(-1, 1, x.shape)
    limits = ml_dtypes.finfo(real)
    with np.errstate(all="ignore"):
        small = x.size < 1 << 20
        denormal = small and (x != 0) & (np.abs(x) < float(limits.smallest_normal))
        x *= (1 + change).astype(real)
        if np.any(denormal):
            units = noise * random.uniform(-1, 1, x.shape) * denormal
            x += (units * float(limits.smallest_subnormal)).astype(real)
        if size:
            x += (size * noise * eps(real) * random.uniform(-1, 1, x.shape)).astype(real)


def overlaps(t):
    """Whether two elements lie in one place."""
    if not t.numel():
        return False
    pairs = [(step, n) for n, step in zip(t.shape, t.stride(), strict=True) if n > 1]
    span = 1
    for step, n in sorted(pairs):
        if step < span:  # then look at the places one by one
            places = sum(np.ix_(*[np.arange(n) * step for step, n in pairs]))
            return np.unique(places).size < t.numel()
        span += step * (n - 1)
    return False


class Scope:
    """Inputs and what lines made of them, in one framework, with noise where asked for."""

    def __init__(self, framework, inputs, noise=0.0, seed=0):
        self.T, self.noise = framework, noise
        self.random = np.random.default_rng(seed)
        self.steepest = 0.0  # the largest gradient of any value, once ``watch`` has hooks there
        self.names = {"T": framework, "F": framework.nn.functional, "backward": backward}
        self.names["tensor"] = tensor
        self.values = []
        for name, x in inputs.items():
            self.add(name, x)

    def add(self, name, x):
        self.names[name] = eval(x.text, self.names)
        self.values.append(name)
        if x.values != "plain" and self.noise and self.names[name].numel():
            t = self.names[name].detach()
            size = t.untyped_storage().nbytes() // t.element_size()
            flat = array_of(t.as_strided((size,), (1,), 0))
            if not is_exact(flat.dtype):
                shake(flat, self.noise, self.random)

    def __getitem__(self, name):
        return self.names[name]

    def run(self, step):
        """Run a line; returns the exception that it raised, or None."""
        try:
            exec(step.code, self.names)
        except Exception as error:
            self.drop(step)
            return error
        for name in step.makes:
            if not hasattr(self.names[name], "dtype"):
                self.names[name] = self.T.as_tensor(self.names[name])
        self.values += step.makes
        if any(str(self.names[n].dtype) == "torch.complex32" for n in step.makes):
            return NotImplementedError("there is no complex32")
        if self.noise and (step.cancels or not step.exact):
            size = self.size(step) if step.cancels else 0.0
            for name in step.makes or [step.writes]:
                self.shake(name, size)
        return None

    def drop(self, step):
        for name in step.makes:
            self.names.pop(name, None)
        self.values = [n for n in self.values if n not in step.makes]

    def size(self, step):
        """The largest number that a line reads."""
        arrays = [self.array(n) for n in step.uses if n in self.names]
        found = [np.abs(wide(x)) for x in arrays if not is_exact(x.dtype) and x.size]
        return max([np.max(x, where=np.isfinite(x), initial=0.0) for x in found], default=0.0)

    def shake(self, name, size=0.0):
        """Change the numbers of a value by some units in the last place, past autograd."""
        if not self.noise:
            return
        x = self.array(name)
        repeats = any(n > 1 and step == 0 for n, step in zip(x.shape, x.strides, strict=True))
        if is_exact(x.dtype) or not x.size or not x.flags.writeable or repeats:
            return
        shake(x, self.noise, self.random, size)

    def shaken(self, x):
        """The numbers of a tensor, with noise."""
        if self.noise:
            shake(array_of(x), self.noise, self.random)
        return x

    def array(self, name):
        return array_of(self.names[name])

    def watch(self):
        """Note how large the gradients of values are: where they cancel, rounding stays."""
        for t in map(self.names.get, self.values):
            # PyTorch crashes if a view of a written tensor takes a hook before its history is read.
            if t.requires_grad and (t.is_leaf or t.grad_fn is not None):
                t.register_hook(self._note)

    def _note(self, slope):
        found = np.abs(wide(array_of(slope)))
        self.steepest = np.max(found, where=np.isfinite(found), initial=self.steepest)

    def backward(self, outputs, graph=False):
        """Go backward from values; returns the exception, or None."""
        results = [self.names[n] for n in outputs]
        try:
            backward(self.T, results, self.shaken, graph)
        except Exception as error:
            return error
        return None

    def backward_again(self, leaves):
        """Go backward from the gradients of leaves, which take those of second order instead."""
        ends = [x for x in map(self.names.get, leaves) if x.is_leaf and x.grad is not None]
        slopes = [x.grad for x in ends]
        for x in ends:
            x.grad = None
        try:
            backward(self.T, slopes, self.shaken)
        except Exception as error:
            return error
        return None
