"""torch.testing._comparison: the tolerances of ``assert_close``, for tests that widen them."""

from rushlight.dtype import dtype
from rushlight.tensor import Tensor
from rushlight.testing.comparison import TOLERANCES

__all__: list[str] = []


def default_tolerances(*inputs, dtype_precisions=None):
    """Return (rtol, atol), the largest of the dtypes of the inputs.

    Args:
        *inputs: Tensors or dtypes.
        dtype_precisions: Dict from a dtype to its (rtol, atol). Default: those of ``assert_close``.

    Raises:
        TypeError: an input is neither a tensor nor a dtype.

    >>> import rushlight as torch
    >>> default_tolerances(torch.float16, torch.ones(2))
    (0.001, 1e-05)
    """
    dtypes = [_dtype(x) for x in inputs]
    if dtype_precisions:
        found = [dtype_precisions.get(d, (0.0, 0.0)) for d in dtypes]
    else:
        found = [TOLERANCES.get(d.name, (0.0, 0.0)) for d in dtypes]
    return max(rtol for rtol, _ in found), max(atol for _, atol in found)


def _dtype(x):
    if not isinstance(x, Tensor | dtype):
        raise TypeError(f"Expected a torch.Tensor or a torch.dtype, but got {type(x)} instead.")
    return x.dtype if isinstance(x, Tensor) else x


def get_tolerances(*inputs, rtol, atol, id=()):
    """Return (rtol, atol): the caller's, or the default ones of the inputs if both are None.

    Raises:
        ValueError: one of ``rtol`` and ``atol`` is None, the other is not.

    >>> import rushlight as torch
    >>> get_tolerances(torch.ones(2), rtol=None, atol=None)
    (1.3e-06, 1e-05)
    """
    if (rtol is None) != (atol is None):
        missing = "rtol" if rtol is None else "atol"
        raise ValueError(
            f"Both 'rtol' and 'atol' must be either specified or omitted, but got no {missing}."
        )
    return default_tolerances(*inputs) if rtol is None else (rtol, atol)
