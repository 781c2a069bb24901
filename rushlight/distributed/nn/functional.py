"""Collectives that gradients go through."""

from rushlight.distributed import _functional_collectives as _functions
from rushlight.distributed.process_group import resolve
from rushlight.distributed.reduce_op import ReduceOp

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


def broadcast(tensor, src, group=None):
    """Return the tensor of the process ``src``."""
    return _functions.broadcast(tensor, src, group)


def gather(tensor, dst=0, group=None):
    """Return all processes' tensors, a tuple, on the process ``dst``."""
    return (_functions.broadcast(tensor, 0, _alone(group, "gather")),)


def scatter(tensors, src=0, group=None):
    """Return this process's tensor of the list of ``src``."""
    return _functions.broadcast(tensors[0], 0, _alone(group, "scatter"))


def reduce(tensor, dst, op=ReduceOp.SUM, group=None):
    """Return the sum of all processes' tensors on the process ``dst``."""
    return _functions.all_reduce(tensor, op, _alone(group, "reduce"))


def reduce_scatter(output, input_list, op=ReduceOp.SUM, group=None):
    """Return this process's tensor of the sum of all processes' lists."""
    return _functions.all_reduce(input_list[0], op, _alone(group, "reduce_scatter"))


def all_gather(tensor, group=None):
    """Return all processes' tensors, a tuple."""
    pg = resolve(group)
    whole = _functions.all_gather_tensor(tensor.unsqueeze(0), 0, pg)
    return tuple(whole.unbind(0))


def all_to_all(output_tensor_list, input_tensor_list, group=None):
    """Return the tensors that all processes sent to this one, a tuple."""
    pg = _alone(group, "all_to_all")
    return tuple(_functions.broadcast(x, 0, pg) for x in input_tensor_list)


def all_to_all_single(output, input, output_split_sizes=None, input_split_sizes=None, group=None):
    """Return the parts that all processes sent to this one."""
    return _functions.all_to_all_single(input, output_split_sizes, input_split_sizes, group)


def all_reduce(tensor, op=ReduceOp.SUM, group=None):
    """Return the sum of all processes' tensors."""
    return _functions.all_reduce(tensor, op, group)
