"""Complex numbers: conjugates, real and imaginary parts, and construction from parts."""

import numpy as np

from rushlight import late
from rushlight.autograd import mode
from rushlight.backend.numpy import from_parts
from rushlight.dtype import COMPLEX_HALF, COMPLEX_KINDS, OF, scalar_name
from rushlight.errors import DtypeError, UnsupportedDtypeError
from rushlight.ops.core.autocast import SINGLE
from rushlight.ops.core.complex_pairs import Pair
from rushlight.ops.core.definition import FUNCTIONS, function
from rushlight.ops.core.kinds import elementwise, kernel, view
from rushlight.ops.elementwise.exponential import floating
from rushlight.ops.elementwise.rounding import sgn
from rushlight.ops.elementwise.trigonometry import cos, sin
from rushlight.storage import offset, strided
from rushlight.tensor import LazyViewOf, Tensor

# Conjugates -------------------------------------------------------------------------------


def _is_complex(x, name):
    if not isinstance(x, Tensor):
        raise TypeError(f"{name}(): argument 'input' must be Tensor, not {type(x).__name__}")
    return OF[x._array.dtype].is_complex


@elementwise(public=False, method=False, inplace=False, name="conj", grad_name="ConjBackward0",
             keeps_order="like")  # fmt: skip
def _conj(xp, x):
    """The complex conjugate."""
    return xp.conjugate(x)


_conj.grad(x=lambda g: _conj(g) if isinstance(g, Tensor) else g.conj())


@function
def conj(input):
    """Return the complex conjugate of ``input``.

    In PyTorch the result is a view. Here its elements are computed, and they are computed again
    after ``input`` was written. A write to the result raises an error.

    Returns:
        Tensor of ``input``'s shape. A real tensor is returned itself.

    >>> import rushlight as torch
    >>> torch.conj(torch.tensor([1 + 2j]))
    tensor([1.-2.j])
    """
    if not _is_complex(input, "conj"):
        return input
    if _is_turned(input):  # the conjugate of a conjugate is a view of all that is in between
        between = [step for step in input.view_of.path if step[0] is not _conj.op]
        if all(op is not as_pairs.op for op, _, _ in between):
            return _along(input.view_of.root, between)
    out = _conj(input)
    if type(out) is Tensor:
        view = input.view_of
        root, path = (input, ()) if view is None else (view.root, view.path)
        out.cell = input.cell
        untracked = not mode.records()
        out.view_of = LazyViewOf(root, (*path, (_conj.op, (), {})), input.cell[0], untracked)
    return out


def _along(root, path):
    """The view of ``root`` along ``path``. An empty path gives a view of all elements."""
    if not path:
        return root[...]
    for op, args, params in path:
        root = op.call(root, *args, **params)
    return root


@function(inplace=True)
def conj_physical(input, *, out=None):
    """Compute the complex conjugate of ``input`` at once, as a tensor with its own memory.

    Returns:
        Tensor of ``input``'s shape. A real tensor is returned itself, unless ``out`` is given.

    >>> import rushlight as torch
    >>> torch.conj_physical(torch.tensor([1 + 2j]))
    tensor([1.-2.j])
    """
    if out is None and not input.dtype.is_complex:
        return input
    return _conj(input, out=out)


@function
def resolve_conj(input):
    """Copy ``input`` if it is a conjugate made by ``conj``.

    Returns:
        Tensor of ``input``'s shape for which ``is_conj`` is False. Other tensors are returned
        themselves.

    >>> import rushlight as torch
    >>> x = torch.conj(torch.tensor([1 + 2j]))
    >>> x.is_conj(), torch.resolve_conj(x).is_conj()
    (True, False)
    """
    return input.clone() if is_conj(input) else input


