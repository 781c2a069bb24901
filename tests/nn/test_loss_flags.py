"""The two deprecated flags of losses, which stand before ``reduction``."""

import itertools

import pytest

import rushlight as torch


def of_flags(size_average, reduce):
    """PyTorch's rule, as its documentation words it: ``reduce=False`` ignores the other flag."""
    if reduce is not None and not reduce:
        return "none"
    return "mean" if size_average is None or size_average else "sum"


@pytest.mark.parametrize("flags", [*itertools.product([None, False, True, 0, 1], repeat=2)])
def test_any_truth_value_is_a_flag(flags):
    given = dict(zip(("size_average", "reduce"), flags, strict=True))
    if flags == (None, None):
        assert torch.nn.L1Loss(**given).reduction == "mean"
        return
    x, y = torch.tensor([1.0, 4.0]), torch.tensor([0.0, 0.0])
    with pytest.warns(UserWarning, match="size_average and reduce"):
        loss = torch.nn.L1Loss(**given)
    assert loss.reduction == of_flags(*flags)
    with pytest.warns(UserWarning, match="size_average and reduce"):
        assert torch.equal(torch.nn.functional.l1_loss(x, y, **given), loss(x, y))


@pytest.mark.parametrize("name", ["CrossEntropyLoss", "MSELoss", "BCEWithLogitsLoss", "NLLLoss"])
def test_a_loss_made_of_its_operands_is_refused(name):
    """``CrossEntropyLoss(scores, labels)`` makes a loss and computes none."""
    with pytest.raises(RuntimeError, match=r"Boolean value of Tensor.* loss\(input, target\)"):
        getattr(torch.nn, name)(torch.randn(4), torch.randn(4))
