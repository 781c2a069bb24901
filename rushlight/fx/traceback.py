"""torch.fx.traceback: what a pass notes about nodes goes on to the nodes that are made of them.

A ``Transformer`` runs each node of the old graph under ``set_current_meta``, and a ``Tracer``
copies the fields of ``KEPT`` to the nodes that it makes meanwhile.
"""

import contextlib
import copy
import functools
import threading
import traceback

__all__ = [
    "annotate", "annotate_fn", "format_stack", "get_current_meta", "has_preserved_node_meta",
    "preserve_node_meta", "set_current_meta", "set_stack_trace",
]  # fmt: skip

#: The fields of ``Node.meta`` that new nodes take over, beside the stack trace.
KEPT = (
    "nn_module_stack", "torch_fn", "source_fn_stack", "original_aten", "recompute", "ac_graph_id",
    "has_backward_hook", "quantization_tag", "custom", "partitioner_tag",
)  # fmt: skip


class _State(threading.local):
    preserves = False
    meta: dict = {}


_state = _State()


@contextlib.contextmanager
def preserve_node_meta(enable=True):
    """A context in which new nodes take over what is noted about the present one.

    Args:
        enable: False for a context in which they do not.

    >>> with preserve_node_meta():
    ...     has_preserved_node_meta()
    True
    """
    before = _state.preserves, _state.meta
    _state.preserves, _state.meta = enable, dict(_state.meta)
    try:
        yield
    finally:
        _state.preserves, _state.meta = before


def has_preserved_node_meta():
    """Return whether a ``preserve_node_meta()`` is entered in this thread.

    >>> has_preserved_node_meta()
    False
    """
    return _state.preserves


def get_current_meta():
    """Return the dict of what new nodes take over.

    >>> get_current_meta()
    {}
    """
    return _state.meta


@contextlib.contextmanager
def set_current_meta(node, pass_name=""):
    """A context in which new nodes take over what is noted about ``node``.

    Args:
        node: The Node. Without ``preserve_node_meta()``, or if nothing is noted, nothing changes.
        pass_name: Accepted without effect: nodes do not tell from which node they come.

    >>> import rushlight as torch
    >>> node = torch.fx.Graph().placeholder("x")
    >>> node.meta["custom"] = {"stage": 1}
    >>> with preserve_node_meta(), set_current_meta(node):
    ...     get_current_meta()
    {'custom': {'stage': 1}}
    """
    before = _state.meta
    if _state.preserves and node.meta:
        _state.meta = dict(node.meta)
    try:
        yield
    finally:
        _state.meta = before


@contextlib.contextmanager
def annotate(annotation_dict):
    """A context in which new nodes take over notes, under ``meta["custom"]``.

    Args:
        annotation_dict: Dict of the notes. They are added to those of outer contexts.

    >>> with annotate({"stage": 1}), annotate({"tag": "a"}):
    ...     get_current_meta()
    {'custom': {'stage': 1, 'tag': 'a'}}
    """
    before = _state.meta
    _state.meta = {**before, "custom": {**before.get("custom", {}), **annotation_dict}}
    try:
        yield
    finally:
        _state.meta = before


def annotate_fn(annotation_dict):
    """Return a decorator whose function runs under ``annotate``.

    Args:
        annotation_dict: Dict of the notes.

    >>> annotate_fn({"stage": 1})(get_current_meta)()
    {'custom': {'stage': 1}}
    """

    def decorate(function):
        @functools.wraps(function)
        def run(*args, **kwargs):
            with annotate(annotation_dict):
                return function(*args, **kwargs)

        return run

    return decorate


def set_stack_trace(stack):
    """Note the lines of the program for new nodes, in ``preserve_node_meta()``.

    Args:
        stack: List of texts; an empty one removes the note.

    >>> with preserve_node_meta():
    ...     set_stack_trace(["line 1"])
    ...     format_stack()
    ['line 1']
    """
    if _state.preserves and stack:
        _state.meta["stack_trace"] = "".join(stack)
    elif _state.preserves:
        _state.meta.pop("stack_trace", None)


def format_stack():
    """Return the lines of the program for new nodes: those noted, or else the present ones.

    Returns:
        A list of texts.

    >>> isinstance(format_stack()[-1], str)
    True
    """
    if _state.preserves:
        return [_state.meta.get("stack_trace", "")]
    return traceback.format_list(traceback.extract_stack()[:-1])


def take_over(node):
    """Copy what is noted to a new node's ``meta``."""
    if not _state.preserves:
        return
    if text := _state.meta.get("stack_trace"):
        node.stack_trace = text
    for field in KEPT:
        if field in _state.meta:
            node.meta[field] = copy.copy(_state.meta[field])
