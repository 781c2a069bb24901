"""Vector norms over dims."""

from rushlight.backend.summation import squared
from rushlight.dtype import dtype as DType
from rushlight.errors import ArgumentError, DtypeError
from rushlight.ops.core.definition import function
from rushlight.ops.core.kinds import reduction
from rushlight.ops.core.promotion import as_number
from rushlight.ops.core.rules import is_complex, kept, largest, least, total, typed, where
from rushlight.ops.elementwise.rounding import abs, sgn
from rushlight.tensor import Tensor

INF = float("inf")


def converted(name, x, dtype):
    """Convert ``x`` to ``dtype``; None keeps its dtype.

    Raises:
        DtypeError: ``x`` has integers, or ``dtype`` does not fit the numbers of ``x``.
    """
    if x.dtype.category < 2:
        raise DtypeError(
            f"{name}: Expected a floating point or complex tensor as input. Got {x.dtype}"
        )
    if dtype is None or dtype is x.dtype:
        return x
    if dtype.category < 2:
        raise DtypeError(f"{name}: dtype must be floating point or complex, got {dtype}")
    if dtype.is_complex and not x.is_complex():
        raise DtypeError(f"{name}: dtype should be real for real inputs, but got {dtype}")
    if dtype.itemsize < x.dtype.itemsize or dtype.category < x.dtype.category:
        raise DtypeError(f"{name}: dtype={dtype} is narrower than the input's {x.dtype}")
    return x.to(dtype)


def _order(x, dim, p):
    """``p``, or 1 if each norm has one element, so that no power can overflow.

    The norm is then the element's absolute value for every ``p`` except 0.
    """
    return 1 if p and all(x.shape[d] == 1 for d in dim) else p


@reduction(public=False, method=False, name="linalg_vector_norm")
def vector_norm(xp, x, *, dim=None, keepdim=False, p=2):
    """(Σ|x|^p)^(1/p) over ``dim``."""
    p = _order(x, dim, p)
    if p == 2 and not is_complex(x):
        squares = None if isinstance(x, Tensor) else squared(x, None, dim)
        if squares is not None:
            return xp.sqrt(squares).reshape(
                [1 if d in dim else n for d, n in enumerate(x.shape)]
                if keepdim
                else x.shape[: x.ndim - len(dim)]
            )
        return xp.sqrt(total(x * x, dim, keepdim))
    size = xp.abs(x)
    if p < 0 or p == INF:
        _refuse_empty(size, dim, p)
    if p in (INF, -INF):
        return (largest if p > 0 else least)(size, dim, keepdim)
    if p == 0:
        return total(typed(size != 0, size), dim, keepdim)
    if p == 1:
        return total(size, dim, keepdim)
    if p == 2:
        return xp.sqrt(total(size * size, dim, keepdim))
    return xp.power(total(xp.power(size, p), dim, keepdim), 1 / p)


def _refuse_empty(size, dim, p):
    for d in dim:
        if not size.shape[d]:
            raise RuntimeError(
                f"linalg.vector_norm cannot compute the {p} norm on an empty tensor of shape "
                f"{size.shape} because the operation does not have an identity"
            )


def slope(g, x, out, x_shape, dim, keepdim, p):
    """The gradient of ``x``; None if it is 0 everywhere."""
    g, out = kept(g, x_shape, dim, keepdim), kept(out, x_shape, dim, keepdim)
    if p == 0:
        return None
    if p == 1:
        return sgn(x) * g
    if p == 2:
        return g * where(out == 0, 0, x / out)
    if p in (INF, -INF):
        size = abs(x)
        mask = typed((size == out) | (size != size), g)
        return sgn(x) * (mask * (g / total(mask, dim)))
    if p < 1:
        return where(x == 0, 0, sgn(x) * abs(x) ** (p - 1)) * (g * out ** (1 - p))
    scale = where(out == 0, 0, g / out ** (p - 1))
    return (sgn(x) * abs(x) ** (p - 1) if p < 2 else x * abs(x) ** (p - 2)) * scale


vector_norm.lower()
vector_norm.grad(x=slope)


@function(kinds={"p": "order", "dim": "ints"}, refusal=ArgumentError, in_python=True)
def norm(input, p="fro", dim=None, keepdim=False, out=None, dtype=None):
    """Compute the norm over ``dim``: ``(Σ |x|^p)^(1/p)``.

    Args:
        input: Tensor of any shape ``(*)``, floating point or complex.
        p: The order. inf gives the largest absolute value, -inf the smallest one, and 0 the number
            of elements that are not 0. ``"fro"`` (default) means 2. ``"nuc"`` gives the sum of the
            singular values of matrices.
        dim: The dim or dims (tuple) to reduce; ``"nuc"`` needs two. Default: all dims.
        dtype: Convert ``input`` to this dtype first. Default: keep its dtype.

    Returns:
        Real tensor without the reduced dims; with ``keepdim`` they have size 1.

    Raises:
        RuntimeError: ``input`` has integers or bools.

    >>> import rushlight as torch
    >>> torch.norm(torch.tensor([3.0, 4.0]))
    tensor(5.)
    """
    if not isinstance(input, Tensor):
        raise TypeError(
            f"norm(): argument 'input' (position 1) must be Tensor, not {type(input).__name__}"
        )
    if isinstance(out, DType):  # the method has no ``out``, and ``dtype`` in its place
        out, dtype = None, out
    if isinstance(p, str):
        if p == "nuc":
            from rushlight.linalg import matrix_norm

            dim = range(input.dim()) if dim is None else [dim] if isinstance(dim, int) else dim
            return matrix_norm(input, p, tuple(dim), keepdim, dtype=dtype, out=out)
        if p != "fro":
            raise RuntimeError(
                f"norm: only valid string values are 'fro' (default) and 'nuc', found: {p}"
            )
        p = 2
    p = 2 if p is None else as_number(p)
    return vector_norm(converted("norm", input, dtype), dim, keepdim, p=p, out=out)
