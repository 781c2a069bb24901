"""Operations that change a tensor's shape: view, reshape, flatten, squeeze, unsqueeze.

They return views of the same memory where the strides allow one; ``reshape`` otherwise copies.
"""

from numpy import ndarray

from rushlight import shapes
from rushlight.autograd import mode
from rushlight.autograd.tape import refresh
from rushlight.autograd.write import detached
from rushlight.backend import numpy as xp
from rushlight.backend.numpy import reshape_view
from rushlight.backend.sizes import large_from
from rushlight.dtype import OF, from_python
from rushlight.dtype import dtype as dtype_type
from rushlight.errors import ShapeError
from rushlight.ops.core.argument_kinds import Parameter, takes, unfit
from rushlight.ops.core.definition import function
from rushlight.ops.core.fast_path import plain, taped, viewed
from rushlight.ops.core.handlers import overridden
from rushlight.ops.core.kinds import kernel, view
from rushlight.ops.core.replays import replayed
from rushlight.storage import geometry, offset, settled, strided, strides_of
from rushlight.strides import copied
from rushlight.tensor import Tensor, from_array, short

# Reshaping --------------------------------------------------------------------------------


def infer_size(shape, numel, name="view"):
    """Return ``shape`` with its -1, if any, replaced so that the shape has ``numel`` elements."""
    if len(shape) == 1 and isinstance(shape[0], (tuple, list)):
        shape = tuple(shape[0])
    known = shapes.numel(shape) if type(shape) is tuple else None
    if type(known) is int:  # plain ints only
        if known == numel and known > 0 and (not shape or min(shape) > 0):
            return shape
        if known < 0 and numel % known == 0 and min(shape) == -1 and shape.count(-1) == 1:
            i = shape.index(-1)
            return (*shape[:i], numel // -known, *shape[i + 1 :])
    return _infer_size(shape, numel, name)


def _infer_size(shape, numel, name):
    try:
        shape = tuple([n.__index__() for n in shape])
    except (AttributeError, TypeError):
        raise TypeError(f"{name}(): argument 'shape' must be tuple of ints, not {shape}") from None
    if -1 not in shape:
        if shapes.numel(shape) == numel and (not shape or min(shape) >= 0):
            return shape
    elif shape.count(-1) == 1 and min(shape) == -1:
        i = shape.index(-1)
        known = -shapes.numel(shape)
        if known and numel % known == 0:
            return (*shape[:i], numel // known, *shape[i + 1 :])
    _refuse_size(shape, numel, name)


def _refuse_size(shape, numel, name):
    if shape.count(-1) > 1:
        raise ShapeError(
            f"{name}: only one dimension can be inferred, but {shape.count(-1)} in {shape} are -1"
        )
    if shape and min(shape) < -1:
        raise ShapeError(f"{name}: invalid shape dimension {min(shape)} in {shape}")
    if -1 in shape and 0 in shape and not numel:
        raise ShapeError(
            f"{name}: cannot reshape tensor of {numel} elements into shape {list(shape)} because "
            "the unspecified dimension size -1 can be any value and is ambiguous"
        )
    known = abs(shapes.numel(shape))
    need = f"a multiple of {known}" if -1 in shape else f"{known}"
    raise ShapeError(
        f"{name}: shape '{list(shape)}' is invalid for input of size {numel}: it needs {need}"
    )


def _sized(x, *, shape):
    return {"shape": infer_size(shape, x.size)}


@view(public=False, method=False, name="view", prepare=_sized, by_layout=True)
def _view(xp, x, *, shape):
    """Return the same elements in another shape, without a copy."""
    if x.flags.c_contiguous and 1 not in x.shape:
        return x.reshape(shape)
    found = reshape_view(x, shape)
    if found is None:
        raise ValueError(
            f"view size {list(shape)} is not compatible with input tensor's size {list(x.shape)} "
            "and stride (at least one dimension spans across two contiguous subspaces). Use "
            ".reshape(...) instead."
        )
    if 1 in x.shape and x.size:
        # NumPy keeps the old strides of dims of size 1, while PyTorch computes new ones.
        strides = view_strides(x.shape, x.strides, shape)
        return found if strides == found.strides else strided(x, shape, strides)
    return found


def view_strides(shape, strides, new_shape):
    """Return the strides that PyTorch gives to a view in ``new_shape``.

    The view must be possible without a copy, and must have elements.
    """
    out = [0] * len(new_shape)
    at = len(new_shape) - 1
    inner = strides[-1] if strides else 0
    numel = seen = 1
    for d in range(len(shape) - 1, -1, -1):
        numel *= shape[d]
        if d and (shape[d - 1] == 1 or strides[d - 1] == numel * inner):
            continue
        while at >= 0 and (seen < numel or new_shape[at] == 1):
            out[at] = seen * inner
            seen *= new_shape[at]
            at -= 1
        if d:
            inner = strides[d - 1]
            numel = seen = 1
    return tuple(out)


_view.grad(x=lambda g, x_shape: g.reshape(x_shape))
_alias = view(
    _view.op.forward, public=False, method=False, name="reshape_alias", prepare=_sized,
    by_layout=True,
)  # fmt: skip
_alias.grad(x=lambda g, x_shape: g.reshape(x_shape))


def _same_or_divisible(x, *, dtype):
    have, want = x.itemsize, dtype.itemsize
    if have == want:
        return {"dtype": dtype}
    names = f"{OF[x.dtype]} as {OF[dtype]} (different element sizes)"
    if not x.ndim:
        raise ShapeError(f"view: self.dim() cannot be 0 to view {names}")
    last = strides_of(x)[-1] // have
    if last != 1:
        raise ShapeError(f"view: self.stride(-1) must be 1 to view {names}, but got {last}")
    if want > have:
        _check_ratio(x, want // have, names)
    return {"dtype": dtype}


def _check_ratio(x, ratio, names):
    pairs = [("self.size(-1)", x.shape[-1])]
    if isinstance(x, ndarray):
        pairs.append(("self.storage_offset()", offset(x)))
    pairs += [(f"self.stride({d})", s // x.itemsize) for d, s in enumerate(strides_of(x)[:-1])]
    for what, n in pairs:
        if n % ratio:
            raise ShapeError(
                f"view: {what} must be divisible by {ratio} to view {names}, but got {n}"
            )


@view(public=False, method=False, name="view_dtype", prepare=_same_or_divisible,
      by_layout=True, primitive="memory")  # fmt: skip
def _view_dtype(xp, x, *, dtype):
    """Return the same bytes as elements of ``dtype``, which is a NumPy dtype."""
    return settled(x).view(dtype)


def _bytes_as(x, dtype):
    """Return ``x.view(dtype)``.

    For autograd, the result is a new tensor and no view of x: a write to it is not recorded in
    the history of x.
    """
    if not mode.intercept and x.view_of is None:
        array = x._array
        found = from_array(settled(array).view(_same_or_divisible(array, dtype=dtype)["dtype"]))
        found.cell = x.cell
        return found
    found = _view_dtype(x, dtype)
    if not found.view_of.lazy:
        found.view_of = None
    return found


@short
@replayed
def view_method(self, *shape, dtype=None, size=None):
    """Return a view of the tensor's memory in another shape or dtype.

    Args:
        *shape: The shape of the result: a tuple of ints, or several ints. One size may be -1: it is
            computed from the others. A dtype in its place is taken as ``dtype``.
        dtype: View the same bytes as elements of this dtype. If its elements have another size, the
            size of the last dim changes.
        size: Another name of ``shape``.

    Returns:
        Tensor of the given shape or dtype, which shares the memory.

    Raises:
        RuntimeError: The shape has another number of elements, or only a copy can have it.
            ``reshape`` copies in the second case.

    >>> import rushlight as torch
    >>> x = torch.zeros(2, 3)
    >>> x.view(3, -1).shape, x.view(torch.int32).dtype
    (torch.Size([3, 2]), torch.int32)
    """
    if mode.intercept > mode.metas:
        named = {k: v for k, v in (("dtype", dtype), ("size", size)) if v is not None}
        found = overridden(Tensor.view, (self, *shape), named)
        if found is not NotImplemented:
            return found
    if size is not None:
        shape = (size,)
    if dtype is None and len(shape) == 1 and isinstance(shape[0], (dtype_type, type)):
        dtype, shape = shape[0], ()
    dtype = from_python(dtype)
    if dtype is not None and not shape:
        if not isinstance(dtype, dtype_type):
            raise TypeError(
                f"view() received an invalid combination of arguments - got ({dtype!r})"
            )
        # As in PyTorch, the result is detached from the history even if the dtype is the same.
        same = dtype.numpy == self._array.dtype
        return detached(self) if same else _bytes_as(self, dtype.numpy)
    if not shape:
        raise TypeError("view() received an invalid combination of arguments - got ()")
    return seen_as(self, infer_size(shape, self._array.size, "view"))


view_method.__name__ = view_method.__qualname__ = "view"
Tensor.view = view_method


_MANY = large_from(2048)  # elements from which on ``copied`` is worth its overhead


def _sized_copy(x, *, shape):
    return {"shape": infer_size(shape, x.size, "reshape")}


@kernel(
    public=False, method=False, name="reshape", widen=False, grad_name="UnsafeViewBackward0",
    prepare=_sized_copy, shape=lambda x, shape: shape, primitive="view", moves=True,
)  # fmt: skip
def _reshape_copy(xp, x, *, shape):
    """Return a copy of the elements in another shape."""
    if type(x) is ndarray and x.size >= _MANY and not x.flags.c_contiguous:
        return copied(x).reshape(shape)
    return xp.ascontiguousarray(x).reshape(shape)


_reshape_copy.grad(x=lambda g, x_shape: g.reshape(x_shape))


@short
@function(method=False)
@replayed
def reshape(input, shape):
    """Return ``input`` in another shape: a view if the strides allow one, otherwise a copy.

    Args:
        shape: The shape of the result: a tuple of ints. One size may be -1: it is computed from the
            others.

    Returns:
        Tensor of the given shape, with the elements in the same order.

    Raises:
        RuntimeError: The shape has another number of elements.

    >>> import rushlight as torch
    >>> torch.arange(6).reshape(2, -1)
    tensor([[0, 1, 2],
            [3, 4, 5]])
    """
    if mode.intercept or not isinstance(input, Tensor):
        found = overridden(reshape, (input, shape), {})
        if found is not NotImplemented:
            return found
    array = tensor_array(input, "reshape")
    if type(shape) is int:
        raise TypeError(unfit("reshape", Parameter("shape", "shape"), 2, shape))
    shape = infer_size((shape,), array.size, "reshape")
    array = geometry(array)
    if array.flags.c_contiguous:
        return seen_as(input, shape)
    return (_copied if reshape_view(array, shape) is None else _alias)(input, shape)


def _copied(x, shape):
    """Return a copy of the tensor ``x`` in ``shape``, which has the same number of elements."""
    if mode.intercept:
        return _reshape_copy(x, shape)
    op, array = _reshape_copy.op, plain(x)
    found = op.forward(xp, array, shape=shape)
    return taped(op, found, (x.node,), (array.shape, shape), (None, None))


def seen_as(x, shape):
    """Return the view of ``x`` in ``shape``, which must have the same number of elements."""
    if mode.intercept:
        return _view(x, shape)
    if x.view_of is not None:
        refresh(x)
    try:
        array = _view.op.forward(xp, x._array, shape=shape)
    except ValueError as error:
        raise ShapeError(f"view: {error} (x {tuple(x._array.shape)})") from None
    return viewed(_view.op, x, array, {"shape": shape})


@short
@replayed
def _reshape_method(self, *shape, **named):
    """Return the tensor in another shape, as ``torch.reshape`` does.

    Args:
        *shape: The shape of the result: a tuple of ints, or several ints. One size may be -1: it is
            computed from the others.
        **named: ``shape`` as a keyword.

    Returns:
        Tensor of the given shape: a view if the strides allow one, otherwise a copy.

    >>> import rushlight as torch
    >>> torch.arange(6).reshape(2, -1).shape
    torch.Size([2, 3])
    """
    if mode.intercept > mode.metas:
        found = overridden(Tensor.reshape, (self, *shape), named)
        if found is not NotImplemented:
            return found
    if named:
        shape = (named.pop("shape"),) if "shape" in named else shape
    if not shape or named:
        raise TypeError('reshape() missing 1 required positional arguments: "shape"')
    return reshape(self, shape[0] if len(shape) == 1 and type(shape[0]) is not int else shape)


_reshape_method.__name__ = _reshape_method.__qualname__ = "reshape"
Tensor.reshape = _reshape_method


def tensor_array(input, name, argument="input"):
    """Return the array of a tensor; raise TypeError if ``input`` is not a tensor."""
    if not isinstance(input, Tensor):
        raise TypeError(
            f"{name}(): argument '{argument}' must be Tensor, not {type(input).__name__}"
        )
    return input._array


@function(public=False)
def reshape_as(self, other):
    """Return the tensor in the shape of another, as ``reshape`` does.

    Args:
        other: Tensor that has the shape of the result.

    Returns:
        Tensor of ``other``'s shape: a view if the strides allow one, otherwise a copy.

    >>> import rushlight as torch
    >>> torch.arange(6).reshape_as(torch.zeros(2, 3)).shape
    torch.Size([2, 3])
    """
    return reshape(self, tuple(tensor_array(other, "reshape_as", "other").shape))


@function
def ravel(input):
    """Return all elements in one dim: a view if the tensor is contiguous, otherwise a copy.

    Returns:
        Tensor ``(n,)`` with the n elements of ``input``.

    >>> import rushlight as torch
    >>> torch.zeros(2, 2).ravel()
    tensor([0., 0., 0., 0.])
    """
    n = tensor_array(input, "ravel").size
    return seen_as(input.contiguous(), (n,))


@function
def flatten(input, start_dim=0, end_dim=-1):
    """Merge consecutive dims into one.

    Args:
        start_dim: The first dim to merge. Negative dims count from the end. Default: 0.
        end_dim: The last dim to merge. Default: the last dim of ``input``.

    Returns:
        Tensor in which the product of the merged sizes stands for them: a view if the strides allow
        one, otherwise a copy. A 0-dim tensor becomes 1-dim.

    Raises:
        RuntimeError: ``start_dim`` comes after ``end_dim``.

    >>> import rushlight as torch
    >>> torch.zeros(2, 3, 4).flatten(1).shape
    torch.Size([2, 12])
    """
    shape = tensor_array(input, "flatten").shape
    first = shapes.dim(start_dim, len(shape), "flatten")
    last = shapes.dim(end_dim, len(shape), "flatten")
    if first > last:
        raise ShapeError(
            f"flatten: start_dim {start_dim} cannot come after end_dim {end_dim} in {tuple(shape)}"
        )
    if first == last and shape:
        return input
    merged = shapes.numel(shape[first : last + 1])
    return reshape(input, (*shape[:first], merged, *shape[last + 1 :]))


@function(kinds={"dim": "any", "sizes": "shape"})
def unflatten(input, dim, sizes):
    """Split one dim into several, as a view.

    Args:
        dim: The dim to split. Negative dims count from the end.
        sizes: The new sizes, whose product is the size of ``dim``: a tuple of ints. One size may be
            -1: it is computed from the others.

    Returns:
        Tensor of ``input``'s shape with ``sizes`` in the place of ``dim``.

    Raises:
        RuntimeError: The product of ``sizes`` is not the size of ``dim``.

    >>> import rushlight as torch
    >>> torch.zeros(2, 12).unflatten(1, (3, -1)).shape
    torch.Size([2, 3, 4])
    """
    shape = tensor_array(input, "unflatten").shape
    dim = shapes.dim(dim, len(shape), "unflatten")
    if not shape:
        raise RuntimeError("unflatten: Dimension specified as 0 but tensor has no dimensions")
    sizes = tuple(sizes)
    if not sizes:
        raise ShapeError("unflatten: sizes must be non-empty")
    try:
        sizes = infer_size(sizes, shape[dim], "unflatten")
    except ShapeError as error:
        raise ShapeError(
            f"unflatten: sizes {list(sizes)} don't multiply up to the size of dim {dim} "
            f"({shape[dim]}) in the input tensor: {error}"
        ) from None
    return _view(input, (*shape[:dim], *sizes, *shape[dim + 1 :]))


@function(public=False)
def view_as(self, other):
    """Return a view in the shape of another tensor, as ``view`` does.

    Args:
        other: Tensor that has the shape of the result.

    Returns:
        Tensor of ``other``'s shape, which shares the memory.

    >>> import rushlight as torch
    >>> torch.arange(6).view_as(torch.zeros(2, 3)).shape
    torch.Size([2, 3])
    """
    return _view(self, tuple(tensor_array(other, "view_as", "other").shape))


# Dims of size 1 ---------------------------------------------------------------------------


def _new_dim(x, *, dim):
    return {"dim": shapes.dim(dim, x.ndim + 1, "unsqueeze")}


@view(prepare=_new_dim)
def unsqueeze(xp, x, *, dim):
    """Return a view of ``input`` with a new dim of size 1.

    Args:
        dim: Position of the new dim in the result. Negative positions count from the result's end.

    Returns:
        Tensor of ``input``'s shape with a 1 at position ``dim``.

    Raises:
        IndexError: ``dim`` is out of range.

    >>> import rushlight as torch
    >>> torch.zeros(3).unsqueeze(0).shape
    torch.Size([1, 3])
    """
    shape = x.shape
    if x.flags.c_contiguous and x.size and 1 not in shape:
        return x.reshape((*shape[:dim], 1, *shape[dim:]))
    strides = strides_of(x)
    step = shape[dim] * strides[dim] if dim < len(shape) else x.itemsize
    return strided(x, (*shape[:dim], 1, *shape[dim:]), (*strides[:dim], step, *strides[dim:]))


unsqueeze.grad(x=lambda g, x_shape: g.reshape(x_shape))


@view(public=False, method=False, name="squeeze")
def _squeeze_all(xp, x):
    """Return x without its dims of size 1."""
    return x.squeeze()


_squeeze_all.grad(x=lambda g, x_shape: g.reshape(x_shape))
_squeeze_all.op.batching = lambda x: x.squeeze([d for d in range(1, x.ndim) if x.shape[d] == 1])


def _squeezable(x, *, dim):
    chosen = shapes.dims(dim, x.ndim, "squeeze") if isinstance(dim, int) or dim else ()
    return {"dim": tuple([d for d in chosen if x.shape[d] == 1])}


def _squeezer(name, grad_name):
    def squeeze_dims(xp, x, *, dim):
        """Return x without the dims ``dim``, which all have size 1."""
        return x.squeeze(dim)

    made = view(
        squeeze_dims, public=False, method=False, name=name, prepare=_squeezable,
        grad_name=grad_name,
    )  # fmt: skip
    made.grad(x=lambda g, x_shape: g.reshape(x_shape))
    return made


_squeeze_dim = _squeezer("squeeze_dim", "SqueezeBackward1")
_squeeze_dims = _squeezer("squeeze_dims", "SqueezeBackward2")


@function
@takes("input", "input, dim: int", "input, dim: shape")
def squeeze(input, dim=None):
    """Return a view of ``input`` without its dims of size 1.

    Args:
        dim: The dim or dims (tuple) to remove; those of another size than 1 stay. Negative dims
            count from the end. The method also takes several ints. Default: all dims of size 1.

    Returns:
        Tensor of ``input``'s shape without the removed dims.

    >>> import rushlight as torch
    >>> torch.zeros(1, 3, 1).squeeze().shape, torch.zeros(1, 3, 1).squeeze(0).shape
    (torch.Size([3]), torch.Size([3, 1]))
    """
    if dim is None:
        return _squeeze_all(input)
    return (_squeeze_dims if isinstance(dim, (tuple, list)) else _squeeze_dim)(input, dim)
