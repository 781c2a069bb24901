"""torch._inductor: the settings of PyTorch's code generator that programs make."""

from rushlight._inductor import config

__all__ = ["config", "cudagraph_mark_step_begin", "list_mode_options"]


_MODES = (
    "default", "lite", "reduce-overhead", "max-autotune", "max-autotune-no-cudagraphs",
)  # fmt: skip


def cudagraph_mark_step_begin():
    """Do nothing: a step on a device is one graph already."""


def list_mode_options(mode=None, dynamic=None):
    """Return the options that each mode of ``torch.compile`` sets: none.

    Args:
        mode: The mode whose options are asked for. Default: a dict of all modes.
        dynamic: Accepted without effect.

    Raises:
        RuntimeError: there is no such mode.

    >>> list_mode_options("max-autotune")
    {}
    """
    if mode is None:
        return {known: {} for known in _MODES}
    if mode not in _MODES:
        raise RuntimeError(f"Unrecognized mode={mode}, should be one of: {', '.join(_MODES)}")
    return {}
