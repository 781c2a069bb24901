"""Adadelta."""

from rushlight.optim.elementwise import Elementwise
from rushlight.optim.functional import functional
from rushlight.optim.options import check_options, check_range

__all__ = ["Adadelta", "adadelta"]


class Adadelta(Elementwise):
    """Adadelta: each gradient is scaled by the ratio of typical steps to typical gradients.

    Both are measured as the root of a running average of squares.

    Args:
        params: Tensors, ``(name, tensor)`` pairs, or dicts that give a group its own options.
        lr: Factor of the step.
        rho: Decay of the average squares of gradients and of steps.
        eps: Added to both average squares under the root.
        weight_decay: This factor times the parameter is added to the gradient.
        maximize: Maximize the objective instead of minimizing it.
        differentiable: Let gradients flow through the step itself.
        foreach: Accepted without effect; all parameters are always stepped together.
        capturable: Whether a step can be captured as a graph, which the CPU refuses.

    Raises:
        ValueError: An option is negative, or ``rho`` is outside [0, 1].

    Source: Zeiler, ADADELTA: an adaptive learning rate method, 2012, algorithm 1.

    >>> import rushlight as torch
    >>> w = torch.tensor([1.0], requires_grad=True)
    >>> optimizer = torch.optim.Adadelta([w], rho=0.75, eps=1.0)
    >>> (2 * w).sum().backward()
    >>> optimizer.step()
    >>> w
    tensor([-0.4142], requires_grad=True)
    """

    _older = {
        "foreach": None, "maximize": False, "differentiable": False, "capturable": False,
    }  # fmt: skip

    def __init__(
        self, params, lr=1.0, rho=0.9, eps=1e-6, weight_decay=0, foreach=None, *,
        capturable=False, maximize=False, differentiable=False,
    ):  # fmt: skip
        check_options("Adadelta", lr=lr, eps=eps, weight_decay=weight_decay)
        check_range("Adadelta", "rho value", rho, closed=True)
        defaults = {
            "lr": lr, "rho": rho, "eps": eps, "weight_decay": weight_decay, "maximize": maximize,
            "capturable": capturable, "foreach": foreach, "differentiable": differentiable,
        }  # fmt: skip
        super().__init__(params, defaults)

    @staticmethod
    def _names(group):
        return "square_avg", "acc_delta"

    @staticmethod
    def _scalars(group, step):
        rho = group["rho"]
        return group["lr"], rho, 1 - rho, group["eps"], group["weight_decay"]

    @staticmethod
    def _update(xp, p, g, buffers, scalars, group):
        square, steps = buffers
        lr, rho, gain, eps, weight_decay = scalars
        if group["maximize"]:
            g = -g
        if group["weight_decay"] != 0:
            g = g + p * weight_decay
        square *= rho
        square += g * g * gain
        step = xp.sqrt(steps + eps) / xp.sqrt(square + eps) * g
        steps *= rho
        steps += step * step * gain
        p -= step * lr


adadelta = functional(
    Adadelta,
    "params grads square_avgs acc_deltas state_steps",
    "capturable foreach differentiable has_complex",
    "lr rho eps weight_decay maximize",
)
