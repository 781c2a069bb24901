"""Adafactor."""

import rushlight
from rushlight.optim.elementwise import Elementwise, filled
from rushlight.optim.numbers import in_dtype, least
from rushlight.optim.options import check_options

__all__ = ["Adafactor"]


class Adafactor(Elementwise):
    """Adafactor: Adam without momentum and with little memory.

    For a matrix, only the averages of the squared gradients over rows and over columns are kept.

    Args:
        params: Tensors, ``(name, tensor)`` pairs, or dicts that give a group its own options.
        lr: The largest learning rate. Step n uses ``min(lr, n ** -0.5)``, times the root mean
            square of the parameter.
        beta2_decay: In step n, the newest squared gradients enter the averages with the weight
            ``n ** beta2_decay``.
        eps: Two lower limits. The first is for the root of the average squares, and None means
            the dtype's ``finfo.eps``. The second is for the root mean square of the parameter.
        d: The largest root mean square of a step before it is multiplied with the learning rate.
            Larger steps are scaled down.
        weight_decay: Each step first multiplies the parameters by ``1 - lr * weight_decay``.
        maximize: Maximize the objective instead of minimizing it.
        foreach: Accepted without effect.

    Raises:
        ValueError: An option is negative, ``beta2_decay`` is positive, or ``d`` is below 1.

    Source: Shazeer & Stern, Adafactor: adaptive learning rates with sublinear memory cost, 2018,
        algorithms 4 and 5.

    >>> import rushlight as torch
    >>> w = torch.ones(2, 3).requires_grad_()
    >>> optimizer = torch.optim.Adafactor([w], lr=0.5)
    >>> (3 * w).sum().backward()
    >>> optimizer.step()
    >>> w[0]
    tensor([0.5000, 0.5000, 0.5000], grad_fn=<SelectBackward0>)
    """

    _joint = False
    _older = {"foreach": None}
    _structure = ("eps",)

    def __init__(
        self, params, lr=1e-2, beta2_decay=-0.8, eps=(None, 1e-3), d=1.0, weight_decay=0.0, *,
        foreach=None, maximize=False,
    ):  # fmt: skip
        check_options("Adafactor", lr=lr, weight_decay=weight_decay)
        if not beta2_decay <= 0.0:
            raise ValueError(f"Adafactor: beta2_decay should be <= 0 but is: {beta2_decay}")
        for i, value in enumerate(eps):
            if not (value is None and i == 0) and not value >= 0.0:
                raise ValueError(f"Adafactor: epsilon{i + 1} should be >= 0 but is: {value}")
        if not d >= 1.0:
            raise ValueError(f"Adafactor: Clipping threshold d should be >= 1 but is: {d}")
        defaults = {
            "lr": lr, "beta2_decay": beta2_decay, "eps": eps, "d": d,
            "weight_decay": weight_decay, "foreach": foreach, "maximize": maximize,
        }  # fmt: skip
        super().__init__(params, defaults)

    @staticmethod
    def _names(group):
        return "row_var", "col_var", "variance"

    def _names_of(self, p, names):
        return names[:2] if p.ndim > 1 else names[2:]

    def _complete(self, p, names):
        if p.is_complex():
            raise RuntimeError("Adafactor does not support complex parameters")
        return super()._complete(p, names)

    def _made(self, p, name):
        shape = list(p.shape)
        if name != "variance":
            shape[-1 if name == "row_var" else -2] = 1
        return filled(shape, 0, p)

    @staticmethod
    def _scalars(group, step):
        lr = group["lr"]
        share = step ** group["beta2_decay"]
        return least(lr, step**-0.5), share, group["d"], 1 - lr * group["weight_decay"]

    @staticmethod
    def _update(xp, p, g, buffers, scalars, group):
        rate, share, most, decay = (in_dtype(x, p.dtype) for x in scalars)
        floor, smallest = group["eps"]
        if floor is None:
            floor = rushlight.finfo(p.dtype).eps
        root = p.numel() ** 0.5
        rate = _at_least(smallest, p.norm() / root) * rate
        if group["maximize"]:
            g = -g
        if group["weight_decay"] != 0:
            p *= decay
        if p.ndim > 1:
            rows, columns = buffers
            rows.lerp_((g * g).mean(-1, keepdim=True), share)
            columns.lerp_((g * g).mean(-2, keepdim=True), share)
            square = rows @ columns / rows.mean(-2, keepdim=True).clamp(min=floor)
        else:
            (square,) = buffers
            square.lerp_(g * g, share)
        step = square.clamp(min=floor * floor).rsqrt() * g
        p -= step * (rate / _at_least(1.0, step.norm() / (root * most)))


def _at_least(limit, x):
    """The larger one, and ``limit`` if ``x`` is nan: one nan shall not spread to all elements."""
    return x.where(x > limit, limit)
