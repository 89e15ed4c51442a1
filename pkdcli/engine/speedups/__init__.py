"""What makes a step faster without changing what is learned."""

from pkdcli.compat import activate

activate()  # before the first import of mmcv, mmdet or mmrazor, whichever module of this room comes first
