"""rushlight: PyTorch's API, semantics and random numbers, in Python on NumPy.

>>> import rushlight as torch
>>> x = torch.tensor([1.0, 2.0], requires_grad=True)
>>> (x * x).sum().backward()
>>> x.grad
tensor([2., 4.])
"""

import functools
import importlib
from math import e, inf, nan, pi
from typing import TYPE_CHECKING, Any

from rushlight import backend as backend  # first, before NumPy
from rushlight import late as late
from rushlight import ops as _operations  # noqa: F401 - binds every operation
from rushlight._ops import ops  # hides the package of that name
from rushlight.autograd import enable_grad, inference_mode, no_grad, set_grad_enabled
from rushlight.autograd.mode import is_grad_enabled, is_inference_mode_enabled
from rushlight.device import device
from rushlight.dtype import ALIASES as _aliases
from rushlight.dtype import DTYPES as _dtypes
from rushlight.dtype import (
    can_cast,
    dtype,
    finfo,
    get_default_dtype,
    iinfo,
    promote_types,
    set_default_dtype,
)
from rushlight.ops.core.argument_kinds import takes as _takes
from rushlight.ops.core.definition import FUNCTIONS as _functions
from rushlight.ops.core.guard import guarded as _guarded
from rushlight.ops.core.promotion import result_type
from rushlight.ops.tensor.memory_format import (
    channels_last,
    channels_last_3d,
    contiguous_format,
    jagged,
    layout,
    legacy_contiguous_format,
    memory_format,
    preserve_format,
    sparse_bsc,
    sparse_bsr,
    sparse_coo,
    sparse_csc,
    sparse_csr,
    strided,
)
from rushlight.printing import set_printoptions
from rushlight.random import (
    Generator,
    default_generator,
    get_rng_state,
    initial_seed,
    manual_seed,
    seed,
    set_rng_state,
)
from rushlight.storage import UntypedStorage
from rushlight.tensor import Size, Tensor

__version__ = "0.7.0"
newaxis = None

__all__ = [
    "Generator", "Size", "Tensor", "UntypedStorage", "can_cast", "channels_last",
    "channels_last_3d", "contiguous_format", "default_generator", "device", "dtype", "e",
    "enable_grad", "finfo",
    "get_default_dtype", "get_rng_state", "iinfo", "inf", "inference_mode", "initial_seed",
    "is_grad_enabled", "is_inference_mode_enabled", "jagged", "layout", "legacy_contiguous_format",
    "manual_seed", "memory_format", "nan", "newaxis", "no_grad", "ops", "pi", "preserve_format",
    "promote_types", "result_type", "seed", "set_default_dtype", "set_grad_enabled",
    "set_printoptions", "set_rng_state", "sparse_bsc", "sparse_bsr", "sparse_coo", "sparse_csc",
    "sparse_csr", "strided",
]  # fmt: skip

late.framework = importlib.import_module(__name__)
late.machine = functools.cache(
    lambda: importlib.import_module("rushlight.compiler.cpu.machine").Processor()
)
late.eager_kernels = lambda: importlib.import_module("rushlight.compiler.run.eager_kernels")
late.replayed = lambda *x: importlib.import_module("rushlight.compiler.replay.calls").replayed(*x)
# ``import_module`` takes 2 µs each time, a good part of a small call on a device.
_module = functools.cache(importlib.import_module)
late.device_programs = lambda: _module("rushlight.compiler.device.single")
late.remote_calls = lambda: _module("rushlight.ops.core.remote_calls")
late.handlers = lambda: _module("rushlight.library.handlers")

can_cast, promote_types = [
    _guarded(_takes(asks=False)(_call), _call.__name__) for _call in (can_cast, promote_types)
]

# All public operations, all dtypes, and the dtypes' aliases.
_bound = {
    **_functions, "detach": _guarded(Tensor.detach, "detach"),
    **{d.name: d for d in _dtypes}, **_aliases,
}  # fmt: skip
globals().update(_bound)
__all__ += [_name for _name in _bound if not _name.startswith("_")]

