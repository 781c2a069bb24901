"""Operators of Tensor that no operation defines itself: the reflected and the in-place forms."""

from rushlight.autograd import mode
from rushlight.errors import UnhandledError
from rushlight.ops.core.dispatch import overridden
from rushlight.ops.core.promotion import scalar_dtype
from rushlight.ops.elementwise import arithmetic, division, logic, power
from rushlight.tensor import Tensor, method


def _takes(x):
    return isinstance(x, Tensor) or scalar_dtype(x) is not None


def _bind(name, call, reflected=False, own=False):
    """Define the operator ``name`` of Tensor by ``call``.

    If the other operand is neither a tensor nor a number, the operator returns NotImplemented, and
    Python asks the operand's class.

    ``own``: handlers of classes see the operator, as in PyTorch, and not ``call``.
    """

    def operate(self, other):
        try:
            if own and mode.intercept > mode.metas:
                found = overridden(operate, (self, other), {})
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
            found = overridden(Tensor.pow, (self, exponent), {})
        except UnhandledError:
            return NotImplemented
        if found is not NotImplemented:
            return found
    if isinstance(exponent, Tensor):
        return power.pow_(self, exponent)
    return power.pow_number(self, exponent) if _takes(exponent) else NotImplemented


@method
def __pos__(self):
    return arithmetic.positive(self)


@method
def __invert__(self):
    if self.dtype.category > 1:
        raise TypeError(
            "~ (operator.invert) is only implemented on integer and Boolean-type tensors, "
            f"not {self.dtype}"
        )
    return logic.bitwise_not(self)


for _name, _call in {
    "mod": division.remainder, "and": logic.bitwise_and, "or": logic.bitwise_or,
    "xor": logic.bitwise_xor, "lshift": logic.bitwise_left_shift,
    "rshift": logic.bitwise_right_shift,
}.items():  # fmt: skip
    _bind(f"__{_name}__", _call, own=_name != "mod")
    _bind(f"__r{_name}__", _call, reflected=True, own=True)
_bind("__rpow__", power.pow, reflected=True, own=True)
_bind("__rfloordiv__", division.floor_divide, reflected=True, own=True)

for _name, _written in {
    "add": "add_", "sub": "sub_", "mul": "mul_", "truediv": "div_", "floordiv": "floor_divide_",
    "mod": "remainder_", "pow": "pow_", "and": "bitwise_and_", "or": "bitwise_or_",
    "xor": "bitwise_xor_", "lshift": "bitwise_left_shift_", "rshift": "bitwise_right_shift_",
}.items():  # fmt: skip
    _bind(f"__i{_name}__", getattr(Tensor, _written))
