"""What an experiment is: YAML files, options and `--set` become one complete, checked `Recipe`."""
