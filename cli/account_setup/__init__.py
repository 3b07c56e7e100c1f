"""`flask infobip setup`: creates and updates what the settings need at Infobip, if the operator agrees."""
