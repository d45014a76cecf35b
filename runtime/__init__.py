"""What every process needs: settings, the Temporal plugin, logging, blobs. Knows no rule of the business."""
