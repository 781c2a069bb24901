"""Sequences of different lengths, packed for recurrent networks or padded to one length."""

from collections import namedtuple
from itertools import pairwise

import rushlight
from rushlight.docstrings import document
from rushlight.tensor import Tensor

__all__ = [
    "PackedSequence", "invert_permutation", "pack_padded_sequence", "pack_sequence",
    "pad_packed_sequence", "pad_sequence", "unpack_sequence", "unpad_sequence",
]  # fmt: skip


class PackedSequence(
    namedtuple("PackedSequence_", "data batch_sizes sorted_indices unsorted_indices")
):
    """Sequences of different lengths, stored step by step without padding.

    The arguments are the fields of this named tuple.

    Args:
        data: Tensor ``(rows, *)``: the first element of every sequence, then the second, and so on.
            Without ``batch_sizes`` it must be the pair of both.
        batch_sizes: Tensor ``(steps,)``, int64: for each step, how many sequences are at least that
            long.
        sorted_indices: Tensor ``(batch,)``: the permutation that sorts the sequences by length, the
            longest first. Default: None, they were not sorted.
        unsorted_indices: Tensor ``(batch,)``: the inverse permutation, which restores the original
            order. Default: computed from ``sorted_indices``.

    >>> import rushlight as torch
    >>> rnn = torch.nn.utils.rnn
    >>> rnn.pack_sequence([torch.tensor([1, 2, 3]), torch.tensor([4, 5])]).data
    tensor([1, 4, 2, 5, 3])
    """

    def __new__(cls, data, batch_sizes=None, sorted_indices=None, unsorted_indices=None):
        if unsorted_indices is None:
            unsorted_indices = invert_permutation(sorted_indices)
        if batch_sizes is None:
            if not isinstance(data, (list, tuple)) or len(data) != 2:
                raise AssertionError(
                    "PackedSequence: without batch_sizes, data must be the pair of data and "
                    "batch_sizes"
                )
            data, batch_sizes = data
        return super().__new__(cls, data, batch_sizes, sorted_indices, unsorted_indices)

    def with_data(self, data):
        """Return sequences of the same lengths with the elements ``data``."""
        found = PackedSequence(data, *self[1:])
        found.__dict__.update(self.__dict__)
        return found

    def pin_memory(self):
        """Raise the error of ``Tensor.pin_memory``: there is no memory to pin."""
        return self.with_data(self.data.pin_memory())

    def to(self, *args, **kwargs):
        """Return the sequences with elements of another dtype or device; see ``Tensor.to``."""
        data = self.data.to(*args, **kwargs)
        return self if data is self.data else self.with_data(data)

    def cuda(self, *args, **kwargs):
        """Return the sequences on a CUDA device.

        Raises:
            RuntimeError: There is no CUDA device.
        """
        return self.to(*args, **{"device": "cuda", **kwargs})

    def cpu(self, *args, **kwargs):
        """Return the sequences on the CPU."""
        return self.to(*args, **{"device": "cpu", **kwargs})

    def double(self):
        return self.to(dtype=rushlight.float64)

    def float(self):
        return self.to(dtype=rushlight.float32)

    def half(self):
        return self.to(dtype=rushlight.float16)

    def long(self):
        return self.to(dtype=rushlight.int64)

    def int(self):
        return self.to(dtype=rushlight.int32)

    def short(self):
        return self.to(dtype=rushlight.int16)

    def char(self):
        return self.to(dtype=rushlight.int8)

    def byte(self):
        return self.to(dtype=rushlight.uint8)

    @property
    def is_cuda(self):
        """True if the elements are on a CUDA device."""
        return self.data.is_cuda

    def is_pinned(self):
        """True if the elements are in pinned memory."""
        return self.data.is_pinned()


def sizes_of(packed):
    """Return ``batch_sizes`` as a tuple of ints.

    In a trace the values of a tensor cannot be read, so sequences packed there keep the tuple.
    """
    sizes = packed.__dict__.get("sizes")
    return tuple(packed.batch_sizes.tolist()) if sizes is None else sizes


def invert_permutation(permutation):
    """Return the inverse of a permutation.

    Args:
        permutation: Integer tensor ``(n,)`` with the numbers from 0 to n - 1, or None.

    Returns:
        Tensor ``(n,)`` of the same dtype; None for None.

    >>> import rushlight as torch
    >>> torch.nn.utils.rnn.invert_permutation(torch.tensor([2, 0, 1]))
    tensor([1, 2, 0])
    """
    if permutation is None:
        return None
    places = rushlight.arange(permutation.numel(), device=permutation.device)
    return rushlight.empty_like(permutation).scatter_(0, permutation, places.to(permutation.dtype))


# Packing ----------------------------------------------------------------------------------


