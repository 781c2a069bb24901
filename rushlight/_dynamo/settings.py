"""Settings that nothing reads: a module's variables, which programs set and patch."""

import contextlib

__all__ = ["patching"]


def patching(own):
    """The function ``patch`` of a module of settings, whose variables are ``own``."""

    @contextlib.contextmanager
    def patch(changes=None, value=None, **settings):
        """Context and decorator in which settings, ``name=value`` or a dict, are others."""
        named = {changes: value} if isinstance(changes, str) else dict(changes or {})
        named |= settings
        before = {name: own[name] for name in named if name in own}
        own.update(named)
        try:
            yield
        finally:
            for name in named:
                del own[name]
            own.update(before)

    return patch
