"""Dtypes: PyTorch's element types, stored by NumPy's, and PyTorch's rules of type promotion."""

import builtins

import ml_dtypes
import numpy as np

__all__ = ["DTYPES", "can_cast", "dtype", "finfo", "iinfo", "promote_types"]


_SHORT = {"bfloat": "bf", "complex": "c", "float": "f", "int": "i", "uint": "u"}


class dtype:
    """The type of a tensor's elements.

    There is one object for each type. The class makes no further ones.

    Attributes:
        name: PyTorch's name, for example ``"float32"``.
        numpy: The NumPy dtype that stores the elements.
        itemsize: Size of one element, in bytes.
        category: 0 for bool, 1 for integers, 2 for floating point, 3 for complex.
            Promotion prefers the higher category.
        is_floating_point: True for real floating-point types.
        is_complex: True for complex types.
        is_signed: True for types with negative values.

    >>> import rushlight as torch
    >>> torch.float32, torch.float32.itemsize, torch.int8.is_floating_point
    (torch.float32, 4, False)
    """

    __slots__ = (
        "__weakref__", "category", "is_complex", "is_floating_point", "is_signed",
        "itemsize", "name", "numpy",
    )  # fmt: skip

    name: str
    numpy: np.dtype
    itemsize: int
    category: int
    is_complex: "builtins.bool"
    is_floating_point: "builtins.bool"
    is_signed: "builtins.bool"

    def __new__(cls, *args, **kwargs):
        raise TypeError("dtype: types cannot be created; use torch.float32, torch.int64, ...")

    def __repr__(self):
        return f"torch.{self.name}"

    def __reduce__(self):
        return self.name  # of the module's variable

    @property
    def abbr(self):
        """A short name.

        >>> import rushlight as torch
        >>> torch.float32.abbr, torch.bfloat16.abbr, torch.int64.abbr
        ('f32', 'bf16', 'i64')
        """
        if self.name == "bool":
            return "b8"
        digits = self.name.lstrip("abcdefghijklmnopqrstuvwxyz")
        return _SHORT[self.name.removesuffix(digits)] + digits.replace("_", "")

    def __copy__(self):
        return self

    def __deepcopy__(self, memo):
        return self

    def to_real(self):
        """Return the real dtype of the same precision: complex64 → float32."""
        return {"complex32": float16, "complex64": float32, "complex128": float64}.get(
            self.name, self
        )

    def to_complex(self):
        """Return the complex dtype for this dtype: float64 → complex128."""
        pairs = {"float16": COMPLEX32[0] if COMPLEX32 else complex64, "bfloat16": complex64,
                 "float32": complex64, "float64": complex128}  # fmt: skip
        if self.is_complex:
            return self
        if self.name not in pairs:
            raise RuntimeError(f"to_complex: {self} has no complex counterpart")
        return pairs[self.name]


def _make(name, numpy_type, category):
    self = object.__new__(dtype)
    self.name = name
    self.numpy = np.dtype(numpy_type)
    self.itemsize = self.numpy.itemsize
    self.category = category
    self.is_floating_point = category == 2
    self.is_complex = category == 3
    self.is_signed = name not in (
        "bool", "uint8", "uint16", "uint32", "uint64", "float8_e8m0fnu",
    )  # fmt: skip
    return self


