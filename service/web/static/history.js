// Recent searches, in this browser only.
import { load, save } from "./store.js";

const KEY = "kb-recent";
const MOST = 8;
const LONGEST = 1500;

export function remember(text) {
  const value = text.trim();
  if (value.length < 3 || value.length > LONGEST) return;
  save(KEY, [value, ...load(KEY, []).filter((other) => other !== value)].slice(0, MOST));
}

export function showHistory(visible) {
  const section = document.querySelector("[data-recent]");
  if (!section) return;
  const recent = load(KEY, []);
  section.hidden = !visible || recent.length === 0;
  const items = recent.map((text) => {
    const item = document.createElement("li");
    const link = document.createElement("a");
    link.href = `/?${new URLSearchParams({ q: text })}`;
    link.dataset.example = "";
    link.textContent = text.length > 110 ? `${text.slice(0, 110)}…` : text;
    item.append(link);
    return item;
  });
  section.querySelector("[data-recent-list]").replaceChildren(...items);
}

export function initHistory() {
  document.querySelector("[data-recent-clear]")?.addEventListener("click", () => {
    save(KEY, null);
    showHistory(false);
    document.getElementById("kb-q")?.focus();
  });
}
