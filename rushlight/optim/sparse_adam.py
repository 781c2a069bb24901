"""SparseAdam."""

from math import sqrt

import numpy as np

from rushlight.autograd import mode
from rushlight.device_array import placed
from rushlight.optim.optimizer import Optimizer
from rushlight.optim.options import check_betas, check_options
from rushlight.remote import device_of
from rushlight.tensor import from_array

__all__ = ["SparseAdam", "sparse_adam"]


class SparseAdam(Optimizer):
    """Adam for sparse gradients: only the rows in a gradient change, and only their moments.

    Args:
        params: Real dense tensors, ``(name, tensor)`` pairs, or dicts that give a group its own
            options.
        lr, betas, eps, maximize: As Adam's.

    Raises:
        ValueError: ``lr`` or ``eps`` is not positive, a beta is outside [0, 1), or a parameter is
            complex or sparse.
        RuntimeError: A parameter has a dense gradient when ``step`` is called.

    >>> import rushlight as torch
    >>> table = torch.nn.Embedding.from_pretrained(torch.zeros(3, 2), freeze=False, sparse=True)
    >>> optimizer = torch.optim.SparseAdam(table.parameters(), lr=0.5)
    >>> table(torch.tensor([2])).sum().backward()
    >>> optimizer.step()
    >>> table.weight.detach()
    tensor([[ 0.0000,  0.0000],
            [ 0.0000,  0.0000],
            [-0.5000, -0.5000]])
    """

    def __init__(self, params, lr=1e-3, betas=(0.9, 0.999), eps=1e-8, maximize=False):
        check_options("SparseAdam", lr=lr, eps=eps)
        for name, value in ("learning rate", lr), ("epsilon value", eps):
            if not value > 0.0:
                raise ValueError(f"SparseAdam: Invalid {name}: {value}; it must be > 0")
        check_betas("SparseAdam", betas)
        super().__init__(params, {"lr": lr, "betas": betas, "eps": eps, "maximize": maximize})
        self._refuse_params(
            lambda p: p.layout.name != "strided",
            "Sparse params at indices {}: SparseAdam requires dense parameter tensors",
        )
        self._refuse_params(
            lambda p: p.is_complex(),
            "Complex params at indices {}: SparseAdam does not support complex parameters",
        )

    def _refuse_params(self, condition, message):
        places = [
            [i, k]
            for i, group in enumerate(self.param_groups)
            for k, p in enumerate(group["params"])
            if condition(p)
        ]
        if places:
            raise ValueError(message.format(places))

    def step(self, closure=None):
        """Update the rows of the parameters that are in their sparse gradients.

        Args:
            closure: A function that is called first, with grad mode on. It clears the gradients,
                computes the loss and calls ``backward``. ``step`` returns its loss.

        Raises:
            RuntimeError: A parameter has a dense gradient.
        """
        mode.refuse_in_trace("SparseAdam updates as many rows as the gradient has")
        loss = None
        if closure is not None:
            with mode.enable_grad():
                loss = closure()
        for group in self.param_groups:
            for p in group["params"]:
                if p.grad is None:
                    continue
                if not p.grad.is_sparse:
                    raise RuntimeError(
                        "SparseAdam does not support dense gradients, please consider Adam instead"
                    )
                self._step_rows(p, p.grad, group)
        return loss

    def _step_rows(self, p, g, group):
        """Take one step with the rows in the gradient ``g`` of ``p``."""
        own = self.state[p]
        if not own:
            own["step"] = 0
            for name in ("exp_avg", "exp_avg_sq"):
                own[name] = from_array(placed(np.zeros(p.shape, p.dtype.numpy), device_of(p)))
        own["step"] += 1
        beta1, beta2 = map(float, group["betas"])
        sparse_adam(
            [p], [g], [own["exp_avg"]], [own["exp_avg_sq"]], [int(own["step"])], beta1=beta1,
            beta2=beta2, lr=float(group["lr"]), eps=group["eps"], maximize=group["maximize"],
        )  # fmt: skip


def sparse_adam(
    params, grads, exp_avgs, exp_avg_sqs, state_steps, *, eps, beta1, beta2, lr, maximize
):
    """Take one step of ``SparseAdam`` with lists of tensors, which are changed in place.

    Source: Kingma & Ba, Adam: A method for stochastic optimization, ICLR 2015, Algorithm 1, for
        the rows of the gradient alone.

    Args:
        params: The parameters.
        grads: Their sparse gradients.
        exp_avgs, exp_avg_sqs: The running averages of the gradients and of their squares.
        state_steps: The numbers of the steps, from 1 on.
        eps, beta1, beta2, lr, maximize: The options of ``SparseAdam``.
    """
    from rushlight.sparse.rows import read, root, rows_of, write

    for p, g, mean, square, count in zip(
        params, grads, exp_avgs, exp_avg_sqs, state_steps, strict=True
    ):
        at, values = rows_of(g)
        if 0 in values.shape:
            continue
        values = -values if maximize else values
        m, v = read(mean, at), read(square, at)
        m = m + (values - m) * (1 - beta1)
        v = v + (values * values - v) * (1 - beta2)
        write(mean, at, m)
        write(square, at, v)
        rate = lr * sqrt(1 - beta2**count) / (1 - beta1**count)
        write(p, at, read(p, at) - m / (root(v) + eps) * rate)
