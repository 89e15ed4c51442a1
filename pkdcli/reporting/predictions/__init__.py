"""What `pkd predict` leaves behind: pictures with boxes, COCO JSON, CSV, a page."""
