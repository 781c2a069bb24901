"""What rectifiers, margins and alignments refuse; alignments and the adaptive softmax, as PyTorch's."""

import numpy as np
import pytest

import rushlight
from tests.nn.test_layers import build, public
from tests.ops.calls import same_gradients

REFUSED = [
    "nn.GLU()(torch.ones(3))",
    "nn.GLU()(torch.ones(()))",
    "nn.Softshrink(-1)(torch.ones(3))",
    "nn.CELU(0)(torch.ones(3))",
    "nn.PReLU(3)(torch.ones(2, 4))",
    "nn.PReLU()(torch.ones(2, dtype=torch.float64))",
    "F.prelu(torch.tensor(1.0), torch.ones(2))",
    "F.rrelu(torch.ones(2), 0.5, 0.1)",
    "nn.Softmax2d()(torch.ones(2, 3))",
    "F.gumbel_softmax(torch.zeros(2), eps=1e-3).shape",
    "nn.MultiMarginLoss(3)",
    "nn.MultiMarginLoss(weight=torch.ones(2, 2))",
    "F.multi_margin_loss(torch.ones(2, 3), torch.tensor([0, 3]))",
    "F.multi_margin_loss(torch.ones(2, 3), torch.tensor([0]))",
    "F.multilabel_margin_loss(torch.ones(3), torch.tensor([0, 3, -1]))",
    "F.multilabel_margin_loss(torch.ones(3), torch.tensor([0, 1]))",
    "nn.TripletMarginLoss(margin=0)",
    "nn.TripletMarginWithDistanceLoss(margin=-1)",
    "F.triplet_margin_loss(torch.ones(2, 3), torch.ones(2, 3), torch.ones(3))",
    "F.margin_ranking_loss(torch.ones(2, 3), torch.ones(2, 3), torch.ones(3))",
    "F.cosine_embedding_loss(torch.ones(2, 3), torch.ones(2, 3), torch.ones(2, 3))",
    "F.gaussian_nll_loss(torch.ones(2, 3), torch.ones(2, 3), -torch.ones(2, 3))",
    "F.gaussian_nll_loss(torch.ones(2, 3), torch.ones(2, 3), torch.ones(3))",
    "F.gaussian_nll_loss(torch.ones(2), torch.ones(2), -1.0)",
    "F.pairwise_distance(torch.ones(2, 3), torch.ones(2, 4))",
    "F.pdist(torch.ones(3))",
    "F.pdist(torch.ones(3, 3), -1.0)",
    "F.soft_margin_loss(torch.ones(2), torch.ones(2), reduction='most')",
    "nn.LinearCrossEntropyLoss(5, 10, label_smoothing=2)",
    "nn.LinearCrossEntropyLoss(5, 10, weight=torch.ones(3))",
    "F.linear_cross_entropy(torch.ones(5), torch.ones(4, 2, 5), torch.tensor([1, 2]))",
    "F.ctc_loss(torch.zeros(5, 2, 3), torch.ones(2, 2).long(), [5, 6], [1, 1])",
    "F.ctc_loss(torch.zeros(5, 2, 3), torch.ones(2, 2).long(), [5, 5], [1, 3])",
    "F.ctc_loss(torch.zeros(5, 2, 3), torch.ones(2, 2).long(), [5, 5], [1, -1])",
    "F.ctc_loss(torch.zeros(5, 2, 3), torch.ones(2, 2).long(), [5], [1, 1])",
    "F.ctc_loss(torch.zeros(5, 2, 3), torch.ones(3).long(), [5, 5], [1, 1])",
    "F.ctc_loss(torch.zeros(5, 2, 3), torch.ones(2, 2).long(), [5, 5], [1, 1], blank=3)",
    "F.ctc_loss(torch.zeros(5, 2, 3).half(), torch.ones(2, 2).long(), [5, 5], [1, 1])",
    "nn.AdaptiveLogSoftmaxWithLoss(8, 20, [])",
    "nn.AdaptiveLogSoftmaxWithLoss(8, 20, [4, 4])",
    "nn.AdaptiveLogSoftmaxWithLoss(8, 20, [4, 20])",
    "nn.AdaptiveLogSoftmaxWithLoss(8, 20, [4])(torch.ones(2, 8), torch.tensor([0, 20]))",
    "nn.AdaptiveLogSoftmaxWithLoss(8, 20, [4])(torch.ones(2, 8), torch.tensor(0))",
]


