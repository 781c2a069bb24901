"""ASGD."""

from rushlight.optim.elementwise import Elementwise
from rushlight.optim.functional import functional
from rushlight.optim.numbers import largest
from rushlight.optim.options import check_options

__all__ = ["ASGD", "asgd"]


class ASGD(Elementwise):
    """Averaged stochastic gradient descent: the state ``"ax"`` is the parameter's mean over time.

    Args:
        params: Tensors, ``(name, tensor)`` pairs, or dicts that give a group its own options.
        lr: Learning rate of the first step. After n steps it is
            ``lr / (1 + lambd * lr * n) ** alpha``.
        lambd: Decay of the learning rate. Each step also multiplies the parameter by 1 minus
            ``lambd`` times the present learning rate.
        alpha: Exponent of the learning rate's decay.
        t0: The step at which averaging begins. Before it, ``"ax"`` is the parameter itself.
        weight_decay: This factor times the parameter is added to the gradient.
        maximize: Maximize the objective instead of minimizing it.
        differentiable: Let gradients flow through the step itself.
        foreach: Accepted without effect; all parameters are always stepped together.
        capturable: Whether a step can be captured as a graph, which the CPU refuses.

    Raises:
        ValueError: The learning rate or the weight decay is negative.

    Source: Polyak & Juditsky, Acceleration of stochastic approximation by averaging, 1992;
        Bottou, Stochastic gradient descent tricks, 2012, for the rate.

    >>> import rushlight as torch
    >>> w = torch.tensor([1.0], requires_grad=True)
    >>> optimizer = torch.optim.ASGD([w], lr=0.25, lambd=0.0)
    >>> (3 * w).sum().backward()
    >>> optimizer.step()
    >>> w
    tensor([0.2500], requires_grad=True)
    """

    _numbers = "eta", "mu"
    _older = {
        "foreach": None, "maximize": False, "differentiable": False, "capturable": False,
    }  # fmt: skip

    def __init__(
        self, params, lr=1e-2, lambd=1e-4, alpha=0.75, t0=1e6, weight_decay=0, foreach=None,
        maximize=False, differentiable=False, capturable=False,
    ):  # fmt: skip
        check_options("ASGD", lr=lr, weight_decay=weight_decay)
        defaults = {
            "lr": lr, "lambd": lambd, "alpha": alpha, "t0": t0, "weight_decay": weight_decay,
            "foreach": foreach, "maximize": maximize, "differentiable": differentiable,
            "capturable": capturable,
        }  # fmt: skip
        super().__init__(params, defaults)

    @staticmethod
    def _names(group):
        return ("ax",)

    def _initial(self, p, name):
        if name == "eta":
            return self._rate(p)
        return 1.0 if name == "mu" else 0.0

    @staticmethod
    def _follow(group, step, eta, mu):
        lr = group["lr"]
        rate = lr / (1 + group["lambd"] * lr * step) ** group["alpha"]
        return rate, 1 / largest(1.0, step - group["t0"])

    @staticmethod
    def _scalars(group, step, before, after):
        eta, mu = before
        return 1 - group["lambd"] * eta, eta, mu, group["weight_decay"]

    @staticmethod
    def _update(xp, p, g, buffers, scalars, group):
        (mean,) = buffers
        decay, rate, share, weight_decay = scalars
        if group["maximize"]:
            g = -g
        if group["weight_decay"] != 0:
            g = g + p * weight_decay
        p *= decay
        p -= g * rate
        mean += (p - mean) * share


asgd = functional(
    ASGD,
    "params grads axs mus etas state_steps",
    "foreach maximize differentiable capturable has_complex",
    "lambd lr t0 alpha weight_decay",
)
