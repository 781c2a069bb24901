"""The arguments of a call are checked once for their types, unless their values decide."""

import rushlight as torch
from rushlight.ops.core import guard


def _refuse(*args):
    raise AssertionError("the arguments were checked again")


def test_tensors_that_a_form_takes_as_tensors_decide_by_type(monkeypatch):
    x, index, src = torch.zeros(3), torch.tensor([0, 2]), torch.tensor([1.0, 2.0])
    calls = [
        lambda: x.scatter(0, index, src).tolist(),
        lambda: torch.isin(x, src).tolist(),
        lambda: torch.where(x > 0, x, src[:1]).tolist(),
    ]
    wanted = [call() for call in calls]
    monkeypatch.setattr(guard, "_check", _refuse)
    assert [call() for call in calls] == wanted


def test_tensors_for_numbers_decide_by_value():
    x = torch.arange(4.0)
    for k in (1, 2):
        assert torch.topk(x, torch.tensor(k)).values.tolist() == [3.0, 2.0][:k]
        assert x.scatter(0, torch.tensor([1]), torch.tensor([float(k)])).tolist()[1] == k
