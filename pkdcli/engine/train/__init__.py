"""The training: loop, batches, optimizer and what watches over them."""

from pkdcli.compat import activate

activate()  # before the first import of mmcv, mmdet or mmrazor, whichever module of this room comes first
