"""Writes in place between an operation and its gradient, for every sample, and what then happens."""

import warnings

from tests.conformance import flat, tensors
from tests.samples import SAMPLES

__all__ = ["cases", "outcome"]


def cases(part=0, parts=1):
    """(key, sample, "input" or "result", index) of every tensor that a sample takes or gives.

    Of the samples, only those of one part.
    """
    import rushlight

    for name, sample in [*SAMPLES.items()][part::parts]:
        if not sample.grad:
            continue
        outs = _results(rushlight, sample, tensors(rushlight, sample))
        for what, count in (("input", len(sample.inputs)), ("result", len(outs))):
            for k in range(count):
                yield f"{name}/{what}/{k}", sample, what, k


def _results(torch, sample, given):
    torch.manual_seed(0)
    return [o for o in flat(sample.call(torch, *given)) if isinstance(o, torch.Tensor)]


def outcome(torch, sample, what, k):
    """Whether the gradients are there after a write to input or result ``k``.

    None where no result has a gradient.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        given = tensors(torch, sample, requires_grad=True)
        operands = [t.clone() for t in given]  # they are no leaves, so they may be written
        outs = _results(torch, sample, operands)
        if not any(o.requires_grad for o in outs):
            return None
        written = operands[k] if what == "input" else outs[k]
        try:
            if written.is_floating_point() or written.is_complex():
                written.mul_(2)
            else:
                written.zero_()
            outs = [o for o in outs if o.requires_grad]
            leaves = [t for t in given if t.requires_grad]
            seeds = [torch.ones_like(o) for o in outs]
            torch.autograd.grad(outs, leaves, seeds, allow_unused=True)
        except RuntimeError:
            return False
        return True
