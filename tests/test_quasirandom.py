"""Sobol sequences: PyTorch's points, scrambled and not."""

import pytest

import rushlight as torch


def engine(*args, **named):
    return torch.quasirandom.SobolEngine(*args, **named)


def test_points_are_the_same_however_they_are_drawn():
    points = [[0, 0, 0], [0.5, 0.5, 0.5], [0.75, 0.25, 0.25], [0.25, 0.75, 0.75],
              [0.375, 0.375, 0.625]]  # fmt: skip
    assert engine(3).draw(5).tolist() == points
    e = engine(3)
    assert e.draw().tolist() + e.draw(2).tolist() + e.draw(2).tolist() == points
    assert engine(3).fast_forward(3).draw(2).tolist() == points[3:]
    assert e.reset().draw_base2(2).tolist() == points[:4] and e.num_generated == 4


@pytest.mark.slow
def test_points_of_most_dims():
    assert engine(21201).draw(2)[1].eq(0.5).all()


def test_a_scrambled_sequence_has_pytorchs_numbers():
    e = engine(2, scramble=True, seed=1)
    expected = torch.tensor([[0.2677, 0.3618], [0.8434, 0.9918]])
    assert torch.allclose(e.draw(2), expected, atol=1e-4)
    assert repr(e) == "SobolEngine(dimension=2, scramble=True, seed=1)"
    torch.manual_seed(1)
    assert torch.equal(engine(2, scramble=True).draw(4), engine(2, scramble=True, seed=1).draw(4))


def test_dtype_and_out():
    out = torch.empty(0)
    assert engine(2).draw(3, out=out) is out and out.shape == (3, 2)
    assert engine(2).draw(1, dtype=torch.float64).dtype == torch.float64


def test_what_is_refused():
    for dimension in (0, 21202):
        with pytest.raises(ValueError, match="dimensionality"):
            engine(dimension)
    e = engine(2)
    e.draw(3)
    with pytest.raises(ValueError, match="power of 2"):
        e.draw_base2(3)
