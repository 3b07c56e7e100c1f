"""What an operator sees: a line for each request, metrics, traces. It watches, and decides nothing."""
