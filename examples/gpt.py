"""A character-level GPT learns a page of text, and writes on from a few words.

A decoder-only transformer, small but whole: embeddings of characters and places, blocks of causal
attention and a perceptron, tied weights, and sampling with a temperature and the k likeliest.
"""

import argparse
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import nn

TEXT = (Path(__file__).parent / "data" / "lighthouse.txt").read_text(encoding="utf-8")
ALPHABET = sorted(set(TEXT))
LENGTH = 48  # how many characters the model sees


def encode(text):
    """The numbers of the characters, as a tensor."""
    return torch.tensor([ALPHABET.index(c) for c in text])


class Attention(nn.Module):
    """Causal self-attention with several heads."""

    def __init__(self, width, heads):
        super().__init__()
        self.heads = heads
        self.project = nn.Linear(width, 3 * width)
        self.out = nn.Linear(width, width)

    def forward(self, x):
        batch, length, width = x.shape
        parts = self.project(x).view(batch, length, 3, self.heads, width // self.heads)
        q, k, v = parts.permute(2, 0, 3, 1, 4)
        y = F.scaled_dot_product_attention(q, k, v, is_causal=True)
        return self.out(y.transpose(1, 2).reshape(batch, length, width))


class Block(nn.Module):
    """Attention and a perceptron, each added to what came in."""

    def __init__(self, width, heads):
        super().__init__()
        self.norm1, self.attention = nn.LayerNorm(width), Attention(width, heads)
        self.norm2 = nn.LayerNorm(width)
        self.perceptron = nn.Sequential(
            nn.Linear(width, 4 * width), nn.GELU(), nn.Linear(4 * width, width)
        )

    def forward(self, x):
        x = x + self.attention(self.norm1(x))
        return x + self.perceptron(self.norm2(x))


class GPT(nn.Module):
    """A decoder-only transformer over characters."""

    def __init__(self, width=64, heads=4, depth=2):
        super().__init__()
        self.characters = nn.Embedding(len(ALPHABET), width)
        self.places = nn.Embedding(LENGTH, width)
        self.blocks = nn.Sequential(*[Block(width, heads) for _ in range(depth)])
        self.norm = nn.LayerNorm(width)
        self.head = nn.Linear(width, len(ALPHABET), bias=False)
        self.head.weight = self.characters.weight  # one matrix reads and writes characters
        for embedding in (self.characters, self.places):
            nn.init.normal_(embedding.weight, std=0.1)

    def forward(self, tokens):
        x = self.characters(tokens) + self.places(
            torch.arange(tokens.shape[1], device=tokens.device)
        )
        return self.head(self.norm(self.blocks(x)))


@torch.no_grad()
def write(model, text, n, temperature=0.7, likeliest=8):
    """``text`` and ``n`` characters that the model writes after it."""
    model.eval()
    tokens = encode(text).to(model.head.weight.device)
    for _ in range(n):
        logits = model(tokens[None, -LENGTH:])[0, -1] / temperature
        best, which = logits.topk(likeliest)
        chosen = which[torch.multinomial(F.softmax(best, dim=-1), 1)]
        tokens = torch.cat([tokens, chosen])
    return "".join(ALPHABET[t] for t in tokens.tolist())


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--compile", action="store_true", help="compile the training step")
    parser.add_argument("--device", default="cpu", help="where to compute, such as cuda")
    parser.add_argument("--steps", type=int, default=400, help="steps of training")
    options = parser.parse_args()
    device = torch.device(options.device)

    torch.manual_seed(0)
    text = encode(TEXT)
    model = GPT().to(device)
    optimizer = torch.optim.AdamW(model.parameters(), lr=2e-3, weight_decay=0.01)
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: min(1, (step + 1) / 50))
    print(f"{len(text)} characters, {len(ALPHABET)} different,", end=" ")
    print(f"{sum(p.numel() for p in model.parameters())} parameters")

    def step(windows):
        logits = model(windows[:, :-1])
        loss = F.cross_entropy(logits.flatten(0, 1), windows[:, 1:].flatten())
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        return loss

    if options.compile:
        step = torch.compile(step)

    for i in range(1, options.steps + 1):
        starts = torch.randint(len(text) - LENGTH, (16,))
        loss = step(text[starts[:, None] + torch.arange(LENGTH + 1)].to(device))
        schedule.step()
        if i % 50 == 0:
            print(f"step {i}: loss {loss.item():.4f}")

    print(write(model, "The keeper", 150))


if __name__ == "__main__":
    main()
