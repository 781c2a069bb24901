"""Functions of one number that NumPy or SciPy has: a line of a table each, instead of a block."""

from rushlight.ops.core.kinds import elementwise

__all__ = ["tabled"]


def tabled(forward, title, what, example, *, space="torch", **options):
    """The elementwise operation ``title`` of ``forward``, documented by ``what`` and ``example``.

    ``example`` is a list and what ``space.title`` of it prints, as texts. The caller defines
    ``forward``, so that the example is run with the others of its module.
    """
    given, printed = example
    forward.__name__ = title
    forward.__doc__ = (
        f"{what}.\n\n    >>> import rushlight as torch\n"
        f"    >>> {space}.{title}(torch.tensor({given}))\n    tensor({printed})\n"
    )
    return elementwise(forward, **options)
