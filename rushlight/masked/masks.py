"""Masks: which elements of a tensor count, and the values that stand for the others.

A masked function fills the masked-out elements with the identity of its operation, such as 0 for
a sum. The unmasked operation then gives the masked result, and the gradient of the masked-out
elements is 0.
"""

import rushlight
from rushlight import shapes
from rushlight.docstrings.sentences import BY_KIND, RETURNS
from rushlight.dtype import bool as bool_
from rushlight.dtype import iinfo, uint8
from rushlight.ops.tensor.memory_format import strided

__all__ = [
    "dims", "filled", "highest", "identity", "input_mask", "lowest", "opened", "output_mask",
    "require_strided",
]  # fmt: skip

#: The functions of ``torch.masked`` by the shape of their results.
ALONG = frozenset({"cumprod", "cumsum", "log_softmax", "normalize", "softmax", "softmin"})
REDUCTIONS = frozenset({
    "amax", "amin", "argmax", "argmin", "logsumexp", "mean", "median", "norm", "prod", "std", "sum",
    "var",
})  # fmt: skip

_MASK = "Bool tensor, broadcast to ``input``'s shape: True where an element counts. Default: all."
BY_KIND["masked reduction"] = {
    "input": "Tensor of any shape ``(*)``, or a MaskedTensor, whose own mask then counts.",
    "dim": "The dim or dims (tuple) to reduce; negative ones count from the end. Default: all.",
    "keepdim": "Keep the dims that are reduced, with size 1. Default: False.",
    "dtype": "The dtype of the result. Default: that of the unmasked function.",
    "mask": _MASK,
}
BY_KIND["masked along"] = {
    **BY_KIND["masked reduction"],
    "dim": "The dim along which the function works. Negative dims count from the end.",
}
RETURNS["masked reduction"] = RETURNS["reduction"]
RETURNS["masked along"] = "Tensor of ``input``'s shape."


def require_strided(x, name):
    """Raise ValueError unless ``x`` is a strided tensor."""
    if x.layout is not strided:
        raise ValueError(f"masked {name} expects strided tensor (got {x.layout} tensor)")


def dims(dim, ndim):
    """Return ``dim`` (None, an int, or ints) as a sorted tuple of dims counted from the front."""
    if dim is None or dim == ():
        return tuple(range(ndim))
    return tuple(sorted(shapes.dims(dim, max(ndim, 1), "masked")))


def opened(input, mask, name, sparse=False):
    """Return the data of ``input`` and the mask that counts, broadcast to the data's shape.

    The mask is None if all elements count. A MaskedTensor's own mask comes before ``mask``. The
    mask gets the layout of the data. ``sparse``: data of sparse layouts are allowed.
    """
    if hasattr(input, "get_mask"):
        input, mask = input.get_data(), input.get_mask()
    if not sparse:
        require_strided(input, name)
    if mask is None:
        return input, None
    if mask.ndim > input.ndim:
        raise IndexError(
            f"masked {name}: the mask must be broadcastable to the input, but it has {mask.ndim} "
            f"dims and the input has {input.ndim}"
        )
    if mask.layout is not strided or input.layout is not strided:
        from rushlight.masked.sparse import mask_like  # sparse tensors load when they are used

        return input, mask_like(mask, input)
    if mask.shape != input.shape:
        mask = rushlight.broadcast_to(mask, input.shape)
    return input, mask.to(bool_)


def input_mask(input, *args, mask=None, **kwargs):
    """Return ``mask`` as a bool tensor of ``input``'s shape and layout.

    Raises:
        ValueError: ``mask`` is None.
        IndexError: The mask has more dims than ``input``.

    >>> import rushlight as torch
    >>> torch.masked._input_mask(torch.ones(2, 2), mask=torch.tensor([True, False]))
    tensor([[ True, False],
            [ True, False]])
    """
    if mask is None:
        raise ValueError("_input_mask requires explicit mask")
    return opened(input, mask, "_input_mask", sparse=True)[1]


def output_mask(op, input, *args, mask=None, **kwargs):
    """Return which elements of ``op(input, *args, mask=mask, **kwargs)`` have a value.

    Args:
        op: A function of ``torch.masked``. An element of a reduction's result has a value if the
            mask is True somewhere in what it sums up.

    Raises:
        ValueError: ``op`` is another function.

    >>> import rushlight as torch
    >>> mask = torch.tensor([[True, False], [False, False]])
    >>> torch.masked._output_mask(torch.masked.sum, torch.ones(2, 2), dim=1, mask=mask)
    tensor([ True, False])
    """
    name = getattr(op, "__name__", type(op).__name__)
    found = input_mask(input, mask=mask)
    if name in ALONG:
        return found
    if name not in REDUCTIONS:
        raise ValueError(f"_output_mask expected masked operation (got {name})")
    rest = args[1:] if name == "norm" else args  # the first is the norm's order
    dim = rest[0] if rest else kwargs.get("dim")
    if input.ndim == 0:
        return found
    return found.any(dims(dim, input.ndim), keepdim=bool(kwargs.get("keepdim", False)))


def filled(input, mask, value, name):
    """Return the data of ``input`` with ``value(dtype, name)`` where elements are masked out."""
    input, mask = opened(input, mask, name)
    if mask is None:
        return input
    return rushlight.where(
        mask, input, rushlight.tensor(value(input.dtype, name), dtype=input.dtype)
    )


def identity(number):
    """Return the function that gives ``number`` for every dtype."""
    return lambda dtype, name: number


def lowest(dtype, name):
    """The identity of a maximum: -inf, or the smallest integer."""
    return -float("inf") if dtype.is_floating_point else _limits(dtype, name).min


def highest(dtype, name):
    """The identity of a minimum: inf, or the largest integer."""
    return float("inf") if dtype.is_floating_point else _limits(dtype, name).max


def _limits(dtype, name):
    """The limits of an integer dtype; bool and the larger unsigned dtypes have no identity."""
    if dtype.is_complex or dtype.is_signed or dtype is uint8:
        return iinfo(dtype)  # raises TypeError for complex dtypes
    raise NotImplementedError(f"identity of {name} on {dtype} input")