bool = _make("bool", np.bool_, 0)
uint8 = _make("uint8", np.uint8, 1)
int8 = _make("int8", np.int8, 1)
int16 = _make("int16", np.int16, 1)
int32 = _make("int32", np.int32, 1)
int64 = _make("int64", np.int64, 1)
float16 = _make("float16", np.float16, 2)
bfloat16 = _make("bfloat16", ml_dtypes.bfloat16, 2)
float32 = _make("float32", np.float32, 2)
float64 = _make("float64", np.float64, 2)
complex64 = _make("complex64", np.complex64, 3)
complex128 = _make("complex128", np.complex128, 3)
# PyTorch stores and converts the following dtypes but has few operations for them.
uint16 = _make("uint16", np.uint16, 1)
uint32 = _make("uint32", np.uint32, 1)
uint64 = _make("uint64", np.uint64, 1)
# Numbers of 8 bits: e4m3 has 4 bits of exponent and 3 of mantissa; "fn" has no infinities, and
# "uz" no negative zero. PyTorch stores and converts them, and computes with none of them.
float8_e4m3fn = _make("float8_e4m3fn", ml_dtypes.float8_e4m3fn, 2)
float8_e4m3fnuz = _make("float8_e4m3fnuz", ml_dtypes.float8_e4m3fnuz, 2)
float8_e5m2 = _make("float8_e5m2", ml_dtypes.float8_e5m2, 2)
float8_e5m2fnuz = _make("float8_e5m2fnuz", ml_dtypes.float8_e5m2fnuz, 2)
float8_e8m0fnu = _make("float8_e8m0fnu", ml_dtypes.float8_e8m0fnu, 2)
FLOAT8 = (float8_e4m3fn, float8_e4m3fnuz, float8_e5m2, float8_e5m2fnuz, float8_e8m0fnu)
#: ``torch.complex32``, if there is one: a NumPy type for it came with ml_dtypes 0.6.
COMPLEX32: tuple[dtype, ...] = (
    (_make("complex32", ml_dtypes.complex32, 3),) if hasattr(ml_dtypes, "complex32") else ()
)
#: NumPy's type of ``complex32``. NumPy's ``.real`` of such an array is the array itself.
COMPLEX_HALF = tuple([d.numpy for d in COMPLEX32])
#: The kinds of NumPy dtypes with complex numbers. That of ``complex32`` is "W" in ml_dtypes 0.6.
COMPLEX_KINDS = ("c", *[d.kind for d in COMPLEX_HALF])


class QuantizedDtype(dtype):
    """The type of a quantized tensor's integers, such as ``torch.qint8``.

    Only ``quantize_per_tensor`` and its like make tensors of it.

    Attributes:
        stored: The dtype of the integers.
    """

    __slots__ = ("stored",)

    stored: dtype

    @property
    def numpy(self):  # type: ignore[override]
        raise RuntimeError(
            f"{self} has no elements of its own: make a tensor by torch.quantize_per_tensor, and "
            "read its integers by int_repr() or its numbers by dequantize()"
        )

    @property
    def is_signed(self):  # type: ignore[override]
        raise RuntimeError(f"is_signed is not supported for quantized types such as {self}")


def _make_quantized(name, stored):
    self = object.__new__(QuantizedDtype)
    self.name, self.stored, self.itemsize, self.category = name, stored, stored.itemsize, 1
    self.is_floating_point = self.is_complex = False
    return self


qint8 = _make_quantized("qint8", int8)
quint8 = _make_quantized("quint8", uint8)
qint32 = _make_quantized("qint32", int32)
# Several numbers in a byte: the names exist, and no tensor has such a dtype.
quint4x2, quint2x4 = _make_quantized("quint4x2", uint8), _make_quantized("quint2x4", uint8)


class NarrowDtype(dtype):
    """The type of integers of less than 8 bits, such as ``torch.uint4``.

    Libraries of quantized models name such types. No tensor has one.
    """

    __slots__ = ()

    @property
    def numpy(self):  # type: ignore[override]
        raise NotImplementedError(f"no tensor has the dtype {self}, which is only a name")


def _make_narrow(name):
    self = object.__new__(NarrowDtype)
    self.name, self.itemsize, self.category = name, 1, 1
    self.is_floating_point = self.is_complex = False
    self.is_signed = name.startswith("int")
    return self


NARROW = {
    name: _make_narrow(name)
    for kind in ("uint", "int")
    for name in [f"{kind}{n}" for n in range(1, 8)]
}
globals().update(NARROW)

DTYPES = (
    bool, uint8, int8, int16, int32, int64, float16, bfloat16, float32, float64,
    complex64, complex128, uint16, uint32, uint64, *FLOAT8, *COMPLEX32,
)  # fmt: skip
ALIASES = {
    "half": float16, "float": float32, "double": float64, "short": int16, "int": int32,
    "long": int64, "cfloat": complex64, "cdouble": complex128,
}  # fmt: skip
if COMPLEX32:
    ALIASES["chalf"] = COMPLEX32[0]
_OF_PYTHON = {
    builtins.bool: bool, builtins.int: int64, builtins.float: float64,
    builtins.complex: complex128,
}  # fmt: skip


def from_python(x):
    """Return the dtype for which one of Python's types stands: ``float``; any other x as it is."""
    return _OF_PYTHON.get(x, x) if isinstance(x, type) else x


