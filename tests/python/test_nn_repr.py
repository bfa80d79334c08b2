"""The output of `print(model)` equals torch's, line by line."""

from __future__ import annotations

from collections import OrderedDict

import pytest
from rvision import nn as ours

GOLDEN = """\
Net(
  (stem): Sequential(
    (conv): Conv2d(3, 64, kernel_size=(7, 7), stride=(2, 2), padding=(3, 3), bias=False)
    (bn): BatchNorm2d(64, eps=1e-05, momentum=0.1, affine=True, bias=True, track_running_stats=True)
    (relu): ReLU(inplace=True)
    (pool): MaxPool2d(kernel_size=3, stride=2, padding=1, dilation=1, ceil_mode=False)
  )
  (blocks): ModuleList(
    (0-1): 2 x Sequential(
      (0): Conv2d(64, 64, kernel_size=(3, 3), stride=(1, 1), padding=same)
      (1): ReLU()
    )
    (2): Identity()
  )
  (heads): ModuleDict(
    (main): Linear(in_features=64, out_features=10, bias=True)
  )
  (nothing): None
)"""


def net(nn):
    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.stem = nn.Sequential(
                OrderedDict(
                    conv=nn.Conv2d(3, 64, kernel_size=7, stride=2, padding=3, bias=False),
                    bn=nn.BatchNorm2d(64),
                    relu=nn.ReLU(inplace=True),
                    pool=nn.MaxPool2d(kernel_size=3, stride=2, padding=1),
                )
            )
            self.blocks = nn.ModuleList(
                [nn.Sequential(nn.Conv2d(64, 64, 3, padding="same"), nn.ReLU()) for _ in range(2)]
            )
            self.blocks.append(nn.Identity())
            self.heads = nn.ModuleDict({"main": nn.Linear(64, 10)})
            self.register_module("nothing", None)

    return Net()


