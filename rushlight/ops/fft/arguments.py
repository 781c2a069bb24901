"""The arguments of discrete Fourier transforms: dims, sizes and scaling, and ``out``."""

from rushlight import shapes
from rushlight.dtype import bfloat16, complex128, float16, float64, get_default_dtype, scalar_name
from rushlight.errors import DimError, DtypeError, ShapeError
from rushlight.ops.core.outputs import store
from rushlight.ops.windows.pad import constant_pad
from rushlight.tensor import Tensor

__all__ = ["as_complex", "as_float", "dims_and_sizes", "fitted", "scaling", "sizes_of", "stored"]


def scaling(norm):
    """Return the name of the scaling; None stands for ``"backward"``."""
    if norm in (None, "backward"):
        return "backward"
    if norm in ("forward", "ortho"):
        return norm
    raise RuntimeError(f'Invalid normalization mode: "{norm}"')


def as_float(x):
    """Convert integers and bool to the default dtype; refuse half precision."""
    d = x.dtype
    if d in (float16, bfloat16):
        raise DtypeError(f"Unsupported dtype {scalar_name(d.numpy)}: transform x.float()")
    return x if d.category > 1 else x.to(get_default_dtype())


def as_complex(x):
    """``as_float``, and then the complex counterpart of its dtype."""
    x = as_float(x)
    return x if x.dtype.is_complex else x.to(x.dtype.to_complex())


def dims_and_sizes(name, x, s, dim, half=False):
    """Return the dims to transform, counted from the front, and their sizes in the result.

    Without ``dim`` they are the last ``len(s)`` dims, and without ``s`` all dims. A size of -1
    stands for that of ``x``. With ``half``, ``x`` has only n // 2 + 1 elements of the last dim.
    """
    s = (s,) if isinstance(s, int) else s
    if dim is None:
        count = x.ndim if s is None else len(s)
        if count > x.ndim:
            raise ShapeError(
                f"{name}: Got shape with {count} values but input tensor only has {x.ndim} "
                f"dimensions. s is {tuple(s)}, input {tuple(x.shape)}"
            )
        dims = tuple(range(x.ndim - count, x.ndim))
    else:
        dims = tuple([_dim(name, d, x) for d in ((dim,) if isinstance(dim, int) else dim)])
    if len(set(dims)) != len(dims):
        raise ShapeError(f"{name}: FFT dims must be unique, but dim is {dim}")
    if s is not None and len(s) != len(dims):
        raise ShapeError(
            f"{name}: When given, dim and shape arguments must have the same length, but s is "
            f"{tuple(s)} and dim {dim}"
        )
    given = [-1] * len(dims) if s is None else s
    sizes = [x.shape[d] if n == -1 else n for d, n in zip(dims, given, strict=True)]
    if half and given and given[-1] == -1:
        sizes[-1] = 2 * (sizes[-1] - 1)
    _check_sizes(name, sizes)
    return dims, sizes


def _dim(name, d, x):
    if not x.ndim:
        raise DimError(f"{name}: Dimension specified as {d} but tensor has no dimensions")
    return shapes.dim(d, x.ndim, name)


def sizes_of(name, n):
    """Return the sizes for one dim: ``(n,)``; None if ``n`` is None."""
    if n is None:
        return None
    _check_sizes(name, (n,))
    return (n,)


def _check_sizes(name, sizes):
    for n in sizes:
        if n < 1:
            raise ShapeError(f"{name}: Invalid number of data points ({n}) specified")


def fitted(x, dims, sizes):
    """Cut elements off the end of the dims ``dims``, or add zeros, so that they have ``sizes``."""
    pad = [0] * (2 * x.ndim)
    for d, n in zip(dims, sizes, strict=True):
        if n < x.shape[d]:
            x = x.narrow(d, 0, n)
        pad[2 * (x.ndim - 1 - d) + 1] = n - x.shape[d]
    return constant_pad(x, pad=tuple(pad)) if any(pad) else x


def stored(name, result, out):
    """Return ``result``, written into ``out`` if that is given.

    ``out`` may have a higher precision than the result, but must be complex or real as it is.
    """
    if out is None:
        return result
    d = result.dtype
    if isinstance(out, Tensor) and out.dtype.category != d.category:
        wanted = "complex" if d.is_complex else "floating point"
        raise DtypeError(f"{name} expects a {wanted} output tensor, but got {out.dtype}")
    return store(out, result, name, casts=(complex128, float64))
