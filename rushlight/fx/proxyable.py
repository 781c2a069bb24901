"""``ProxyableClassMeta``: classes whose construction from Proxies is one node of a graph."""

from rushlight.fx.node import map_aggregate
from rushlight.fx.proxy import Proxy

__all__ = ["ProxyableClassMeta"]


class ProxyableClassMeta(type):
    """The metaclass of classes whose objects a traced program may make of its arguments.

    A call of the class on Proxies is one node of the graph: ``__init__`` runs when the graph does.

    >>> import rushlight as torch
    >>> class Pair(metaclass=torch.fx.ProxyableClassMeta):
    ...     def __init__(self, left, right):
    ...         self.total = left + right
    >>> traced = torch.fx.symbolic_trace(lambda x: Pair(x, x))
    >>> traced(torch.ones(1)).total
    tensor([2.])
    """

    def __call__(cls, *args, **kwargs):
        found: list = []

        def note(x):
            if isinstance(x, Proxy):
                found.append(x)
            return x

        map_aggregate((args, kwargs), note)
        if found:
            return found[0].tracer.create_proxy("call_function", cls, args, kwargs)
        return super().__call__(*args, **kwargs)
