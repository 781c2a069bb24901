"""torch.utils.data.datapipes.utils: what the steps share."""
