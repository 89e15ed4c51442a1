"""Makes the OpenMMLab stack import and run on a stock PyTorch. `activate()` is the whole interface.

What is mended, and where:

- `extension`: a stand-in for mmcv's compiled operators, `mmcv._ext`, over torchvision's kernels and plain torch.
- `quantization`: absent parts of mmrazor, which fail to import on a current torch.ao.
- `detr`: mmdet's DINO, which is written for 256 channels.
- `checkpoints`: mmengine's checkpoints load with the restricted unpickler, from files and from addresses.
- `grammars`: yapf, which mmengine imports, dies of a half-written file in its cache.

Everything happens in the memory of this process; no file of an installed package is changed.
"""

from __future__ import annotations

import warnings


def activate() -> None:
    """Makes mmengine, mmcv, mmdet and mmrazor import and work. May be called any number of times.

    Call it before the first import of mmcv, mmdet or mmrazor. It imports torch and parts of mmengine, which every
    caller needs anyway; the operators are built when mmcv first asks for them. An installed, compiled `mmcv._ext` is
    used untouched.
    """
    quiet_setuptools()

    from pkdcli.compat import checkpoints, grammars, modules

    grammars.allow_damaged()
    modules.install()
    checkpoints.allow()


def quiet_setuptools() -> None:
    """Ignores what setuptools warns of whenever mmengine imports pkg_resources: a user can do nothing about it."""
    warnings.filterwarnings("ignore", message=r"pkg_resources is deprecated as an API")
    warnings.filterwarnings("ignore", message=r"Deprecated call to `pkg_resources\.declare_namespace")
