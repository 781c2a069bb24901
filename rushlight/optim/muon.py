"""Muon."""

import rushlight
from rushlight.optim.elementwise import Elementwise
from rushlight.optim.numbers import in_dtype
from rushlight.optim.options import check_options

__all__ = ["Muon"]

_ADJUSTMENTS = {
    "original": lambda n, m: max(1, n / m) ** 0.5,
    "match_rms_adamw": lambda n, m: 0.2 * max(n, m) ** 0.5,
}


class Muon(Elementwise):
    """Muon: momentum that is made orthogonal before each step, for a network's inner matrices.

    Args:
        params: Matrices, ``(name, tensor)`` pairs, or dicts that give a group its own options.
        lr: Learning rate.
        weight_decay: Each step first multiplies the parameters by ``1 - lr * weight_decay``.
        momentum: Decay of the average gradient.
        nesterov: Look ahead along the momentum (Nesterov's method).
        ns_coefficients: The coefficients of x, x³ and x⁵ in the polynomial that each
            Newton-Schulz iteration applies to the singular values.
        eps: The direction is divided by its norm, or by ``eps`` if the norm is smaller.
        ns_steps: Number of Newton-Schulz iterations.
        adjust_lr_fn: How the learning rate depends on the matrix's shape: ``"original"``, which is
            the default, or ``"match_rms_adamw"``.

    Raises:
        ValueError: An option is negative, a parameter is not a matrix, or ``adjust_lr_fn`` is
            unknown.

    Source: Jordan et al., Muon: an optimizer for hidden layers in neural networks, 2024; Liu et
        al., Muon is scalable for LLM training, 2025, for the second adjustment.

    >>> import rushlight as torch
    >>> w = torch.eye(2).requires_grad_()
    >>> optimizer = torch.optim.Muon([w], lr=0.5)
    >>> (w * torch.tensor([[9.0, 0.0], [0.0, 1.0]])).sum().backward()
    >>> optimizer.step()
    >>> w.detach().round(decimals=1)  # the large gradient moves no more than the small
    tensor([[0.6000, 0.0000],
            [0.0000, 0.6000]])
    """

    _counted = False
    _joint = False
    _structure = "ns_coefficients", "ns_steps", "eps"

    def __init__(
        self, params, lr=1e-3, weight_decay=0.1, momentum=0.95, nesterov=True,
        ns_coefficients=(3.4445, -4.775, 2.0315), eps=1e-7, ns_steps=5, adjust_lr_fn=None,
    ):  # fmt: skip
        check_options("Muon", lr=lr, momentum=momentum, weight_decay=weight_decay)
        if adjust_lr_fn is not None and adjust_lr_fn not in _ADJUSTMENTS:
            raise ValueError(
                f"Muon: Adjust learning rate function {adjust_lr_fn} is not supported; it is one "
                f"of {', '.join(_ADJUSTMENTS)}"
            )
        defaults = {
            "lr": lr, "weight_decay": weight_decay, "momentum": momentum, "nesterov": nesterov,
            "ns_coefficients": ns_coefficients, "eps": eps, "ns_steps": ns_steps,
            "adjust_lr_fn": adjust_lr_fn,
        }  # fmt: skip
        super().__init__(params, defaults)
        for group in self.param_groups:
            for p in group["params"]:
                if p.ndim != 2:
                    raise ValueError(
                        "Muon only supports 2D parameters whereas we found a parameter with size: "
                        f"{tuple(p.shape)}"
                    )

    @staticmethod
    def _names(group):
        return ("momentum_buffer",)

    @classmethod
    def _counts(cls, group):
        return False

    def _complete(self, p, names):
        if p.is_complex():
            raise RuntimeError("Muon does not support complex parameters")
        return super()._complete(p, names)

    @staticmethod
    def _scalars(group, step):
        lr, momentum = group["lr"], group["momentum"]
        return lr, 1 - lr * group["weight_decay"], momentum, 1 - momentum

    @staticmethod
    def _update(xp, p, g, buffers, scalars, group):
        (mean,) = buffers
        lr, decay, momentum, gain = (in_dtype(x, p.dtype) for x in scalars)
        mean.lerp_(g, gain)
        step = g.lerp(mean, momentum) if group["nesterov"] else mean
        step = _orthogonal(step, group["ns_coefficients"], group["ns_steps"], group["eps"])
        p *= decay
        p -= step.to(p.dtype) * (lr * _ADJUSTMENTS[group["adjust_lr_fn"] or "original"](*p.shape))


def _orthogonal(x, coefficients, steps, eps):
    """Return about U Vᵀ, where U S Vᵀ is the SVD of ``x``, by Newton-Schulz steps in bfloat16."""
    if steps >= 100:
        raise ValueError(f"Muon: ns_steps must be less than 100, but it is {steps}")
    if len(coefficients) != 3:
        raise ValueError(f"Muon: ns_coefficients must be 3 values, but they are {coefficients}")
    a, b, c = coefficients
    tall = x.shape[0] > x.shape[1]
    x = x.to(rushlight.bfloat16)
    if tall:
        x = x.mT
    x = x / x.norm().clamp(min=eps)
    for _ in range(steps):
        gram = x @ x.mT
        x = rushlight.addmm(x, rushlight.addmm(gram, gram, gram, beta=b, alpha=c), x, beta=a)
    return x.mT if tall else x
