"""Adam."""

from rushlight.optim.elementwise import Elementwise
from rushlight.optim.functional import functional
from rushlight.optim.options import check_betas, check_fused, check_options
from rushlight.tensor import Tensor

__all__ = ["Adam", "adam"]


class Adam(Elementwise):
    """Adam: steps along a running average of the gradient, scaled by that of its square.

    Args:
        params: Tensors, ``(name, tensor)`` pairs, or dicts that give a group its own options.
        lr: Learning rate.
        betas: Decay of the average gradient, and of the average squared gradient.
        eps: Added to the root of the average square.
        weight_decay: This factor times the parameter is added to the gradient.
        amsgrad: Divide by the root of the largest average square so far.
        maximize: Maximize the objective instead of minimizing it.
        differentiable: Let gradients flow through the step itself.
        decoupled_weight_decay: Shrink the parameter instead of changing the gradient, as AdamW
            does.
        foreach, fused: Accepted without effect; all parameters are always stepped together.
        capturable: Whether a step can be captured as a graph, which the CPU refuses unless
            ``fused``. Default: False.

    Raises:
        ValueError: An option is negative, or a beta is outside [0, 1).

    Source: Kingma & Ba, Adam: a method for stochastic optimization, 2015, algorithm 1 in the
        order that the end of its section 2 gives; Reddi et al., On the convergence of Adam and
        beyond, 2018.

    >>> import rushlight as torch
    >>> w = torch.tensor([1.0], requires_grad=True)
    >>> optimizer = torch.optim.Adam([w], lr=0.5)
    >>> (3 * w).sum().backward()
    >>> optimizer.step()
    >>> w
    tensor([0.5000], requires_grad=True)
    """

    _instead = ", please consider SparseAdam instead"
    _lerped = "exp_avg"
    _older = {
        "amsgrad": False, "maximize": False, "foreach": None, "capturable": False,
        "differentiable": False, "decoupled_weight_decay": False, "fused": None,
    }  # fmt: skip

    def __init__(
        self, params, lr=1e-3, betas=(0.9, 0.999), eps=1e-8, weight_decay=0, amsgrad=False, *,
        foreach=None, maximize=False, capturable=False, differentiable=False, fused=None,
        decoupled_weight_decay=False,
    ):  # fmt: skip
        owner = type(self).__name__
        check_options(owner, lr=lr, eps=eps, weight_decay=weight_decay)
        _check_betas(owner, betas)
        if foreach and not capturable:
            for name, value in ("lr", lr), ("betas[0]", betas[0]), ("betas[1]", betas[1]):
                if isinstance(value, Tensor):
                    raise ValueError(
                        f"{owner}: {name} as a Tensor is not supported for capturable=False and "
                        "foreach=True"
                    )
        defaults = {
            "lr": lr, "betas": tuple(map(_without_dims, betas)), "eps": eps,
            "weight_decay": weight_decay, "amsgrad": amsgrad, "maximize": maximize,
            "foreach": foreach, "capturable": capturable, "differentiable": differentiable,
            "fused": fused,
            "decoupled_weight_decay": decoupled_weight_decay,
        }  # fmt: skip
        super().__init__(params, defaults)
        check_fused(owner, fused, foreach, differentiable)

    @staticmethod
    def _names(group):
        if group["amsgrad"]:
            return "exp_avg", "exp_avg_sq", "max_exp_avg_sq"
        return "exp_avg", "exp_avg_sq"

    @staticmethod
    def _scalars(group, step):
        lr, weight_decay = group["lr"], group["weight_decay"]
        beta1, beta2 = group["betas"]
        # Both averages start at 0, so they are too small at first. The correction is applied to the
        # learning rate and to epsilon, because these are two numbers and the averages are arrays.
        correction = (1 - beta2**step) ** 0.5
        rate = lr / (1 - beta1**step) * correction
        decay = 1 - lr * weight_decay if group["decoupled_weight_decay"] else weight_decay
        return rate, 1 - beta1, beta2, 1 - beta2, group["eps"] * correction, decay

    @staticmethod
    def _update(xp, p, g, buffers, scalars, group):
        mean, square = buffers[:2]
        rate, gain1, beta2, gain2, eps, decay = scalars
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
        if group["amsgrad"]:
            largest = buffers[2]
            largest[...] = xp.maximum(largest, square)
            square = largest
        p -= mean / (xp.sqrt(square) + eps) * rate


def _check_betas(owner, betas):
    check_betas(owner, betas)
    if not any(all(isinstance(beta, kind) for beta in betas[:2]) for kind in (float, Tensor)):
        raise ValueError(
            f"{owner}: betas must be either both floats or both Tensors, but got {tuple(betas)!r}"
        )
    for i, beta in enumerate(betas):
        if isinstance(beta, Tensor) and beta.numel() != 1:
            raise ValueError(
                f"{owner}: Tensor betas[{i}] must be 1-element, but it has the shape "
                f"{tuple(beta.shape)}"
            )


def _without_dims(x):
    return x.reshape(()) if isinstance(x, Tensor) and x.ndim else x


adam = functional(
    Adam,
    "params grads exp_avgs exp_avg_sqs max_exp_avg_sqs state_steps",
    "foreach capturable differentiable fused grad_scale found_inf has_complex "
    "decoupled_weight_decay",
    "amsgrad beta1 beta2 lr weight_decay eps maximize",
)
