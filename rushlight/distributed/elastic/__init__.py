"""What starts processes again. rushlight starts one (``torch.distributed.run``)."""
