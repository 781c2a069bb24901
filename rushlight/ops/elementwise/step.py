"""The unit step function."""

from rushlight.errors import DtypeError
from rushlight.ops.core.kinds import elementwise
from rushlight.ops.core.promotion import promote
from rushlight.ops.core.rules import underivable

__all__ = ["heaviside"]


def _one_real_dtype(operands):
    """The dtype that both operands have; it must be real."""
    found = promote(operands)
    if found.is_complex:
        raise DtypeError("heaviside is not yet implemented for complex tensors")
    if operands[0].dtype != operands[1].dtype:
        raise DtypeError("heaviside is not yet implemented for tensors with different dtypes")
    return found


@elementwise(dtype=_one_real_dtype, casts=False, tensors=("x", "values"), keeps_order=(0, 1))
def heaviside(xp, x, values):
    """Return 0 for negative elements, 1 for positive ones, and ``values`` for elements that are 0.

    nan gives 0. There is no gradient.

    Args:
        input: Tensor of any shape ``(*)``, real.
        values: Tensor of ``input``'s dtype, which broadcasts with ``input``.

    Raises:
        RuntimeError: The tensors are complex or have different dtypes.

    >>> import rushlight as torch
    >>> torch.heaviside(torch.tensor([-1.5, 0.0, 2.0]), torch.tensor([0.5]))
    tensor([0.0000, 0.5000, 1.0000])
    """
    return xp.where(x == 0, values, (x > 0).astype(x.dtype))


heaviside.grad(x=underivable("heaviside"), values=underivable("heaviside"))
