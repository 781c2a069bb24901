"""The functions of ``torch.nested`` that make nested tensors."""

import numpy as np

import rushlight
from rushlight.autograd import mode
from rushlight.errors import ArgumentError
from rushlight.meta import is_meta
from rushlight.nested import strided
from rushlight.nested.container import is_nested, refuse_trace
from rushlight.nested.jagged import jagged
from rushlight.nested.ragged import Ragged
from rushlight.ops.tensor.memory_format import jagged as jagged_layout
from rushlight.ops.tensor.memory_format import strided as strided_layout
from rushlight.tensor import Tensor, from_array

__all__ = [
    "as_nested_tensor", "masked_select", "narrow", "nested_tensor", "nested_tensor_from_jagged",
    "to_padded_tensor",
]  # fmt: skip


def nested_tensor(
    tensor_list, *, dtype=None, layout=None, device=None, requires_grad=False, pin_memory=False
):
    """Make a nested tensor, a leaf, from a copy of the tensors in a list.

    Args:
        tensor_list: Tensors, or what ``torch.tensor`` takes, with the same number of dims. With
            ``layout=torch.jagged`` they differ in the size of one dim at most.
        dtype: The dtype of the result. Default: that of the first tensor.
        layout: ``torch.jagged`` or ``torch.strided``. Default: ``torch.strided``, which has few
            functions.
        device: None or the CPU.
        requires_grad: Record operations on the result. Default: False.
        pin_memory: Accepted without effect.

    Returns:
        Nested tensor ``(B, …, j, …)`` of the ``B`` tensors.

    Raises:
        RuntimeError: The tensors differ in dtype, in the number of dims, or in the size of two
            dims; or the layout is another one.

    >>> import rushlight as torch
    >>> x = torch.nested.nested_tensor([torch.ones(2, 3), torch.ones(4, 3)], layout=torch.jagged)
    >>> x.size(0), x.size(2), x.offsets()
    (2, 3, tensor([0, 2, 6]))
    """
    if isinstance(tensor_list, Tensor) or not isinstance(tensor_list, (list, tuple)):
        raise TypeError(
            "nested_tensor(): argument 'tensor_list' must be a list of tensors, not "
            f"{type(tensor_list).__name__}"
        )
    _check_layout(layout, "nested tensors")
    with mode.no_grad():
        tensors = [_constituent(t) for t in tensor_list]
        found = _from_list(tensors, dtype, device, layout)
    return found.requires_grad_(requires_grad)


def _constituent(x):
    found = x if isinstance(x, Tensor) else rushlight.as_tensor(x)
    return found.detach()


def _check_layout(layout, of):
    if layout not in (None, strided_layout, jagged_layout):
        raise RuntimeError(f"Specified layout is unsupported for {of}: {layout}")


def _from_list(tensors, dtype, device, layout):
    if layout is jagged_layout:
        return _jagged_from_list(tensors, dtype, device)
    return strided.from_list(tensors, dtype, device)


def _jagged_from_list(tensors, dtype, device):
    if not tensors:
        raise RuntimeError("Cannot construct a nested tensor from an empty tensor list")
    for what, key in (("dtype", lambda t: t.dtype), ("dim", lambda t: t.ndim)):
        if len({key(t) for t in tensors}) != 1:
            raise RuntimeError(
                f"When constructing a nested tensor, all tensors in list must have the same {what}"
            )
    if not tensors[0].ndim:
        raise RuntimeError("Cannot construct a nested tensor from a list of zero-dim tensors")
    shapes = [t.shape for t in tensors]
    uneven = [d for d in range(tensors[0].ndim) if len({s[d] for s in shapes}) > 1]
    if len(uneven) > 1:
        raise RuntimeError(
            "Cannot represent given tensor list as a nested tensor with the jagged layout. Note "
            "that the jagged layout only allows for a single ragged dimension. For example: (B, "
            "*, D_0, D_1, ..., D_N), with ragged * dim."
        )
    axis = uneven[0] if uneven else 0
    values = _converted(rushlight.cat(tensors, axis), dtype, device)
    return jagged(values, Ragged.of_lengths([s[axis] for s in shapes]), axis + 1)


