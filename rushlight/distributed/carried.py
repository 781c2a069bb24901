"""Collectives of a group, on tensors: checks of sizes, then the transport.

Each function takes the group, returns a ``Work``, and reads and writes the memory of tensors
without a part in their history, as PyTorch's backends do. ``collectives.py`` has the public
functions.
"""

from math import prod

from rushlight.autograd import no_grad
from rushlight.distributed.reduce_op import check_op
from rushlight.distributed.work import finished
from rushlight.errors import DtypeError, ShapeError

__all__ = [
    "all_gather", "all_gather_flat", "all_reduce", "all_to_all", "all_to_all_flat", "broadcast",
    "finished", "gather", "recv", "reduce", "reduce_scatter", "reduce_scatter_flat", "scatter",
    "send",
]  # fmt: skip


def _plain(tensor):
    """The memory of ``tensor``, without history."""
    return tensor.detach()


def _root(pg, root, name):
    if not 0 <= root < pg.size():
        raise RuntimeError(f"{name}: invalid root rank: {root}; the group has {pg.size()}")


def _count(pg, tensors, name):
    if len(tensors) != pg.size():
        raise RuntimeError(
            f"{name}: invalid tensor list (expected length {pg.size()}, got {len(tensors)})"
        )


def _alike(tensors, like, name):
    for i, t in enumerate(tensors):
        if t.dtype != like.dtype:
            raise DtypeError(
                f"{name}: invalid tensor type at index {i} (expected {like.dtype}, got {t.dtype})"
            )
        if t.shape != like.shape:
            raise ShapeError(
                f"{name}: invalid tensor size at index {i} (expected {tuple(like.shape)}, got "
                f"{tuple(t.shape)})"
            )


def all_reduce(pg, tensors, op):
    """See ``collectives.all_reduce``; of each of the tensors."""
    op = check_op(op)
    with no_grad():
        for tensor in tensors:
            values = tensor._values() if tensor.is_sparse else _plain(tensor)
            pg.transport.all_reduce(values, op)
    return finished(list(tensors))


def broadcast(pg, tensors, root):
    """See ``collectives.broadcast``; ``root`` is a rank of the group."""
    _root(pg, root, "broadcast")
    with no_grad():
        for tensor in tensors:
            pg.transport.broadcast(_plain(tensor), root)
    return finished(list(tensors))


def reduce(pg, tensors, root, op):
    """See ``collectives.reduce``."""
    op = check_op(op)
    _root(pg, root, "reduce")
    with no_grad():
        for tensor in tensors:
            pg.transport.reduce(_plain(tensor), root, op)
    return finished(list(tensors))


def all_gather(pg, outputs, tensor):
    """See ``collectives.all_gather``."""
    _count(pg, outputs, "all_gather")
    _alike(outputs, tensor, "all_gather")
    with no_grad():
        pg.transport.all_gather([_plain(t) for t in outputs], _plain(tensor))
    return finished(list(outputs))


def all_gather_flat(pg, output, tensor):
    """See ``collectives.all_gather_into_tensor``."""
    size = pg.size()
    wanted = [(size, *tensor.shape)] if size > 1 else [tuple(tensor.shape)]
    if size > 1 and tensor.ndim:
        wanted.append((size * tensor.shape[0], *tensor.shape[1:]))
    if tuple(output.shape) not in wanted:
        raise ShapeError(
            f"all_gather_into_tensor: invalid tensor size (expected {wanted[0]}, got "
            f"{tuple(output.shape)})"
        )
    if output.dtype != tensor.dtype:
        raise DtypeError(
            f"all_gather_into_tensor: output is {output.dtype}, and the input {tensor.dtype}"
        )
    with no_grad():
        parts = _plain(output).view(size, *tensor.shape).unbind(0)
        pg.transport.all_gather(parts, _plain(tensor))
    return finished([output])


