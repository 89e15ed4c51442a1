"""DETRs of another width than 256 channels, for which mmdet's DINO is written."""

from __future__ import annotations

from types import ModuleType

_ENCODED = 512
"""Numbers that `coordinate_to_encoding` makes of a box by default, which is all that DINO's decoder asks it for."""


def any_width(module: ModuleType) -> None:
    """Let DINO's decoder read the encoding of a box whatever its own width.

    It expects twice its width, which is what comes in at 256 channels; there nothing changes.

    Args:
        module: mmdet's `dino_layers`.
    """
    decoder = module.DinoTransformerDecoder
    stock = decoder._init_layers

    def _init_layers(self: object) -> None:
        stock(self)
        if 2 * self.embed_dims != _ENCODED:
            self.ref_point_head = module.MLP(_ENCODED, self.embed_dims, self.embed_dims, 2)

    decoder._init_layers = _init_layers
