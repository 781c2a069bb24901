"""Functions of ``nn.functional`` with the names and arguments that they have in ``torch``.

PyTorch publishes many functions twice. Some are the same function in both places (``SAME``). Others
take their arguments in another order in ``torch``, and numbers instead of words: ``reduction=1``
instead of ``"mean"``. Each of these is a function below, which calls the one of ``nn.functional``.
"""

import inspect

from rushlight.autograd.tape import watch
from rushlight.autograd.write import check_write, write
from rushlight.nn import functional as F
from rushlight.nn.functional.bag import bag_records, in_one_type
from rushlight.nn.functional.margin import ranking_losses, triplet_losses
from rushlight.ops.core.argument_kinds import takes
from rushlight.ops.core.guard import guarded
from rushlight.ops.elementwise.activation import threshold
from rushlight.ops.index.embedding import renorm_rows
from rushlight.ops.loss.regression import reduced
from rushlight.ops.norm.batch_norm import batch_normalized
from rushlight.ops.norm.layer_norm import group_normalized
from rushlight.ops.random import dropout
from rushlight.ops.windows.conv import convolved
from rushlight.ops.windows.conv_transpose import conv_transposed
from rushlight.ops.windows.pad import constant_pad
from rushlight.tensor import Tensor

#: Functions that are the same in ``torch`` as in ``nn.functional``.
SAME = (
    "adaptive_avg_pool1d", "avg_pool1d", "celu_", "conv1d", "conv2d", "conv3d", "conv_transpose1d",
    "conv_transpose2d", "conv_transpose3d", "cosine_similarity", "max_pool1d", "max_pool2d",
    "max_pool3d", "pairwise_distance", "rms_norm", "rrelu_", "selu_", "threshold_",
)  # fmt: skip
globals().update({_name: getattr(F, _name) for _name in SAME})

__all__ = [
    *SAME, "adaptive_max_pool1d", "affine_grid_generator", "alpha_dropout", "alpha_dropout_",
    "batch_norm", "binary_cross_entropy_with_logits", "celu", "constant_pad_nd", "conv_tbc",
    "convolution", "cosine_embedding_loss", "ctc_loss", "embedding", "embedding_bag",
    "embedding_renorm_", "feature_alpha_dropout", "feature_alpha_dropout_", "feature_dropout",
    "feature_dropout_", "grid_sampler", "grid_sampler_2d", "grid_sampler_3d", "group_norm",
    "hinge_embedding_loss", "instance_norm", "kl_div", "layer_norm", "margin_ranking_loss",
    "max_pool1d_with_indices", "poisson_nll_loss", "selu", "threshold", "triplet_margin_loss",
]  # fmt: skip

# The mechanism ----------------------------------------------------------------------------

_REDUCTIONS = {1: "mean", 2: "sum"}  # any other number: "none", as in PyTorch
_POOLS = ("sum", "mean", "max")
_INTERPOLATIONS = ("bilinear", "nearest", "bicubic")
_PADDINGS = ("zeros", "border", "reflection")

#: What parameters are here, if their names do not tell it.
_KINDS = {
    "reduction": "int", "mode": "int", "interpolation_mode": "int", "padding_mode": "int",
    "blank": "int", "pad": "shape", "stride": "shape", "padding": "shape", "dilation": "shape",
    "output_padding": "shape", "training": "bool", "offsets": "Tensor", "indices": "Tensor",
    "weight": "Tensor?", "bias": "Tensor?", "running_mean": "Tensor?", "running_var": "Tensor?",
}  # fmt: skip
#: What parameters mean here, if it is not what they mean in ``nn.functional``.
_SENTENCES = {
    "reduction": "0 for each loss (default), 1 for the losses' mean, 2 for their sum.",
    "train": "Drop; False: return ``input`` as it is.",
    "cudnn_enable": "Accepted without effect.",
    "cudnn_enabled": "Accepted without effect.",
    "mode": "0 for sums (default), 1 for means, 2 for maxima.",
    "interpolation_mode": "0 for bilinear, 1 for nearest, 2 for bicubic.",
    "padding_mode": "0 for zeros beyond the edges, 1 for the outermost pixel, 2 for reflection.",
    "indices": "The indices: int32 or int64 tensor ``(*)``.",
    "padding_idx": "A row that gets no gradient. Default: -1, none.",
}


def _published(like, **kinds):
    """Guard a function, and describe it by ``like``, the function of ``nn.functional`` it calls.

    ``kinds`` are those of ``argument_kinds.takes``, besides the kinds in ``_KINDS``.
    """

    def decorate(call):
        summary = (inspect.getdoc(like) or "").partition("\n\n")[0]
        known = [n for n in inspect.signature(call).parameters if n in _SENTENCES]
        entries = "".join([f"    {name}: {_SENTENCES[name]}\n" for name in known])
        call.__doc__ = (
            f"{summary}\n\nThis is ``nn.functional.{like.__name__}`` with the arguments that "
            f"``torch.{call.__name__}`` has in PyTorch.\n"
        )
        call.__doc__ += f"\nArgs:\n{entries}" if entries else ""
        return guarded(takes(kinds=_KINDS | kinds)(call), call.__name__)

    return decorate