# Namespaces that are imported when they are first used, so that `import rushlight` stays quick.
_LAZY = {
    "amp": "rushlight.amp",
    "autograd": "rushlight.autograd", "compiler": "rushlight.compiler", "nn": "rushlight.nn",
    "_higher_order_ops": "rushlight._higher_order_ops",
    "_jit_internal": "rushlight._jit_internal",
    "_tensor_str": "rushlight._tensor_str",
    "_dynamo": "rushlight._dynamo", "_inductor": "rushlight._inductor",
    "optim": "rushlight.optim", "random": "rushlight.random", "utils": "rushlight.utils",
    "datasets": "rushlight.datasets", "distributions": "rushlight.distributions",
    "serialization": "rushlight.serialization", "linalg": "rushlight.linalg",
    "accelerator": "rushlight.accelerator", "backends": "rushlight.backends",
    "cuda": "rushlight.cuda", "func": "rushlight.func", "hub": "rushlight.hub",
    "version": "rushlight.version",
    "torch_version": "rushlight.torch_version",
    "monitor": "rushlight.monitor", "multiprocessing": "rushlight.multiprocessing",
    "special": "rushlight.special", "testing": "rushlight.testing",
    "cpu": "rushlight.cpu", "distributed": "rushlight.distributed", "jit": "rushlight.jit",
    "mps": "rushlight.mps", "mtia": "rushlight.mtia", "xpu": "rushlight.xpu",
    "vision": "rushlight.vision",
    "export": "rushlight.export",
    "onnx": "rushlight.onnx",
    "profiler": "rushlight.profiler",
    "opencl": "rushlight.opencl",
    "fx": "rushlight.fx", "library": "rushlight.library",
    "ao": "rushlight.ao", "quantization": "rushlight.quantization",
    "quasirandom": "rushlight.quasirandom",
    "_C": "rushlight._C", "classes": "rushlight._classes", "_VF": "rushlight._VF",
    "__config__": "rushlight.__config__", "__future__": "rushlight.__future__",
    "_utils": "rushlight._utils",
    "functional": "rushlight.functional", "futures": "rushlight.futures",
    "types": "rushlight.types",
    "fft": "rushlight.fft", "signal": "rushlight.signal", "overrides": "rushlight.overrides",
    "masked": "rushlight.masked", "nested": "rushlight.nested", "sparse": "rushlight.sparse",
    "ops": "rushlight.ops", "return_types": "rushlight.return_types",
    "storage": "rushlight.storage",
}  # fmt: skip
_LAZY_NAMES = {
    **dict.fromkeys(
        ("_assert", "get_default_device", "get_device_module", "get_num_interop_threads",
         "set_default_device", "set_flush_denormal", "set_num_interop_threads", "typename",
         "is_warn_always_enabled", "set_warn_always"), "rushlight.defaults",
    ),
    **dict.fromkeys(
        ("_check", "_check_index", "_check_is_size", "_check_not_implemented", "_check_tensor_all",
         "_check_tensor_all_with", "_check_type", "_check_value", "_check_with"),
        "rushlight.checks",
    ),
    **dict.fromkeys(
        ("SymBool", "SymFloat", "SymInt", "sym_float", "sym_int", "sym_ite", "sym_max", "sym_min",
         "sym_not", "sym_sqrt", "sym_sum"), "rushlight.symbolic",
    ),
    **dict.fromkeys(("ScriptFunction", "ScriptModule"), "rushlight.jit"),
    "while_loop": "rushlight._higher_order_ops", "cond": "rushlight._higher_order_ops",
    "Future": "rushlight.futures",
    "StorageBase": "rushlight.storage", "DeviceObjType": "rushlight.device",
    **dict.fromkeys(
        ("eig", "lstsq", "matrix_rank", "solve", "symeig"), "rushlight.ops.tensor.removed"
    ),
    **dict.fromkeys(("PyTorchFileReader", "PyTorchFileWriter"), "rushlight.serialization.reader"),
    **dict.fromkeys(("_assert_async", "_int_mm", "_shape_as_tensor"), "rushlight.checks"),
    "Event": "rushlight.streams", "Stream": "rushlight.streams",
    "GradScaler": "rushlight.amp",
    **dict.fromkeys(("AcceleratorError", "OutOfMemoryError"), "rushlight.errors"),
    "to_dlpack": "rushlight.utils.dlpack",
    **dict.fromkeys(
        ("BFloat16Storage", "BoolStorage", "ByteStorage", "CharStorage", "ComplexDoubleStorage",
         "ComplexFloatStorage", "DoubleStorage", "FloatStorage", "HalfStorage", "IntStorage",
         "LongStorage", "ShortStorage", "Storage", "TypedStorage",
         "is_storage"), "rushlight.typed_storage",
    ),
    "set_anomaly_enabled": "rushlight.autograd.anomaly",
    "get_deterministic_debug_mode": "rushlight.determinism",
    "set_deterministic_debug_mode": "rushlight.determinism",
    **dict.fromkeys(
        ("autocast", "clear_autocast_cache", "get_autocast_dtype", "is_autocast_cache_enabled",
         "is_autocast_enabled", "set_autocast_cache_enabled", "set_autocast_dtype",
         "set_autocast_enabled"), "rushlight.amp.autocast_mode",
    ),
    **dict.fromkeys(
        ("autocast_decrement_nesting", "autocast_increment_nesting", "get_autocast_cpu_dtype",
         "get_autocast_gpu_dtype", "get_autocast_ipu_dtype", "get_autocast_xla_dtype",
         "is_autocast_cpu_enabled", "is_autocast_ipu_enabled", "is_autocast_xla_enabled",
         "set_autocast_cpu_dtype", "set_autocast_cpu_enabled", "set_autocast_gpu_dtype",
         "set_autocast_ipu_dtype", "set_autocast_ipu_enabled", "set_autocast_xla_dtype",
         "set_autocast_xla_enabled"), "rushlight.amp.older_names",
    ),
    **dict.fromkeys(
        ("compiled_with_cxx11_abi", "has_lapack", "has_mkl", "has_openmp", "has_spectral",
         "is_distributed", "is_vulkan_available"), "rushlight.features",
    ),
    **dict.fromkeys(
        ("native_batch_norm", "native_dropout", "native_group_norm", "native_layer_norm",
         "norm_except_dim"), "rushlight.nn.functional.native",
    ),
    **dict.fromkeys(
        ("sparse_bsc_tensor", "sparse_bsr_tensor", "sparse_compressed_tensor", "sparse_coo_tensor",
         "sparse_csc_tensor", "sparse_csr_tensor"), "rushlight.sparse.construction",
    ),
    **dict.fromkeys(
        ("dsmm", "hsmm", "hspmm", "saddmm", "smm", "spmm", "sspaddmm"), "rushlight.sparse.of_torch"
    ),
    **dict.fromkeys(
        ("dequantize", "int_repr", "per_channel_affine", "per_channel_affine_float_qparams",
         "per_channel_symmetric", "per_tensor_affine", "per_tensor_symmetric",
         "q_per_channel_axis", "q_per_channel_scales", "q_per_channel_zero_points", "q_scale",
         "q_zero_point", "quantize_per_channel", "quantize_per_tensor",
         "quantize_per_tensor_dynamic"), "rushlight.quantized",
    ),
    **dict.fromkeys(("qint8", "quint8", "qint32", "quint4x2", "quint2x4"), "rushlight.dtype"),
    **dict.fromkeys(
        ("int1", "int2", "int3", "int4", "int5", "int6", "int7", "uint1", "uint2", "uint3",
         "uint4", "uint5", "uint6", "uint7"), "rushlight.dtype",
    ),
    "qscheme": "rushlight.quantized",
    **dict.fromkeys(
        ("_addmm_activation", "_amp_foreach_non_finite_check_and_unscale_",
         "_amp_update_scale_", "_cast_Byte",
         "_cast_Char", "_cast_Double", "_cast_Float", "_cast_Half", "_cast_Int",
         "_cast_Long", "_cast_Short", "_convert_indices_from_coo_to_csr",
         "_convert_indices_from_csr_to_coo", "_efficientzerotensor", "_indices_copy",
         "_is_all_true", "_is_any_true", "_local_scalar_dense", "_log_softmax_backward_data",
         "_neg_view", "_nested_view_from_buffer", "_segment_reduce", "_softmax_backward_data",
         "_sparse_broadcast_to", "_unsafe_view", "_validate_sparse_bsc_tensor_args",
         "_validate_sparse_bsr_tensor_args", "_validate_sparse_compressed_tensor_args",
         "_validate_sparse_coo_tensor_args", "_validate_sparse_csc_tensor_args",
         "_validate_sparse_csr_tensor_args", "_values_copy", "ccol_indices_copy",
         "col_indices_copy", "crow_indices_copy", "indices_copy", "row_indices_copy",
         "segment_reduce", "values_copy"),
        "rushlight.private_functions",
    ),
    "vmap": "rushlight.func.vmap",
    "Tag": "rushlight.library.tagging",
    "thread_safe_generator": "rushlight.random",
    "get_num_threads": "rushlight.threads", "set_num_threads": "rushlight.threads",
    "compile": "rushlight.compiler.calls.compiled",
    "is_anomaly_check_nan_enabled": "rushlight.autograd.anomaly",
    "is_anomaly_enabled": "rushlight.autograd.anomaly",
    "are_deterministic_algorithms_enabled": "rushlight.determinism",
    "get_float32_matmul_precision": "rushlight.determinism",
    "is_deterministic_algorithms_warn_only_enabled": "rushlight.determinism",
    "set_float32_matmul_precision": "rushlight.determinism",
    "use_deterministic_algorithms": "rushlight.determinism",
    "load": "rushlight.serialization", "save": "rushlight.serialization",
    **dict.fromkeys(
        ("adaptive_avg_pool1d", "adaptive_max_pool1d", "affine_grid_generator", "alpha_dropout",
         "alpha_dropout_", "avg_pool1d", "batch_norm", "binary_cross_entropy_with_logits", "celu",
         "celu_", "constant_pad_nd", "conv1d", "conv2d", "conv3d", "conv_tbc", "conv_transpose1d",
         "conv_transpose2d", "conv_transpose3d", "convolution", "cosine_embedding_loss",
         "cosine_similarity", "ctc_loss", "embedding", "embedding_bag", "embedding_renorm_",
         "feature_alpha_dropout", "feature_alpha_dropout_", "feature_dropout", "feature_dropout_",
         "grid_sampler", "grid_sampler_2d", "grid_sampler_3d", "group_norm", "hinge_embedding_loss",
         "instance_norm", "kl_div", "layer_norm", "margin_ranking_loss", "max_pool1d",
         "max_pool1d_with_indices", "max_pool2d", "max_pool3d", "pairwise_distance",
         "poisson_nll_loss", "rms_norm", "rrelu_", "selu", "selu_", "threshold", "threshold_",
         "triplet_margin_loss"), "rushlight.nn.functional.of_torch",
    ),
}  # fmt: skip


