// Talking to the service: one key, no cookies, and every failure as one of four kinds the widget can explain.

const TIMEOUT_MS = 15000;
const KEPT_ANSWERS = 20;
const WORTH_SHOWING = 0.5;

/** Why a request came to nothing: `offline`, `failed`, `busy` (with seconds to wait) or `refused`. */
export class Trouble extends Error {
  constructor(kind, waitS = 0) {
    super(kind);
    this.kind = kind;
    this.waitS = waitS;
  }
}

export class Service {
  constructor(base, key, products) {
    this.base = base.replace(/\/+$/, "");
    this.key = key;
    this.products = products;
    this.answers = new Map();
  }

  /**
   * What is worth showing for a question: nothing unless the service trusts its answer, and then the first article
   * with those that come near it. The last few answers are remembered, so deleting a letter asks nothing.
   */
  async ask(question, signal) {
    const name = JSON.stringify(question);
    if (!this.answers.has(name)) {
      const answer = await this.#send("/v1/search", { body: { ...question, products: this.products }, signal });
      const [first] = answer.suggestions;
      const isNear = ({ score }) => answer.answered && score >= first.score * WORTH_SHOWING;
      this.answers.set(name, { suggestions: answer.suggestions.filter(isNear), version: answer.index_version });
      if (this.answers.size > KEPT_ANSWERS) this.answers.delete(this.answers.keys().next().value);
    }
    return this.answers.get(name);
  }

  article(name, signal) {
    return this.#send(`/v1/articles/${name.split("/").map(encodeURIComponent).join("/")}`, { signal });
  }

  /** Tells the service without waiting for it, even while the page is being left. Nobody is troubled if it fails. */
  tell(path, body) {
    if (this.key) this.#send(path, { body, keepalive: true }).catch(() => {});
  }

  async #send(path, { body, signal, keepalive = false }) {
    const ends = AbortSignal.timeout(TIMEOUT_MS);
    let response;
    try {
      response = await fetch(this.base + path, {
        method: body ? "POST" : "GET",
        body: body && JSON.stringify(body),
        headers: {
          Accept: "application/json",
          ...(this.key && { Authorization: `Bearer ${this.key}` }),
          ...(body && { "Content-Type": "application/json" }),
        },
        credentials: "omit",
        referrerPolicy: "origin",
        keepalive,
        signal: signal ? AbortSignal.any([signal, ends]) : ends,
      });
      if (response.ok) return await response.json();
    } catch (error) {
      if (signal?.aborted) throw error;
      throw new Trouble(navigator.onLine ? "failed" : "offline");
    }
    if (response.status === 429 || response.status === 503) {
      throw new Trouble("busy", Math.min(60, Number(response.headers.get("Retry-After")) || 5));
    }
    throw new Trouble(response.status === 401 || response.status === 403 ? "refused" : "failed");
  }
}
