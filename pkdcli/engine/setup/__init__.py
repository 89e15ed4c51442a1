"""What happens between a recipe's config and the modules that are built from it."""