def pack_padded_sequence(input, lengths, batch_first=False, enforce_sorted=True):
    """Pack sequences that were padded to one length.

    Args:
        input: Tensor ``(steps, batch, *)``, or ``(batch, steps, *)`` with ``batch_first``.
        lengths: Tensor ``(batch,)`` or list: the number of elements of each sequence.

    Returns:
        ``PackedSequence``.

    Raises:
        RuntimeError: A length is 0 or larger than the number of steps, the lengths are not sorted,
            or their number is not the batch size.

    >>> import rushlight as torch
    >>> x = torch.tensor([[1, 2, 0], [3, 4, 5]])
    >>> rnn = torch.nn.utils.rnn
    >>> rnn.pack_padded_sequence(x, [2, 3], batch_first=True, enforce_sorted=False)
    PackedSequence(data=tensor([3, 1, 4, 2, 5]), batch_sizes=tensor([2, 2, 1]), \
sorted_indices=tensor([1, 0]), unsorted_indices=tensor([1, 0]))
    """
    ns = lengths.tolist() if isinstance(lengths, Tensor) else lengths
    if not isinstance(ns, (list, tuple)) or any(isinstance(n, (list, tuple)) for n in ns):
        raise RuntimeError(f"pack_padded_sequence: lengths must have one dim, but are {lengths}")
    ns = [int(n) for n in ns]
    order = None
    if not enforce_sorted:
        permutation = sorted(range(len(ns)), key=lambda i: -ns[i])
        ns = [ns[i] for i in permutation]
        order = rushlight.tensor(permutation, device=input.device)
        input = input.index_select(0 if batch_first else 1, order)
    if batch_first:
        input = input.transpose(0, 1)
    _check_lengths(input, ns)
    steps, batch = input.shape[:2]
    sizes = tuple([sum(n > t for n in ns) for t in range(ns[0])])
    rows = [t * batch + b for t, size in enumerate(sizes) for b in range(size)]
    data = input.reshape(steps * batch, *input.shape[2:])
    if len(rows) < len(data):
        data = data.index_select(0, rushlight.tensor(rows, device=input.device))
    packed = PackedSequence(data, rushlight.tensor(sizes), order)
    packed.__dict__["sizes"] = sizes
    return packed


def _check_lengths(input, ns):
    shape = f"input (steps, batch, …) is {tuple(input.shape)}, lengths are {ns}"
    if not input.numel():
        raise RuntimeError(f"pack_padded_sequence: Cannot pack empty tensors: {shape}")
    if len(ns) != input.shape[1]:
        raise RuntimeError(
            f"pack_padded_sequence: Expected `len(lengths)` to be equal to batch_size: {shape}"
        )
    if min(ns) <= 0:
        raise RuntimeError(
            f"pack_padded_sequence: Length of all samples has to be greater than 0: {shape}"
        )
    if any(a < b for a, b in pairwise(ns)):
        raise RuntimeError(
            "pack_padded_sequence: `lengths` array must be sorted in decreasing order when "
            f"`enforce_sorted` is True: {shape}. You can pass `enforce_sorted=False`"
        )
    if ns[0] > input.shape[0]:
        raise RuntimeError(f"pack_padded_sequence: a length is more than there are steps: {shape}")


def pad_packed_sequence(sequence, batch_first=False, padding_value=0.0, total_length=None):
    """Undo ``pack_padded_sequence``.

    Args:
        sequence: The ``PackedSequence``.
        total_length: Number of steps of the result. Default: the longest length.

    Returns:
        Tuple of two tensors: the sequences ``(steps, batch, *)``, or ``(batch, steps, *)`` with
        ``batch_first``, padded to one length, and their lengths ``(batch,)``, int64.

    Raises:
        ValueError: ``total_length`` is less than the longest length.

    >>> import rushlight as torch
    >>> rnn = torch.nn.utils.rnn
    >>> packed = rnn.pack_sequence([torch.tensor([1, 2, 3]), torch.tensor([4, 5])])
    >>> rnn.pad_packed_sequence(packed, batch_first=True, padding_value=-1)
    (tensor([[ 1,  2,  3],
            [ 4,  5, -1]]), tensor([3, 2]))
    """
    sizes = sizes_of(sequence)
    steps, batch = len(sizes), sizes[0]
    if total_length is not None:
        if total_length < steps:
            raise ValueError(
                "pad_packed_sequence: Expected total_length to be at least the length of the "
                f"longest sequence in input, but got total_length={total_length} and {steps}"
            )
        steps = total_length
    data = sequence.data
    places = [t * batch + b for t, size in enumerate(sizes) for b in range(size)]
    found = data
    if len(places) < steps * batch:
        found = data.new_full((steps * batch, *data.shape[1:]), padding_value)
        found = found.index_copy(0, rushlight.tensor(places, device=data.device), data)
    found = found.reshape(steps, batch, *data.shape[1:])
    if batch_first:
        found = found.transpose(0, 1)
    lengths = rushlight.tensor([sum(size > b for size in sizes) for b in range(batch)])
    order = sequence.unsorted_indices
    if order is None:
        return found, lengths
    # The lengths are on the CPU, also where the sequences are on another device.
    return found.index_select(0 if batch_first else 1, order), lengths[order.cpu()]


