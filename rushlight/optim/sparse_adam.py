"""SparseAdam."""

from rushlight.autograd import mode
from rushlight.optim.optimizer import Optimizer
from rushlight.optim.options import check_betas, check_options

__all__ = ["SparseAdam"]


class SparseAdam(Optimizer):
    """Adam for sparse gradients. rushlight has only dense gradients, and ``step`` refuses them.

    Args:
        params: Real tensors, ``(name, tensor)`` pairs, or dicts that give a group its own options.
        lr, betas, eps, maximize: As Adam's.

    Raises:
        ValueError: ``lr`` or ``eps`` is not positive, a beta is outside [0, 1), or a parameter is
            complex.
        RuntimeError: A parameter has a gradient when ``step`` is called.

    >>> import rushlight as torch
    >>> torch.optim.SparseAdam([torch.ones(2)]).param_groups[0]["betas"]
    (0.9, 0.999)
    """

    def __init__(self, params, lr=1e-3, betas=(0.9, 0.999), eps=1e-8, maximize=False):
        check_options("SparseAdam", lr=lr, eps=eps)
        for name, value in ("learning rate", lr), ("epsilon value", eps):
            if not value > 0.0:
                raise ValueError(f"SparseAdam: Invalid {name}: {value}; it must be > 0")
        check_betas("SparseAdam", betas)
        super().__init__(params, {"lr": lr, "betas": betas, "eps": eps, "maximize": maximize})
        places = [
            [i, k]
            for i, group in enumerate(self.param_groups)
            for k, p in enumerate(group["params"])
            if p.is_complex()
        ]
        if places:
            raise ValueError(
                f"Complex params at indices {places}: SparseAdam does not support complex "
                "parameters"
            )

    def step(self, closure=None):
        """Raise RuntimeError if a parameter has a gradient, because all gradients are dense."""
        loss = None
        if closure is not None:
            with mode.enable_grad():
                loss = closure()
        if any(p.grad is not None for group in self.param_groups for p in group["params"]):
            raise RuntimeError(
                "SparseAdam does not support dense gradients, please consider Adam instead"
            )
        return loss
