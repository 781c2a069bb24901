"""Whole trainings, written as users write them, that the tests run eagerly and compiled.

Each takes ``step``, which wraps the function of a training step, and ``model``, which wraps a
Module: one of them compiles and the other does nothing, or neither does anything. It returns the
losses and the Modules and optimizers whose state must agree too.
"""

import math

import rushlight as torch
from rushlight import nn
from rushlight.nn import functional as F

STEPS = 50


def epochs(loader, steps=STEPS):
    """The batches of ``loader``, over and over."""
    while True:
        for batch in loader:
            yield batch
            steps -= 1
            if steps == 0:
                return


def batches(*tensors, size, shuffle=True):
    """The batches of 50 steps; the last one of each epoch may be smaller."""
    data = torch.utils.data.TensorDataset(*tensors)
    return epochs(torch.utils.data.DataLoader(data, batch_size=size, shuffle=shuffle))


def mlp(step, model):
    """Classification, SGD with momentum, a stepped rate, a smaller last batch."""
    net = nn.Sequential(nn.Linear(6, 32), nn.Tanh(), nn.Linear(32, 16), nn.ReLU(), nn.Linear(16, 3))
    forward = model(net)
    opt = torch.optim.SGD(net.parameters(), lr=0.1, momentum=0.9, nesterov=True, weight_decay=1e-3)
    schedule = torch.optim.lr_scheduler.StepLR(opt, 10, 0.5)

    @step
    def train(x, y):
        opt.zero_grad()
        out = forward(x)
        loss = F.cross_entropy(out, y, label_smoothing=0.1)
        loss.backward()
        opt.step()
        return loss, (out.argmax(1) == y).sum()

    x = torch.randn(56, 6)
    losses, right = [], []
    for xb, yb in batches(x, x[:, :3].argmax(1), size=16):
        loss, hits = train(xb, yb)
        losses.append(loss.item())
        right.append(hits.item())
        schedule.step()
    assert sum(right[-20:]) > sum(right[:20])
    return losses, [net, opt]


class ConvNet(nn.Module):
    """Two convolutions with batch normalisation and dropout."""

    def __init__(self):
        super().__init__()
        self.conv1 = nn.Conv2d(1, 6, 3, padding=1, bias=False)
        self.norm1 = nn.BatchNorm2d(6)
        self.conv2 = nn.Conv2d(6, 8, 3, stride=2)
        self.norm2 = nn.BatchNorm2d(8, momentum=0.2)
        self.drop = nn.Dropout(0.2)
        self.head = nn.Linear(8, 3)

    def forward(self, x):
        x = F.max_pool2d(F.relu(self.norm1(self.conv1(x))), 2)
        # Right before the norm, the bias would have no gradient but rounding, which Adam magnifies.
        x = self.norm2(F.silu(self.conv2(x)))
        return self.head(self.drop(x.mean((2, 3))))


def cnn(step, model):
    """Batch statistics, dropout, Adam, and an evaluation after every tenth step."""
    net = ConvNet()
    forward = model(net)
    opt = torch.optim.Adam(net.parameters(), lr=3e-3, betas=(0.8, 0.99), eps=1e-4)

    @step
    def train(x, y):
        loss = F.cross_entropy(forward(x), y)
        opt.zero_grad()
        loss.backward()
        opt.step()
        return loss

    @step
    def evaluate(x, y):
        with torch.no_grad():
            return F.cross_entropy(forward(x), y)

    y = torch.arange(36) % 3
    x = torch.randn(36, 1, 10, 10) + y.view(-1, 1, 1, 1)
    losses = []
    for i, (xb, yb) in enumerate(batches(x, y, size=12)):
        forward.train()
        losses.append(train(xb, yb).item())
        if i % 10 == 9:
            forward.eval()
            losses.append(evaluate(x, y).item())
    return losses, [net, opt]


