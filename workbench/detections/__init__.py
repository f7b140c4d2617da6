"""Questions as files: detections and hunts in queries/, loaded, checked, run, and what they find."""
