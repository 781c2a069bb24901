"""CUDA's switches, which programs set before they train."""

import contextlib
import importlib
from enum import Enum

from rushlight import precision

__all__ = [
    "SDPAParams", "allow_fp16_bf16_reduction_math_sdp", "cudnn_sdp_enabled", "enable_cudnn_sdp",
    "enable_flash_sdp", "enable_math_sdp", "enable_mem_efficient_sdp", "flash_sdp_enabled",
    "fp16_bf16_reduction_math_sdp_allowed", "is_built", "is_flash_attention_available",
    "math_sdp_enabled", "matmul", "mem_efficient_sdp_enabled", "preferred_blas_library",
    "preferred_linalg_library", "preferred_rocm_fa_library", "sdp_kernel",
]  # fmt: skip


class _Products:
    """The switches of products of matrices."""

    _names = ("allow_bf16_reduced_precision_reduction", "allow_fp16_accumulation",
              "allow_fp16_reduced_precision_reduction", "allow_tf32", "fp32_precision")  # fmt: skip

    def __init__(self):
        self.allow_bf16_reduced_precision_reduction = True
        self.allow_fp16_accumulation = False
        self.allow_fp16_reduced_precision_reduction = True

    def __setattr__(self, name, value):
        if name not in self._names:
            raise AttributeError(f"Unknown attribute {name}")
        super().__setattr__(name, value)

    @property
    def allow_tf32(self):
        """Whether devices may compute float32 products as TF32."""
        return precision.tf32("product")

    @allow_tf32.setter
    def allow_tf32(self, on):
        precision.set_level("high" if on else "highest")

    @property
    def fp32_precision(self):
        """``"tf32"`` or ``"ieee"``: another name for ``allow_tf32``."""
        return "tf32" if self.allow_tf32 else "ieee"

    @fp32_precision.setter
    def fp32_precision(self, name):
        if name not in ("none", "ieee", "tf32"):
            raise RuntimeError(f"Unknown precision: {name}; expected 'ieee', 'tf32' or 'none'")
        self.allow_tf32 = name == "tf32"


matmul = _Products()


def is_built():
    """Return whether rushlight was built with CUDA.

    Returns:
        False.

    >>> import rushlight as torch
    >>> torch.backends.cuda.is_built()
    False
    """
    return False


def is_flash_attention_available():
    """Return whether CUDA's flash attention can be used.

    Returns:
        False.

    >>> import rushlight as torch
    >>> torch.backends.cuda.is_flash_attention_available()
    False
    """
    return False


class SDPAParams:
    """The arguments of an attention, about which ``can_use_flash_attention`` is asked.

    Args:
        query, key, value, attn_mask, dropout, is_causal, enable_gqa: The arguments of
            ``scaled_dot_product_attention``.

    >>> import rushlight as torch
    >>> x = torch.ones(1, 1, 2, 4)
    >>> params = torch.backends.cuda.SDPAParams(x, x, x, None, 0.0, False, False)
    >>> torch.backends.cuda.can_use_flash_attention(params)
    False
    """

    def __init__(self, query, key, value, attn_mask, dropout, is_causal, enable_gqa):
        self.query, self.key, self.value, self.attn_mask = query, key, value, attn_mask
        self.dropout, self.is_causal, self.enable_gqa = dropout, is_causal, enable_gqa


def _none_usable(params, debug=False):
    """Return False: attention on the CPU uses none of CUDA's kernels."""
    return False


can_use_cudnn_attention = can_use_efficient_attention = can_use_flash_attention = _none_usable


# Which of CUDA's kernels attention may use: remembered, and asked by nobody.

_allowed = dict.fromkeys(("cudnn", "flash", "math", "mem_efficient"), True)


def _pair(kind):
    def enable(enabled):
        _allowed[kind] = bool(enabled)

    def enabled():
        return _allowed[kind]

    enable.__name__, enabled.__name__ = f"enable_{kind}_sdp", f"{kind}_sdp_enabled"
    enable.__doc__ = f"Accepted, and remembered: whether CUDA's {kind} kernels may be used."
    enabled.__doc__ = f"""Return what ``enable_{kind}_sdp`` was told last.

    Returns:
        A bool, True at first.

    >>> import rushlight as torch
    >>> torch.backends.cuda.{kind}_sdp_enabled()
    True
    """
    return enable, enabled


enable_cudnn_sdp, cudnn_sdp_enabled = _pair("cudnn")
enable_flash_sdp, flash_sdp_enabled = _pair("flash")
enable_math_sdp, math_sdp_enabled = _pair("math")
enable_mem_efficient_sdp, mem_efficient_sdp_enabled = _pair("mem_efficient")


