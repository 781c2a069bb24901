"""The three kernels of which all discrete Fourier transforms are made.

``complex_to_complex`` is Y = F·X, where F is the matrix of the factors exp(-2πi·jk/n), and
``inverse`` takes exp(+2πi·jk/n) instead. ``real_to_complex`` is the same for real X, of which half
of Y is enough (``onesided``), because the other half holds conjugates. ``complex_to_real`` goes
back from that half. The gradient of a linear map is its adjoint. The adjoint of F is F with
``inverse`` turned round, so the three kernels are each other's gradients, in every order.

``norm`` says whether the result is divided by n, by √n or not at all. The adjoint divides by the
same number. But the names count from the direction of the transform, so the adjoint has the
``opposite`` name.

As in PyTorch, the transformed dims of a result lie innermost in memory. The operand's strides give
the order of the others.
"""

from math import prod

import numpy as np

from rushlight.ops.core.kinds import kernel
from rushlight.tensor import constant

__all__ = ["complex_to_complex", "complex_to_real", "opposite", "real_to_complex"]

_OPPOSITE = {"backward": "forward", "forward": "backward", "ortho": "ortho"}


def opposite(norm):
    """The name of the same scaling for the transform in the other direction."""
    return _OPPOSITE[norm]


def _order(strides, dims, last=False):
    """The order of a result's dims in memory, for an operand with ``strides``.

    ``last``: The last of ``dims`` stays the innermost. The others are sorted.

    Source: PyTorch, ``aten/src/ATen/native/mkl/SpectralOps.cpp``, ``_sort_dims``, ``_exec_fft``.
    """
    outermost_first = lambda d: -strides[d]
    kept = dims[-1:] if last else ()
    dims = [*sorted(dims[: len(dims) - len(kept)], key=outermost_first), *kept]
    # PyTorch moves the transformed dims to the end by exchanges, which decides among equal strides.
    batch, end, d = list(range(len(strides))), len(strides), 0
    while d < end:
        if batch[d] in dims:
            end -= 1
            while end > d and batch[end] in dims:
                end -= 1
            batch[d], batch[end] = batch[end], batch[d]
        d += end > d
    return [*sorted(batch[:end], key=outermost_first), *dims]


def _steps(shape, order):
    """The strides, in elements, of dims that lie in memory in this ``order``, outermost first."""
    steps, step = [0] * len(shape), 1
    for d in reversed(order):
        steps[d], step = step, step * shape[d]
    return steps


def _transformed(transform, x, dims, order, **options):
    """Return ``transform`` of ``x`` over ``dims``, with its dims in memory in this ``order``."""
    if hasattr(x, "noted"):
        places = [order.index(d) for d in dims]
        found = _noted(transform.__name__, x.transpose(order), places, **options)
        return found.transpose([order.index(d) for d in range(x.ndim)])
    if order == sorted(order):
        return transform(x, axes=dims, **options)
    found = transform(x.transpose(order), axes=[order.index(d) for d in dims], **options)
    return found.transpose([order.index(d) for d in range(x.ndim)])


def _noted(name, x, dims, norm, s=None):
    """The transform over ``dims`` in a call that will be replayed, by NumPy's loops.

    NumPy and SciPy have the same algorithm. With the order and the factors that SciPy takes for
    several dims, the results have the same bits.
    """
    n = prod([x.shape[d] for d in dims] if s is None else s)
    inverse = name in ("ifftn", "irfftn", "ihfftn")
    factor = n**-0.5 if norm == "ortho" else 1 / n if (norm == "backward") == inverse else 1
    whole, (*others, last) = "ifft" if inverse else "fft", dims

    def along(x, dim, name, factor):
        made = x.shape[dim] if s is None or dim != last else s[-1]
        return x.swapaxes(dim, -1).transformed(name, made, factor).swapaxes(dim, -1)

    if name in ("irfftn", "hfftn"):
        for d in others:
            x = along(x, d, whole, 1)
        found = along(x if inverse else x.conj(), last, "irfft", factor)
    elif x.dtype.kind == "c":
        found = along(x, dims[0], whole, factor)
        for d in dims[1:]:
            found = along(found, d, whole, 1)
    else:
        half = f"rfft_n_{'odd' if x.shape[last] % 2 else 'even'}"
        found = along(x, last, half, factor).swapaxes(last, -1)
        found = _completed(found, name, x.shape[last], inverse).swapaxes(last, -1)
        for d in others:
            found = along(found, d, whole, 1)
    return found if found.flags.c_contiguous else found.copy()


