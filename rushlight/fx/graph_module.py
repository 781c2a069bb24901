"""GraphModule: a Module whose forward is generated from a graph."""

import copy
import itertools
import linecache
import sys
import traceback
from pathlib import Path
from typing import Any

import rushlight
from rushlight.fx.graph import Graph
from rushlight.fx.node import map_aggregate, map_arg
from rushlight.fx.targets import locate, own_name
from rushlight.nn import Module

__all__ = ["GraphModule"]

_numbers = itertools.count()


def _compiled(code):
    """The function ``forward`` of a PythonCode."""
    file = f"<eval_with_key>.{next(_numbers)}"
    linecache.cache[file] = len(code.src), None, code.src.splitlines(keepends=True), file
    space = dict(code.globals)
    exec(compile(code.src, file, "exec"), space)  # the source is generated from the graph
    return space["forward"]


def _copy_attr(source, target, path):
    """Give ``target`` what ``source`` has at ``path``, in submodules made as they are needed."""
    *parts, last = path.split(".")
    for part in parts:
        source = getattr(source, part)
        if source is None:
            return
        if not hasattr(target, part):
            setattr(target, part, Module())
        target = getattr(target, part)
    found = getattr(source, last)
    if isinstance(found, rushlight.Tensor) and not isinstance(found, rushlight.nn.Parameter):
        target.register_buffer(last, found)
    else:
        setattr(target, last, found)


def _assign(target, path, value):
    *parts, last = path.split(".")
    for part in parts:
        if not hasattr(target, part):
            setattr(target, part, Module())
        target = getattr(target, part)
    if isinstance(value, rushlight.Tensor) and not isinstance(value, rushlight.nn.Parameter):
        target.register_buffer(last, value)
    else:
        setattr(target, last, value)


