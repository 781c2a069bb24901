"""Fakes: functions that state the shapes and dtypes of an operator's results.

While a fake runs, ``get_ctx`` stands for sizes that depend on values.
"""

from typing import Any

__all__ = ["FakeContext", "get_ctx", "run_fake"]

_context: Any = None


class FakeContext:
    """The object that gives a fake the sizes that depend on values; see ``get_ctx``."""

    def __init__(self):
        self.is_dynamic = False

    def new_dynamic_size(self, *, min=0, max=None):
        """Stand for a size that depends on values: the least one.

        Args:
            min: The least size.
            max: The greatest size, or None.

        Returns:
            An int.
        """
        self.is_dynamic = True
        return min

    create_unbacked_symint = new_dynamic_size


def get_ctx():
    """Return what a fake asks for a size that depends on values.

    Returns:
        An object with ``new_dynamic_size()``.

    Raises:
        RuntimeError: No fake is running.

    >>> import rushlight as torch
    >>> torch.library.define("docs::found", "(Tensor x) -> Tensor")
    >>> torch.library.impl("docs::found", "cpu", lambda x: x.nonzero())
    >>> @torch.library.register_fake("docs::found")
    ... def _(x):
    ...     size = torch.library.get_ctx().new_dynamic_size()
    ...     return x.new_empty(size, x.ndim, dtype=torch.int64)
    >>> torch.library.opcheck(torch.ops.docs.found.default, (torch.ones(2),))["test_faketensor"]
    'SUCCESS'
    """
    if _context is None:
        raise RuntimeError("get_ctx() can only be called inside a fake of an operator")
    return _context


def run_fake(op, args, kwargs):
    """(results of the operator's fake, whether their sizes depend on values)."""
    global _context
    was, _context = _context, FakeContext()
    try:
        return op.fake(*args, **kwargs), _context.is_dynamic
    finally:
        _context = was
