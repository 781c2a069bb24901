"""Functions of neural networks, under the names of ``torch.nn.functional``."""

import importlib

from rushlight.docstrings import document
from rushlight.nn.functional.activation import (
    celu,
    celu_,
    elu,
    elu_,
    gelu,
    glu,
    gumbel_softmax,
    hardshrink,
    hardsigmoid,
    hardswish,
    hardtanh,
    hardtanh_,
    leaky_relu,
    leaky_relu_,
    log_softmax,
    logsigmoid,
    mish,
    prelu,
    relu,
    relu6,
    relu_,
    rrelu,
    rrelu_,
    selu,
    selu_,
    sigmoid,
    silu,
    softmax,
    softmin,
    softplus,
    softshrink,
    softsign,
    tanh,
    tanhshrink,
    threshold,
    threshold_,
)
from rushlight.nn.functional.attention import multi_head_attention_forward
from rushlight.nn.functional.bag import embedding_bag
from rushlight.nn.functional.dropout import (
    alpha_dropout,
    dropout,
    dropout1d,
    dropout2d,
    dropout3d,
    feature_alpha_dropout,
)
from rushlight.nn.functional.grid import affine_grid, grid_sample
from rushlight.nn.functional.likelihood import (
    gaussian_nll_loss,
    linear_cross_entropy,
    poisson_nll_loss,
)
from rushlight.nn.functional.margin import (
    cosine_embedding_loss,
    hinge_embedding_loss,
    margin_ranking_loss,
    multi_margin_loss,
    multilabel_margin_loss,
    multilabel_soft_margin_loss,
    soft_margin_loss,
    triplet_margin_loss,
    triplet_margin_with_distance_loss,
)
from rushlight.nn.functional.normalization import local_response_norm
from rushlight.nn.functional.pooling import (
    adaptive_max_pool1d_with_indices,
    adaptive_max_pool2d_with_indices,
    adaptive_max_pool3d_with_indices,
    fractional_max_pool2d,
    fractional_max_pool2d_with_indices,
    fractional_max_pool3d,
    fractional_max_pool3d_with_indices,
    lp_pool1d,
    lp_pool2d,
    lp_pool3d,
    max_pool1d_with_indices,
    max_pool2d_with_indices,
    max_pool3d_with_indices,
    max_unpool1d,
    max_unpool2d,
    max_unpool3d,
)
from rushlight.nn.functional.resampling import upsample, upsample_bilinear, upsample_nearest
from rushlight.nn.functional.similarity import (
    cosine_similarity,
    normalize,
    one_hot,
    pairwise_distance,
    pdist,
)
from rushlight.ops.core.arguments import admitted
from rushlight.ops.core.definition import FUNCTIONS
from rushlight.ops.core.guard import guarded
from rushlight.ops.core.handlers import in_c, in_python
from rushlight.ops.index.embedding import embedding
from rushlight.ops.linear.bilinear import bilinear
from rushlight.ops.linear.grouped_mm import grouped_mm
from rushlight.ops.linear.linear import linear
from rushlight.ops.loss.cross_entropy import cross_entropy, nll_loss
from rushlight.ops.loss.ctc import ctc_loss
from rushlight.ops.loss.probability import (
    binary_cross_entropy,
    binary_cross_entropy_with_logits,
    kl_div,
)
from rushlight.ops.loss.regression import huber_loss, l1_loss, mse_loss, smooth_l1_loss
from rushlight.ops.norm.batch_norm import batch_norm
from rushlight.ops.norm.instance_norm import instance_norm
from rushlight.ops.norm.layer_norm import group_norm, layer_norm, rms_norm
from rushlight.ops.sequence.attention import scaled_dot_product_attention
from rushlight.ops.shape.pixel_shuffle import channel_shuffle, pixel_shuffle, pixel_unshuffle
from rushlight.ops.windows.adaptive_max_pool import (
    adaptive_max_pool1d,
    adaptive_max_pool2d,
    adaptive_max_pool3d,
)
from rushlight.ops.windows.avg_pool import (
    adaptive_avg_pool1d,
    adaptive_avg_pool2d,
    adaptive_avg_pool3d,
    avg_pool1d,
    avg_pool2d,
    avg_pool3d,
)
from rushlight.ops.windows.conv import conv1d, conv2d, conv3d
from rushlight.ops.windows.conv_transpose import (
    conv_transpose1d,
    conv_transpose2d,
    conv_transpose3d,
)
from rushlight.ops.windows.fold import fold, unfold
from rushlight.ops.windows.interpolate import interpolate
from rushlight.ops.windows.max_pool import max_pool1d, max_pool2d, max_pool3d
from rushlight.ops.windows.pad import pad

