// An opened article: bring the cited lines into view, copy code, and go back to the search one came from.
import { copyText } from "./clipboard.js";

export function initReader() {
  const page = document.querySelector("[data-article-page]");
  if (!page) return;
  const cited = page.querySelector(".cited");
  if (cited) requestAnimationFrame(() => cited.scrollIntoView({ block: "center" }));
  page.querySelector("[data-back]").addEventListener("click", (event) => {
    if (document.referrer.startsWith(`${location.origin}/?`) || document.referrer === `${location.origin}/`) {
      event.preventDefault();
      history.back();
    }
  });
  for (const code of page.querySelectorAll(".prose pre")) addCopyButton(code);
}

function addCopyButton(code) {
  const frame = document.createElement("div");
  frame.className = "code";
  const button = document.createElement("button");
  button.type = "button";
  button.textContent = "Copy";
  button.setAttribute("aria-label", "Copy this code");
  button.addEventListener("click", () => copyText(code.textContent.replace(/\n$/, ""), "Code copied"));
  code.replaceWith(frame);
  frame.append(code, button);
}
