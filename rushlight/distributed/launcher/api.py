"""Starting functions as the processes of a world. One process is this one."""

from dataclasses import dataclass, field
from typing import Any

from rushlight.distributed.launching import refuse_several, variables, variables_set

__all__ = ["LaunchConfig", "elastic_launch", "launch_agent"]


@dataclass
class LaunchConfig:
    """How many processes are started; the other options mean nothing for one."""

    min_nodes: int
    max_nodes: int
    nproc_per_node: int
    logs_specs: Any = None
    run_id: str = ""
    role: str = "default_role"
    rdzv_endpoint: str = ""
    rdzv_backend: str = "etcd"
    rdzv_configs: dict = field(default_factory=dict)
    rdzv_timeout: int = -1
    max_restarts: int = 3
    monitor_interval: float = 0.1
    start_method: str = "spawn"
    log_line_prefix_template: str | None = None
    metrics_cfg: dict = field(default_factory=dict)
    local_addr: str | None = None
    event_log_handler: str = "null"


class elastic_launch:
    """Calls a function as the one process of a world.

    Args:
        config: A ``LaunchConfig``.
        entrypoint: The function.
    """

    def __init__(self, config, entrypoint):
        self._config, self._entrypoint = config, entrypoint

    def __call__(self, *args):
        """Call the function; return a dict from the rank to its result."""
        return launch_agent(self._config, self._entrypoint, list(args))


def launch_agent(config, entrypoint, args):
    """Call a function as the one process of a world, with the variables that torchrun sets.

    Args:
        config: A ``LaunchConfig``.
        entrypoint: The function.
        args: Its arguments.

    Returns:
        Dict from the rank to the result.
    """
    refuse_several(config.min_nodes, config.nproc_per_node)
    with variables_set(variables(run_id=config.run_id or None)):
        return {0: entrypoint(*args)}
