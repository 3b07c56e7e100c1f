"""HTTP requests to one host: kept connections, one deadline for a whole exchange, strict parsing. Knows no API."""
