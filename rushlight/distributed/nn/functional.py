"""Collectives that gradients go through."""

from rushlight.distributed import _functional_collectives as _functions
from rushlight.distributed.process_group import resolve
from rushlight.distributed.reduce_op import ReduceOp
from rushlight.distributed.telling import told

__all__ = [
    "all_gather", "all_reduce", "all_to_all", "all_to_all_single", "broadcast", "gather", "reduce",
    "reduce_scatter", "scatter",
]  # fmt: skip


def _alone(group, name):
    """The group, which may have one process: the others' gradients have no rule yet."""
    pg = resolve(None if group is None else group)
    if pg.size() > 1:
        raise NotImplementedError(f"torch.distributed.nn.functional.{name} of several processes")
    return pg


@told
def broadcast(tensor, src, group=None):
    """Return the tensor of the process ``src``.

    Args:
        tensor: The tensor of this process.

    Returns:
        A tensor.

    >>> dist.nn.broadcast(torch.ones(2), 0)
    tensor([1., 1.])
    """
    return _functions.broadcast(tensor, src, group)


@told
def gather(tensor, dst=0, group=None):
    """Return all processes' tensors, a tuple, on the process ``dst``.

    Args:
        tensor: The tensor of this process.

    Returns:
        A tuple of tensors.

    >>> dist.nn.gather(torch.ones(2))
    (tensor([1., 1.]),)
    """
    return (_functions.broadcast(tensor, 0, _alone(group, "gather")),)


@told
def scatter(tensors, src=0, group=None):
    """Return this process's tensor of the list of ``src``.

    Args:
        tensors: A list of tensors, one for each process.

    Returns:
        A tensor.

    >>> dist.nn.scatter([torch.ones(2)])
    tensor([1., 1.])
    """
    return _functions.broadcast(tensors[0], 0, _alone(group, "scatter"))


@told
def reduce(tensor, dst, op=ReduceOp.SUM, group=None):
    """Return the sum of all processes' tensors on the process ``dst``.

    Args:
        tensor: The tensor of this process.

    Returns:
        A tensor.

    >>> dist.nn.reduce(torch.ones(2), 0)
    tensor([1., 1.])
    """
    return _functions.all_reduce(tensor, op, _alone(group, "reduce"))


@told
def reduce_scatter(output, input_list, op=ReduceOp.SUM, group=None):
    """Return this process's tensor of the sum of all processes' lists.

    Args:
        output: A tensor of the result's shape.
        input_list: A list of tensors, one for each process.

    Returns:
        A tensor.

    >>> dist.nn.reduce_scatter(torch.zeros(2), [torch.ones(2)])
    tensor([1., 1.])
    """
    return _functions.all_reduce(input_list[0], op, _alone(group, "reduce_scatter"))


@told
def all_gather(tensor, group=None):
    """Return all processes' tensors, a tuple.

    Args:
        tensor: The tensor of this process.

    Returns:
        A tuple of tensors.

    >>> dist.nn.all_gather(torch.ones(2))
    (tensor([1., 1.]),)
    """
    pg = resolve(group)
    whole = _functions.all_gather_tensor(tensor.unsqueeze(0), 0, pg)
    return tuple(whole.unbind(0))


@told
def all_to_all(output_tensor_list, input_tensor_list, group=None):
    """Return the tensors that all processes sent to this one, a tuple.

    Args:
        output_tensor_list: A list of tensors of the results' shapes.
        input_tensor_list: A list of tensors, one for each process.

    Returns:
        A tuple of tensors.

    >>> dist.nn.all_to_all([torch.zeros(2)], [torch.ones(2)])
    (tensor([1., 1.]),)
    """
    pg = _alone(group, "all_to_all")
    return tuple(_functions.broadcast(x, 0, pg) for x in input_tensor_list)


@told
def all_to_all_single(output, input, output_split_sizes=None, input_split_sizes=None, group=None):
    """Return the parts that all processes sent to this one.

    Args:
        output: A tensor of the result's shape.
        input: The parts that are sent, along dim 0.
        output_split_sizes: The sizes of the parts of the result. Default: equal ones.
        input_split_sizes: The sizes of the parts of ``input``. Default: equal ones.

    Returns:
        A tensor.

    >>> dist.nn.all_to_all_single(torch.zeros(2), torch.ones(2))
    tensor([1., 1.])
    """
    return _functions.all_to_all_single(input, output_split_sizes, input_split_sizes, group)


@told
def all_reduce(tensor, op=ReduceOp.SUM, group=None):
    """Return the sum of all processes' tensors.

    Args:
        tensor: The tensor of this process.

    Returns:
        A tensor.

    >>> dist.nn.all_reduce(torch.ones(2))
    tensor([1., 1.])
    """
    return _functions.all_reduce(tensor, op, group)
