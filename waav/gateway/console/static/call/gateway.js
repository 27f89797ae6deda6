// The gateway's own answers over HTTP, beside the call.

// `base` is the address of the gateway, from which its routes are reached.
export class Gateway {
  constructor(base, ask = (url, options) => fetch(url, options)) {
    this.base = base;
    this.ask = ask;
  }

  // Where calls go.
  get callUrl() {
    const url = new URL("ws", this.base);
    url.protocol = url.protocol === "https:" ? "wss:" : "ws:";
    return url.href;
  }

  // Its version, or null if it does not answer.
  async version() {
    try {
      return (await this.get("")).version;
    } catch {
      return null;
    }
  }

  // Who can recognise and speak, whom it prefers, and what became of its models.
  providers() {
    return this.get("providers");
  }

  // {voices, reason}: the voices of a vendor, with a key of one's own if there is one; `reason` where there are none.
  async voices(provider, key) {
    const query = new URLSearchParams({ provider, verbose: "true" });
    const answer = await this.get(`voices?${query}`, key ? { "x-provider-api-key": key } : {});
    return { voices: answer[provider] ?? [], reason: answer.errors?.[provider] ?? "" };
  }

  async get(path, headers = {}) {
    const answer = await this.ask(new URL(path, this.base), { headers });
    const body = await answer.text();
    if (!answer.ok) throw new Error(reason(body) || `${answer.status} ${answer.statusText}`);
    return JSON.parse(body);
  }
}

function reason(body) {
  try {
    return JSON.parse(body).message;
  } catch {
    return body;
  }
}
