"""Have PyTorch save serialization.pt: ``python -m tests.golden.make_serialization``."""

import torch

from tests.test_serialization import GOLDEN, content

if __name__ == "__main__":
    torch.save(content(torch), GOLDEN)
