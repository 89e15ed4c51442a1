"""The distillation: teacher, student, levels, and what goes between them."""
