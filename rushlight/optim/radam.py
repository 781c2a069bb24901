"""RAdam."""

from rushlight.optim.elementwise import Elementwise
from rushlight.optim.functional import functional
from rushlight.optim.options import check_betas, check_options
from rushlight.tensor import Tensor

__all__ = ["RAdam", "radam"]


class RAdam(Elementwise):
    """RAdam: Adam whose first steps are not scaled, until the average square is reliable.

    Args:
        params: Tensors, ``(name, tensor)`` pairs, or dicts that give a group its own options.
        lr: Learning rate.
        betas: Decay of the average gradient, and of the average squared gradient.
        eps: Added to the root of the average square.
        weight_decay: This factor times the parameter is added to the gradient.
        decoupled_weight_decay: Shrink the parameter instead of changing the gradient.
        maximize: Maximize the objective instead of minimizing it.
        differentiable: Let gradients flow through the step itself.
        foreach: Accepted without effect; all parameters are always stepped together.
        capturable: Whether a step can be captured as a graph, which the CPU refuses.

    Raises:
        ValueError: An option is negative, or a beta is outside [0, 1).

    Source: Liu et al., On the variance of the adaptive learning rate and beyond, ICLR 2020,
        algorithm 2.

    >>> import rushlight as torch
    >>> w = torch.tensor([1.0], requires_grad=True)
    >>> optimizer = torch.optim.RAdam([w], lr=0.25)
    >>> (3 * w).sum().backward()
    >>> optimizer.step()
    >>> w
    tensor([0.2500], requires_grad=True)
    """

    _lerped = "exp_avg"
    _older = {
        "foreach": None, "maximize": False, "differentiable": False,
        "decoupled_weight_decay": False, "capturable": False,
    }  # fmt: skip

    def __init__(
        self, params, lr=1e-3, betas=(0.9, 0.999), eps=1e-8, weight_decay=0,
        decoupled_weight_decay=False, *, foreach=None, maximize=False, capturable=False,
        differentiable=False,
    ):  # fmt: skip
        check_options("RAdam", lr=lr, eps=eps, weight_decay=weight_decay)
        check_betas("RAdam", betas)
        defaults = {
            "lr": lr, "betas": betas, "eps": eps, "weight_decay": weight_decay,
            "maximize": maximize, "foreach": foreach, "capturable": capturable,
            "decoupled_weight_decay": decoupled_weight_decay, "differentiable": differentiable,
        }  # fmt: skip
        super().__init__(params, defaults)

    @staticmethod
    def _names(group):
        return "exp_avg", "exp_avg_sq"

    @staticmethod
    def _scalars(group, step):
        lr, weight_decay = group["lr"], group["weight_decay"]
        beta1, beta2 = group["betas"]
        most = 2 / (1 - beta2) - 1
        length = most - 2 * step * beta2**step / (1 - beta2**step)
        known = (length > 5) * 1.0  # a number, so that a trace needs no branch
        above = (length - 4) * (length - 2) * most * known
        below = (most - 4) * (most - 2) * length * known + (1 - known)
        rectified = (above / below * (1 - beta2**step)) ** 0.5 + (1 - known)
        decay = 1 - lr * weight_decay if group["decoupled_weight_decay"] else weight_decay
        eps = group["eps"] * known + (1 - known)
        rate = lr / (1 - beta1**step) * rectified
        return rate, known, eps, 1 - beta1, beta2, 1 - beta2, decay

    @staticmethod
    def _update(xp, p, g, buffers, scalars, group):
        mean, square = buffers
        rate, known, eps, gain1, beta2, gain2, decay = scalars
        if group["maximize"]:
            g = -g
        if group["weight_decay"] != 0:
            if group["decoupled_weight_decay"]:
                p *= decay
            else:
                g = g + p * decay
        mean += (g - mean) * gain1
        square *= beta2
        square += g * g * gain2
        # As long as the average square is not reliable, the denominator is 1.
        if isinstance(known, Tensor):
            root = xp.where(known != 0, xp.sqrt(square), 0.0)  # infinity times 0 would be nan
        else:
            root = xp.sqrt(square) if known else 0.0
        p -= mean / (root + eps) * rate


radam = functional(
    RAdam,
    "params grads exp_avgs exp_avg_sqs state_steps",
    "decoupled_weight_decay foreach differentiable capturable has_complex maximize",
    "beta1 beta2 lr weight_decay eps",
)