@function
def is_conj(input):
    """True if ``input`` is a complex tensor that ``conj`` made from another.

    Returns:
        bool, not a tensor.

    >>> import rushlight as torch
    >>> torch.is_conj(torch.conj(torch.tensor([1 + 2j])))
    True
    """
    return _is_complex(input, "is_conj") and _is_turned(input)


@function
def resolve_neg(input):
    """Copy ``input`` if it is the imaginary part of a conjugate made by ``conj``.

    Returns:
        Tensor of ``input``'s shape for which ``is_neg`` is False. Other tensors are returned
        themselves.

    >>> import rushlight as torch
    >>> x = torch.conj(torch.tensor([1 + 2j])).imag
    >>> x.is_neg(), torch.resolve_neg(x).is_neg()
    (True, False)
    """
    return input.clone() if is_neg(input) else input


@function
def is_neg(input):
    """True if ``input`` is the imaginary part of a conjugate that ``conj`` made.

    Returns:
        bool, not a tensor.

    >>> import rushlight as torch
    >>> torch.is_neg(torch.conj(torch.tensor([1 + 2j])).imag)
    True
    """
    return (
        not _is_complex(input, "is_neg")
        and _is_turned(input)
        and any(op is _imag.op for op, _, _ in input.view_of.path)
    )


def _is_turned(x):
    """True if ``x`` is a view whose path conjugates an odd number of times."""
    path = () if x.view_of is None else x.view_of.path
    return sum([op is _conj.op for op, _, _ in path]) % 2 == 1


# Parts ------------------------------------------------------------------------------------


@view(public=False, method=False, name="real", grad_name="SelectBackward0", primitive="memory")
def _real(xp, x):
    """The real part."""
    return _as_pairs(x)[..., 0] if x.dtype in COMPLEX_HALF else x.real


_real.grad(x=lambda g: g)
_real.lower_on_pairs(lambda x: x.real)


def _needs_imaginary(x):
    if x.dtype.kind not in COMPLEX_KINDS:
        raise RuntimeError(
            f"imag is not implemented for tensors with non-complex dtypes: {OF[x.dtype]}"
        )
    return {}


@view(public=False, method=False, name="imag", prepare=_needs_imaginary,
      grad_name="SelectBackward0", primitive="memory")  # fmt: skip
def _imag(xp, x):
    """The imaginary part."""
    return _as_pairs(x)[..., 1] if x.dtype in COMPLEX_HALF else x.imag


def _imaginary(g):
    """g · i with a real part of 0: the product has nan there where g is infinite or nan."""
    if isinstance(g, Tensor):
        return complex_(g.new_zeros(g.shape), g)
    found = np.zeros_like(g, np.result_type(g.dtype, np.complex64))
    found.imag = g
    return found


_imag.grad(x=_imaginary)
_imag.lower_on_pairs(lambda x: x.imag)


def real(input):
    """Return the real part of ``input`` as a view.

    Args:
        input: Tensor of any shape ``(*)``.

    Returns:
        Real tensor of ``input``'s shape, which shares its memory. A real tensor is returned itself.

    >>> import rushlight as torch
    >>> torch.real(torch.tensor([1 + 2j]))
    tensor([1.])
    """
    if not _is_complex(input, "real"):
        return input
    view = input.view_of
    # A conjugate and its number have the same real part, so the view is of the number's memory.
    if view is not None and view.path[-1][0] is _conj.op:
        input = conj(input)
    return _real(input)


def imag(input):
    """Return the imaginary part of ``input`` as a view.

    Args:
        input: Complex tensor of any shape ``(*)``.

    Returns:
        Real tensor of ``input``'s shape. It shares the memory of ``input``, unless ``conj`` made
        ``input``.

    Raises:
        RuntimeError: ``input`` is not complex.

    >>> import rushlight as torch
    >>> torch.imag(torch.tensor([1 + 2j]))
    tensor([2.])
    """
    return _imag(input)


def _write_part(part):
    def write(self, value):
        part(self).copy_(
            value if isinstance(value, Tensor) else Tensor.new_tensor(self, value).real
        )

    return write


