"""python call.py <base URL> <key>

For each line [method, arguments] of JSON, calls that method of the PyPI package infobip-api-python-sdk and prints the
result as {status, data, read}, where `read` is whether the package could parse the response.
"""

import json
import sys

from infobip_channels.sms.channel import SMSChannel

base_url, api_key = sys.argv[1:]
channel = SMSChannel.from_auth_params({"base_url": base_url, "api_key": api_key})
for line in sys.stdin:
    method, arguments = json.loads(line)
    returned = getattr(channel, method)(*arguments)
    raw = getattr(returned, "raw_response", returned)
    result = {"status": raw.status_code, "data": raw.json(), "read": returned is not raw}
    sys.stdout.write(json.dumps(result) + "\n")
    sys.stdout.flush()
