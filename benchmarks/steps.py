"""Whole training steps, each taken in several ways.

In ``STEPS[name] = Step(...)``, ``model(torch)`` builds the network, ``batch(torch)`` makes an input
and a target, and ``optimizer(torch, parameters)`` makes the optimizer; ``torch`` is a framework
with PyTorch's API. ``jax_steps.py`` has the same steps in JAX. The steps go through ``BATCHES``
batches again and again, as in training. With a single batch, units would die and the optimizer's
state would decay to denormal numbers, with which some processors are slow.
"""

import importlib
from itertools import cycle, pairwise
from typing import Any, NamedTuple

GPT_LAYERS, GPT_WIDTH, GPT_HEADS, GPT_CONTEXT, GPT_VOCABULARY = 4, 128, 4, 64, 65
LSTM_INPUT, LSTM_WIDTH = 32, 64
BATCHES = 16


class Step(NamedTuple):
    """One row of the table: functions that make the network, a batch and the optimizer."""

    model: Any
    batch: Any
    optimizer: Any
    target: float  # the ratio to the best peer's time that should not be exceeded


def mlp(*sizes):
    """Linear layers with ReLU between them."""

    def build(torch):
        nn = torch.nn
        layers = []
        for n, m in pairwise(sizes):
            layers += [nn.Linear(n, m), nn.ReLU()]
        return nn.Sequential(*layers[:-1])

    return build


def mnist_cnn(torch):
    """Two 3×3 convolutions of 32 and 64 channels, pooling, and a hidden layer of 128 units."""
    nn = torch.nn
    return nn.Sequential(
        nn.Conv2d(1, 32, 3), nn.ReLU(), nn.Conv2d(32, 64, 3), nn.ReLU(), nn.MaxPool2d(2),
        nn.Flatten(), nn.Linear(9216, 128), nn.ReLU(), nn.Linear(128, 10),
    )  # fmt: skip


