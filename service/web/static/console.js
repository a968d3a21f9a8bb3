// The console's entry: each module looks for its part of the page and does nothing where there is none.
import { initChecklist } from "./checklist.js";
import { initCopying } from "./clipboard.js";
import { initFeedback } from "./feedback.js";
import { initHistory } from "./history.js";
import { initReader } from "./reader.js";
import { initSearch } from "./search.js";
import { initShortcuts } from "./shortcuts.js";
import { initSignIn } from "./sign_in.js";

document.documentElement.classList.add("js");
for (const init of [initHistory, initSearch, initCopying, initFeedback, initChecklist, initReader, initShortcuts, initSignIn]) {
  init();
}
