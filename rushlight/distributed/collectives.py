"""Collectives on tensors: functions that all processes of a group call together."""

import contextlib
import warnings

from rushlight.distributed import carried
from rushlight.distributed.process_group import GroupMember, resolve, world
from rushlight.distributed.reduce_op import ReduceOp, supports_complex
from rushlight.distributed.telling import told
from rushlight.distributed.work import finished
from rushlight.distributed.world import get_group_rank
from rushlight.tensor import Tensor

__all__ = [
    "all_gather", "all_gather_coalesced", "all_gather_into_tensor", "all_gather_single",
    "all_reduce", "all_reduce_coalesced", "all_to_all", "all_to_all_single", "barrier", "broadcast",
    "gather", "monitored_barrier", "reduce", "reduce_scatter", "reduce_scatter_single",
    "reduce_scatter_tensor", "scatter",
]  # fmt: skip
_SUM = ReduceOp.SUM


def check_tensor(value, name):
    """Raise TypeError if ``value``, the argument ``name``, is no tensor."""
    if not isinstance(value, Tensor):
        raise TypeError(
            f"Invalid function argument. Expected parameter `{name}` of type torch.Tensor\n"
            f"             but got {type(value)} instead."
        )


def check_list(values, name):
    """Raise TypeError if ``values``, the argument ``name``, is no list of tensors."""
    if not isinstance(values, list) or not all(isinstance(v, Tensor) for v in values):
        raise TypeError(
            f"Invalid function argument. Expected parameter `{name}` of type List[torch.Tensor]\n"
            f"             but got {type(values)} instead."
        )


def _same_dtypes(*tensors):
    dtypes = {t.dtype for part in tensors for t in (part if isinstance(part, list) else [part])}
    if len(dtypes) > 1:
        names = " and ".join(sorted(map(str, dtypes)))
        raise ValueError(f"Invalid usage of tensors with different dtypes: found {names}")


def root_in_group(pg, global_rank, group_rank):
    """The rank in the group ``pg`` that is named by one of two ranks.

    Raises:
        ValueError: Both are given, or none.
    """
    if global_rank is not None and group_rank is not None:
        raise ValueError("Can't specify both group_rank and global_rank")
    if group_rank is not None:
        return group_rank
    if global_rank is None:
        raise ValueError("Must specify global_rank or group_rank")
    return get_group_rank(pg, global_rank)


def member(group, name):
    """The group of a call; None, after a warning, if this process is not in it."""
    if group == GroupMember.NON_GROUP_MEMBER:
        warnings.warn(
            f"Running {name} on global rank {resolve().rank()} which does not belong to the given "
            "group.",
            stacklevel=3,
        )
        return None
    return resolve(group)


def given(work, async_op):
    """The result of a collective: ``work``, or None after it is done."""
    if world.batch is not None:
        world.batch.append(work)
    if async_op:
        return work
    work.wait()
    return None


def _complex_allowed(name, op, tensor):
    if tensor.is_complex() and not supports_complex(getattr(op, "op", op)):
        raise ValueError(f"{name} does not support {op} on complex tensors")


@told
def all_reduce(tensor, op=_SUM, group=None, async_op=False):
    """Combine the tensors of all processes, and write the result into each.

    Args:
        tensor: A tensor of one shape and dtype in all processes. It is written.

    Raises:
        ValueError: There is no group, or ``op`` is not for complex tensors.
        TypeError: ``tensor`` is no tensor.

    >>> x = torch.tensor([1.0, 2.0])
    >>> dist.all_reduce(x, op=dist.ReduceOp.SUM)
    >>> x
    tensor([1., 2.])
    """
    check_tensor(tensor, "tensor")
    if (pg := member(group, "all_reduce")) is None:
        return None
    _complex_allowed("all_reduce", op, tensor)
    return given(carried.all_reduce(pg, [tensor], op), async_op)


