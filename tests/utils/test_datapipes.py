"""torch.utils.data.datapipes: the names are there, and no data set is a DataPipe."""

import pytest

from rushlight.utils.data.datapipes.iter.combinatorics import ShufflerIterDataPipe


def test_a_datapipe_cannot_be_made():
    assert not isinstance([1, 2], ShufflerIterDataPipe)
    with pytest.raises(NotImplementedError, match="ShufflerIterDataPipe"):
        ShufflerIterDataPipe([1, 2])
