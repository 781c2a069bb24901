"""SGD."""

from rushlight.autograd import mode
from rushlight.optim.elementwise import Elementwise
from rushlight.optim.functional import functional
from rushlight.optim.options import check_fused, check_options

__all__ = ["SGD", "sgd"]


class SGD(Elementwise):
    """Stochastic gradient descent, optionally with momentum.

    Args:
        params: Tensors, ``(name, tensor)`` pairs, or dicts that give a group its own options.
        lr: Learning rate.
        momentum: Share of the last step's direction that is kept.
        dampening: From the second step on, the gradient enters the momentum with the factor
            ``1 - dampening``.
        weight_decay: This factor times the parameter is added to the gradient.
        nesterov: Look ahead along the momentum (Nesterov's method).
        maximize: Maximize the objective instead of minimizing it.
        differentiable: Let gradients flow through the step itself.
        foreach, fused: Accepted without effect; all parameters are always stepped together.

    Raises:
        ValueError: An option is negative, or ``nesterov`` is used without momentum or with
            dampening.

    Source: Sutskever et al., On the importance of initialization and momentum in deep learning,
        ICML 2013. Unlike there, the learning rate multiplies the whole velocity and not the
        gradient alone.

    >>> import rushlight as torch
    >>> w = torch.tensor([1.0], requires_grad=True)
    >>> optimizer = torch.optim.SGD([w], lr=0.5)
    >>> (3 * w).sum().backward()
    >>> optimizer.step()
    >>> w
    tensor([-0.5000], requires_grad=True)
    """

    _counted = False
    _older = {
        "nesterov": False, "maximize": False, "foreach": None, "differentiable": False,
        "fused": False,
    }  # fmt: skip

    def __init__(
        self, params, lr=1e-3, momentum=0, dampening=0, weight_decay=0, nesterov=False, *,
        maximize=False, foreach=None, differentiable=False, fused=None,
    ):  # fmt: skip
        check_options("SGD", lr=lr, momentum=momentum, weight_decay=weight_decay)
        if nesterov and (momentum <= 0 or dampening != 0):
            raise ValueError(
                "SGD: Nesterov momentum requires a momentum and zero dampening, but "
                f"momentum={momentum} and dampening={dampening}"
            )
        defaults = {
            "lr": lr, "momentum": momentum, "dampening": dampening, "weight_decay": weight_decay,
            "nesterov": nesterov, "maximize": maximize, "foreach": foreach,
            "differentiable": differentiable, "fused": fused,
        }  # fmt: skip
        super().__init__(params, defaults)
        check_fused("SGD", fused, foreach, differentiable)

    @staticmethod
    def _names(group):
        return ("momentum_buffer",) if group["momentum"] != 0 else ()

    @classmethod
    def _counts(cls, group):
        return group["momentum"] != 0 and group["dampening"] != 0

    @staticmethod
    def _scalars(group, step):
        # In the first step the factor is 1, so the buffer of zeros becomes the gradient.
        gain = 1 - group["dampening"] * (step > 1)
        return group["lr"], group["weight_decay"], group["momentum"], gain

    @staticmethod
    def _update(xp, p, g, buffers, scalars, group):
        lr, weight_decay, momentum, gain = scalars
        if group["maximize"]:
            g = -g
        if group["weight_decay"] != 0:
            g = g + p * weight_decay
        if buffers:
            (buffer,) = buffers
            buffer *= momentum
            buffer += g * gain
            g = g + buffer * momentum if group["nesterov"] else buffer
        p -= g * lr

    @mode.no_grad()
    def _update_rows(self, p, g, group):
        from rushlight.sparse.rows import add_rows

        if group.get("fused"):
            raise RuntimeError("`_fused_sgd` does not support sparse gradients")
        if group["weight_decay"] != 0:
            raise RuntimeError(
                "SGD: weight_decay is not for sparse gradients, because it changes all rows: "
                "add(sparse, dense) is not supported"
            )
        g = -g if group["maximize"] else g
        momentum = group["momentum"]
        if momentum != 0:
            own = self.state[p]
            buffer = own.get("momentum_buffer")
            if buffer is None:
                buffer = own["momentum_buffer"] = g.coalesce().clone()
            elif buffer.is_sparse:
                # Coalesced, the buffer has each row once, however many steps there were.
                found = buffer * momentum + g.coalesce() * (1 - group["dampening"])
                buffer.become(found.coalesce())
            else:
                buffer.mul_(momentum).add_(g, alpha=1 - group["dampening"])
            g = g.coalesce() + buffer * momentum if group["nesterov"] else buffer
        if g.is_sparse:
            add_rows(p, g, -float(group["lr"]))
        else:
            p.add_(g, alpha=-float(group["lr"]))


sgd = functional(
    SGD,
    "params d_p_list momentum_buffer_list",
    "has_sparse_grad foreach fused grad_scale found_inf",
    "weight_decay momentum lr dampening nesterov maximize",
)
