"""Functions that limit gradients by their norm or by their values. All of them can be traced."""

import types
import warnings

import numpy as np

import rushlight
from rushlight.autograd import mode
from rushlight.autograd.mode import no_grad
from rushlight.autograd.write import stamp
from rushlight.backend.sizes import large_from
from rushlight.far_programs import FarProgram
from rushlight.ops.core.fast_path import FLOATS
from rushlight.ops.core.range_checks import check_range
from rushlight.ops.reduce.vector_norm import vector_norm
from rushlight.tensor import Tensor, from_array

__all__ = [
    "clip_grad_norm", "clip_grad_norm_", "clip_grad_value_", "clip_grads_with_norm_",
    "get_total_norm",
]  # fmt: skip


_FEW = large_from(1 << 14)  # a BLAS product of so many squares is precise enough


def _as_list(tensors):
    found = [tensors] if isinstance(tensors, Tensor) else tensors
    return [getattr(t, "_local_tensor", t) for t in found]  # that of a DTensor


def _grads(parameters):
    return [p.grad for p in _as_list(parameters) if p.grad is not None]


def _arrays(tensors):
    """The arrays of float tensors of one dtype; None if a mode, or a tensor, is out of the usual.

    Many small gradients are clipped several times faster on arrays than on tensors.
    """
    if mode.intercept > mode.metas:
        return None
    found = []
    for t in tensors:
        if type(t) is not Tensor or t.view_of is not None or len(t.cell) > 2:
            return None
        a = t._array
        if type(a) is not np.ndarray:
            return None
        if a.dtype not in FLOATS or a.dtype is not tensors[0]._array.dtype:
            return None
        if not (a.flags.c_contiguous and a.flags.writeable):
            return None
        found.append(a)
    return found


def _norm(x, p):
    if p == 2 and 1 < x.size <= _FEW:
        x = x.reshape(-1)
        return np.sqrt(x.dot(x))
    return vector_norm.op.forward(np, x, dim=tuple(range(x.ndim)), keepdim=False, p=p)


@no_grad()
def get_total_norm(tensors, norm_type=2.0, error_if_nonfinite=False, foreach=None):
    """Return the norm of all elements of several tensors together.

    Args:
        tensors: Tensor, or iterable of tensors, of any shapes.

    Returns:
        0-dim tensor.

    Raises:
        RuntimeError: The norm is nan or infinite, and ``error_if_nonfinite`` is True.

    >>> import rushlight as torch
    >>> torch.nn.utils.get_total_norm([torch.tensor([3.0]), torch.tensor([[4.0]])])
    tensor(5.)
    """
    norm_type = float(norm_type)
    tensors = _as_list(tensors)
    if not tensors:
        return rushlight.zeros(())
    arrays = _arrays(tensors)
    if arrays is None:
        total = rushlight.norm(
            rushlight.stack([rushlight.norm(t, norm_type) for t in tensors]), norm_type
        )
    else:
        norms = [_norm(a, norm_type) for a in arrays]
        total = from_array(np.asarray(_norm(np.array(norms, arrays[0].dtype), norm_type)))
    if error_if_nonfinite:
        most = rushlight.finfo(total.dtype).max
        check_range(
            total, low=-most, high=most, error=RuntimeError,
            message=f"the norm of order {norm_type} of all gradients is {{}}, so they cannot be "
            "clipped by it; error_if_nonfinite=False scales them by it nevertheless",
        )  # fmt: skip
    return total


@no_grad()
def clip_grads_with_norm_(parameters, max_norm, total_norm, foreach=None):
    """Scale the gradients by ``max_norm / total_norm`` if that is less than 1.

    Args:
        total_norm: 0-dim tensor, the norm of all gradients together: ``get_total_norm``'s result.

    >>> import rushlight as torch
    >>> p = torch.ones(1, requires_grad=True)
    >>> p.grad = torch.tensor([8.0])
    >>> torch.nn.utils.clip_grads_with_norm_(p, 1.0, torch.tensor(4.0))
    >>> p.grad
    tensor([2.0000])
    """
    _scale(_grads(parameters), float(max_norm), total_norm)


def _scale(grads, most, total_norm):
    if not grads:
        return
    arrays = _arrays(grads)
    total = None if arrays is None else getattr(total_norm, "_array", None)
    if total is not None and not total.ndim and total.dtype is arrays[0].dtype:
        scale = np.minimum(np.reciprocal(total + 1e-6) * most, 1)
        for grad, a in zip(grads, arrays, strict=True):
            np.multiply(a, scale, out=a)
            stamp(grad)
        return
    scale = (most / (total_norm + 1e-6)).clamp(max=1.0)
    for grad in grads:
        grad.mul_(scale)


@no_grad()
def clip_grad_norm_(
    parameters, max_norm, norm_type=2.0, error_if_nonfinite=False, foreach=None
):  # fmt: skip
    """Scale the gradients so that the norm of all of them together is at most ``max_norm``.

    Returns:
        0-dim tensor: the norm before scaling.

    Raises:
        RuntimeError: The norm is nan or infinite, and ``error_if_nonfinite`` is True.

    >>> import rushlight as torch
    >>> p = torch.ones(2, requires_grad=True)
    >>> p.grad = torch.tensor([3.0, 4.0])
    >>> torch.nn.utils.clip_grad_norm_(p, 1.0), p.grad
    (tensor(5.), tensor([0.6000, 0.8000]))
    """
    generated = isinstance(parameters, types.GeneratorType)
    parameters = _as_list(parameters)
    if generated and not parameters:
        warnings.warn(
            "clip_grad_norm_: parameters is a generator that yields nothing; nothing is clipped",
            stacklevel=3,
        )
    grads = _grads(parameters)
    first = grads[0] if grads else None
    return _clipped(getattr(first, "_array", None), grads, max_norm, norm_type, error_if_nonfinite)


def _clip(grads, max_norm, norm_type, error_if_nonfinite):
    total = get_total_norm(grads, norm_type, error_if_nonfinite)
    _scale(grads, float(max_norm), total)
    return total


_clipped = FarProgram(_clip)


def clip_grad_norm(parameters, max_norm, norm_type=2.0, error_if_nonfinite=False, foreach=None):
    """The deprecated name of ``clip_grad_norm_``."""
    warnings.warn(
        "nn.utils.clip_grad_norm is deprecated; use nn.utils.clip_grad_norm_",
        FutureWarning,
        stacklevel=2,
    )
    return clip_grad_norm_(parameters, max_norm, norm_type, error_if_nonfinite, foreach)


@no_grad()
def clip_grad_value_(parameters, clip_value, foreach=None):
    """Limit every element of the gradients to ±``clip_value``.

    Args:
        clip_value: The largest absolute value of an element.

    >>> import rushlight as torch
    >>> p = torch.ones(2, requires_grad=True)
    >>> p.grad = torch.tensor([-3.0, 0.5])
    >>> torch.nn.utils.clip_grad_value_(p, 1.0)
    >>> p.grad
    tensor([-1.0000,  0.5000])
    """
    limit = float(clip_value)
    for grad in _grads(parameters):
        if grad.is_sparse and not grad.is_coalesced():
            grad.copy_(grad.coalesce())  # values of one index are one element
        grad.clamp_(min=-limit, max=limit)