FUNCTIONS["real"], FUNCTIONS["imag"] = real, imag
Tensor.real = property(real, _write_part(real))
Tensor.imag = property(imag, _write_part(imag))


def _pairs(x):
    if x.dtype.kind not in COMPLEX_KINDS:
        raise RuntimeError(f"view_as_real is only supported for complex tensors, not {OF[x.dtype]}")
    return {}


@view(prepare=_pairs, public=False, method=False, name="view_as_real", primitive="memory")
def as_pairs(xp, x):
    """The real and imaginary parts in a new last dim."""
    return _as_pairs(x)


@function(method=False)
def view_as_real(input):
    """View complex numbers as pairs of real numbers in a new last dim.

    Args:
        input: Complex tensor of any shape ``(*)``.

    Returns:
        Real tensor ``(*, 2)`` of real and imaginary parts, which shares ``input``'s memory.

    Raises:
        RuntimeError: ``input`` is not complex, or a conjugate that ``conj`` made.

    >>> import rushlight as torch
    >>> torch.view_as_real(torch.tensor([1 + 2j]))
    tensor([[1., 2.]])
    """
    if isinstance(input, Tensor) and is_conj(input):
        raise RuntimeError(
            "view_as_real doesn't work on unresolved conjugated tensors. To resolve the conjugate "
            "tensor so you can view it as real, use self.resolve_conj(); however, be warned that "
            "the resulting tensor will NOT alias the original."
        )
    return as_pairs(input)


def _as_pairs(x):
    dtype = OF[x.dtype].to_real().numpy
    return strided(x, (*x.shape, 2), (*x.strides, dtype.itemsize), dtype)


as_pairs.lower_on_pairs(lambda x: late.stack([x.real, x.imag], -1))
as_pairs.grad(x=lambda g: view_as_complex(g.contiguous()) if isinstance(g, Tensor) else _joined(g))


def _joined(x):
    return from_parts(x[..., 0], x[..., 1])


def _check_pairs(x):
    if x.dtype.kind != "f" or OF[x.dtype].to_complex().itemsize != 2 * x.itemsize:
        raise RuntimeError(
            "view_as_complex is only supported for half, float and double tensors, but got a "
            f"tensor of scalar type: {OF[x.dtype]}"
        )
    if not x.ndim or x.shape[-1] != 2:
        raise RuntimeError(
            f"Tensor must have a last dimension of size 2, but its shape is {tuple(x.shape)}"
        )
    if x.size and _apart(x):
        raise RuntimeError("Tensor must have a stride divisible by 2 for all but last dimension")
    if isinstance(x, np.ndarray) and offset(x) % 2:
        raise RuntimeError("Tensor must have a storage_offset divisible by 2")
    return {}


def _apart(x):
    """Whether a real and an imaginary part are not neighbours, or a pair begins inside another."""
    size, strides = x.itemsize, x.strides
    steps = [s for n, s in zip(x.shape, strides[:-1], strict=False) if n > 1 and s % (2 * size)]
    return strides[-1] != size or steps != []


@view(prepare=_check_pairs, method=False, by_layout=True, autocast=SINGLE, primitive="memory")
def view_as_complex(xp, x):
    """View the pairs of real numbers in the last dim as complex numbers.

    Args:
        input: Tensor ``(*, 2)`` of dtype float16, float32 or float64, which holds the real and
            imaginary parts. The last dim has stride 1, and the other strides are even.

    Returns:
        Complex tensor ``(*)``, which shares ``input``'s memory.

    Raises:
        RuntimeError: ``input`` has another dtype, another last dim, or other strides.

    >>> import rushlight as torch
    >>> torch.view_as_complex(torch.tensor([[1.0, 2.0]]))
    tensor([1.+2.j])
    """
    return strided(x, x.shape[:-1], x.strides[:-1], OF[x.dtype].to_complex().numpy)


