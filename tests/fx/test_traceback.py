"""torch.fx.traceback: new nodes take over what is noted about the old ones, as PyTorch's."""

import importlib

import pytest

import rushlight

try:
    import torch as pytorch
except ImportError:
    pytorch = None

FRAMEWORKS = [rushlight] + ([pytorch] if pytorch else [])
both = pytest.mark.parametrize("torch", FRAMEWORKS, ids=lambda t: t.__name__)


def notes_of(torch):
    return importlib.import_module(f"{torch.__name__}.fx.traceback")


@both
def test_a_transformer_keeps_what_is_noted_about_nodes(torch):
    class Double(torch.fx.Transformer):
        def call_function(self, target, args, kwargs):
            if target is torch.relu:
                return super().call_function(torch.tanh, args, kwargs) * 2
            return super().call_function(target, args, kwargs)

    traced = torch.fx.symbolic_trace(lambda x: torch.relu(x) + torch.sin(x))
    for i, node in enumerate(traced.graph.nodes):
        node.meta["custom"], node.meta["own"] = {"place": i}, i
        node.stack_trace = f"line {i}"
    found = [
        (n.op, n.name, n.meta.get("custom"), n.stack_trace)
        for n in Double(traced).transform().graph.nodes
        if n.op == "call_function"
    ]
    assert found == [
        ("call_function", "tanh", {"place": 1}, "line 1"),
        ("call_function", "mul", {"place": 1}, "line 1"),
        ("call_function", "sin", {"place": 2}, "line 2"),
        ("call_function", "add", {"place": 3}, "line 3"),
    ]


@both
def test_notes_of_a_trace(torch):
    notes = notes_of(torch)

    def f(x):
        with notes.annotate({"a": 1}):
            x = x + 1
            with notes.annotate({"b": 2}):
                x = x * 2
        return x - 1

    def customs():
        return [n.meta.get("custom") for n in torch.fx.symbolic_trace(f).graph.nodes][1:4]

    assert customs() == [None, None, None]
    with notes.preserve_node_meta():
        assert customs() == [{"a": 1}, {"a": 1, "b": 2}, None]
        notes.set_stack_trace(["here"])
        assert notes.format_stack() == ["here"]
        assert [n.stack_trace for n in torch.fx.symbolic_trace(f).graph.nodes][1:4] == ["here"] * 3
        notes.set_stack_trace([])
        assert notes.format_stack() == [""]
    assert not notes.has_preserved_node_meta() and notes.get_current_meta() == {}
    assert "test_notes_of_a_trace" in notes.format_stack()[-1]
    assert notes.annotate_fn({"c": 3})(lambda: dict(notes.get_current_meta()))() == {
        "custom": {"c": 3}
    }


@both
def test_an_error_leaves_no_notes(torch):
    notes = notes_of(torch)
    noted = notes.annotate({"a": 1})
    with pytest.raises(ValueError, match="stop"), notes.preserve_node_meta(), noted:
        raise ValueError("stop")
    assert not notes.has_preserved_node_meta() and notes.get_current_meta() == {}
