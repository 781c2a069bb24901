"""LBFGS."""

import numpy as np

import rushlight
from rushlight.autograd import mode
from rushlight.optim.line_search import Point, strong_wolfe
from rushlight.optim.optimizer import Optimizer
from rushlight.optim.options import check_options
from rushlight.remote import is_remote
from rushlight.tensor import Tensor, from_array

__all__ = ["LBFGS"]

# The entries of the state that last from one call of step to the next, in PyTorch's order.
_KEPT = "d", "t", "old_dirs", "old_stps", "ro", "H_diag", "prev_flat_grad", "prev_loss"


class LBFGS(Optimizer):
    """L-BFGS: Newton's method, with the curvature estimated from the last steps.

    Args:
        params: Tensors or ``(name, tensor)`` pairs. They form one group.
        lr: Learning rate: the factor of each step, or with a line search its first guess.
        max_iter: The largest number of iterations in one ``step``.
        max_eval: The largest number of evaluations of the closure in one ``step``. Default: 5/4 of
            ``max_iter``.
        tolerance_grad: Stop if the absolute value of no gradient element is larger than this.
        tolerance_change: Stop if the largest change of a parameter is at most this, or the change
            of the loss is smaller.
        history_size: The number of steps from which the curvature is estimated.
        line_search_fn: None, or ``"strong_wolfe"``.

    ``step`` needs a closure and calls it several times.

    Raises:
        ValueError: The learning rate is negative, or there is more than one group.

    Source: Nocedal & Wright, Numerical optimization, 2nd edition, algorithms 7.4 and 7.5.

    >>> import rushlight as torch
    >>> w = torch.tensor([3.0, -1.0], requires_grad=True)
    >>> optimizer = torch.optim.LBFGS([w], line_search_fn="strong_wolfe")
    >>> def closure():
    ...     optimizer.zero_grad()
    ...     loss = ((w - 1) ** 4).sum()
    ...     loss.backward()
    ...     return loss
    >>> for _ in range(2):
    ...     loss = optimizer.step(closure)
    >>> bool(closure() < 1e-6)
    True
    """

    def __init__(
        self, params, lr=1, max_iter=20, max_eval=None, tolerance_grad=1e-7,
        tolerance_change=1e-9, history_size=100, line_search_fn=None,
    ):  # fmt: skip
        check_options("LBFGS", lr=lr)
        defaults = {
            "lr": lr, "max_iter": max_iter,
            "max_eval": max_iter * 5 // 4 if max_eval is None else max_eval,
            "tolerance_grad": tolerance_grad, "tolerance_change": tolerance_change,
            "history_size": history_size, "line_search_fn": line_search_fn,
        }  # fmt: skip
        super().__init__(params, defaults)
        if len(self.param_groups) != 1:
            raise ValueError(
                "LBFGS doesn't support per-parameter options (parameter groups), but got "
                f"{len(self.param_groups)} groups"
            )
        self._params = self.param_groups[0]["params"]

    def step(self, closure):  # type: ignore[override]
        """Take up to ``max_iter`` iterations; return the loss before the first.

        Args:
            closure: A function that clears the gradients, computes the loss, calls ``backward``
                and returns the loss. It is called with grad mode on.
        """
        if len(self.param_groups) != 1:
            raise AssertionError(
                f"Expected exactly one param_group, got {len(self.param_groups)}: LBFGS has none "
                "for which options differ"
            )
        with mode.no_grad():
            return self._step(mode.enable_grad()(closure))

    def _step(self, closure):
        group = self.param_groups[0]
        # All state is stored with the first parameter, so that loading casts it to that dtype.
        state = self.state[self._params[0]]
        state.setdefault("func_evals", 0)
        state.setdefault("n_iter", 0)
        first_loss = closure()
        state["func_evals"] += 1
        g = self._gradient()
        if g.abs().max() <= group["tolerance_grad"]:
            return first_loss
        kept = {name: state.get(name) for name in _KEPT}
        self._iterate(closure, float(first_loss), g, state, kept)
        state.update(kept)
        return first_loss

    def _iterate(self, closure, loss, g, state, kept):
        group = self.param_groups[0]
        lr = group["lr"].reshape(()) if isinstance(group["lr"], Tensor) else group["lr"]
        evaluations, tolerance = 1, group["tolerance_change"]
        for i in range(1, group["max_iter"] + 1):
            state["n_iter"] += 1
            d = kept["d"] = self._direction(g, state, kept)
            if kept["prev_flat_grad"] is None:
                kept["prev_flat_grad"] = g.clone()
            else:
                kept["prev_flat_grad"].copy_(g)
            kept["prev_loss"] = loss
            first = state["n_iter"] == 1
            t = kept["t"] = min(1.0, 1.0 / g.abs().sum()) * lr if first else lr
            slope = g.dot(d)
            if slope > -tolerance:
                return
            count = 0
            if group["line_search_fn"] is not None:
                most = group["max_eval"] - evaluations
                loss, g, t, count = self._search(closure, Point(0, loss, g, slope), t, d, most)
                kept["t"] = t
                self._move(t, d)
            else:
                self._move(t, d)
                if i < group["max_iter"]:
                    loss, count = float(closure()), 1
                    g = self._gradient()
            evaluations += count
            state["func_evals"] += count
            if (
                i == group["max_iter"]
                or evaluations >= group["max_eval"]
                or g.abs().max() <= group["tolerance_grad"]
                or (d * t).abs().max() <= tolerance
                or abs(loss - kept["prev_loss"]) < tolerance
            ):
                return

    def _direction(self, g, state, kept):
        """Record the curvature along the last step, and return the direction of the next."""
        if state["n_iter"] == 1:
            kept.update(old_dirs=[], old_stps=[], ro=[], H_diag=1)
            return -g
        changes, steps, inverses = kept["old_dirs"], kept["old_stps"], kept["ro"]
        change, step = g - kept["prev_flat_grad"], kept["d"] * kept["t"]
        curvature = change.dot(step)
        size = self.param_groups[0]["history_size"]
        if curvature > 1e-10:
            if len(changes) == size:
                for past in (changes, steps, inverses):
                    past.pop(0)
            changes.append(change)
            steps.append(step)
            inverses.append(1.0 / curvature)
            kept["H_diag"] = curvature / change.dot(change)
        shares = state.setdefault("al", [None] * size)
        # The two loops over the remembered steps are on arrays, because their operations are small
        # and a tensor operation costs more than an array operation.
        raw = (lambda t: t) if is_remote(g) else (lambda t: t._array)
        past = [[*map(raw, known)] for known in zip(changes, steps, inverses, strict=True)]
        d = -raw(g)
        for i, (change, step, inverse) in reversed([*enumerate(past)]):
            share = step.dot(d) * inverse
            d -= share * change
            shares[i] = share
        scale = kept["H_diag"]
        d *= raw(scale) if isinstance(scale, Tensor) else scale
        for (change, step, inverse), share in zip(past, shares, strict=False):
            d += (share - change.dot(d) * inverse) * step
        for i, share in enumerate(shares):
            if share is not None and not isinstance(share, Tensor):
                shares[i] = from_array(np.asarray(share))
        return d if isinstance(d, Tensor) else from_array(d)

    def _search(self, closure, start, t, d, most):
        """Search along ``d`` from ``start``; return (loss, gradient, step, evaluations)."""
        if self.param_groups[0]["line_search_fn"] != "strong_wolfe":
            raise RuntimeError(
                "LBFGS: only 'strong_wolfe' is supported as line_search_fn, but it is "
                f"{self.param_groups[0]['line_search_fn']!r}"
            )
        origin = [p.clone() for p in self._params]

        def evaluate(t):
            self._move(t, d)
            loss, g = float(closure()), self._gradient()
            for p, value in zip(self._params, origin, strict=True):
                p.copy_(value)
            return Point(t, loss, g, g.dot(d))

        point, count = strong_wolfe(evaluate, start, t, length=d.abs().max(), most=most)
        return point.value, point.g, point.t, count

    def _gradient(self):
        """Return all gradients as one vector, in which a complex number takes two elements."""
        parts = []
        for p in self._params:
            g = rushlight.zeros_like(p) if p.grad is None else p.grad.to_dense()
            parts.append(_real(g).reshape(-1))
        return rushlight.cat(parts)

    def _move(self, t, d):
        """Add ``t * d`` to the parameters."""
        start = 0
        for p in map(_real, self._params):
            part = d[start : start + p.numel()]
            p.add_(part.view_as(p), alpha=t)
            start += p.numel()


def _real(t):
    return rushlight.view_as_real(t) if t.is_complex() else t
