"""Differences, derivatives and integrals of sampled functions: diff, gradient, trapezoid."""

from numbers import Number

import numpy as np

from rushlight import shapes
from rushlight.backend.sizes import large_from
from rushlight.dtype import bool as bool_
from rushlight.dtype import uint8
from rushlight.errors import DimError, DtypeError, ShapeError
from rushlight.ops.core.argument_kinds import takes
from rushlight.ops.core.definition import function
from rushlight.ops.core.fast_path import on_arrays
from rushlight.ops.core.outputs import store
from rushlight.ops.create.filled import zeros
from rushlight.ops.shape.join import cat
from rushlight.tensor import Tensor

#: A call of NumPy for each column takes less time than its loop for each row of so few elements.
_SHORT, _LARGE = 16, large_from(1 << 11)

# Differences ------------------------------------------------------------------------------


def _check_joined(x, other, dim):
    """Raise unless ``other`` can be joined to ``x`` along ``dim``."""
    if other.ndim != x.ndim:
        raise ShapeError("diff expects prepend or append to be the same dimension as input")
    for i, (n, m) in enumerate(zip(x.shape, other.shape, strict=True)):
        if i != dim and n != m:
            raise ShapeError(
                "diff expects the shape of tensor to prepend or append to match that of input "
                f"except along the differencing dimension; input.size({i}) = {n}, but got "
                f"tensor.size({i}) = {m}"
            )


def _column_by_column(x):
    """The differences along the last dim of an array with short rows."""
    found = np.empty((*x.shape[:-1], x.shape[-1] - 1), x.dtype)
    for i in range(x.shape[-1] - 1):
        np.subtract(x[..., i + 1], x[..., i], found[..., i])
    return found


def _step(x, dim):
    """Each element along ``dim`` minus the one before. For bool: whether the two differ."""
    if dim == x.ndim - 1 and 1 < x.shape[-1] <= _SHORT and x.numel() >= _LARGE:
        found = on_arrays(_column_by_column, x, most=np.inf)
        if found is not None:
            return found
    count = max(x.shape[dim] - 1, 0)
    later, earlier = x.narrow(dim, x.shape[dim] - count, count), x.narrow(dim, 0, count)
    return later ^ earlier if x.dtype is bool_ else later - earlier


@function(kinds={"prepend": "Tensor", "append": "Tensor"})
def diff(input, n=1, dim=-1, prepend=None, append=None, *, out=None):
    """Subtract from each element along ``dim`` the one before it, ``n`` times over.

    For bool tensors, the difference tells whether the two elements differ.

    Args:
        input: Tensor of at least one dim.
        n: How often the differences are taken. Default: 1.
        prepend, append: Tensor that is joined to ``input`` before or after it along ``dim``. It has
            ``input``'s shape, except along ``dim``. Default: none.

    Returns:
        Tensor of the shape of the joined tensors, with ``n`` elements fewer along ``dim``.

    Raises:
        RuntimeError: ``input`` has no dims, ``n`` is negative, or the shapes do not fit.

    >>> import rushlight as torch
    >>> torch.diff(torch.tensor([1, 4, 9, 16]))
    tensor([3, 5, 7])
    """
    if not input.ndim:
        raise ShapeError("diff expects input to be at least one-dimensional")
    if n < 0:
        raise RuntimeError(f"order must be non-negative but got {n}")
    dim = shapes.dim(dim, input.ndim, "diff")
    for other in (prepend, append):
        if other is not None:
            _check_joined(input, other, dim)
    found = input
    if n:
        parts = [t for t in (prepend, input, append) if t is not None]
        found = cat(parts, dim) if len(parts) > 1 else input
    for _ in range(min(n, found.shape[dim])):
        found = _step(found, dim)
    if out is not None:
        return store(out, found, "diff", casts=True)
    return found if n else found.clone()


# Derivatives ------------------------------------------------------------------------------


def _at(x, dim, start, count):
    return x.narrow(dim, start, count)


def _even(x, dim, h, edge_order):
    """The derivative along ``dim`` of samples that are ``h`` apart."""
    n = x.shape[dim]
    middle = (_at(x, dim, 2, n - 2) - _at(x, dim, 0, n - 2)) / h / 2
    f = [_at(x, dim, i, 1) for i in range(edge_order + 1)]
    b = [_at(x, dim, n - 1 - i, 1) for i in range(edge_order + 1)]
    if edge_order == 1:
        first, last = (f[1] - f[0]) / h, (b[0] - b[1]) / h
    else:
        first = (-1.5 * f[0] + 2 * f[1] - 0.5 * f[2]) / h
        last = (1.5 * b[0] - 2 * b[1] + 0.5 * b[2]) / h
    return cat((first, middle, last), dim)


