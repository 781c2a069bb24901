"""States of optimizers whose parameters are divided: importable, and refused."""

from rushlight.distributed.absent import absent

__all__ = ["load_sharded_optimizer_state_dict"]

load_sharded_optimizer_state_dict = absent("checkpoint.optimizer.load_sharded_optimizer_state_dict")