def _word(reduction):
    return _REDUCTIONS.get(reduction, "none")


def _chosen(words, number, name):
    """Return the word that ``number`` stands for; raise if there is none."""
    if not 0 <= number < len(words):
        raise RuntimeError(f"{name} must be in the range from 0 to {len(words) - 1}, not {number}")
    return words[number]


# Activations and padding ------------------------------------------------------------------


@_published(F.celu)
def celu(input, alpha=1.0):
    return F.celu(input, alpha)


@_published(F.selu)
def selu(input):
    return F.selu(input)


@_published(F.pad)
def constant_pad_nd(input, pad, value=0):
    return constant_pad(input, pad=tuple(pad), value=value)


# Dropout ----------------------------------------------------------------------------------


def _written(drop):
    """Return the in-place version of ``drop``."""

    def dropped_(input, p, train):
        if p and train:
            check_write(input, drop.__name__ + "_")
        found = drop(input, p, train)
        return input if found is input else write(input, found, drop.__name__ + "_")

    dropped_.__name__ = dropped_.__qualname__ = drop.__name__ + "_"
    return dropped_


alpha_dropout = _published(F.alpha_dropout)(dropout.alpha_dropout)
feature_alpha_dropout = _published(F.feature_alpha_dropout)(dropout.feature_alpha_dropout)
feature_dropout = _published(F.dropout2d)(dropout.feature_dropout)
alpha_dropout_ = _published(F.alpha_dropout)(_written(dropout.alpha_dropout))
feature_alpha_dropout_ = _published(F.feature_alpha_dropout)(
    _written(dropout.feature_alpha_dropout)
)
feature_dropout_ = _published(F.dropout2d)(_written(dropout.feature_dropout))

# Normalization ----------------------------------------------------------------------------


@_published(F.batch_norm)
def batch_norm(
    input, weight, bias, running_mean, running_var, training, momentum, eps, cudnn_enabled
):
    return batch_normalized(input, running_mean, running_var, weight, bias, training, momentum, eps)


@_published(F.instance_norm, use_input_stats="bool")
def instance_norm(
    input, weight, bias, running_mean, running_var, use_input_stats, momentum, eps, cudnn_enabled
):
    if not use_input_stats and (running_mean is None or running_var is None):
        raise RuntimeError(
            "Expected running_mean and running_var to be defined when use_input_stats is false"
        )
    return F.instance_norm(
        input, running_mean, running_var, weight, bias, use_input_stats, momentum, eps
    )


@_published(F.layer_norm, normalized_shape="shape")
def layer_norm(input, normalized_shape, weight=None, bias=None, eps=1e-5, cudnn_enable=True):
    return F.layer_norm(input, tuple(normalized_shape), weight, bias, eps)


@_published(F.group_norm)
def group_norm(input, num_groups, weight=None, bias=None, eps=1e-5, cudnn_enabled=True):
    return group_normalized(input, num_groups, weight, bias, eps)


# Embeddings -------------------------------------------------------------------------------


@_published(F.embedding)
def embedding(weight, indices, padding_idx=-1, scale_grad_by_freq=False, sparse=False):
    row = padding_idx if padding_idx >= 0 else None
    return F.embedding(indices, weight, row, None, 2.0, scale_grad_by_freq, sparse)


@_published(F.embedding)
def embedding_renorm_(input, indices, max_norm, norm_type):
    check_write(input, "embedding_renorm_")
    renorm_rows(input, indices, max_norm, norm_type)
    return input


@_published(F.embedding_bag, padding_idx="int")
def embedding_bag(
    weight, indices, offsets, scale_grad_by_freq=False, mode=0, sparse=False,
    per_sample_weights=None, include_last_offset=False, padding_idx=None,
):  # fmt: skip
    pool = _chosen(_POOLS, mode, "mode")
    indices, offsets = in_one_type(indices, offsets)
    bags = F.embedding_bag(
        indices, weight, offsets, None, 2, scale_grad_by_freq, pool, sparse, per_sample_weights,
        include_last_offset, padding_idx,
    )  # fmt: skip
    records = bag_records(
        indices, weight, offsets, pool, per_sample_weights, include_last_offset, padding_idx
    )
    return watch(bags, *records), *records


# Pooling and convolution ------------------------------------------------------------------


@_published(F.adaptive_max_pool1d, output_size="ints")
def adaptive_max_pool1d(input, output_size):
    return F.adaptive_max_pool1d(input, output_size, True)


@_published(F.max_pool1d, padding="ints", dilation="ints", stride="ints")
def max_pool1d_with_indices(
    input, kernel_size, stride=None, padding=0, dilation=1, ceil_mode=False
):
    return F.max_pool1d(input, kernel_size, stride, padding, dilation, ceil_mode, True)


