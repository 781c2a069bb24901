"""torch._C: the names of PyTorch's C++ module that libraries use.

Any other name of torch._C raises the error for a name that rushlight lacks.
"""

from rushlight.autograd import mode
from rushlight.autograd.mode import unasked as DisableTorchFunction  # noqa: F401
from rushlight.linalg import LinAlgError as _LinAlgError  # noqa: F401 - programs catch it
from rushlight.tensor import Tensor
from rushlight.tensor import disabled_torch_dispatch as _disabled_torch_dispatch_impl  # noqa: F401
from rushlight.tensor import disabled_torch_function as _disabled_torch_function_impl  # noqa: F401

__all__: list[str] = []

_TensorMeta = type(Tensor)


def _are_functorch_transforms_active():
    """True inside a function that ``vmap`` runs."""
    from rushlight.func.interior import are_transforms_active

    return are_transforms_active()


def _is_alias_of(a, b):
    """Whether two tensors share their memory."""
    return a.untyped_storage().data_ptr() == b.untyped_storage().data_ptr()


def _is_torch_function_mode_enabled():
    """Whether a ``TorchFunctionMode`` is entered in this thread."""
    return bool(mode.state.function_modes)


def _get_privateuse1_backend_name():
    """The name of a device type for other libraries' drivers."""
    return "privateuseone"


def _log_api_usage_once(event):
    """Do nothing: rushlight does not log which functions are used."""


class DisableTorchFunctionSubclass:
    """A context in which the ``__torch_function__`` of classes is not called."""

    def __enter__(self):
        self.was, mode.state.dispatch = mode.state.dispatch, False

    def __exit__(self, *error):
        mode.state.dispatch = self.was
