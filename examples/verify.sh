#!/bin/sh
# Verify a phone number:    sh verify.sh +14155552671
# Needs curl. OTP_URL says where the service is, OTP_API_KEY is a key of it where it wants one.
# It ends with 0 only after the right PIN, with 2 where it is used wrongly, and else with 1.
set -eu
if [ $# != 1 ] || [ -z "$1" ]; then
    echo "Usage: sh verify.sh PHONE_NUMBER, like +14155552671; quote one with spaces." >&2
    exit 2
fi
url=${OTP_URL:-http://localhost:3000}
heads=$(mktemp)
trap 'rm -f "$heads"' EXIT

# post PATH BODY [HEADER]: sets `status` and `body`; fails without an answer.
# The API key goes over curl's input: arguments are there for everybody on this machine to read.
post() {
    body=$(printf '%s' "${OTP_API_KEY:+header = \"Authorization: Bearer $OTP_API_KEY\"}" |
        curl -sS --http1.1 --max-time 30 --config - -D "$heads" -w '\n%{http_code}' \
            -H 'Content-Type: application/json' ${3+-H "$3"} -d "$2" "$url$1") || return
    status=$(printf '%s' "$body" | tail -n 1) # not out of $heads, which may begin with those of a proxy
}

member() { printf '%s' "$body" | sed -n "s/.*\"$1\": *\"\([^\"]*\)\".*/\1/p"; }
header() { tr -d '\r' <"$heads" | sed -n "s/^$1: //p"; }

# What the service said no with: decide by `code`. Where waiting helps, Retry-After says how many seconds.
refusal() {
    wait=$(header Retry-After)
    error=$(member error)
    echo "${error:-HTTP $status.}${wait:+ Wait $wait seconds.} ($(member code), request $(header X-Request-ID))"
}

# Without an answer, ask again with the same key: the service then sends no second SMS.
key=$(od -An -N16 -tx1 /dev/urandom | tr -d ' \n')
for left in 2 1 0; do
    if post /send-otp "{\"phoneNumber\":\"$1\"}" "Idempotency-Key: $key"; then
        [ "$(member code)" = request_in_progress ] || break
    elif [ "$left" = 0 ]; then
        echo "The service cannot be reached." >&2
        exit 1
    fi
    sleep 1
done
[ "$status" = 200 ] || { refusal >&2; exit 1; }
verification=$(member verificationId)
[ -n "$verification" ] || { echo "The service cannot be reached." >&2; exit 1; } # somebody else said 200
echo "A PIN is on its way."

while printf 'PIN: ' && { read -r pin || [ -n "$pin" ]; }; do
    pin=$(printf '%s' "$pin" | tr -d '\000-\037"\\')
    post /verify-otp "{\"phoneNumber\":\"$1\",\"pin\":\"$pin\",\"verificationId\":\"$verification\"}" ||
        { echo "The service cannot be reached." >&2; exit 1; }
    [ "$status $(member message)" != "200 OTP verified successfully." ] || { echo "Verified."; exit 0; }
    case $(member code) in
        invalid_otp | invalid_pin_format) refusal ;; # mistyped, or all guesses are used up: Ctrl-C, and send again
        *) refusal >&2; exit 1 ;;
    esac
done
echo "Not verified." >&2
exit 1
