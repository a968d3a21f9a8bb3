// Search as you type: debounced, and a question that was overtaken is cancelled. The address holds text and filters.
// Typing changes the page's address in place, but not that of a search that was sent, opened or come back to.
import { announce } from "./announce.js";
import { readFilters } from "./filters.js";
import { remember, showHistory } from "./history.js";

const DELAY_MS = 250;
const SLOW_MS = 2500;
const SHORTEST = 3;
const ASIDE = "kb-aside";
const ENDED = "Your session has ended";

let box, area, clear, longest, controller, timer;
let filters = new URLSearchParams();
let shown = "";
let place = "";
let isKept = false;

export function initSearch() {
  const form = document.getElementById("kb-search");
  if (!form) return;
  box = document.getElementById("kb-q");
  area = document.getElementById("kb-results");
  clear = form.querySelector("[data-clear]");
  longest = Number(form.dataset.longest);
  filters = filtersOf(location);
  shown = keyOf(box.value);
  place = placeOf(location);
  const aside = takeAside();
  const kept = history.state?.text ?? aside;
  if (!box.value.trim() && kept) {
    box.value = kept;
    run(kept, { address: "replace" });
  } else reflect(box.value.trim());
  isKept = Boolean(box.value.trim());

  box.addEventListener("input", () => {
    clear.hidden = !box.value;
    clearTimeout(timer);
    timer = setTimeout(() => run(box.value, { address: isKept ? "push" : "replace" }), DELAY_MS);
  });
  box.addEventListener("keydown", (event) => {
    if (event.key === "Enter" && !event.shiftKey && !event.isComposing) {
      event.preventDefault();
      form.requestSubmit();
    }
  });
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    clearTimeout(timer);
    remember(box.value);
    run(box.value, { address: "push", again: true });
  });
  clear.addEventListener("click", () => start(""));
  area.addEventListener("change", (event) => {
    if (!event.target.closest("[data-filters]")) return;
    filters = readFilters(area);
    run(box.value, { address: "push", again: true });
  });
  document.addEventListener("click", onClick);
  addEventListener("popstate", onHistory);
}

function onClick(event) {
  const example = event.target.closest("a[data-example]");
  if (event.target.closest("[data-clear-filters]")) {
    event.preventDefault();
    filters = new URLSearchParams();
    run(box.value, { address: "push", again: true });
  } else if (example && !event.ctrlKey && !event.metaKey && !event.shiftKey) {
    event.preventDefault();
    const text = new URL(example.href).searchParams.get("q");
    remember(text);
    start(text);
  } else if (event.target.closest("a[data-open], a.cite")) {
    remember(box.value);
    isKept = true;
  } else if (event.target.closest('a[href="/sign-in"]')) putAside();
}

// Signing in leads back to this address, which does not hold a long text: it waits in this tab.
function putAside() {
  const text = box.value.trim();
  if (!text || isInAddress(text)) return;
  try {
    sessionStorage.setItem(ASIDE, text);
  } catch {
    // It can be pasted again.
  }
}

function takeAside() {
  try {
    const text = sessionStorage.getItem(ASIDE);
    sessionStorage.removeItem(ASIDE);
    return text;
  } catch {
    return null;
  }
}

function onHistory() {
  if (placeOf(location) === place && location.hash) return; // a jump within the page
  place = placeOf(location);
  box.value = history.state?.text ?? new URL(location.href).searchParams.get("q") ?? "";
  filters = filtersOf(location);
  isKept = Boolean(box.value);
  run(box.value, {});
}

function start(text) {
  box.value = text;
  filters = new URLSearchParams();
  run(text, { address: "push", again: text !== "" });
  box.focus();
}

async function run(text, { address, again = false }) {
  const wanted = text.trim();
  const key = keyOf(wanted);
  controller?.abort(); // what was asked before is overtaken, even if there is nothing to ask now
  if (!again && (key === shown || (wanted && wanted.length < SHORTEST))) {
    area.setAttribute("aria-busy", "false");
    return;
  }
  controller = new AbortController();
  const { signal } = controller;
  area.setAttribute("aria-busy", "true");
  const slow = setTimeout(() => announce("Still searching"), SLOW_MS);
  try {
    const query = wanted ? filters.toString() : "";
    const response = await fetch(`/results${query && `?${query}`}`, {
      method: "POST",
      headers: { "Content-Type": "text/plain; charset=utf-8" },
      body: wanted,
      signal,
    });
    const html = await response.text();
    if (signal.aborted) return;
    if (!show(html, wanted === textOf(shown))) fail(response.status, response.headers.get("Retry-After"));
    shown = key;
    writeAddress(wanted, address);
    if (address === "push") isKept = again;
  } catch (error) {
    if (error.name === "AbortError") return;
    fail(0);
    shown = null;
  } finally {
    clearTimeout(slow);
  }
  area.setAttribute("aria-busy", "false");
  reflect(wanted);
}