class GraphModule(Module):
    """A Module that runs a graph. Each has a class of its own, with the generated forward.

    Attributes:
        graph: The graph. After editing it, call ``recompile()``; assigning it recompiles.
        code: The source of forward.

    Args:
        root: A Module that has what the graph's targets name, or a dict from targets to values.
        graph: The graph.
        class_name: The name that the module is printed with. Default: "GraphModule".

    Raises:
        RuntimeError: ``root`` lacks a target of the graph.

    >>> import rushlight as torch
    >>> traced = torch.fx.symbolic_trace(torch.nn.Sequential(torch.nn.ReLU()))
    >>> for node in traced.graph.nodes:
    ...     if node.op == "call_module":
    ...         with traced.graph.inserting_after(node):
    ...             made = traced.graph.call_function(torch.neg, (node,))
    ...         found = node.replace_all_uses_with(made, lambda user: user is not made)
    >>> code = traced.recompile()
    >>> traced(torch.tensor([-1.0, 2.0]))
    tensor([-0., -2.])
    """

    _graph: Graph

    def __new__(cls, *args, **kwargs):
        own = next(c for c in cls.__mro__ if "_of_instance" not in vars(c))
        made = type(own.__name__, (own,), {"_of_instance": True, "__module__": own.__module__})
        # Libraries know the class, whatever its name, by PyTorch's qualified name.
        made.__qualname__ = "GraphModule.__new__.<locals>.GraphModuleImpl"
        return super().__new__(made)

    def __init__(self, root, graph, class_name="GraphModule"):
        super().__init__()
        self.__class__.__name__ = class_name
        # In the graph's order, so that parameters() gives the same order in each process.
        wanted = dict.fromkeys(n.target for n in graph.nodes if n.op in ("get_attr", "call_module"))
        if isinstance(root, Module):
            if hasattr(root, "training"):
                self.training = root.training
            for path in wanted:
                _copy_attr(root, self, path)
        else:
            for path in sorted(wanted, key=lambda path: path.count(".")):
                if path not in root:
                    raise RuntimeError(
                        f"Node {path} referenced target {path} but that target was not provided "
                        "in ``root``!"
                    )
                _assign(self, path, root[path])
        self._tracer_cls = graph._tracer_cls
        self.meta: dict = {}
        self.graph = graph

    @property
    def graph(self):
        """The graph that the module runs."""
        return self._graph

    @graph.setter
    def graph(self, graph):
        if not isinstance(graph, Graph):
            raise AssertionError(
                f"Expected a Graph instance, but got {type(graph).__name__}: a graph of "
                "torch.export can't be run by a GraphModule"
            )
        self.__dict__["_graph"] = graph
        if graph.owning_module not in (None, self):
            graph = copy.deepcopy(graph)
            self.__dict__["_graph"] = graph
        graph.owning_module = self
        self.recompile()

    @property
    def code(self):
        """The source of forward."""
        if "_code" not in self.__dict__:
            raise RuntimeError(
                "Code has not been generated! Please report a bug to the PyTorch team"
            )
        return self._code

    def recompile(self):
        """Generate forward from the graph again, after the graph was edited.

        Returns:
            The PythonCode.
        """
        code = self._graph.python_code("self")
        self.__dict__["_code"] = code.src
        cls: Any = type(self)
        cls.forward = _compiled(code)
        return code

    def __call__(self, *args, **kwargs):
        try:
            return super().__call__(*args, **kwargs)
        except Exception as error:
            _tell_line(error)
            raise

    # Submodules ---------------------------------------------------------------------------

    def add_submodule(self, target, m):
        """Add a module, with empty modules on the way to it.

        Args:
            target: The path.
            m: The module.

        Returns:
            Whether it was added: False if something else is on the way.
        """
        *parts, last = target.split(".")
        found: Module = self
        for part in parts:
            if not hasattr(found, part):
                found.add_module(part, Module())
            found = getattr(found, part)
            if not isinstance(found, Module):
                return False
        found.add_module(last, m)
        return True

    def delete_submodule(self, target):
        """Remove a module.

        Args:
            target: The path.

        Returns:
            Whether there was one.
        """
        *parts, last = target.split(".")
        found: Any = self
        for part in parts:
            if not hasattr(found, part):
                return False
            found = getattr(found, part)
        if not isinstance(getattr(found, last, None), Module):
            return False
        delattr(found, last)
        return True

    def delete_all_unused_submodules(self):
        """Remove the modules that the graph does not use."""
        used: set = set()
        for node in self._graph.nodes:
            if node.op in ("call_module", "get_attr"):
                parts = node.target.split(".")
                used.update([".".join(parts[:i]) for i in range(1, len(parts) + 1)])
                if node.op == "call_module":
                    inner = self.get_submodule(node.target).named_modules()
                    used.update([f"{node.target}.{name}" for name, _ in inner if name])
        for name in [name for name, _ in self.named_modules() if name and name not in used]:
            self.delete_submodule(name)

    # Copies and files ---------------------------------------------------------------------

    def __deepcopy__(self, memo):
        made = GraphModule.__new__(type(self))
        memo[id(self)] = made
        state = {k: v for k, v in self.__dict__.items() if k not in ("_graph", "_code")}
        Module.__init__(made)
        made.__dict__.update(copy.deepcopy(state, memo))
        made.__class__.__name__ = made.__class__.__qualname__ = type(self).__name__
        made.graph = copy.deepcopy(self._graph, memo)
        return made

    def __copy__(self):
        made = GraphModule(self, self._graph, type(self).__name__)
        made.meta = self.meta
        return made

    def _replicate_for_data_parallel(self):
        made = self.__copy__()
        made._is_replica = True
        return made

    def __reduce__(self):
        state = {k: v for k, v in self.__dict__.items() if k not in ("_graph", "_code")}
        return _restored, (state, type(self).__name__, _packed(self._graph))

    def to_folder(self, folder, module_name="FxModule"):
        """Write the module's source, and a file with its state, into a folder.

        Args:
            folder: The folder; it is made if need be.
            module_name: The name of the class in the source.

        Raises:
            NotImplementedError: The source names objects other than ``torch`` and built-in ones.
        """
        place = Path(folder)
        place.mkdir(exist_ok=True)
        code = self._graph.python_code("self")
        known = {"inf", "nan", "torch", "device"}
        others = {*code.globals} - known
        if others:
            raise NotImplementedError(f"to_folder: the code names {sorted(others)}: pickle instead")
        rushlight.save(self, place / "module.pt")
        body = "\n".join(["    " + line for line in code.src.strip().split("\n")])
        text = (
            "from pathlib import Path\n\nimport rushlight as torch\nfrom math import inf, nan\n"
            "from rushlight import device\n\n\n"
            f"class {module_name}(torch.nn.Module):\n    def __init__(self):\n"
            "        super().__init__()\n"
            "        found = torch.load(Path(__file__).parent / 'module.pt', weights_only=False)\n"
            "        for kind in ('_modules', '_parameters', '_buffers'):\n"
            "            getattr(self, kind).update(getattr(found, kind))\n\n"
            f"{body}\n"
        )
        (place / "module.py").write_text(text, encoding="utf-8")
        (place / "__init__.py").write_text(f"from .module import {module_name}\n", encoding="utf-8")

    # Text ---------------------------------------------------------------------------------

    def print_readable(self, print_output=True, **options):
        """Print the module as a class, with the shapes that passes noted.

        Args:
            print_output: Print the text.
            **options: Accepted without effect.

        Returns:
            The text.
        """
        code = self._graph.python_code("self", verbose=True).src
        lines = [f"    {line}".rstrip() for line in code.strip("\n").split("\n")]
        text = f"class {type(self).__name__}(torch.nn.Module):\n" + "\n".join(lines) + "\n"
        if print_output:
            print(text)
        return text

    def __str__(self):
        note = "# To see more debug info, please use `graph_module.print_readable()`"
        return f"{super().__repr__()}\n{self._code}\n{note}"


