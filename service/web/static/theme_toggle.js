// System, light, dark: one button goes round; the choice is kept in this browser.
import { announce } from "./announce.js";
import { save } from "./store.js";

const NAMES = { system: "as the system", light: "light", dark: "dark" };
const NEXT = { system: "light", light: "dark", dark: "system" };

export function initTheme() {
  const button = document.querySelector("[data-theme-toggle]");
  const root = document.documentElement;
  const current = () => root.dataset.theme ?? "system";
  const label = () => button.setAttribute("aria-label", `Theme: ${NAMES[current()]}`);
  button.addEventListener("click", () => {
    const theme = NEXT[current()];
    if (theme === "system") delete root.dataset.theme;
    else root.dataset.theme = theme;
    save("kb-theme", theme === "system" ? null : theme);
    label();
    announce(`Theme: ${NAMES[theme]}`, { toast: true });
  });
  label();
}