@_published(F.conv2d, transposed="bool")
def convolution(input, weight, bias, stride, padding, dilation, transposed, output_padding, groups):
    n = weight.ndim - 2
    if input.ndim != weight.ndim:
        raise RuntimeError(
            f"convolution: Expected {n + 2}-dimensional input for {n + 2}-dimensional weight "
            f"{list(weight.shape)}, but got {input.ndim}-dimensional input of size "
            f"{list(input.shape)} instead"
        )
    stride, padding, dilation = tuple(stride), tuple(padding), tuple(dilation)
    if not transposed:
        return convolved("convolution", n, input, weight, bias, stride, padding, dilation, groups)
    return conv_transposed(
        "convolution", n, input, weight, bias, stride, padding, tuple(output_padding), groups,
        dilation,
    )  # fmt: skip


@_published(F.conv1d, pad="int")
def conv_tbc(input, weight, bias, pad=0):
    found = F.conv1d(input.permute(1, 2, 0), weight.permute(2, 1, 0), bias, 1, pad)
    return found.permute(2, 0, 1).contiguous()


# Sampling ---------------------------------------------------------------------------------


@_published(F.affine_grid, size="shape", align_corners="bool")
def affine_grid_generator(theta, size, align_corners):
    return F.affine_grid(theta, size, align_corners)


@_published(F.grid_sample, align_corners="bool", grid="Tensor")
def grid_sampler(input, grid, interpolation_mode, padding_mode, align_corners):
    mode = _chosen(_INTERPOLATIONS, interpolation_mode, "interpolation_mode")
    border = _chosen(_PADDINGS, padding_mode, "padding_mode")
    return F.grid_sample(input, grid, mode, border, align_corners)


def _sampler(n):
    """Return ``grid_sampler`` for images of ``n`` dims."""

    def sampler(input, grid, interpolation_mode, padding_mode, align_corners):
        if input.ndim != n + 2:
            raise RuntimeError(f"{name}: expected input of {n + 2} dims, but got {input.ndim}")
        return grid_sampler(input, grid, interpolation_mode, padding_mode, align_corners)

    name = sampler.__name__ = sampler.__qualname__ = f"grid_sampler_{n}d"
    return _published(F.grid_sample, align_corners="bool", grid="Tensor")(sampler)


grid_sampler_2d, grid_sampler_3d = _sampler(2), _sampler(3)

# Losses -----------------------------------------------------------------------------------


@_published(F.binary_cross_entropy_with_logits, pos_weight="Tensor?")
def binary_cross_entropy_with_logits(input, target, weight=None, pos_weight=None, reduction=0):
    if isinstance(input, Tensor) and isinstance(target, Tensor):
        input = input.expand(target.shape)  # only ``nn.functional`` demands equal shapes
    return F.binary_cross_entropy_with_logits(
        input, target, weight, reduction=_word(reduction), pos_weight=pos_weight
    )


@_published(F.cosine_embedding_loss)
def cosine_embedding_loss(input1, input2, target, margin=0.0, reduction=0):
    return F.cosine_embedding_loss(input1, input2, target, margin, reduction=_word(reduction))


@_published(F.ctc_loss, log_probs="Tensor", targets="Tensor")
def ctc_loss(
    log_probs, targets, input_lengths, target_lengths, blank=0, reduction=0, zero_infinity=False
):
    return F.ctc_loss(
        log_probs, targets, input_lengths, target_lengths, blank, _word(reduction), zero_infinity
    )


@_published(F.hinge_embedding_loss)
def hinge_embedding_loss(input, target, margin=1.0, reduction=0):
    return F.hinge_embedding_loss(input, target, margin, reduction=_word(reduction))


@_published(F.kl_div)
def kl_div(input, target, reduction=0, *, log_target=False):
    # Only ``nn.functional`` warns of the mean.
    losses = F.kl_div(input, target, reduction="none", log_target=log_target)
    return reduced(losses, _word(reduction))


@_published(F.margin_ranking_loss)
def margin_ranking_loss(input1, input2, target, margin=0.0, reduction=0):
    # Only ``nn.functional`` demands equal numbers of dims.
    return ranking_losses(input1, input2, target, margin, _word(reduction))


@_published(F.poisson_nll_loss, log_input="bool", full="bool")
def poisson_nll_loss(input, target, log_input, full, eps, reduction):
    return F.poisson_nll_loss(input, target, log_input, full, eps=eps, reduction=_word(reduction))


@_published(F.triplet_margin_loss, anchor="Tensor", positive="Tensor", negative="Tensor")
def triplet_margin_loss(
    anchor, positive, negative, margin=1.0, p=2.0, eps=1e-6, swap=False, reduction=0
):
    # Only ``nn.functional`` demands a margin above 0.
    return triplet_losses(anchor, positive, negative, margin, p, eps, swap, _word(reduction))
