"""The training: loop, batches, optimizer and what watches over them."""
