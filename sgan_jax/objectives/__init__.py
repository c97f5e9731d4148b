"""What each player minimises: losses, terms, objectives (tuples of moves), modifiers, and the table of them."""
