// Making elements, and turning the service's text and HTML into them. Nothing here parses HTML into the page.

/** An element with attributes, `on…` listeners and children; null and false are left out. */
export function el(tag, attributes = {}, ...children) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (typeof value === "function") node.addEventListener(name.slice(2), value);
    else if (value != null && value !== false) node.setAttribute(name, value === true ? "" : value);
  }
  node.append(...children.filter((child) => child != null));
  return node;
}

const SVG = "http://www.w3.org/2000/svg";

/** A 24 × 24 line icon, hidden from assistive technology. */
export function icon(path, kind = "") {
  const svg = document.createElementNS(SVG, "svg");
  svg.setAttribute("viewBox", "0 0 24 24");
  svg.setAttribute("class", `icon ${kind}`);
  svg.setAttribute("aria-hidden", "true");
  const line = document.createElementNS(SVG, "path");
  line.setAttribute("d", path);
  svg.append(line);
  return svg;
}

export const ICONS = {
  search: "M10.5 17.5a7 7 0 1 0 0-14 7 7 0 0 0 0 14Zm5-2 5 5",
  cross: "M6 6l12 12M18 6 6 18",
  back: "M19 12H5m6-6-6 6 6 6",
  next: "M9 6l6 6-6 6",
  out: "M8 5h11v11m0-11L5 19",
  bulb: "M9 18h6m-5 3h4M8.5 15c-1.6-1-2.5-2.7-2.5-4.6a6 6 0 1 1 12 0c0 1.9-.9 3.6-2.5 4.6",
  check: "M5 12.5l4.5 4.5L19 7.5",
};

// A block of code whose fence names its language, as far as the snippet has it; a link or image; other signs.
const MARKUP = /^[ \t]*(?:```|~~~)\w[^]*?(?:^[ \t]*(?:```|~~~)|$(?![^]))|!?\[([^\]\n]*)\]\([^)\n]*\)|^[ \t]*(?:#{1,6}|>|[-*+]|\d{1,3}[.)])[ \t]+|^[ \t]*(?:```|~~~).*$|\*\*|__|`|(?<![\w*])\*(?=\w)|(?<=[\w.)])\*(?![\w*])/gm;

/** A suggestion's title, its first snippet, and where in the article that stands; of a snippet that is all code, the summary. */
export function suggestionNodes({ title, summary, snippets: [snippet] }) {
  const part = (name, ...children) => el("span", { class: name, part: `option-${name}`, dir: "auto" }, ...children);
  const nodes = [part("title", title)];
  if (snippet) {
    const said = part("snippet", ...snippetNodes(snippet));
    if (!/\p{L}/u.test(said.textContent)) said.textContent = summary;
    nodes.push(said, part("where", snippet.citation.heading_path.slice(1).join(" › ")));
  }
  return nodes;
}

/** A snippet as text and <mark> nodes: blocks of code and Markdown signs left out, the words that matched marked. */
function snippetNodes({ text, highlights }) {
  const keep = new Uint8Array(text.length).fill(1);
  for (const match of text.matchAll(MARKUP)) {
    keep.fill(0, match.index, match.index + match[0].length);
    if (match[1]) {
      const start = match.index + match[0].indexOf("[") + 1;
      keep.fill(1, start, start + match[1].length);
    }
  }
  let codePoint = 0;
  const ends = Array.from(text, (character) => (codePoint += character.length));
  for (const [start, end] of highlights) {
    for (let at = ends[start - 1] || 0; at < ends[end - 1]; at++) keep[at] *= 2;
  }
  const nodes = [];
  for (let at = 0; at < text.length; ) {
    const kind = keep[at];
    const start = at;
    while (at < text.length && keep[at] === kind) at++;
    const piece = text.slice(start, at).replace(/\s+/g, " ");
    if (kind) nodes.push(kind === 2 ? el("mark", { part: "mark" }, piece) : piece);
  }
  return nodes;
}

const PLAIN = "P BR HR SPAN EM STRONG CODE PRE BLOCKQUOTE UL OL LI TABLE THEAD TBODY TR TH TD A H1 H2 H3 H4 H5 H6";
const ALLOWED = new Set(PLAIN.split(" "));
const DROPPED = new Set("SCRIPT STYLE TEMPLATE IFRAME OBJECT EMBED NOSCRIPT".split(" "));

/** Parses the service's sanitised HTML off the page; under Trusted Types by the policy `kb-help`. */
function parse(html) {
  const rules = { createHTML: (text) => text };
  parse.policy ??= globalThis.trustedTypes?.createPolicy("kb-help", rules) ?? rules;
  return new DOMParser().parseFromString(parse.policy.createHTML(html), "text/html").body;
}

/**
 * An article's HTML as nodes: only elements and attributes on the list are made anew, everything else is dropped.
 * Headings go one level down, since the page has its own h1, and their ids get a prefix of ours.
 */
export function articleNodes(html, { cited, link }) {
  const copy = (source, target) => {
    for (const node of source.childNodes) {
      if (node.nodeType === Node.TEXT_NODE) target.append(node.data);
      else if (node.nodeType === Node.ELEMENT_NODE && !DROPPED.has(node.tagName)) {
        if (ALLOWED.has(node.tagName)) target.append(copyElement(node));
        else copy(node, target);
      }
    }
  };
  const copyElement = (node) => {
    const level = /^H([1-6])$/.exec(node.tagName);
    const made = el(level ? `h${Math.min(6, Number(level[1]) + 1)}` : node.tagName);
    if (level && node.id) made.id = `kb-s-${node.id}`;
    if (node.tagName === "OL" && node.start !== 1) made.start = node.start;
    if (node.tagName === "PRE") made.tabIndex = 0;
    if (node.tagName === "A") link(made, node.getAttribute("href"));
    copy(node, made);
    if (cited && isCited(node, cited)) made.className = "cited";
    return node.tagName === "TABLE" ? el("div", { class: "scroll", tabindex: "0" }, made) : made;
  };
  const fragment = document.createDocumentFragment();
  copy(parse(html), fragment);
  return fragment;
}

/** Whether a leaf of the article, by its source lines, is what the citation names. */
function isCited(node, cited) {
  const lines = /^(\d+)-(\d+)$/.exec(node.dataset.line ?? "");
  return lines && !node.querySelector("[data-line]") && Number(lines[1]) <= cited.end_line && Number(lines[2]) >= cited.start_line;
}
