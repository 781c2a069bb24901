"""Gradients of each sample, and ensembles of networks: as one by one, and with no loop inside."""

import pytest

import rushlight as torch
from rushlight import nn
from rushlight.func import batching, functional_call, grad, vmap
from rushlight.nn import functional as F


class Outputs(nn.Module):
    """A recurrent layer, without its last state."""

    def __init__(self, layer):
        super().__init__()
        self.layer = layer

    def forward(self, x):
        return self.layer(x)[0]


class Attention(nn.MultiheadAttention):
    def forward(self, x):
        return super().forward(x, x, x)[0]


def images(*after):
    return nn.Sequential(nn.Conv2d(1, 4, 3), *after), (1, 1, 8, 8)


#: Name → (network, shape of one sample); the indices of an embedding have the dtype int64.
NETWORKS = {
    "linear": lambda: (nn.Sequential(nn.Linear(8, 6), nn.GLU(), nn.LogSoftmax(-1)), (1, 8)),
    "embedding": lambda: (nn.Embedding(10, 3), (1, 5)),
    "bags": lambda: (nn.EmbeddingBag(10, 3), (2, 5)),
    "conv1d": lambda: (nn.Conv1d(3, 4, 3, stride=2, padding=1), (1, 3, 9)),
    "groups": lambda: (nn.Conv2d(4, 4, 3, groups=2, dilation=2, padding=2), (2, 4, 7, 7)),
    "depthwise": lambda: (nn.Conv2d(4, 4, 3, groups=4), (1, 4, 7, 7)),
    "conv3d": lambda: (nn.Conv3d(2, 3, 2), (1, 2, 4, 4, 4)),
    "transposed": lambda: (nn.ConvTranspose1d(3, 4, 3, stride=2, output_padding=1), (1, 3, 5)),
    "transposed groups": lambda: (nn.ConvTranspose2d(4, 4, 3, groups=2), (2, 4, 5, 5)),
    "group_norm": lambda: (nn.GroupNorm(2, 4), (1, 4, 5, 5)),
    "layer_norm": lambda: (nn.LayerNorm(5), (2, 5)),
    "instance_norm": lambda: (nn.InstanceNorm2d(4, affine=True), (1, 4, 5, 5)),
    "batch_norm": lambda: (nn.BatchNorm2d(4, track_running_stats=False), (3, 4, 5, 5)),
    "lstm": lambda: (Outputs(nn.LSTM(3, 5, 2, bidirectional=True, batch_first=True)), (1, 6, 3)),
    "gru": lambda: (Outputs(nn.GRU(3, 5, batch_first=True)), (1, 6, 3)),
    "attention": lambda: (Attention(8, 2, batch_first=True), (1, 6, 8)),
    "transformer": lambda: (nn.TransformerEncoderLayer(8, 2, 16, 0.0, batch_first=True), (1, 6, 8)),
    "max_pool": lambda: images(nn.MaxPool2d(2), nn.AdaptiveMaxPool2d(2)),
    "mean_pool": lambda: images(nn.AvgPool2d(2), nn.AdaptiveAvgPool2d(2), nn.LPPool2d(2, 1)),
    "resized": lambda: images(nn.Upsample(scale_factor=2, mode="bilinear"), nn.PixelShuffle(2)),
    "padded": lambda: images(nn.ReflectionPad2d(1), nn.Conv2d(4, 2, 3, padding_mode="circular")),
    "folded": lambda: (
        nn.Sequential(nn.Unfold(2), nn.Linear(9, 9), nn.Fold((4, 4), 2)), (1, 2, 4, 4)
    ),
    "weight_norm": lambda: (nn.utils.parametrizations.weight_norm(nn.Linear(8, 3)), (1, 8)),
}  # fmt: skip


@pytest.fixture(autouse=True)
def each_loop_warns():
    """Warnings are errors in these tests, and that of a loop comes once in a process."""
    batching._tell.cache_clear()


@pytest.mark.parametrize("ensemble", [False, True])
@pytest.mark.parametrize("name", NETWORKS)
def test_gradients(name, ensemble):
    torch.manual_seed(0)
    network, shape = NETWORKS[name]()
    indices = name in ("embedding", "bags")
    x = torch.randint(10, (3, *shape)) if indices else torch.randn(3, *shape)

    def loss(parameters, x):
        out = functional_call(network, parameters, (x,))
        return (out * torch.linspace(0, 1, out.numel()).reshape(out.shape)).tanh().sum()

    given = {k: torch.randn(3, *p.shape) * 0.3 for k, p in network.named_parameters()}
    if not ensemble:
        given = {k: p[0] for k, p in given.items()}
    found = vmap(grad(loss), (0 if ensemble else None, 0))(given, x)
    for i in range(3):
        own = {k: p[i] for k, p in given.items()} if ensemble else given
        for k, want in grad(loss)(own, x[i]).items():
            torch.testing.assert_close(found[k][i], want, rtol=1e-4, atol=1e-5, msg=k)


_ROWS = torch.rand(3, 5).sort(-1).values
_SQUARES = torch.eye(4) * 4 + torch.rand(3, 2, 4, 4)
CALLS = {
    "searchsorted": (torch.searchsorted, (_ROWS, torch.rand(3, 2, 6)[:, 0])),
    "bucketize": (lambda x: torch.bucketize(x, _ROWS[0]), (torch.rand(3, 2, 4),)),
    "its own boundaries": (torch.bucketize, (torch.rand(3, 2, 4), _ROWS)),
    "flip": (lambda x: x.flip(0, -1), (torch.rand(3, 2, 0, 4),)),
    "tril": (torch.tril, (torch.rand(3, 4, 4).to(torch.complex64),)),
    "cholesky_solve": (torch.cholesky_solve, (torch.rand(3, 4, 2), _SQUARES[:, 0].tril())),
}


@pytest.mark.parametrize("name", CALLS)
def test_calls(name):
    call, given = CALLS[name]
    found = vmap(call)(*given)
    assert torch.equal(found, torch.stack([call(*own) for own in zip(*given, strict=True)]))


def test_each_table_has_its_own_limits():
    """All tables are one for the rule, but no sample reads the rows of another one."""
    x, outside = torch.rand(3, 5, 2), torch.tensor([[0], [5], [0]])
    for wrong in (outside, outside - 1):
        batching._tell.cache_clear()
        with pytest.raises(IndexError, match="out of range"), pytest.warns(match="embedding"):
            vmap(F.embedding)(wrong, x)
