"""Have PyTorch save the files of the tests: ``python -m tests.golden.make_serialization``."""

import torch

from tests.serialization.test_legacy import GOLDEN as LEGACY
from tests.serialization.test_legacy import content as old_content
from tests.test_serialization import GOLDEN, content

if __name__ == "__main__":
    torch.save(content(torch), GOLDEN)
    torch.save(old_content(torch), LEGACY, _use_new_zipfile_serialization=False)
