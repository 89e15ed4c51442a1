"""Annotations of other forms (Pascal VOC, YOLO, CVAT, Open Images, LabelMe, COCO) become a data set of pkd's.

hotcoco reads the same forms, and the tests hold these readers against it. It is not used here because it stops at the
first wrong line of a folder or takes a torn file for an empty one, and an import has to say of each file what became of
it; it also makes crowds of VOC's `difficult` objects and drops the rotation of CVAT's boxes.
"""
