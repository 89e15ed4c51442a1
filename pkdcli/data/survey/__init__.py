"""What a whole look at a data set finds: `pkd data check`. The quick checks before a training are in `checks`."""
