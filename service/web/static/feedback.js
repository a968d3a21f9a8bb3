// Did it help? Sent with the article and the index version, never with the question.
import { announce } from "./announce.js";

export function initFeedback() {
  document.addEventListener("click", async (event) => {
    const button = event.target.closest("[data-feedback] button");
    if (!button || button.getAttribute("aria-pressed") === "true") return; // said already
    const group = button.closest("[data-feedback]");
    const body = {
      index_version: group.dataset.version,
      article: group.dataset.article,
      helpful: button.value === "true",
    };
    const before = group.querySelector("[aria-pressed=true]");
    press(group, button);
    try {
      const response = await fetch("/v1/feedback", {
        method: "POST",
        headers: { "Content-Type": "application/json" },
        body: JSON.stringify(body),
      });
      if (!response.ok) throw new Error(String(response.status));
      announce("Thank you, noted", { toast: true });
    } catch {
      press(group, before);
      announce("The feedback could not be sent", { toast: true });
    }
  });
}

function press(group, pressed) {
  for (const button of group.querySelectorAll("button")) button.setAttribute("aria-pressed", String(button === pressed));
}