def _uneven(x, dim, places, edge_order):
    """The derivative along ``dim`` of samples at the coordinates ``places``.

    Source: Fornberg, Generation of finite difference formulas on arbitrarily spaced grids,
    Mathematics of Computation 51 (1988): the weights of three points.
    """
    n = x.shape[dim]
    gaps = _step(places, 0)
    gap = gaps.reshape([-1 if i == dim else 1 for i in range(x.ndim)])
    left, right = _at(gap, dim, 0, n - 2), _at(gap, dim, 1, n - 2)
    both = left + right
    middle = (
        -right / (left * both) * _at(x, dim, 0, n - 2)
        + (right - left) / (left * right) * _at(x, dim, 1, n - 2)
        + left / (right * both) * _at(x, dim, 2, n - 2)
    )
    f = [_at(x, dim, i, 1) for i in range(edge_order + 1)]
    b = [_at(x, dim, n - 1 - i, 1) for i in range(edge_order + 1)]
    h = [gaps[i] for i in range(edge_order)]
    k = [gaps[n - 2 - i] for i in range(edge_order)]
    if edge_order == 1:
        first, last = (f[1] - f[0]) / h[0], (b[0] - b[1]) / k[0]
    else:
        first, last = _edge(f, *h), -_edge(b, *k)
    return cat((first, middle, last), dim)


def _edge(f, h, k):
    """The derivative at the first of three samples ``f``, whose distances are ``h`` and ``k``."""
    both = h + k
    return -(h + both) / (h * both) * f[0] + both / (h * k) * f[1] - h / (k * both) * f[2]


def _is_number(spacing):
    return isinstance(spacing, Number) or (isinstance(spacing, Tensor) and not spacing.ndim)


def _check_spacing(spacing):
    """Raise unless ``spacing`` is a number, or a list of numbers or of tensors."""
    if spacing is None or _is_number(spacing):
        return
    for kind in (Tensor, Number):
        if isinstance(spacing, (tuple, list)) and all(isinstance(s, kind) for s in spacing):
            return
    raise TypeError(
        "gradient(): argument 'spacing' must be Number, tuple of Numbers or tuple of Tensors, not "
        f"{type(spacing).__name__}"
    )


def _spacings(input, spacing, dim, dims):
    """One number or tensor of coordinates for each of ``dims``."""
    if spacing is None or _is_number(spacing):
        return [1 if spacing is None else spacing] * len(dims)
    if len(spacing) != len(dims):
        if dim is None:
            wanted = f"to 'self.dim() = {input.ndim}', since dim argument was not given"
        else:
            wanted = f"to that of the dim argument, {len(dims)}"
        raise RuntimeError(
            "torch.gradient expected spacing to be unspecified, a scalar or a list of length "
            f"equal {wanted}, but got a list of length {len(spacing)}"
        )
    return spacing


@function(method=False, kinds={"spacing": "any", "dim": "ints", "edge_order": "int"})
def gradient(input, *, spacing=None, dim=None, edge_order=1):
    """Estimate the derivative of a sampled function along each of its dims.

    Inside, a derivative comes from the two neighbours of a sample (for uneven spacing from the
    sample, too). At the edges it comes from ``edge_order + 1`` samples.

    Args:
        input: Tensor of samples of any shape ``(*)``, not bool or uint8.
        spacing: Distance of the samples: a number, or one for each dim. Or their coordinates: a
            tensor (n) for each dim. Default: 1.
        dim: The dim or dims (tuple) along which to differentiate. Default: all.
        edge_order: Order of the estimate at the edges: 1 or 2. Default: 1.

    Returns:
        Tuple with a tensor of ``input``'s shape for each dim.

    Raises:
        RuntimeError: A dim has fewer than ``edge_order + 1`` samples, or ``spacing`` does not fit.

    >>> import rushlight as torch
    >>> torch.gradient(torch.tensor([1.0, 4.0, 9.0, 16.0]))
    (tensor([3., 4., 6., 7.]),)
    """
    _check_spacing(spacing)
    if input.dtype is uint8:
        raise DtypeError("torch.gradient does not support uint8 input.")
    if edge_order not in (1, 2):
        raise RuntimeError("torch.gradient only supports edge_order=1 and edge_order=2.")
    if dim is None:
        dims = tuple(range(input.ndim))
    else:
        dims = shapes.dims(dim, input.ndim, "gradient") if dim not in ((), []) else ()
        if not input.ndim and dim not in ((), []):
            raise DimError(f"Dimension specified as {dim} but tensor has no dimensions")
    found = []
    for d, s in zip(dims, _spacings(input, spacing, dim, dims), strict=True):
        if input.shape[d] <= edge_order:
            raise ShapeError(
                "torch.gradient expected each dimension size to be at least edge_order+1"
            )
        if not isinstance(s, Tensor) or s is spacing:
            found.append(_even(input, d, s, edge_order))
            continue
        if s.ndim != 1:
            raise ShapeError(
                "torch.gradient expected each element of spacing to have one dimension, but got "
                f"an element with {s.ndim} dimensions!"
            )
        if len(s) != input.shape[d]:
            raise ShapeError(
                f"torch.gradient: dim {d} has {input.shape[d]} samples, but its spacing has "
                f"{len(s)} coordinates; the sizes must match"
            )
        found.append(_uneven(input, d, s, edge_order))
    return tuple(found)


