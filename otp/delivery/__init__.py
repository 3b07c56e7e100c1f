"""What became of a message: Infobip's delivery reports, and the status of a verification."""
