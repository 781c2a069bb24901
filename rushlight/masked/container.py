"""MaskedTensor: a tensor with a mask of the elements that count.

A MaskedTensor holds two tensors, the data and the mask, and hands every call to the functions of
plain tensors. The data records the history, so gradients need no rules of their own: a masked-out
element never reaches a result that shows it, and ``grad`` hides its gradient by the same mask.

Data and mask may be sparse (COO or CSR). Both then store the same places, and functions of single
elements work on the stored values.

The class is not a subclass of Tensor. A call that it does not know raises TypeError; a subclass
would run such a call on the data and lose the mask. Besides, a subclass of Tensor takes the fast
path from every operation of the program.
"""

import warnings
from collections.abc import Callable
from functools import partial
from typing import Any

import rushlight
from rushlight.dtype import bool as bool_
from rushlight.dtype import float16, float32, float64, int8, int16, int32, int64
from rushlight.errors import ArgumentError
from rushlight.masked import reductions
from rushlight.masked.names import (
    ANSWERS,
    BINARY,
    COMPARISONS,
    CONVERSIONS,
    DEFAULTS,
    MOVES,
    OPERATORS,
    PROPERTIES,
    REDUCTIONS,
    SIGNS,
    UNARY,
)
from rushlight.masked.printing import text
from rushlight.ops.tensor.memory_format import sparse_coo, sparse_csr, strided
from rushlight.tensor import Tensor

__all__ = ["MaskedTensor", "as_masked_tensor", "is_masked_tensor", "masked_tensor"]

DTYPES = (float16, float32, float64, bool_, int8, int16, int32, int64)


def is_masked_tensor(obj, /):
    """Return whether ``obj`` is a MaskedTensor.

    Args:
        obj: Any object.

    Returns:
        bool.

    >>> import rushlight as torch
    >>> torch.masked.is_masked_tensor(torch.ones(2))
    False
    """
    return isinstance(obj, MaskedTensor)


def masked_tensor(data, mask, requires_grad=False):
    """Make a MaskedTensor from copies of ``data`` and ``mask``. It is a leaf of the graph.

    Args:
        data: Tensor of any shape ``(*)``: strided, or sparse in the layout COO or CSR.
        mask: Bool tensor of ``data``'s shape and layout: True where an element counts.
        requires_grad: Record the result's use, for gradients. Default: False.

    Returns:
        MaskedTensor of ``data``'s shape.

    Raises:
        TypeError: An argument is not a Tensor, the layouts differ, the mask is not bool, or the
            dtype of ``data`` is none of float16, float32, float64, bool, and the signed integers.
        ValueError: The shapes differ, or sparse tensors store other places.

    >>> import rushlight as torch
    >>> torch.masked.masked_tensor(torch.tensor([1.0, 2.0]), torch.tensor([True, False]))
    MaskedTensor(
      [  1.0000,       --]
    )
    """
    return MaskedTensor(data, mask, requires_grad)


def as_masked_tensor(data, mask):
    """Make a MaskedTensor from ``data`` and ``mask`` that belongs to the history of ``data``.

    A backward pass through the result reaches ``data``. The gradient of a masked-out element is 0.

    Args:
        data: Tensor of any shape ``(*)``.
        mask: Bool tensor of ``data``'s shape: True where an element counts.

    Returns:
        MaskedTensor of ``data``'s shape.

    Raises:
        TypeError: An argument is not a Tensor, or has a dtype that ``masked_tensor`` refuses.
        ValueError: The shapes differ, or sparse tensors store other places.

    >>> import rushlight as torch
    >>> x = torch.tensor([1.0, 2.0], requires_grad=True)
    >>> torch.masked.as_masked_tensor(x, torch.tensor([True, False])).sum().backward()
    >>> x.grad
    tensor([1., 0.])
    """
    data, mask = _fitted(data, mask)
    return _made(_shielded(data, mask).clone(), mask)


def _fitted(data, mask):
    """Return ``data`` and ``mask``, checked; sparse ones store each place once, in order."""
    for name, x in (("data", data), ("mask", mask)):
        if not isinstance(x, Tensor):
            raise TypeError(f"{name} must be a Tensor")
    if data.layout is not mask.layout:
        raise TypeError("data and mask must have the same layout.")
    if data.layout not in (strided, sparse_coo, sparse_csr):
        raise TypeError(f"data layout of {data.layout} is not supported.")
    if data.layout is sparse_coo:
        data, mask = data.coalesce(), mask.coalesce()
    if data.layout is not strided and data._nnz() != mask._nnz() and data.shape == mask.shape:
        data = data.sparse_mask(mask)
    _check(data, mask)
    return data, mask


