"""What makes a step faster without changing what is learned."""