@told
def all_reduce_coalesced(tensors, op=_SUM, group=None, async_op=False):
    """Combine several tensors of all processes, each with its counterparts.

    Args:
        tensors: A tensor or a list of tensors. They are written.

    >>> dist.all_reduce_coalesced([torch.ones(2), torch.ones(3)])
    """
    tensors = [tensors] if isinstance(tensors, Tensor) else tensors
    check_list(tensors, "tensors")
    _same_dtypes(tensors)
    if (pg := member(group, "all_reduce_coalesced")) is None:
        return None
    for tensor in tensors:
        _complex_allowed("all_reduce", op, tensor)
    work = carried.all_reduce(pg, tensors, op)
    return work.get_future() if async_op else given(work, False)


@told
def broadcast(tensor, src=None, group=None, async_op=False, group_src=None):
    """Write the tensor of one process into that of every process.

    Args:
        tensor: A tensor of one shape and dtype in all processes. It is written.

    Raises:
        ValueError: Neither ``src`` nor ``group_src`` is given, or both are.
        RuntimeError: There is no such rank.

    >>> dist.broadcast(torch.ones(2), src=0)
    """
    pg = resolve(group)
    root = 0 if pg is None else root_in_group(pg, src, group_src)
    check_tensor(tensor, "tensor")
    if member(group, "broadcast") is None:
        return None
    return given(carried.broadcast(pg, [tensor], root), async_op)


@told
def reduce(tensor, dst=None, op=_SUM, group=None, async_op=False, group_dst=None):
    """Combine the tensors of all processes into that of one.

    Args:
        tensor: A tensor of one shape and dtype in all processes. That of ``dst`` is written.

    Raises:
        ValueError: Neither ``dst`` nor ``group_dst`` is given, or both are.

    >>> dist.reduce(torch.ones(2), dst=0)
    """
    pg = resolve(group)
    root = 0 if pg is None else root_in_group(pg, dst, group_dst)
    check_tensor(tensor, "tensor")
    if member(group, "reduce") is None:
        return None
    return given(carried.reduce(pg, [tensor], root, op), async_op)


@told
def all_gather(tensor_list, tensor, group=None, async_op=False):
    """Give the tensor of each process to every process.

    Args:
        tensor_list: A list of tensors, one for each process. They are written.
        tensor: The tensor of this process.

    Raises:
        TypeError: An argument is no tensor, or no list of tensors.
        RuntimeError: The list has another length, or its tensors another shape.

    >>> found = [torch.zeros(2)]
    >>> dist.all_gather(found, torch.ones(2))
    >>> found
    [tensor([1., 1.])]
    """
    check_list(tensor_list, "tensor_list")
    check_tensor(tensor, "tensor")
    _same_dtypes(tensor_list, tensor)
    if (pg := member(group, "all_gather")) is None:
        return None
    return given(carried.all_gather(pg, tensor_list, tensor), async_op)


@told
def all_gather_coalesced(output_tensor_lists, input_tensor_list, group=None, async_op=False):
    """Give several tensors of each process to every process.

    Args:
        output_tensor_lists: For each process a list of tensors. They are written.
        input_tensor_list: The tensors of this process.

    >>> dist.all_gather_coalesced([[torch.zeros(2)]], [torch.ones(2)])
    """
    check_list(input_tensor_list, "input_tensor_list")
    if not isinstance(output_tensor_lists, list):
        raise TypeError(
            "Invalid function argument: output_tensor_lists should be a list of lists of tensors"
        )
    for part in output_tensor_lists:
        check_list(part, "output_tensor_lists")
    if (pg := member(group, "all_gather_coalesced")) is None:
        return None
    for i, tensor in enumerate(input_tensor_list):
        carried.all_gather(pg, [part[i] for part in output_tensor_lists], tensor)
    work = finished(output_tensor_lists)
    return work.get_future() if async_op else None


