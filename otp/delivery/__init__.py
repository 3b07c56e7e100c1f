"""What became of what was sent, as far as Infobip reports it and the service knows it."""
