"""What the frame of every screen does, beside the frame itself: the form, pickers, finding, taking away."""
