"""Operations that write one value into many elements: fill_, zero_, fill_diagonal_."""

from rushlight.autograd import mode
from rushlight.ops.core.definition import function
from rushlight.ops.core.handlers import overridden
from rushlight.ops.core.in_place import overwrite
from rushlight.ops.core.kinds import kernel
from rushlight.ops.core.outputs import own_method
from rushlight.ops.core.replays import replayed
from rushlight.ops.core.rules import zeros
from rushlight.ops.index.along_dim import filled
from rushlight.ops.tensor.array_dtypes import as_scalar
from rushlight.tensor import Tensor, method, short


def _checked(x, value):
    if getattr(value, "ndim", 0):
        raise RuntimeError(
            f"fill_ only supports 0-dimension value tensor but got tensor with {value.ndim} "
            "dimensions."
        )
    return {}


def _fill_into(out, value):
    out.fill(as_scalar(value, out.dtype))


@kernel(public=False, method=False, name="fill", widen=False, prepare=_checked,
        keeps_order="like")  # fmt: skip
def _fill(xp, x, value):
    """Return an array with the shape and dtype of ``x``, filled with ``value``."""
    return xp.full_like(x, as_scalar(value, x.dtype))


_fill.lower(lambda x, value: (
    value.to(x.dtype).expand(x.shape)
    if isinstance(value, Tensor)
    else x.new_full(x.shape, filled(x, value))
))  # fmt: skip
_fill.grad(x=zeros, value=lambda g: g.sum())


@function(method=False)
def fill(input, value):
    """Return a tensor with the shape and dtype of ``input``, filled with ``value``.

    Args:
        value: Number or 0-dim tensor.

    Returns:
        Tensor of ``input``'s shape.

    Raises:
        RuntimeError: ``value`` is a tensor with dims, or the dtype cannot hold it.

    >>> import rushlight as torch
    >>> torch.fill(torch.zeros(2), 3)
    tensor([3., 3.])
    """
    return _fill(input, value)


@method
@replayed(writes=True)
def fill_(self, value):
    """Write ``value`` into every element.

    Args:
        value: Number or 0-dim tensor.

    Raises:
        RuntimeError: ``value`` is a tensor with dims, or the dtype cannot hold it.

    >>> import rushlight as torch
    >>> torch.zeros(2).fill_(3)
    tensor([3., 3.])
    """
    if (own := own_method(self, "fill_")) is not None:
        return own(self, value)
    uniform = not isinstance(value, Tensor)  # PyTorch takes a number into an expanded tensor
    return overwrite(self, _fill, (value,), {}, _fill_into, uniform=uniform)


@kernel(public=False, method=False, name="zero", widen=False)
def zero(xp, x):
    """Return zeros with the shape and dtype of ``x``."""
    return xp.zeros_like(x)


zero.lower(lambda x: x.new_zeros(x.shape))
zero.grad(x=zeros)


def _zero_into(out):
    _fill_into(out, 0)


@short
@method
@replayed(writes=True)
def zero_(self):
    """Set every element to 0.

    >>> import rushlight as torch
    >>> torch.ones(2).zero_()
    tensor([0., 0.])
    """
    if not isinstance(self, Tensor):
        raise TypeError(f"zero_(): argument 'input' must be Tensor, not {type(self).__name__}")
    if (own := own_method(self, "zero_")) is not None:
        return own(self)
    if mode.intercept > mode.metas:
        found = overridden(zero_, (self,), {})
        if found is not NotImplemented:
            return found
    return overwrite(self, zero, (), {}, _zero_into, uniform=True)


@method
def fill_diagonal_(self, fill_value, wrap=False):
    """Write ``fill_value`` into the main diagonal.

    The tensor has two dims, or more dims that are all equally long.

    Args:
        fill_value: Number or 0-dim tensor.
        wrap: Write further diagonals below the first into a matrix with more rows than columns.
            One row without a diagonal lies between them. Default: False.

    Raises:
        RuntimeError: The tensor has fewer than two dims, or more than two that differ in size.

    >>> import rushlight as torch
    >>> torch.zeros(2, 3).fill_diagonal_(5)
    tensor([[5., 0., 0.],
            [0., 5., 0.]])
    """
    shape = self._array.shape
    if len(shape) < 2:
        raise RuntimeError("fill_diagonal_: dimensions must larger than 1")
    if len(shape) > 2 and len(set(shape)) > 1:
        raise RuntimeError(
            f"fill_diagonal_: all dimensions of input must be of equal length, not {tuple(shape)}"
        )
    strides = self.stride()
    step = sum(strides)
    self.as_strided((min(shape),), (step,)).fill_(fill_value)
    if wrap and len(shape) == 2 and shape[0] > shape[1] + 1:
        rows, columns = shape
        start = columns + 1
        while start < rows:
            self[start:].as_strided((min(columns, rows - start),), (step,)).fill_(fill_value)
            start += columns + 1
    return self
