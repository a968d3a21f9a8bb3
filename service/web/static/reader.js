// An opened article: bring the cited lines into view, copy code, and go back to the search one came from.
import { copyText } from "./clipboard.js";

export function initReader() {
  const page = document.querySelector("[data-article-page]");
  if (!page) return;
  const cited = page.querySelector(".cited");
  if (cited) requestAnimationFrame(() => cited.scrollIntoView({ block: "center" }));
  page.querySelector("[data-back]").addEventListener("click", backToSearch);
  for (const code of page.querySelectorAll(".prose pre")) addCopyButton(code);
}

// Back in this tab's history, over sections and other articles read meanwhile, so that filters, scroll position and a text
// too long for an address are there again. In a tab of its own the search that led here is loaded anew.
function backToSearch(event) {
  const isSearch = (address) => address?.startsWith(`${location.origin}/?`) || address === `${location.origin}/`;
  const { navigation } = globalThis;
  const before = navigation?.entries().slice(0, navigation.currentEntry.index) ?? [];
  const search = before.findLast((entry) => isSearch(entry.url));
  if (!search && !isSearch(document.referrer)) return;
  event.preventDefault();
  if (search) navigation.traverseTo(search.key);
  else location.assign(document.referrer);
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
