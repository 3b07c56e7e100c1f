"""The guard against SMS pumping: unverified sends use up a budget, which verified ones make larger."""
