// What went over the wire, newest first.

import { byId, element } from "./dom.js";

const KEPT = 20;

/** Show an exchange, open; the earlier ones close. */
export function showExchange({ request, answer }) {
  const list = byId("exchanges");
  for (const earlier of list.querySelectorAll("details")) earlier.open = false;
  const sides = element("div", { className: "sides" }, side("Request", request), side("Answer", answer));
  list.prepend(element("li", {}, element("details", { open: true }, summary(request, answer), sides)));
  while (list.children.length > KEPT) list.lastElementChild.remove();
  byId("wire-empty").hidden = true;
}

function side(title, text) {
  return element("div", {}, element("h3", {}, title), element("pre", {}, text));
}

/** POST /send-otp → 200 OK */
function summary(request, answer) {
  const asked = firstLine(request).replace(/ HTTP.*/, "");
  const status = firstLine(answer).replace(/^HTTP\S+ /, "");
  return element("summary", {}, asked, " → ", element("span", { className: `status class-${status[0]}` }, status));
}

const firstLine = (text) => text.split("\n", 1)[0];
