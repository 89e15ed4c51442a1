"""A GPU where there is none: tensors that say they are on `cuda:0` and compute on the CPU.

    with fake_gpu() as gpu:
        model = model.to("cuda")
        with gpu.count() as counts:
            model(batch.to("cuda")).sum().backward()
    print(counts.kernels, counts.syncs)

An operation whose tensors are on two devices raises what CUDA's would, with the line it comes from. Kernels (operations
that are no views), waits of the processor for the device and copies between the two are counted.

What it can't tell: times; the kernels within one operation (a convolution's backward pass counts as one); what
autocast does differently on a GPU (the CPU's list of operations is used, with float16).
"""

from pkdcli.engine.bench.fake_gpu.counts import Counts, Transfer
from pkdcli.engine.bench.fake_gpu.session import FakeGpu, fake_gpu
from pkdcli.engine.bench.fake_gpu.tensor import FakeGpuTensor

__all__ = ["Counts", "FakeGpu", "FakeGpuTensor", "Transfer", "fake_gpu"]
