"""Dropout and alpha dropout (which keeps mean and variance), of elements and of whole channels.

Source: Srivastava et al. 2014; Klambauer et al. 2017 for alpha dropout.
"""

from rushlight.autograd import mode
from rushlight.draw.bernoulli import dropout_noise as draw_noise
from rushlight.errors import DtypeError, ShapeError
from rushlight.ops.core.definition import function
from rushlight.ops.core.promotion import as_number
from rushlight.ops.random.sampling import drawn_, drawn_for
from rushlight.ops.shape.view import tensor_array
from rushlight.random import default_generator
from rushlight.remote import at, device_of
from rushlight.tensor import from_array

__all__ = ["alpha_dropout", "dropout", "dropout_", "feature_alpha_dropout", "feature_dropout"]

_ALPHA = 1.7580993408473766  # alpha dropout sets elements to -_ALPHA, the lower limit of SELU


def _check(p):
    if not 0 <= as_number(p) <= 1:
        raise RuntimeError(f"dropout probability has to be between 0 and 1, but got {p}")


@function(method=False)
def dropout(input, p, train):
    """Set each element to 0 with probability ``p``, and scale the others by 1 / (1 - p).

    Args:
        input: Tensor of any shape ``(*)``, floating point.
        p: Probability in [0, 1].
        train: Work as in training; False returns ``input`` itself.

    Returns:
        Tensor of ``input``'s shape.

    Raises:
        RuntimeError: ``p`` is outside [0, 1].

    Source: Srivastava et al., Dropout: a simple way to prevent neural networks from overfitting,
        2014.

    >>> import rushlight as torch
    >>> torch.dropout(torch.ones(2), 0.0, True)
    tensor([1., 1.])
    """
    noise = dropout_noise(input, p, train)
    return input if noise is None else input * noise


def dropout_noise(input, p, train):
    """The factors by which dropout multiplies ``input``, or None if ``input`` stays as it is.

    The default generator draws them.
    """
    _check(p)
    array = tensor_array(input, "dropout")
    if p == 0 or not train or array.size == 0:
        return None
    if not mode.intercept:  # the operation would say the same, and take as long again
        return from_array(draw_noise(default_generator, array, float(p)))
    with at(device_of(input)):
        return drawn_for(array, array.dtype, "dropout", (float(p),), default_generator)


@function(name="dropout_", method=False)
def dropout_(input, p, train):
    """In-place version of ``dropout``."""
    noise = dropout_noise(input, p, train)
    return input if noise is None else input.mul_(noise)


def _channels(input):
    """The shape of a tensor with one number for each channel, broadcastable to ``input``."""
    if input.ndim < 2:
        raise ShapeError(
            "Feature dropout requires at least 2 dimensions in the input, which is "
            f"{tuple(input.shape)}"
        )
    return (*input.shape[:2], *[1] * (input.ndim - 2))


def _kept(shape, dtype, p):
    """Draw ones with probability 1 - p, and zeros otherwise."""
    return drawn_(
        shape=tuple(shape), dtype=dtype, distribution="bernoulli", parameters=(1 - p,),
        generator=default_generator,
    )  # fmt: skip


def feature_dropout(input, p, train):
    """Set each channel to 0 with probability ``p``, and scale the others by 1 / (1 - p).

    Raises:
        RuntimeError: ``p`` is outside [0, 1]; ``input`` has fewer than two dims.
    """
    _check(p)
    if p == 0 or not train or tensor_array(input, "feature_dropout").size == 0:
        return input
    if p == 1:
        return input * input.new_zeros(())
    return input * _kept(_channels(input), input._array.dtype, p).div_(1 - p)


def _kept_like(input, p):
    """``_kept`` for each element of ``input``, in the order of its elements in memory."""
    array = input._array
    return drawn_for(array, array.dtype, "bernoulli", (1 - p,), default_generator)


def _alpha(input, p, draw):
    """Set dropped elements to SELU's lower limit, then rescale to keep mean and variance.

    ``draw(input, p)`` gives zeros and ones that broadcast to ``input``.
    """
    if not input.is_floating_point():
        raise DtypeError(f"alpha_dropout: the result would not be {input.dtype}; use .float()")
    if p == 1:
        return input * input.new_zeros(())
    scale = 1 / ((_ALPHA**2 * p + 1) * (1 - p)) ** 0.5
    kept = draw(input, p)
    shift = (kept - 1) * (_ALPHA * scale) + _ALPHA * scale * p
    return input * (kept * scale) + shift


def alpha_dropout(input, p, train):
    """Set elements with probability ``p`` to SELU's lower limit, then restore mean and variance.

    The scale and shift assume an ``input`` with mean 0 and variance 1, as SELU gives.

    Raises:
        RuntimeError: ``p`` is outside [0, 1].
    """
    _check(p)
    if p == 0 or not train or tensor_array(input, "alpha_dropout").size == 0:
        return input
    return _alpha(input, p, _kept_like)


def feature_alpha_dropout(input, p, train):
    """``alpha_dropout`` of whole channels.

    Raises:
        RuntimeError: ``p`` is outside [0, 1]; ``input`` has fewer than two dims.
    """
    _check(p)
    if p == 0 or not train or tensor_array(input, "feature_alpha_dropout").size == 0:
        return input
    return _alpha(input, p, lambda x, p: _kept(_channels(x), x._array.dtype, p))


for _call in (alpha_dropout, feature_dropout, feature_alpha_dropout):
    vars(_call)["composes"] = True  # the guard lets its calls be replayed
