// <kb-help>: a search box for a help centre, or with the attribute `form` suggestions beside a ticket form.

import { Deflection } from "./deflection.js";
import { el } from "./dom.js";
import { Search } from "./search.js";
import { Service } from "./service.js";
import { Voice } from "./strings.js";
import { STYLES } from "./styles.js";

/** Where the script came from; as a module it has no `currentScript`. */
const SCRIPT_ORIGIN = new URL((document.currentScript ?? document.querySelector('[src$="/kb-help.js"]'))?.src ?? location).origin;

/** One random id for each page view; it says nothing about anybody and is kept nowhere. */
const PAGE_SESSION = Array.from(crypto.getRandomValues(new Uint8Array(16)), (byte) => byte.toString(16).padStart(2, "0")).join("");

/** Articles that did not help on this page: not offered again beside the form. */
const UNHELPFUL = new Set();
const REPORTED = new Set();
const ELEMENTS = new Set();
let sheet;

export class KbHelp extends HTMLElement {
  /** What the element is built from; all other attributes are read when they are needed. */
  static observedAttributes = ["service", "publishable-key", "locale", "form", "products"];

  #strings;

  constructor() {
    super();
    this.unhelpful = UNHELPFUL;
    const root = this.attachShadow({ mode: "open" });
    if (!sheet) {
      sheet = new CSSStyleSheet();
      sheet.replaceSync(STYLES);
    }
    root.adoptedStyleSheets = [sheet];
  }

  connectedCallback() {
    ELEMENTS.add(this);
    if (Object.hasOwn(this, "strings")) { // the page was faster than this script
      this.#strings = this.strings;
      delete this.strings;
    }
    this.#build();
  }

  disconnectedCallback() {
    ELEMENTS.delete(this);
    this.#part?.disconnect();
  }

  attributeChangedCallback(_, before, now) {
    if (this.isConnected && this.#part && before !== now) this.#build();
  }

  /** The page's own words, over the dictionary's; keys as in the documentation. */
  set strings(own) {
    this.#strings = own;
    if (this.#part) this.#build();
  }

  get strings() {
    return this.voice.words;
  }

  /** Searches for `text` as if it had been typed. */
  search(text) {
    this.#part.ask?.(text);
  }

  /** Reads an article in place, at a section if its anchor is given. */
  open(name, anchor) {
    this.#part.reader.open(name, { anchor });
  }

  #part;
  #status;

  #build() {
    this.#part?.disconnect();
    const wanted = this.getAttribute("locale") || this.closest("[lang]")?.lang || navigator.language;
    this.voice = new Voice(wanted, this.#strings);
    const products = (this.getAttribute("products") ?? "").split(",").map((name) => name.trim()).filter(Boolean);
    this.service = new Service(this.getAttribute("service") || SCRIPT_ORIGIN, this.getAttribute("publishable-key"), products);
    this.#part = this.hasAttribute("form") ? new Deflection(this) : new Search(this);
    this.#status = el("div", { class: "unseen", role: "status", "aria-live": "polite" });
    const { direction } = getComputedStyle(this);
    this.shadowRoot.replaceChildren(
      el("div", { class: "root", part: "root", lang: this.voice.lang, dir: direction }, ...this.#part.nodes, this.#status));
  }

  /** Says it in the polite live region. */
  announce(text) {
    this.#status.textContent = text;
  }

  /** Tells the page by an event `kb-…`, and the service's ledger. What was typed goes to neither. */
  report(kind, { surface, articles, version = "" }) {
    const session = this.getAttribute("session") || PAGE_SESSION;
    const told = articles.map(({ article_id: id, path, title }) => ({ id, path, title }));
    this.dispatchEvent(new CustomEvent(`kb-${kind}`, { bubbles: true, composed: true, detail: { session, surface, articles: told } }));
    if (kind === "unsolved") UNHELPFUL.add(articles[0].path);
    const isShown = kind === "shown";
    const news = articles.map(({ path }) => path).filter((path) => !isShown || !REPORTED.has(surface + path));
    if (isShown) news.forEach((path) => REPORTED.add(surface + path));
    if (isShown && !news.length) return;
    this.service.tell("/v1/events", { session, event: kind, surface, articles: news.slice(0, 10), index_version: version });
  }

  /** The way on to a person; null where the page names none, or beside a form, which is that way. */
  contactLink() {
    const contact = this.getAttribute("contact");
    if (!contact || !this.#part.input) return null;
    return el("a", { class: "contact", part: "contact", href: contact, onclick: () => this.#contact() }, this.voice.say("contact"));
  }

  /**
   * What was typed need not be typed again: it becomes the subject of an empty form on this page; a text that is too
   * long for a help desk's subject becomes the form's text.
   */
  #contact() {
    this.dispatchEvent(new CustomEvent("kb-contact", { bubbles: true, composed: true }));
    const text = this.#part.input.value.trim();
    for (const element of ELEMENTS) {
      const field = element.#part[text.length > 150 ? "body" : "subject"];
      if (text && field && !field.value) {
        field.value = text;
        field.dispatchEvent(new Event("input", { bubbles: true }));
      }
    }
  }

  /** Where an article stands for itself: the page's own address pattern, or the service's public page. */
  articleUrl(path, anchor = "") {
    const pattern = this.getAttribute("article-url") || `${this.service.base}/articles/{path}#{anchor}`;
    const encoded = path.split("/").map(encodeURIComponent).join("/");
    return pattern.replace("{path}", encoded).replace("{anchor}", encodeURIComponent(anchor ?? "")).replace(/#$/, "");
  }
}

if (!customElements.get("kb-help")) customElements.define("kb-help", KbHelp);