def _converted(values, dtype, device):
    return values.to(device=device, dtype=dtype) if dtype or device is not None else values


def as_nested_tensor(ts, dtype=None, device=None, layout=None):
    """Make a nested tensor that keeps the history of the tensors it is made from.

    Args:
        ts: A list of tensors; or a tensor ``(B, …)``, whose parts have one size; or a nested
            tensor of this layout, which is returned.
        dtype: The dtype of the result. Default: that of the first tensor.
        device: None or the CPU.
        layout: ``torch.jagged`` or ``torch.strided``. Default: ``torch.strided``, which has few
            functions.

    Returns:
        Nested tensor. Its memory is that of ``ts`` if this is one contiguous tensor.

    Raises:
        TypeError: ``ts`` is neither a tensor nor a list of tensors.
        RuntimeError: As for ``nested_tensor``; or a nested tensor has another layout.

    >>> import rushlight as torch
    >>> a, b = torch.ones(2, requires_grad=True), torch.ones(3, requires_grad=True)
    >>> x = torch.nested.as_nested_tensor([a, b], layout=torch.jagged)
    >>> (x * 5).values().sum().backward()
    >>> b.grad
    tensor([5., 5., 5.])
    """
    listed = isinstance(ts, (list, tuple)) and all(isinstance(t, Tensor) for t in ts)
    if not isinstance(ts, Tensor) and not listed:
        raise TypeError(
            "as_nested_tensor(): Expected first argument to be a tensor or a list / tuple of "
            "tensors"
        )
    if is_nested(ts):
        if layout is not ts.layout:
            raise RuntimeError(
                "as_nested_tensor(): Converting between nested tensor layouts is not supported"
            )
        return _converted(ts, dtype, device)
    _check_layout(layout, "nested tensors")
    if listed:
        return _from_list(list(ts), dtype, device, layout)
    if ts.ndim < 2:
        raise RuntimeError("as_nested_tensor(): Expected tensor argument to have dim() > 1")
    if layout is not jagged_layout:
        return strided.from_list(list(ts.unbind()), dtype, device)
    values = _converted(ts.contiguous().flatten(0, 1), dtype, device)
    return jagged(values, Ragged.of_lengths([ts.shape[1]] * ts.shape[0]))


def nested_tensor_from_jagged(
    values, offsets=None, lengths=None, jagged_dim=None, min_seqlen=None, max_seqlen=None
):
    """Make a jagged nested tensor that shares the memory and the history of its values.

    Args:
        values: Tensor ``(sum of lengths, *)``: the sequences, one after the other.
        offsets: Int tensor ``(B + 1,)``: where each sequence begins, and the end.
        lengths: Int tensor ``(B,)``. With ``offsets`` there may be gaps between the sequences.
        jagged_dim: The ragged dim, counted with the batch. Default: 1.
        min_seqlen: The smallest length, if it is known. Default: it is computed when needed.
        max_seqlen: The greatest length, if it is known. Default: it is computed when needed.

    Returns:
        Nested tensor ``(B, j, *)``.

    Raises:
        RuntimeError: Neither ``offsets`` nor ``lengths`` is given, or they do not fit the values.
        ValueError: ``jagged_dim`` is less than 1.

    >>> import rushlight as torch
    >>> x = torch.nested.nested_tensor_from_jagged(torch.arange(5), torch.tensor([0, 2, 5]))
    >>> x.unbind()
    (tensor([0, 1]), tensor([2, 3, 4]))
    """
    refuse_trace("nested_tensor_from_jagged")
    if offsets is None and lengths is None:
        raise RuntimeError(
            "nested_tensor_from_jagged(): At least one of offsets or lengths is required."
        )
    ragged = 1 if jagged_dim is None else int(jagged_dim)
    if ragged < 1:
        raise ValueError(f"Expected jagged_dim >=1, but got {jagged_dim}.")
    if is_nested(values) or not isinstance(values, Tensor):
        raise ArgumentError("nested_tensor_from_jagged(): argument 'values' must be a dense Tensor")
    if offsets is None:
        _check_ints("lengths", lengths)
        offsets, lengths = rushlight.nn.functional.pad(lengths.cumsum(0), (1, 0)), None
    _check_pattern(values, offsets, lengths, ragged)
    return jagged(values.view_as(values), Ragged(offsets, lengths, min_seqlen, max_seqlen), ragged)


