"""How bytes go to Infobip and come back: one exchange within one deadline."""
