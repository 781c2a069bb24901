"""Operators of Tensor that no operation defines itself: the reflected and the in-place forms."""

from rushlight.autograd import mode
from rushlight.errors import UnhandledError
from rushlight.ops.core.handlers import overridden
from rushlight.ops.core.promotion import scalar_dtype
from rushlight.ops.elementwise import arithmetic, division, logic, power
from rushlight.tensor import Tensor, method


def _takes(x):
    return isinstance(x, Tensor) or scalar_dtype(x) is not None


def _bind(name, call, reflected=False, shown=None):
    """Define the operator ``name`` of Tensor by ``call``.

    If the other operand is neither a tensor nor a number, the operator returns NotImplemented, and
    Python asks the operand's class. ``shown`` is the method that handlers of classes see in place
    of the operator.
    """

    def operate(self, other):
        try:
            if mode.intercept > mode.metas:
                seen = operate if shown is None else getattr(Tensor, shown)
                found = overridden(seen, (self, other), {})
                if found is not NotImplemented:
                    return found
            if not _takes(other):
                return NotImplemented
            return call(other, self) if reflected else call(self, other)
        except UnhandledError:
            return NotImplemented

    operate.__name__ = operate.__qualname__ = name
    setattr(Tensor, name, operate)


def __rdiv__(self, other):
    if mode.intercept > mode.metas:
        try:
            found = overridden(__rdiv__, (self, other), {})
        except UnhandledError:
            return NotImplemented
        if found is not NotImplemented:
            return found
    return self.reciprocal() * other  # if ``other`` is an ndarray, NumPy multiplies


Tensor.__rtruediv__ = Tensor.__rdiv__ = __rdiv__


@method
def __pow__(self, exponent):
    if mode.intercept > mode.metas:
        try:
            found = overridden(__pow__, (self, exponent), {})
        except UnhandledError:
            return NotImplemented
        if found is not NotImplemented:
            return found
    if isinstance(exponent, Tensor):
        return power.pow_(self, exponent)
    return power.pow_number(self, exponent) if _takes(exponent) else NotImplemented


__pow__.__name__ = "pow"  # the name that handlers of classes see


@method
def __pos__(self):
    return arithmetic.positive(self)


@method
def __invert__(self):
    if mode.intercept > mode.metas:
        found = overridden(__invert__, (self,), {})
        if found is not NotImplemented:
            return found
    if self.dtype.category > 1:
        raise TypeError(
            "~ (operator.invert) is only implemented on integer and Boolean-type tensors, "
            f"not {self.dtype}"
        )
    return logic.bitwise_not(self)


_bind("__mod__", division.remainder, shown="remainder")
_bind("__rmod__", division.remainder, reflected=True)
_bind("__rpow__", power.pow, reflected=True)
_bind("__rfloordiv__", division.floor_divide, reflected=True)
for _name, _call in {
    "and": logic.bitwise_and, "or": logic.bitwise_or, "xor": logic.bitwise_xor,
    "lshift": logic.bitwise_left_shift, "rshift": logic.bitwise_right_shift,
}.items():  # fmt: skip
    _bind(f"__{_name}__", _call)
    _bind(f"__r{_name}__", _call, reflected=True, shown=None if "s" in _name else _call.__name__)

for _name, _written in {
    "add": "add_", "sub": "sub_", "mul": "mul_", "truediv": "div_", "floordiv": "floor_divide_",
    "mod": "remainder_",
}.items():  # fmt: skip
    _bind(f"__i{_name}__", getattr(Tensor, _written), shown=_written)
for _name, _written in {
    "pow": "pow_", "and": "bitwise_and_", "or": "bitwise_or_", "xor": "bitwise_xor_",
    "lshift": "bitwise_left_shift_", "rshift": "bitwise_right_shift_",
}.items():  # fmt: skip
    _bind(f"__i{_name}__", getattr(Tensor, _written))
Tensor.__ipow__.__name__ = "pow_"
