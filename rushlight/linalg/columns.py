"""Matrices that lie column by column in memory, as LAPACK's results do."""

from rushlight.ops.core.kinds import kernel


@kernel(public=False, method=False, name="in_columns", widen=False, columns=(0,))
def in_columns(xp, x):
    """A copy of ``x`` whose last two dims change places in memory."""
    return x.copy()


in_columns.lower(lambda x: x.mT.contiguous().mT)
in_columns.grad(x=lambda g: g)
