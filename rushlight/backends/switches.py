"""Switches that a module keeps as attributes, set for a while or for good."""

import contextlib
import sys

__all__ = ["Switches"]


class Switches:
    """``flags`` and ``set_flags`` of a module's attributes ``names``."""

    def __init__(self, module, names):
        self._module, self._names = module, names

    def set_flags(self, *values, **named):
        """Set switches, by position or by name; returns what all were."""
        module = vars(sys.modules[self._module])
        before = tuple([module[n] for n in self._names])
        given = dict(zip(self._names, values, strict=False)) | named
        for name, value in given.items():
            key = name.lstrip("_")
            if key not in self._names:
                raise TypeError(f"set_flags() got an unexpected keyword argument {name!r}")
            if value is not None:
                module[key] = value
        return before

    @contextlib.contextmanager
    def flags(self, *values, **named):
        """Context in which switches are set."""
        before = self.set_flags(*values, **named)
        try:
            yield
        finally:
            self.set_flags(*before)
