"""May this SMS be sent: everything that stands between a request and a bill."""
