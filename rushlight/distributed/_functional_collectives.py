"""Collectives that return new tensors, and leave their operands as they are. Gradients go through.

``torch.distributed.nn`` has those with other names. The gradient of a collective is the collective
that goes the other way: of a gather a scatter, of a sum a sum.
"""

from rushlight import late
from rushlight.autograd import Function
from rushlight.distributed import collectives
from rushlight.distributed.process_group import ProcessGroup, resolve
from rushlight.distributed.reduce_op import RedOpType

__all__ = [
    "AsyncCollectiveTensor", "all_gather_tensor", "all_gather_tensor_autograd", "all_reduce",
    "all_reduce_coalesced", "all_to_all_single", "all_to_all_single_autograd", "broadcast",
    "permute_tensor", "reduce_scatter_tensor", "reduce_scatter_tensor_autograd", "wait_tensor",
]  # fmt: skip


class AsyncCollectiveTensor:
    """The class of results that are not there yet. rushlight's results are there at once."""


def group_of(group):
    """The ProcessGroup of what functions take: a group, its name, a mesh, or (mesh, dim)."""
    if group is None or isinstance(group, (ProcessGroup, str)):
        return resolve(group)
    if isinstance(group, tuple):
        return group[0].get_group(group[1])
    if hasattr(group, "get_group"):
        return group.get_group()
    if isinstance(group, list):
        return resolve()
    raise ValueError(f"Invalid type for group: {type(group)}")


def _op(op):
    return RedOpType[op.upper()] if isinstance(op, str) else op


class _AllReduce(Function):
    @staticmethod
    def forward(ctx, x, op, group):
        ctx.rest = op, group
        found = x.clone()
        collectives.all_reduce(found, op, group)
        return found

    @staticmethod
    def backward(ctx, grad):
        op, group = ctx.rest
        if op not in (RedOpType.SUM, RedOpType.AVG):
            raise NotImplementedError(f"all_reduce: the gradient of {op} is not there")
        return _AllReduce.apply(grad, op, group), None, None


class _Broadcast(Function):
    @staticmethod
    def forward(ctx, x, src, group):
        ctx.rest = src, group
        found = x.clone()
        collectives.broadcast(found, group=group, group_src=src)
        return found

    @staticmethod
    def backward(ctx, grad):
        src, group = ctx.rest
        found = grad.clone()
        collectives.reduce(found, group=group, group_dst=src)
        return (found if group.rank() == src else found.zero_()), None, None


class _Gather(Function):
    """Every process's tensor along dim 0; the gradient goes the other way."""

    @staticmethod
    def forward(ctx, x, group):
        ctx.group = group
        first = x.shape[0] if x.ndim else 1
        found = x.new_empty((first * group.size(), *x.shape[1:]))
        collectives.all_gather_into_tensor(found, x.contiguous(), group)
        return found

    @staticmethod
    def backward(ctx, grad):
        return _Share.apply(grad, RedOpType.SUM, ctx.group), None


class _Share(Function):
    """The sum of all processes' tensors, and of it this process's part along dim 0."""

    @staticmethod
    def forward(ctx, x, op, group):
        ctx.rest = op, group
        found = x.new_empty((x.shape[0] // group.size(), *x.shape[1:]))
        collectives.reduce_scatter_tensor(found, x.contiguous(), op, group)
        return found

    @staticmethod
    def backward(ctx, grad):
        op, group = ctx.rest
        found = _Gather.apply(grad, group)
        return (found / group.size() if op is RedOpType.AVG else found), None, None


class _AllToAll(Function):
    @staticmethod
    def forward(ctx, x, output_sizes, input_sizes, group):
        ctx.rest = output_sizes, input_sizes, group
        size = sum(output_sizes) if output_sizes else x.shape[0]
        found = x.new_empty((size, *x.shape[1:]))
        collectives.all_to_all_single(found, x.contiguous(), output_sizes, input_sizes, group)
        return found

    @staticmethod
    def backward(ctx, grad):
        output_sizes, input_sizes, group = ctx.rest
        return _AllToAll.apply(grad, input_sizes, output_sizes, group), None, None, None


def wait_tensor(tensor):
    """Return a result when it is there: at once."""
    return tensor


def all_reduce(self, reduceOp="sum", group=None, tag=""):
    """Return the sum, or another combination, of all processes' tensors."""
    return _AllReduce.apply(self, _op(reduceOp), group_of(group))


def all_reduce_coalesced(self, reduceOp="sum", group=None, tag=""):
    """``all_reduce`` of each tensor of a list."""
    return [all_reduce(x, reduceOp, group) for x in self]


def broadcast(self, src, group=None, tag=""):
    """Return the tensor of one process."""
    return _Broadcast.apply(self, src, group_of(group))


def all_gather_tensor(self, gather_dim, group=None, tag=""):
    """Return all processes' tensors, one after the other along a dim."""
    found = _Gather.apply(self, group_of(group))
    if gather_dim == 0:
        return found
    return late.framework.cat(found.chunk(group_of(group).size(), 0), gather_dim)


def reduce_scatter_tensor(self, reduceOp, scatter_dim, group=None, tag=""):
    """Return this process's part, along a dim, of the sum of all processes' tensors."""
    pg = group_of(group)
    if self.shape[scatter_dim] % pg.size():
        raise AssertionError(
            f"input dimension {scatter_dim} ({self.shape[scatter_dim]}) must be a multiple of "
            f"group_size {pg.size()}"
        )
    if scatter_dim != 0:
        self = late.framework.cat(self.chunk(pg.size(), scatter_dim), 0)
    return _Share.apply(self, _op(reduceOp), pg)


def all_to_all_single(self, output_split_sizes, input_split_sizes, group=None, tag=""):
    """Return the parts that all processes sent to this one."""
    return _AllToAll.apply(self, output_split_sizes, input_split_sizes, group_of(group))


def permute_tensor(self, src_dst, group=None, tag=""):
    """Return the tensor of the process that ``src_dst`` names for this one."""
    pg = group_of(group)
    inputs, outputs = [0] * pg.size(), [0] * pg.size()
    for source, target in enumerate(src_dst):
        if source == pg.rank():
            inputs[target] = self.shape[0]
        if target == pg.rank():
            outputs[source] = self.shape[0]
    return all_to_all_single(self, outputs, inputs, pg)


all_gather_tensor_autograd = all_gather_tensor
reduce_scatter_tensor_autograd = reduce_scatter_tensor
all_to_all_single_autograd = all_to_all_single