LAYERS = [
    lambda nn: nn.Conv2d(4, 8, (3, 5), stride=(1, 2), padding=(0, 1), dilation=2, groups=2),
    lambda nn: nn.Conv2d(4, 8, [3, 3], padding="valid"),
    lambda nn: nn.ConvTranspose2d(4, 8, 2, stride=2),
    lambda nn: nn.ConvTranspose2d(4, 8, (3, 5), 3, (0, 1), (2, 1), groups=4, bias=False, dilation=2),
    lambda nn: nn.Linear(3, 4, bias=False),
    lambda nn: nn.BatchNorm2d(3, eps=1e-3, momentum=None, affine=False),
    lambda nn: nn.BatchNorm2d(3, track_running_stats=False),
    lambda nn: nn.BatchNorm2d(3, bias=False),
    lambda nn: nn.LayerNorm(8),
    lambda nn: nn.LayerNorm((4, 3), eps=1e-6, bias=False),
    lambda nn: nn.LayerNorm([5], elementwise_affine=False),
    lambda nn: nn.MultiheadAttention(8, 2),
    lambda nn: nn.MultiheadAttention(8, 4, dropout=0.1, bias=False, batch_first=True),
    lambda nn: nn.Unflatten(1, (2, -1)),
    lambda nn: nn.ReLU(),
    lambda nn: nn.ReLU6(),
    lambda nn: nn.ReLU6(inplace=True),
    lambda nn: nn.LeakyReLU(),
    lambda nn: nn.LeakyReLU(0.2, inplace=True),
    lambda nn: nn.Hardtanh(),
    lambda nn: nn.Hardtanh(-2, 2, inplace=True),
    lambda nn: nn.GLU(),
    lambda nn: nn.Hardshrink(),
    lambda nn: nn.Softshrink(0.1),
    lambda nn: nn.Tanhshrink(),
    lambda nn: nn.Threshold(0.1, 20),
    lambda nn: nn.Threshold(0.1, 20, inplace=True),
    lambda nn: nn.RReLU(),
    lambda nn: nn.RReLU(0.1, 0.2, True),
    lambda nn: nn.Softmin(1),
    lambda nn: nn.Softmax2d(),
    lambda nn: nn.RMSNorm(4),
    lambda nn: nn.RMSNorm((4, 3), 1e-3, False),
    lambda nn: nn.SyncBatchNorm(3, affine=False),
    lambda nn: nn.LPPool2d(2, 3),
    lambda nn: nn.LPPool2d(1.2, (3, 2), stride=(2, 1), ceil_mode=True),
    lambda nn: nn.ChannelShuffle(2),
    lambda nn: nn.Unfold((2, 3), padding=1),
    lambda nn: nn.CosineSimilarity(),
    lambda nn: nn.PairwiseDistance(),
    lambda nn: nn.Sequential(nn.Dropout1d(), nn.Dropout3d(0.1), nn.AlphaDropout(), nn.FeatureAlphaDropout()),
    lambda nn: nn.PReLU(),
    lambda nn: nn.PReLU(num_parameters=4),
    lambda nn: nn.Tanh(),
    lambda nn: nn.Sigmoid(),
    lambda nn: nn.Softmax(dim=1),
    lambda nn: nn.Softmax(),
    lambda nn: nn.LogSoftmax(dim=-1),
    lambda nn: nn.Hardswish(inplace=True),
    lambda nn: nn.Hardsigmoid(),
    lambda nn: nn.SiLU(inplace=True),
    lambda nn: nn.SiLU(),
    lambda nn: nn.GELU(),
    lambda nn: nn.GELU(approximate="tanh"),
    lambda nn: nn.MaxPool2d(2),
    lambda nn: nn.MaxPool2d((3, 2), stride=(2, 1), padding=(1, 0), dilation=2, ceil_mode=True),
    lambda nn: nn.AvgPool2d(2, count_include_pad=False),
    lambda nn: nn.AvgPool2d(3, stride=1, padding=1),
    lambda nn: nn.AdaptiveAvgPool2d(1),
    lambda nn: nn.AdaptiveAvgPool2d((None, 3)),
    lambda nn: nn.AdaptiveMaxPool2d((2, 2)),
    lambda nn: nn.LocalResponseNorm(5, alpha=1e-3, k=2),
    lambda nn: nn.Dropout(),
    lambda nn: nn.Dropout2d(0.1, inplace=True),
    lambda nn: nn.Flatten(),
    lambda nn: nn.Identity(54, unused=True),
    lambda nn: nn.ZeroPad2d(1),
    lambda nn: nn.ZeroPad2d((1, 2, 3, 4)),
    lambda nn: nn.ReflectionPad2d((1, 2, 3, 0)),
    lambda nn: nn.ReplicationPad2d(2),
    lambda nn: nn.CircularPad2d([1, 2, 3, 4]),
    lambda nn: nn.ConstantPad2d(2, 3.5),
    lambda nn: nn.ConstantPad2d(2, value=3),
    lambda nn: nn.Conv2d(3, 4, 3, padding=1, padding_mode="reflect"),
    lambda nn: nn.Conv2d(3, 4, 3, padding="same", padding_mode="circular", bias=False),
    lambda nn: nn.Sequential(),
    lambda nn: nn.ModuleList(),
    lambda nn: nn.ModuleList([nn.ReLU(), nn.ReLU(), nn.Tanh(), nn.ReLU()]),
    lambda nn: nn.ModuleDict(),
    lambda nn: nn.Sequential(nn.Sequential(nn.ReLU(), nn.Sequential())),
    net,
]


def test_nested_modules_read_as_written_down():
    assert repr(net(ours)).split("\n") == GOLDEN.split("\n")


@pytest.mark.parametrize("make", LAYERS)
def test_every_layer_reads_as_torchs(make):
    theirs = pytest.importorskip("torch").nn
    assert repr(make(ours)).split("\n") == repr(make(theirs)).split("\n")


@pytest.mark.parametrize("make", LAYERS)
def test_every_layer_has_torchs_state_dict(make):
    theirs = pytest.importorskip("torch").nn
    our_state, their_state = make(ours).state_dict(), make(theirs).state_dict()
    assert list(our_state) == list(their_state)
    assert [tuple(v.shape) for v in our_state.values()] == [tuple(v.shape) for v in their_state.values()]
    assert dict(our_state._metadata) == dict(their_state._metadata)


def test_extra_repr_of_several_lines():
    class Wordy(ours.Module):
        def __init__(self, child=False):
            super().__init__()
            if child:
                self.relu = ours.ReLU()

        def extra_repr(self):
            return "one\ntwo"

    assert repr(Wordy()) == "Wordy(\n  one\n  two\n)"
    assert repr(Wordy(child=True)) == "Wordy(\n  one\n  two\n  (relu): ReLU()\n)"


def test_timms_same_convolution():
    layer = ours.Conv2dSame(3, 32, 3, stride=2, bias=False)
    assert repr(layer) == "Conv2dSame(3, 32, kernel_size=(3, 3), stride=(2, 2), bias=False)"