def _check(data, mask):
    """Raise unless ``data`` and ``mask`` make a MaskedTensor."""
    if mask.dtype is not bool_:
        raise TypeError("mask must have dtype bool.")
    if data.dtype not in DTYPES:
        raise TypeError(f"{data.dtype} is not supported in MaskedTensor.")
    if data.ndim != mask.ndim:
        raise ValueError("data.dim() must equal mask.dim()")
    if data.shape != mask.shape:
        raise ValueError("data.size() must equal mask.size()")
    if data.layout is not strided and not _same_places(data, mask):
        kind, places = (
            ("COO", "do not have the same indices")
            if data.layout is sparse_coo
            else ("CSR", "do not share either crow or col indices")
        )
        raise ValueError(f"data and mask are both sparse {kind} tensors but {places}.")


def _same_places(x, y):
    """Whether the sparse tensors ``x`` and ``y`` store the same places in the same order."""
    same = x.layout is y.layout and x.shape == y.shape
    return same and all(map(rushlight.equal, x.pattern, y.pattern))


def _made(data, mask):
    """A MaskedTensor over ``data`` itself and a copy of ``mask``, or a tuple or list of such."""
    if isinstance(data, (tuple, list)):
        return type(data)(map(_made, data, mask))
    data, mask = _fitted(data, mask)
    self = object.__new__(MaskedTensor)
    self._masked_data, self._masked_mask = data, mask.clone()
    return self


def _shielded(x, mask):
    """``x``, broadcast to the shape of ``mask``, without a gradient where the mask is False.

    ``where`` gives a gradient of exactly 0 there, even if the incoming one is nan.
    """
    if not x.requires_grad:
        return x
    return _applied(lambda x, mask: rushlight.where(mask, x, x.detach()), x, mask)


def _applied(function, *operands):
    """``function`` of the operands. Sparse operands take part with their values.

    The first sparse operand says at which places the result has values.
    """
    sparse = [x for x in operands if isinstance(x, Tensor) and x.layout is not strided]
    if not sparse:
        return function(*operands)
    for x in operands:
        if not isinstance(x, Tensor) or not x.ndim:
            continue
        if not _same_places(x, sparse[0]):
            raise TypeError(
                "a tensor beside a sparse MaskedTensor must be sparse in the same layout, and "
                "store the same places"
            )
    values = [x.stored if any(x is s for s in sparse) else x for x in operands]
    return sparse[0].with_values(function(*values))


def _opened(x, read):
    """``x`` with every MaskedTensor in it, also in lists and tuples, replaced by ``read`` of it."""
    if isinstance(x, MaskedTensor):
        return read(x)
    if isinstance(x, (list, tuple)):
        return type(x)([_opened(item, read) for item in x])
    return x


def _data(x):
    return _opened(x, lambda masked: masked._masked_data)


def _mask(x):
    return _opened(x, lambda masked: masked._masked_mask)


def _function(name, x=None):
    """The function of plain tensors of this name: a method, also of ``x``'s class, if it exists."""
    kind = type(x) if isinstance(x, Tensor) else Tensor
    return getattr(kind, name, None) or getattr(rushlight, name)


def _without_keywords(kind, params):
    """The given parameters; ValueError for keywords that PyTorch refuses here."""
    refused = [k for k, v in params.items() if k in DEFAULTS and v != DEFAULTS[k]]
    if refused:
        raise ValueError(
            f"MaskedTensor {kind} ops require that len(kwargs) == 0, but got {', '.join(refused)}"
        )
    return {k: v for k, v in params.items() if k not in DEFAULTS}


# The kinds of calls -----------------------------------------------------------------------


def _unary(name, x, *args, **params):
    params = _without_keywords("unary", params)
    if any(isinstance(a, (Tensor, MaskedTensor)) for a in (*args, *params.values())):
        raise TypeError("MaskedTensor unary ops do not support additional Tensor arguments")
    found = _applied(lambda data: _function(name)(data, *args, **params), _data(x))
    return _finished(name, x, found, _mask(x))


def _converted(name, x, *args, **params):
    return _made(_applied(lambda data: _function(name)(data, *args, **params), _data(x)), _mask(x))


