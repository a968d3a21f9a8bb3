// Keyboard first. Single-key shortcuts can be turned off (WCAG 2.1.4) in the help.
import { load, save } from "./store.js";

const KEY = "kb-shortcuts";

export function initShortcuts() {
  const help = document.getElementById("kb-help");
  const toggle = help.querySelector("[data-shortcuts]");
  toggle.checked = load(KEY, true);
  toggle.addEventListener("change", () => save(KEY, toggle.checked));
  document.querySelector("[data-help]").addEventListener("click", () => help.showModal());
  help.addEventListener("click", (event) => {
    if (event.target === help) help.close();
  });
  document.addEventListener("keydown", (event) => {
    if (help.open || event.defaultPrevented || event.isComposing) return;
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const typing = event.target.matches("input:not([type=checkbox]), textarea, select");
    if (event.key === "ArrowDown" || event.key === "ArrowUp") walk(event, typing);
    else if (event.key === "Escape" && (!typing || event.target.id === "kb-message")) focusBox(event);
    else if (!typing && toggle.checked) single(event, help);
  });
}

function single(event, help) {
  if (event.key === "/") focusBox(event);
  else if (event.key === "?") {
    event.preventDefault();
    help.showModal();
  } else if (event.key === "f") {
    document.querySelector(".facet summary")?.focus();
  } else if (event.key === "c" && String(getSelection()) === "") {
    const results = [...document.querySelectorAll("[data-result]")];
    const chosen = document.activeElement.closest("[data-result]") ?? results.find((result) => result.checkVisibility());
    (chosen?.querySelector("[data-copy]") ?? document.querySelector("[data-shortcut=c]"))?.click();
  } else if (event.key === "m" || event.key === "n") {
    document.querySelector(`[data-shortcut=${event.key}]`)?.click();
  }
}

function focusBox(event) {
  const box = document.getElementById("kb-q");
  event.preventDefault();
  if (!box) location.assign("/");
  box?.focus();
  box?.select();
}

function walk(event, typing) {
  const links = [...document.querySelectorAll("[data-result] [data-open]")].filter((link) => link.checkVisibility());
  if (!links.length) return;
  const box = document.getElementById("kb-q");
  const down = event.key === "ArrowDown";
  if (typing) {
    const atEnd = event.target === box && box.selectionStart === box.value.length && box.selectionEnd === box.value.length;
    if (!down || !atEnd) return;
  }
  const current = links.indexOf(document.activeElement.closest("[data-result]")?.querySelector("[data-open]"));
  const next = typing ? 0 : current + (down ? 1 : -1);
  event.preventDefault();
  if (next < 0) box?.focus();
  else links[Math.min(next, links.length - 1)].focus();
}
