"""What an evaluation measures, and the samples that a page shows."""

from pkdcli.compat import activate

activate()  # before the first import of mmcv, mmdet or mmrazor, whichever module of this room comes first
