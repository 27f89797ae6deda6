// The form of choices. The choices themselves are an object that this keeps in step with the form.
import { DEFAULTS } from "../call/choices.js";
import { devices } from "../audio/sources.js";
import { byId, make } from "./dom.js";
import { offerVoices } from "./voice-list.js";

const LANGUAGES = "en-US en-GB en-AU de-DE fr-FR es-ES es-MX it-IT pt-BR nl-NL pl-PL sv-SE tr-TR ja-JP ko-KR zh-CN hi-IN ar-SA";

export class Settings {
  // `changed(name)` is called after a choice was changed by hand; for a key of a vendor, with "key".
  constructor(choices, gateway, changed) {
    this.choices = choices;
    this.gateway = gateway;
    this.changed = changed;
    this.keys = {}; // of vendors, by name, as long as the page is open
    this.providers = null;
    this.form = byId("choices");
    byId("languages").append(...LANGUAGES.split(" ").map((value) => make("option", { value })));
    this.form.addEventListener("submit", (event) => event.preventDefault());
    this.form.addEventListener("change", ({ target }) => this.take(target));
    this.form.elements.speed.addEventListener("input", ({ target }) => showSpeed(target.value));
    byId("forget").addEventListener("click", () => this.reset());
    navigator.mediaDevices?.addEventListener?.("devicechange", () => this.offerDevices());
  }

  // Fill the form with what the gateway offers; `providers` as GET /providers has it.
  offer(providers) {
    this.providers = providers;
    for (const half of ["stt", "tts"]) {
      const list = providers[half];
      this.form.elements[half].replaceChildren(...list.map(({ name, title, configured }) => make("option", { value: name }, configured ? title : `${title} (needs a key)`)));
      if (!list.some(({ name }) => name === this.choices[half])) this.choices[half] = providers.defaults[half];
    }
    note("turn-note", here(providers.models.turn_detection));
    note("noise-note", here(providers.models.noise_filter));
    this.fill();
    this.vendorChanged("stt");
    return this.vendorChanged("tts");
  }

  fill() {
    for (const [name, value] of Object.entries(this.choices)) {
      const field = this.form.elements[name];
      if (!field) continue; // the theme is elsewhere
      if (typeof value === "boolean") field.checked = value;
      else field.value = value;
    }
    showSpeed(this.choices.speed);
  }

  take(field) {
    const { name, dataset } = field;
    if (dataset.key) {
      this.keys[this.choices[dataset.key]] = field.value;
      this.offerVoices();
      this.changed("key");
      return;
    }
    if (!(name in this.choices)) return;
    const isNumber = typeof DEFAULTS[name] === "number";
    this.choices[name] = field.type === "checkbox" ? field.checked : isNumber ? Number(field.value) : field.value.trim();
    if (name === "speed") showSpeed(this.choices.speed);
    if (name === "stt" || name === "tts") {
      this.forgetVendor(name);
      this.vendorChanged(name);
    }
    this.changed(name);
  }

  // Models, options and voices of one vendor mean nothing to another.
  forgetVendor(half) {
    for (const name of half === "stt" ? ["sttModel", "sttOptions"] : ["ttsModel", "ttsOptions", "voice", "ttsLanguage"]) {
      this.choices[name] = DEFAULTS[name];
    }
    this.fill();
  }

  vendorChanged(half) {
    const chosen = this.vendor(half);
    this.form.elements[`${half}Model`].placeholder = chosen.model || "the vendor's";
    const key = this.form.querySelector(`[data-key=${half}]`);
    key.value = this.keys[chosen.name] ?? "";
    key.placeholder = chosen.configured ? "instead of the gateway's" : "needed, and not stored";
    key.parentElement.hidden = chosen.name === "local";
    return half === "tts" ? this.offerVoices() : null;
  }

  // {name, title, configured, model} of who is chosen.
  vendor(half) {
    const name = this.choices[half];
    return this.providers?.[half].find((one) => one.name === name) ?? { name, title: name || "the vendor", configured: true };
  }

  get titles() {
    const all = [...(this.providers?.stt ?? []), ...(this.providers?.tts ?? [])];
    return Object.fromEntries(all.map(({ name, title }) => [name, title]));
  }

  async offerVoices() {
    const { name, title } = this.vendor("tts");
    const answer = this.gateway.voices(name, this.keys[name]).catch((error) => ({ voices: [], reason: error.message }));
    const { voices, reason } = await answer;
    if (name !== this.choices.tts) return; // another was chosen meanwhile
    offerVoices(this.form.elements.voice, voices, this.choices.voice);
    this.choices.voice = this.form.elements.voice.value;
    note("voices-note", voices.length ? "" : `No list of voices from ${title}: ${reason || "it has none"}`);
  }

  // The name of the voice, where it is known which it is.
  get voiceName() {
    const { options, selectedOptions } = this.form.elements.voice;
    const [chosen] = this.choices.voice || options.length !== 2 ? selectedOptions : [options[1]];
    return chosen?.dataset.name ?? "";
  }

  async offerDevices() {
    const canChoose = "setSinkId" in (globalThis.AudioContext?.prototype ?? {});
    for (const [kind, name] of [["audioinput", "microphone"], ["audiooutput", "loudspeaker"]]) {
      const found = (await devices(kind)).filter((one) => one.deviceId !== "default");
      const items = found.map(({ deviceId, label }, i) => make("option", { value: deviceId }, label || `${name} ${i + 1}`));
      this.form.elements[name].replaceChildren(make("option", { value: "" }, "The browser's default"), ...items);
      this.form.elements[name].value = found.some(({ deviceId }) => deviceId === this.choices[name]) ? this.choices[name] : "";
      if (name === "loudspeaker") byId("loudspeaker-choice").hidden = !canChoose || found.length === 0;
    }
  }

  // Everything as on the first visit.
  reset() {
    const { theme } = this.choices;
    Object.assign(this.choices, DEFAULTS, { theme });
    this.keys = {};
    if (this.providers) this.offer(this.providers);
    else this.fill();
    this.changed("stt");
  }

  // Bring the form into view.
  open() {
    byId("settings").open = true;
    byId("settings").scrollIntoView({ block: "nearest" });
    this.form.elements.stt.focus();
  }
}

function showSpeed(value) {
  byId("speed-shown").textContent = `${Number(value).toFixed(2)} ×`;
}

// What became of a model of the gateway.
const here = (state) => (state ? `Here: ${state.replace(": ", ", ")}.` : "");

function note(id, text) {
  byId(id).textContent = text ?? "";
  byId(id).hidden = !text;
}
