"""An optimizer that steps other parameters for a while."""

import contextlib
from collections import defaultdict

__all__ = ["swap_in_optimizer_params_and_state"]


@contextlib.contextmanager
def swap_in_optimizer_params_and_state(optimizer, swapin_parameters, swapin_optim_state):
    """Let an optimizer have other parameters, state and options inside a ``with`` block.

    Writes into the given tensors remain. What the block adds to the state or assigns to the groups
    is dropped at its end.

    Args:
        optimizer: An optimizer that has made a step.
        swapin_parameters: Dict of tensors, in the order of the optimizer's parameters.
        swapin_optim_state: Dict as ``optimizer.state_dict()`` returns it.

    Returns:
        A context manager.

    Raises:
        RuntimeError: The optimizer has no state yet, or the numbers of parameters differ.

    >>> import rushlight as torch
    >>> p, q = torch.ones(1, requires_grad=True), torch.zeros(1, requires_grad=True)
    >>> optimizer = torch.optim.SGD([p], lr=1.0, momentum=0.5)
    >>> p.grad = q.grad = torch.ones(1)
    >>> optimizer.step()
    >>> swap = torch.optim.swap_in_optimizer_params_and_state
    >>> with swap(optimizer, {"q": q}, optimizer.state_dict()):
    ...     optimizer.step()
    >>> p, q
    (tensor([0.], requires_grad=True), tensor([-1.5000], requires_grad=True))
    """
    groups, state = optimizer.param_groups, optimizer.state
    news = _fitting(optimizer, list(swapin_parameters.values()), swapin_optim_state)
    before = [dict(group) for group in groups]
    own = vars(optimizer).get("_counters")
    swapped: defaultdict = defaultdict(dict)
    try:
        for group, (params, saved) in zip(groups, news, strict=True):
            group.update(saved, params=params)
            for p, number in zip(params, saved["params"], strict=True):
                swapped[p] = dict(swapin_optim_state["state"].get(number, {}))
        optimizer.state = swapped
        if own is not None:  # of parameters without a count of their own
            optimizer._counters = {}
        yield
    finally:
        for group, old in zip(groups, before, strict=True):
            group.clear()
            group.update(old)
        optimizer.state = state
        if own is not None:
            optimizer._counters = own


def _fitting(optimizer, params, saved):
    """A pair of parameters and saved options for each group; raise if they do not fit."""
    if not optimizer.state:
        raise RuntimeError("The optimizer has no state yet: call its step() first")
    sizes = [len(group["params"]) for group in optimizer.param_groups]
    kept = [len(group["params"]) for group in saved["param_groups"]]
    if sum(sizes) != len(params) or sizes != kept:
        raise RuntimeError(
            f"The optimizer has groups of {sizes} parameters, but got {len(params)} parameters and "
            f"the options of groups of {kept}"
        )
    parts, start = [], 0
    for size, group in zip(sizes, saved["param_groups"], strict=True):
        parts.append((params[start : start + size], group))
        start += size
    return parts
