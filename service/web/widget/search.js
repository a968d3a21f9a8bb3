// Search as you type: an editable combobox with list autocomplete and manual selection, after the WAI-ARIA practices.

import { el, icon, ICONS, suggestionNodes } from "./dom.js";
import { notice, retryLater } from "./notices.js";
import { Reader } from "./reader.js";

const PAUSE_MS = 250;
const SLOW_MS = 1500;
const MIN_CHARS = 3;
const MIN_WIDE_CHARS = 2;
const LIMIT = 5;
const WIDE = /[\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af]/;

export class Search {
  constructor(host) {
    const { voice } = (this.host = host);
    this.active = -1;
    this.suggestions = [];
    this.reader = new Reader(host, { surface: "search", backLabel: "back", onClose: () => this.#leaveArticle() });
    this.input = el("input", {
      id: "kb-q", part: "input", type: "text", role: "combobox", autocomplete: "off", spellcheck: "false",
      enterkeyhint: "search", maxlength: "2000", placeholder: voice.say("placeholder"), "aria-autocomplete": "list",
      "aria-expanded": "false", "aria-controls": "kb-list",
      oninput: (event) => event.isComposing || this.#typed(), oncompositionend: () => this.#typed(),
      onkeydown: (event) => this.#key(event), onclick: () => this.#open(true),
    });
    this.clear = el("button", { type: "button", class: "clear", part: "button clear", hidden: true, "aria-label": voice.say("clear"), onclick: () => this.#clear() }, icon(ICONS.cross));
    this.list = el("ul", { id: "kb-list", class: "list", role: "listbox", part: "list", "aria-label": voice.say("suggested"), hidden: true });
    this.notice = el("div", { class: "notices", hidden: true });
    this.way = el("div", { class: "way-on", part: "footer", hidden: true });
    this.popup = el("div", { class: "popup", part: "popup", hidden: true, onmousedown: (event) => event.preventDefault() }, this.list, this.notice, this.way);
    this.element = el("div", { class: "search", role: "search", onfocusout: (event) => this.#left(event) },
      el("label", { for: "kb-q", part: "label" }, voice.say("label")),
      el("div", { class: "field", part: "field" }, icon(ICONS.search), this.input, this.clear, el("span", { class: "progress" })),
      this.popup);
    this.nodes = [this.element, this.reader.element];
  }

  /** Asks for `text` at once, as if it had been typed. */
  ask(text) {
    this.input.value = text;
    this.input.focus();
    this.#typed(0);
  }

  disconnect() {
    clearTimeout(this.timer);
    this.controller?.abort();
    this.reader.close();
  }

  #typed(pauseMs = PAUSE_MS) {
    clearTimeout(this.timer);
    this.controller?.abort();
    this.#busy(false);
    this.#choose(-1);
    this.clear.hidden = !this.input.value;
    const text = this.input.value.trim();
    if ([...text].length < (WIDE.test(text) ? MIN_WIDE_CHARS : MIN_CHARS)) {
      this.suggestions = [];
      this.list.replaceChildren();
      this.notice.replaceChildren();
      this.#open(false);
      this.host.announce("");
      return;
    }
    this.timer = setTimeout(() => this.#fetch(text), pauseMs);
  }

  async #fetch(text) {
    this.controller?.abort();
    const { signal } = (this.controller = new AbortController());
    const { voice, service } = this.host;
    this.#busy(true);
    if (this.popup.contains(this.host.shadowRoot.activeElement)) this.input.focus();
    const slow = setTimeout(() => this.#tell([el("p", { class: "quiet-text" }, voice.say("slow"))]), SLOW_MS);
    const again = () => this.#fetch(text);
    try {
      const answer = await service.ask({ text, limit: LIMIT }, signal);
      this.#show(answer);
    } catch (error) {
      if (signal.aborted) return;
      this.suggestions = [];
      this.#tell([notice(this.host, error, again)], error.kind !== "busy");
      retryLater(error, again, signal);
    } finally {
      clearTimeout(slow);
      if (!signal.aborted) this.#busy(false);
    }
  }

  #show(answer) {
    const { voice } = this.host;
    this.suggestions = answer.suggestions;
    this.version = answer.version;
    if (!this.suggestions.length) {
      this.#tell([el("p", { class: "strong" }, voice.say("none")), el("p", { class: "quiet-text" }, voice.say("noneHint"))], true);
      return;
    }
    this.list.replaceChildren(...this.suggestions.map((suggestion, number) => this.#option(suggestion, number)));
    this.notice.hidden = true;
    this.#wayOn();
    this.isNews = true;
    this.#open(true);
  }

  #option(suggestion, number) {
    return el("li", {
      id: `kb-o-${number}`, class: "option", role: "option", part: "option", "aria-selected": "false",
      onclick: () => this.#openArticle(number),
    }, ...suggestionNodes(suggestion));
  }

  /** Shows words where the list would be, and says them. */
  #tell(nodes, withWayOn = false) {
    this.notice.replaceChildren(...nodes);
    this.notice.hidden = false;
    this.list.replaceChildren();
    this.#wayOn(withWayOn);
    if (this.#open(true)) this.host.announce([...this.notice.querySelectorAll("p")].map((said) => said.textContent).join(" "));
  }

  #wayOn(isWanted = true) {
    const link = isWanted && this.host.contactLink();
    this.way.hidden = !link;
    if (link) this.way.replaceChildren(this.suggestions.length ? el("span", { dir: "auto" }, this.host.voice.say("contactLead")) : "", link);
  }

  /** Shows or hides what there is, and says so the first time; never over the page of somebody who has left the field. */
  #open(isWanted) {
    const isOpen = isWanted && this.element.contains(this.host.shadowRoot.activeElement) && this.popup.querySelector("li, p") !== null;
    const hasOptions = isOpen && this.list.childElementCount > 0;
    this.popup.hidden = !isOpen;
    this.list.hidden = !hasOptions;
    this.input.setAttribute("aria-expanded", hasOptions);
    if (!isOpen) this.#choose(-1);
    if (hasOptions && this.isNews) {
      this.isNews = false;
      this.#sayCount();
      this.host.report("shown", { surface: "search", articles: this.suggestions, version: this.version });
    }
    return isOpen;
  }

  #sayCount() {
    this.host.announce(this.host.voice.count("results", this.suggestions.length));
  }

  #choose(number) {
    const options = this.list.children;
    options[this.active]?.setAttribute("aria-selected", "false");
    this.active = number;
    if (number < 0) {
      this.input.removeAttribute("aria-activedescendant");
      return;
    }
    options[number].setAttribute("aria-selected", "true");
    options[number].scrollIntoView({ block: "nearest" });
    this.input.setAttribute("aria-activedescendant", options[number].id);
  }

  #key(event) {
    if (event.isComposing || event.ctrlKey || event.metaKey) return;
    const total = this.list.childElementCount;
    const isOpen = !this.list.hidden;
    if ((event.key === "ArrowDown" || event.key === "ArrowUp") && total) {
      event.preventDefault();
      const isDown = event.key === "ArrowDown";
      if (event.altKey) {
        this.#open(isDown);
        return;
      }
      this.#open(true);
      const from = this.active < 0 && !isDown ? total : this.active;
      this.#choose((from + (isDown ? 1 : -1) + total) % total);
    } else if (event.key === "Enter") {
      event.preventDefault();
      if (isOpen && this.active >= 0) this.#openArticle(this.active);
      else this.#typed(0);
    } else if (event.key === "Escape") {
      event.preventDefault();
      if (this.popup.hidden) this.#clear();
      else this.#open(false);
    } else if (["ArrowLeft", "ArrowRight", "Home", "End"].includes(event.key)) {
      this.#choose(-1);
    }
  }

  #openArticle(number) {
    const suggestion = this.suggestions[number];
    this.#open(false);
    this.reader.open(suggestion.path, { citation: suggestion.snippets[0]?.citation, version: this.version });
  }

  #leaveArticle() {
    this.reader.close();
    this.input.focus();
    this.#open(true);
    if (!this.list.hidden) this.#sayCount();
  }

  #clear() {
    this.input.value = "";
    this.#typed();
    this.input.focus();
  }

  #left(event) {
    if (!this.element.contains(event.relatedTarget)) this.#open(false);
  }

  #busy(isBusy) {
    this.element.classList.toggle("is-busy", isBusy);
  }
}
