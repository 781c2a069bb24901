"""Helpers: expand a size to one size for each dim, and remove prefixes of state dict keys."""

from collections.abc import Iterable

__all__ = ["consume_prefix_in_state_dict_if_present"]


def _ntuple(n, name="parse"):
    """Make a function that repeats a number ``n`` times, and turns an iterable into a tuple."""

    def parse(x):
        return tuple(x) if isinstance(x, Iterable) else (x,) * n

    parse.__name__ = name
    return parse


_single = _ntuple(1, "_single")
_pair = _ntuple(2, "_pair")
_triple = _ntuple(3, "_triple")
_quadruple = _ntuple(4, "_quadruple")


def _reverse_repeat_tuple(t, n):
    """The items of ``t`` in reverse order, each repeated ``n`` times."""
    return tuple([x for x in reversed(t) for _ in range(n)])


def _list_with_default(out_size, defaults):
    """Replace each None in ``out_size`` by the size of the same dim, counted from the last."""
    if isinstance(out_size, int):
        return out_size
    if len(defaults) <= len(out_size):
        raise ValueError(
            f"input dimension should be at least {len(out_size) + 1}, got {len(defaults)}"
        )
    pairs = zip(out_size, defaults[-len(out_size) :], strict=True)
    return [default if size is None else size for size, default in pairs]


def consume_prefix_in_state_dict_if_present(state_dict, prefix):
    """Remove a prefix from the keys of a state dict that begin with it, in place.

    This is for the state dict of a wrapped model. For instance, ``DataParallel`` puts ``"module."``
    in front of every key.

    Args:
        state_dict: Dict of names and tensors, which is changed in place.
        prefix: The text to remove, such as ``"module."``.

    >>> from collections import OrderedDict
    >>> import rushlight as torch
    >>> state = OrderedDict({"module.weight": 1, "bias": 2})
    >>> torch.nn.modules.utils.consume_prefix_in_state_dict_if_present(state, "module.")
    >>> dict(state)
    {'bias': 2, 'weight': 1}
    """
    for key in [k for k in state_dict if k.startswith(prefix)]:
        state_dict[key[len(prefix) :]] = state_dict.pop(key)
    metadata = getattr(state_dict, "_metadata", {})
    for key in [k for k in metadata if k and f"{k}.".startswith(prefix)]:
        metadata[key[len(prefix) :]] = metadata.pop(key)
