"""One exchange with Infobip within one deadline: connections, responses, errors, the account."""