def _binary(name, x, *others, **params):
    params = _without_keywords("binary", params)
    if len(others) + len(params) != 1:
        raise TypeError(
            "MaskedTensor binary ops do not support Tensor arguments aside from the lhs and rhs"
        )
    y = [*others, *params.values()][0]
    masks = [_mask(a) for a in (x, y) if isinstance(a, MaskedTensor)]
    if len(masks) == 2 and not _match(*masks):
        raise ValueError(
            "Input masks must match. If both should count, combine the masks first and make both "
            "operands with the combined mask."
        )
    mask, operands = masks[0], []
    for a in (x, y):
        plain = isinstance(a, Tensor) and a.requires_grad and not name.endswith("_")
        operands.append(_shielded(a, mask) if plain else _data(a))
    found = _applied(_function(name), *operands)
    kept = name.endswith("_") or mask.layout is not strided
    return _finished(name, x, found, mask if kept else mask.expand_as(found))


def _match(a, b):
    if a.layout is not strided or b.layout is not strided:
        return _same_places(a, b) and rushlight.equal(a.stored, b.stored)
    return a.ndim == b.ndim and bool((a == b).all())


def _finished(name, x, data, mask):
    """The result of a unary or binary function; a function that writes gives ``x`` itself."""
    if name.endswith("_"):
        if not isinstance(x, MaskedTensor):
            raise TypeError(f"{name}: a plain Tensor cannot take the elements of a MaskedTensor")
        _check(data, mask)
        return x
    return _made(data, mask)


def _moved(name, *args, **params):
    function = _function(name, *_data(args[:1]))
    data = function(*_data(args), **{k: _data(v) for k, v in params.items()})
    return _made(_copied(data), function(*_mask(args), **{k: _mask(v) for k, v in params.items()}))


def _copied(x):
    """Copies of a tensor or of several: no MaskedTensor is a view of another one."""
    return type(x)(map(_copied, x)) if isinstance(x, (tuple, list)) else x.clone()


def _where(name, condition, x, y):
    x, y = [_whole(part) if isinstance(part, Tensor) else part for part in (x, y)]
    if isinstance(condition, MaskedTensor) or not (is_masked_tensor(x) and is_masked_tensor(y)):
        raise TypeError("where: expected a Tensor, and then two Tensors or MaskedTensors")
    where = rushlight.where
    return _made(where(condition, _data(x), _data(y)), where(condition, _mask(x), _mask(y)))


def _whole(x):
    """A MaskedTensor over the plain tensor ``x``, of which all elements count."""
    return _made(x, rushlight.ones_like(x, dtype=bool_))


def _reduced(name, x, dim=None, keepdim=False, dtype=None):
    data, mask = _data(x), _mask(x)
    if data.layout is not strided:
        if dim is not None or keepdim or name.startswith("arg"):
            raise TypeError(f"{name}: a sparse MaskedTensor is reduced along all dims only")
        data, mask = data.stored, mask.stored
    every = tuple(range(mask.ndim)) if dim is None else dim
    if name == "all":
        found = data.masked_fill(~mask, True).all(every, keepdim=keepdim)
    else:
        found = getattr(reductions, name)(data, dim=dim, keepdim=keepdim, dtype=dtype, mask=mask)
    return _made(found, mask.any(every, keepdim=keepdim))


def _softmax(name, x, dim, dtype=None):
    return _made(rushlight.masked.softmax(_data(x), dim, dtype=dtype, mask=_mask(x)), _mask(x))


def _writing(names, without=()):
    return [n + "_" for n in names if n not in without and hasattr(Tensor, n + "_")]


_KINDS: list[tuple[Callable, list[str]]] = [
    (_unary, UNARY + _writing(UNARY, ("angle", "positive", "signbit", "isnan"))),
    (_binary, BINARY + _writing(BINARY) + ["copy_"]),
    (_converted, CONVERSIONS),
    (_moved, MOVES),
    (_reduced, REDUCTIONS),
    (_softmax, ["softmax"]),
    (_where, ["where"]),
]
#: What runs a function of plain tensors on MaskedTensors, by the function's name.
CALLS = {name: call for call, names in _KINDS for name in names}


