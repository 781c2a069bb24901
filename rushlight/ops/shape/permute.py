"""Operations that change the order of dims: transposes and permutations. All return views."""

import warnings

from numpy import ndarray

from rushlight import shapes
from rushlight.errors import ShapeError
from rushlight.ops.core.definition import function
from rushlight.ops.core.kinds import view
from rushlight.ops.index.slice import ALIAS, look
from rushlight.ops.shape.view import tensor_array
from rushlight.storage import strided, strides_of
from rushlight.tensor import Tensor


def _pair(x, *, dim0, dim1):
    n = x.ndim
    return {"dim0": shapes.dim(dim0, n, "transpose"), "dim1": shapes.dim(dim1, n, "transpose")}


@view(prepare=_pair, alias=("swapaxes", "swapdims"))
def transpose(xp, x, *, dim0, dim1):
    """Return a view of ``input`` with two dims exchanged.

    Args:
        dim0, dim1: The dims to exchange. Negative dims count from the end.

    Returns:
        Tensor of ``input``'s shape with the sizes of ``dim0`` and ``dim1`` exchanged.

    >>> import rushlight as torch
    >>> torch.zeros(2, 3, 4).transpose(0, 2).shape
    torch.Size([4, 3, 2])
    """
    if not x.size:
        order = list(range(x.ndim))
        order[dim0], order[dim1] = dim1, dim0
        return _turned_empty(x, order)
    return x.swapaxes(dim0, dim1) if x.ndim else x[...]


def _turned_empty(x, order):
    strides = strides_of(x)
    return strided(x, [x.shape[d] for d in order], [strides[d] for d in order])


transpose.grad(x=lambda g, dim0, dim1: swapped(g, dim0, dim1))
transpose.op.batching = lambda x, dim0, dim1: x.transpose(dim0 + 1, dim1 + 1) if x.ndim > 1 else x


def swapped(g, dim0, dim1):
    """Exchange two dims of ``g``, which is an array or a tensor."""
    return g.swapaxes(dim0, dim1) if g.ndim else g


def _at_most_2d(x):
    if x.ndim > 2:
        raise ShapeError(
            f"t: expects a tensor with <= 2 dimensions, but self is {x.ndim}D: {tuple(x.shape)}; "
            "use .mT, or transpose(dim0, dim1)"
        )
    return {}


@view(prepare=_at_most_2d, grad_name="TBackward0")
def t(xp, x):
    """Return the transpose of a matrix, as a view.

    Args:
        input: Tensor ``(n, m)``, or a tensor of 0 or 1 dims, whose shape stays the same.

    Returns:
        Tensor ``(m, n)``.

    Raises:
        RuntimeError: ``input`` has more than two dims.

    >>> import rushlight as torch
    >>> torch.zeros(2, 3).t().shape
    torch.Size([3, 2])
    """
    return x.T if x.size else _turned_empty(x, range(x.ndim)[::-1])


t.grad(x=lambda g: g.swapaxes(0, 1) if g.ndim == 2 else g)
t.op.batching = lambda x: x.transpose(1, 2) if x.ndim == 3 else x


def _permutation(x, *, dims):
    n = x.ndim
    if len(dims) != n:
        raise ShapeError(
            f"permute: input {tuple(x.shape)} has {n} dims, but the order {tuple(dims)} names "
            f"{len(dims)}; it must name each once"
        )
    return {"dims": shapes.dims(dims, n, "permute") if dims else ()}


@view(prepare=_permutation, varargs=True)
def permute(xp, x, *, dims):
    """Return a view of ``input`` with its dims in another order.

    Args:
        dims: The dims of ``input`` in their new order, each exactly once: a tuple of ints, or
            several ints. Negative dims count from the end.

    Returns:
        Tensor whose dim i is the dim ``dims[i]`` of ``input``.

    Raises:
        RuntimeError: ``dims`` does not name each dim exactly once.

    >>> import rushlight as torch
    >>> torch.zeros(2, 3, 4).permute(2, 0, 1).shape
    torch.Size([4, 2, 3])
    """
    return x.transpose(dims) if x.size else _turned_empty(x, dims)


permute.grad(x=lambda g, dims: g.transpose(_inverse(dims)) if type(g) is ndarray else
             permute(g, _inverse(dims)))  # fmt: skip
permute.op.batching = lambda x, dims: x.permute(0, *[d + 1 for d in dims])


def _inverse(dims):
    back = [0] * len(dims)
    for i, d in enumerate(dims):
        back[d] = i
    return tuple(back)


