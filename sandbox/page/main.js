import { Client } from "./client.js";
import { byId, element, write } from "./dom.js";
import { follow } from "./inbox.js";
import { Phone } from "./phone.js";
import { onTick, timeOfDay } from "./time.js";

const ORDINARY = { phoneNumber: "+14155552671", outcome: "an ordinary number: all goes well" };

async function readOffer() {
  const offer = await (await fetch("/try")).json();
  write(byId("service"), offer.service);
  write(byId("curl"), curl(offer.service));
  byId("numbers").append(...[ORDINARY, ...offer.numbers].map((each) => choice(each)));
  if (offer.limits) write(byId("limits"), limits(offer.limits));
}

function curl(service) {
  const body = `{"phoneNumber":"${ORDINARY.phoneNumber}"}`;
  return `curl ${service}/send-otp -H 'Content-Type: application/json' -d '${body}'`;
}

function limits({ send, verify }) {
  return `Limits by address in this run: ${send} to send, ${verify} to verify. Those by phone and by day are the service's own.`;
}

function choice({ phoneNumber, outcome }) {
  const button = element("button", { type: "button", className: "link" }, phoneNumber);
  button.addEventListener("click", () => client.choose(phoneNumber));
  return element("li", {}, button, element("span", { className: "quiet" }, outcome));
}

const phone = new Phone();
const client = new Client();
follow(phone, byId("connection"));
onTick(() => {
  phone.tick();
  client.tick();
  write(byId("clock"), timeOfDay(Date.now() / 1000, "short"));
});
readOffer();
