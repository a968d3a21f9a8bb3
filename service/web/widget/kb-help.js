// <kb-help>: a search box for a help centre, or with the attribute `form` suggestions beside a ticket form.

import { Deflection } from "./deflection.js";
import { el } from "./dom.js";
import { Search } from "./search.js";
import { Service } from "./service.js";
import { Voice } from "./strings.js";
import { STYLES } from "./styles.js";

const SCRIPT_ORIGIN = document.currentScript ? new URL(document.currentScript.src).origin : location.origin;

/** One random id for each page view; it says nothing about anybody and is kept nowhere. */
const PAGE_SESSION = Array.from(crypto.getRandomValues(new Uint8Array(16)), (byte) => byte.toString(16).padStart(2, "0")).join("");

/** Articles that did not help on this page: not offered again beside the form. */
const UNHELPFUL = new Set();
const REPORTED = new Set();
const ELEMENTS = new Set();
let sheet;

export class KbHelp extends HTMLElement {
  /** What the element is built from; all other attributes are read when they are needed. */
  static observedAttributes = ["service", "key", "locale", "form", "products"];

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
    this.service = new Service(this.getAttribute("service") || SCRIPT_ORIGIN, this.getAttribute("key"), products);
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
    const paths = articles.map(({ path }) => path);
    const news = kind === "shown" ? paths.filter((path) => !REPORTED.has(`${surface} ${path}`)) : paths;
    if (kind === "shown") news.forEach((path) => REPORTED.add(`${surface} ${path}`));
    if (kind === "shown" && !news.length) return;
    this.service.tell("/v1/events", { session, event: kind, surface, articles: news.slice(0, 10), index_version: version });
  }

  /** The way on to a person; null where the page names none, or beside a form, which is that way. */
  contactLink() {
    const contact = this.getAttribute("contact");
    if (!contact || !this.#part.input) return null;
    return el("a", { class: "contact", part: "contact", href: contact, onclick: () => this.#contact() }, this.voice.say("contact"));
  }

  /** What was typed need not be typed again: it becomes the subject of an empty form on this page. */
  #contact() {
    this.dispatchEvent(new CustomEvent("kb-contact", { bubbles: true, composed: true }));
    const text = this.#part.input.value.trim();
    for (const element of ELEMENTS) {
      const subject = element.#part.subject;
      if (text && subject && !subject.value) {
        subject.value = text;
        subject.dispatchEvent(new Event("input", { bubbles: true }));
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
