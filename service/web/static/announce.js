// One polite live region for the whole page; what is said as a toast is also seen for a moment.
let timer = 0;

export function announce(text, { toast = false } = {}) {
  const status = document.getElementById("kb-status");
  if (!status) return;
  clearTimeout(timer);
  status.classList.toggle("is-shown", toast);
  status.textContent = text;
  if (toast) timer = setTimeout(() => status.classList.remove("is-shown"), 2500);
}
