"""Matrices that are stored column by column, like the results of LAPACK."""

from rushlight.ops.core.kinds import kernel


@kernel(public=False, method=False, name="in_columns", widen=False, columns=(0,))
def in_columns(xp, x):
    """Return a copy of ``x`` whose matrices, in the last two dims, are stored by columns."""
    return x.copy()


in_columns.lower(lambda x: x.mT.contiguous().mT)
in_columns.grad(x=lambda g: g)
