// Beside a ticket form: suggests while the customer writes, and never stands between them and sending it.

import { el, icon, ICONS, suggestionNodes } from "./dom.js";
import { Reader } from "./reader.js";

const PAUSE_MS = 700;
const APART_MS = 2500;
const MIN_CHARS = 20;
const MIN_WIDE_CHARS = 10;
const MIN_WORDS = 4;
const LIMIT = 3;
const MAX_CHARS = 8000;
const WIDE = /[\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af]/;

export class Deflection {
  constructor(host) {
    const { voice } = (this.host = host);
    this.asked = "";
    this.askedAt = -Infinity;
    this.shown = [];
    this.reader = new Reader(host, { surface: "form", backLabel: "close", onClose: () => this.#leaveArticle() });
    this.list = el("ul", { class: "cards", part: "list" });
    this.title = el("h2", { id: "kb-panel-title", tabindex: "-1" }, voice.say("panel"));
    this.found = el("div", { class: "found" },
      el("div", { class: "panel-head" },
        icon(ICONS.bulb, "badge"),
        el("div", {}, this.title, el("p", { class: "quiet-text" }, voice.say("panelHint"))),
        el("button", { type: "button", class: "clear", part: "button dismiss", "aria-label": voice.say("dismiss"), onclick: () => this.#dismiss() }, icon(ICONS.cross))),
      this.list);
    this.element = el("section", { class: "panel", part: "panel", "aria-labelledby": "kb-panel-title", hidden: true }, this.found, this.reader.element);
    this.nodes = [this.element];
    this.life = new AbortController();
    this.#attach();
  }

  disconnect() {
    this.life.abort();
    this.#stop();
    this.reader.close();
  }

  /** Finds the form, now or when the page adds it. */
  #attach() {
    const root = this.host.getRootNode();
    const form = root.querySelector(this.host.getAttribute("form"));
    if (!form) {
      console.warn("kb-help: no form matches " + this.host.getAttribute("form"));
      const observer = new MutationObserver(() => {
        if (!root.querySelector(this.host.getAttribute("form"))) return;
        observer.disconnect();
        this.#attach();
      });
      observer.observe(root, { childList: true, subtree: true });
      this.life.signal.addEventListener("abort", () => observer.disconnect());
      return;
    }
    const { signal } = this.life;
    this.form = form;
    form.addEventListener("input", (event) => this.#typed(event), { signal });
    form.addEventListener("compositionend", (event) => this.#typed(event), { signal });
    form.addEventListener("submit", () => this.#submitted(), { signal, passive: true });
  }

  #field(name, fallback) {
    return this.form?.querySelector(this.host.getAttribute(name) ?? fallback);
  }

  get subject() {
    return this.#field("subject", '[name*="subject" i], [name*="summary" i], [name*="title" i]');
  }

  get body() {
    return this.#field("body", "textarea");
  }

  #typed(event) {
    if (event.isComposing || this.isDismissed || (event.target !== this.subject && event.target !== this.body)) return;
    this.#stop();
    const wait = Math.max(PAUSE_MS, this.askedAt + APART_MS - performance.now());
    this.timer = setTimeout(() => this.#ask(), wait);
  }

  async #ask() {
    const title = (this.subject?.value ?? "").trim().slice(0, 500);
    const text = (this.body?.value ?? "").trim().slice(0, MAX_CHARS);
    const whole = `${title}\n${text}`;
    if (!isEnough(whole.trim(), this.host.voice.locale)) {
      this.asked = "";
      this.#offer([]);
      return;
    }
    if (whole === this.asked) return;
    const { signal } = (this.controller = new AbortController());
    this.askedAt = performance.now();
    try {
      const answer = await this.host.service.ask({ title, text, limit: LIMIT }, signal);
      this.asked = whole;
      this.version = answer.version;
      this.#offer(answer.suggestions.filter(({ path }) => !this.host.unhelpful.has(path)));
    } catch {
      // Beside a form, silence is the honest error message: the customer came to write to a person.
    }
  }

  /** Shows suggestions, or nothing; never under the eyes or the pointer of somebody who reads or sends. */
  #offer(suggestions) {
    if (this.reader.isOpen || this.isDismissed || this.#isSending()) return;
    const isSame = suggestions.map(({ path }) => path).join() === this.shown.map(({ path }) => path).join();
    if (isSame || (!suggestions.length && this.element.contains(this.host.shadowRoot.activeElement))) return;
    this.shown = suggestions;
    this.list.replaceChildren(...suggestions.map((suggestion) => this.#card(suggestion)));
    this.element.hidden = !suggestions.length;
    this.host.announce(suggestions.length ? this.host.voice.count("panelCount", suggestions.length) : "");
    if (suggestions.length) this.host.report("shown", { surface: "form", articles: suggestions, version: this.version });
  }

  #isSending() {
    const focused = this.form.getRootNode().activeElement;
    const isSubmit = this.form.contains(focused) && focused.matches('button:not([type="button"]), input[type="submit"], input[type="image"]');
    return isSubmit || this.form.matches(":has(button:active, input:active)");
  }

  #card(suggestion) {
    const open = () => {
      this.opener = suggestion.path;
      this.found.hidden = true;
      this.element.classList.add("is-reading");
      this.reader.open(suggestion.path, { citation: suggestion.snippets[0]?.citation, version: this.version });
    };
    return el("li", {},
      el("button", { type: "button", class: "card", part: "card", onclick: open, "data-path": suggestion.path },
        ...suggestionNodes(suggestion),
        icon(ICONS.next, "flip chevron")));
  }

  #leaveArticle() {
    this.reader.close();
    this.found.hidden = false;
    this.element.classList.remove("is-reading");
    const card = [...this.list.querySelectorAll("button")].find((button) => button.dataset.path === this.opener);
    (card ?? this.title).focus();
  }

  #dismiss() {
    this.isDismissed = true;
    this.#stop();
    this.element.hidden = true;
    (this.body ?? this.subject)?.focus();
  }

  #submitted() {
    this.#stop();
    this.host.report("submitted", { surface: "form", articles: this.shown, version: this.version });
  }

  #stop() {
    clearTimeout(this.timer);
    this.controller?.abort();
  }
}

/** Whether a text says enough to be judged: some words and some length; scripts without spaces need fewer letters. */
export function isEnough(text, locale) {
  if ([...text].length < (WIDE.test(text) ? MIN_WIDE_CHARS : MIN_CHARS)) return false;
  let words = 0;
  for (const { isWordLike } of new Intl.Segmenter(locale, { granularity: "word" }).segment(text)) {
    words += isWordLike;
    if (words >= MIN_WORDS) return true;
  }
  return false;
}
