"""torch._jit_internal: the marks of TorchScript by the names that libraries import."""

from rushlight.jit.marks import _overload as _overload
from rushlight.jit.marks import _overload_method as _overload_method
from rushlight.jit.marks import export as export
from rushlight.jit.marks import ignore as ignore
from rushlight.jit.marks import is_scripting as is_scripting
from rushlight.jit.marks import unused as unused
from rushlight.jit.tasks import Future as Future

__all__: list[str] = []


def _copy_to_script_wrapper(fn):
    """Return ``fn``: there is no compiler that it could be hidden from."""
    return fn


def boolean_dispatch(arg_name, arg_index, default, if_true, if_false, module_name, func_name):
    """Return a function that calls ``if_true`` or ``if_false``, as one of its arguments says."""

    def call(*args, **kwargs):
        chosen = args[arg_index] if arg_index < len(args) else kwargs.get(arg_name, default)
        return if_true(*args, **kwargs) if chosen else if_false(*args, **kwargs)

    call.__doc__ = if_true.__doc__ or if_false.__doc__
    call.__module__ = module_name or call.__module__
    call.__name__ = func_name or call.__name__
    return call


class _BroadcastingList:
    """Stands in annotations for a list that a single number may be given for."""

    def __getitem__(self, types):
        return None


BroadcastingList1 = BroadcastingList2 = BroadcastingList3 = _BroadcastingList()
