"""A tensor that requires grad is refused where its gradient would be lost."""

import pytest

import rushlight as torch

F = torch.nn.functional


def leaf(*values):
    return torch.tensor(values, requires_grad=True)


WEIGHTS = {
    "nll_loss": lambda x, w: F.nll_loss(x.log_softmax(1), torch.tensor([0, 1]), w),
    "cross_entropy": lambda x, w: F.cross_entropy(x, torch.tensor([0, 1]), w),
    "smoothed": lambda x, w: F.cross_entropy(x, torch.tensor([0, 1]), w, label_smoothing=0.1),
    "nll_loss2d": lambda x, w: F.nll_loss(x[..., None, None], torch.zeros(2, 1, 1).long(), w),
    "bce": lambda x, w: F.binary_cross_entropy(x.sigmoid(), x.detach().sigmoid(), w),
    "logits": lambda x, w: F.binary_cross_entropy_with_logits(x, torch.ones(2, 3), w),
    "positive": lambda x, w: F.binary_cross_entropy_with_logits(x, torch.ones(2, 3), pos_weight=w),
    "multi_margin": lambda x, w: F.multi_margin_loss(x, torch.tensor([0, 1]), weight=w),
    "running_mean": lambda x, w: F.batch_norm(x, w, torch.ones(3)),
    "tolerance": lambda x, w: torch.linalg.pinv(x, atol=w[0]),
    "scale": lambda x, w: torch.fake_quantize_per_tensor_affine(
        x, w[0], torch.zeros((), dtype=torch.int32), 0, 255
    ),
}


@pytest.mark.parametrize("name", WEIGHTS)
@pytest.mark.parametrize("compiled", [False, True])
def test_what_is_no_variable_of_a_function(name, compiled):
    call = torch.compile(WEIGHTS[name]) if compiled else WEIGHTS[name]
    x = torch.randn(2, 3, requires_grad=True)
    call(x, torch.ones(3))
    with torch.no_grad():
        call(x, leaf(1.0, 1.0, 1.0))
    with pytest.raises(RuntimeError, match="is not differentiable with respect to argument"):
        call(x, leaf(1.0, 1.0, 1.0))


NUMBERS = {
    "leaky_relu": lambda x, w: F.leaky_relu(x, w),
    "add": lambda x, w: torch.add(x, x, alpha=w),
    "full_like": lambda x, w: torch.full_like(x, w),
    "full": lambda x, w: torch.full((2,), w),
    "softplus": lambda x, w: F.softplus(x, w),
    "elu": lambda x, w: F.elu(x, w),
    "hardtanh": lambda x, w: F.hardtanh(x, -w, w),
    "huber_loss": lambda x, w: F.huber_loss(x, x, delta=w),
    "addcmul": lambda x, w: torch.addcmul(x, x, x, value=w),
    "logit": lambda x, w: torch.logit(x, w),
    "norm": lambda x, w: torch.linalg.vector_norm(x, w),
    "std": lambda x, w: torch.std(x, correction=w),
    "arange": lambda x, w: torch.arange(w),
    "normal_": lambda x, w: x.normal_(0, w),
}


@pytest.mark.parametrize("name", NUMBERS)
def test_a_number_is_no_tensor_that_requires_grad(name):
    call, w = NUMBERS[name], torch.tensor(0.5, requires_grad=True)
    call(torch.ones(2), w.detach())
    with pytest.raises((TypeError, RuntimeError), match=r"must be|invalid|not diff|\(\)"):
        call(torch.ones(2), w)
