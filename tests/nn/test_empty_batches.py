"""Each layer takes a batch without samples, and gives gradients of 0."""

import pytest

import rushlight as torch

nn = torch.nn

#: A layer, and the shape of its input without the batch.
LAYERS = {
    "Linear": (lambda: nn.Linear(4, 3), (4,)),
    "Bilinear": (lambda: _Pair(nn.Bilinear(4, 4, 3)), (4,)),
    "Conv1d": (lambda: nn.Conv1d(4, 6, 3, groups=2), (4, 8)),
    "Conv2d": (lambda: nn.Conv2d(4, 6, 3, padding=1, padding_mode="reflect"), (4, 8, 8)),
    "Conv3d": (lambda: nn.Conv3d(4, 2, 3), (4, 5, 5, 5)),
    "ConvTranspose1d": (lambda: nn.ConvTranspose1d(4, 6, 3, stride=2), (4, 8)),
    "ConvTranspose2d": (lambda: nn.ConvTranspose2d(4, 6, 3, groups=2), (4, 8, 8)),
    "ConvTranspose3d": (lambda: nn.ConvTranspose3d(4, 6, 3), (4, 5, 5, 5)),
    "GroupNorm": (lambda: nn.GroupNorm(2, 4), (4, 8, 8)),
    "GroupNorm plain": (lambda: nn.GroupNorm(2, 4, affine=False), (4, 8)),
    "GroupNorm of rows": (lambda: nn.GroupNorm(2, 4), (4,)),
    "InstanceNorm1d": (lambda: nn.InstanceNorm1d(4, affine=True), (4, 8)),
    "InstanceNorm2d": (lambda: nn.InstanceNorm2d(4), (4, 8, 8)),
    "BatchNorm1d eval": (lambda: nn.BatchNorm1d(4).eval(), (4, 8)),
    "BatchNorm2d eval": (lambda: nn.BatchNorm2d(4).eval(), (4, 8, 8)),
    "BatchNorm2d": (lambda: nn.BatchNorm2d(4), (4, 8, 8)),
    "LayerNorm": (lambda: nn.LayerNorm(4), (8, 4)),
    "LayerNorm of two dims": (lambda: nn.LayerNorm((8, 4)), (8, 4)),
    "RMSNorm": (lambda: nn.RMSNorm(4), (8, 4)),
    "LocalResponseNorm": (lambda: nn.LocalResponseNorm(2), (4, 8)),
    "MaxPool1d": (lambda: nn.MaxPool1d(2), (4, 8)),
    "MaxPool2d": (lambda: nn.MaxPool2d(2), (4, 8, 8)),
    "MaxPool3d": (lambda: nn.MaxPool3d(2), (4, 4, 4, 4)),
    "AvgPool1d": (lambda: nn.AvgPool1d(2), (4, 8)),
    "AvgPool2d": (lambda: nn.AvgPool2d(2), (4, 8, 8)),
    "AvgPool3d": (lambda: nn.AvgPool3d(2), (4, 4, 4, 4)),
    "LPPool2d": (lambda: nn.LPPool2d(2, 2), (4, 8, 8)),
    "FractionalMaxPool2d": (lambda: nn.FractionalMaxPool2d(2, 4), (4, 8, 8)),
    "AdaptiveAvgPool1d": (lambda: nn.AdaptiveAvgPool1d(3), (4, 8)),
    "AdaptiveAvgPool2d": (lambda: nn.AdaptiveAvgPool2d(3), (4, 8, 8)),
    "AdaptiveMaxPool1d": (lambda: nn.AdaptiveMaxPool1d(3), (4, 8)),
    "AdaptiveMaxPool2d": (lambda: nn.AdaptiveMaxPool2d(3), (4, 8, 8)),
    "ReflectionPad2d": (lambda: nn.ReflectionPad2d(1), (4, 8, 8)),
    "ReplicationPad1d": (lambda: nn.ReplicationPad1d(1), (4, 8)),
    "CircularPad2d": (lambda: nn.CircularPad2d(1), (4, 8, 8)),
    "ZeroPad2d": (lambda: nn.ZeroPad2d(1), (4, 8, 8)),
    "Upsample nearest": (lambda: nn.Upsample(scale_factor=2), (4, 8, 8)),
    "Upsample bilinear": (lambda: nn.Upsample(scale_factor=2, mode="bilinear"), (4, 8, 8)),
    "Upsample bicubic": (lambda: nn.Upsample(scale_factor=2, mode="bicubic"), (4, 8, 8)),
    "PixelShuffle": (lambda: nn.PixelShuffle(2), (4, 8, 8)),
    "ChannelShuffle": (lambda: nn.ChannelShuffle(2), (4, 8, 8)),
    "Unfold": (lambda: nn.Unfold(3), (4, 8, 8)),
    "Fold": (lambda: nn.Fold(8, 3), (36, 36)),
    "Flatten": (nn.Flatten, (4, 8)),
    "Softmax": (lambda: nn.Softmax(-1), (4, 8)),
    "Softmax2d": (nn.Softmax2d, (4, 8, 8)),
    "LogSoftmax": (lambda: nn.LogSoftmax(-1), (8,)),
    "GLU": (nn.GLU, (8,)),
    "PReLU": (lambda: nn.PReLU(4), (4, 8)),
    "RReLU": (nn.RReLU, (4, 8)),
    "GELU": (nn.GELU, (8,)),
    "Dropout": (nn.Dropout, (8,)),
    "Dropout2d": (nn.Dropout2d, (4, 8, 8)),
    "AlphaDropout": (nn.AlphaDropout, (8,)),
    "RNN": (lambda: _First(nn.RNN(4, 3, batch_first=True)), (5, 4)),
    "GRU": (lambda: _First(nn.GRU(4, 3, 2, batch_first=True)), (5, 4)),
    "LSTM": (lambda: _First(nn.LSTM(4, 3, bidirectional=True, batch_first=True)), (5, 4)),
    "GRUCell": (lambda: nn.GRUCell(4, 3), (4,)),
    "LSTMCell": (lambda: _First(nn.LSTMCell(4, 3)), (4,)),
    "MultiheadAttention": (lambda: _Attention(), (5, 4)),
    "TransformerEncoderLayer": (
        lambda: nn.TransformerEncoderLayer(4, 2, 8, batch_first=True),
        (5, 4),
    ),
    "CosineSimilarity": (lambda: _Pair(nn.CosineSimilarity()), (4, 8)),
    "PairwiseDistance": (lambda: _Pair(nn.PairwiseDistance()), (4,)),
}


class _First(nn.Module):
    def __init__(self, layer):
        super().__init__()
        self.layer = layer

    def forward(self, x):
        return self.layer(x)[0]


class _Pair(_First):
    def forward(self, x):
        return self.layer(x, x)


class _Attention(_First):
    def __init__(self):
        super().__init__(nn.MultiheadAttention(4, 2, batch_first=True))

    def forward(self, x):
        return self.layer(x, x, x)[0]


@pytest.mark.parametrize("name", LAYERS)
def test_a_batch_without_samples_has_gradients_of_zero(name):
    make, shape = LAYERS[name]
    layer = make()
    one = layer(torch.ones(2, *shape))
    x = torch.ones(0, *shape, requires_grad=True)
    out = layer(x)
    assert out.shape == (0, *one.shape[1:])
    out.sum().backward()
    assert x.grad.shape == x.shape
    for key, p in layer.named_parameters():
        assert p.grad is None or not p.grad.count_nonzero(), (key, p.grad)
