"""Which of mmdet's detectors work as teachers and as students: tried one by one, and told in docs/detectors.md."""
