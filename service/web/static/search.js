// Search as you type: debounced, and a question that was overtaken is cancelled.
import { announce } from "./announce.js";
import { remember, showHistory } from "./history.js";

const DELAY_MS = 250;
const SHORTEST = 3;
const LONGEST_IN_URL = 1500;

let box, area, clear, controller, timer;
let shown = null;

export function initSearch() {
  const form = document.getElementById("kb-search");
  if (!form) return;
  box = document.getElementById("kb-q");
  area = document.getElementById("kb-results");
  clear = form.querySelector("[data-clear]");
  shown = box.value.trim();
  reflect(shown);
  box.addEventListener("input", () => {
    clear.hidden = !box.value;
    clearTimeout(timer);
    timer = setTimeout(() => run(box.value, { address: "replace" }), DELAY_MS);
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
  clear.addEventListener("click", () => {
    box.value = "";
    run("", { address: "push" });
    box.focus();
  });
  document.addEventListener("click", (event) => {
    const example = event.target.closest("a[data-example]");
    if (example && !event.ctrlKey && !event.metaKey && !event.shiftKey) {
      event.preventDefault();
      box.value = new URL(example.href).searchParams.get("q");
      form.requestSubmit();
    } else if (event.target.closest("a[data-open], a.cite")) {
      remember(box.value);
    }
  });
  addEventListener("popstate", () => {
    box.value = new URL(location.href).searchParams.get("q") ?? "";
    run(box.value, {});
  });
}

async function run(text, { address, again = false }) {
  const wanted = text.trim();
  if (wanted.length > 0 && wanted.length < SHORTEST && !again) return;
  if (wanted === shown && !again) return;
  controller?.abort();
  controller = new AbortController();
  const { signal } = controller;
  area.setAttribute("aria-busy", "true");
  try {
    const response = await fetch("/results", {
      method: "POST",
      headers: { "Content-Type": "text/plain; charset=utf-8" },
      body: wanted,
      signal,
    });
    const html = await response.text();
    if (signal.aborted) return;
    if (response.headers.get("Content-Type")?.startsWith("text/html")) show(html);
    else fail(response.status, response.headers.get("Retry-After"));
    shown = wanted;
    writeAddress(wanted, address);
  } catch (error) {
    if (error.name === "AbortError") return;
    fail(0);
    shown = null;
  }
  area.setAttribute("aria-busy", "false");
  reflect(wanted);
}

function show(html) {
  const parsed = new DOMParser().parseFromString(html, "text/html");
  area.replaceChildren(...parsed.body.childNodes);
  announce(area.querySelector("[data-announce]")?.dataset.announce ?? "");
}

function fail(status, retryAfter) {
  const said = {
    0: ["The service cannot be reached", "Check the connection. The search runs again when you press Enter."],
    413: ["This text is too large", "Send the part with the symptom."],
    429: ["Too many requests", `Wait ${retryAfter ?? "a few"} seconds and press Enter.`],
  }[status] ?? ["The search failed", `The service answered with status ${status}. Press Enter to try again.`];
  const notice = document.createElement("section");
  notice.className = "notice notice-error";
  const heading = document.createElement("h2");
  heading.textContent = said[0];
  const detail = document.createElement("p");
  detail.textContent = said[1];
  notice.append(heading, detail);
  area.replaceChildren(notice);
  announce(said.join(". "));
}

function writeAddress(text, how) {
  if (!how) return;
  const url = text && text.length <= LONGEST_IN_URL ? `/?q=${encodeURIComponent(text)}` : "/";
  if (url === location.pathname + location.search) return;
  history[how === "push" ? "pushState" : "replaceState"](null, "", url);
}

function reflect(text) {
  document.querySelector("[data-console]").classList.toggle("is-empty", !text);
  document.title = text ? `${text.slice(0, 60)} · Search · Symptom KB` : "Search · Symptom KB";
  clear.hidden = !box.value;
  showHistory(!text);
}
