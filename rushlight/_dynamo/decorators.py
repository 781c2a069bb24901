"""torch._dynamo.decorators: the functions that tell the compiler about a function or a tensor."""

from rushlight._dynamo import (  # noqa: F401
    allow_in_graph,
    assume_constant_result,
    disable,
    disallow_in_graph,
    mark_dynamic,
    mark_static,
    mark_static_address,
    maybe_mark_dynamic,
    set_stance,
    substitute_in_graph,
)

__all__: list[str] = []


class _DimRange:
    """Stands for a note of PyTorch's compiler on a nested tensor, which pickles name."""

    __slots__ = ()

    def __setstate__(self, state):
        pass
