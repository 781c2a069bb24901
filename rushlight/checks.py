"""``torch._check`` and its relatives: conditions whose failure raises an error of a given type."""

import builtins

from rushlight.dtype import int8, int64
from rushlight.ops.create.from_data import tensor
from rushlight.tensor import Tensor

__all__: list[str] = []  # all names are private in PyTorch, too


def _check_with(error_type, cond, message=None):
    """Raise an error unless a condition holds.

    Args:
        error_type: The class of the error.
        cond: A bool.
        message: A function without arguments that returns the error's text. Default: a fixed text.

    Raises:
        TypeError: ``cond`` is not a bool, or ``message`` is not a function.

    >>> import rushlight as torch
    >>> torch._check_with(ValueError, 1 < 2, lambda: "never")
    """
    if not isinstance(cond, builtins.bool):
        raise TypeError(f"cond must be a bool, but got {type(cond)}")
    if cond:
        return
    if message is None:
        raise error_type("Expected cond to be True, but got False.")
    if not callable(message):
        raise TypeError("message must be a callable")
    raise error_type(str(message()))


def _checker(name, error):
    def check(cond, message=None):
        _check_with(error, cond, message)

    check.__name__ = check.__qualname__ = name
    check.__doc__ = f"Raise {error.__name__} unless ``cond`` is True; see ``_check_with``."
    return check


_check = _checker("_check", RuntimeError)
_check_index = _checker("_check_index", IndexError)
_check_value = _checker("_check_value", ValueError)
_check_type = _checker("_check_type", TypeError)
_check_not_implemented = _checker("_check_not_implemented", NotImplementedError)


def _check_is_size(i, message=None, *, max=None):
    """Raise RuntimeError unless ``i`` is at least 0, and at most ``max`` if that is given."""
    _check(i >= 0, message)
    _check(max is None or i <= max, message)


def _check_tensor_all_with(error_type, cond, message=None):
    """Raise an error unless all elements of the bool tensor ``cond`` are True."""
    if not isinstance(cond, Tensor):
        raise TypeError(f"cond must be a tensor, but got {type(cond)}")
    if cond.dtype.category:
        raise TypeError(f"cond tensor must have dtype torch.bool, but got {cond.dtype}")
    _check_with(error_type, builtins.bool(cond.all()), message)


def _check_tensor_all(cond, message=None):
    """Raise RuntimeError unless all elements of the bool tensor ``cond`` are True."""
    _check_tensor_all_with(RuntimeError, cond, message)


def _assert_async(input, assert_msg=None):
    """Raise RuntimeError, with the text ``assert_msg``, unless the only element is true."""
    if not input:
        raise RuntimeError(assert_msg or "Expected Tensor with single nonzero value, but got zero")


def _shape_as_tensor(input):
    """Return the sizes of ``input`` as an int64 tensor ``(input.ndim,)``."""
    return tensor(list(input.shape), dtype=int64)


def _int_mm(input, mat2):
    """Return the product of two int8 matrices, summed in int32."""
    if input.dtype != int8 or mat2.dtype != int8:
        raise RuntimeError(f"_int_mm: expected int8 matrices, got {input.dtype} and {mat2.dtype}")
    return input.int() @ mat2.int()