# The legacy tensor type of each dtype: tensor.type() and tensor.type("torch.LongTensor").
TENSOR_TYPES = {
    "torch.BoolTensor": bool, "torch.ByteTensor": uint8, "torch.CharTensor": int8,
    "torch.ShortTensor": int16, "torch.IntTensor": int32, "torch.LongTensor": int64,
    "torch.HalfTensor": float16, "torch.BFloat16Tensor": bfloat16,
    "torch.FloatTensor": float32, "torch.DoubleTensor": float64,
    "torch.ComplexFloatTensor": complex64, "torch.ComplexDoubleTensor": complex128,
    "torch.UInt16Tensor": uint16, "torch.UInt32Tensor": uint32, "torch.UInt64Tensor": uint64,
}  # fmt: skip
if COMPLEX32:
    TENSOR_TYPES["torch.ComplexHalfTensor"] = COMPLEX32[0]
TENSOR_TYPES |= {f"torch.{d.name[0].upper()}{d.name[1:]}Tensor": d for d in FLOAT8}
TYPE_NAMES = {d: name for name, d in TENSOR_TYPES.items()}
#: NumPy dtype → dtype.
OF = {d.numpy: d for d in DTYPES}


def scalar_name(numpy_dtype):
    """The name in PyTorch's messages: ``Float`` or ``ComplexDouble``."""
    d = OF[numpy_dtype]
    if d.is_complex:
        return "Complex" + scalar_name(d.to_real().numpy)
    return TYPE_NAMES[d][6:-6] if d in TYPE_NAMES else d.name.title()


def of(numpy_dtype):
    """Return the dtype for ``numpy_dtype``; raise TypeError if PyTorch has none."""
    found = OF.get(numpy_dtype)
    if found is None:
        found = OF.get(np.dtype(numpy_dtype).newbyteorder("="))
        if found is None or not np.dtype(numpy_dtype).isnative:
            raise TypeError(
                f"can't convert np.ndarray of type numpy.{np.dtype(numpy_dtype).type.__name__}. "
                "The only supported types are: float64, float32, float16, complex64, complex128, "
                "int64, int32, int16, int8, uint64, uint32, uint16, uint8, and bool."
            )
    return found


def _promotion_table():
    # The later dtype in ``order`` wins, with three exceptions. uint8 with int8 gives int16, because
    # int16 holds both. float16 with bfloat16 gives float32. A complex dtype keeps the precision of
    # the other one: float64 with complex64 gives complex128.
    order = (bool, uint8, int8, int16, int32, int64, float16, bfloat16, float32, float64,
             *COMPLEX32, complex64, complex128)  # fmt: skip
    table = {}
    for i, a in enumerate(order):
        for b in order[i:]:
            if a is uint8 and b is int8:
                c = int16
            elif a is float16 and b is bfloat16:
                c = float32
            elif a.is_floating_point and b.is_complex:
                c = max(a.to_complex(), b, key=order.index)
            else:
                c = b
            table[a, b] = table[b, a] = c
    for d in FLOAT8:
        table[d, d] = d
    for u in (uint16, uint32, uint64):
        table[u, u] = u
        for other in order:
            if other.is_floating_point:
                table[u, other] = table[other, u] = other
    return table


_PROMOTE = _promotion_table()


def promote_types(type1, type2):
    """Return the dtype of a result of two dtypes, by PyTorch's table.

    Args:
        type1, type2: A ``torch.dtype``.

    Returns:
        A ``torch.dtype``.

    Raises:
        TypeError: An argument is no dtype.
        RuntimeError: PyTorch defines no result, as for uint16 and int32.

    >>> import rushlight as torch
    >>> torch.promote_types(torch.int64, torch.float16)
    torch.float16
    >>> torch.promote_types(torch.uint8, torch.int8)
    torch.int16
    """
    try:
        return _PROMOTE[type1, type2]
    except KeyError:
        for t in (type1, type2):
            if not isinstance(t, dtype):
                raise TypeError(
                    f"promote_types(): arguments must be torch.dtype, not {type(t).__name__}"
                ) from None
        raise RuntimeError(
            f"Promotion for {type1} and {type2} is not defined; convert one of the two with .to()"
        ) from None