def _completed(found, name, n, inverse):
    """What ``name`` makes along the last dim, whose n numbers have the half transform ``found``."""
    if name in ("ifftn", "fftn"):
        found = found.conj() if inverse else found
        rest = found.take(np.arange((n - 1) // 2, 0, -1), -1) if n > 2 else None
        return found if rest is None else np.concatenate([found, rest.conj()], -1)
    if inverse and n > 2:  # the others are real
        inner = found[..., 1 : (n + 1) // 2].imag
        np.negative(inner, out=inner)
    return found


@kernel(public=False, method=False, name="fft_c2c", grad_name="FftC2CBackward0",
        keeps_order=True)  # fmt: skip
def complex_to_complex(xp, x, *, dim, norm, inverse):
    """Return the transform of the complex ``x`` over the dims in the tuple ``dim``."""
    from scipy import fft

    if not dim:
        return x.copy("K")
    order = _order(x.strides, dim)
    return _transformed(fft.ifftn if inverse else fft.fftn, x, dim, order, norm=norm)


complex_to_complex.grad(
    x=lambda g, dim, norm, inverse: complex_to_complex(
        g, dim=dim, norm=opposite(norm), inverse=not inverse
    )
)


@kernel(public=False, method=False, name="fft_r2c", grad_name="FftR2CBackward0", keeps_order=True)
def real_to_complex(xp, x, *, dim, norm, inverse, onesided):
    """Return the transform of the real ``x`` over ``dim``.

    With ``onesided`` the result has only the first n // 2 + 1 of the n elements of the last dim in
    ``dim``.
    """
    from scipy import fft

    strides = x.strides
    if inverse and dim[1:]:  # the last dim comes first, so the others find its order
        strides = _steps(x.shape, _order(strides, dim[-1:]))
        order = _order(strides, dim[:-1])
    else:
        order = _order(strides, dim, last=True)
    if onesided:
        return _transformed(fft.ihfftn if inverse else fft.rfftn, x, dim, order, norm=norm)
    found = _transformed(fft.ifftn if inverse else fft.fftn, x, dim, order, norm=norm)
    if not inverse:
        found.imag += 0.0  # SciPy gives elements that are their own conjugates the part -0
    return found


def _real_slope(g, x_shape, dim, norm, inverse, onesided):
    norm, inverse = opposite(norm), not inverse
    if not onesided:
        return complex_to_complex(g, dim=dim, norm=norm, inverse=inverse).real
    n = x_shape[dim[-1]]
    # complex_to_real adds the conjugates, so what has a conjugate is halved first.
    half = _scaled(g, dim[-1], n, 0.5)
    return complex_to_real(half, dim=dim, norm=norm, inverse=inverse, n=n)


real_to_complex.grad(x=_real_slope)
real_to_complex.watch(x="x")


@kernel(public=False, method=False, name="fft_c2r", grad_name="FftC2RBackward0", keeps_order=True)
def complex_to_real(xp, x, *, dim, norm, inverse, n):
    """Return the real transform over ``dim`` of ``x``, which has half of the last dim.

    That dim gets the size ``n``; ``x`` has n // 2 + 1 of its elements.
    """
    from scipy import fft

    sizes, strides = (*[x.shape[d] for d in dim[:-1]], n), x.strides
    if dim[1:]:  # the other dims come first, so the last one finds their order
        strides = _steps(x.shape, _order(strides, dim[:-1]))
    order = _order(strides, dim[-1:])
    return _transformed(fft.irfftn if inverse else fft.hfftn, x, dim, order, s=sizes, norm=norm)


def _half_slope(g, dim, norm, inverse, n):
    found = real_to_complex(g, dim=dim, norm=opposite(norm), inverse=not inverse, onesided=True)
    return _scaled(found, dim[-1], n, 2.0)


complex_to_real.grad(x=_half_slope)


def _scaled(x, dim, n, factor):
    """Multiply the elements of ``x`` along ``dim`` that stand for a conjugate, too, by ``factor``.

    They are all but the first and, if n is even, the last.
    """
    factors = np.ones(
        n // 2 + 1, np.finfo(x.dtype if type(x) is np.ndarray else x._array.dtype).dtype
    )
    factors[1 : (n + 1) // 2] = factor
    factors = factors.reshape([-1] + [1] * (x.ndim - 1 - dim))
    return x * (factors if isinstance(x, np.ndarray) else constant(factors))
