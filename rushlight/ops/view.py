"""Views: other shapes of the same memory, and the copies that go with them."""

import numpy as np

from rushlight import shapes
from rushlight.autograd.write import erase
from rushlight.backend.numpy import reshape_view
from rushlight.errors import DtypeError, ShapeError
from rushlight.ops.definition import function
from rushlight.ops.dispatch import record
from rushlight.ops.kinds import kernel, view
from rushlight.tensor import Tensor


def infer_size(shape, numel, name="view"):
    """``shape`` with its one -1 replaced so that it holds ``numel`` elements."""
    shape = tuple(shape[0]) if len(shape) == 1 and isinstance(shape[0], (tuple, list)) else tuple(shape)
    shape = tuple([n.__index__() for n in shape])
    unknown = [i for i, n in enumerate(shape) if n == -1]
    if len(unknown) > 1:
        raise ShapeError(f"{name}: only one dimension can be inferred, but shape {shape} has {len(unknown)} of -1")
    if any(n < -1 for n in shape):
        raise ShapeError(f"{name}: invalid shape dimension {min(shape)} in {shape}")
    known = shapes.numel(n for n in shape if n != -1)
    if unknown:
        if known == 0:
            raise ShapeError(
                f"{name}: cannot reshape tensor of {numel} elements into shape {list(shape)} because "
                "the unspecified dimension size -1 can be any value and is ambiguous"
            )
        if numel % known:
            raise ShapeError(f"{name}: shape '{list(shape)}' is invalid for input of size {numel}")
        i = unknown[0]
        return (*shape[:i], numel // known, *shape[i + 1 :])
    if known != numel:
        raise ShapeError(
            f"{name}: shape '{list(shape)}' is invalid for input of size {numel}: it needs {known} elements"
        )
    return shape


@view(public=False, method=False, name="view", prepare=lambda x, *, shape: {"shape": infer_size(shape, x.size)})
def _view(xp, x, *, shape):
    """The same elements in another shape, without a copy."""
    found = reshape_view(x, shape)
    if found is None:
        raise ValueError(
            f"view size {list(shape)} is not compatible with input tensor's size {list(x.shape)} and "
            "stride (at least one dimension spans across two contiguous subspaces). Use .reshape(...) instead."
        )
    return found


_view.grad(x=lambda g, x_shape: reshaped(g, x_shape))


def reshaped(g, shape):
    """``g.reshape(shape)`` for a raw array or a tensor."""
    return g.reshape(shape)


@kernel(public=False, method=False, name="reshape", widen=False, grad_name="UnsafeViewBackward0",
        prepare=lambda x, *, shape: {"shape": infer_size(shape, x.size, "reshape")})  # fmt: skip
def _reshape_copy(xp, x, *, shape):
    """The same elements in another shape, copied."""
    return xp.reshape(x, shape).copy() if x.size else xp.empty(shape, x.dtype)


_reshape_copy.grad(x=lambda g, x_shape: reshaped(g, x_shape))


@function
def reshape(input, *shape):
    """``input`` in another shape: a view where that is possible, a copy where not.

    Raises:
        RuntimeError: the number of elements differs.

    >>> import rushlight as torch
    >>> torch.arange(6).reshape(2, -1)
    tensor([[0, 1, 2],
            [3, 4, 5]])
    """
    if not isinstance(input, Tensor):
        raise TypeError(f"reshape(): argument 'input' (position 1) must be Tensor, not {type(input).__name__}")
    shape = infer_size(shape, input.numel(), "reshape")
    if reshape_view(input.array, shape) is None:
        return _reshape_copy(input, shape)
    return _view(input, shape)


@kernel(public=False, method=False, grad_name="CopySlices", widen=False)
def patch(xp, base, value, *, path):
    """A copy of ``base`` with ``value`` in the part that the views of ``path`` look at."""
    out = base.copy()
    part = out
    for op, args, params in path:
        part = op.forward(xp, part, *args, **params)
    part[...] = value
    return out


def _through(g, path):
    for op, args, params in path:
        if isinstance(g, np.ndarray):
            g = op.forward(np, g, *args, **params)
        else:
            g = op.call(g, *args, **params)
    return g


patch.grad(
    base=lambda g, path: erase(g, path) if isinstance(g, np.ndarray) else patch(g, 0, path=path),
    value=lambda g, path: _through(g, path).copy() if isinstance(g, np.ndarray) else _through(g, path).clone(),
)


def record_patch(root, value, path):
    """Note in ``root``'s history that ``value`` was written where ``path`` looks."""
    operands = (root, value)
    record(patch.op, operands, [t.array for t in operands], [t.node for t in operands], {"path": path}, root)


def _expanded(x, *, size):
    """The shape of ``x.expand(size)``: -1 keeps a dim."""
    size = tuple(size)
    lead = len(size) - x.ndim
    if lead < 0:
        raise ShapeError(
            f"expand: the number of sizes provided ({len(size)}) must be greater or equal to the "
            f"number of dimensions in the tensor ({x.ndim}): size {size}, x {tuple(x.shape)}"
        )
    out = []
    for i, n in enumerate(size):
        have = x.shape[i - lead] if i >= lead else None
        if n == -1:
            if have is None:
                raise ShapeError(f"expand: size {size} has -1 in the leading, non-existing dimension {i}")
            n = have
        if have is not None and have not in (1, n):
            raise ShapeError(
                f"expand: The expanded size of the tensor ({n}) must match the existing size ({have}) "
                f"at non-singleton dimension {i}. Target sizes: {list(size)}. Tensor sizes: {list(x.shape)}"
            )
        out.append(n)
    return {"size": shapes.sizes((out,), "expand")}


@view(public=False, varargs=True, prepare=_expanded)
def expand(xp, x, *, size):
    """``input`` with dims of size 1 repeated to ``size`` without a copy (stride 0).

    >>> import rushlight as torch
    >>> torch.tensor([[1], [2]]).expand(2, 3)
    tensor([[1, 1, 1],
            [2, 2, 2]])
    """
    lead = len(size) - x.ndim
    strides = [
        0 if i < lead or x.shape[i - lead] != n else x.strides[i - lead] for i, n in enumerate(size)
    ]
    return np.lib.stride_tricks.as_strided(x, size, strides)


expand.grad(x=lambda g: g)  # the engine sums g back to x's shape


@kernel(public=False, method=False, name="clone", widen=False)
def _clone(xp, x):
    """A copy."""
    return x.copy(order="K")


_clone.grad(x=lambda g: g)


@function
def clone(input, *, memory_format=None):
    """A copy of ``input`` that passes gradients through.

    >>> import rushlight as torch
    >>> torch.ones(2).clone()
    tensor([1., 1.])
    """
    return _clone(input)


@kernel(public=False, method=False, name="to_copy", widen=False)
def cast(xp, x, *, dtype):
    """``x`` in another dtype (a NumPy dtype)."""
    if x.dtype.kind == "c" and dtype.kind not in "cb":
        x = x.real
    if x.dtype.kind == "f" and dtype.kind in "iub":
        return _float_to_integer(x, dtype)
    return x.astype(dtype)


cast.grad(x=lambda g: g)


def _float_to_integer(x, dtype):
    # As the hardware does for PyTorch: through int64 for narrow types, so that they wrap.
    if dtype.kind == "b":
        return x != 0
    if dtype.itemsize < 8 and x.dtype.itemsize >= 2:
        return x.astype(np.int64).astype(dtype)
    return x.astype(dtype)


_ = DtypeError
