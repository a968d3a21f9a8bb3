// One article, read in place: at the cited section, with "Did this solve it?" below.

import { articleNodes, el, icon, ICONS } from "./dom.js";
import { notice, retryLater } from "./notices.js";

export class Reader {
  /**
   * @param host the widget: its `voice`, `service`, `report` and `contactLink`.
   * @param options `surface`, `backLabel`, and `onClose`, called when the reader wants to go back.
   */
  constructor(host, { surface, backLabel, onClose }) {
    this.host = host;
    this.surface = surface;
    this.onClose = onClose;
    this.body = el("div", { class: "reader-body" });
    this.back = el("button", { type: "button", class: "quiet back", part: "button back", onclick: () => this.onClose() },
      icon(ICONS.back, "flip"), el("span", {}, host.voice.say(backLabel)));
    this.element = el(
      "section",
      { class: "reader", part: "article", hidden: true, "aria-label": host.voice.say("opening"), onkeydown: (event) => this.#key(event) },
      el("div", { class: "back-bar" }, this.back),
      this.body,
    );
  }

  get isOpen() {
    return !this.element.hidden;
  }

  /** Shows the article `path`; `citation` says where to begin, or `anchor`. */
  async open(path, { citation, anchor = citation?.anchor, version = "" } = {}) {
    this.controller?.abort();
    const { signal } = (this.controller = new AbortController());
    const { voice, service } = this.host;
    this.element.hidden = false;
    if (this.surface === "form" || this.body.contains(this.host.shadowRoot.activeElement)) this.back.focus({ preventScroll: true });
    this.body.replaceChildren(el("p", { class: "quiet-text" }, voice.say("opening")));
    this.host.announce(voice.say("opening"));
    try {
      const article = await service.article(path, signal);
      this.#show(article, citation, anchor);
      this.host.announce("");
      this.host.report("opened", { surface: this.surface, articles: [article], version: version || article.index_version });
    } catch (error) {
      if (signal.aborted) return;
      const again = () => this.open(path, { citation, anchor, version });
      this.body.replaceChildren(notice(this.host, error, again));
      this.host.announce(this.body.textContent);
      retryLater(error, again, signal);
    }
  }

  close() {
    this.controller?.abort();
    this.element.hidden = true;
    this.body.replaceChildren();
  }

  #show(article, cited, anchor) {
    const { voice } = this.host;
    const prose = el("div", { class: "prose", part: "prose", dir: "auto", lang: this.host.getAttribute("content-lang") });
    prose.append(articleNodes(article.html, { cited, link: (node, href) => this.#link(node, href, article) }));
    if (!prose.querySelector("h2")) prose.prepend(el("h2", {}, article.title));
    const title = prose.querySelector("h2");
    title.id = "kb-article-title";
    const address = this.host.articleUrl(article.path, anchor);
    const meta = el("p", { class: "meta", part: "meta" },
      article.last_verified && el("span", {}, voice.say("checked", { date: voice.date(article.last_verified) })),
      el("a", { href: address, target: "_blank", rel: "noopener", part: "permalink" }, el("span", {}, voice.say("newTab")), icon(ICONS.out)));
    title.after(meta);
    this.element.removeAttribute("aria-label");
    this.element.setAttribute("aria-labelledby", title.id);
    this.body.replaceChildren(prose, this.#verdict(article));
    this.#goTo(anchor);
  }

  /** Moves focus and view to a section, or to the title. */
  #goTo(anchor) {
    const root = this.element.getRootNode();
    const first = this.body.querySelectorAll("h3")[0];
    const section = anchor && root.getElementById(`kb-s-${anchor}`);
    const target = section && section !== first ? section : this.body.querySelector("h2");
    target.tabIndex = -1;
    target.focus({ preventScroll: true });
    const isTitle = target.tagName === "H2";
    const behavior = matchMedia("(prefers-reduced-motion: reduce)").matches ? "auto" : "smooth";
    if (this.surface === "form") this.element.scrollTop = isTitle ? 0 : target.offsetTop - 4 * this.back.offsetHeight / 3;
    const view = isTitle || this.surface === "form" ? this.element : target;
    view.scrollIntoView({ block: this.surface === "form" ? "nearest" : "start", behavior });
  }

  /** Links: a section of this article, another article (read in place), or a page elsewhere (in a new tab). */
  #link(node, href, article) {
    if (!href) return;
    const inPlace = (go) => node.addEventListener("click", (event) => {
      if (event.ctrlKey || event.metaKey || event.shiftKey) return;
      event.preventDefault();
      go();
    });
    const other = /^\/articles\/([^#?]+)(?:\?[^#]*)?(?:#(.*))?$/.exec(href);
    if (href.startsWith("#")) {
      const anchor = decode(href.slice(1));
      node.href = this.host.articleUrl(article.path, anchor);
      inPlace(() => this.#goTo(anchor));
    } else if (other) {
      const [path, anchor] = [decode(other[1]), decode(other[2] ?? "")];
      node.href = this.host.articleUrl(path, anchor);
      inPlace(() => this.open(path, { anchor }));
    } else if (/^(https?:|mailto:)/.test(href)) {
      Object.assign(node, { href, target: "_blank", rel: "noopener noreferrer" });
    }
  }

  #verdict(article) {
    const { voice } = this.host;
    const row = el("div", { class: "verdict", part: "verdict", role: "group", "aria-labelledby": "kb-question" });
    const answer = (isSolved) => {
      const kind = isSolved ? "solved" : "unsolved";
      const words = this.surface === "form" ? [kind, `${kind}Form`] : [kind];
      const thanks = el("p", { class: "thanks", tabindex: "-1" }, isSolved ? icon(ICONS.check) : null, words.map((key) => voice.say(key)).join(" "));
      row.replaceChildren(thanks, ...(isSolved ? [] : [this.host.contactLink()].filter(Boolean)));
      row.removeAttribute("aria-labelledby");
      row.removeAttribute("role");
      thanks.focus();
      this.host.report(kind, { surface: this.surface, articles: [article], version: article.index_version });
      this.host.service.tell("/v1/feedback", { index_version: article.index_version, article: article.path, helpful: isSolved });
    };
    row.append(
      el("p", { class: "question", id: "kb-question" }, voice.say("question")),
      el("div", { class: "choices" },
        el("button", { type: "button", class: "primary", part: "button yes", onclick: () => answer(true) }, voice.say("yes")),
        el("button", { type: "button", part: "button no", onclick: () => answer(false) }, voice.say("no"))),
    );
    return row;
  }

  #key(event) {
    if (event.key !== "Escape" || event.isComposing) return;
    event.preventDefault();
    event.stopPropagation();
    this.onClose();
  }
}

/** Percent-decoded, or as it is if an author wrote a bare percent sign. */
function decode(text) {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}
