"""``torch.ops.profiler``: regions of ``record_function`` as two calls."""

from rushlight.overrides import wrap_torch_function
from rushlight.profiler.recorder import record_function

__all__: list[str] = []


def _record_function_enter_new(name, args=None):
    """Begin a region that profiles show, and return what ends it.

    >>> import rushlight as torch
    >>> with torch.profiler.profile() as profiled:
    ...     region = torch.ops.profiler._record_function_enter_new("adding")
    ...     x = torch.ones(2) + 1
    ...     torch.ops.profiler._record_function_exit(region)
    >>> [event.name for event in profiled.events()]
    ['adding', 'aten::full', 'aten::add']
    """
    return record_function(name, args).__enter__()


_record_function_enter = _record_function_enter_new


@wrap_torch_function(lambda record: (record,))  # torch.fx calls it with a Proxy
def _record_function_exit(record):
    """End a region."""
    record.__exit__(None, None, None)
