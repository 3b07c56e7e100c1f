// What went over the wire, newest first.

import { byId, element } from "./dom.js";

const KEPT = 20;

/** Show an exchange, open; the earlier ones close. */
export function showExchange({ request, answer }) {
  const list = byId("exchanges");
  for (const earlier of list.querySelectorAll("details")) earlier.open = false;
  list.prepend(element("li", {}, element("details", { open: true },
    summary(request, answer),
    element("h3", {}, "Request"), element("pre", {}, request),
    element("h3", {}, "Answer"), element("pre", {}, answer))));
  while (list.children.length > KEPT) list.lastElementChild.remove();
  byId("wire-empty").hidden = true;
}

/** POST /send-otp → 200 OK */
function summary(request, answer) {
  const asked = firstLine(request).replace(/ HTTP.*/, "");
  const status = firstLine(answer).replace(/^HTTP\S+ /, "");
  return element("summary", {}, asked, " → ", element("span", { className: `status class-${status[0]}` }, status));
}

const firstLine = (text) => text.split("\n", 1)[0];