def can_cast(from_, to):
    """Tell whether a result of dtype ``from_`` may be written into a tensor of dtype ``to``.

    Args:
        from_: The dtype of the result.
        to: The dtype of the tensor.

    Returns:
        True unless the category falls: bool, integers, floating point, complex, in this order.

    >>> import rushlight as torch
    >>> torch.can_cast(torch.double, torch.float), torch.can_cast(torch.float, torch.int)
    (True, False)
    """
    return from_.category <= to.category


_default = float32


def get_default_dtype():
    """Return the dtype that Python floats get.

    Returns:
        float32, or the dtype given to ``set_default_dtype``.

    >>> import rushlight as torch
    >>> torch.get_default_dtype()
    torch.float32
    """
    return _default


def set_default_dtype(d):
    """Set the dtype that Python floats get.

    Args:
        d: A real floating-point dtype.

    Raises:
        TypeError: ``d`` is no floating-point dtype.

    >>> import rushlight as torch
    >>> torch.set_default_dtype(torch.float64)
    >>> torch.tensor(0.5).dtype
    torch.float64
    >>> torch.set_default_dtype(torch.float32)
    """
    global _default
    if not isinstance(d, dtype):
        raise TypeError(
            "invalid dtype object: only floating-point types are supported as the default type"
        )
    if not d.is_floating_point:
        raise TypeError(f"only floating-point types are supported as the default type, not {d}")
    _default = d


class _Limits:
    dtype: str

    def __eq__(self, other):
        return type(other) is type(self) and other.dtype == self.dtype

    def __hash__(self):
        return hash((type(self), self.dtype))


class finfo(_Limits):
    """The limits of a floating-point dtype.

    Attributes:
        bits: Size of a number, in bits.
        eps: The distance from 1 to the next larger number.
        max, min: The largest and the smallest finite number.
        tiny, smallest_normal: The smallest positive number of full precision.
        resolution: The precision in decimal digits, as a number such as 1e-6.
        dtype: The dtype's name; of a complex dtype, that of its parts.

    Args:
        type: A floating-point or complex dtype. Default: ``torch.get_default_dtype()``.

    Raises:
        TypeError: ``type`` is no such dtype.

    >>> import rushlight as torch
    >>> torch.finfo(torch.float32).eps
    1.1920928955078125e-07
    """

    def __init__(self, type=None):
        d = _default if type is None else from_python(type)
        if not isinstance(d, dtype):
            raise TypeError(f"finfo(): argument 'type' must be torch.dtype, not {d!r}")
        if d.category < 2:
            raise TypeError(
                f"torch.finfo() requires a floating point input type. Use torch.iinfo to handle "
                f"'{d.name}'"
            )
        d = d.to_real()
        info = ml_dtypes.finfo(d.numpy)
        self.bits = info.bits
        self.eps = float(info.eps)
        self.max = float(info.max)
        self.min = float(info.min)
        self.tiny = self.smallest_normal = float(info.smallest_normal)
        self.resolution = 1.0 if d in FLOAT8 else float(f"1e-{info.precision}")
        self.dtype = d.name

    def __repr__(self):
        return (
            f"finfo(resolution={self.resolution:g}, min={self.min:g}, max={self.max:g}, "
            f"eps={self.eps:g}, smallest_normal={self.smallest_normal:g}, "
            f"tiny={self.tiny:g}, dtype={self.dtype})"
        )


class iinfo(_Limits):
    """The limits of an integer dtype.

    Attributes:
        bits: Size of a number, in bits.
        max, min: The largest and the smallest number.
        dtype: The dtype's name.

    Args:
        type: An integer dtype, not bool.

    Raises:
        TypeError: ``type`` is no such dtype.

    >>> import rushlight as torch
    >>> torch.iinfo(torch.int8)
    iinfo(min=-128, max=127, dtype=int8)
    """

    def __init__(self, type):
        type = from_python(type)
        if not isinstance(type, dtype):
            raise TypeError(f"iinfo(): argument 'type' must be torch.dtype, not {type!r}")
        if type.category > 1 or type is bool:
            raise TypeError(
                f"torch.iinfo() requires an integer input type. Use torch.finfo to handle "
                f"'{type.name}'"
            )
        info = np.iinfo(type.numpy)
        self.bits, self.min, self.max, self.dtype = (
            info.bits,
            int(info.min),
            int(info.max),
            type.name,
        )

    def __repr__(self):
        return f"iinfo(min={self.min:g}, max={self.max:g}, dtype={self.dtype})"
