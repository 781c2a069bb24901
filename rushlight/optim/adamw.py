"""AdamW."""

from rushlight.optim.adam import Adam
from rushlight.optim.functional import functional

__all__ = ["AdamW", "adamw"]


class AdamW(Adam):
    """AdamW: Adam whose weight decay shrinks the parameters directly, not through the gradient.

    Args:
        params: Tensors, ``(name, tensor)`` pairs, or dicts that give a group its own options.
        weight_decay: Each step first multiplies the parameters by ``1 - lr * weight_decay``.
        lr, betas, eps, amsgrad, maximize, foreach, capturable, differentiable, fused: As Adam's.

    Raises:
        ValueError: An option is negative, or a beta is outside [0, 1).

    Source: Loshchilov & Hutter, Decoupled weight decay regularization, 2019, algorithm 2.

    >>> import rushlight as torch
    >>> w = torch.tensor([1.0], requires_grad=True)
    >>> optimizer = torch.optim.AdamW([w], lr=0.5, weight_decay=0.1)
    >>> (0 * w).sum().backward()
    >>> optimizer.step()
    >>> w
    tensor([0.9500], requires_grad=True)
    """

    def __init__(
        self, params, lr=1e-3, betas=(0.9, 0.999), eps=1e-8, weight_decay=1e-2, amsgrad=False, *,
        maximize=False, foreach=None, capturable=False, differentiable=False, fused=None,
    ):  # fmt: skip
        super().__init__(
            params, lr, betas, eps, weight_decay, amsgrad, foreach=foreach, maximize=maximize,
            capturable=capturable, differentiable=differentiable, fused=fused,
            decoupled_weight_decay=True,
        )  # fmt: skip

    def __setstate__(self, state):
        super().__setstate__(state)
        for group in self.param_groups:
            group["decoupled_weight_decay"] = True  # also if the state was saved by Adam


adamw = functional(
    AdamW,
    "params grads exp_avgs exp_avg_sqs max_exp_avg_sqs state_steps",
    "foreach capturable differentiable fused grad_scale found_inf has_complex",
    "amsgrad beta1 beta2 lr weight_decay eps maximize",
    decoupled_weight_decay=True,
)