def pack_sequence(sequences, enforce_sorted=True):
    """Pack a list of sequences.

    Args:
        sequences: List of tensors ``(length, *)``, whose other dims are the same.

    Returns:
        ``PackedSequence``.

    Raises:
        RuntimeError: ``enforce_sorted`` is True, and the sequences are not sorted with the longest
            first.

    >>> import rushlight as torch
    >>> torch.nn.utils.rnn.pack_sequence([torch.tensor([1, 2]), torch.tensor([3])]).batch_sizes
    tensor([2, 1])
    """
    lengths = [s.shape[0] for s in sequences]
    return pack_padded_sequence(pad_sequence(sequences), lengths, enforce_sorted=enforce_sorted)


def unpack_sequence(packed_sequences):
    """Return the sequences in a PackedSequence.

    Args:
        packed_sequences: The ``PackedSequence``.

    Returns:
        List of tensors ``(length, *)``.

    >>> import rushlight as torch
    >>> rnn = torch.nn.utils.rnn
    >>> rnn.unpack_sequence(rnn.pack_sequence([torch.tensor([1, 2]), torch.tensor([3])]))
    [tensor([1, 2]), tensor([3])]
    """
    padded, lengths = pad_packed_sequence(packed_sequences, batch_first=True)
    return unpad_sequence(padded, lengths, batch_first=True)


# Padding ----------------------------------------------------------------------------------


def pad_sequence(sequences, batch_first=False, padding_value=0.0, padding_side="right"):
    """Pad sequences to the length of the longest and stack them into one tensor.

    Args:
        sequences: Iterable of tensors ``(length, *)``, whose other dims are the same.
        padding_side: Where the padding is added: ``"right"`` (default), after the elements, or
            ``"left"``, before them.

    Returns:
        Tensor ``(longest, batch, *)``, or ``(batch, longest, *)`` with ``batch_first``.

    Raises:
        RuntimeError: The other dims differ, ``sequences`` is not iterable, or ``padding_side`` is
            neither "left" nor "right".

    >>> import rushlight as torch
    >>> torch.nn.utils.rnn.pad_sequence([torch.tensor([1, 2]), torch.tensor([3])], True)
    tensor([[1, 2],
            [3, 0]])
    """
    if not hasattr(sequences, "__iter__"):
        raise RuntimeError(
            "pad_sequence: Expected iterable for input sequences, but got arg of type "
            f"{type(sequences).__name__}"
        )
    sequences = sequences.unbind(0) if isinstance(sequences, Tensor) else tuple(sequences)
    if padding_side not in ("left", "right"):
        raise RuntimeError(
            f"pad_sequence: Expected padding_side to be one of left or right, but got "
            f"{padding_side!r}"
        )
    if not sequences:
        raise RuntimeError("pad_sequence: received an empty list of sequences")
    longest = max(s.shape[0] for s in sequences)
    padded = [_to_length(s, longest, padding_value, padding_side == "left") for s in sequences]
    return rushlight.stack(padded, 0 if batch_first else 1)


def _to_length(sequence, length, value, left):
    missing = length - sequence.shape[0]
    if not missing:
        return sequence
    padding = sequence.new_full((missing, *sequence.shape[1:]), value)
    return rushlight.cat([padding, sequence] if left else [sequence, padding])


def unpad_sequence(padded_sequences, lengths, batch_first=False):
    """Undo ``pad_sequence``.

    Args:
        padded_sequences: Tensor ``(steps, batch, *)``, or ``(batch, steps, *)`` with
            ``batch_first``.
        lengths: Tensor ``(batch,)`` or list: the number of elements of each sequence.

    Returns:
        List of tensors ``(length, *)``.

    >>> import rushlight as torch
    >>> x = torch.tensor([[1, 2], [3, 0]])
    >>> torch.nn.utils.rnn.unpad_sequence(x, torch.tensor([2, 1]), batch_first=True)
    [tensor([1, 2]), tensor([3])]
    """
    if not batch_first:
        padded_sequences = padded_sequences.transpose(0, 1)
    ns = lengths.tolist() if isinstance(lengths, Tensor) else lengths
    return [s[:n].clone() for s, n in zip(padded_sequences, ns, strict=True)]


for _name in __all__:
    document(globals()[_name], "sequences")
