"""Warnings that name the user's line, and those that are shown once in a process.

PyTorch shows some of its warnings once: warnings about layouts that may still change, and about
conversions that programs make in every step. ``torch.set_warn_always(True)`` shows them each time.
"""

import sys
import warnings
from types import FrameType

__all__ = ["set_always", "shown", "warn", "warn_of_nested", "warn_once"]

#: True if warnings of ``warn_once`` are shown each time.
always = False
#: The topics that the process has warned of. A function that is called often asks here first.
shown: set = set()


def set_always(flag):
    """Show warnings of ``warn_once`` each time, or once from now on."""
    global always
    always = flag
    shown.clear()


def warn(message):
    """Warn at the line that called into rushlight, however many of rushlight's lines are between.

    >>> import warnings
    >>> with warnings.catch_warnings(record=True) as found:
    ...     warnings.simplefilter("always")
    ...     warn("careful")
    >>> found[0].message
    UserWarning('careful')
    """
    frame: FrameType | None = sys._getframe(1)
    level = 2  # as counted by ``warnings.warn``: 1 is this function, 2 its caller
    while frame is not None and str(frame.f_globals.get("__name__")).startswith("rushlight."):
        frame, level = frame.f_back, level + 1
    warnings.warn(message, stacklevel=level)


def warn_once(message, topic=None):
    """Warn as ``warn`` does, unless the process has already warned of this ``topic``.

    Args:
        message: The text.
        topic: What several messages have in common. Default: the message itself.

    >>> import warnings
    >>> with warnings.catch_warnings(record=True) as found:
    ...     warnings.simplefilter("always")
    ...     for _ in range(3):
    ...         warn_once("careful, once")
    >>> len(found)
    1
    """
    if (topic or message) not in shown:
        if not always:
            shown.add(topic or message)
        warn(message)


def warn_of_nested():
    """Warn that nested tensors of the strided layout may still change."""
    warn_once(
        "The PyTorch API of nested tensors is in prototype stage and will change in the near "
        "future. We recommend specifying layout=torch.jagged when constructing a nested tensor, as "
        "this layout has more functions."
    )
