"""python call.py <base URL> <key> <method> <arguments, a JSON array>

Calls a method of the PyPI package infobip-api-python-sdk; prints what it returns as {status, data, read}, where `read`
is whether it could read the answer.
"""

import json
import sys

from infobip_channels.sms.channel import SMSChannel

base_url, api_key, method, given = sys.argv[1:]
channel = SMSChannel.from_auth_params({"base_url": base_url, "api_key": api_key})
returned = getattr(channel, method)(*json.loads(given))
raw = getattr(returned, "raw_response", returned)
sys.stdout.write(json.dumps({"status": raw.status_code, "data": raw.json(), "read": returned is not raw}))
