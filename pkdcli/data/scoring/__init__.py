"""What detections are worth against annotations: COCO's metrics and what lies behind them."""
