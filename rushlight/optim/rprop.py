"""Rprop."""

from rushlight.optim.elementwise import Elementwise
from rushlight.optim.functional import functional
from rushlight.optim.options import check_options

__all__ = ["Rprop", "rprop"]


class Rprop(Elementwise):
    """Rprop: steps in the direction of the gradient's sign, with a length of its own per element.

    The length grows while the sign stays the same, and shrinks when the sign changes.

    Args:
        params: Tensors, ``(name, tensor)`` pairs, or dicts that give a group its own options.
        lr: Length of the first step.
        etas: The factors of the length: if the sign changed, and if it stayed the same.
        step_sizes: The shortest and the longest step.
        maximize: Maximize the objective instead of minimizing it.
        differentiable: Let gradients flow through the step itself.
        foreach: Accepted without effect; all parameters are always stepped together.
        capturable: Whether a step can be captured as a graph, which the CPU refuses.

    Raises:
        ValueError: The learning rate is negative, or ``etas`` are not below and above 1.

    Source: Riedmiller & Braun, A direct adaptive method for faster backpropagation learning,
        1993. An element takes no step when its sign changes.

    >>> import rushlight as torch
    >>> w = torch.tensor([1.0], requires_grad=True)
    >>> optimizer = torch.optim.Rprop([w], lr=0.5)
    >>> (3 * w).sum().backward()
    >>> optimizer.step()
    >>> w
    tensor([0.5000], requires_grad=True)
    """

    _older = {
        "foreach": None, "maximize": False, "differentiable": False, "capturable": False,
    }  # fmt: skip

    def __init__(
        self, params, lr=1e-2, etas=(0.5, 1.2), step_sizes=(1e-6, 50), *, capturable=False,
        foreach=None, maximize=False, differentiable=False,
    ):  # fmt: skip
        check_options("Rprop", lr=lr)
        if not 0.0 < etas[0] < 1.0 < etas[1]:
            raise ValueError(
                f"Rprop: Invalid eta values: {etas[0]}, {etas[1]}; the first must be in (0, 1), "
                "the second above 1"
            )
        defaults = {
            "lr": lr, "etas": etas, "step_sizes": step_sizes, "foreach": foreach,
            "maximize": maximize, "differentiable": differentiable, "capturable": capturable,
        }  # fmt: skip
        super().__init__(params, defaults)

    @staticmethod
    def _names(group):
        return "prev", "step_size"

    def _initial(self, p, name):
        return self._rate(p) if name == "step_size" else 0.0

    @classmethod
    def _counts(cls, group):
        return True  # no scalar depends on the count, but the state has a "step"

    @staticmethod
    def _scalars(group, step):
        (shorter, longer), (least, most) = group["etas"], group["step_sizes"]
        return 1 - shorter, longer - 1, least, most

    @staticmethod
    def _update(xp, p, g, buffers, scalars, group):
        last, length = buffers
        loss, gain, least, most = scalars
        if group["maximize"]:
            g = -g
        turn = _sign(xp, xp.multiply(last, g))
        factor = 1 + xp.clip(turn, 0, 1) * gain + xp.clip(turn, -1, 0) * loss
        length[...] = xp.clip(xp.multiply(length, factor), least, most)
        g = xp.where(turn < 0, xp.zeros_like(g), g)
        p -= _sign(xp, g) * length
        last[...] = g


def _sign(xp, x):
    """The sign of ``x``; 0 for nan, so that an element without a gradient takes no step."""
    return xp.where(x == x, xp.sign(x), 0)


rprop = functional(
    Rprop,
    "params grads prevs step_sizes state_steps",
    "foreach capturable maximize differentiable has_complex",
    "step_size_min step_size_max etaminus etaplus",
)
