"""Sequences of several lengths: packed for recurrent networks, or padded to one length."""

from collections import namedtuple
from itertools import pairwise

import rushlight
from rushlight.tensor import Tensor

__all__ = [
    "PackedSequence", "invert_permutation", "pack_padded_sequence", "pack_sequence",
    "pad_packed_sequence", "pad_sequence", "unpack_sequence", "unpad_sequence",
]  # fmt: skip


class PackedSequence(
    namedtuple("PackedSequence_", "data batch_sizes sorted_indices unsorted_indices")
):
    """Sequences of several lengths, step after step, without padding.

    Attributes:
        data: The elements (rows, …): the first of every sequence, then the second, and so on.
        batch_sizes: For each step how many sequences have an element, int64.
        sorted_indices: The order by length in which the sequences lie; None for their own.
        unsorted_indices: What brings them back into their own order.

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
        """The same sequences with other elements."""
        found = PackedSequence(data, *self[1:])
        found.__dict__.update(self.__dict__)
        return found

    def pin_memory(self):
        """The sequences themselves: memory of the CPU is never pinned here."""
        return self.with_data(self.data.pin_memory())

    def to(self, *args, **kwargs):
        """The sequences with elements of another dtype or device, as ``Tensor.to``."""
        data = self.data.to(*args, **kwargs)
        return self if data is self.data else self.with_data(data)

    def cuda(self, *args, **kwargs):
        """The sequences on a CUDA device.

        Raises:
            RuntimeError: there is none.
        """
        return self.to(*args, **{"device": "cuda", **kwargs})

    def cpu(self, *args, **kwargs):
        """The sequences on the CPU."""
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
        """Whether the elements are on a CUDA device."""
        return self.data.is_cuda

    def is_pinned(self):
        """Whether the elements are in pinned memory."""
        return self.data.is_pinned()


def sizes_of(packed):
    """``batch_sizes`` as Python's own numbers, also in a trace of one that was packed there."""
    sizes = packed.__dict__.get("sizes")
    return tuple(packed.batch_sizes.tolist()) if sizes is None else sizes


def invert_permutation(permutation):
    """The permutation that undoes ``permutation``; None of None.

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
    """Sequences packed that were padded to one length.

    ``enforce_sorted``: they must come with the longest first; False sorts them.

    Shape: input (steps, batch, …), or (batch, steps, …) with ``batch_first``; lengths (batch), a
    list or a tensor.

    Raises:
        RuntimeError: a length is 0 or more than there are steps; their order or number is wrong.

    >>> import rushlight as torch
    >>> x = torch.tensor([[1, 2, 0], [3, 4, 5]])
    >>> rnn = torch.nn.utils.rnn
    >>> rnn.pack_padded_sequence(x, [2, 3], batch_first=True, enforce_sorted=False)
    PackedSequence(data=tensor([3, 1, 4, 2, 5]), batch_sizes=tensor([2, 2, 1]), \
sorted_indices=tensor([1, 0]), unsorted_indices=tensor([1, 0]))
    """
    ns = [int(n) for n in (lengths.tolist() if isinstance(lengths, Tensor) else lengths)]
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
            f"`enforce_sorted` is True: {shape}. Pass enforce_sorted=False"
        )
    if ns[0] > input.shape[0]:
        raise RuntimeError(f"pack_padded_sequence: a length is more than there are steps: {shape}")


def pad_packed_sequence(sequence, batch_first=False, padding_value=0.0, total_length=None):
    """(the sequences padded to one length, their lengths): the inverse of pack_padded_sequence.

    Shape: → (steps, batch, …), or (batch, steps, …) with ``batch_first``; (batch).

    Raises:
        ValueError: ``total_length`` is less than the longest.

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
                f"longest sequence, but got total_length={total_length} and {steps}"
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
    return found.index_select(0 if batch_first else 1, order), lengths.index_select(0, order)


def pack_sequence(sequences, enforce_sorted=True):
    """A list of sequences, each (length, …), packed.

    Raises:
        RuntimeError: they do not come with the longest first, and ``enforce_sorted`` is True.

    >>> import rushlight as torch
    >>> torch.nn.utils.rnn.pack_sequence([torch.tensor([1, 2]), torch.tensor([3])]).batch_sizes
    tensor([2, 1])
    """
    lengths = [s.shape[0] for s in sequences]
    return pack_padded_sequence(pad_sequence(sequences), lengths, enforce_sorted=enforce_sorted)


def unpack_sequence(packed_sequences):
    """The list of the sequences in a PackedSequence.

    >>> import rushlight as torch
    >>> rnn = torch.nn.utils.rnn
    >>> rnn.unpack_sequence(rnn.pack_sequence([torch.tensor([1, 2]), torch.tensor([3])]))
    [tensor([1, 2]), tensor([3])]
    """
    padded, lengths = pad_packed_sequence(packed_sequences, batch_first=True)
    return unpad_sequence(padded, lengths, batch_first=True)


# Padding ----------------------------------------------------------------------------------


def pad_sequence(sequences, batch_first=False, padding_value=0.0, padding_side="right"):
    """Sequences of several lengths as one tensor, padded to the longest.

    Shape: each (length, …) → (longest, batch, …), or (batch, longest, …) with ``batch_first``.

    Raises:
        RuntimeError: other dims differ; ``sequences`` cannot be gone through; ``padding_side`` is
            neither left nor right.

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
    """The list of the sequences in a padded tensor: the inverse of pad_sequence.

    Shape: padded_sequences (steps, batch, …), or (batch, steps, …) with ``batch_first``.

    >>> import rushlight as torch
    >>> x = torch.tensor([[1, 2], [3, 0]])
    >>> torch.nn.utils.rnn.unpad_sequence(x, torch.tensor([2, 1]), batch_first=True)
    [tensor([1, 2]), tensor([3])]
    """
    if not batch_first:
        padded_sequences = padded_sequences.transpose(0, 1)
    ns = lengths.tolist() if isinstance(lengths, Tensor) else lengths
    return [s[:n].clone() for s, n in zip(padded_sequences, ns, strict=True)]
