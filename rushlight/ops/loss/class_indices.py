"""Losses with class indices as targets: their checks, and their formulas on tensors.

The compiler and gradients of gradients use the formulas. The formulas find a class's place by
comparison with 0, 1, 2, …, so that no values need to be scattered. They keep the dim of the classes
with size 1. On arrays, ``cross_entropy.py`` picks and places single elements instead: NumPy would
compare and multiply all N · C elements for it.
"""

from rushlight.dtype import OF, float32, float64, int64, scalar_name, uint8
from rushlight.dtype import bool as bool_
from rushlight.errors import DtypeError, ShapeError, UnsupportedDtypeError
from rushlight.ops.core.range_checks import check_range
from rushlight.ops.create.range import arange

__all__ = [
    "check_scores",
    "check_shapes",
    "check_values",
    "class_dim",
    "hot",
    "loss",
    "picked",
    "scale",
]


def class_dim(x_shape):
    """The index of the dim C in the shape (N, C, …) or (C)."""
    return 0 if len(x_shape) == 1 else 1


def check_scores(name, x):
    """(N, C) of the scores (N, C), (C) or () of classes; raises for other shapes and dtypes."""
    if OF[x.dtype] not in (float32, float64):
        raise UnsupportedDtypeError(
            f"{name}: not implemented for {OF[x.dtype]}; convert with .float()"
        )
    if x.ndim > 2 or (x.size == 0 and (x.ndim < 2 or x.shape[1] == 0)):
        raise ShapeError(
            f"{name}: Expected non-empty vector or matrix with optional 0-dim batch size, but got: "
            f"{list(x.shape)}"
        )
    return tuple(x.shape) if x.ndim == 2 else (1, x.size)


def check_shapes(name, x, target, weight):
    """Raise if log-probabilities (N, C, …) and class indices (N, …) do not fit."""
    shapes = f"input {tuple(x.shape)} and target {tuple(target.shape)}"
    if x.ndim == 0:
        raise ValueError(f"{name}: Expected 1 or more dimensions (got 0)")
    if x.ndim == 1:
        if target.size != 1 or target.ndim > 1:
            raise ValueError(f"{name}: For 1D input, 1D target must have size 1, but got {shapes}")
    elif target.ndim == 0 or x.shape[0] != target.shape[0]:
        got = target.shape[0] if target.ndim else "none"
        raise ValueError(
            f"{name}: Expected input batch_size ({x.shape[0]}) to match target batch_size "
            f"({got}): {shapes}"
        )
    elif x.ndim == 2 and target.ndim != 1:
        raise ShapeError(
            f"{name}: 0D or 1D target tensor expected, multi-target not supported: {shapes}"
        )
    elif target.shape[1:] != x.shape[2:]:
        want = [x.shape[0], *x.shape[2:]]
        raise ShapeError(
            f"{name}: Expected target size {want}, got {list(target.shape)}, for {shapes}"
        )
    if OF[target.dtype] not in (int64, uint8):  # NumPy makes the name anew each time
        raise DtypeError(
            f"{name}: expected target dtype to be Long or Byte, but got {OF[target.dtype]}; "
            "class indices are target.long()"
        )
    if x.ndim > 2 and OF[target.dtype] is uint8:  # PyTorch's kernel of images takes no bytes
        raise DtypeError(
            f"{name}: expected scalar type Long but found Byte for {shapes}; class indices are "
            "target.long()"
        )
    classes = x.shape[class_dim(x.shape)]
    if weight is not None:
        if tuple(weight.shape) != (classes,):
            raise ShapeError(
                f"{name}: weight tensor should be defined either for all {classes} classes or no "
                f"classes but got weight tensor of shape: {list(weight.shape)}"
            )
        if weight.dtype != x.dtype:
            raise DtypeError(
                f"{name}: expected scalar type {scalar_name(x.dtype)} but found "
                f"{scalar_name(weight.dtype)}: the weight must have the input's dtype"
            )


def _indices(target, x_shape, ignore_index):
    """(the class indices with 0 in place of ignored ones, True where a target is not ignored)."""
    target = target.to(int64)
    target = target.reshape(1) if len(x_shape) == 1 else target.unsqueeze(1)
    keep = target != ignore_index
    return target.where(keep, 0), keep


def _weights(index, keep, weight):
    """The weight of each position: 0 if ignored, else the weight of its class (True for 1)."""
    if weight is None or not weight.shape[0]:
        return keep
    return weight.gather(0, index.reshape(-1)).reshape(index.shape).where(keep, 0)


def _counting(share, x):
    """``x`` times ``share``, the weight of each position; 0 at weight 0, even if x is infinite."""
    if share.dtype is bool_:
        return x.where(share, 0)
    return (x * share).masked_fill(share == 0, 0)


def check_values(x, target, ignore_index):
    """Check that each target is a class or ignored."""
    classes = x.shape[class_dim(x.shape)]
    check_range(
        target, low=0, high=classes - 1, ignored=ignore_index, error=IndexError,
        message=f"cross_entropy: Target {{}} is out of bounds: the classes are 0 to {classes - 1}",
    )  # fmt: skip


def picked(x, target, ignore_index):
    """The elements of ``x`` at the target classes; zeros if there are no classes."""
    if not x.shape[class_dim(x.shape)]:  # so all targets are ignored
        return x.new_zeros(x.shape).sum(class_dim(x.shape), keepdim=True)
    index, _ = _indices(target, x.shape, ignore_index)
    return x.gather(class_dim(x.shape), index)


def loss(surprise, x_shape, target, weight, reduction, ignore_index):
    """The loss from ``surprise``, the negative log-probabilities of the target classes."""
    index, keep = _indices(target, x_shape, ignore_index)
    share = _weights(index, keep, weight)
    losses = _counting(share, surprise)
    if reduction == "none":
        return losses.squeeze(class_dim(x_shape))
    return losses.sum() if reduction == "sum" else losses.sum() / share.sum()


def scale(g, x_shape, target, weight, reduction, ignore_index):
    """The gradient of each position's loss, from the gradient ``g`` of the whole loss."""
    index, keep = _indices(target, x_shape, ignore_index)
    share = _weights(index, keep, weight)
    if reduction == "none":
        g = g.unsqueeze(class_dim(x_shape))
    elif reduction == "mean":
        g = g / share.sum()
    return _counting(share, g)


def hot(target, x_shape, ignore_index):
    """A bool tensor of shape ``x_shape``, True at the target classes."""
    index, _ = _indices(target, x_shape, ignore_index)
    classes = arange(x_shape[class_dim(x_shape)])
    return classes.reshape(-1, *[1] * (len(x_shape) - 1 - class_dim(x_shape))) == index