def gpt(torch):
    """A decoder-only transformer with learned positions; logits of shape (tokens, vocabulary)."""
    nn, width = torch.nn, GPT_WIDTH

    class Block(nn.Module):
        def __init__(self):
            super().__init__()
            self.norm1, self.norm2 = nn.LayerNorm(width), nn.LayerNorm(width)
            self.qkv, self.out = nn.Linear(width, 3 * width), nn.Linear(width, width)
            self.up, self.down = nn.Linear(width, 4 * width), nn.Linear(4 * width, width)

        def forward(self, x):
            b, t, c = x.shape
            heads = self.qkv(self.norm1(x)).view(b, t, 3, GPT_HEADS, c // GPT_HEADS)
            q, k, v = heads.permute(2, 0, 3, 1, 4).unbind(0)
            y = nn.functional.scaled_dot_product_attention(q, k, v, is_causal=True)
            x = x + self.out(y.transpose(1, 2).reshape(b, t, c))
            return x + self.down(nn.functional.gelu(self.up(self.norm2(x))))

    class GPT(nn.Module):
        def __init__(self):
            super().__init__()
            self.token = nn.Embedding(GPT_VOCABULARY, width)
            self.place = nn.Embedding(GPT_CONTEXT, width)
            self.blocks = nn.Sequential(*[Block() for _ in range(GPT_LAYERS)])
            self.norm = nn.LayerNorm(width)
            self.head = nn.Linear(width, GPT_VOCABULARY, bias=False)

        def forward(self, tokens):
            x = self.token(tokens) + self.place(torch.arange(tokens.shape[1]))
            return self.head(self.norm(self.blocks(x))).flatten(0, 1)

    return GPT()


def lstm(torch):
    """An LSTM and a linear layer on its last state."""
    nn = torch.nn

    class Model(nn.Module):
        def __init__(self):
            super().__init__()
            layer = getattr(nn, "LSTM", None)
            self.lstm = layer(LSTM_INPUT, LSTM_WIDTH, batch_first=True) if layer else gates(torch)
            self.head = nn.Linear(LSTM_WIDTH, 10)

        def forward(self, x):
            return self.head(self.lstm(x)[0][:, -1])

    return Model()


def gates(torch):
    """The computation of ``nn.LSTM``, written out for a framework that lacks ``nn.LSTM``."""
    nn = torch.nn

    class Gates(nn.Module):
        def __init__(self):
            super().__init__()
            self.input = nn.Linear(LSTM_INPUT, 4 * LSTM_WIDTH)
            self.hidden = nn.Linear(LSTM_WIDTH, 4 * LSTM_WIDTH)

        def forward(self, x):
            h = c = torch.zeros(x.shape[0], LSTM_WIDTH)
            found = []
            for drive in self.input(x).unbind(1):
                i, f, g, o = (drive + self.hidden(h)).chunk(4, 1)
                c = f.sigmoid() * c + i.sigmoid() * g.tanh()
                h = o.sigmoid() * c.tanh()
                found.append(h)
            return torch.stack(found, 1), (h, c)

    return Gates()


def vectors(*shape, classes=10):
    """Normal numbers of this shape, and a random class for each index of the first dim."""
    return lambda torch: (torch.randn(*shape), torch.randint(0, classes, shape[:1]))


def text(torch):
    """12 texts of 64 random tokens, and for each token the next token of its text."""
    tokens = torch.randint(0, GPT_VOCABULARY, (12, GPT_CONTEXT + 1))
    return tokens[:, :-1].contiguous(), tokens[:, 1:].flatten()


def sgd(torch, parameters):
    return torch.optim.SGD(parameters, lr=0.01)


def adam(torch, parameters):
    return torch.optim.Adam(parameters, lr=1e-3)


def adamw(torch, parameters):
    return torch.optim.AdamW(parameters, lr=1e-3, weight_decay=0.01)


STEPS = {
    "4-8-2, batch 1, SGD": Step(mlp(4, 8, 2), vectors(1, 4, classes=2), sgd, 0.5),
    "4-64-64-2, batch 32, Adam": Step(mlp(4, 64, 64, 2), vectors(32, 4, classes=2), adam, 0.5),
    "784-128-10, batch 64, Adam": Step(mlp(784, 128, 10), vectors(64, 784), adam, 0.7),
    "784-1024-1024-10, batch 128, Adam": Step(
        mlp(784, 1024, 1024, 10), vectors(128, 784), adam, 0.95
    ),
    "MNIST CNN, batch 64, Adam": Step(mnist_cnn, vectors(64, 1, 28, 28), adam, 0.65),
    "GPT, 4 layers of width 128, 4 heads, context 64, batch 12, AdamW": Step(gpt, text, adamw, 0.7),
    "LSTM 32→64, 32 steps, batch 16, Adam": Step(lstm, vectors(16, 32, LSTM_INPUT), adam, 0.5),
}


# The ways to take a step --------------------------------------------------------------------


def parts(torch, row, compile=lambda model: model):
    """(model, optimizer, batches, criterion) of a row under a framework."""
    step = STEPS[row]
    torch.manual_seed(0)
    model = step.model(torch)
    optimizer = step.optimizer(torch, model.parameters())
    batches = [step.batch(torch) for _ in range(BATCHES)]
    return compile(model), optimizer, batches, torch.nn.CrossEntropyLoss()


def stepping(model, optimizer, batches, criterion):
    """Return (a training step as users write it, the batches to call it with)."""

    def step(x, y):
        optimizer.zero_grad()
        loss = criterion(model(x), y)
        loss.backward()
        optimizer.step()
        return loss

    return step, batches


def eager(framework, row):
    return stepping(*parts(importlib.import_module(framework), row))


def whole(row):
    """rushlight's whole step as one program."""
    import rushlight as torch

    step, batches = stepping(*parts(torch, row))
    return torch.compile(step, fullgraph=True), batches


def compiled_model(row):
    """A step that compiles only the network and its backward, as users of PyTorch do.

    The loss and the optimizer's step stay eager.
    """
    import torch

    return stepping(*parts(torch, row, compile=torch.compile))


def jitted(row):
    """The whole step under ``jax.jit``, with donated parameters and optimizer state."""
    from benchmarks import jax_steps

    return jax_steps.stepping(row)


WAYS = {
    "rushlight": lambda row: eager("rushlight", row),
    "compiled": whole,
    "PyTorch": lambda row: eager("torch", row),
    "torch.compile": compiled_model,
    "JAX jit": jitted,
}
PEERS = ("PyTorch", "torch.compile", "JAX jit")
COMPILERS = ("compiled", "torch.compile", "JAX jit")


def start(way, row):
    """A function that takes one step, each time on the next batch."""
    return taking(*WAYS[way](row))


def taking(step, batches):
    """A function that takes one step on the next batch."""
    following = cycle(batches)
    return lambda: step(*next(following))
