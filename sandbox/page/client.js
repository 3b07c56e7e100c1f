// The client app: what any app that uses the service does, and how it shows what the service says.

import { announce, byId } from "./dom.js";
import { Step } from "./step.js";
import { duration, inSeconds, secondsUntil } from "./time.js";
import { showExchange } from "./wire.js";

const FIELD_OF = {
  invalid_phone_number: "send",
  phone_number_not_allowed: "send",
  invalid_pin_format: "verify",
  invalid_otp: "verify",
};
const LONG = 3600; // seconds

export class Client {
  constructor() {
    this.send = new Step("send", "number", { idle: "Send PIN", again: "Send again", busy: "Sending…" });
    this.verify = new Step("verify", "pin", { idle: "Verify", again: "Verify again", busy: "Verifying…" });
    this.lives = new Map(); // until when the PIN of a number is good
    this.ids = new Map(); // the verification id of a number's PIN
    this.send.onSubmit(() => this.sendPin());
    this.verify.onSubmit(() => this.verifyPin());
    this.send.input.addEventListener("input", () => this.tick());
  }

  get number() {
    return this.send.input.value.trim();
  }

  /** The number as the service sees it: cooldowns are kept by it. */
  get key() {
    return this.number.replace(/[^+\d]/g, "");
  }

  /** Put `number` into the form. */
  choose(number) {
    this.send.clear();
    this.send.input.value = number;
    this.send.input.focus();
    this.tick();
  }

  tick() {
    this.send.tick(this.key);
    this.verify.tick(this.key);
    const until = this.lives.get(this.key);
    const left = until && secondsUntil(until);
    const hint = left ? `The PIN can be verified for another ${duration(left)}.` : "The PIN has expired. Send a new one.";
    byId("pin-hint").textContent = until ? hint : "";
  }

  async sendPin() {
    const { number, key } = this;
    const reply = await this.ask(this.send, "send-otp", { phoneNumber: number });
    if (reply?.status !== 200) return;
    this.lives.set(key, inSeconds(reply.body.expiresIn));
    this.ids.set(key, reply.body.verificationId);
    this.send.waitFor(key, reply.body.resendIn);
    this.send.succeed(`A PIN is on its way to ${number}.`);
    this.verify.clear();
    this.verify.input.value = "";
    this.verify.input.focus();
    this.tick();
  }

  async verifyPin() {
    const { number, key } = this;
    const guess = { phoneNumber: number, pin: this.verify.input.value.trim(), verificationId: this.ids.get(key) };
    const reply = await this.ask(this.verify, "verify-otp", guess);
    if (reply?.status !== 200) return;
    this.lives.delete(key);
    this.send.clear();
    this.verify.succeed(`${number} is verified.`);
    this.tick();
  }

  /** Ask the service, show what went over the wire, and show a refusal where it belongs. */
  async ask(step, operation, body) {
    const { key } = this;
    this.send.clear();
    this.verify.clear();
    const reply = await step.whileBusy(() => post(operation, body));
    if (reply.request) showExchange(reply);
    if (reply.retryAfter) step.waitFor(key, reply.retryAfter);
    if (reply.status !== 200) this.refuse(step, reply);
    this.tick();
    return reply;
  }

  refuse(step, reply) {
    const sentence = reply.error ?? reply.body?.error ?? "The service answered something that the app does not understand.";
    const hint = reply.retryAfter > LONG ? " That was this number's share of today: another number works at once." : "";
    const field = FIELD_OF[reply.body?.code];
    if (field) this[field].refuseField(sentence);
    else step.refuse(sentence + hint);
    announce(sentence + hint);
  }
}

async function post(operation, body) {
  const headers = { "Content-Type": "application/json" };
  try {
    const reply = await fetch(`/try/${operation}`, { method: "POST", headers, body: JSON.stringify(body) });
    return await reply.json();
  } catch {
    return { error: "The sandbox does not answer. Is `make run` still running?" };
  }
}
