"""Unary functions of NumPy and SciPy as operations, each defined by one line of a table."""

from rushlight.ops.core.kinds import elementwise

__all__ = ["tabled"]


def tabled(forward, title, what, example, *, space="torch", **options):
    """The elementwise operation ``title`` with the forward ``forward``.

    Its docstring consists of ``what`` and ``example``: a pair of strings, with the input's elements
    and the printed result's. The caller defines ``forward``, so that the example is tested with the
    others of the caller's module.
    """
    given, printed = example
    forward.__name__ = title
    forward.__doc__ = (
        f"{what}.\n\n    >>> import rushlight as torch\n"
        f"    >>> {space}.{title}(torch.tensor({given}))\n    tensor({printed})\n"
    )
    return elementwise(forward, **options)
