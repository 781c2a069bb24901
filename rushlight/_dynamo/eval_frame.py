"""torch._dynamo.eval_frame: the class of compiled modules, which programs ask for by this name."""

from rushlight.compiler.calls.compiled_module import OptimizedModule
from rushlight.compiler.python.frames import available as is_observable

__all__ = ["OptimizedModule", "is_dynamo_supported"]


def is_dynamo_supported():
    """Return whether ``torch.compile`` compiles with this Python, or runs functions eagerly.

    >>> isinstance(is_dynamo_supported(), bool)
    True
    """
    return is_observable()
