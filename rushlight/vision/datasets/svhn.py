"""Street View House Numbers."""

import os

import numpy as np

from rushlight.vision.datasets.arrays import ArrayDataset
from rushlight.vision.datasets.utils import absent, check_integrity, verify_str_arg

__all__ = ["SVHN"]

_URL = "http://ufldl.stanford.edu/housenumbers/"


class SVHN(ArrayDataset):
    """Photographs of digits of house numbers, 32×32, in the files ``root/train_32x32.mat``, ….

    ``data`` is an array (N, 3, 32, 32) of bytes, and ``labels`` an array (N,) of int64. A sample is
    a Pillow image and an int.

    Args:
        split: ``"train"`` (default), ``"test"`` or ``"extra"``.
        download: Nothing is downloaded; accepted without effect. Default: False.

    Raises:
        RuntimeError: The file is missing or differs from the published file.
        ValueError: There is no such split.

    Source: Netzer et al. 2011, http://ufldl.stanford.edu/housenumbers/

    >>> from rushlight.vision.datasets import SVHN
    >>> SVHN.split_list["test"][1]
    'test_32x32.mat'
    """

    split_list = {
        name: [f"{_URL}{name}_32x32.mat", f"{name}_32x32.mat", md5]
        for name, md5 in (
            ("train", "e26dedcc434d2e4c54c9b2d4a06d8373"),
            ("test", "eb5a983be6a315427106f1b164d9cef3"),
            ("extra", "a93ce644f1a588dc4d68dda5feec44a7"),
        )
    }

    def __init__(self, root, split="train", transform=None, target_transform=None, download=False):
        from scipy.io import loadmat

        super().__init__(root, transform=transform, target_transform=target_transform)
        self.split = verify_str_arg(split, "split", tuple(self.split_list))
        self.url, self.filename, self.file_md5 = self.split_list[split]
        path = os.path.join(self.root, self.filename)
        if not check_integrity(path, self.file_md5):
            files = [f"{self.filename}  (MD5 {self.file_md5})"]
            raise absent("SVHN", self.root, files, self.url)
        content = loadmat(path)
        self.data = content["X"].transpose(3, 2, 0, 1)
        self.labels = content["y"].astype(np.int64).reshape(-1) % 10  # the file says 10 for 0
