"""What is shown of a run while it goes on: a live screen, plain lines or JSON."""
