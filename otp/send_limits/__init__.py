"""May this message be sent: every limit between a request and its price."""
