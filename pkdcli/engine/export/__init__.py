"""A finished detector for elsewhere: as one graph with decoding and suppression inside, checked against PyTorch."""