#: Flags that PyTorch has deprecated.
_DEPRECATED = ("has_cuda", "has_cudnn", "has_mkldnn", "has_mps")
#: What this module imports for its own use.
_NO_NAMES = ("functools", "importlib", "TYPE_CHECKING", "Any", "late", "backend")


def _foreach(name):
    return getattr(importlib.import_module("rushlight.foreach"), name, None)


def __getattr__(name: str) -> Any:
    if name in _LAZY:
        found = importlib.import_module(_LAZY[name])
    elif name.startswith("_foreach_") and (found := _foreach(name)) is not None:
        pass
    elif name in _DEPRECATED:
        return getattr(importlib.import_module("rushlight.features"), name)  # it warns each time
    elif name in _LAZY_NAMES:
        found = getattr(importlib.import_module(_LAZY_NAMES[name]), name)
    else:
        raise AttributeError(
            f"module 'rushlight' has no attribute {name!r}: see docs/coverage.md for what exists"
        )
    globals()[name] = found
    return found


def __dir__():
    # Submodules that are not in ``_LAZY`` are ours. They are here because something imported them.
    own = {
        n
        for n, value in globals().items()
        if (n[:1] != "_" or n[:2] == "__") and type(value) is not type(late)
    }
    return sorted({*own, *_LAZY, *_LAZY_NAMES} - {*_NO_NAMES})


if TYPE_CHECKING:
    from rushlight.ops.create.from_data import (
        tensor as tensor,  # the function, not the module of that name
    )