// Shows what the service sent; false if it is none of ours, such as a proxy's own page.
function show(html, isSameText) {
  const { body } = new DOMParser().parseFromString(html, "text/html");
  const view = body.querySelector("template[data-view]");
  if (!view) return false;
  view.remove();
  const focused = area.contains(document.activeElement) ? document.activeElement : null;
  const open = isSameText ? [...area.querySelectorAll("details[id][open]")].map((details) => details.id) : [];
  area.replaceChildren(...body.childNodes);
  for (const id of open) document.getElementById(id)?.setAttribute("open", "");
  if (focused) (document.getElementById(focused.id || "-") ?? area.querySelector(".facet summary") ?? box).focus();
  area.dispatchEvent(new CustomEvent("kb:results", { bubbles: true }));
  const found = area.querySelector("[data-announce]")?.dataset.announce ?? "";
  announce(area.querySelector(".answer") && showView(view) ? `${ENDED}. ${found}` : found);
  return true;
}

// Whose view it is may have changed since the page was loaded: a session ended, or another tab signed in or out. True if
// internal articles are missing now.
function showView(view) {
  const { scope } = document.body.dataset;
  document.body.dataset.scope = view.dataset.view;
  document.querySelector("[data-account]").replaceChildren(...view.content.childNodes);
  if (scope !== "internal" || view.dataset.view !== "public") return false;
  const ended = notice(ENDED, "These are public articles only. ");
  const link = document.createElement("a");
  link.href = "/sign-in";
  link.textContent = "Sign in again";
  ended.querySelector("p").append(link, " to see the internal ones.");
  area.prepend(ended);
  return true;
}

function fail(status, retryAfter) {
  const said = {
    0: ["The service cannot be reached", "Check the connection. The search runs again when you press Enter."],
    413: ["This text is too large", "Send the part with the symptom."],
    429: ["Too many requests", `Wait ${retryAfter ?? "a few"} seconds and press Enter.`],
  }[status] ?? ["The search failed", `The service answered with status ${status}. Press Enter to try again.`];
  const isFocused = area.contains(document.activeElement);
  area.replaceChildren(notice(...said));
  if (isFocused) box.focus();
  announce(said.join(". "));
}

function notice(title, text) {
  const section = document.createElement("section");
  section.className = "notice notice-error";
  const heading = document.createElement("h2");
  heading.textContent = title;
  const detail = document.createElement("p");
  detail.textContent = text;
  section.append(heading, detail);
  return section;
}

// A text that is too long for an address stays in this tab's history, so Back and reload find it.
function writeAddress(text, how) {
  if (!how) return;
  const query = new URLSearchParams(text && isInAddress(text) ? { q: text } : {});
  if (text) for (const [name, value] of filters) query.append(name, value);
  const url = query.size ? `/?${query}` : "/";
  const state = isInAddress(text) ? null : { text };
  const isSame = url === location.pathname + location.search && state?.text === history.state?.text;
  if (!isSame) history[how === "push" ? "pushState" : "replaceState"](state, "", url);
  place = placeOf(location);
}

function isInAddress(text) {
  return new URLSearchParams({ q: text }).toString().length <= longest;
}

function filtersOf({ search }) {
  const found = new URLSearchParams(search);
  found.delete("q");
  return found;
}

function placeOf({ pathname, search }) {
  return pathname + search;
}

function keyOf(text) {
  return `${text.trim()}\n${filters}`;
}

function textOf(key) {
  return key?.slice(0, key.lastIndexOf("\n"));
}

function reflect(text) {
  document.querySelector("[data-console]").classList.toggle("is-empty", !text);
  document.title = text ? `${text.slice(0, 60)} · Search · Symptom KB` : "Search · Symptom KB";
  clear.hidden = !box.value;
  showHistory(!text);
}
