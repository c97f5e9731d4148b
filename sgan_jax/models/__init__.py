"""Networks and heads as pure functions of parameters."""
