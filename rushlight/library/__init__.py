"""torch.library: operators that users define, with schemas, kernels and gradient rules.

``schema.py`` reads and infers schemas. ``operator.py`` has what ``torch.ops.mylib.name`` gives, and
how a call runs. ``custom.py`` makes an operator of a function, ``library.py`` one of a schema.
``registering.py`` gives operators kernels and rules, ``fake.py`` runs their fakes, and
``checking.py`` tests them.
"""

from rushlight.library.checking import opcheck
from rushlight.library.custom import CustomOpDef, custom_op
from rushlight.library.fake import get_ctx
from rushlight.library.library import Library, fallthrough_kernel
from rushlight.library.operator import OpOverload
from rushlight.library.registering import (
    define,
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
