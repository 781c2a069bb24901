"""Switches that a module keeps as attributes, set for a while or for good."""

import contextlib
import sys

__all__ = ["Switches"]


class Switches:
    """``flags`` and ``set_flags`` of a module's attributes ``names``."""

    def __init__(self, module, names):
        self._module, self._names = module, names

    def set_flags(self, *values, **named):
        """Set switches of this module, by position or by name.

        Args:
            *values: The new values, in the order of the switches; None leaves a switch as it is.
            **named: New values by the name of the switch.

        Returns:
            Tuple of the values before.

        Raises:
            TypeError: No switch has such a name.

        >>> import rushlight as torch
        >>> before = torch.backends.mkldnn.set_flags(False)
        >>> torch.backends.mkldnn.enabled
        False
        >>> _ = torch.backends.mkldnn.set_flags(*before)
        """
        module = sys.modules[self._module]
        before = tuple([getattr(module, n) for n in self._names])
        given = dict(zip(self._names, values, strict=False)) | named
        for name, value in given.items():
            key = name.lstrip("_")
            if key not in self._names:
                raise TypeError(f"set_flags() got an unexpected keyword argument {name!r}")
            if value is not None:
                setattr(module, key, value)
        return before

    @contextlib.contextmanager
    def flags(self, *values, **named):
        """Return a context in which switches of this module are set.

        Args:
            *values: The new values, in the order of the switches; None leaves a switch as it is.
            **named: New values by the name of the switch.

        Returns:
            Context manager.

        >>> import rushlight as torch
        >>> with torch.backends.mkldnn.flags(enabled=False):
        ...     torch.backends.mkldnn.enabled
        False
        """
        before = self.set_flags(*values, **named)
        try:
            yield
        finally:
            self.set_flags(*before)
