"""torch._C: the names of PyTorch's C++ module that libraries use.

Any other name of torch._C raises the error for a name that rushlight lacks.
"""

from rushlight.autograd import mode
from rushlight.autograd.mode import unasked as DisableTorchFunction  # noqa: F401
from rushlight.linalg import LinAlgError as _LinAlgError  # noqa: F401 - programs catch it
from rushlight.tensor import disabled_torch_dispatch as _disabled_torch_dispatch_impl  # noqa: F401
from rushlight.tensor import disabled_torch_function as _disabled_torch_function_impl  # noqa: F401

__all__: list[str] = []


def _log_api_usage_once(event):
    """Do nothing: rushlight does not log which functions are used."""


class DisableTorchFunctionSubclass:
    """A context in which the ``__torch_function__`` of classes is not called."""

    def __enter__(self):
        self.was, mode.state.dispatch = mode.state.dispatch, False

    def __exit__(self, *error):
        mode.state.dispatch = self.was