@pytest.mark.parity
@pytest.mark.parametrize("call", REFUSED)
def test_refusals(parity, call):
    parity(lambda torch: eval(call, {"torch": torch, "nn": torch.nn, "F": torch.nn.functional}))


@pytest.mark.parity
@pytest.mark.parametrize("seed", range(12))
def test_alignments(parity, seed):
    rng = np.random.default_rng(seed)
    times, n, classes, most = rng.integers(1, 9), rng.integers(1, 5), 4, rng.integers(1, 5)
    blank = int(rng.integers(0, classes))
    inputs, labels = rng.integers(0, times + 1, n), rng.integers(0, most + 1, n)
    targets = rng.integers(0, classes - 1, (n, most))
    targets += targets >= blank
    if seed % 2:
        targets = np.concatenate([t[:k] for t, k in zip(targets, labels, strict=True)])
    x = rng.normal(size=(times, n, classes))

    def script(torch):
        given = torch.tensor(x, requires_grad=True)
        loss = torch.nn.functional.ctc_loss(
            given.log_softmax(2), torch.tensor(targets), inputs.tolist(), labels.tolist(),
            blank, "none", bool(seed % 3),
        )  # fmt: skip
        (loss * torch.arange(1, n + 1)).sum().backward()
        return [loss, given.grad]

    parity(script, rtol=1e-9)


@pytest.mark.parity
@pytest.mark.parametrize("targets", [[0, 5, 15], [1, 2, 3], [12, 9, 4], 7])
@pytest.mark.parametrize("bias", [False, True])
def test_adaptive_softmax(parity, bias, targets):
    def script(torch):
        layer = build(torch, f"nn.AdaptiveLogSoftmaxWithLoss(8, 20, [4, 10], 2, head_bias={bias})")
        x = torch.randn(3, 8) * 3
        x = (x if isinstance(targets, list) else x[0]).requires_grad_()
        out = layer(x, torch.tensor(targets))
        out.loss.backward()
        rows = x.detach() if x.ndim == 2 else x.detach()[None]
        return [
            repr(layer), public(layer), layer.state_dict(), out.output, out.loss, x.grad,
            [p.grad for p in layer.parameters()], layer.log_prob(rows), layer.predict(rows),
        ]  # fmt: skip

    parity(script, rtol=1e-5, atol=1e-6)


@pytest.mark.parity
@pytest.mark.parametrize("call", [
    "F.prelu(x, w)", "F.rrelu(x, training=True)", "F.hardshrink(x)", "F.softshrink(x)",
    "torch.prelu(x, w[:1])",
])  # fmt: skip
def test_nodes_and_second_gradients(call):
    x, w = np.linspace(-2, 2.1, 12).reshape(3, 4), np.linspace(0.1, 0.4, 4)
    rushlight.manual_seed(0)
    pytest.importorskip("torch").manual_seed(0)
    arrays = {"x": x, "w": w} if "w" in call else {"x": x}
    if "training" in call:
        names = [
            str(eval(call, {"F": t.nn.functional, "x": t.tensor(x, requires_grad=True)}).grad_fn)
            for t in (rushlight, pytest.importorskip("torch"))
        ]
        assert [n.split()[0] for n in names] == ["<RreluWithNoiseBackward0"] * 2
    else:
        same_gradients(call, **arrays)


@pytest.mark.parity
def test_random_slopes_come_from_the_same_stream(parity):
    def script(torch):
        x = torch.randn(5, 7)
        F = torch.nn.functional
        return [
            F.rrelu(x, training=True), F.rrelu(x.t(), 0.1, 0.9, True), x.half().rrelu_()
            if hasattr(x, "rrelu_") else 0, torch.rrelu(x.double(), training=True),
            F.rrelu_(x, 0.3, 0.3, True), F.gumbel_softmax(x, 2.0), torch.rand(2),
        ]  # fmt: skip

    parity(script)


