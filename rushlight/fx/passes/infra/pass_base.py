"""The base of passes over graphs, and what a pass returns."""

from typing import NamedTuple

from rushlight.fx.graph_module import GraphModule

__all__ = ["PassBase", "PassResult"]


class PassResult(NamedTuple):
    """A graph after a pass, and whether the pass changed it.

    >>> PassResult(None, True).modified
    True
    """

    graph_module: GraphModule
    modified: bool


class PassBase:
    """A pass over a graph: a subclass defines ``call(graph_module)``, which returns a PassResult.

    ``requires`` and ``ensures``, which do nothing here, are called before and after it.

    >>> class Same(PassBase):
    ...     def call(self, graph_module):
    ...         return PassResult(graph_module, False)
    >>> Same()(None)
    PassResult(graph_module=None, modified=False)
    """

    def __call__(self, graph_module):
        self.requires(graph_module)
        found = self.call(graph_module)
        self.ensures(graph_module)
        return found

    def call(self, graph_module):
        """Change the graph; the subclass defines it."""
        raise NotImplementedError("PassBase: the subclass defines call(graph_module)")

    def requires(self, graph_module):
        """Check the graph before the pass."""

    def ensures(self, graph_module):
        """Check the graph after the pass."""
