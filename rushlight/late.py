"""Names that lower modules use and higher modules define.

Imports point downward, so a lower module cannot import these names. Instead, the module that
defines a name assigns it here at its own import. ``import rushlight`` imports all of these modules.
"""

from collections.abc import Callable
from typing import Any

#: (globals of a module, name) of functions that ``torch.fx`` records as one node, and the globals.
#: It is here so that a module can mark its functions without an import of ``torch.fx``.
wrapped: dict = {}


def whole(function):
    """Mark a global function as ``torch.fx.wrap`` does."""
    function._fx_wrapped = True
    wrapped[id(function.__globals__), function.__name__] = function.__globals__
    return function


#: The package ``rushlight``. Optimizers' rules get it as an argument: they call its functions.
framework: Any
#: ``eager_kernels()`` imports the module with the kernels of large eager operations.
eager_kernels: Callable[[], Any]
#: ``replayed(replays)``: a builtin function that replays calls; see ``ops/core/replays.py``.
replayed: Callable[..., Any]
#: From ``backend/native.py``: machine code draws a number for each row, and runs Python loops.
sampled: Callable[..., Any]
looped: Callable[..., Any]
#: From ``backend/native.py``: machine code makes random words, or floats of them.
drawn: Callable[..., Any]
#: From ``backend/native.py``: conversions of large arrays of half precision.
cast: Callable[..., Any]
cast_into: Callable[..., Any]
#: From ``backend/native.py``: copies of large matrices that are turned.
turned: Callable[..., Any]
#: ``device_programs()`` imports the module with the programs of eager calls on a device.
device_programs: Callable[[], Any]
#: ``machine()`` gives the machine that kernels are compiled for; see ``compiler/ir/machine.py``.
machine: Callable[[], Any]
#: ``spreads()`` tells whether the machine that is planned for has many work-items at the same time;
#: see ``compiler/ir/machine.py``.
spreads: Callable[[], bool]
#: From ``device_array.py``: the device that a ``torch.device`` with a driver names.
find_device: Callable[..., Any]
#: ``remote_calls()`` imports the module with operations on tensors that are not on the CPU.
remote_calls: Callable[[], Any]
#: ``handlers()`` imports the module that calls the ``__torch_dispatch__`` of tensor classes.
handlers: Callable[[], Any]
#: From ``device_array.py``: a NumPy array with the elements of an array on a device.
to_host: Callable[..., Any]
#: From ``remote.py``: the device of new tensors inside of a ``with`` block.
enter_device: Callable[..., Any]
leave_device: Callable[..., Any]
#: From ``ops/core/handlers.py``: how operations treat subclasses of Tensor.
ask: Callable[..., Any]
keep_subclass: Callable[..., Any]
overridden: Callable[..., Any]
#: From ``ops/core/compute.py``: the forward of an operation on arrays.
compute: Callable[..., Any]
#: From ``ops/core/dispatch.py``: runs an operation with parameters that are prepared already.
repeat: Callable[..., Any]
#: From ``ops/core/view_writes.py``: notes a write through a view in its base's history.
record_patch: Callable[..., Any]
#: From ``autograd/tape.py``: brings a view up to date if its memory was written since.
refresh: Callable[..., None]
#: From ``ops/create``: PyTorch's first constructors, and a tensor of ones.
legacy_constructor: Callable[..., Any]
named_type: Callable[[str], Any]
ones_like: Callable[..., Any]
#: From ``ops/shape``: ``stack``, ``as_strided``, and a view's size, strides and storage offset.
stack: Callable[..., Any]
as_strided: Callable[..., Any]
geometry: Callable[..., Any]
#: From ``ops/tensor/storage.py``: a tensor moves to other memory, in which it lies as it did.
move_memory: Callable[..., Any]
#: From ``ops/tensor/memory_format.py``: ``torch.strided``.
strided: Any
