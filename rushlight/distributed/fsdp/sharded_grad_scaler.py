"""The scaler of gradients of divided parameters: in one process the ordinary one."""

from rushlight.amp.grad_scaler import GradScaler

__all__ = ["ShardedGradScaler"]


class ShardedGradScaler(GradScaler):
    """``torch.amp.GradScaler``, for parameters that are divided among processes.

    Args:
        device: The type of device.
        init_scale, growth_factor, backoff_factor, growth_interval, enabled: As of ``GradScaler``.
        process_group: Accepted without effect.
    """

    def __init__(
        self, device="cuda", init_scale=2.0**16, backoff_factor=0.5, growth_factor=2.0,
        growth_interval=2000, enabled=True, process_group=None,
    ):  # fmt: skip
        super().__init__(
            device, init_scale, growth_factor, backoff_factor, growth_interval, enabled
        )