class Block(nn.Module):
    """Attention and a two-layer network, each after a layer norm and around a shortcut."""

    def __init__(self, width, heads, context, written_out):
        super().__init__()
        self.heads, self.written_out = heads, written_out
        self.norm1, self.norm2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.qkv = nn.Linear(width, 3 * width)
        self.out = nn.Linear(width, width)
        self.mlp = nn.Sequential(
            nn.Linear(width, 4 * width), nn.GELU(), nn.Linear(4 * width, width), nn.Dropout(0.1)
        )
        self.register_buffer("mask", torch.tril(torch.ones(context, context)).bool())

    def attend(self, x):
        b, t, c = x.shape
        q, k, v = self.qkv(x).view(b, t, 3, self.heads, c // self.heads).permute(2, 0, 3, 1, 4)
        if self.written_out:
            scores = q @ k.transpose(-2, -1) / math.sqrt(q.size(-1))
            scores = scores.masked_fill(~self.mask[:t, :t], float("-inf"))
            y = F.softmax(scores, dim=-1) @ v
        else:
            y = F.scaled_dot_product_attention(q, k, v, is_causal=True)
        return self.out(y.transpose(1, 2).reshape(b, t, c))

    def forward(self, x):
        x = x + self.attend(self.norm1(x))
        return x + self.mlp(self.norm2(x))


class GPT(nn.Module):
    """A small language model: two blocks with attention written out, or one."""

    def __init__(self, vocabulary=11, width=16, heads=2, context=8, written_out=True):
        super().__init__()
        self.token = nn.Embedding(vocabulary, width)
        self.place = nn.Embedding(context, width)
        blocks = [Block(width, heads, context, written_out) for _ in range(1 + written_out)]
        self.blocks = nn.ModuleList(blocks)
        self.norm = nn.LayerNorm(width)
        self.head = nn.Linear(width, vocabulary, bias=False)
        if written_out:
            self.head.weight = self.token.weight

    def forward(self, tokens):
        x = self.token(tokens) + self.place(torch.arange(tokens.shape[1]))
        for block in self.blocks:
            x = block(x)
        return self.head(self.norm(x))


def gpt(step, model, written_out=True):
    """AdamW with two groups, clipped gradients, a warm-up and a cosine."""
    net = GPT(written_out=written_out)
    nn.init.normal_(net.token.weight, std=0.1)
    forward = model(net)
    parameters = list(net.parameters())
    groups = [
        {"params": [p for p in parameters if p.ndim > 1], "weight_decay": 0.1},
        {"params": [p for p in parameters if p.ndim < 2], "weight_decay": 0.0},
    ]
    opt = torch.optim.AdamW(groups, lr=3e-3, betas=(0.9, 0.95), eps=1e-6)
    rate = lambda i: min(1, (i + 1) / 5) * 0.5 * (1 + math.cos(math.pi * i / 60))
    schedule = torch.optim.lr_scheduler.LambdaLR(opt, rate)

    @step
    def train(text):
        logits = forward(text[:, :-1])
        loss = F.cross_entropy(logits.reshape(-1, logits.shape[-1]), text[:, 1:].reshape(-1))
        opt.zero_grad(set_to_none=True)
        loss.backward()
        norm = nn.utils.clip_grad_norm_(parameters, 1.0)
        opt.step()
        return loss, norm

    n = 20 if written_out else 24  # the last of the batches of 8 is smaller, or is not
    text = (torch.randint(0, 11, (n, 1)) + torch.arange(9) * torch.randint(1, 3, (n, 1))) % 11
    losses = []
    for (batch,) in batches(text, size=8):
        losses += [x.item() for x in train(batch)]
        schedule.step()
    assert losses[-2] < losses[0]
    return losses, [net, opt]


def gpt_fused_attention(step, model):
    """The same with ``scaled_dot_product_attention`` and a head of its own."""
    return gpt(step, model, written_out=False)


class Gates(nn.Module):
    """An LSTM written by hand, unrolled over the sequence."""

    def __init__(self, n, m):
        super().__init__()
        self.input, self.hidden = nn.Linear(n, 4 * m), nn.Linear(m, 4 * m, bias=False)
        self.read = nn.Linear(m, 1)

    def forward(self, x):
        h = c = torch.zeros(x.shape[0], self.hidden.in_features)
        for t in range(x.shape[1]):
            i, f, g, o = (self.input(x[:, t]) + self.hidden(h)).chunk(4, dim=1)
            c = torch.sigmoid(f) * c + torch.sigmoid(i) * torch.tanh(g)
            h = torch.sigmoid(o) * torch.tanh(c)
        return self.read(h).squeeze(1)


def lstm(step, model):
    """Regression on sequences of 12 steps, Adam with amsgrad, gradients clipped by value."""
    net = Gates(2, 8)
    forward = model(net)
    opt = torch.optim.Adam(net.parameters(), lr=5e-3, amsgrad=True, eps=1e-5)

    @step
    def train(x, y):
        opt.zero_grad()
        loss = F.smooth_l1_loss(forward(x), y)
        loss.backward()
        nn.utils.clip_grad_value_(net.parameters(), 0.05)
        opt.step()
        return loss

    x = torch.randn(48, 12, 2)
    losses = [train(*b).item() for b in batches(x, x[:, :, 0].mean(1), size=16)]
    return losses, [net, opt]


class AutoEncoder(nn.Module):
    """Convolutions down and back up, with noise on the way in."""

    def __init__(self):
        super().__init__()
        self.down = nn.Sequential(
            nn.Conv2d(1, 6, 3, stride=2, padding=1),
            nn.LeakyReLU(0.1),
            nn.Flatten(),
            nn.Linear(96, 5),
        )
        self.up = nn.Linear(5, 96)
        self.smooth = nn.Conv2d(6, 1, 3, padding=1)

    def forward(self, x):
        code = self.down(x + 0.1 * torch.randn_like(x))
        wide = F.softplus(self.up(code)).unflatten(1, (6, 4, 4))
        wide = wide.repeat_interleave(2, dim=2).repeat_interleave(2, dim=3)
        return torch.sigmoid(self.smooth(wide)), code


def autoencoder(step, model):
    """Noise drawn in the step, two outputs, RMSprop with momentum."""
    net = AutoEncoder()
    forward = model(net)
    opt = torch.optim.RMSprop(net.parameters(), lr=1e-3, momentum=0.5, centered=True, eps=1e-4)

    @step
    def train(x):
        opt.zero_grad()
        again, code = forward(x)
        loss = F.mse_loss(again, x) + 1e-3 * code.square().mean()
        loss.backward()
        opt.step()
        return loss

    images = torch.rand(24, 1, 8, 8).cumsum(3) / 8
    losses = [train(b).item() for (b,) in batches(images, size=8)]
    return losses, [net, opt]


def gan(step, model):
    """Two networks and two optimizers, in one step; samples detached for one of them."""
    made = nn.Sequential(nn.Linear(3, 16), nn.LeakyReLU(0.2), nn.Linear(16, 2))
    judge = nn.Sequential(nn.Linear(2, 16), nn.LeakyReLU(0.2), nn.Linear(16, 1))
    generate, tell = model(made), model(judge)
    opt_g = torch.optim.Adam(made.parameters(), lr=1e-3, betas=(0.5, 0.99), eps=1e-4)
    opt_d = torch.optim.SGD(judge.parameters(), lr=0.05)
    criterion = nn.BCEWithLogitsLoss()

    @step
    def train(real):
        ones, zeros = torch.ones(len(real), 1), torch.zeros(len(real), 1)
        fake = generate(torch.randn(len(real), 3))
        opt_d.zero_grad()
        loss_d = criterion(tell(real), ones) + criterion(tell(fake.detach()), zeros)
        loss_d.backward()
        opt_d.step()
        opt_g.zero_grad()
        loss_g = criterion(tell(fake), ones)
        loss_g.backward()
        opt_g.step()
        return loss_d, loss_g

    points = torch.randn(32, 2) * 0.3 + torch.tensor([1.0, -1.0])
    losses = [x.item() for (b,) in batches(points, size=16) for x in train(b)]
    return losses, [made, judge, opt_g, opt_d]


def unrolled(step, model):
    """Ten steps of a learned flow inside each step, with a penalty on its own gradient."""
    field = nn.Sequential(nn.Linear(3, 16), nn.Tanh(), nn.Linear(16, 2))
    forward = model(field)
    opt = torch.optim.Adagrad(field.parameters(), lr=0.03, eps=1e-6)

    @step
    def train(x, aim):
        opt.zero_grad()
        effort = 0.0
        for i in range(10):
            time = torch.full((len(x), 1), i / 10)
            v = forward(torch.cat([x, time], 1))
            x = x + 0.1 * v
            effort = effort + v.square().mean()
        loss = F.mse_loss(x, aim) + 0.01 * effort
        loss.backward()
        opt.step()
        return loss

    x = torch.randn(24, 2)
    losses = [train(*b).item() for b in batches(x, x.flip(1) + 1, size=24)]
    return losses, [field, opt]


def accumulated(step, model):
    """Gradients of two halves of a batch summed before one update."""
    net = nn.Sequential(nn.Linear(5, 12), nn.ELU(), nn.LayerNorm(12), nn.Linear(12, 2))
    forward = model(net)
    opt = torch.optim.AdamW(net.parameters(), lr=1e-2, eps=1e-5)

    @step
    def add(x, y):
        loss = F.huber_loss(forward(x), y) / 2
        loss.backward()
        return loss

    @step
    def update():
        opt.step()
        opt.zero_grad()

    x = torch.randn(32, 5)
    losses = []
    for i, batch in enumerate(batches(x, x[:, :2] * x[:, 2:4], size=8)):
        losses.append(add(*batch).item())
        if i % 2:
            update()
    return losses, [net, opt]


#: Each training, and the number of programs that compiling its steps, its Modules may record.
CASES = {
    mlp: (2, 2),  # the last batch is smaller
    cnn: (2, 2),  # training and evaluation
    gpt: (2, 2),  # likewise
    gpt_fused_attention: (1, 1),
    lstm: (1, 1),
    autoencoder: (1, 1),
    gan: (1, 3),  # the judge sees points with a history and without
    unrolled: (1, 2),  # the first input of ten has no history
    accumulated: (3, 1),  # the first half finds no gradient, the second does; the update
}
