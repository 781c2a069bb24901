"""Helpers: expand a size to one size for each dim, and remove prefixes of state dict keys."""

from collections.abc import Iterable

__all__ = ["consume_prefix_in_state_dict_if_present", "factory_kwargs"]


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


def factory_kwargs(kwargs):
    """Return the arguments with which a module makes its tensors.

    Args:
        kwargs: Dict that may hold ``device``, ``dtype`` and ``memory_format``, and a dict of them
            as ``factory_kwargs``; or None.

    Returns:
        Dict of ``device``, ``dtype`` and ``memory_format``, those that are given.

    Raises:
        TypeError: Another name is given, or one is given twice.

    >>> import rushlight as torch
    >>> torch.nn.factory_kwargs({"factory_kwargs": {"dtype": torch.float64}})
    {'dtype': torch.float64}
    """
    if kwargs is None:
        return {}
    names = {"device", "dtype", "memory_format"}
    unknown = kwargs.keys() - names - {"factory_kwargs"}
    if unknown:
        raise TypeError(f"factory_kwargs: unexpected kwargs {unknown}; only {names} are known")
    found = dict(kwargs.get("factory_kwargs", {}))
    for name in sorted(names & kwargs.keys()):
        if name in found:
            raise TypeError(f"factory_kwargs: {name} specified twice; leave one of them out")
        found[name] = kwargs[name]
    return found