# Integrals --------------------------------------------------------------------------------


def _checked_dim(name, y, dim):
    """``dim`` counted from the front, if ``y`` has it."""
    if not y.ndim:
        raise DimError(f"{name}: Dimension specified as {dim} but tensor has no dimensions")
    return shapes.dim(dim, y.ndim, name)


def _check_samples(name, y, x, dx):
    """Raise if the samples ``y``, at ``x`` or ``dx`` apart, cannot be integrated."""
    if y.dtype is bool_ or (x is not None and x.dtype is bool_):
        which = "`y`" if x is None else "`x` or `y`"
        raise DtypeError(f"{name}: received a bool input for {which}, but bool is not supported")
    if isinstance(dx, complex):
        raise RuntimeError(f"{name}: Currently, we only support dx as a real number.")


def _gaps(name, x, y, dim):
    """The distances of the coordinates ``x``, in a shape that broadcasts with ``y``."""
    if x.ndim == 1:
        if x.shape[0] != y.shape[dim]:
            raise ShapeError(f"{name}: There must be one `x` value for each sample point")
        x = x.reshape([-1 if i == dim else 1 for i in range(y.ndim)])
    elif x.ndim < y.ndim:
        x = x.reshape((1,) * (y.ndim - x.ndim) + tuple(x.shape))
    return _step(x, dim)


def _sums(y, dim):
    """Each sample along ``dim`` plus the next."""
    count = max(y.shape[dim] - 1, 0)
    return y.narrow(dim, 0, count) + y.narrow(dim, y.shape[dim] - count, count)


def _trapezoid(name, y, x, dx, dim):
    dim = _checked_dim(name, y, dim)
    if not y.shape[dim]:
        return zeros([n for i, n in enumerate(y.shape) if i != dim], dtype=y.dtype)
    _check_samples(name, y, x, dx)
    if x is not None:
        return (_gaps(name, x, y, dim) * _sums(y, dim)).sum(dim) / 2
    # Both ends count half. The sum of all samples reads them once only.
    ends = y.select(dim, 0) + y.select(dim, -1)
    return (y.sum(dim) - ends * 0.5) * dx


@function(method=False)
@takes("y, x, *, dim: int=", "y, *, dx: Number=, dim: int=")
def trapezoid(y, x=None, *, dx=1, dim=-1):
    """Integrate sampled functions along ``dim`` by the trapezoidal rule.

    Args:
        y: Tensor of samples ``(*)`` of at least one dim, not bool.
        x: The samples' coordinates: a tensor with an element for each sample along ``dim``, or one
            that broadcasts with ``y``. Default: the samples are ``dx`` apart.
        dx: Distance of the samples: a real number. Default: 1.

    Returns:
        Tensor of ``y``'s shape without ``dim``; floating point for integers.

    Raises:
        RuntimeError: ``y`` or ``x`` is bool, or the shapes do not fit.

    >>> import rushlight as torch
    >>> torch.trapezoid(torch.tensor([1.0, 2.0, 4.0]), dx=2)
    tensor(9.)
    """
    return _trapezoid("trapezoid", y, x, dx, dim)


@function(method=False)
@takes("y, *, dx: float=, dim: int=", "y, x, *, dim: int=")
def trapz(y, x=None, *, dx=1, dim=-1):
    """Integrate by the trapezoidal rule: the former name of ``trapezoid``.

    Args:
        y, x, dx, dim: As for ``trapezoid``.

    Returns:
        Tensor of ``y``'s shape without ``dim``.

    >>> import rushlight as torch
    >>> torch.trapz(torch.tensor([1.0, 2.0, 4.0]))
    tensor(4.5000)
    """
    return _trapezoid("trapezoid", y, x, dx, dim)


@function(method=False)
@takes("y, x, *, dim: int=", "y, *, dx: Number=, dim: int=")
def cumulative_trapezoid(y, x=None, *, dx=1, dim=-1):
    """Integrate by the trapezoidal rule from the first sample to each of the others.

    Args:
        y, x, dx: As for ``trapezoid``.

    Returns:
        Tensor of ``y``'s shape with one element fewer along ``dim``; floating point for integers.

    Raises:
        RuntimeError: ``y`` or ``x`` is bool, or the shapes do not fit.

    >>> import rushlight as torch
    >>> torch.cumulative_trapezoid(torch.tensor([1.0, 2.0, 4.0]))
    tensor([1.5000, 4.5000])
    """
    name = "cumulative_trapezoid"
    _check_samples(name, y, x, dx)
    dim = _checked_dim(name, y, dim)
    if x is None:
        return (_sums(y, dim) * (dx / 2)).cumsum(dim)
    return (_gaps(name, x, y, dim) * _sums(y, dim)).cumsum(dim) / 2