@function(alias="moveaxis", kinds={"source": "ints", "destination": "ints"})
def movedim(input, source, destination):
    """Return a view of ``input`` with some dims at other positions.

    The other dims keep their order.

    Args:
        source: The dims to move: int or ints. Negative dims count from the end.
        destination: Their new positions, as many as in ``source``. Negative positions count from
            the end.

    Returns:
        Tensor of ``input``'s sizes in the new order.

    Raises:
        RuntimeError: ``source`` and ``destination`` differ in length, or name a dim twice.

    >>> import rushlight as torch
    >>> torch.zeros(2, 3, 4).movedim(0, -1).shape
    torch.Size([3, 4, 2])
    """
    n = tensor_array(input, "movedim").ndim
    source, destination = [
        (d,) if not isinstance(d, (tuple, list)) else tuple(d) for d in (source, destination)
    ]
    if len(source) != len(destination):
        raise ShapeError(
            f"movedim: Invalid source or destination dims: source ({[*source]} dims) should "
            f"contain the same number of dims as destination ({[*destination]} dims)"
        )
    given = {"source": source, "destination": destination}
    source, destination = [[shapes.dim(d, n, "movedim") for d in dims] for dims in given.values()]
    for (name, as_given), dims in zip(given.items(), (source, destination), strict=True):
        if len(set(dims)) < len(dims):
            raise ShapeError(f"movedim: repeated dim in `{name}` ({[*as_given]})")
    if n == 0:
        return look(input, ALIAS, (...,))
    order = [d for d in range(n) if d not in source]
    for to, d in sorted(zip(destination, source, strict=True)):
        order.insert(to, d)
    return permute(input, order)


def _property(f):
    setattr(Tensor, f.__name__, property(f))
    return f


@_property
def T(self):
    """The transpose of a matrix, as a view.

    Tensors of another number of dims get all their dims reversed. This is deprecated; for batches
    of matrices use ``mT``.

    >>> import rushlight as torch
    >>> torch.tensor([[1, 2, 3]]).T
    tensor([[1],
            [2],
            [3]])
    """
    n = self._array.ndim
    if n == 2:
        return permute(self, (1, 0))
    warnings.warn(
        f"The use of `x.T` on tensors of dimension other than 2 ({n} here) is deprecated; use "
        "`x.mT` for batches of matrices, or `x.permute(*torch.arange(x.ndim - 1, -1, -1))`",
        stacklevel=2,
    )
    return permute(self, tuple(range(n - 1, -1, -1)))


def _matrices(x, name):
    n = x._array.ndim
    if n == 1:
        raise ShapeError(
            f"{name}: tensor.{name} is only supported on matrices or batches of matrices. Got "
            f"{n}-D tensor."
        )


@_property
def mT(self):
    """The tensor with its last two dims exchanged, so that each matrix of a batch is transposed.

    >>> import rushlight as torch
    >>> torch.zeros(5, 2, 3).mT.shape
    torch.Size([5, 3, 2])
    """
    _matrices(self, "mT")
    return transpose(self, -2, -1) if self._array.ndim else self


@_property
def H(self):
    """The conjugate transpose of a matrix.

    >>> import rushlight as torch
    >>> torch.tensor([[1j, 2]]).H
    tensor([[0.-1.j],
            [2.-0.j]])
    """
    if self._array.ndim not in (0, 2):
        raise ShapeError(
            f"H: tensor.H is only supported on matrices (2-D tensors). Got {self._array.ndim}-D "
            "tensor."
        )
    return _adjoint(self)


@_property
def mH(self):
    """The conjugate transpose of each matrix in the last two dims.

    >>> import rushlight as torch
    >>> torch.zeros(5, 2, 3).mH.shape
    torch.Size([5, 3, 2])
    """
    _matrices(self, "mH")
    return _adjoint(self)


@function
def adjoint(input):
    """Return the conjugate transpose of each matrix in the last two dims, as a view.

    Args:
        input: Tensor ``(*, m, n)``, or a 0-dim tensor.

    Returns:
        Tensor ``(*, n, m)``.

    Raises:
        RuntimeError: ``input`` has only one dim.

    >>> import rushlight as torch
    >>> torch.adjoint(torch.tensor([[1j, 2]]))
    tensor([[0.-1.j],
            [2.-0.j]])
    """
    tensor_array(input, "adjoint")
    return input.mH


def _adjoint(x):
    turned = transpose(x, -2, -1) if x._array.ndim else x
    return turned.conj() if x.dtype.is_complex else turned
