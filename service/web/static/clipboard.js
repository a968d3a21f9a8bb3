// Copy as Markdown: the text is written by the service, so a reply always carries its citations.
import { announce } from "./announce.js";

export async function copyText(text, said) {
  try {
    await navigator.clipboard.writeText(text);
  } catch {
    const field = document.createElement("textarea");
    field.value = text;
    field.className = "visually-hidden";
    const before = document.activeElement;
    document.body.append(field);
    field.select();
    const done = document.execCommand("copy");
    field.remove();
    before?.focus();
    if (!done) {
      announce("Your browser does not let this page copy", { toast: true });
      return;
    }
  }
  announce(said, { toast: true });
}

export function initCopying() {
  document.addEventListener("click", (event) => {
    const button = event.target.closest("[data-copy], [data-copy-from]");
    if (!button) return;
    const { copy, copyFrom, said } = button.dataset;
    copyText(copy ?? document.getElementById(copyFrom).value, said);
  });
}