def gather(pg, outputs, tensor, root):
    """See ``collectives.gather``."""
    _root(pg, root, "gather")
    if outputs is not None:
        _count(pg, outputs, "gather")
        _alike(outputs, tensor, "gather")
    with no_grad():
        parts = None if outputs is None else [_plain(t) for t in outputs]
        pg.transport.gather(parts, _plain(tensor), root)
    return finished([] if outputs is None else list(outputs))


def scatter(pg, output, tensors, root):
    """See ``collectives.scatter``."""
    _root(pg, root, "scatter")
    if tensors is not None:
        _count(pg, tensors, "scatter")
        _alike(tensors, output, "scatter")
    with no_grad():
        parts = None if tensors is None else [_plain(t) for t in tensors]
        pg.transport.scatter(_plain(output), parts, root)
    return finished([output])


def reduce_scatter(pg, output, tensors, op):
    """See ``collectives.reduce_scatter``."""
    op = check_op(op)
    _count(pg, tensors, "reduce_scatter")
    _alike([output], tensors[pg.rank()], "reduce_scatter")
    with no_grad():
        pg.transport.reduce_scatter(_plain(output), [_plain(t) for t in tensors], op)
    return finished([output])


def reduce_scatter_flat(pg, output, tensor, op):
    """See ``collectives.reduce_scatter_tensor``."""
    op = check_op(op)
    if (
        output.dtype != tensor.dtype
        or prod(output.shape) * pg.size() != prod(tensor.shape)
        or (tensor.ndim and (output.ndim == 0 or output.shape[0] * pg.size() != tensor.shape[0]))
    ):
        raise ShapeError(
            f"reduce_scatter_tensor: an output of shape {tuple(output.shape)} and {output.dtype} "
            f"is not a part of an input of shape {tuple(tensor.shape)} and {tensor.dtype} for "
            f"each of {pg.size()} processes"
        )
    with no_grad():
        parts = _plain(tensor).reshape(pg.size(), *output.shape).unbind(0)
        pg.transport.reduce_scatter(_plain(output), list(parts), op)
    return finished([output])


def all_to_all(pg, outputs, tensors):
    """See ``collectives.all_to_all``."""
    _count(pg, tensors, "all_to_all")
    _count(pg, outputs, "all_to_all")
    with no_grad():
        pg.transport.all_to_all([_plain(t) for t in outputs], [_plain(t) for t in tensors])
    return finished(list(outputs))


def all_to_all_flat(pg, output, tensor, output_sizes, input_sizes):
    """See ``collectives.all_to_all_single``."""
    outputs = _split(pg, output, output_sizes)
    inputs = _split(pg, tensor, input_sizes)
    if outputs[pg.rank()].shape != inputs[pg.rank()].shape:
        raise ShapeError(
            f"all_to_all_single: what this process sends to itself has the shape "
            f"{tuple(inputs[pg.rank()].shape)}, and its place {tuple(outputs[pg.rank()].shape)}"
        )
    with no_grad():
        pg.transport.all_to_all(outputs, inputs)
    return finished([output])


def _split(pg, tensor, sizes):
    whole = _plain(tensor)
    if not sizes:
        if whole.shape[0] % pg.size():
            raise RuntimeError("Tensor's dim 0 does not divide equally across group size")
        return list(whole.chunk(pg.size()))
    if len(sizes) != pg.size():
        raise RuntimeError("Number of tensor splits not equal to group size")
    if sum(sizes) != whole.shape[0]:
        raise RuntimeError("Split sizes doesn't match total dim 0 size")
    return list(whole.split(list(sizes)))


def send(pg, tensor, to, tag):
    """See ``point_to_point.isend``; ``to`` is a rank of the group."""
    pg.transport.send(_plain(tensor), to, tag)
    return finished([tensor])


def recv(pg, tensor, source, tag):
    """See ``point_to_point.irecv``."""
    with no_grad():
        found = pg.transport.recv(_plain(tensor), source, tag)
    return finished([tensor], source=found)
