"""RMSprop."""

from rushlight.optim.elementwise import Elementwise
from rushlight.optim.functional import functional
from rushlight.optim.options import check_options

__all__ = ["RMSprop", "rmsprop"]


class RMSprop(Elementwise):
    """RMSprop: each gradient is divided by the root of its running mean square.

    Args:
        params: Tensors, ``(name, tensor)`` pairs, or dicts that give a group its own options.
        lr: Learning rate.
        alpha: Decay of the mean square.
        eps: Added to the root of the mean square.
        weight_decay: This factor times the parameter is added to the gradient.
        momentum: Share of the last step's direction that is kept.
        centered: Divide by the root of the variance, which is the mean square minus the squared
            mean.
        maximize: Maximize the objective instead of minimizing it.
        differentiable: Let gradients flow through the step itself.
        foreach: Accepted without effect; all parameters are always stepped together.
        capturable: Whether a step can be captured as a graph, which the CPU refuses.

    Raises:
        ValueError: An option is negative.

    Source: Hinton, Neural networks for machine learning, lecture 6e, 2012; Graves, Generating
        sequences with recurrent neural networks, 2013, for the centered form.

    >>> import rushlight as torch
    >>> w = torch.tensor([1.0], requires_grad=True)
    >>> optimizer = torch.optim.RMSprop([w], lr=0.05)
    >>> (3 * w).sum().backward()
    >>> optimizer.step()
    >>> w
    tensor([0.5000], requires_grad=True)
    """

    _older = {
        "momentum": 0, "centered": False, "foreach": None, "maximize": False,
        "differentiable": False, "capturable": False,
    }  # fmt: skip

    def __init__(
        self, params, lr=1e-2, alpha=0.99, eps=1e-8, weight_decay=0, momentum=0, centered=False,
        capturable=False, foreach=None, maximize=False, differentiable=False,
    ):  # fmt: skip
        check_options(
            "RMSprop", lr=lr, eps=eps, momentum=momentum, weight_decay=weight_decay, alpha=alpha
        )
        defaults = {
            "lr": lr, "momentum": momentum, "alpha": alpha, "eps": eps, "centered": centered,
            "weight_decay": weight_decay, "capturable": capturable, "foreach": foreach,
            "maximize": maximize, "differentiable": differentiable,
        }  # fmt: skip
        super().__init__(params, defaults)

    @staticmethod
    def _names(group):
        momentum = ("momentum_buffer",) if group["momentum"] > 0 else ()
        centered = ("grad_avg",) if group["centered"] else ()
        return ("square_avg", *momentum, *centered)

    @staticmethod
    def _scalars(group, step):
        alpha = group["alpha"]
        momentum, weight_decay = group["momentum"], group["weight_decay"]
        return group["lr"], alpha, 1 - alpha, group["eps"], momentum, weight_decay

    @staticmethod
    def _update(xp, p, g, buffers, scalars, group):
        square, *others = buffers
        lr, alpha, gain, eps, momentum, weight_decay = scalars
        if group["maximize"]:
            g = -g
        if group["weight_decay"] != 0:
            g = g + p * weight_decay
        square *= alpha
        square += g * g * gain
        if group["centered"]:
            mean = others[-1]
            mean += (g - mean) * gain
            square = square - mean * mean
        step = g / (xp.sqrt(square) + eps)
        if group["momentum"] > 0:
            velocity = others[0]
            velocity *= momentum
            velocity += step
            step = velocity
        p -= step * lr


rmsprop = functional(
    RMSprop,
    "params grads square_avgs grad_avgs momentum_buffer_list state_steps",
    "foreach maximize differentiable capturable has_complex",
    "lr alpha eps weight_decay momentum centered",
)
