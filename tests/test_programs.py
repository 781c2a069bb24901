"""Lines that programs written for PyTorch contain, printed by both packages: the text is the same."""

import re
import warnings

import pytest

import rushlight

# Each is an expression of `torch`; what it prints is compared, and what it raises.
LINES = [
    "[torch.finfo(d) for d in (torch.float16, torch.bfloat16, torch.float32, torch.float64, torch.complex64)]",
    "[torch.finfo(d).resolution for d in (torch.float16, torch.bfloat16, torch.float32, torch.float64)]",
    "[getattr(torch.ones(1, 2, requires_grad=True), n).grad_fn for n in ('T', 'mT', 'H', 'mH')]",
    "torch.autograd.Variable(torch.ones(1, requires_grad=True) * 2)",
    "torch.autograd.Variable(torch.nn.Parameter(torch.ones(1)), requires_grad=True)",
    "torch.autograd.Variable()",
    "[torch.randn_like(torch.zeros(20, 6)[:, :3])[:2], torch.randn_like(torch.zeros(6).expand(5, 6))]",
    "[torch.randn_like(torch.zeros(5, 6).t())[:2], torch.zeros(20, 6)[:, :3].normal_()[:2]]",
    "torch.sub(torch.ones(2), 1, alpha=2), torch.ones(2).add_(3, alpha=0.5)",
    "torch.arange(2).add(1, alpha=2), torch.tensor([True, False]).add(True, alpha=2)",
    "torch.arange(2).add(1, alpha=1.5)",
    "isinstance(torch.ones(1), torch.autograd.Variable)",
    "torch.autograd.Variable([1.0])",
    "torch.autograd.Variable(torch.arange(2), requires_grad=True)",
]


def printed(torch, line):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.manual_seed(0)
        try:
            found = str(eval(line, {"torch": torch}))
        except Exception as error:
            found = next(c.__name__ for c in type(error).__mro__ if c.__module__ == "builtins")
    return re.sub(r" at 0x[0-9a-f]+", "", found)


@pytest.mark.parity
@pytest.mark.parametrize("line", LINES)
def test_prints_the_same(line):
    assert printed(rushlight, line) == printed(pytest.importorskip("torch"), line)


def test_a_variable_shares_the_memory_and_has_no_history():
    x = rushlight.ones(2, requires_grad=True) * 2
    v = rushlight.autograd.Variable(x, requires_grad=True)
    v.data.zero_()
    assert x.tolist() == [0, 0] and v.is_leaf and v.requires_grad and type(v) is rushlight.Tensor
    with pytest.warns(UserWarning, match="volatile"):
        rushlight.autograd.Variable(x, volatile=True)
