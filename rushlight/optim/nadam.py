"""NAdam."""

from rushlight.optim.elementwise import Elementwise
from rushlight.optim.functional import functional
from rushlight.optim.options import check_betas, check_options

__all__ = ["NAdam", "nadam"]


class NAdam(Elementwise):
    """NAdam: Adam with Nesterov momentum, which grows from step to step.

    Args:
        params: Tensors, ``(name, tensor)`` pairs, or dicts that give a group its own options.
        lr: Learning rate.
        betas: Decay of the average gradient, and of the average squared gradient.
        eps: Added to the root of the average square.
        weight_decay: This factor times the parameter is added to the gradient.
        momentum_decay: How fast the momentum of a step grows from half of ``betas[0]`` to all.
        decoupled_weight_decay: Shrink the parameter instead of changing the gradient.
        maximize: Maximize the objective instead of minimizing it.
        differentiable: Let gradients flow through the step itself.
        foreach: Accepted without effect; all parameters are always stepped together.
        capturable: Whether a step can be captured as a graph, which the CPU refuses.

    Raises:
        ValueError: An option is negative, or a beta is outside [0, 1).

    Source: Dozat, Incorporating Nesterov momentum into Adam, ICLR workshop 2016, algorithm 2.

    >>> import rushlight as torch
    >>> w = torch.tensor([1.0], requires_grad=True)
    >>> optimizer = torch.optim.NAdam([w], lr=0.5, betas=(0.0, 0.999))
    >>> (3 * w).sum().backward()
    >>> optimizer.step()
    >>> w
    tensor([0.5000], requires_grad=True)
    """

    _lerped = "exp_avg"
    _numbers = ("mu_product",)
    _older = {
        "maximize": False, "foreach": None, "capturable": False, "differentiable": False,
        "decoupled_weight_decay": False,
    }  # fmt: skip

    def __init__(
        self, params, lr=2e-3, betas=(0.9, 0.999), eps=1e-8, weight_decay=0, momentum_decay=4e-3,
        decoupled_weight_decay=False, *, foreach=None, maximize=False, capturable=False,
        differentiable=False,
    ):  # fmt: skip
        check_options(
            "NAdam", lr=lr, eps=eps, weight_decay=weight_decay, momentum_decay=momentum_decay
        )
        check_betas("NAdam", betas)
        defaults = {
            "lr": lr, "betas": betas, "eps": eps, "weight_decay": weight_decay,
            "momentum_decay": momentum_decay, "decoupled_weight_decay": decoupled_weight_decay,
            "maximize": maximize, "foreach": foreach, "capturable": capturable,
            "differentiable": differentiable,
        }  # fmt: skip
        super().__init__(params, defaults)

    @staticmethod
    def _names(group):
        return "exp_avg", "exp_avg_sq"

    def _initial(self, p, name):
        return 1.0 if name == "mu_product" else 0.0

    @staticmethod
    def _momentum(group, step):
        return group["betas"][0] * (1 - 0.5 * 0.96 ** (step * group["momentum_decay"]))

    @staticmethod
    def _follow(group, step, product):
        return (product * NAdam._momentum(group, step),)

    @staticmethod
    def _scalars(group, step, before, after):
        lr, weight_decay = group["lr"], group["weight_decay"]
        beta1, beta2 = group["betas"]
        (product,) = after
        momentum, following = NAdam._momentum(group, step), NAdam._momentum(group, step + 1)
        own = lr * (1 - momentum) / (1 - product)
        ahead = lr * following / (1 - product * following)
        scale = (1 - beta2**step) ** -0.5
        decay = 1 - lr * weight_decay if group["decoupled_weight_decay"] else weight_decay
        return own, ahead, scale, group["eps"], 1 - beta1, beta2, 1 - beta2, decay

    @staticmethod
    def _update(xp, p, g, buffers, scalars, group):
        mean, square = buffers
        own, ahead, scale, eps, gain1, beta2, gain2, decay = scalars
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
        p -= (g * own + mean * ahead) / (xp.sqrt(square) * scale + eps)


nadam = functional(
    NAdam,
    "params grads exp_avgs exp_avg_sqs mu_products state_steps",
    "decoupled_weight_decay foreach capturable differentiable has_complex maximize",
    "beta1 beta2 lr weight_decay momentum_decay eps",
)
