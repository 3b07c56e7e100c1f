// Verify a phone number:    node verify.mjs +14155552671
// Needs Node 18 or newer, no package. OTP_URL says where the service is, OTP_API_KEY is a key of it where it wants one.
// It ends with 0 only after the right PIN, with 2 where it is used wrongly, and else with 1.

import { randomUUID } from "node:crypto";
import { createInterface } from "node:readline";
import { setTimeout as sleep } from "node:timers/promises";

const { OTP_URL: url = "http://localhost:3000", OTP_API_KEY: key } = process.env;

class Unverified extends Error {}

// The service said no: decide by `code`. Where waiting helps, `wait` says how many seconds.
class Refused extends Unverified {
  constructor(answer, { error, code }) {
    const wait = answer.headers.get("Retry-After");
    const pause = wait ? ` Wait ${wait} seconds.` : "";
    super(`${error}${pause} (${code}, request ${answer.headers.get("X-Request-ID")})`);
    Object.assign(this, { code, wait });
  }
}

async function post(path, body, headers = {}) {
  const answer = await fetch(url + path, {
    method: "POST",
    headers: { "Content-Type": "application/json", ...(key && { Authorization: `Bearer ${key}` }), ...headers },
    body: JSON.stringify(body),
    signal: AbortSignal.timeout(30_000),
  });
  const isJson = answer.headers.get("Content-Type")?.startsWith("application/json"); // else a proxy said it
  const said = isJson ? await answer.json() : { error: `HTTP ${answer.status}.`, code: "unknown" };
  if (!answer.ok || !isJson) throw new Refused(answer, said);
  return said;
}

// Without an answer, ask again with the same key: the service then sends no second SMS.
async function send(phoneNumber, tries = 3) {
  const headers = { "Idempotency-Key": randomUUID() };
  for (let left = tries - 1; ; left--) {
    try {
      return await post("/send-otp", { phoneNumber }, headers);
    } catch (error) {
      if (!left || (error instanceof Refused && error.code !== "request_in_progress")) throw error;
    }
    await sleep(1000);
  }
}

async function main(phoneNumber) {
  const { expiresIn, verificationId } = await send(phoneNumber);
  if (!verificationId) throw new Error(); // somebody else said 200
  console.log(`A PIN is on its way. It lives ${expiresIn} seconds.\nPIN:`);
  for await (const line of createInterface({ input: process.stdin })) {
    try {
      const { message } = await post("/verify-otp", { phoneNumber, pin: line.trim(), verificationId });
      if (message !== "OTP verified successfully.") throw new Error(); // somebody else said 200
      return console.log("Verified.");
    } catch (error) {
      if (!["invalid_otp", "invalid_pin_format"].includes(error.code)) throw error;
      console.log(`${error.message}\nPIN:`); // mistyped, or all guesses are used up: Ctrl-C, and send again
    }
  }
  throw new Unverified("Not verified.");
}

const [phoneNumber, ...more] = process.argv.slice(2);
if (!phoneNumber || more.length) {
  console.error("Usage: node verify.mjs PHONE_NUMBER, like +14155552671; quote one with spaces.");
  process.exit(2);
}
await main(phoneNumber).then(() => process.exit(), (error) => {
  console.error(error instanceof Unverified ? error.message : `The service cannot be reached: ${error.name}.`);
  process.exit(1);
});