@told
def all_gather_into_tensor(output_tensor, input_tensor, group=None, async_op=False):
    """Give the tensor of each process to every process, one after the other in one tensor.

    Args:
        output_tensor: The tensors along dim 0. It is written.
        input_tensor: The tensor of this process.

    Raises:
        RuntimeError: Shape or dtype of ``output_tensor`` does not fit.

    >>> found = torch.zeros(2)
    >>> dist.all_gather_into_tensor(found, torch.ones(2))
    >>> found
    tensor([1., 1.])
    """
    check_tensor(input_tensor, "input_tensor")
    check_tensor(output_tensor, "output_tensor")
    if (pg := member(group, "all_gather_into_tensor")) is None:
        return None
    return given(carried.all_gather_flat(pg, output_tensor, input_tensor), async_op)


@told
def gather(tensor, gather_list=None, dst=None, group=None, async_op=False, group_dst=None):
    """Give the tensor of each process to one process.

    Args:
        tensor: The tensor of this process.
        gather_list: On ``dst`` a list of tensors, one for each process; they are written.
            None on others.

    Raises:
        ValueError: ``gather_list`` is missing on ``dst``, or given on others.

    >>> found = [torch.zeros(2)]
    >>> dist.gather(torch.ones(2), found, dst=0)
    >>> found
    [tensor([1., 1.])]
    """
    check_tensor(tensor, "tensor")
    pg = member(group, "gather")
    if pg is None:
        return None
    if gather_list:
        check_list(gather_list, "gather_list")
        _same_dtypes(tensor, gather_list)
    root = 0 if dst is None and group_dst is None else root_in_group(pg, dst, group_dst)
    _only_on_root(pg, root, gather_list, "gather_list", "destination")
    return given(carried.gather(pg, gather_list or None, tensor, root), async_op)


def _only_on_root(pg, root, values, name, role):
    if pg.rank() == root and not values:
        raise ValueError(f"Argument ``{name}`` must be specified on {role} rank.")
    if pg.rank() != root and values:
        raise ValueError(f"Argument ``{name}`` must NOT be specified on non-{role} ranks.")


@told
def scatter(tensor, scatter_list=None, src=None, group=None, async_op=False, group_src=None):
    """Give each process one tensor of a list that one process has.

    Args:
        tensor: The tensor that is written.
        scatter_list: On ``src`` a list of tensors, one for each process; None on others.

    Raises:
        ValueError: ``scatter_list`` is missing on ``src``, or given on others.

    >>> x = torch.zeros(2)
    >>> dist.scatter(x, [torch.ones(2)], src=0)
    >>> x
    tensor([1., 1.])
    """
    check_tensor(tensor, "tensor")
    pg = member(group, "scatter")
    if pg is None:
        return None
    if scatter_list:
        check_list(scatter_list, "scatter_list")
        _same_dtypes(tensor, scatter_list)
    root = 0 if src is None and group_src is None else root_in_group(pg, src, group_src)
    _only_on_root(pg, root, scatter_list, "scatter_list", "source")
    return given(carried.scatter(pg, tensor, scatter_list or None, root), async_op)


@told
def reduce_scatter(output, input_list, op=_SUM, group=None, async_op=False):
    """Combine the lists of all processes, and give each process one tensor of the result.

    Args:
        output: The tensor that is written.
        input_list: A list of tensors, one for each process.

    Raises:
        RuntimeError: The list has another length, or its tensors another shape.

    >>> x = torch.zeros(2)
    >>> dist.reduce_scatter(x, [torch.ones(2)])
    >>> x
    tensor([1., 1.])
    """
    check_tensor(output, "output")
    check_list(input_list, "input_list")
    _same_dtypes(output, input_list)
    if (pg := member(group, "reduce_scatter")) is None:
        return None
    return given(carried.reduce_scatter(pg, output, input_list, op), async_op)


