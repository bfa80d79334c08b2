"""Networks that neither torchvision nor timm has, in torch, written for the tests."""
