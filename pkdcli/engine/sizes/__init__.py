"""How large a detector is: its parameters, and the operations of a forward pass."""

from pkdcli.engine.sizes.count import Size, detector_size, flops_of, parameters_of, size_at

__all__ = ["Size", "detector_size", "flops_of", "parameters_of", "size_at"]
