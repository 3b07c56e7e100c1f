// The phone: a thread for each number or e-mail address, newest first, and its messages.

import { announce, byId, element } from "./dom.js";
import { Bubble } from "./bubble.js";
import { timeOfDay } from "./time.js";

const KEPT = 1000; // messages; the sandbox keeps no more either
const NAMES = { SMS: "message", VOICE: "call", EMAIL: "e-mail" };
const STEPS = { ArrowDown: 1, ArrowUp: -1 };

class Thread {
  constructor(to, number) {
    this.to = to;
    this.bubbles = new Map();
    this.unread = 0;
    this.preview = element("span", { className: "preview" });
    this.time = element("span", { className: "time" });
    this.badge = element("span", { className: "badge", hidden: true });
    this.tab = element("button", { id: `thread-${number}`, type: "button", role: "tab", "aria-controls": `panel-${number}` },
      element("span", { className: "to" }, to), this.time, this.preview, this.badge);
    this.list = element("ol", { className: "bubbles" });
    this.panel = element("div", { id: `panel-${number}`, className: "panel", role: "tabpanel", tabIndex: 0,
      "aria-labelledby": `thread-${number}` }, this.list);
    this.select(false);
  }

  /** Returns whether the message is a new one. */
  show(message) {
    const known = this.bubbles.get(message.id);
    if (known) {
      known.update(message);
      return false;
    }
    for (const bubble of this.bubbles.values()) bubble.replacedBy(message);
    const bubble = new Bubble(message);
    this.bubbles.set(message.id, bubble);
    this.list.append(bubble.node);
    this.preview.textContent = message.channel === "VOICE" ? `Call: ${message.text}` : message.text;
    this.time.textContent = timeOfDay(message.sentAt, "short");
    return true;
  }

  count(unread) {
    this.unread = unread;
    this.badge.hidden = !unread;
    this.badge.textContent = unread ? `${unread} new` : "";
  }

  select(selected) {
    this.tab.setAttribute("aria-selected", selected);
    this.tab.tabIndex = selected ? 0 : -1;
    this.panel.hidden = !selected;
    if (selected) this.count(0);
  }

  scrollToEnd() {
    requestAnimationFrame(() => { this.panel.scrollTop = this.panel.scrollHeight; });
  }
}

export class Phone {
  constructor() {
    this.tabs = byId("threads");
    this.panels = byId("panels");
    this.tabs.addEventListener("keydown", (event) => this.move(event));
    this.made = 0;
    this.clear();
  }

  /** Forget everything. */
  clear() {
    this.threads = new Map();
    this.order = []; // a function for each message that takes it off the phone, oldest first
    this.current = null;
    this.tabs.replaceChildren();
    this.panels.replaceChildren();
    this.fill();
  }

  /** Show a message that is new or has changed; `quiet` for one that was there before the page. */
  show(message, quiet) {
    const thread = this.threads.get(message.to) ?? this.open(message.to);
    if (!thread.show(message)) return;
    this.order.push(() => this.drop(thread, message.id));
    if (this.order.length > KEPT) this.order.shift()();
    const busy = this.tabs.contains(document.activeElement) || this.panels.contains(document.activeElement);
    if (!busy || !this.current) this.select(thread);
    if (!busy) this.tabs.prepend(thread.tab); // what has the focus must not move
    if (thread === this.current) thread.scrollToEnd();
    else thread.count(thread.unread + 1);
    if (!quiet) announce(`New ${NAMES[message.channel]} to ${message.to}: ${message.text}`);
  }

  drop(thread, id) {
    thread.bubbles.get(id).node.remove();
    thread.bubbles.delete(id);
    if (thread.bubbles.size) return;
    this.threads.delete(thread.to);
    thread.tab.remove();
    thread.panel.remove();
  }

  tick() {
    for (const thread of this.threads.values()) {
      for (const bubble of thread.bubbles.values()) bubble.tick();
    }
  }

  open(to) {
    this.made += 1;
    const thread = new Thread(to, this.made);
    thread.tab.addEventListener("click", () => this.select(thread));
    this.threads.set(to, thread);
    this.tabs.append(thread.tab);
    this.panels.append(thread.panel);
    this.fill();
    return thread;
  }

  fill() {
    const empty = !this.threads.size;
    byId("empty").hidden = !empty;
    this.tabs.hidden = this.panels.hidden = empty;
  }

  select(thread) {
    this.current?.select(false);
    this.current = thread;
    thread.select(true);
    thread.scrollToEnd();
  }

  move(event) {
    const step = STEPS[event.key];
    if (!step) return;
    event.preventDefault();
    const tabs = [...this.tabs.children];
    const next = tabs[(tabs.indexOf(document.activeElement) + step + tabs.length) % tabs.length];
    next.focus();
    next.click();
  }
}
