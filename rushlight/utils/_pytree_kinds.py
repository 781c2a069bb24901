"""Which tuples are named ones, for torch.utils._pytree."""

from collections import namedtuple

from rushlight.utils._pytree_classes import is_structseq_class
from rushlight.utils._pytree_nodes import node_type

__all__ = ["is_namedtuple_instance", "is_structseq_instance"]


def is_structseq_instance(obj):
    """Whether ``obj`` is a result with named parts, such as that of ``x.max(0)``."""
    return is_structseq_class(type(obj))


def is_namedtuple_instance(obj):
    """Whether ``obj`` is a ``namedtuple``."""
    return node_type(obj) is namedtuple
