"""Models of images (ViT, Swin, ConvNeXT, DETR, CLIP, SegFormer …), image processors, pipelines."""

requires = ["transformers", "torchvision", "pillow"]

VIT = {
    "hidden_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "intermediate_size": 37,
    "image_size": 32,
    "patch_size": 8,
}
SWIN = {
    "image_size": 32,
    "patch_size": 2,
    "embed_dim": 16,
    "depths": [1, 2],
    "num_heads": [2, 4],
    "window_size": 4,
}
STAGES = {"hidden_sizes": [8, 16, 24, 32], "depths": [1, 1, 2, 1]}
KINDS = {
    "ViT": VIT,
    "DeiT": VIT,
    "Beit": VIT,
    "Dinov2": VIT,
    "Swin": SWIN,
    "Swinv2": SWIN,
    "ConvNext": STAGES,
    "ResNet": {"embedding_size": 8, **STAGES},
    "PoolFormer": STAGES,
}


def run():
    """Losses and gradients of classifiers; a detector, CLIP, a segmenter; processed images."""
    import numpy as np
    import torch
    import transformers as t
    from PIL import Image

    results = {}
    pixels = torch.randn(4, 3, 32, 32)
    for name, sizes in KINDS.items():
        torch.manual_seed(0)
        config = getattr(t, f"{name}Config")(**sizes)
        model = getattr(t, f"{name}ForImageClassification")(config)
        found = model(pixels, labels=torch.tensor([0, 1, 1, 0]))
        found.loss.backward()
        first = next(p for n, p in model.named_parameters() if p.ndim == 4)
        results[name] = {"loss": found.loss, "logits": found.logits, "gradient": first.grad}

    generator = np.random.RandomState(0)
    images = [
        Image.fromarray(generator.randint(0, 255, s, np.uint8)) for s in [(40, 52, 3), (64, 33, 3)]
    ]
    small = {"size": {"height": 32, "width": 32}}
    crop = {"size": {"shortest_edge": 32}, "crop_size": {"height": 28, "width": 28}}
    for processor in (
        t.ViTImageProcessor(**small),
        t.CLIPImageProcessor(**crop),
        t.SegformerImageProcessor(**small),
        t.DetrImageProcessor(size={"shortest_edge": 32, "longest_edge": 64}),
    ):
        results[type(processor).__name__] = processor(images, return_tensors="pt")["pixel_values"]

    torch.manual_seed(0)
    config = t.DetrConfig(
        backbone_config=t.ResNetConfig(embedding_size=8, out_features=["stage4"], **STAGES),
        use_timm_backbone=False, use_pretrained_backbone=False, backbone=None, d_model=32,
        encoder_layers=2, decoder_layers=2, encoder_attention_heads=4, decoder_attention_heads=4,
        encoder_ffn_dim=37, decoder_ffn_dim=37, num_queries=6, num_labels=5, auxiliary_loss=True,
    )  # fmt: skip
    detector = t.DetrForObjectDetection(config)
    targets = [
        {"class_labels": torch.tensor([1, 2]), "boxes": torch.rand(2, 4)},
        {"class_labels": torch.tensor([3]), "boxes": torch.rand(1, 4)},
    ]
    found = detector(torch.randn(2, 3, 64, 64), labels=targets)
    found.loss.backward()
    results["DETR"] = {"loss": found.loss, "parts": found.loss_dict, "boxes": found.pred_boxes}
    processor = t.DetrImageProcessor(size={"shortest_edge": 32, "longest_edge": 64})
    detect = t.pipeline("object-detection", model=detector.eval(), image_processor=processor)
    results["detected"] = detect(images[0], threshold=0.0)

    text = {**SIZE_OF_TEXT, "eos_token_id": 98}
    model = t.CLIPModel(t.CLIPConfig(text_config=text, vision_config=VIT, projection_dim=16))
    ids = torch.randint(3, 97, (4, 8))
    ids[:, -1] = 98
    found = model(input_ids=ids, pixel_values=pixels, return_loss=True)
    found.loss.backward()
    results["CLIP"] = {
        "loss": found.loss,
        "logits": found.logits_per_image,
        "gradient": model.vision_model.embeddings.patch_embedding.weight.grad,
    }
    sizes = {"num_attention_heads": [1, 2, 2, 4], "decoder_hidden_size": 16, "num_labels": 3}
    model = t.SegformerForSemanticSegmentation(t.SegformerConfig(**STAGES, **sizes)).eval()
    segment = t.pipeline(
        "image-segmentation", model=model, image_processor=t.SegformerImageProcessor(**small)
    )
    results["segments"] = [(s["label"], float(np.mean(s["mask"]))) for s in segment(images[0])]
    return results


SIZE_OF_TEXT = {
    "vocab_size": 99,
    "hidden_size": 32,
    "intermediate_size": 37,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "max_position_embeddings": 16,
}