@pytest.mark.parity
@pytest.mark.parametrize("call", [
    "F.multi_margin_loss(x, torch.tensor([0, 3, 1]))",
    "F.multi_margin_loss(x, torch.tensor([0, 3, 1]), p=2)",
    "F.multi_margin_loss(x, torch.tensor([0, 3, 1]), weight=w)",
    "F.multilabel_margin_loss(x, torch.tensor([[0, 3, -1, 1], [1, -1, 0, 0], [2, 1, 0, 3]]))",
])  # fmt: skip
def test_margins_that_are_kept_or_nan_count_nothing(call):
    peer = pytest.importorskip("torch")
    rng = np.random.default_rng(0)
    for _ in range(60):
        odd = [rng.choice([np.inf, -np.inf, np.nan, 0.0, 1.0], n) for n in ((3, 4), 4)]
        given = [np.where(rng.random(a.shape) < 0.25, a, rng.standard_normal(a.shape)) for a in odd]
        found = []
        for t in (peer, rushlight):
            x, w = t.tensor(given[0], requires_grad=True), t.tensor(given[1])
            loss = eval(call, {"torch": t, "F": t.nn.functional, "x": x, "w": w})
            loss.backward()
            found.append([loss.item(), x.grad.numpy()])
        for want, got in zip(*found, strict=True):
            np.testing.assert_allclose(got, want, rtol=1e-9)


def test_the_cosine_loss_of_a_zero_vector_has_a_gradient():
    zero = rushlight.zeros(1, 2, dtype=rushlight.float64, requires_grad=True)
    other = rushlight.tensor([[3.0, 4.0]], dtype=rushlight.float64)
    loss = rushlight.nn.functional.cosine_embedding_loss(zero, other, rushlight.tensor([1]))
    loss.backward()
    # 1e-12 is added to the squared norms: -other / √(1e-12 · 25).
    assert loss == 1
    np.testing.assert_allclose(zero.grad.numpy(), [[-6e5, -8e5]])


def test_multilabel_margin_loss_takes_a_number_for_one_class():
    loss = rushlight.nn.functional.multilabel_margin_loss
    assert loss(rushlight.tensor(1.0), rushlight.tensor([0])).item() == 0
    assert loss(rushlight.ones(1), rushlight.tensor(0)).item() == 0


@pytest.mark.parametrize(
    "dtype", [rushlight.bool, rushlight.uint8, rushlight.int8, rushlight.float64]
)
def test_soft_margins_of_targets_in_any_dtype(dtype):
    x = rushlight.tensor([1.0, 2.0], requires_grad=True)
    loss = rushlight.nn.functional.soft_margin_loss(x, rushlight.tensor([1, 0]).to(dtype))
    loss.backward()
    assert loss.item() == pytest.approx(0.50320446)  # PyTorch's
    assert x.grad.tolist() == pytest.approx([-0.13447072, 0.0])
    with pytest.raises(TypeError, match="'target' must be Tensor"):
        rushlight.nn.functional.soft_margin_loss(x, 1)


def test_the_triplet_loss_of_torch_takes_any_margin():
    x = rushlight.zeros(1, 2)
    assert rushlight.triplet_margin_loss(x, x, x, -1.0, reduction=2).item() == 0
    with pytest.raises(ValueError, match="greater than 0"):
        rushlight.nn.functional.triplet_margin_loss(x, x, x, margin=-1.0)


def test_ranking_losses_of_torch_broadcast():
    a, b, target = rushlight.ones(3, 2), rushlight.zeros(3, 2), rushlight.tensor([1.0, -1.0])
    assert rushlight.margin_ranking_loss(a, b, target, 0.5, 2).item() == 4.5
    with pytest.raises(RuntimeError, match="same dimension"):
        rushlight.nn.functional.margin_ranking_loss(a, b, target)


def test_random_slopes_are_rounded_as_pytorch_s():
    """PyTorch 2.13's slopes: bounds in the dtype of the computation, products rounded first."""
    for dtype, wanted in (
        (rushlight.float64, [0.32661096149376967, 0.2824751880762115, 0.1596181450792414]),
        (rushlight.float32, [0.32661095, 0.2824752, 0.15961815]),
    ):
        rushlight.manual_seed(3)
        x = -rushlight.ones(24, dtype=dtype)
        found = rushlight.nn.functional.rrelu(x, 0.1, 0.4, training=True).numpy()
        np.testing.assert_array_equal(-found[4:7], np.array(wanted, found.dtype))
