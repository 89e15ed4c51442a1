"""mmcv's compiled operators over torchvision's kernels and plain torch, under the extension's own names.

Each function follows the calling convention of the C++ function of the same name in mmcv 2.1.0: outputs are written in
place where mmcv hands them in. All of them run on any device and take float64 (gradcheck).
"""

from __future__ import annotations

from pkdcli.compat.ops import attention, carafe, deform, focal, info, nms, roi_align, roi_pool

OPERATORS = {
    function.__name__: function
    for module in (attention, carafe, deform, focal, info, nms, roi_align, roi_pool)
    for function in module.OPERATORS
}
