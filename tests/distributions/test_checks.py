"""Checks of values, and log_prob where shapes differ."""

import pytest

import rushlight as torch

d = torch.distributions


def test_a_constraint_of_the_user_checks_tensors():
    class Near(d.constraints.interval):
        def check(self, value):
            return super().check(value.abs())  # only tensors have this method

    class Own(d.Normal):
        support = Near(0.0, 2.0)

    assert Own(0.0, 1.0).log_prob(torch.tensor(-1.0)).isfinite()
    with pytest.raises(ValueError, match="within the support"):
        Own(0.0, 1.0).log_prob(torch.tensor(-3.0))


def test_log_prob_of_categories_broadcasts():
    of = d.Categorical(logits=torch.arange(6.0).reshape(2, 3))
    values = [[0, 1], [2, 2], [1, 0]]
    whole = of.log_prob(torch.tensor(values))
    for row, value in zip(whole, values, strict=True):
        assert torch.equal(row, of.log_prob(torch.tensor(value)))
    with pytest.raises(ValueError, match="within the support"):
        of.log_prob(torch.tensor([0, 3]))


def test_samples_of_one_row_are_those_of_a_batch():
    found = []
    for logits in (torch.arange(3.0), torch.arange(3.0).reshape(1, 3)):
        torch.manual_seed(0)
        found.append(d.Categorical(logits=logits).sample((2, 4)).reshape(2, 4))
    assert torch.equal(*found)