def _packed(graph):
    """The nodes of a graph in a form that pickle writes: functions of torch by their names."""
    places = {node: i for i, node in enumerate(graph.nodes)}
    rows = []
    for node in graph.nodes:
        name = own_name(node.target) if node.op == "call_function" else None
        target = node.target if name is None else _Named(name)
        operands = map_arg((node.args, node.kwargs), lambda n: _Place(places[n]))
        rows.append((node.op, node.name, target, *operands, node.type))
    return rows


class _Named:
    """A function of torch, by its name."""

    def __init__(self, name):
        self.name = name


class _Place:
    """A node, by its place in the graph."""

    def __init__(self, place):
        self.place = place


def _restored(state, name, rows):
    """The GraphModule that was pickled."""
    graph = Graph()
    nodes: list = []
    for op, given, target, args, kwargs, kind in rows:
        args, kwargs = map_aggregate(
            (args, kwargs), lambda x: nodes[x.place] if isinstance(x, _Place) else x
        )
        if isinstance(target, _Named):
            target = locate(target.name)
        nodes.append(graph.create_node(op, target, args, kwargs, given, kind))
    made = GraphModule.__new__(GraphModule)
    Module.__init__(made)
    made.__dict__.update(state)
    made.__class__.__name__ = made.__class__.__qualname__ = name
    made.graph = graph
    return made


def _tell_line(error):
    """Print where in generated code an error arose, as PyTorch does."""
    frames = traceback.extract_tb(error.__traceback__)
    own = [f for f in frames if f.filename.startswith("<eval_with_key>")]
    if not own or getattr(error, "_told_by_fx", False):
        return
    lines = linecache.getlines(own[-1].filename)
    number = own[-1].lineno or 0
    if number and lines:
        before = "".join(lines[max(0, number - 4) : number])
        with_note = f"Call using an FX-traced Module, line {number} of the traced Module's "
        with_note += f"generated forward function:\n{before}"
        error.__dict__["_told_by_fx"] = True
        print(with_note, file=sys.stderr)
