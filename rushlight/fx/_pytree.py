"""torch.fx._pytree: take a tree apart along a structure that is known."""

from rushlight.utils._pytree import TreeSpec

__all__ = ["register_pytree_flatten_spec", "tree_flatten_spec"]

_own: dict = {}  # class of containers -> function that takes one apart along a structure


def register_pytree_flatten_spec(cls, flatten_fn_spec, flatten_fn_exact_match_spec=None):
    """Let ``tree_flatten_spec`` take the containers of a class apart.

    Args:
        cls: The class.
        flatten_fn_spec: Function of a container and its structure that returns its parts.
        flatten_fn_exact_match_spec: Accepted without effect.

    >>> class Pair(list):
    ...     pass
    >>> register_pytree_flatten_spec(Pair, lambda pair, spec: list(pair))
    >>> _ = _own.pop(Pair)
    """
    _own[cls] = flatten_fn_spec


def tree_flatten_spec(pytree, spec):
    """Return the parts of a tree that stand where a structure has its leaves.

    Args:
        pytree: The tree.
        spec: The structure, a ``TreeSpec``.

    Returns:
        List.

    Raises:
        ValueError: the tree has another structure.

    >>> from rushlight.utils._pytree import tree_structure
    >>> tree_flatten_spec([1, (2, [3])], tree_structure([0, (0, 0)]))
    [1, 2, [3]]
    """
    if spec.type not in _own:
        if not any(_contains(child) for child in spec.children):
            return spec.flatten_up_to(pytree)
        parts = TreeSpec(spec.type, spec.context, [_LEAF] * len(spec.children))
        pairs = zip(parts.flatten_up_to(pytree), spec.children, strict=True)
    else:
        pairs = zip(_own[spec.type](pytree, spec), spec.children, strict=True)
    return [leaf for part, child in pairs for leaf in tree_flatten_spec(part, child)]


_LEAF = TreeSpec(None, None, [])


def _contains(spec):
    """Whether a container in the structure is of a class with a function of its own."""
    return spec.type in _own or any(_contains(child) for child in spec.children)
