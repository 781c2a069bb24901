"""Slices scaled down to a largest norm."""

import numpy as np

import rushlight.dtype as dtypes
from rushlight import shapes
from rushlight.autograd import mode
from rushlight.autograd.tape import renamed
from rushlight.autograd.write import write
from rushlight.backend import numpy as xp
from rushlight.errors import DtypeError, ShapeError
from rushlight.ops.core.argument_kinds import takes
from rushlight.ops.core.definition import function
from rushlight.ops.core.fast_path import on_arrays
from rushlight.ops.core.outputs import store
from rushlight.ops.core.rules import number
from rushlight.ops.reduce.vector_norm import vector_norm

__all__ = ["renorm"]

_TINY = 1e-7  # added to a norm before it divides, as PyTorch documents


def _check(input, p, maxnorm):
    for name, value in (("p", p), ("maxnorm", maxnorm)):
        if isinstance(value, complex):
            raise RuntimeError(f"renorm: {name} must be real-valued, got {value}")
    if not p > 0:
        raise RuntimeError(f"renorm: non-positive-norm not supported, got p={p}")
    if not maxnorm >= 0:
        raise RuntimeError(f"renorm: expected maxnorm to be >= 0 but got {maxnorm}")
    if input.ndim < 2:
        raise ShapeError(f"renorm: input needs at least 2 dimensions, got {input.ndim} dimensions")


def _slices(input, dim):
    """The dims of the slices along ``dim``: all other dims of ``input``."""
    dim = shapes.dim(dim, input.ndim, "renorm")
    if input.dtype.category < 2:
        raise DtypeError(
            f"renorm: Expected a floating point or complex tensor as input. Got {input.dtype}"
        )
    return tuple([d for d in range(input.ndim) if d != dim])


def _renormed(x, p, within, maxnorm):
    """``renorm`` of an array."""
    norm = vector_norm.op.forward(xp, x, dim=within, keepdim=True, p=p)
    scale = np.reciprocal(norm + _TINY)
    scale *= maxnorm
    np.copyto(scale, 1, where=~(norm > maxnorm))
    return x * scale


@function
@takes("input, p: Number, dim: int, maxnorm: Number, *, out?=")
def renorm(input, p, dim, maxnorm, *, out=None):
    """Scale down the slices along ``dim`` whose p-norm is above ``maxnorm``.

    A slice is what ``input.select(dim, i)`` gives. Its elements are multiplied by
    ``maxnorm / (norm + 1e-7)``. Other slices stay as they are.

    Args:
        input: Tensor of any shape with at least 2 dims, floating point or complex.
        p: The p of the p-norm, above 0.
        dim: The dim along which the slices lie. Negative dims count from the end.
        maxnorm: The largest norm that stays, at least 0.

    Returns:
        Tensor of ``input``'s shape.

    Raises:
        IndexError: There is no such dim.
        RuntimeError: ``p`` or ``maxnorm`` is out of range, or ``input`` has fewer than 2 dims or
            another dtype.

    >>> import rushlight as torch
    >>> torch.renorm(torch.tensor([[3.0, 4.0], [0.3, 0.4]]), p=2, dim=0, maxnorm=1.0)
    tensor([[0.6000, 0.8000],
            [0.3000, 0.4000]])
    """
    p, maxnorm = number(p), number(maxnorm)
    _check(input, p, maxnorm)
    within = _slices(input, dim)
    found = on_arrays(lambda x: _renormed(x, p, within, maxnorm), input) if out is None else None
    if found is not None:
        return found
    # The norm of a slice in half precision can be too large for that dtype.
    half = input.dtype in (dtypes.float16, dtypes.bfloat16)
    x = input.to(dtypes.float32) if half else input
    norm = vector_norm(x.detach(), within, True, p=p)
    large = norm > maxnorm
    if mode.intercept or (x.requires_grad and mode.records()):
        # The other slices are replaced by 0 here, so that no nan in them comes into gradients.
        norm = vector_norm(x.where(large, 0), within, True, p=p)
    scale = (maxnorm / (norm + _TINY)).where(large, 1)
    found = (input * scale.to(input.dtype if half else scale.dtype)).contiguous()
    found = renamed(found, "RenormBackward0")
    return found if out is None else store(out, found, "renorm")


@function(name="renorm_", public=False)
@takes("self, p: Number, dim: int, maxnorm: Number")
def _renorm_in_place(self, p, dim, maxnorm):
    """In-place version of ``renorm``."""
    # The gradient of the norms needs the elements as they were.
    return write(self, renorm(self.clone(), p, dim, maxnorm), "renorm_")
