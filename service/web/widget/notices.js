// Why there is nothing to show, in words, with a way on.

import { el } from "./dom.js";
import { Trouble } from "./service.js";

/** A notice for a failed request, with a button that tries again. */
export function notice(host, error, retry) {
  const { voice } = host;
  const trouble = error instanceof Trouble ? error : new Trouble("failed");
  if (!(error instanceof Trouble)) console.error(error);
  if (trouble.kind === "refused") console.warn("kb-help: the service refuses this key; is it made for this page's origin?");
  return el("div", { class: "notice", part: "notice" },
    el("p", {}, voice.say(trouble.kind === "refused" ? "failed" : trouble.kind, { when: voice.seconds(trouble.waitS) })),
    trouble.kind !== "refused" ? el("button", { type: "button", part: "button retry", onclick: retry }, voice.say("retry")) : null);
}

/** Calls `retry` when it may work again: back online, or after the wait that the service asked for. */
export function retryLater(error, retry, signal) {
  if (error.kind === "offline") addEventListener("online", retry, { once: true, signal });
  if (error.kind === "busy") {
    const timer = setTimeout(retry, error.waitS * 1000);
    signal.addEventListener("abort", () => clearTimeout(timer));
  }
}
