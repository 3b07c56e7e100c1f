// The client app: what any app that uses the service does, and how it shows what the service says.

import { ResendOffer } from "./resend.js";
import { announce, byId } from "./dom.js";
import { Step } from "./step.js";
import { duration, inSeconds, secondsUntil } from "./time.js";
import { showExchange } from "./wire.js";

const OF_RECIPIENT = new Set([
  "invalid_phone_number", "phone_number_not_allowed", "phone_number_not_callable", "phone_number_unreachable",
  "invalid_email", "invalid_recipient",
]);
const OF_PIN = new Set(["invalid_pin_format", "invalid_otp"]);
const LONG = 3600; // seconds

export class Client {
  constructor() {
    this.send = new Step("send", "recipient", { idle: "Send PIN", wait: "Send again", over: "Send a new PIN", busy: "Sending…" });
    this.verify = new Step("verify", "pin", { idle: "Verify", wait: "Verify again", over: "Verify again", busy: "Verifying…" });
    this.resendOffer = new ResendOffer((channel) => this.resendPin(channel));
    this.pins = new Map(); // by recipient: until when its PIN is good, the PIN's id, the channel it last went out on, those that may be next
    this.send.onSubmit(() => this.sendPin());
    this.verify.onSubmit(() => this.verifyPin());
    this.send.input.addEventListener("input", () => this.tick());
  }

  get recipient() {
    return this.send.input.value.trim();
  }

  /** The recipient as the service sees it: cooldowns are kept by it. */
  get key() {
    return this.byEmail ? this.recipient.toLowerCase() : this.recipient.replace(/[^+\d]/g, "");
  }

  get byEmail() {
    return this.recipient.includes("@");
  }

  /** What every request says of the recipient. */
  get named() {
    return this.byEmail ? { email: this.recipient } : { phoneNumber: this.recipient };
  }

  /** Put `recipient` into the form. */
  choose(recipient) {
    this.send.clear();
    this.send.input.value = recipient;
    this.send.input.focus();
    this.tick();
  }

  tick() {
    this.send.tick(this.key);
    this.verify.tick(this.key);
    const pin = this.pins.get(this.key);
    const left = pin && secondsUntil(pin.until);
    const hint = left ? `The PIN can be verified for another ${duration(left)}.` : "The PIN has expired. Send a new one.";
    byId("pin-hint").textContent = pin ? hint : "";
    this.resendOffer.offer(left && !this.send.wait(this.key) ? pin.channel : null, pin?.channels);
  }

  async sendPin() {
    const { key, recipient } = this;
    const channel = this.byEmail ? "email" : "sms";
    const reply = await this.ask(this.send, "send-otp", this.named);
    if (reply?.status !== 200) return;
    this.sent(key, reply.body, { channel, id: reply.body.verificationId });
    this.send.succeed(`A PIN is on its way to ${recipient}.`);
  }

  async resendPin(channel) {
    const { key, recipient } = this;
    const reply = await this.ask(this.send, "resend-otp", { ...this.named, channel, verificationId: this.pins.get(key)?.id });
    if (reply?.body?.code === "invalid_otp") this.pins.delete(key); // there is none any more
    if (reply?.status !== 200) return this.tick();
    this.sent(key, reply.body, { ...this.pins.get(key), channel });
    this.send.succeed(channel === "voice" ? `A call with the same PIN is on its way to ${recipient}.` : `The same PIN is on its way to ${recipient}.`);
  }

  /** A message is out: wait for the next, and for the PIN. */
  sent(key, { expiresIn, resendIn, channels }, pin) {
    this.pins.set(key, { ...pin, channels, until: inSeconds(expiresIn) });
    this.send.waitFor(key, resendIn);
    this.verify.clear();
    this.verify.input.value = "";
    this.verify.input.focus();
    this.tick();
  }

  async verifyPin() {
    const { key, recipient } = this;
    const guess = { ...this.named, pin: this.verify.input.value.trim(), verificationId: this.pins.get(key)?.id };
    const reply = await this.ask(this.verify, "verify-otp", guess);
    if (reply?.status !== 200) return;
    this.pins.delete(key);
    this.send.clear();
    this.verify.succeed(`${recipient} is verified.`);
    this.tick();
  }

  /** Ask the service, show what went over the wire, and show a refusal where it belongs. */
  async ask(step, operation, body) {
    if (step.busy) return null;
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
    if (OF_RECIPIENT.has(reply.body?.code)) this.send.refuseField(sentence);
    else if (step === this.verify && OF_PIN.has(reply.body?.code)) step.refuseField(sentence);
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
    return { error: "The sandbox does not answer. Is it still running?" };
  }
}
