"""Self-supervised learning: SimCLR, BYOL, SwAV, VICReg, DINO and others on small networks."""

requires = ["lightly"]


def run():
    """Return the losses of each method, and gradients."""
    import copy

    import torch
    from lightly.loss import (
        BarlowTwinsLoss,
        DINOLoss,
        NegativeCosineSimilarity,
        NTXentLoss,
        SwaVLoss,
        VICRegLoss,
    )
    from lightly.models.modules import (
        BYOLPredictionHead,
        BYOLProjectionHead,
        DINOProjectionHead,
        SimCLRProjectionHead,
        SwaVProjectionHead,
        SwaVPrototypes,
    )
    from lightly.models.utils import deactivate_requires_grad, update_momentum
    from lightly.utils.scheduler import cosine_schedule

    def backbone():
        return torch.nn.Sequential(
            torch.nn.Conv2d(3, 8, 3, 2),
            torch.nn.BatchNorm2d(8),
            torch.nn.ReLU(),
            torch.nn.AdaptiveAvgPool2d(1),
            torch.nn.Flatten(),
        )

    found = {}
    views = torch.randn(2, 8, 3, 16, 16)
    torch.manual_seed(0)
    net, head = backbone(), SimCLRProjectionHead(8, 8, 6)
    z0, z1 = (head(net(v)) for v in views)
    for name, loss in {
        "SimCLR": NTXentLoss(),
        "with memory": NTXentLoss(memory_bank_size=(16, 6)),
        "Barlow twins": BarlowTwinsLoss(),
        "VICReg": VICRegLoss(),
        "cosine": NegativeCosineSimilarity(),
    }.items():
        value = loss(z0, z1)
        found[name] = [
            value,
            *torch.autograd.grad(value, list(net.parameters())[:1], retain_graph=True),
        ]

    net, project, predict = backbone(), BYOLProjectionHead(8, 8, 6), BYOLPredictionHead(6, 8, 6)
    slow, slow_project = copy.deepcopy(net), copy.deepcopy(project)
    deactivate_requires_grad(slow)
    deactivate_requires_grad(slow_project)
    parameters = [*net.parameters(), *project.parameters(), *predict.parameters()]
    optimizer, losses = torch.optim.SGD(parameters, 0.1), []
    for step in range(3):
        momentum = cosine_schedule(step, 3, 0.9, 1.0)
        update_momentum(net, slow, momentum)
        update_momentum(project, slow_project, momentum)
        targets = [slow_project(slow(v)).detach() for v in views]
        guesses = [predict(project(net(v))) for v in views]
        loss = (
            sum(
                NegativeCosineSimilarity()(g, t)
                for g, t in zip(guesses, targets[::-1], strict=True)
            )
            / 2
        )
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    found["BYOL"] = losses
    found["slow weight"] = slow[0].weight

    torch.manual_seed(1)
    net, project, prototypes = backbone(), SwaVProjectionHead(8, 8, 6), SwaVPrototypes(6, 5)
    prototypes.normalize()
    scores = [prototypes(torch.nn.functional.normalize(project(net(v)), dim=1)) for v in views]
    found["SwAV"] = SwaVLoss(sinkhorn_epsilon=0.1)(scores, [])
    net, project = backbone(), DINOProjectionHead(8, 8, 6, 10, freeze_last_layer=1)
    outputs = [project(net(v)) for v in views]
    dino = DINOLoss(10, warmup_teacher_temp_epochs=2)
    found["DINO"] = [dino([o.detach() for o in outputs], outputs, epoch=e) for e in range(2)]
    return found
