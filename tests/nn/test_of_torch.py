"""Functions of ``nn.functional`` as functions of ``torch``: arguments that differ, and errors."""

import inspect

import pytest

import rushlight as torch
from rushlight.nn.functional import of_torch


def test_every_name_is_a_documented_function_of_torch():
    for name in of_torch.__all__:
        call = getattr(torch, name)
        assert call is getattr(of_torch, name)
        assert inspect.getdoc(call)


@pytest.mark.parametrize(
    "name", ["kl_div", "margin_ranking_loss", "binary_cross_entropy_with_logits"]
)
def test_reduction_is_a_number(name):
    loss, x = getattr(torch, name), torch.rand(2, 3)
    args = (x, x, x.sign()) if name.startswith("margin") else (x, x)
    assert [loss(*args, reduction=r).shape for r in (0, 1, 2, 7)] == [(2, 3), (), (), (2, 3)]
    assert loss(*args).shape == (2, 3)  # as in PyTorch 2.13
    with pytest.raises(TypeError, match="argument 'reduction'"):
        loss(*args, reduction="mean")


def test_required_arguments():
    x = torch.ones(2, 3, 4)
    for call in (lambda: torch.poisson_nll_loss(x, x), lambda: torch.alpha_dropout(x),
                 lambda: torch.batch_norm(x, None, None, None, None, True, 0.1, 1e-5),
                 lambda: torch.affine_grid_generator(torch.eye(2, 3)[None], (1, 1, 2, 2)),
                 lambda: torch.layer_norm(x, 4), lambda: torch.selu(x, True)):  # fmt: skip
        with pytest.raises(TypeError):
            call()


def test_dropout_in_place_returns_the_tensor_itself():
    for name in ("alpha_dropout_", "feature_alpha_dropout_", "feature_dropout_"):
        x = torch.ones(2, 3, 4)
        assert getattr(torch, name)(x, 0.5, True) is x
        assert getattr(torch, name)(x, 0.5, False) is x
        with pytest.raises(RuntimeError, match="dropout probability has to be between 0 and 1"):
            getattr(torch, name)(x, 2.0, True)


def test_embedding_bag_tells_about_its_bags():
    table, index, offsets = (
        torch.arange(8.0).reshape(4, 2),
        torch.tensor([3, 1, 2]),
        torch.tensor([0, 2, 2]),
    )
    sums = torch.embedding_bag(table, index, offsets)
    assert [t.tolist() for t in sums] == [[[8, 10], [0, 0], [4, 5]], [], [0, 0, 0], [0, 0, 0]]
    largest = torch.embedding_bag(table, index, offsets, mode=2)
    assert [t.tolist() for t in largest[1:]] == [[0, 0, 2], [2, 0, 1], [[3, 3], [0, 0], [2, 2]]]
    with pytest.raises(RuntimeError, match="mode must be in the range from 0 to 2"):
        torch.embedding_bag(table, index, offsets, mode=3)


def test_embedding_renorm_writes_in_place():
    table = torch.tensor([[3.0, 4.0], [6.0, 8.0]])
    assert torch.embedding_renorm_(table, torch.tensor([1]), 1.0, 2.0) is table
    torch.testing.assert_close(table, torch.tensor([[3.0, 4.0], [0.6, 0.8]]))


def test_convolution_needs_batches_and_lists():
    x, w = torch.ones(1, 2, 5), torch.ones(3, 2, 2)
    assert torch.convolution(x, w, None, [1], [0], [1], False, [0], 1).shape == (1, 3, 4)
    with pytest.raises(RuntimeError, match="Expected 3-dimensional input"):
        torch.convolution(x[0], w, None, [1], [0], [1], False, [0], 1)
    with pytest.raises(TypeError, match="argument 'stride'"):
        torch.convolution(x, w, None, 1, [0], [1], False, [0], 1)


def test_grid_samplers_need_images_of_their_dims():
    with pytest.raises(RuntimeError, match="expected input of 5 dims"):
        torch.grid_sampler_3d(torch.ones(1, 1, 2, 2), torch.zeros(1, 1, 1, 2), 0, 0, True)
    with pytest.raises(RuntimeError, match="interpolation_mode must be in the range"):
        torch.grid_sampler(torch.ones(1, 1, 2, 2), torch.zeros(1, 1, 1, 2), 3, 0, True)
