"""A world of one, begun and ended around a test."""

import pytest

import rushlight
import rushlight.distributed as dist


def begin(torch):
    """Make the group of all processes in a package: rushlight or PyTorch."""
    torch.distributed.init_process_group(
        "gloo", store=torch.distributed.HashStore(), rank=0, world_size=1
    )


@pytest.fixture
def group():
    begin(rushlight)
    yield dist.group.WORLD
    if dist.is_initialized():
        dist.destroy_process_group()
