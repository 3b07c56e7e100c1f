// One message on the phone: an SMS, a call or an e-mail with the PIN to copy, and what became of that PIN.

import { copy } from "./copy.js";
import { element, write } from "./dom.js";
import { duration, inSeconds, secondsUntil, timeOfDay } from "./time.js";

const STATES = { pending: "Pending", verified: "Verified", expired: "Expired", used_up: "Attempts used up" };
/** How each channel's message looks: what the line above it says, its class, and its content. */
const KINDS = {
  SMS: { title: ({ from }) => `SMS from ${from}`, shape: "sms", content: (message) => [words(message)] },
  VOICE: { title: ({ from }) => `Call from ${from}`, shape: "call", content: transcript },
  EMAIL: { title: () => "E-mail", shape: "mail", content: letter },
};

export class Bubble {
  constructor(message) {
    this.state = element("span", { className: "state" });
    this.left = element("span", { className: "left" });
    this.attempts = element("span", {});
    this.life = element("span", { className: "life" });
    this.replaced = element("p", { className: "replaced", hidden: true }, "A newer PIN was sent: the service takes only that one.");
    const { title, shape, content } = KINDS[message.channel] ?? KINDS.SMS;
    this.node = element("li", { className: "bubble" },
      element("p", { className: "from" }, `${title(message)}, ${timeOfDay(message.sentAt)}`),
      element("div", { className: `body ${shape}` }, ...content(message)),
      element("p", { className: "fate" }, this.state, this.left, this.attempts),
      element("span", { className: "lifeline", "aria-hidden": "true" }, this.life),
      this.replaced);
    this.update(message);
  }

  update(message) {
    this.message = message;
    this.until = inSeconds(message.expiresIn);
    this.lifetime = this.until - message.sentAt * 1000;
    const { attemptsUsed, attemptsAllowed } = message;
    write(this.attempts, `${attemptsUsed} of ${attemptsAllowed} attempts used`);
    this.tick();
  }

  /** Whatever was sent later has taken this PIN's place, unless it brought the same one again. */
  replacedBy(later) {
    this.outdated = this.outdated || later.pin !== this.message.pin;
    this.tick();
  }

  tick() {
    const left = secondsUntil(this.until);
    const state = this.message.state === "pending" && !left ? "expired" : this.message.state;
    const pending = state === "pending";
    this.node.dataset.state = state;
    write(this.state, STATES[state] ?? state);
    write(this.left, pending ? `${duration(left)} left` : "");
    this.left.hidden = !pending;
    this.life.style.inlineSize = pending ? `${Math.min(100, (100 * (this.until - Date.now())) / this.lifetime)}%` : "0";
    this.replaced.hidden = !(pending && this.outdated);
  }
}

const words = (message) => element("p", { className: "text" }, ...textWithPin(message));

function transcript(message) {
  const answered = element("p", { className: "heading" }, element("span", { className: "icon", "aria-hidden": "true" }), "Answered call");
  return [answered, element("p", { className: "label" }, "Transcript"), words(message)];
}

function letter(message) {
  const { from, to, subject } = message;
  const lines = Object.entries({ From: from, To: to, Subject: subject }).flatMap(([name, value]) => [
    element("dt", {}, name), element("dd", {}, value ?? ""),
  ]);
  return [element("dl", { className: "heading" }, ...lines), words(message)];
}

/** The text in parts; the PIN in it, or after it if the text does not show it, is a button that copies it. */
function textWithPin({ text, pin }) {
  const at = pin ? text.indexOf(pin) : -1;
  if (at < 0) return pin ? [text, " ", copyButton(pin)] : [text];
  return [text.slice(0, at), copyButton(pin), text.slice(at + pin.length)];
}

function copyButton(pin) {
  const digits = element("span", { className: "digits" }, pin);
  const button = element("button", { type: "button", className: "pin" }, digits, element("span", { className: "verb" }, "Copy"));
  button.addEventListener("click", () => copy(pin, digits));
  return button;
}