@told
def reduce_scatter_tensor(output, input, op=_SUM, group=None, async_op=False):
    """Combine the tensors of all processes, and give each process one part along dim 0.

    Args:
        output: The tensor that is written.
        input: A tensor of as many parts as processes.

    Raises:
        RuntimeError: The shapes do not fit.

    >>> x = torch.zeros(2)
    >>> dist.reduce_scatter_tensor(x, torch.ones(2))
    >>> x
    tensor([1., 1.])
    """
    check_tensor(output, "output")
    check_tensor(input, "input")
    if (pg := member(group, "reduce_scatter_tensor")) is None:
        return None
    return given(carried.reduce_scatter_flat(pg, output, input, op), async_op)


@told
def all_to_all(output_tensor_list, input_tensor_list, group=None, async_op=False):
    """Send one tensor to each process, and receive one from each.

    Args:
        output_tensor_list: A list of tensors, one for each process. They are written.
        input_tensor_list: A list of tensors, one for each process.

    Raises:
        RuntimeError: A list has another length.

    >>> found = [torch.zeros(2)]
    >>> dist.all_to_all(found, [torch.ones(2)])
    >>> found
    [tensor([1., 1.])]
    """
    check_list(output_tensor_list, "output_tensor_list")
    check_list(input_tensor_list, "input_tensor_list")
    _same_dtypes(output_tensor_list, input_tensor_list)
    if (pg := member(group, "all_to_all")) is None:
        return None
    return given(carried.all_to_all(pg, output_tensor_list, input_tensor_list), async_op)


@told
def all_to_all_single(
    output, input, output_split_sizes=None, input_split_sizes=None, group=None, async_op=False
):  # fmt: skip
    """Send a part of a tensor to each process, and receive one from each.

    Args:
        output: The tensor that is written, parts along dim 0.
        input: The parts that are sent, along dim 0.
        output_split_sizes: The sizes of the parts of ``output``. Default: equal ones.
        input_split_sizes: The sizes of the parts of ``input``. Default: equal ones.

    Raises:
        RuntimeError: The sizes do not fit.

    >>> x = torch.zeros(2)
    >>> dist.all_to_all_single(x, torch.ones(2))
    >>> x
    tensor([1., 1.])
    """
    check_tensor(output, "output")
    check_tensor(input, "input")
    _same_dtypes(output, input)
    if (pg := member(group, "all_to_all_single")) is None:
        return None
    return given(
        carried.all_to_all_flat(pg, output, input, output_split_sizes, input_split_sizes), async_op
    )


@told
def barrier(group=None, async_op=False, device_ids=None, timeout=None):
    """Wait until all processes have called this.

    Args:
        device_ids: Accepted without effect.

    >>> dist.barrier()
    """
    if (pg := member(group, "barrier")) is None:
        return None
    return given(pg.barrier(), async_op)


@told
def monitored_barrier(group=None, timeout=None, wait_all_ranks=False):
    """Wait until all processes have called this, and name those that have not after the timeout.

    Args:
        wait_all_ranks: Whether all late processes are named, and not only the first.

    >>> dist.monitored_barrier()
    """
    if (pg := member(group, "monitored_barrier")) is not None:
        pg.monitored_barrier(timeout, wait_all_ranks)


all_gather_single = all_gather_into_tensor
reduce_scatter_single = reduce_scatter_tensor
_all_gather_base, _reduce_scatter_base = all_gather_into_tensor, reduce_scatter_tensor


class CoalescingManager:
    """What ``coalescing`` gives: the collectives that were started in it."""

    def __init__(self):
        self.works = []

    def append(self, work):
        """Note a collective."""
        if work:
            self.works.append(work)

    def wait(self):
        """Wait for all collectives."""
        for work in self.works:
            work.wait()


@contextlib.contextmanager
def coalescing(group=None, device=None, async_ops=False):
    """A context whose collectives are started together; they are done at its end."""
    resolve(group)
    outer, world.batch = world.batch, []
    manager = CoalescingManager()
    try:
        yield manager
        if async_ops:
            tensors = [t for work in world.batch for t in work.result()]
            manager.append(finished(tensors))
    finally:
        world.batch = outer
