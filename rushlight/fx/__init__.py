"""torch.fx: programs as graphs that Python edits.

A ``Tracer`` runs a module on ``Proxy`` objects (``proxy.py``, ``_symbolic_trace.py``) and gives a
``Graph`` of ``Node`` objects (``graph.py``, ``node.py``). ``wrapping.py`` keeps a trace out of
functions. ``codegen.py`` writes a graph as Python, and a ``GraphModule`` runs it.
``interpreter.py`` runs it node by node.
"""

from rushlight.fx._symbolic_trace import PH, Tracer, symbolic_trace
from rushlight.fx.codegen import CodeGen
from rushlight.fx.graph import Graph
from rushlight.fx.graph_module import GraphModule
from rushlight.fx.interpreter import Interpreter, Transformer
from rushlight.fx.node import Node, has_side_effect, map_arg
from rushlight.fx.proxy import Proxy
from rushlight.fx.proxyable import ProxyableClassMeta
from rushlight.fx.subgraph_rewriter import replace_pattern
from rushlight.fx.wrapping import wrap

__all__ = [
    "PH", "CodeGen", "Graph", "GraphModule", "Interpreter", "Node", "Proxy",
    "ProxyableClassMeta", "Tracer", "Transformer", "has_side_effect", "map_arg",
    "replace_pattern", "symbolic_trace", "wrap",
]  # fmt: skip
