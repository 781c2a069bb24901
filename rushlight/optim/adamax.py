"""Adamax."""

from rushlight.optim.elementwise import Elementwise
from rushlight.optim.functional import functional
from rushlight.optim.options import check_betas, check_options

__all__ = ["Adamax", "adamax"]


class Adamax(Elementwise):
    """Adamax: Adam with a decaying maximum of absolute gradients in place of the average square.

    Args:
        params: Tensors, ``(name, tensor)`` pairs, or dicts that give a group its own options.
        lr: Learning rate.
        betas: Decay of the average gradient, and of the largest absolute gradient.
        eps: Added to the absolute value of each gradient.
        weight_decay: This factor times the parameter is added to the gradient.
        maximize: Maximize the objective instead of minimizing it.
        differentiable: Let gradients flow through the step itself.
        foreach: Accepted without effect; all parameters are always stepped together.
        capturable: Whether a step can be captured as a graph, which the CPU refuses.

    Raises:
        ValueError: An option is negative, or a beta is outside [0, 1).

    Source: Kingma & Ba, Adam: a method for stochastic optimization, 2015, algorithm 2.

    >>> import rushlight as torch
    >>> w = torch.tensor([1.0], requires_grad=True)
    >>> optimizer = torch.optim.Adamax([w], lr=0.5)
    >>> (3 * w).sum().backward()
    >>> optimizer.step()
    >>> w
    tensor([0.5000], requires_grad=True)
    """

    _lerped = "exp_avg"
    _older = {
        "foreach": None, "maximize": False, "differentiable": False, "capturable": False,
    }  # fmt: skip

    def __init__(
        self, params, lr=2e-3, betas=(0.9, 0.999), eps=1e-8, weight_decay=0, foreach=None, *,
        maximize=False, differentiable=False, capturable=False,
    ):  # fmt: skip
        check_options("Adamax", lr=lr, eps=eps, weight_decay=weight_decay)
        check_betas("Adamax", betas)
        defaults = {
            "lr": lr, "betas": betas, "eps": eps, "weight_decay": weight_decay,
            "foreach": foreach, "maximize": maximize, "differentiable": differentiable,
            "capturable": capturable,
        }  # fmt: skip
        super().__init__(params, defaults)

    @staticmethod
    def _names(group):
        return "exp_avg", "exp_inf"

    @staticmethod
    def _scalars(group, step):
        beta1, beta2 = group["betas"]
        rate = group["lr"] / (1 - beta1**step)
        return rate, 1 - beta1, beta2, group["eps"], group["weight_decay"]

    @staticmethod
    def _update(xp, p, g, buffers, scalars, group):
        mean, largest = buffers
        rate, gain, beta2, eps, weight_decay = scalars
        if group["maximize"]:
            g = -g
        if group["weight_decay"] != 0:
            g = g + p * weight_decay
        mean += (g - mean) * gain
        largest[...] = xp.maximum(largest * beta2, xp.abs(g) + eps)
        p -= mean / largest * rate


adamax = functional(
    Adamax,
    "params grads exp_avgs exp_infs state_steps",
    "foreach maximize differentiable capturable has_complex",
    "eps beta1 beta2 lr weight_decay",
)
