"""The same script with the same seed gives the same losses under PyTorch and under rushlight."""

import numpy as np
import pytest

import rushlight


def mlp(torch):
    nn = torch.nn
    return nn.Sequential(
        nn.Linear(8, 32), nn.Tanh(), nn.Linear(32, 16), nn.ReLU(), nn.Linear(16, 3)
    )


def cnn(torch):
    nn = torch.nn
    # A bias before batch norm has no slope but rounding errors, which Adam makes steps of.
    return nn.Sequential(
        nn.Conv2d(1, 8, 3, padding=1, bias=False), nn.BatchNorm2d(8), nn.ReLU(), nn.MaxPool2d(2), nn.Dropout2d(0.2),
        nn.Conv2d(8, 12, 3), nn.ReLU(), nn.Flatten(), nn.Dropout(0.3), nn.Linear(48, 3),
    )  # fmt: skip


def embedding(torch):
    nn = torch.nn

    class Bag(nn.Module):
        def __init__(self):
            super().__init__()
            self.table = nn.Embedding(20, 12, padding_idx=0)
            self.norm = nn.LayerNorm(12)
            self.out = nn.Linear(12, 3)

        def forward(self, i):
            return self.out(torch.nn.functional.gelu(self.norm(self.table(i).mean(1))))

    return Bag()


MODELS = {"mlp": mlp, "cnn": cnn, "embedding": embedding}
OPTIMIZERS = {
    "sgd": lambda torch, p: torch.optim.SGD(p, lr=0.05, momentum=0.9, weight_decay=1e-3),
    "adam": lambda torch, p: torch.optim.Adam(p, lr=3e-3),
}


def inputs(torch, name, n):
    if name == "cnn":
        return torch.randn(n, 1, 8, 8)
    if name == "embedding":
        return torch.randint(0, 20, (n, 5))
    return torch.randn(n, 8)


def losses(torch, name, optimizer, steps=50, compiled=False):
    """The loss of each of ``steps`` steps on batches that a DataLoader shuffles."""
    torch.manual_seed(3)
    model = MODELS[name](torch)
    x = inputs(torch, name, 48)
    y = torch.randint(0, 3, (48,))
    opt = OPTIMIZERS[optimizer](torch, model.parameters())
    loader = torch.utils.data.DataLoader(
        torch.utils.data.TensorDataset(x, y), batch_size=16, shuffle=True
    )

    def step(x, y):
        opt.zero_grad()
        loss = torch.nn.functional.cross_entropy(model(x), y)
        loss.backward()
        opt.step()
        return loss

    if compiled:
        step = torch.compile(step)
    found = []
    while len(found) < steps:
        for x, y in loader:
            found.append(step(x, y).item())
    return np.array(found[:steps])


CASES = [(m, o) for m in MODELS for o in OPTIMIZERS]


@pytest.fixture(scope="module")
def recorded():
    from tests.golden.losses import load

    return load()


@pytest.mark.parametrize("name, optimizer", CASES)
def test_recorded_losses(name, optimizer, recorded):
    np.testing.assert_allclose(
        losses(rushlight, name, optimizer), recorded[f"{name}/{optimizer}"], rtol=1e-4
    )


@pytest.mark.parametrize("name, optimizer", CASES)
def test_compiled_step_gives_the_same_losses(name, optimizer, recorded):
    np.testing.assert_allclose(
        losses(rushlight, name, optimizer, compiled=True),
        recorded[f"{name}/{optimizer}"],
        rtol=1e-4,
    )


@pytest.mark.parity
@pytest.mark.parametrize("name, optimizer", CASES)
def test_live_losses(name, optimizer):
    torch = pytest.importorskip("torch")
    np.testing.assert_allclose(
        losses(rushlight, name, optimizer), losses(torch, name, optimizer), rtol=1e-4
    )