__all__ = [
    "adaptive_avg_pool1d", "adaptive_avg_pool2d", "adaptive_avg_pool3d", "adaptive_max_pool1d",
    "adaptive_max_pool1d_with_indices", "adaptive_max_pool2d", "adaptive_max_pool2d_with_indices",
    "adaptive_max_pool3d", "adaptive_max_pool3d_with_indices", "affine_grid", "alpha_dropout",
    "avg_pool1d", "avg_pool2d", "avg_pool3d", "batch_norm", "bilinear", "binary_cross_entropy",
    "binary_cross_entropy_with_logits", "celu", "celu_", "channel_shuffle", "conv1d", "conv2d",
    "conv3d", "conv_transpose1d", "conv_transpose2d", "conv_transpose3d", "cosine_embedding_loss",
    "cosine_similarity", "cross_entropy", "ctc_loss", "dropout", "dropout1d", "dropout2d",
    "dropout3d", "elu", "elu_", "embedding", "embedding_bag", "feature_alpha_dropout", "fold",
    "fractional_max_pool2d", "fractional_max_pool2d_with_indices", "fractional_max_pool3d",
    "fractional_max_pool3d_with_indices", "gaussian_nll_loss", "gelu", "glu", "grid_sample",
    "grouped_mm",
    "group_norm", "gumbel_softmax", "hardshrink", "hardsigmoid", "hardswish", "hardtanh",
    "hardtanh_", "hinge_embedding_loss", "huber_loss", "instance_norm", "interpolate", "kl_div",
    "l1_loss", "layer_norm", "leaky_relu", "leaky_relu_", "linear", "linear_cross_entropy",
    "local_response_norm", "log_softmax", "logsigmoid", "lp_pool1d", "lp_pool2d", "lp_pool3d",
    "margin_ranking_loss", "max_pool1d", "max_pool1d_with_indices", "max_pool2d",
    "max_pool2d_with_indices", "max_pool3d", "max_pool3d_with_indices", "max_unpool1d",
    "max_unpool2d", "max_unpool3d", "mish", "mse_loss", "multi_head_attention_forward",
    "multi_margin_loss", "multilabel_margin_loss", "multilabel_soft_margin_loss", "nll_loss",
    "normalize", "one_hot", "pad", "pairwise_distance", "pdist", "pixel_shuffle", "pixel_unshuffle",
    "poisson_nll_loss", "prelu", "relu", "relu6", "relu_", "rms_norm", "rrelu", "rrelu_",
    "scaled_dot_product_attention", "selu", "selu_", "sigmoid", "silu", "smooth_l1_loss",
    "soft_margin_loss", "softmax", "softmin", "softplus", "softshrink", "softsign", "tanh",
    "tanhshrink", "threshold", "threshold_", "triplet_margin_loss",
    "triplet_margin_with_distance_loss", "unfold", "upsample", "upsample_bilinear",
    "upsample_nearest",
]  # fmt: skip

#: Part of a function's module and name → the family whose sentences its docstring shares.
_FAMILIES = {
    "_with_indices": "pooling with indices", "unpool": "unpooling", "_pool": "pooling",
    "conv_transpose": "transposed convolution", ".conv": "convolution", "dropout": "dropout",
    ".loss.": "loss", "likelihood": "loss", "margin": "loss", "norm": "normalization",
    "activation": "activation", "resampling": "resampling", "interpolate": "resampling",
}  # fmt: skip


def _family(call):
    where = f"{call.__module__}.{call.__name__}"
    return next((f for part, f in _FAMILIES.items() if part in where), "functional")


# Functions that are made of several operations get a guard. The guard lets a class with
# ``__torch_function__`` take the call over. If a call fails, the guard checks the arguments and
# raises PyTorch's error; for functions marked ``strict`` it checks them before the call.
for _name in __all__:
    _call = globals()[_name]
    if not hasattr(_call, "in_python") and getattr(_call, "asks", True):
        _call = (in_c if _name.endswith("_") else in_python)(_call)  # as in PyTorch
    _shared = None if getattr(_call, "in_python", True) else FUNCTIONS.get(_name)
    if hasattr(_call, "op"):
        _call.op.admitted = admitted(_call.op)
    elif getattr(_shared, "__wrapped__", None) is _call:
        globals()[_name] = _shared  # one function in both places, as PyTorch's
    elif not hasattr(_call, "is_guarded"):
        document(_call, _family(_call))
        _call.composes = getattr(_call, "composes", not _name.endswith("_"))
        _call = guarded(_call, _name, strict=hasattr(_call, "strict"))
        _call.__module__ = __name__  # pickle looks the function up here
        globals()[_name] = _call

# Handlers see another function where positions are asked for, as in PyTorch.
for _name in __all__:
    if _name.endswith("_with_indices"):
        globals()[_name.removesuffix("_with_indices")].with_indices = globals()[_name]

#: Names that few programs use, or whose module needs this one, and the modules that have them.
_LATER = {
    **dict.fromkeys(
        ("ScalingType", "SwizzleType", "scaled_grouped_mm", "scaled_mm"),
        "rushlight.nn.functional.scaled",
    ),
    **dict.fromkeys(
        ("handle_torch_function", "has_torch_function", "has_torch_function_unary",
         "has_torch_function_variadic"), "rushlight.overrides",
    ),
    "conv_tbc": "rushlight.nn.functional.of_torch",
    "native_channel_shuffle": "rushlight",
}  # fmt: skip


def __getattr__(name):
    if name == "grad":  # this module needs the operations of all layers
        return importlib.import_module("rushlight.nn.grad")
    if name in _LATER:
        return getattr(importlib.import_module(_LATER[name]), name)
    raise AttributeError(f"module 'rushlight.nn.functional' has no attribute {name!r}")
