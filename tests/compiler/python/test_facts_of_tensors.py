"""What a compiled function asked about a tensor from outside, and nothing else, is asked again."""

import random

import pytest

import rushlight as torch
from tests.search.lines import table

QUESTIONS = table("""
w.stride(0) | w.stride()[0] | w.size(0) | w.size()[0] | w.shape[0] | w.numel() | w.nelement() | len(w) | w.ndim
w.storage_offset() | int(w.is_contiguous()) | w.dim() | int(w.dtype == torch.float32) | w.element_size()
int(w.is_floating_point()) | int(w.requires_grad) | int(w.is_leaf) | w.itemsize | w.nbytes | torch.numel(w)
int(w.grad is None) | int(w.grad_fn is None) | w._version | int(w._is_view()) | len(w.type())
w.untyped_storage().nbytes() | int(torch.is_floating_point(w)) | int(w.shape == (3,))
int(w.is_contiguous(memory_format=torch.channels_last)) if w.ndim == 4 else 2
""")
CHANGES = table("""
w.data = torch.ones(6)[::2] | w.data = torch.ones(5) | w.data = torch.ones(6)[2:5]
w.data = torch.ones(3, 2) | w.requires_grad_() | w.requires_grad_(); (w * 2).sum().backward()
w.set_(torch.ones(9)[::3]) | w.resize_(7) | w.detach().add_(1) | w.unsqueeze_(0)
w.data = torch.ones(3, dtype=torch.float64)
w.data = torch.ones(1, 2, 3, 3).to(memory_format=torch.channels_last)
""")
PLACES = {
    "global": ("", "w"),
    "attribute": ("box = SimpleNamespace(w=w)", "box.w"),
    "list": ("box = [w]", "box[0]"),
}


def is_stale(question, change, place):
    """Whether a compiled call gives what it gave before the change, and eager another number."""
    before, access = PLACES[place]
    scope: dict = {"torch": torch}
    source = ["from types import SimpleNamespace", "w = torch.ones(3)", before, "def ask(w):"]
    source += [f"    return {question}", "def f(x):", f"    return x * ask({access})"]
    exec("\n".join(source), scope)
    f, x = scope["f"], torch.ones(2)
    compiled = torch.compile(f, options={"audit": False})
    assert torch.equal(compiled(x), f(x)) and torch.equal(compiled(x), f(x))
    exec(change, scope)
    return not torch.equal(compiled(x), f(x))


CASES = [(q, c, p) for q in QUESTIONS for c in CHANGES for p in PLACES]


def test_some_facts():
    assert [case for case in random.sample(CASES, 60) if is_stale(*case)] == []


@pytest.mark.slow
def test_all_facts():
    assert [case for case in CASES if is_stale(*case)] == []
