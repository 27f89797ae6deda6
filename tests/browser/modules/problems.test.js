import * as problems from "/console/call/problems.js";
import { equal, matches, test } from "./check.js";

const VENDORS = { stt: { name: "deepgram", title: "Deepgram" }, tts: { name: "openai", title: "OpenAI" } };
const told = (message, code, vendors = VENDORS) => problems.ofMessage({ message, code }, vendors);

test("problems: a missing key names the vendor, the setting, and the way without one", () => {
  const { title, advice, detail, actions } = told("Failed to create voice manager: Deepgram API key not configured in server environment", "missing_credentials");
  equal(title, "This gateway has no key for Deepgram.");
  matches(advice, /key of your own in the settings.*embedded voices.*providers\.deepgram\.api_key/);
  matches(detail, /API key not configured/);
  equal(actions, ["settings", "again"]);
});

test("problems: the vendor is the one that the text names, else the one of its half", () => {
  matches(told("OpenAI API key not configured in server environment", "missing_credentials").title, /OpenAI/);
  matches(told("TTS error: nobody answered", "provider_timeout").title, /OpenAI did not answer/);
  matches(told("STT streaming error: nobody answered", "provider_timeout").title, /Deepgram did not answer/);
});

test("problems: a refused key, an empty account and settings that a vendor does not know are three things", () => {
  matches(told("deepgram answered HTTP 401: Invalid credentials.", "provider_refused").title, /does not accept the key/);
  matches(told("deepgram answered HTTP 402: Payment required", "provider_refused").title, /account with Deepgram is used up/);
  const refused = told("deepgram answered HTTP 400: No such model", "provider_refused");
  matches(refused.title, /refuses these settings/);
  matches(refused.advice, /No such model/);
});

test("problems: busy, broken, lost, late and not understood each say what to do", () => {
  matches(told("deepgram answered HTTP 429: slow down", "provider_busy").title, /too much to do/);
  matches(told("deepgram answered HTTP 503: x", "provider_busy").title, /trouble of its own/);
  matches(told("deepgram could not be reached: DNSLookupError", "provider_lost").advice, /ask whoever runs/);
  matches(told("Timeout waiting for voice providers to be ready", "provider_timeout").advice, /Call again/);
  matches(told("deepgram sent nonsense", "provider_protocol_error").advice, /another model or voice/);
  for (const code of ["provider_busy", "provider_lost", "provider_timeout", "internal_error", "idle"]) {
    equal([code, told("x", code).actions.includes("again")], [code, true]);
  }
});

test("problems: no word of the wire gets into what a person reads", () => {
  for (const code of ["missing_credentials", "provider_refused", "bad_request", "config_error", "whatever"]) {
    const { title, advice } = told("Failed to create voice manager: Failed to start voice manager: local: only English (en), not 'de'", code);
    equal([code, /voice manager|error:/i.test(title + advice)], [code, false]);
  }
  matches(told("Invalid message format: stt_config.language must be text", "invalid_message").advice, /^stt_config\.language must be text\.$/);
});

test("problems: a missing model says that the call goes on without it", () => {
  const { title, advice } = told("there is no noise filter here: waav init fetches it", "model_missing");
  matches(title, /goes on without/);
  matches(advice, /waav init fetches it\./);
});

const FINE = { answers: true, isOnline: true };
const ended = (code, { reason = "", wasReady = true, wasOurs = false } = {}) => ({ code, reason, wasReady, wasOurs });

test("a lost connection: hanging up oneself is none", () => {
  equal(problems.ofClose(ended(1000, { wasOurs: true }), FINE), null);
});

test("a lost connection: each says what to do, and offers to call again", () => {
  const cases = [
    [ended(1006), { answers: false, isOnline: true }, /connection to the gateway is lost/],
    [ended(1006, { wasReady: false }), { answers: false, isOnline: true }, /gateway does not answer/],
    [ended(1006), FINE, /broke off/],
    [ended(1006, { wasReady: false }), FINE, /took no call from this page/],
    [ended(1006), { answers: false, isOnline: false }, /offline/],
    [ended(1001), FINE, /stopped or started anew/],
    [ended(1011), FINE, /Something broke inside/],
    [ended(1000, { reason: "Connection closed due to inactivity" }), FINE, /nothing was said for too long/],
  ];
  for (const [end, world, title] of cases) {
    const problem = problems.ofClose(end, world);
    matches(problem.title, title);
    equal([problem.title, problem.advice.length > 20, problem.actions], [problem.title, true, ["again"]]);
    matches(problem.detail, /code 10/);
  }
});

test("the microphone: why there is none, for each reason that browsers have", () => {
  const said = (name) => problems.ofMicrophone(new DOMException("x", name));
  matches(said("NotAllowedError").advice, /Allow it/);
  matches(said("NotFoundError").title, /no microphone/);
  matches(said("NotReadableError").advice, /Another program/);
  matches(said("AbortError").advice, /settings/);
});

test("the address: why a plain-http page has no microphone, what works, and how to have one", () => {
  const { title, advice, detail } = problems.ofAddress(new URL("http://10.0.0.5:3001/console"));
  matches(title, /everything else works/);
  matches(advice, /https, or http:\/\/localhost.*http:\/\/10\.0\.0\.5:3001.*sound file/);
  matches(detail, /server\.tls.*ssh -L 3001:localhost:3001 10\.0\.0\.5/);
});

test("other problems: a file, a field, a warning and an unplugged microphone are told in words too", () => {
  matches(problems.ofFile("a.txt").title, /a\.txt is not a sound/);
  equal(problems.ofError(new Error("Voice: wrong")).title, "Voice: wrong");
  equal(problems.ofWarning("speaking rate 9 becomes 2").advice, "speaking rate 9 becomes 2.");
  matches(problems.ofOffer(new Error("500 x")).detail, /500 x/);
  matches(problems.UNPLUGGED.advice, /The call goes on/);
});