def _check_ints(name, t):
    if not isinstance(t, Tensor) or t.ndim != 1 or t.dtype.is_floating_point:
        raise RuntimeError(f"nested_tensor_from_jagged(): {name} must be a 1D tensor of ints")


def _check_pattern(values, offsets, lengths, ragged):
    """Refuse offsets that do not ascend, or that lie outside of the values."""
    _check_ints("offsets", offsets)
    if ragged > values.ndim:
        raise RuntimeError(
            f"nested_tensor_from_jagged(): jagged_dim {ragged} is out of range for values of shape "
            f"{tuple(values.shape)}"
        )
    if is_meta(offsets):
        return
    ends, total = offsets._array, values.shape[ragged - 1]
    if not len(ends):
        raise RuntimeError("nested_tensor_from_jagged(): offsets must have at least one element")
    if lengths is None:
        fits = (np.diff(ends) >= 0).all() and ends[0] >= 0 and ends[-1] <= total
    else:
        _check_ints("lengths", lengths)
        counts = lengths._array
        if len(counts) != len(ends) - 1:
            raise RuntimeError(
                "offsets and lengths batch sizes must match: offsets.shape[0] - 1 = "
                f"{len(ends) - 1}, lengths.shape[0] = {len(counts)}"
            )
        starts = ends[:-1]
        fits = (counts >= 0).all() and (starts >= 0).all() and (starts + counts <= total).all()
    if not fits:
        raise RuntimeError(
            "nested_tensor_from_jagged(): the offsets and lengths do not fit the size "
            f"{total} of the values at dim {ragged - 1}: offsets {ends.tolist()}"
            + ("" if lengths is None else f", lengths {lengths._array.tolist()}")
        )


def narrow(tensor, dim, start, length, layout=None):
    """Make a nested tensor of a part of each row of a dense tensor.

    Args:
        tensor: Dense tensor ``(B, N, *)``.
        dim: The dim that is cut. It is 1 for ``layout=torch.jagged``.
        start: Where each part begins: an int or an int tensor ``(B,)``.
        length: The length of each part: an int or an int tensor ``(B,)``.
        layout: ``torch.jagged``, which shares the memory of ``tensor``; or ``torch.strided``, which
            takes ints only. Default: ``torch.strided``.

    Returns:
        Nested tensor ``(B, j, *)``.

    Raises:
        RuntimeError: ``start`` or ``length`` are of another type or shape, or reach too far.

    >>> import rushlight as torch
    >>> x = torch.arange(6).view(2, 3)
    >>> y = torch.nested.narrow(x, 1, torch.tensor([0, 1]), torch.tensor([3, 1]), torch.jagged)
    >>> y.unbind()
    (tensor([0, 1, 2]), tensor([4]))
    """
    refuse_trace("narrow")
    for name, given in (("start", start), ("length", length)):
        if not isinstance(given, (int, np.integer, Tensor)):
            raise RuntimeError(f"{name} must be an integer or a tensor")
    _check_layout(layout, "nested narrow")
    if layout is not jagged_layout:
        if isinstance(start, Tensor) or isinstance(length, Tensor):
            raise RuntimeError("start and length must be integers for the strided layout NT impl")
        parts = [row.narrow(dim - (dim > 0), start, length) for row in tensor.unbind()]
        return strided.from_list(parts, None, None)
    if dim != 1:
        raise RuntimeError("jagged layout only supports dim=1")
    if tensor.ndim < 2:
        raise RuntimeError("tensor must at least be 2D for the nested narrow op to work")
    batch, n = tensor.shape[:2]
    starts, counts = (_per_row(t, batch) for t in (start, length))
    if (starts < 0).any() or (counts < 0).any() or (starts + counts > n).any():
        raise RuntimeError(
            f"narrow(): start {starts.tolist()} and length {counts.tolist()} reach beyond the size "
            f"{n} of dim 1"
        )
    starts = starts + n * np.arange(batch)
    values = tensor.view(-1, *tensor.shape[2:])
    longest, shortest = int(counts.max(initial=0)), int(counts.min()) if batch else 0
    joined = (starts[:-1] + counts[:-1] == starts[1:]).all()
    if batch and joined and starts[0] + counts[0] == n:
        values = values[int(starts[0]) : int(starts[-1] + counts[-1])]
        offsets = np.append(starts, starts[-1] + counts[-1]) - starts[0]
        return jagged(values, Ragged(from_array(offsets), None, shortest, longest))
    offsets = np.append(starts, starts[-1:] + counts[-1:])
    pattern = Ragged(from_array(offsets), from_array(counts.copy()), shortest, longest)
    return jagged(values, pattern)


