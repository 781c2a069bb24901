"""NumPy's warnings of overflow, division by zero and invalid values are off in rushlight's lines.

PyTorch returns inf or nan without a warning. ``np.errstate`` would cost more than a small operation
does, so one warning filter silences all of rushlight's modules. The user's own NumPy code still
warns, by the user's own filters, also in a hook or a function that rushlight calls.
"""

import sys
import warnings
from types import FrameType
from typing import Any

__all__ = ["keep_first", "silence"]


class _Caller:
    """The filter's condition on the module that warns, in the place of a regular expression.

    Python attributes a warning to the line that computed. Some of NumPy's functions are written in
    Python, for example ``ndarray.sum``; what counts then is the module that called NumPy.
    """

    pattern = r"rushlight\."  # for libraries that copy filters into other processes

    def match(self, module):
        if module.startswith(("numpy.", "scipy.")):
            frame: FrameType | None = sys._getframe(1)
            while frame is not None and module.startswith(("numpy.", "scipy.")):
                module, frame = str(frame.f_globals.get("__name__")), frame.f_back
        return module.startswith("rushlight.")


_SILENT = ("ignore", None, RuntimeWarning, _Caller(), 0)


def keep_first():
    """Put the filter before all others, because the first filter that matches decides."""
    # Python 3.14 can have filters for each context.
    filters: Any = getattr(warnings, "_get_filters", lambda: warnings.filters)()
    if not filters or filters[0] is not _SILENT:
        if _SILENT in filters:
            filters.remove(_SILENT)
        filters.insert(0, _SILENT)


def silence():
    """Add the filter, and put it first again whenever the filters change.

    Users set filters after the import, for example ``warnings.simplefilter("error")``; and an
    import inside ``catch_warnings`` (pytest imports test files so) would lose the filter at the end
    of the block. The module ``warnings`` calls one function of its own after each change. To wait
    for this call costs operations nothing. A look at the filters would cost each of them 20 ns.
    """
    keep_first()
    for name in ("_filters_mutated", "_filters_mutated_lock_held"):  # the latter from 3.14 on
        changed = getattr(warnings, name, None)
        if changed is not None:
            setattr(warnings, name, _after(changed))


def _after(changed):
    def filters_changed():
        keep_first()
        changed()

    return filters_changed
