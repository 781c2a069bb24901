"""Whether devices may round the factors of float32 products to TF32, which has 10 bits.

The public switches are ``set_float32_matmul_precision``, ``backends.cuda.matmul`` and
``backends.cudnn.allow_tf32``. Only NVIDIA's devices of compute capability 8.0 or more have TF32.
"""

__all__ = ["LEVELS", "allow", "level", "set_level", "state", "tf32"]

LEVELS = "highest", "high", "medium"
_ROLES = "product", "convolution"
_level = "highest"
#: Whether products and whether convolutions may use TF32, at first as in PyTorch. Kernels, and so
#: programs, depend on it.
state: tuple[bool, ...] = (False, True)


def tf32(role):
    """Whether a ``"product"`` or ``"convolution"`` may use TF32."""
    return state[_ROLES.index(role)]


def allow(role, on):
    """Let a ``"product"`` or ``"convolution"`` use TF32, or not."""
    global state
    state = tuple([bool(on) if r == role else s for r, s in zip(_ROLES, state, strict=True)])


def level():
    """The precision of products, one of ``LEVELS``."""
    return _level


def set_level(name):
    """Set the precision of products: all but the first of ``LEVELS`` allow TF32."""
    global _level
    _level = name
    allow("product", name != LEVELS[0])
