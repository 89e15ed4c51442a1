"""What becomes of an image before the model sees it."""

from pkdcli.compat import activate

activate()  # before the first import of mmcv, mmdet or mmrazor, whichever module of this room comes first
