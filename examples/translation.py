"""A transformer translates numbers from words into digits.

``nn.Transformer`` in full: an encoder reads "three hundred and five", a decoder writes "305", with
padding masks for both and a causal mask for what is being written. At the end it translates
greedily, digit by digit, numbers it has never seen.
"""

import argparse
import math
import random

import torch
from torch import nn

SMALL = [
    "zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven",
    "twelve", "thirteen", "fourteen", "fifteen", "sixteen", "seventeen", "eighteen", "nineteen",
]  # fmt: skip
TENS = ["twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety"]
PAD, BEGIN, END = 0, 1, 2
WORDS = ["<pad>", "<begin>", "<end>", *SMALL, *TENS, "hundred", "and"]
DIGITS = ["<pad>", "<begin>", "<end>", *"0123456789"]


def spelled(n):
    """The words of a number below a thousand.

    >>> " ".join(spelled(305))
    'three hundred and five'
    """
    if n >= 100:
        rest = ["and", *spelled(n % 100)] if n % 100 else []
        return [SMALL[n // 100], "hundred", *rest]
    if n < 20:
        return [SMALL[n]]
    return [TENS[n // 10 - 2], *([SMALL[n % 10]] if n % 10 else [])]


def padded(rows):
    """Rows of numbers as a tensor, filled up with PAD."""
    longest = max(map(len, rows))
    return torch.tensor([row + [PAD] * (longest - len(row)) for row in rows])


def batch(numbers):
    """(words in, digits out) for some numbers."""
    words = padded([[WORDS.index(w) for w in spelled(n)] for n in numbers])
    digits = padded([[BEGIN, *[DIGITS.index(d) for d in str(n)], END] for n in numbers])
    return words, digits


class Places(nn.Module):
    """Adds to each embedding sines and cosines of its place."""

    def __init__(self, width, longest=16):
        super().__init__()
        place = torch.arange(longest).unsqueeze(1)
        rate = torch.exp(torch.arange(0, width, 2) * (-math.log(1000.0) / width))
        table = torch.zeros(longest, width)
        table[:, 0::2], table[:, 1::2] = torch.sin(place * rate), torch.cos(place * rate)
        self.register_buffer("table", table)

    def forward(self, x):
        return x + self.table[: x.shape[1]]


class Translator(nn.Module):
    """Embeddings on both sides, a transformer between, and a score for each digit."""

    def __init__(self, width=32):
        super().__init__()
        self.words = nn.Sequential(nn.Embedding(len(WORDS), width, PAD), Places(width))
        self.digits = nn.Sequential(nn.Embedding(len(DIGITS), width, PAD), Places(width))
        self.transformer = nn.Transformer(
            width, nhead=4, num_encoder_layers=2, num_decoder_layers=2, dim_feedforward=64,
            dropout=0.0, batch_first=True,
        )  # fmt: skip
        self.head = nn.Linear(width, len(DIGITS))

    def forward(self, words, digits):
        padding = words == PAD
        n, device = digits.shape[1], digits.device
        later = nn.Transformer.generate_square_subsequent_mask(n, device=device) < 0
        found = self.transformer(
            self.words(words), self.digits(digits), tgt_mask=later,
            src_key_padding_mask=padding, memory_key_padding_mask=padding,
            tgt_key_padding_mask=digits == PAD,
        )  # fmt: skip
        return self.head(found)

    @torch.no_grad()
    def translate(self, numbers):
        """The digits, as text, that the model writes for some numbers given in words."""
        device = self.head.weight.device
        words = batch(numbers)[0].to(device)
        digits = torch.full((len(numbers), 1), BEGIN, device=device)
        for _ in range(4):
            following = self(words, digits)[:, -1].argmax(dim=-1, keepdim=True)
            digits = torch.cat([digits, following], dim=1)
        texts = ["".join(DIGITS[d] for d in row[1:]) for row in digits.tolist()]
        return [text.partition("<end>")[0] for text in texts]


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--compile", action="store_true", help="compile the training step")
    parser.add_argument("--device", default="cpu", help="where to compute, such as cuda")
    parser.add_argument("--steps", type=int, default=300, help="steps of training")
    options = parser.parse_args()
    device = torch.device(options.device)

    random.seed(0)
    torch.manual_seed(0)
    numbers = list(range(1000))
    random.shuffle(numbers)
    training, test = numbers[:800], numbers[800:]
    model = Translator().to(device)
    loss_of = nn.CrossEntropyLoss(ignore_index=PAD, label_smoothing=0.05)
    optimizer = torch.optim.Adam(model.parameters(), lr=2e-3)

    def step(words, digits):
        scores = model(words, digits[:, :-1])
        loss = loss_of(scores.flatten(0, 1), digits[:, 1:].flatten())
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        return loss

    if options.compile:
        step = torch.compile(step)

    for i in range(1, options.steps + 1):
        words, digits = batch(random.sample(training, 64))
        loss = step(words.to(device), digits.to(device))
        if i % 50 == 0:
            print(f"step {i}: loss {loss.item():.4f}")

    model.eval()
    written = model.translate(test)
    right = sum(text == str(n) for text, n in zip(written, test, strict=True))
    print(f"numbers never seen, translated right: {right / len(test):.2f}")
    for text, n in list(zip(written, test, strict=True))[:4]:
        print(f"{' '.join(spelled(n))}: {text}")


if __name__ == "__main__":
    main()
