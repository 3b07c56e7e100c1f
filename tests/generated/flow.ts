// node flow.js <service> <key> <inbox> <number> <e-mail address>
// Does the same as flow.py, with openapi-fetch and types that openapi-typescript generated from the contract.
import createClient from "openapi-fetch";
import type { components, paths } from "./contract";

declare const process: { argv: string[]; exitCode: number };
type Schemas = components["schemas"];
type Same<A, B> = (<T>() => T extends A ? 1 : 2) extends <T>() => T extends B ? 1 : 2 ? true : false;

const sendBodies: Same<Schemas["SendOtp"], Schemas["SendOtpToPhone"] | Schemas["SendOtpToEmail"]> = true;
const phoneNumbers: Same<Schemas["SendOtpToPhone"]["phoneNumber"], string> = true;
const redeemedAt: Same<Schemas["ProofRedeemed"]["verifiedAt"], number> = true;

const [service, key, inbox, phone, email] = process.argv.slice(2) as [string, string, string, string, string];
const client = createClient<paths>({ baseUrl: service, headers: { Authorization: `Bearer ${key}` } });

function must(holds: boolean, what: string): void {
  if (!holds) throw new Error(what);
}

async function pinOf(to: string): Promise<string> {
  const arrived = await fetch(`${inbox}?${new URLSearchParams({ to })}`);
  return ((await arrived.json()) as { messages: { pin: string }[] }).messages[0]!.pin;
}

async function redeemed(proof: string | undefined): Promise<Schemas["ProofRedeemed"]> {
  const { data, error } = await client.POST("/proofs/redeem", { body: { proof: proof! } });
  if (!data) throw new Error(error.code);
  return data;
}

async function main(): Promise<void> {
  must(sendBodies && phoneNumbers && redeemedAt, "the types");
  const sent = await client.POST("/send-otp", { body: { phoneNumber: phone, channel: "voice", locale: "pt-BR" } });
  if (!sent.data) throw new Error(sent.error.code);
  const verificationId: string = sent.data.verificationId;

  const again = await client.POST("/resend-otp", { body: { phoneNumber: phone } });
  const code: Schemas["Refusal"]["code"] | undefined = again.error?.code;
  must(code === "too_many_requests", "resend");

  const guess = { phoneNumber: phone, pin: await pinOf(phone), verificationId };
  const verified = await client.POST("/verify-otp", { body: guess });
  const about = await redeemed(verified.data?.proof);
  must("phoneNumber" in about && about.phoneNumber === phone, "the number");
  const became = await client.GET("/verifications/{verificationId}", { params: { path: { verificationId } } });
  must(became.data?.status === "verified", "what became of it");

  must(!!(await client.POST("/send-otp", { body: { email } })).data, "send to an address");
  const mail = await client.POST("/verify-otp", { body: { email, pin: await pinOf(email) } });
  const address = await redeemed(mail.data?.proof);
  must("email" in address && address.email === email, "the address");
}

main().catch((error: unknown) => {
  console.error(error);
  process.exitCode = 1;
});
