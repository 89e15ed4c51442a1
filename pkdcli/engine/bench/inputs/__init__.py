"""What the sections of a bench measure on: models, pictures, files and runs made for it."""
