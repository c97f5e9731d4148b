"""Image augmentations as pure functions of a key."""
