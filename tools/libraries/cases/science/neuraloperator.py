"""Fourier neural operators (dense, Tucker, U-shaped, 1-d) are trained on functions."""

requires = ["neuraloperator"]


def run():
    """Return named numbers or texts, which PyTorch's run is compared with."""
    import torch
    from neuralop.layers.embeddings import GridEmbedding2D
    from neuralop.losses import H1Loss, LpLoss
    from neuralop.models import FNO, TFNO, UNO

    def train(net, x, y, loss_of):
        optimizer = torch.optim.AdamW(net.parameters(), lr=1e-2, weight_decay=1e-4)
        schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, T_max=5)
        losses = []
        for _ in range(4):
            optimizer.zero_grad()
            loss = loss_of(net(x), y)
            loss.backward()
            optimizer.step()
            schedule.step()
            losses.append(loss.item())
        return losses

    x = torch.randn(4, 1, 16, 16)
    smooth = torch.fft.irfft2(torch.fft.rfft2(x) * torch.exp(-torch.arange(9.0)), s=(16, 16))
    results = {}
    nets = {
        "fno": FNO(n_modes=(6, 6), hidden_channels=8, in_channels=1, out_channels=1, n_layers=2),
        "tucker": TFNO(
            n_modes=(6, 6), hidden_channels=8, in_channels=1, out_channels=1, n_layers=2, rank=0.3
        ),
        "norm": FNO(
            n_modes=(4, 4),
            hidden_channels=8,
            in_channels=1,
            out_channels=1,
            n_layers=2,
            norm="instance_norm",
            use_channel_mlp=True,
            separable=False,
        ),
        "uno": UNO(
            1,
            1,
            hidden_channels=8,
            uno_out_channels=[8, 8, 8],
            uno_n_modes=[[4, 4], [4, 4], [4, 4]],
            uno_scalings=[[1.0, 1.0], [0.5, 0.5], [2.0, 2.0]],
            n_layers=3,
            channel_mlp_skip="linear",
        ),
    }
    for name, net in nets.items():
        loss = H1Loss(d=2) if name == "fno" else LpLoss(d=2, p=2)
        results[name] = [train(net, x, smooth, loss), net(x)]
    with torch.no_grad():
        results["finer"] = nets["fno"](torch.randn(1, 1, 24, 24))
    line = FNO(
        n_modes=(5,),
        hidden_channels=8,
        in_channels=1,
        out_channels=1,
        n_layers=2,
        positional_embedding=None,
    )
    results["line"] = [train(line, x[:, :, 0], smooth[:, :, 0], LpLoss(d=1)), line(x[:, :, 0])]
    results["grid"] = GridEmbedding2D(in_channels=1)(x)[0, 1:, :2, :2]
    return results


tolerance = 1e-3
