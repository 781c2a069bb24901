"""PyTorch's names of backends and modes. They only are checked, as there is one backend."""

from rushlight.notices import warn_once

__all__ = ["check_choice", "get_default_backend", "list_backends", "set_default_backend"]

_default = "inductor"
_BACKENDS = {"inductor", "eager", "aot_eager", "cudagraphs", "openxla", "tvm", "ts"}
_MODES = ("default", "lite", "reduce-overhead", "max-autotune-no-cudagraphs", "max-autotune")


def check_choice(backend, mode):
    """Raise for a backend or mode that PyTorch does not know; warn of a function as backend."""
    if callable(backend):
        name = getattr(backend, "__qualname__", type(backend).__qualname__)
        warn_once(f"torch.compile: the backend {name} is not called, as there is only one backend")
    elif backend not in _BACKENDS and not str(backend).startswith(("aot_eager_", "eager_")):
        from rushlight._dynamo.exc import InvalidBackend  # which imports the compiler

        raise InvalidBackend(
            f"Invalid backend: {backend!r}, see `torch._dynamo.list_backends()` for available "
            "backends."
        )
    if mode is not None and mode not in _MODES:
        raise RuntimeError(f"Unrecognized mode={mode}, should be one of: {', '.join(_MODES)}")


def list_backends(exclude_tags=("debug", "experimental")):
    """Return the names of the backends: the only one has the name of PyTorch's default backend.

    Args:
        exclude_tags: Accepted without effect.

    Returns:
        List of names.

    >>> import rushlight as torch
    >>> torch.compiler.list_backends()
    ['inductor']
    """
    return ["inductor"]


def set_default_backend(backend):
    """Note a backend for ``get_default_backend``; the choice has no other effect.

    Args:
        backend: Name of the backend, or None for ``"inductor"``.

    >>> import rushlight as torch
    >>> torch.compiler.set_default_backend(None)
    """
    global _default
    _default = "inductor" if backend is None else backend


def get_default_backend():
    """Return the backend that ``set_default_backend`` noted last.

    Returns:
        Name of the backend, at first ``"inductor"``.

    >>> import rushlight as torch
    >>> torch.compiler.get_default_backend()
    'inductor'
    """
    return _default
