"""Finding the best weight, or whatever else a recipe says, for less than a full grid costs."""
