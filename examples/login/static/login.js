// Asks the service for a code and has it checked there; what the website gets is the proof.
const [send, verify, phone, pin, said] = ["send", "verify", "phone", "pin", "said"].map((id) => document.getElementById(id));
const purpose = send?.dataset.purpose ? { purpose: send.dataset.purpose } : {};
let sent; // what was asked for, and the answer
let key; // of a send without an answer: with the same one, the service sends no second SMS

async function post(path, body, headers = {}) {
  const answer = await fetch(send.dataset.service + path, {
    method: "POST",
    headers: { "Content-Type": "application/json", ...headers },
    body: JSON.stringify({ ...body, ...purpose }),
    signal: AbortSignal.timeout(30_000),
  }).catch(() => { throw new Error("The service cannot be reached. Please try again."); });
  const members = await answer.json().catch(() => ({ error: "Please try again later." }));
  if (answer.ok) return members;
  const wait = answer.headers.get("Retry-After");
  throw Object.assign(new Error(members.error + (wait ? ` Wait ${wait} seconds.` : "")), { code: members.code });
}

async function once(form, work) { // a double tap asks once
  const button = form.querySelector("button");
  if (button.disabled) return;
  button.disabled = true;
  try {
    await work();
  } catch (error) {
    said.textContent = error.message;
    if (error.code && error.code !== "request_in_progress") key = null;
  } finally {
    button.disabled = false;
  }
}

send?.addEventListener("submit", (event) => {
  event.preventDefault();
  once(send, async () => {
    key ??= crypto.randomUUID();
    const body = { phoneNumber: phone.value, nonce: send.dataset.nonce };
    const answer = await post("/send-otp", body, { "Idempotency-Key": key });
    if (phone.value !== body.phoneNumber) return;
    sent = { ...body, ...answer };
    [key, verify.hidden, said.textContent] = [null, false, "A code is on its way."];
    pin.focus();
  });
});

phone?.addEventListener("input", () => { [key, verify.hidden, said.textContent] = [null, true, ""]; });

verify?.addEventListener("submit", (event) => {
  event.preventDefault();
  once(verify, async () => {
    const body = { phoneNumber: sent.phoneNumber, pin: pin.value, verificationId: sent.verificationId };
    verify.elements.proof.value = (await post("/verify-otp", body)).proof;
    verify.submit(); // without another event
  });
});
