"""Looking into trained nets: features, activations, and what is verified of them."""
