"""One way to read a COCO annotation file."""