@contextlib.contextmanager
def sdp_kernel(enable_flash=True, enable_math=True, enable_mem_efficient=True, enable_cudnn=True):
    """Return a context with other switches of CUDA's kernels of attention.

    Args:
        enable_flash, enable_math, enable_mem_efficient, enable_cudnn: The switches, which are
            remembered but have no effect. Default: True.

    Returns:
        Context manager.

    >>> import rushlight as torch
    >>> with torch.backends.cuda.sdp_kernel(enable_math=False):
    ...     torch.backends.cuda.math_sdp_enabled()
    False
    """
    before = dict(_allowed)
    _allowed.update(
        cudnn=enable_cudnn, flash=enable_flash, math=enable_math, mem_efficient=enable_mem_efficient
    )
    try:
        yield {}
    finally:
        _allowed.update(before)


# Which of CUDA's libraries compute: remembered, and asked by nobody.

_LinalgBackend = Enum("_LinalgBackend", ["Default", "Cusolver", "Magma"])
_BlasBackend = Enum("_BlasBackend", ["Default", "Cublas", "Cublaslt", "Ck"])
_ROCmFABackend = Enum("_ROCmFABackend", ["Default", "AOTriton", "Ck"])
#: For each kind the names of its libraries.
_LIBRARIES: dict = {
    _LinalgBackend: {name.lower(): _LinalgBackend[name] for name in _LinalgBackend.__members__},
    _BlasBackend: {
        "default": _BlasBackend.Cublas, "cublas": _BlasBackend.Cublas,
        "hipblas": _BlasBackend.Cublas, "cublaslt": _BlasBackend.Cublaslt,
        "hipblaslt": _BlasBackend.Cublaslt, "ck": _BlasBackend.Ck,
    },
    _ROCmFABackend: {name.lower(): _ROCmFABackend[name] for name in _ROCmFABackend.__members__},
}  # fmt: skip
_preferred: dict = {kind: names["default"] for kind, names in _LIBRARIES.items()}


def _prefer(kind, backend):
    """Remember the library ``backend`` of ``kind``, and return the one that is remembered."""
    names = _LIBRARIES[kind]
    if isinstance(backend, str):
        if backend not in names:
            raise RuntimeError(f"Unknown input value. Choose from: {', '.join(names)}.")
        backend = names[backend]
    if backend is not None:
        if not isinstance(backend, kind):
            raise RuntimeError("Unknown input value type.")
        _preferred[kind] = backend
    return _preferred[kind]


def preferred_linalg_library(backend=None):
    """Choose CUDA's library for ``linalg``, which has no effect here.

    Args:
        backend: ``"default"``, ``"cusolver"`` or ``"magma"``. None only asks.

    Returns:
        The library that was chosen last.

    Raises:
        RuntimeError: The name is unknown.

    >>> import rushlight as torch
    >>> torch.backends.cuda.preferred_linalg_library("cusolver")
    <_LinalgBackend.Cusolver: 2>
    """
    return _prefer(_LinalgBackend, backend)


def preferred_blas_library(backend=None):
    """Choose CUDA's library for products of matrices, which has no effect here.

    Args:
        backend: ``"default"``, ``"cublas"``, ``"cublaslt"``, ``"hipblas"``, ``"hipblaslt"`` or
            ``"ck"``. None only asks.

    Returns:
        The library that was chosen last.

    Raises:
        RuntimeError: The name is unknown.

    >>> import rushlight as torch
    >>> torch.backends.cuda.preferred_blas_library("cublaslt")
    <_BlasBackend.Cublaslt: 3>
    """
    return _prefer(_BlasBackend, backend)


def preferred_rocm_fa_library(backend=None):
    """Choose ROCm's library for attention, which has no effect here.

    Args:
        backend: ``"default"``, ``"aotriton"`` or ``"ck"``. None only asks.

    Returns:
        The library that was chosen last.

    Raises:
        RuntimeError: The name is unknown.

    >>> import rushlight as torch
    >>> torch.backends.cuda.preferred_rocm_fa_library("ck")
    <_ROCmFABackend.Ck: 3>
    """
    return _prefer(_ROCmFABackend, backend)


def allow_fp16_bf16_reduction_math_sdp(enabled):
    """Remember whether attention may add up half precision, which has no effect.

    Args:
        enabled: A bool.

    >>> import rushlight as torch
    >>> torch.backends.cuda.allow_fp16_bf16_reduction_math_sdp(False)
    """
    _allowed["half_sums"] = bool(enabled)


def fp16_bf16_reduction_math_sdp_allowed():
    """Return what ``allow_fp16_bf16_reduction_math_sdp`` was given last. Default: False.

    Returns:
        A bool.

    >>> import rushlight as torch
    >>> torch.backends.cuda.fp16_bf16_reduction_math_sdp_allowed()
    False
    """
    return _allowed.get("half_sums", False)


def __getattr__(name):
    if name == "SDPBackend":  # its module needs far more than these switches
        return importlib.import_module("rushlight.nn.attention").SDPBackend
    raise AttributeError(f"module 'rushlight.backends.cuda' has no attribute {name!r}")
