"""Collectives on Python objects, which travel as pickles in tensors of bytes."""

import io
import pickle

import numpy as np

from rushlight import late
from rushlight.distributed import collectives, point_to_point
from rushlight.distributed.collectives import member, root_in_group
from rushlight.distributed.telling import told
from rushlight.dtype import int64, uint8
from rushlight.tensor import from_array

__all__ = [
    "all_gather_object", "broadcast_object_list", "gather_object", "recv_object_list",
    "scatter_object_list", "send_object_list",
]  # fmt: skip


def to_bytes(obj):
    """The pickle of ``obj`` as a tensor of bytes, and its length as a tensor."""
    buffer = io.BytesIO()
    pickle.Pickler(buffer).dump(obj)
    data = np.frombuffer(bytearray(buffer.getvalue()), np.uint8)
    return from_array(data), from_array(np.array([data.size], np.int64))


def to_object(data, size):
    """The object in the first ``size`` bytes of a tensor."""
    return pickle.loads(data[: int(size)].numpy().tobytes())


def _zeros(size, dtype=uint8):
    return late.framework.zeros(int(size), dtype=dtype, device="cpu")


def _sizes(pg, size):
    found = [_zeros(1, int64) for _ in range(pg.size())]
    collectives.all_gather(found, size, group=pg)
    return [int(n) for n in found]


def _padded(data, size):
    wide = _zeros(size)
    wide[: len(data)] = data
    return wide


@told
def all_gather_object(object_list, obj, group=None):
    """Give an object of each process to every process.

    Args:
        object_list: A list of as many places as processes. It is written.
        obj: The object of this process; it must have a pickle.

    >>> found = [None]
    >>> dist.all_gather_object(found, {"loss": 0.5})
    >>> found
    [{'loss': 0.5}]
    """
    if (pg := member(group, "all_gather_object")) is None:
        return
    data, size = to_bytes(obj)
    sizes = _sizes(pg, size)
    parts = [_zeros(max(sizes)) for _ in sizes]
    collectives.all_gather(parts, _padded(data, max(sizes)), group=pg)
    for i, (part, n) in enumerate(zip(parts, sizes, strict=True)):
        object_list[i] = to_object(part, n)


@told
def gather_object(obj, object_gather_list=None, dst=None, group=None, group_dst=None):
    """Give an object of each process to one process.

    Args:
        obj: The object of this process.
        object_gather_list: On ``dst`` a list of as many places as processes; None on others.

    Raises:
        ValueError: The list is missing on ``dst``, or given on others.

    >>> found = [None]
    >>> dist.gather_object("mine", found, dst=0)
    >>> found
    ['mine']
    """
    if (pg := member(group, "gather_object")) is None:
        return
    root = 0 if dst is None and group_dst is None else root_in_group(pg, dst, group_dst)
    collectives._only_on_root(pg, root, object_gather_list, "gather_list", "destination")
    data, size = to_bytes(obj)
    sizes = _sizes(pg, size)
    here = pg.rank() == root
    parts = [_zeros(max(sizes)) for _ in sizes] if here else []
    collectives.gather(_padded(data, max(sizes)), parts or None, group=pg, group_dst=root)
    for i, n in enumerate(sizes if here else ()):
        object_gather_list[i] = to_object(parts[i], n)


@told
def broadcast_object_list(object_list, src=None, group=None, device=None, group_src=None):
    """Give the objects of one process to every process.

    Args:
        object_list: A list of one length in all processes. It is written, except on ``src``.

    Raises:
        RuntimeError: There is no such rank.

    >>> found = ["a", 1]
    >>> dist.broadcast_object_list(found, src=0)
    >>> found
    ['a', 1]
    """
    if (pg := member(group, "broadcast_object_list")) is None:
        return
    root = 0 if src is None and group_src is None else root_in_group(pg, src, group_src)
    here = pg.rank() == root
    packed = [to_bytes(obj) for obj in object_list] if here else []
    sizes = from_array(np.array([int(n) for _, n in packed], np.int64))
    sizes = sizes if here else _zeros(len(object_list), int64)
    collectives.broadcast(sizes, group=pg, group_src=root)
    for i, n in enumerate(sizes.tolist()):
        data = packed[i][0] if here else _zeros(n)
        collectives.broadcast(data, group=pg, group_src=root)
        object_list[i] = to_object(data, n)


@told
def scatter_object_list(
    scatter_object_output_list, scatter_object_input_list=None, src=None, group=None, group_src=None
):  # fmt: skip
    """Give each process one object of a list that one process has.

    Args:
        scatter_object_output_list: A list whose first place is written.
        scatter_object_input_list: On ``src`` a list of as many objects as processes.

    Raises:
        ValueError: A list is missing or empty.

    >>> found = [None]
    >>> dist.scatter_object_list(found, ["mine"], src=0)
    >>> found
    ['mine']
    """
    if (pg := member(group, "scatter_object_list")) is None:
        return
    if not isinstance(scatter_object_output_list, list) or not scatter_object_output_list:
        raise ValueError(
            "Expected argument scatter_object_output_list to be a list of size at least 1."
        )
    root = 0 if src is None and group_src is None else root_in_group(pg, src, group_src)
    here = pg.rank() == root
    if here and scatter_object_input_list is None:
        raise ValueError("source rank must provide non-None scatter_object_input_list")
    packed = [to_bytes(obj) for obj in scatter_object_input_list] if here else []
    widest = _zeros(1, int64)
    if here:
        widest.fill_(max(int(n) for _, n in packed))
    collectives.broadcast(widest, group=pg, group_src=root)
    data, size = _zeros(int(widest)), _zeros(1, int64)
    parts = [_padded(d, int(widest)) for d, _ in packed] or None
    collectives.scatter(data, parts, group=pg, group_src=root)
    collectives.scatter(size, [n for _, n in packed] or None, group=pg, group_src=root)
    scatter_object_output_list[0] = to_object(data, size)


@told
def send_object_list(
    object_list, dst=None, group=None, device=None, group_dst=None, use_batch=False
):  # fmt: skip
    """Send objects to another process.

    Args:
        object_list: The objects, a list.

    Raises:
        ValueError: The destination is this process.

    >>> try:
    ...     dist.send_object_list(["a"], dst=0)
    ... except ValueError:
    ...     print("a process does not send to itself")
    a process does not send to itself
    """
    packed = [to_bytes(obj) for obj in object_list]
    sizes = from_array(np.array([int(n) for _, n in packed], np.int64))
    for tensor in (sizes, *(data for data, _ in packed)):
        point_to_point.send(tensor, dst, group, group_dst=group_dst)


@told
def recv_object_list(
    object_list, src=None, group=None, device=None, group_src=None, use_batch=False
):  # fmt: skip
    """Receive objects from another process.

    Args:
        object_list: A list of as many places as objects. It is written.

    Returns:
        The rank that they came from.

    Raises:
        RuntimeError: The group has no other process.

    >>> try:
    ...     dist.recv_object_list([None], src=0)
    ... except RuntimeError:
    ...     print("there is nobody")
    there is nobody
    """
    sizes = _zeros(len(object_list), int64)
    source = point_to_point.recv(sizes, src, group, group_src=group_src)
    for i, n in enumerate(sizes.tolist()):
        data = _zeros(n)
        point_to_point.recv(data, source, group)
        object_list[i] = to_object(data, n)
    return source
