// One step of the app: a form with a field, a button that may have to wait, and room for what came of it.

import { announce, byId, write } from "./dom.js";
import { duration, inSeconds, secondsUntil } from "./time.js";

export class Step {
  /** `labels` of the button: idle, wait (with the time that is left), over (after that), busy. */
  constructor(form, field, labels) {
    this.form = byId(form);
    this.input = byId(field);
    this.error = byId(`${field}-error`);
    this.result = byId(`${form}-result`);
    this.button = byId(`${form}-button`);
    this.labels = labels;
    this.busy = false;
    this.waits = new Map(); // until when, by recipient
    this.input.addEventListener("input", () => this.clearField());
  }

  onSubmit(act) {
    this.form.addEventListener("submit", (event) => {
      event.preventDefault();
      // Not `disabled`: a button that waits keeps the focus.
      if (this.button.getAttribute("aria-disabled") !== "true") act();
    });
  }

  waitFor(key, seconds) {
    this.waits.set(key, inSeconds(seconds));
  }

  /** Seconds until it can be asked again; undefined where it was not asked yet. */
  wait(key) {
    const until = this.waits.get(key);
    return until && secondsUntil(until);
  }

  async whileBusy(ask) {
    this.busy = true;
    this.label(this.labels.busy, true);
    try {
      return await ask();
    } finally {
      this.busy = false;
    }
  }

  tick(key) {
    if (this.busy) return;
    const left = this.wait(key);
    if (left) this.label(`${this.labels.wait} in ${duration(left)}`, true);
    else this.label(left === 0 ? this.labels.over : this.labels.idle, false);
  }

  label(text, off) {
    write(this.button, text);
    this.button.setAttribute("aria-disabled", off);
  }

  succeed(text) {
    this.say(text, "good");
    announce(text);
  }

  refuse(text) {
    this.say(text, "bad");
  }

  refuseField(text) {
    this.error.textContent = text;
    this.input.setAttribute("aria-invalid", "true");
    this.input.focus();
    this.input.select();
  }

  clear() {
    this.clearField();
    this.say("", "");
  }

  clearField() {
    this.error.textContent = "";
    this.input.removeAttribute("aria-invalid");
  }

  say(text, kind) {
    this.result.textContent = text;
    this.result.dataset.kind = kind;
  }
}
