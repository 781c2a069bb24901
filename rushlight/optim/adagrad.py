"""Adagrad."""

from rushlight.optim.elementwise import Elementwise
from rushlight.optim.functional import functional
from rushlight.optim.options import check_fused, check_options

__all__ = ["Adagrad", "adagrad"]


class Adagrad(Elementwise):
    """Adagrad: each gradient is divided by the root of the sum of all its squares so far.

    Args:
        params: Tensors, ``(name, tensor)`` pairs, or dicts that give a group its own options.
        lr: Learning rate.
        lr_decay: The learning rate of step n is ``lr / (1 + (n - 1) * lr_decay)``.
        weight_decay: This factor times the parameter is added to the gradient.
        initial_accumulator_value: The value at which the sum starts.
        eps: Added to the root of the sum.
        maximize: Maximize the objective instead of minimizing it.
        differentiable: Let gradients flow through the step itself.
        foreach, fused: Accepted without effect; all parameters are always stepped together.

    Raises:
        ValueError: An option is negative.

    Source: Duchi, Hazan & Singer, Adaptive subgradient methods for online learning and stochastic
        optimization, JMLR 2011.

    >>> import rushlight as torch
    >>> w = torch.tensor([1.0], requires_grad=True)
    >>> optimizer = torch.optim.Adagrad([w], lr=0.5)
    >>> (3 * w).sum().backward()
    >>> optimizer.step()
    >>> w
    tensor([0.5000], requires_grad=True)
    """

    _older = {"foreach": None, "maximize": False, "differentiable": False, "fused": None}

    def __init__(
        self, params, lr=1e-2, lr_decay=0, weight_decay=0, initial_accumulator_value=0, eps=1e-10,
        foreach=None, *, maximize=False, differentiable=False, fused=None,
    ):  # fmt: skip
        check_options(
            "Adagrad", lr=lr, lr_decay=lr_decay, weight_decay=weight_decay,
            initial_accumulator_value=initial_accumulator_value, eps=eps,
        )  # fmt: skip
        defaults = {
            "lr": lr, "lr_decay": lr_decay, "eps": eps, "weight_decay": weight_decay,
            "initial_accumulator_value": initial_accumulator_value, "foreach": foreach,
            "maximize": maximize, "differentiable": differentiable, "fused": fused,
        }  # fmt: skip
        super().__init__(params, defaults)
        check_fused("Adagrad", fused, foreach, differentiable)
        for group in self.param_groups:
            for p in group["params"]:
                p.numel()  # raises ValueError if the parameter has no shape yet
                self._complete(p, ("sum",))

    def share_memory(self):
        """Move the state to memory that processes share."""
        for state in self.state.values():
            for tensor in state.values():
                tensor.share_memory_()

    def _initial(self, p, name):
        return self.defaults["initial_accumulator_value"]

    @staticmethod
    def _names(group):
        return ("sum",)

    @staticmethod
    def _scalars(group, step):
        rate = group["lr"] / (1 + (step - 1) * group["lr_decay"])
        return rate, group["eps"], group["weight_decay"]

    @staticmethod
    def _update(xp, p, g, buffers, scalars, group):
        (total,) = buffers
        rate, eps, weight_decay = scalars
        if group["maximize"]:
            g = -g
        if group["weight_decay"] != 0:
            g = g + p * weight_decay
        total += g * g
        p -= g / (xp.sqrt(total) + eps) * rate

    def _update_rows(self, p, g, group):
        from rushlight.sparse.rows import read, root, rows_of, write

        if group["weight_decay"] != 0:
            raise RuntimeError("weight_decay option is not compatible with sparse gradients")
        if group.get("fused"):
            raise RuntimeError("`_fused_adagrad` does not support sparse gradients")
        count, total = self._complete(p, ("sum",)), self.state[p]["sum"]
        count.add_(1)
        rate = float(group["lr"]) / (1 + (float(count._array) - 1) * group["lr_decay"])
        at, values = rows_of(-g if group["maximize"] else g)
        if not len(values):
            return
        sums = read(total, at) + values * values
        write(total, at, sums)
        write(p, at, read(p, at) - values / (root(sums) + group["eps"]) * rate)


adagrad = functional(
    Adagrad,
    "params grads state_sums state_steps",
    "fused grad_scale found_inf has_sparse_grad foreach differentiable has_complex",
    "lr weight_decay lr_decay eps maximize",
)
