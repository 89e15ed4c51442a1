"""The distillation: teacher, student, levels, and what goes between them."""

from pkdcli.compat import activate

activate()  # before the first import of mmcv, mmdet or mmrazor, whichever module of this room comes first
