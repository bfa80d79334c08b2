"""Makes names_timm.json.gz and names_huggingface.json.gz: what these libraries call the parts of networks.

Run with timm 1.0.31 and transformers 5.24.0. Shapes of a network are kept by name, batch norm's counters are
left out. transformers 4, whose names most files on the hub have, called the parts of attention otherwise:
those names are made from the new ones by the table that transformers itself reads old files with.
"""

from __future__ import annotations

import gzip
import json
import re
from pathlib import Path

import timm
import torch
import transformers as hf

HERE = Path(__file__).parent

TIMM = {
    "convnext_tiny": "convnext_tiny",
    "efficientnet_b0": "efficientnet_b0",
    "efficientnetv2_s": "efficientnet_v2_s",
    "mnasnet_100": "mnasnet1_0",
    "mobilenetv2_100": "mobilenet_v2",
    "mobilenetv3_large_100": "mobilenet_v3_large",
    "mobilenetv3_small_100": "mobilenet_v3_small",
    "regnety_004": "regnet_y_400mf",
    "swin_tiny_patch4_window7_224": "swin_t",
    "vgg11": "vgg11",
    "vit_base_patch16_224": "vit_b_16",
}
# Other networks than those here: enough of their names to tell.
TIMM_REFUSED = {
    "convnextv2_tiny": "convnext_tiny",
    "deit3_base_patch16_224": "vit_b_16",
    "deit_base_distilled_patch16_224": "vit_b_16",
    "resnet50d": "resnet50",
    "seresnet50": "resnet50",
    "ecaresnet50t": "resnet50",
    "swinv2_tiny_window8_256": "swin_t",
    "vit_base_patch16_clip_224": "vit_b_16",
    "vit_base_patch16_rpn_224": "vit_b_16",
    "vit_base_patch16_siglip_224": "vit_b_16",
    "beit_base_patch16_224": "vit_b_16",
}
HUGGINGFACE = {
    "convnext_tiny": hf.ConvNextForImageClassification(hf.ConvNextConfig(num_labels=1000)),
    "regnet_y_400mf": hf.RegNetForImageClassification(
        hf.RegNetConfig(
            num_labels=1000, hidden_sizes=[48, 104, 208, 440], depths=[1, 3, 6, 6], groups_width=8
        )
    ),
    "resnet50": hf.ResNetForImageClassification(hf.ResNetConfig(num_labels=1000)),
    "swin_t": hf.SwinForImageClassification(hf.SwinConfig(num_labels=1000)),
    "vit_b_16": hf.ViTForImageClassification(hf.ViTConfig(num_labels=1000)),
}
HUGGINGFACE_REFUSED = {
    "convnext_tiny": hf.ConvNextV2ForImageClassification(hf.ConvNextV2Config()),
    "efficientnet_b0": hf.EfficientNetForImageClassification(hf.EfficientNetConfig()),
    "mobilenet_v2": hf.MobileNetV2ForImageClassification(hf.MobileNetV2Config()),
    "swin_t": hf.Swinv2ForImageClassification(hf.Swinv2Config()),
    "vit_b_16": hf.DeiTForImageClassificationWithTeacher(hf.DeiTConfig()),
}

# Since transformers 5; before, the part on the right.
OLD = {
    "vit_b_16": [
        (r"^vit\.layers\.", "vit.encoder.layer."),
        (r"\.attention\.q_proj\.", ".attention.attention.query."),
        (r"\.attention\.k_proj\.", ".attention.attention.key."),
        (r"\.attention\.v_proj\.", ".attention.attention.value."),
        (r"\.attention\.o_proj\.", ".attention.output.dense."),
        (r"\.mlp\.fc1\.", ".intermediate.dense."),
        (r"\.mlp\.fc2\.", ".output.dense."),
    ],
    "swin_t": [
        (r"\.attention\.q_proj\.", ".attention.self.query."),
        (r"\.attention\.k_proj\.", ".attention.self.key."),
        (r"\.attention\.v_proj\.", ".attention.self.value."),
        (r"\.attention\.o_proj\.", ".attention.output.dense."),
        (r"\.attention\.relative_position_bias\.", ".attention.self."),
        (r"\.mlp\.fc1\.", ".intermediate.dense."),
        (r"\.mlp\.fc2\.", ".output.dense."),
    ],
}


def shapes(network, few=False):
    named = {
        name: list(value.shape)
        for name, value in network.state_dict().items()
        if not name.endswith("num_batches_tracked")
    }
    # Of those that are refused, the first block's names and the outer ones say it.
    return {
        name: shape for name, shape in named.items() if not few or len(re.findall(r"\.[1-9]\d*\.", name)) == 0
    }


def older(name, table):
    for pattern, text in table:
        name = re.sub(pattern, text, name)
    return name


def write(path, content):
    with gzip.GzipFile(path, "wb", mtime=0) as file:
        file.write(json.dumps(content, indent=0).encode())


def made(name):
    with torch.device("meta"):
        return timm.create_model(name)


if __name__ == "__main__":
    write(
        HERE / "names_timm.json.gz",
        {
            "same": [[here, there, shapes(made(there))] for there, here in TIMM.items()],
            "refused": [[here, there, shapes(made(there), few=True)] for there, here in TIMM_REFUSED.items()],
        },
    )
    same = [[here, "transformers 5", shapes(network)] for here, network in HUGGINGFACE.items()]
    same += [
        [
            here,
            "transformers 4",
            {older(name, table): shape for name, shape in shapes(HUGGINGFACE[here]).items()},
        ]
        for here, table in OLD.items()
    ]
    refused = [
        [here, type(network).__name__, shapes(network, few=True)]
        for here, network in HUGGINGFACE_REFUSED.items()
    ]
    write(HERE / "names_huggingface.json.gz", {"same": same, "refused": refused})
