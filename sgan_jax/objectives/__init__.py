"""What each player minimises: losses, terms, objectives, modifiers."""
