"""Small calls and small networks on one thread: each row sets up work under PyTorch's API.

In ``ROWS[name] = (setup, target)``, ``setup(torch)`` returns the function to time, and ``target``
is the ratio to PyTorch's time that rushlight should not exceed. No row records gradients, unless
its name says so.
"""

import importlib

__all__ = ["ROWS", "start"]


def call(expression, *shapes):
    """An expression of ``torch``, ``F`` and of random tensors ``x``, ``y`` and ``z``."""

    def setup(torch):
        given = dict(zip("xyz", [torch.randn(s) for s in shapes], strict=False))
        scope = {"torch": torch, "F": torch.nn.functional, **given}
        return eval(f"lambda: {expression}", scope)

    return setup


def forward(make, *shape):
    """A network's prediction."""

    def setup(torch):
        network, x = make(torch).eval(), torch.randn(shape)
        return lambda: network(x)

    return setup


def taped(make, *shape):
    """A network's prediction, and the gradients of its parameters and of its input."""

    def setup(torch):
        network, x = make(torch), torch.randn(shape).requires_grad_()

        def run():
            out = network(x)
            (out[0] if isinstance(out, tuple) else out).sum().backward()

        return torch.enable_grad()(run)

    return setup


def clipped(torch):
    """Clipping of the gradients of a network of twelve parameters."""
    network = torch.nn.Sequential(*[torch.nn.Linear(32, 32) for _ in range(6)])
    for p in network.parameters():
        p.grad = torch.randn(p.shape)
    return lambda: torch.nn.utils.clip_grad_norm_(network.parameters(), 1.0)


def drawn(torch):
    """Actions of a policy: a distribution is made, and draws 64 of 10 classes."""
    logits = torch.randn(64, 10)
    return lambda: torch.distributions.Categorical(logits=logits).sample()


def unet(torch):
    """A U-Net of three levels, with residual blocks and group norm."""
    nn = torch.nn

    class Block(nn.Module):
        def __init__(self, inner, outer):
            super().__init__()
            self.norm, self.conv = nn.GroupNorm(4, inner), nn.Conv2d(inner, outer, 3, padding=1)

        def forward(self, x):
            return self.conv(nn.functional.silu(self.norm(x)))

    class UNet(nn.Module):
        def __init__(self, width=16):
            super().__init__()
            self.first = nn.Conv2d(3, width, 3, padding=1)
            self.down = nn.ModuleList([Block(width << k, width << k + 1) for k in range(2)])
            self.middle = Block(4 * width, 4 * width)
            self.up = nn.ModuleList([Block(width << k + 2, width << k) for k in (1, 0)])
            self.last = nn.Conv2d(width, 3, 1)

        def forward(self, x):
            x, kept = self.first(x), []
            for block in self.down:
                x = block(x)
                kept.append(x)
                x = nn.functional.max_pool2d(x, 2)
            x = self.middle(x)
            for block in self.up:
                x = nn.functional.interpolate(x, scale_factor=2)
                x = block(torch.cat([x, kept.pop()], 1))
            return self.last(x)

    return UNet()


def vision(name):
    """A network of torchvision, or rushlight's own of this name."""

    def make(torch):
        package = "torchvision" if torch.__name__ == "torch" else "rushlight.vision"
        return getattr(importlib.import_module(package + ".models"), name)(num_classes=10)

    return make


def depthwise(torch):
    """A depthwise convolution."""
    return torch.nn.Conv2d(32, 32, 3, padding=1, groups=32)


def group_norm(torch):
    """A group norm."""
    return torch.nn.GroupNorm(8, 32)


def both_ways(torch):
    """A bidirectional LSTM."""
    return torch.nn.LSTM(32, 32, bidirectional=True)


GRID = "F.grid_sample(x, y, align_corners=False)"
CALLS = {
    "topk(5) of 32": call("x.topk(5)", (32,)),
    "topk(32) of 32×100": call("x.topk(32)", (32, 100)),
    "sort of 32": call("x.sort()", (32,)),
    "einsum bij,bjk->bik, 4×8×8": call("torch.einsum('bij,bjk->bik', x, y)", (4, 8, 8), (4, 8, 8)),
    "einsum bhqd,bhkd->bhqk": call(
        "torch.einsum('bhqd,bhkd->bhqk', x, y)", (2, 4, 16, 16), (2, 4, 16, 16)
    ),
    "grid_sample, 4×3×16×16": call(GRID, (4, 3, 16, 16), (4, 16, 16, 2)),
    "stack of eight": call("torch.stack((x, y, z, x, y, z, x, y))", (64,), (64,), (64,)),
    "where of 64": call("torch.where(x > 0, x, y)", (64,), (64,)),
    "matmul of 2×4×16×16": call("x @ y", (2, 4, 16, 16), (2, 4, 16, 16)),
    "layer_norm, 32×64": call("F.layer_norm(x, (64,), y, z)", (32, 64), (64,), (64,)),
    "depthwise conv2d, 32×14×14": forward(depthwise, 1, 32, 14, 14),
    "depthwise conv2d, 32×14×14, with gradients": taped(depthwise, 1, 32, 14, 14),
    "GroupNorm, 8×32×8×8, with gradients": taped(group_norm, 8, 32, 8, 8),
    "Categorical.sample, 64×10": drawn,
    "clip_grad_norm_ of 12 parameters": clipped,
    "bidirectional LSTM, 16×8×32": forward(both_ways, 16, 8, 32),
    "bidirectional LSTM, 16×8×32, with gradients": taped(both_ways, 16, 8, 32),
}
NETWORKS = {
    "U-Net, 1×3×64×64": forward(unet, 1, 3, 64, 64),
    "U-Net, 4×3×64×64, with gradients": taped(unet, 4, 3, 64, 64),
    "MobileNetV3-Small, 1×3×224×224": forward(vision("mobilenet_v3_small"), 1, 3, 224, 224),
    "ResNet-18, 1×3×224×224": forward(vision("resnet18"), 1, 3, 224, 224),
    "ResNet-18, 4×3×64×64, with gradients": taped(vision("resnet18"), 4, 3, 64, 64),
}
ROWS = {
    **{name: (setup, 1.2) for name, setup in CALLS.items()},
    **{name: (setup, 1.0) for name, setup in NETWORKS.items()},
}


def start(way, row):
    """The function to time for a row, under the framework whose module is called ``way``."""
    torch = importlib.import_module(way)
    torch.set_num_threads(1)
    torch.manual_seed(0)
    torch.set_grad_enabled(False)
    setup, _ = ROWS[row]
    return setup(torch)
