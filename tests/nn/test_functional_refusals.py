"""What nn.functional refuses: PyTorch's error types, and messages that name the operation and the numbers."""

import pytest

import rushlight
from rushlight.nn import functional

# Each case is a call that PyTorch refuses, and words that rushlight's message must have.
REFUSED = {
    "linear: features": (lambda t, F: F.linear(t.ones(4, 5), t.ones(3, 4)), "(4, 5) and weight (3, 4)"),
    "linear: bias": (lambda t, F: F.linear(t.ones(4, 5), t.ones(3, 5), t.ones(4)), "(4,)"),
    "linear: bias of 3D": (lambda t, F: F.linear(t.ones(2, 4, 5), t.ones(3, 5), t.ones(4)), "(4,)"),
    "linear: dtypes": (lambda t, F: F.linear(t.ones(4, 5).double(), t.ones(3, 5)), "float64, weight float32"),
    "linear: dtypes with bias": (lambda t, F: F.linear(t.ones(4, 5).double(), t.ones(3, 5), t.ones(3)), "same dtype"),
    "linear: 3D weight": (lambda t, F: F.linear(t.ones(4, 5), t.ones(2, 3, 5)), "(2, 3, 5)"),
    "linear: 1D weight": (lambda t, F: F.linear(t.ones(4, 5), t.ones(5), t.ones(1)), "(5,)"),
    "linear: no dims": (lambda t, F: F.linear(t.ones(()), t.ones(3, 4)), "()"),
    "linear: a number": (lambda t, F: F.linear(3, t.ones(4, 5)), "'input' (position 1)"),
    "linear: no weight": (lambda t, F: F.linear(t.ones(4, 5), None), "'weight' (position 2)"),
    "linear: a number as bias": (lambda t, F: F.linear(t.ones(4, 5), t.ones(3, 5), 3), "'bias' (position 3)"),
    "linear: bool": (lambda t, F: F.linear(t.ones(2, 2).bool(), t.ones(2, 2).bool()), "bool"),
    "cross_entropy: class too large": (lambda t, F: F.cross_entropy(t.ones(4, 5), t.tensor([1, 2, 5, 0])), "Target 5 is out of bounds"),
    "cross_entropy: negative class": (lambda t, F: F.cross_entropy(t.ones(4, 5), t.tensor([1, 2, -1, 0])), "Target -1 is out of bounds"),
    "cross_entropy: batch": (lambda t, F: F.cross_entropy(t.ones(4, 5), t.zeros(3).long()), "(4, 5) and target (3,)"),
    "cross_entropy: int32": (lambda t, F: F.cross_entropy(t.ones(4, 5), t.zeros(4).int()), "torch.int32"),
    "cross_entropy: float classes": (lambda t, F: F.cross_entropy(t.ones(4, 5), t.zeros(4)), "torch.float32"),
    "cross_entropy: int probabilities": (lambda t, F: F.cross_entropy(t.ones(4, 5), t.zeros(4, 5).long()), "floating point"),
    "cross_entropy: column": (lambda t, F: F.cross_entropy(t.ones(4, 5), t.zeros(4, 1).long()), "multi-target"),
    "cross_entropy: image": (lambda t, F: F.cross_entropy(t.ones(4, 5, 2), t.zeros(4, 3).long()), "[4, 2]"),
    "cross_entropy: no image": (lambda t, F: F.cross_entropy(t.ones(4, 5, 2), t.zeros(4).long()), "[4, 2]"),
    "cross_entropy: integers": (lambda t, F: F.cross_entropy(t.ones(4, 5).long(), t.zeros(4).long()), "int64"),
    "cross_entropy: weight": (lambda t, F: F.cross_entropy(t.ones(4, 5), t.zeros(4).long(), t.ones(4)), "5 classes"),
    "cross_entropy: weight dtype": (lambda t, F: F.cross_entropy(t.ones(4, 5), t.zeros(4).long(), t.ones(5).double()), "found Double"),
    "cross_entropy: smoothing": (lambda t, F: F.cross_entropy(t.ones(4, 5), t.zeros(4).long(), label_smoothing=1.5), "1.5"),
    "cross_entropy: reduction": (lambda t, F: F.cross_entropy(t.ones(4, 5), t.zeros(4).long(), reduction="all"), "all"),
    "nll_loss: no dims": (lambda t, F: F.nll_loss(t.ones(()), t.tensor(0)), "1 or more dimensions"),
    "nll_loss: class": (lambda t, F: F.nll_loss(t.ones(4, 5), t.full((4,), 7)), "Target 7"),
    "nll_loss: class in an image": (lambda t, F: F.nll_loss(t.ones(4, 5, 2), t.full((4, 2), 7)), "Target 7"),
    "nll_loss: 1D": (lambda t, F: F.nll_loss(t.ones(5), t.tensor([1, 2])), "must have size 1"),
    "nll_loss: complex": (lambda t, F: F.nll_loss(t.ones(4, 5) * 1j, t.zeros(4).long()), "complex64"),
    "mse_loss: sizes": (lambda t, F: F.mse_loss(t.ones(4, 5), t.ones(3)), "mse_loss"),
    "mse_loss: integers": (lambda t, F: F.mse_loss(t.ones(4).long(), t.ones(4).long()), "int64"),
    "mse_loss: complex": (lambda t, F: F.mse_loss(t.ones(4) * 1j, t.ones(4) * 1j), "complex64"),
    "mse_loss: reduction": (lambda t, F: F.mse_loss(t.ones(4), t.ones(4), reduction="x"), "x is not a valid value"),
    "mse_loss: weight": (lambda t, F: F.mse_loss(t.ones(4, 5), t.ones(4, 5), weight=t.ones(5)), "(5,) and (4, 5)"),
    "l1_loss: reduction": (lambda t, F: F.l1_loss(t.ones(4), t.ones(4), reduction="x"), "x is not a valid value"),
    "l1_loss: integers": (lambda t, F: F.l1_loss(t.ones(4).long(), t.ones(4).long()), "mean"),
    "huber_loss: delta": (lambda t, F: F.huber_loss(t.ones(4), t.ones(4), delta=-1), "delta: -1"),
    "smooth_l1_loss: beta": (lambda t, F: F.smooth_l1_loss(t.ones(4), t.ones(4), beta=-1), "beta: -1"),
    "binary_cross_entropy: range": (lambda t, F: F.binary_cross_entropy(t.tensor([1.5]), t.ones(1)), "between 0 and 1"),
    "binary_cross_entropy: shapes": (lambda t, F: F.binary_cross_entropy(t.ones(4, 1), t.ones(4)), "(4,)"),
    "with_logits: shapes": (lambda t, F: F.binary_cross_entropy_with_logits(t.ones(4, 1), t.ones(4)), "(4,)"),
    "kl_div: reduction": (lambda t, F: F.kl_div(t.ones(4), t.ones(4), reduction="x"), "x is not a valid value"),
    "conv2d: channels": (
        lambda t, F: F.conv2d(t.ones(1, 3, 8, 8), t.ones(4, 2, 3, 3)),
        "conv2d: x (1, 3, 8, 8) has 3 channels in dim 1; w (4, 2, 3, 3) with groups=1 expects 2",
    ),
    "conv2d: bias": (lambda t, F: F.conv2d(t.ones(1, 3, 8, 8), t.ones(4, 3, 3, 3), t.ones(3)), "(4,)"),
    "conv2d: bias of 2 dims": (lambda t, F: F.conv2d(t.ones(1, 3, 8, 8), t.ones(4, 3, 3, 3), t.ones(4, 1)), "(4, 1)"),
    "conv2d: weight dims": (lambda t, F: F.conv2d(t.ones(1, 3, 8, 8), t.ones(3, 3, 3)), "[3, 3, 3]"),
    "conv2d: input dims": (lambda t, F: F.conv2d(t.ones(8, 8), t.ones(4, 3, 3, 3)), "(8, 8)"),
    "conv2d: stride": (lambda t, F: F.conv2d(t.ones(1, 3, 8, 8), t.ones(4, 3, 3, 3), stride=0), "stride"),
    "conv2d: strides": (lambda t, F: F.conv2d(t.ones(1, 3, 8, 8), t.ones(4, 3, 3, 3), stride=(1, 2, 3)), "[1, 2, 3]"),
    "conv2d: float stride": (lambda t, F: F.conv2d(t.ones(1, 3, 8, 8), t.ones(4, 3, 3, 3), stride=1.5), "1.5"),
    "conv2d: padding": (lambda t, F: F.conv2d(t.ones(1, 3, 8, 8), t.ones(4, 3, 3, 3), padding=-1), "padding"),
    "conv2d: word": (lambda t, F: F.conv2d(t.ones(1, 3, 8, 8), t.ones(4, 3, 3, 3), padding="full"), "full"),
    "conv2d: same with stride": (lambda t, F: F.conv2d(t.ones(1, 3, 8, 8), t.ones(4, 3, 3, 3), padding="same", stride=2), "same"),
    "conv2d: dilation": (lambda t, F: F.conv2d(t.ones(1, 3, 8, 8), t.ones(4, 3, 3, 3), dilation=0), "dilation"),
    "conv2d: no groups": (lambda t, F: F.conv2d(t.ones(1, 3, 8, 8), t.ones(4, 3, 3, 3), groups=0), "groups"),
    "conv2d: groups": (lambda t, F: F.conv2d(t.ones(1, 3, 8, 8), t.ones(4, 3, 3, 3), groups=2), "groups=2 expects 6"),
    "conv2d: odd groups": (lambda t, F: F.conv2d(t.ones(1, 3, 8, 8), t.ones(4, 1, 3, 3), groups=3), "groups=3"),
    "conv2d: kernel": (lambda t, F: F.conv2d(t.ones(1, 3, 8, 8), t.ones(4, 3, 9, 9)), "(9, 9)"),
    "conv2d: dtypes": (lambda t, F: F.conv2d(t.ones(1, 3, 8, 8).double(), t.ones(4, 3, 3, 3)), "torch.float64, torch.float32"),
    "conv2d: bias dtype": (lambda t, F: F.conv2d(t.ones(1, 3, 8, 8), t.ones(4, 3, 3, 3), t.ones(4).double()), "should be the same"),
    "conv2d: bool": (lambda t, F: F.conv2d(t.ones(1, 3, 8, 8).bool(), t.ones(4, 3, 3, 3).bool()), "torch.bool"),
    "conv2d: no outputs": (lambda t, F: F.conv2d(t.ones(1, 3, 8, 8), t.ones(0, 3, 3, 3)), "(0, 3, 3, 3)"),
    "conv2d: no pixels": (lambda t, F: F.conv2d(t.ones(1, 3, 0, 8), t.ones(4, 3, 3, 3), padding=2), "(1, 3, 0, 8)"),
    "conv2d: a number": (lambda t, F: F.conv2d(3, t.ones(4, 3, 3, 3)), "Tensor"),
    "conv1d: dims": (lambda t, F: F.conv1d(t.ones(1, 3, 8, 8), t.ones(4, 3, 3)), "(1, 3, 8, 8)"),
    "max_pool2d: size": (lambda t, F: F.max_pool2d(t.ones(1, 3, 8, 8), 9), "too small"),
    "max_pool2d: padding": (lambda t, F: F.max_pool2d(t.ones(1, 3, 8, 8), 2, padding=2), "half of effective kernel"),
    "max_pool2d: negative padding": (lambda t, F: F.max_pool2d(t.ones(1, 3, 8, 8), 2, padding=-1), "non-negative"),
    "max_pool2d: stride": (lambda t, F: F.max_pool2d(t.ones(1, 3, 8, 8), 2, 0), "zero"),
    "max_pool2d: kernel": (lambda t, F: F.max_pool2d(t.ones(1, 3, 8, 8), 0), "zero"),
    "max_pool2d: kernels": (lambda t, F: F.max_pool2d(t.ones(1, 3, 8, 8), (2, 2, 2)), "kernel_size"),
    "max_pool2d: dilation": (lambda t, F: F.max_pool2d(t.ones(1, 3, 8, 8), 2, dilation=0), "dilation"),
    "max_pool2d: dims": (lambda t, F: F.max_pool2d(t.ones(8, 8), 2), "[8, 8]"),
    "max_pool2d: bool": (lambda t, F: F.max_pool2d(t.ones(1, 3, 8, 8).bool(), 2), "torch.bool"),
    "max_pool2d: complex": (lambda t, F: F.max_pool2d(t.ones(1, 3, 8, 8) * 1j, 2), "complex64"),
    "max_pool2d: no channels": (lambda t, F: F.max_pool2d(t.ones(1, 0, 8, 8), 2), "[1, 0, 8, 8]"),
    "max_pool1d: dims": (lambda t, F: F.max_pool1d(t.ones(1, 3, 8, 8), 3), "[1, 3, 8, 8]"),
    "max_pool1d: integers": (lambda t, F: F.max_pool1d(t.ones(3, 8).long(), 3), "int64"),
    "max_pool1d: size": (lambda t, F: F.max_pool1d(t.ones(3, 8), 9), "too small"),
    "avg_pool2d: divisor": (lambda t, F: F.avg_pool2d(t.ones(1, 3, 8, 8), 2, divisor_override=0), "divisor"),
    "avg_pool2d: padding": (lambda t, F: F.avg_pool2d(t.ones(1, 3, 8, 8), 2, padding=2), "half"),
    "avg_pool2d: bool": (lambda t, F: F.avg_pool2d(t.ones(1, 3, 8, 8).bool(), 2), "torch.bool"),
    "avg_pool1d: dims": (lambda t, F: F.avg_pool1d(t.ones(1, 3, 8, 8), 2), "(1, 3, 8, 8)"),
    "adaptive_avg_pool2d: three sizes": (lambda t, F: F.adaptive_avg_pool2d(t.ones(1, 3, 8, 8), (3, 3, 3)), "(3, 3, 3)"),
    "adaptive_avg_pool2d: negative": (lambda t, F: F.adaptive_avg_pool2d(t.ones(1, 3, 8, 8), -1), "(-1, -1)"),
    "adaptive_avg_pool2d: dims": (lambda t, F: F.adaptive_avg_pool2d(t.ones(8, 8), 2), "[8, 8]"),
    "adaptive_avg_pool2d: empty": (lambda t, F: F.adaptive_avg_pool2d(t.ones(1, 3, 0, 8), 2), "[1, 3, 0, 8]"),
    "adaptive_avg_pool2d: integers": (lambda t, F: F.adaptive_avg_pool2d(t.ones(1, 3, 8, 8).long(), 2), "int64"),
    "batch_norm: one value": (lambda t, F: F.batch_norm(t.ones(1, 3), None, None, training=True), "more than 1 value per channel"),
    "batch_norm: no statistics": (lambda t, F: F.batch_norm(t.ones(2, 3), None, None), "running_mean"),
    "batch_norm: mean": (lambda t, F: F.batch_norm(t.ones(2, 3), t.ones(4), t.ones(3)), "running_mean should contain 3 elements not 4"),
    "batch_norm: weight": (lambda t, F: F.batch_norm(t.ones(2, 3), t.ones(3), t.ones(3), t.ones(2)), "weight should contain 3"),
    "batch_norm: integers": (lambda t, F: F.batch_norm(t.ones(2, 3).long(), None, None, training=True), "int64"),
    "layer_norm: shape": (lambda t, F: F.layer_norm(t.ones(2, 3), (4,)), "[*, 4]"),
    "layer_norm: weight": (lambda t, F: F.layer_norm(t.ones(2, 3), (3,), t.ones(2)), "weight of shape [2]"),
    "layer_norm: no shape": (lambda t, F: F.layer_norm(t.ones(2, 3), ()), "normalized_shape"),
    "layer_norm: integers": (lambda t, F: F.layer_norm(t.ones(2, 3).long(), (3,)), "int64"),
    "rms_norm: shape": (lambda t, F: F.rms_norm(t.ones(2, 3), (4,)), "[*, 4]"),
    "group_norm: groups": (lambda t, F: F.group_norm(t.ones(2, 3), 2), "num_groups=2"),
    "group_norm: weight": (lambda t, F: F.group_norm(t.ones(2, 4), 2, t.ones(3)), "[3]"),
    "group_norm: one value": (lambda t, F: F.group_norm(t.ones(1, 4), 4), "more than 1 value per channel"),
    "embedding: index": (lambda t, F: F.embedding(t.tensor([5]), t.ones(5, 2)), "index out of range in self: 5"),
    "embedding: negative index": (lambda t, F: F.embedding(t.tensor([-1]), t.ones(5, 2)), "index out of range in self: -1"),
    "embedding: floats": (lambda t, F: F.embedding(t.ones(1), t.ones(5, 2)), "torch.float32"),
    "embedding: bytes": (lambda t, F: F.embedding(t.ones(1).byte(), t.ones(5, 2)), "torch.uint8"),
    "embedding: 1D weight": (lambda t, F: F.embedding(t.tensor([1]), t.ones(5)), "2-D"),
    "embedding: list": (lambda t, F: F.embedding([1], t.ones(5, 2)), "'indices' (position 2)"),
    "embedding: padding_idx": (lambda t, F: F.embedding(t.tensor([1]), t.ones(5, 2), padding_idx=7), "Padding_idx"),
    "one_hot: class": (lambda t, F: F.one_hot(t.tensor([1, 2]), 2), "num_classes=2"),
    "one_hot: negative": (lambda t, F: F.one_hot(t.tensor([-1, 2]), 4), "non-negative"),
    "one_hot: int32": (lambda t, F: F.one_hot(t.tensor([1]).int()), "int32"),
    "one_hot: empty": (lambda t, F: F.one_hot(t.tensor([]).long()), "empty"),
    "dropout: p": (lambda t, F: F.dropout(t.ones(3), 1.5), "1.5"),
    "dropout: integers": (lambda t, F: F.dropout(t.arange(4)), "dropout"),
    "dropout1d: dims": (lambda t, F: F.dropout1d(t.ones(2, 3, 4, 5)), "4D"),
    "feature_alpha_dropout: dims": (lambda t, F: F.feature_alpha_dropout(t.ones(4), training=True), "at least 2"),
    "alpha_dropout: p": (lambda t, F: F.alpha_dropout(t.ones(4), -1.0), "-1.0"),
    "dropout: in-place on a leaf": (lambda t, F: F.dropout(t.ones(3, requires_grad=True), inplace=True), "leaf"),
    "relu: in-place on a leaf": (lambda t, F: F.relu(t.ones(3, requires_grad=True), inplace=True), "leaf"),
    "hardtanh: bounds": (lambda t, F: F.hardtanh(t.ones(3), 2.0, 1.0), "2.0 > 1.0"),
    "celu: alpha": (lambda t, F: F.celu(t.ones(3), 0.0), "alpha"),
    "glu: odd": (lambda t, F: F.glu(t.ones(3)), "(3,)"),
    "pad: odd list": (lambda t, F: F.pad(t.ones(3), (1,)), "divisible by 2"),
    "pad: too long": (lambda t, F: F.pad(t.ones(3), (1, 1, 1, 1)), "4 entries"),
    "pad: too negative": (lambda t, F: F.pad(t.ones(3), (-2, -2)), "negative"),
    "pad: mode": (lambda t, F: F.pad(t.ones(1, 3), (1, 1), mode="mirror"), "mirror"),
    "pad: reflect too far": (lambda t, F: F.pad(t.ones(1, 3), (3, 1), mode="reflect"), "(1, 3)"),
    "pad: circular too far": (lambda t, F: F.pad(t.ones(1, 3), (4, 1), mode="circular"), "(1, 3)"),
    "pad: reflect of 4D by 2": (lambda t, F: F.pad(t.ones(1, 1, 3, 3), (1, 1), mode="reflect"), "4 dims"),
    "attention: features": (lambda t, F: F.scaled_dot_product_attention(t.ones(2, 3), t.ones(2, 4), t.ones(2, 4)), "(2, 4)"),
    "attention: positions": (lambda t, F: F.scaled_dot_product_attention(t.ones(2, 3), t.ones(4, 3), t.ones(5, 3)), "4 positions"),
    "attention: dtypes": (lambda t, F: F.scaled_dot_product_attention(t.ones(2, 3), t.ones(2, 3).double(), t.ones(2, 3)), "float64"),
    "attention: 1D": (lambda t, F: F.scaled_dot_product_attention(t.ones(3), t.ones(2, 3), t.ones(2, 3)), "2 dimensional"),
    "attention: mask and causal": (
        lambda t, F: F.scaled_dot_product_attention(t.ones(2, 3), t.ones(2, 3), t.ones(2, 3), t.ones(2, 2), is_causal=True),
        "is_causal",
    ),
    "attention: mask dtype": (
        lambda t, F: F.scaled_dot_product_attention(t.ones(2, 3), t.ones(2, 3), t.ones(2, 3), t.ones(2, 2).int()), "int32",
    ),
}  # fmt: skip


def _refusal(t, functions, call):
    with pytest.raises(Exception) as caught:
        call(t, functions)
    return caught.value


@pytest.mark.parametrize("case", REFUSED)
@pytest.mark.filterwarnings("ignore")
def test_message_names_what_disagrees(case):
    call, words = REFUSED[case]
    assert words in str(_refusal(rushlight, functional, call))


@pytest.mark.parity
@pytest.mark.parametrize("case", REFUSED)
@pytest.mark.filterwarnings("ignore")
def test_type_is_pytorchs(case):
    torch = pytest.importorskip("torch")
    call, _ = REFUSED[case]
    theirs = type(_refusal(torch, torch.nn.functional, call))
    assert isinstance(_refusal(rushlight, functional, call), theirs)
