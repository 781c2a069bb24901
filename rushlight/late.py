"""What lower modules use and higher modules define.

Imports point downward, so the users cannot import these names. The module that defines one assigns
it here when it is imported, and ``import rushlight`` imports all of these modules.
"""

from collections.abc import Callable
from typing import Any

#: The package itself, to which rules are given that are written with its public functions.
framework: Any
#: ``eager_kernels()`` imports the module with the kernels of large eager operations.
eager_kernels: Callable[[], Any]
#: ``machine()`` gives the machine that kernels are made for; see ``compiler/ir/machine.py``.
machine: Callable[[], Any]
#: From ``ops/core/dispatch.py``: what operations do for subclasses of Tensor.
ask: Callable[..., Any]
keep_subclass: Callable[..., Any]
#: From ``ops/core/view_writes.py``: notes a write through a view in its base's history.
record_patch: Callable[..., Any]
#: From ``ops/create``: PyTorch's first constructors, and a tensor of ones.
legacy_constructor: Callable[..., Any]
ones_like: Callable[..., Any]
#: From ``ops/shape``: joined tensors, views with strides of their own, and where a view lies.
stack: Callable[..., Any]
as_strided: Callable[..., Any]
geometry: Callable[..., Any]
#: From ``ops/tensor/memory_format.py``: ``torch.strided``.
strided: Any