class MaskedTensor:
    """A tensor with a mask: True where an element counts.

    Functions of one tensor keep the mask, functions of two need matching masks, and reductions
    skip what is masked out. Other functions raise TypeError; ``get_data`` and ``to_tensor`` give
    plain tensors, which every function takes.

    Args:
        data: Tensor of any shape ``(*)``; its elements are copied.
        mask: Bool tensor of ``data``'s shape.
        requires_grad: Record the use, for gradients. Default: False.

    >>> import rushlight as torch
    >>> x = torch.masked.MaskedTensor(torch.arange(3), torch.tensor([True, False, True]))
    >>> x.sum()
    MaskedTensor(2, True)
    """

    _masked_data: Any
    _masked_mask: Any

    def __init__(self, data, mask, requires_grad=False):
        data, mask = _fitted(data, mask)
        if data.requires_grad:
            warnings.warn(
                "It is not recommended to create a MaskedTensor with a tensor that requires_grad. "
                "To avoid this, you can use data.detach().clone()",
                UserWarning,
                stacklevel=2,
            )
        self._masked_data = data.detach().clone().requires_grad_(requires_grad)
        self._masked_mask = mask.clone()

    @classmethod
    def __torch_function__(cls, func, types, args=(), kwargs=None):
        """Run ``func`` if masks have a meaning for it; otherwise the caller raises TypeError."""
        call = CALLS.get(func.__name__)
        if call is None:
            return NotImplemented
        return call(func.__name__, *args, **(kwargs or {}))

    def __getattr__(self, name):
        if name in CALLS:
            return partial(CALLS[name], name, self)
        if name in ANSWERS:
            return getattr(self._masked_data, name)
        if name in PROPERTIES:
            return _made(getattr(self._masked_data, name).clone(), getattr(self._masked_mask, name))
        if hasattr(Tensor, name) and not name.startswith("_"):
            raise ArgumentError(  # an AttributeError, too, for ``hasattr``
                f"{name} is not implemented for MaskedTensor. get_data() and to_tensor(value) give "
                "plain tensors"
            )
        raise AttributeError(f"'MaskedTensor' object has no attribute '{name}'")

    # The two tensors ----------------------------------------------------------------------

    def get_data(self):
        """Return the data, masked-out elements included.

        Returns:
            Tensor that shares its memory with this object and belongs to its history.

        >>> import rushlight as torch
        >>> torch.masked.MaskedTensor(torch.arange(2), torch.tensor([True, False])).get_data()
        tensor([0, 1])
        """
        return _applied(lambda data: data.view_as(data), self._masked_data)

    def get_mask(self):
        """Return the mask.

        Returns:
            Bool tensor, not a copy.

        >>> import rushlight as torch
        >>> torch.masked.MaskedTensor(torch.arange(2), torch.tensor([True, False])).get_mask()
        tensor([ True, False])
        """
        return self._masked_mask

    def to_tensor(self, value):
        """Return the data with ``value`` in place of the elements that are masked out.

        Args:
            value: The number to write.

        Returns:
            Tensor of the same shape.

        >>> import rushlight as torch
        >>> torch.masked.MaskedTensor(torch.arange(2), torch.tensor([True, False])).to_tensor(9)
        tensor([0, 9])
        """
        if self.is_sparse:
            return self.to_dense().to_tensor(value)
        return self._masked_data.masked_fill(~self._masked_mask, value)

    # Layouts ------------------------------------------------------------------------------

    @property
    def is_sparse(self):
        """Whether data and mask are sparse."""
        return self.is_sparse_coo() or self.is_sparse_csr()

    def is_sparse_coo(self):
        """Return whether data and mask have the layout ``torch.sparse_coo``.

        >>> import rushlight as torch
        >>> torch.masked.MaskedTensor(torch.ones(1), torch.tensor([True])).is_sparse_coo()
        False
        """
        return self.layout is sparse_coo

    def is_sparse_csr(self):
        """Return whether data and mask have the layout ``torch.sparse_csr``.

        >>> import rushlight as torch
        >>> torch.masked.MaskedTensor(torch.ones(1), torch.tensor([True])).is_sparse_csr()
        False
        """
        return self.layout is sparse_csr

    def to_dense(self):
        """Return a MaskedTensor of strided data and mask. What was not stored is masked out.

        >>> import rushlight as torch
        >>> x = torch.masked.MaskedTensor(torch.arange(2), torch.tensor([False, True]))
        >>> x.to_sparse_coo().to_dense()
        MaskedTensor(
          [      --, 1]
        )
        """
        return _made(self._masked_data.to_dense(), self._masked_mask.to_dense())

    def _to_sparse(self, layout):
        if self.layout is layout:
            return self
        mask = self._masked_mask.to_dense().to_sparse(layout=layout)
        return _made(self._masked_data.to_dense().sparse_mask(mask), mask)

    def to_sparse_coo(self):
        """Return a MaskedTensor that stores only the elements that count, in the layout COO.

        >>> import rushlight as torch
        >>> x = torch.masked.MaskedTensor(torch.arange(2), torch.tensor([False, True]))
        >>> x.to_sparse_coo().get_data().values()
        tensor([1])
        """
        return self._to_sparse(sparse_coo)

    def to_sparse_csr(self):
        """Return a MaskedTensor that stores only the elements that count, in the layout CSR.

        >>> import rushlight as torch
        >>> x = torch.masked.MaskedTensor(torch.eye(2), torch.eye(2) > 0)
        >>> x.to_sparse_csr().get_data().values()
        tensor([1., 1.])
        """
        return self._to_sparse(sparse_csr)

    # Gradients ----------------------------------------------------------------------------

    @property
    def grad(self):
        """The gradient, a MaskedTensor with this object's mask; None before a backward pass."""
        found = self._masked_data.grad
        return None if found is None else _made(found, self._masked_mask)

    @grad.setter
    def grad(self, value):
        self._masked_data.grad = _data(value)

    def requires_grad_(self, requires_grad=True):
        """Set whether the use of this object is recorded, for gradients.

        Args:
            requires_grad: Record the use. Default: True.

        Returns:
            This object.

        >>> import rushlight as torch
        >>> x = torch.masked.MaskedTensor(torch.ones(2), torch.tensor([True, False]))
        >>> x.requires_grad_().requires_grad
        True
        """
        self._masked_data.requires_grad_(requires_grad)
        return self

    def retain_grad(self):
        """Let ``grad`` be kept although this object was computed from others.

        >>> import rushlight as torch
        >>> x = torch.masked.MaskedTensor(torch.ones(2), torch.tensor([True, False]), True)
        >>> y = x * 3
        >>> y.retain_grad()
        >>> y.sum().backward()
        >>> y.grad
        MaskedTensor(
          [  1.0000,       --]
        )
        """
        self._masked_data.retain_grad()

    def backward(self, gradient=None, retain_graph=None, create_graph=False):
        """Compute the gradients of the leaves that this object was computed from.

        Args:
            gradient: Tensor or MaskedTensor of the same shape. Default: 1, for one element.
            retain_graph, create_graph: As in ``torch.Tensor.backward``.

        >>> import rushlight as torch
        >>> x = torch.masked.MaskedTensor(torch.ones(2), torch.tensor([True, False]), True)
        >>> (x * 3).sum().backward()
        >>> x.grad
        MaskedTensor(
          [  3.0000,       --]
        )
        """
        self._masked_data.backward(_data(gradient), retain_graph, create_graph)

    # Python's own protocols ---------------------------------------------------------------

    def item(self):
        """Return the only element as a Python number.

        Returns:
            A number.

        Raises:
            RuntimeError: There is not exactly one element.
            ValueError: The element is masked out.

        >>> import rushlight as torch
        >>> torch.masked.MaskedTensor(torch.arange(2), torch.tensor([False, True])).sum().item()
        1
        """
        if self._masked_mask.numel() == 1 and not self._masked_mask.item():
            raise ValueError("item: the element of the MaskedTensor is masked out")
        return self._masked_data.item()

    def __bool__(self):
        return bool(self.item())

    def __int__(self):
        return int(self.item())

    def __float__(self):
        return float(self.item())

    def __len__(self):
        return len(self._masked_data)

    def __getitem__(self, index):
        return _moved("__getitem__", self, index)

    __hash__ = object.__hash__

    def __repr__(self):
        return text(self._masked_data.to_dense(), self._masked_mask.to_dense())


def _as_operand(x):
    return x if isinstance(x, (Tensor, MaskedTensor)) else rushlight.tensor(x)


def _operator(name, reflected=False):
    """The method of an operator that ``CALLS`` has by ``name``."""
    if reflected:
        return lambda self, other: CALLS[name](name, _as_operand(other), self)
    return lambda self, *other: CALLS[name](name, self, *other)


for _sign, _name in {**OPERATORS, **SIGNS, **{c: c for c in COMPARISONS}}.items():
    setattr(MaskedTensor, f"__{_sign}__", _operator(_name))
for _sign, _name in OPERATORS.items():
    setattr(MaskedTensor, f"__r{_sign}__", _operator(_name, reflected=True))
    if _name + "_" in CALLS:
        setattr(MaskedTensor, f"__i{_sign}__", _operator(_name + "_"))
