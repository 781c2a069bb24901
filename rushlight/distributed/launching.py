"""Starting a program as the one process of a world, with the variables that torchrun sets."""

import contextlib
import os
import socket
import uuid

__all__ = ["refuse_several", "variables", "variables_set"]


def refuse_several(nodes, processes):
    """Raise unless there is one machine with one process."""
    if nodes * processes > 1:
        raise RuntimeError(
            f"torch.distributed.run: {nodes} machines with {processes} processes each: rushlight "
            "has no transport between processes yet. Use --nnodes=1 --nproc-per-node=1"
        )


def variables(address=None, port=None, run_id=None, restarts=0, max_restarts=0):
    """Return the variables of the environment that torchrun sets for one process."""
    if not port:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
    return {
        "RANK": "0", "LOCAL_RANK": "0", "WORLD_SIZE": "1", "LOCAL_WORLD_SIZE": "1",
        "GROUP_RANK": "0", "GROUP_WORLD_SIZE": "1", "ROLE_RANK": "0", "ROLE_WORLD_SIZE": "1",
        "ROLE_NAME": "default", "MASTER_ADDR": address or "127.0.0.1", "MASTER_PORT": str(port),
        "TORCHELASTIC_RUN_ID": run_id or uuid.uuid4().hex,
        "TORCHELASTIC_RESTART_COUNT": str(restarts),
        "TORCHELASTIC_MAX_RESTARTS": str(max_restarts),
    }  # fmt: skip


@contextlib.contextmanager
def variables_set(values):
    """A context with variables in the environment."""
    before = {name: os.environ.get(name) for name in values}
    os.environ.update(values)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value
