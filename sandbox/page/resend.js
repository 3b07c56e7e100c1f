// Offers the same PIN again, over the same channel or another.

import { announce, byId, element } from "./dom.js";

/** By the channel that it went out on last; the first brings it the same way. */
const WAYS = {
  sms: { sms: "Send it again", voice: "Call me instead" },
  voice: { voice: "Call me again", sms: "Send an SMS instead" },
  email: { email: "Send it again" },
};

export class ResendOffer {
  /** `act` is called with the channel that was chosen. */
  constructor(act) {
    this.act = act;
    this.node = byId("resend");
    this.ways = byId("resend-ways");
    this.after = null;
  }

  /** Offer those of `channels` after a message over `channel`; null takes the offer back. */
  offer(channel, channels = []) {
    if (channel === this.after) return;
    this.after = channel;
    const ways = Object.entries(WAYS[channel] ?? {}).filter(([way]) => channels.includes(way));
    if (this.node.contains(document.activeElement)) byId("send-button").focus(); // what goes must not take the focus along
    this.ways.replaceChildren(...ways.map(([way, label]) => this.button(way, label)));
    this.node.hidden = !ways.length;
    if (ways.length) announce(byId("resend-title").textContent);
  }

  button(channel, label) {
    const button = element("button", { type: "button", className: "secondary" }, label);
    button.addEventListener("click", () => this.act(channel));
    return button;
  }
}
