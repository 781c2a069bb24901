"""ReduceOp: how a reduction combines the tensors of several processes."""

import enum
import warnings

from rushlight.errors import DtypeError

__all__ = ["ReduceOp", "check_op", "premul_sum", "reduce_alone", "supports_complex"]


class RedOpType(enum.Enum):
    """The ways to combine tensors. ``AVG`` divides the sum by the number of processes."""

    SUM = 0
    AVG = 1
    PRODUCT = 2
    MIN = 3
    MAX = 4
    BAND = 5
    BOR = 6
    BXOR = 7
    PREMUL_SUM = 8

    __module__ = "rushlight.distributed"

    def __str__(self):
        return f"RedOpType.{self.name}"

    def __int__(self):
        return self.value

    def __hash__(self):
        return self.value


RedOpType.__qualname__ = "ReduceOp.RedOpType"


class ReduceOp:
    """How ``all_reduce``, ``reduce`` and ``reduce_scatter`` combine the tensors of the processes.

    The members are ``SUM``, ``AVG``, ``PRODUCT``, ``MIN``, ``MAX``, ``BAND``, ``BOR``, ``BXOR`` and
    ``PREMUL_SUM`` (a sum of products with a factor; ``_make_nccl_premul_sum(factor)`` makes one).

    Args:
        op: One of the members.

    >>> import rushlight as torch
    >>> torch.distributed.ReduceOp.SUM
    <RedOpType.SUM: 0>
    """

    __module__ = "rushlight.distributed"
    RedOpType = RedOpType
    SUM, AVG, PRODUCT, MIN, MAX = list(RedOpType)[:5]
    BAND, BOR, BXOR, PREMUL_SUM = list(RedOpType)[5:]

    def __init__(self, op):
        if not isinstance(op, RedOpType):
            raise TypeError(f"ReduceOp: op must be a member of ReduceOp, got {type(op).__name__}")
        self.op = op
        self.factor = None

    def __eq__(self, other):
        return (other if isinstance(other, RedOpType) else getattr(other, "op", None)) is self.op

    def __hash__(self):
        return self.op.value


def premul_sum(factor):
    """Return the ReduceOp that sums products with ``factor``, a number or a tensor of one."""
    found = ReduceOp(RedOpType.PREMUL_SUM)
    found.factor = factor
    return found


def check_op(op):
    """Return ``op`` as a ReduceOp, or raise the error of what is none."""
    if isinstance(op, ReduceOp):
        return op
    found = ReduceOp(op)
    if op is RedOpType.PREMUL_SUM:
        raise TypeError(
            "ReduceOp.PREMUL_SUM has a factor: pass torch.distributed._make_nccl_premul_sum(factor)"
        )
    return found


def supports_complex(reduceOp):
    """Tell whether a reduction takes complex tensors.

    Args:
        reduceOp: A member of ``ReduceOp``.

    Returns:
        A bool: False for products, extrema and reductions of bits.

    >>> import rushlight as torch
    >>> torch.distributed.supports_complex(torch.distributed.ReduceOp.MAX)
    False
    """
    return reduceOp not in list(RedOpType)[2:8]


def reduce_alone(tensor, op):
    """Reduce the tensor of a process that is alone, in place, and return it."""
    kind = op.op
    if kind in (RedOpType.BAND, RedOpType.BOR, RedOpType.BXOR) and tensor.is_floating_point():
        raise DtypeError(f"Cannot use ReduceOp.{kind.name} with non-integral dtype")
    if kind is RedOpType.AVG:
        tensor.div_(1)  # an average of integers raises, as with many processes
    elif kind is RedOpType.PREMUL_SUM:
        tensor.mul_(op.factor)
    return tensor


class _OldReduceOp:
    """``reduce_op``, the name of ReduceOp before there was a class: its use warns."""

    def __getattr__(self, name):
        if name not in RedOpType.__members__:
            raise AttributeError(f"reduce_op has no attribute {name!r}")
        warnings.warn(
            "`torch.distributed.reduce_op` is deprecated, please use "
            "`torch.distributed.ReduceOp` instead",
            category=FutureWarning,
            stacklevel=2,
        )
        return getattr(ReduceOp, name)


reduce_op = _OldReduceOp()
