// The console's entry: each module looks for its part of the page and does nothing where there is none.
import { initChecklists } from "./checklist.js";
import { initCopying } from "./clipboard.js";
import { initFeedback } from "./feedback.js";
import { initFilters } from "./filters.js";
import { initHistory } from "./history.js";
import { initReader } from "./reader.js";
import { initSearch } from "./search.js";
import { initShortcuts } from "./shortcuts.js";
import { initSignIn } from "./sign_in.js";
import { initTheme } from "./theme_toggle.js";

const parts = [
  initTheme, initHistory, initFilters, initSearch, initCopying, initFeedback, initChecklists, initReader, initShortcuts,
  initSignIn,
];
for (const init of parts) init();

let unfolded = [];
addEventListener("beforeprint", () => {
  unfolded = [...document.querySelectorAll("main details:not(.facet, [open])")];
  for (const folded of unfolded) folded.open = true;
});
addEventListener("afterprint", () => {
  for (const folded of unfolded) folded.open = false;
});
