"""The fake GPU: it says what CUDA would, counts what CUDA would do, and leaves torch as it was."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn
from torch.optim import optimizer
from torch.utils import _foreach_utils

from pkdcli.engine.bench.fake_gpu import FakeGpuTensor, fake_gpu

CUDA = torch.device("cuda", 0)


def test_tensors_say_where_they_are(gpu):
    there = [
        torch.ones(2).to("cuda"), torch.ones(2).cuda(), torch.zeros(2, device="cuda"),
        torch.tensor([1, 2], device=CUDA), torch.as_tensor([1.0], device="cuda"),
        torch.ones(2).to(torch.zeros(1, device=CUDA)),
        torch.ones(2).type_as(torch.zeros(1, device=CUDA)), torch.arange(3, device="cuda") + 1,
        torch.zeros(2, device=CUDA).new_ones(3), torch.zeros(2, device=CUDA).new_tensor([1.0]),
        torch.rand_like(torch.zeros(2, device=CUDA)),
    ]  # fmt: skip
    assert [one.device for one in there] == [CUDA] * len(there)
    assert all(one.is_cuda for one in there)
    here = torch.ones(2), there[0].cpu(), there[0].to("cpu"), torch.zeros(1)
    assert [one.device.type for one in here] == ["cpu"] * len(here)
    assert there[7].tolist() == [1, 2, 3]
    assert there[0].to(torch.float64).dtype == torch.float64
    with pytest.raises(TypeError, match="can't convert cuda:0 device type tensor to numpy"):
        there[0].numpy()


@pytest.mark.parametrize(
    "mix",
    [
        lambda here, there: here + there,
        lambda here, there: there.mul_(here),
        lambda here, there: here.sum().add_(there.sum()),
        lambda here, there: torch.cat([here, there]),
        lambda here, there: torch.stack([here.sum(), there.sum()]),
        lambda here, there: torch.where(there > 0, there, here),
        lambda here, there: nn.functional.linear(there, here[None]),
        lambda here, there: here[there > 0],
        lambda here, there: there.index_put_((torch.tensor([1]),), here[:1]),
    ],
)
def test_two_devices_in_one_operation_are_an_error_with_its_line(gpu, mix):
    said = r"(at least two devices, cuda:0 and cpu|on the same device as the indexed tensor).* at test_fake_gpu.py:\d+"
    with pytest.raises(RuntimeError, match=said):
        mix(torch.ones(3), torch.ones(3, device="cuda"))


def test_what_cuda_takes_of_the_cpu_is_no_error(gpu):
    there = torch.arange(4.0, device="cuda")
    assert (there + torch.tensor(1.0)).tolist() == [1, 2, 3, 4]
    assert there[torch.tensor([0, 2])].tolist() == [0, 2]
    assert torch.where(there > 1, there, torch.tensor(0.0)).tolist() == [0, 0, 2, 3]
    there[there > 2] = 9
    there.copy_(torch.stack([there[0].cpu()] * 3 + [torch.tensor(7.0)]))
    assert there.tolist() == [0, 0, 0, 7]


@pytest.mark.parametrize(
    ("do", "waits"),
    [
        (lambda x: x.sum().item(), 1),
        (lambda x: bool(x.any()), 1),
        (lambda x: float(x.max()), 1),
        (lambda x: x.cpu(), 1),
        (lambda x: x.tolist(), 1),
        (lambda x: x.nonzero(), 1),
        (lambda x: torch.where(x > 1), 1),
        (lambda x: x[x > 1], 1),
        (lambda x: x.unique(), 1),
        (lambda x: x[torch.tensor([1])], 1),
        (lambda x: torch.tensor([1.0], device=x.device), 1),
        (lambda x: torch.ones(1).to(x.device), 1),
        (lambda x: torch.ones(1).pin_memory().to(x.device), 1),
        (lambda x: torch.ones(1).to(x.device, non_blocking=True), 1),
        (lambda x: torch.ones(1).pin_memory().to(x.device, non_blocking=True), 0),
        (lambda x: torch.cuda.synchronize(), 1),
        (lambda x: x.__setitem__(x > 1, 0.0), 0),
        (lambda x: x[1:] + x.mean(), 0),
        (lambda x: x.masked_fill(x > 1, 0), 0),
        (lambda x: torch.zeros(3, device=x.device), 0),
        (lambda x: x.repeat_interleave(2), 0),
    ],
)
def test_waits_are_counted(gpu, do, waits):
    x = torch.arange(4.0, device="cuda")
    with gpu.count() as counts:
        do(x)
    assert counts.syncs == waits, counts.waits


def test_kernels_are_operations_that_are_no_views(gpu):
    x = torch.ones(2, 3, device="cuda")
    with gpu.count() as counts:
        (x.view(3, 2).t()[0] * 2).sum()
        x.detach().unsqueeze(0).expand(4, 2, 3)
        torch.empty(3, device="cuda")
        x.contiguous()
    assert counts.operations == {"mul": 1, "sum": 1}
    assert (counts.kernels, counts.syncs, counts.transfers) == (2, 0, [])


def test_transfers_are_told_with_their_line(gpu):
    with gpu.count() as outer, gpu.count() as counts:
        up = gpu.pin({"a": [torch.ones(2, 3)]})["a"][0].to("cuda", non_blocking=True)
        up.to(torch.float64).cpu()
    first, second = counts.transfers
    assert (first.up, first.bytes, first.pinned, first.non_blocking, first.waits) == (True, 24, True, True, False)
    assert (second.up, second.bytes, second.pinned, second.waits) == (False, 48, False, True)
    assert second.where.startswith("test_fake_gpu.py:")
    assert counts.uploaded == 24
    assert counts.waits == {("copy from the device", second.where): 1}
    assert outer.transfers == counts.transfers


class Doubled(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x: Tensor) -> Tensor:
        return x * 2

    @staticmethod
    def backward(ctx, gradient: Tensor) -> Tensor:
        return gradient * torch.tensor([2.0, 2.0, 2.0])


def test_a_gradient_in_python_that_mixes_devices_is_found_too(gpu):
    x = torch.ones(3, device="cuda", requires_grad=True)
    with pytest.raises(RuntimeError, match="at least two devices"):
        Doubled.apply(x).sum().backward()


def learn(device: str) -> tuple[list[float], list[float]]:
    """Three steps of a small network with momentum and clipping: its losses and last weights."""
    generator = torch.Generator().manual_seed(0)
    x, y = torch.randn(4, 3, 8, 8, generator=generator), torch.tensor([0, 1, 1, 0])
    torch.manual_seed(0)
    net = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.Flatten(), nn.Linear(144, 2)).to(device)
    optimizer = torch.optim.SGD(net.parameters(), lr=0.1, momentum=0.9, weight_decay=1e-3)
    losses = []
    for _ in range(3):
        picked = net(x.to(device))[torch.tensor([0, 2, 3], device=device)]
        loss = nn.functional.cross_entropy(picked, y.to(device)[[0, 2, 3]])
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(net.parameters(), 1.0)
        optimizer.step()
        losses.append(loss.item())
    return losses, net.state_dict()["0.weight"].cpu().flatten().tolist()


def test_training_gives_the_numbers_of_the_cpu_from_few_launches(gpu):
    with gpu.count() as counts:
        there = learn("cuda")
    here = learn("cpu")
    assert there[0] == pytest.approx(here[0], rel=1e-6)
    assert there[1] == pytest.approx(here[1], rel=1e-5)
    assert there[0][2] < there[0][0]
    # One launch for all weights: decay; momentum (two, after the first step); the step.
    assert (counts.operations["_foreach_norm"], counts.operations["_foreach_add_"]) == (3, 5)


def test_inference_mode_and_a_layout_of_channels_last(gpu):
    conv = nn.Conv2d(3, 4, 3).to("cuda").to(memory_format=torch.channels_last)
    assert isinstance(conv.weight, FakeGpuTensor)
    assert isinstance(conv.weight, nn.Parameter)
    assert conv.weight.is_contiguous(memory_format=torch.channels_last)
    with torch.inference_mode():
        made = conv(torch.ones(1, 3, 5, 5, device="cuda"))
        assert conv.bias.view(2, 2)[0].mul(2).shape == (2,)
    assert made.is_inference()


def test_half_precision_where_the_cpu_has_none(gpu):
    x = torch.ones(2, 3, 8, 8, device="cuda", requires_grad=True)
    with torch.autocast("cuda"):
        out = nn.Conv2d(3, 4, 3).to("cuda")(x)
    assert (out.dtype, out.device) == (torch.float16, CUDA)
    out.float().sum().backward()
    assert (x.grad.dtype, x.grad.device) == (torch.float32, CUDA)


def test_an_operator_in_python_counts_as_what_it_is_made_of(gpu):
    from pkdcli.engine.losses import build_loss

    student, teacher = (torch.randn(2, 4, 8, 8).to("cuda") for _ in range(2))
    with gpu.count() as counts:
        build_loss("pkd")(student.requires_grad_(), teacher).backward()
    assert student.grad.device == CUDA
    assert counts.kernels > 10
    assert not [name for name in counts.operations if "distance" in name]


def looks() -> tuple:
    return torch.tensor, torch.as_tensor, torch.cuda.is_available, torch.autocast.__init__, dict(vars(Tensor))


def fails() -> None:
    with fake_gpu(devices=8):
        assert (torch.cuda.is_available(), torch.cuda.device_count()) == (True, 8)
        raise ZeroDivisionError


def test_torch_is_as_it_was_afterwards():
    before = looks()
    with pytest.raises(ZeroDivisionError):
        fails()
    assert looks() == before
    assert FakeGpuTensor not in (*optimizer._foreach_supported_types, *_foreach_utils._foreach_supported_types)
    assert torch.__future__.get_overwrite_module_params_on_conversion() is False
