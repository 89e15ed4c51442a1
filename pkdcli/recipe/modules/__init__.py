"""Python modules of the user's own beside recipes: their files and hashes, and the copies that runs keep."""
