"""What an operator sees of the service: request log, metrics, traces. It decides nothing."""
