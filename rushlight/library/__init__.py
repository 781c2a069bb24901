"""torch.library: operators that users define, with schemas, kernels and gradient rules.

``schema.py`` reads and infers schemas. ``operator.py`` has what ``torch.ops.mylib.name`` gives, and
how a call runs. ``custom.py`` and ``registering.py`` make operators; ``checking.py`` tests them.
"""

from rushlight.library.checking import opcheck
from rushlight.library.custom import CustomOpDef, custom_op
from rushlight.library.operator import OpOverload
from rushlight.library.registering import (
    Library,
    define,
    fallthrough_kernel,
    get_ctx,
    get_kernel,
    impl,
    impl_abstract,
    register_autocast,
    register_autograd,
    register_fake,
    register_kernel,
    register_torch_dispatch,
    register_vmap,
)
from rushlight.library.schema import infer_schema

__all__ = [
    "CustomOpDef", "Library", "OpOverload", "custom_op", "define", "fallthrough_kernel", "get_ctx",
    "get_kernel", "impl", "impl_abstract", "infer_schema", "opcheck", "register_autocast",
    "register_autograd", "register_fake", "register_kernel", "register_torch_dispatch",
    "register_vmap",
]  # fmt: skip
