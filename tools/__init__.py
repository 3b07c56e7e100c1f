"""What measures the service and draws its pictures."""