def _per_row(given, batch):
    array = given._array if isinstance(given, Tensor) else np.int64(given)
    try:
        return np.broadcast_to(array, (batch,)).astype(np.int64)
    except ValueError:
        raise RuntimeError(
            "When constructing a jagged nested tensor using narrow(), your start and length must "
            "be Tensors that broadcast to input.shape[0]"
        ) from None


def masked_select(tensor, mask):
    """Make a nested tensor of the elements of each row at which a mask is True.

    Args:
        tensor: Dense tensor ``(*, N)``.
        mask: Bool tensor that broadcasts to the shape of ``tensor``.

    Returns:
        Jagged nested tensor ``(B, j)``, where ``B`` is the number of rows.

    Raises:
        RuntimeError: One of the two is no dense tensor.

    >>> import rushlight as torch
    >>> x = torch.tensor([[1, 2, 3], [4, 5, 6]])
    >>> torch.nested.masked_select(x, x % 4 != 1).unbind()
    (tensor([2, 3]), tensor([4, 6]))
    """
    refuse_trace("masked_select")
    for what, t in (("tensor", tensor), ("mask", mask)):
        if t.layout is not strided_layout or is_nested(t):
            raise RuntimeError(
                f"torch.nested.masked_select requires a strided {what}, given {t.layout}"
            )
    values = tensor.masked_select(mask)
    counts = mask.expand(tensor.shape).sum(tensor.ndim - 1).view(-1)
    offsets = rushlight.nn.functional.pad(counts.cumsum(0), (1, 0))
    return jagged(values, Ragged(offsets))


def to_padded_tensor(input, padding, output_size=None, out=None):
    """Return a nested tensor as a dense one, where ``padding`` fills up the shorter sequences.

    Args:
        input: Nested tensor ``(B, j, *)``.
        padding: The number that stands where there is no element.
        output_size: The shape of the result. Default: the smallest that holds all elements.
        out: None; there is no rule for another value.

    Returns:
        Dense tensor ``(B, greatest length, *)``.

    Raises:
        RuntimeError: There are gaps between the sequences, or ``output_size`` does not fit.
        TypeError: ``input`` is not nested.

    >>> import rushlight as torch
    >>> x = torch.nested.nested_tensor([[1, 2], [3]], layout=torch.jagged)
    >>> torch.nested.to_padded_tensor(x, 0)
    tensor([[1, 2],
            [3, 0]])
    """
    if not is_nested(input):
        raise TypeError("to_padded_tensor(): argument 'input' must be a nested tensor")
    return type(input).RULES["to_padded_tensor"](input, padding, output_size, out=out)