view_as_complex.lower_on_pairs(lambda x: Pair(x.select(-1, 0), x.select(-1, 1)))
view_as_complex.grad(
    x=lambda g: as_pairs(g) if isinstance(g, Tensor) else np.stack([g.real, g.imag], -1)
)

# Made of parts ----------------------------------------------------------------------------


def _same(operands):
    x, y = operands
    if x.dtype.kind != "f" or y.dtype.kind != "f":
        raise UnsupportedDtypeError(
            "complex: Expected both inputs to be Half, Float or Double tensors but got "
            f"{scalar_name(x.dtype)} and {scalar_name(y.dtype)}"
        )
    if x.dtype != y.dtype:
        raise DtypeError(
            f"complex: Expected object of scalar type {scalar_name(x.dtype)} but got scalar type "
            f"{scalar_name(y.dtype)} for second argument"
        )
    return floating(operands)


@kernel(public=False, method=False, name="complex", prepare=lambda x, y: _same((x, y)) and {},
        keeps_order=(0, 1))  # fmt: skip
def complex_(xp, x, y):
    """x + iy."""
    dtype = xp.result_type(x.dtype, xp.complex64)
    if x.flags.c_contiguous and y.flags.c_contiguous:
        out = xp.empty(np.broadcast_shapes(x.shape, y.shape), dtype)
    else:
        out = xp.asarray(xp.add(x, y, dtype=dtype))
    out.real, out.imag = x, y
    return out


complex_.grad(x=lambda g: g.real, y=lambda g: g.imag)
complex_.watch(x="x", y="y")
complex_.lower_on_pairs(lambda x, y: Pair(x, y))


def complex(real, imag, *, out=None):
    """Make complex numbers of real and imaginary parts.

    Args:
        real: The real parts, a floating-point tensor of any shape ``(*)``.
        imag: The imaginary parts, a tensor of ``real``'s dtype. Both are broadcast to one shape.
        out: Tensor that receives the result. It is resized if its shape is another.

    Returns:
        Complex tensor of the shape to which ``real`` and ``imag`` are broadcast. Its dtype is
        complex128 for float64, complex32 for float16, else complex64.

    Raises:
        RuntimeError: the dtypes differ, or are not floating point.

    >>> import rushlight as torch
    >>> torch.complex(torch.tensor([1.0]), torch.tensor([2.0]))
    tensor([1.+2.j])
    """
    return complex_(real, imag, out=out)


FUNCTIONS["complex"] = complex


@kernel(public=False, method=False, name="polar", prepare=lambda x, y: _same((x, y)) and {},
        keeps_order=(0, 1))  # fmt: skip
def polar_(xp, x, y):
    """x (cos y + i sin y)."""
    return complex_.op.forward(xp, x * xp.cos(y), x * xp.sin(y))


polar_.lower(lambda x, y: complex_(x * cos(y), x * sin(y)))
# As in PyTorch, a negative modulus counts as the positive modulus at the opposite angle.
polar_.grad(
    x=lambda g, out: (g.conj() * sgn(out)).real,
    y=lambda g, out: (g.conj() * (out * 1j)).real,
)


@function(method=False)
def polar(abs, angle, *, out=None):
    """Make complex numbers of absolute values and angles.

    Args:
        abs: The absolute values, a floating-point tensor of any shape ``(*)``.
        angle: The angles in radians, a tensor of ``abs``'s dtype. Both are broadcast to one shape.

    Returns:
        Complex tensor of the shape to which ``abs`` and ``angle`` are broadcast. Its dtype is
        complex128 for float64, else complex64.

    Raises:
        RuntimeError: the dtypes differ, or are not floating point.

    >>> import rushlight as torch
    >>> torch.polar(torch.tensor([2.0]), torch.tensor([0.0]))
    tensor([2.+0.j])
    """
    return polar_(abs, angle, out=out)
