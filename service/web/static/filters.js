// The filters' menus: one open at a time, closed by Escape and by a click elsewhere.
export function initFilters() {
  document.addEventListener("keydown", (event) => {
    const menu = event.key === "Escape" && document.querySelector(".facet[open]");
    if (!menu) return;
    event.preventDefault();
    const held = menu.contains(document.activeElement);
    menu.open = false;
    if (held) menu.querySelector("summary").focus();
  });
  document.addEventListener("click", (event) => {
    for (const menu of document.querySelectorAll(".facet[open]")) {
      if (!menu.contains(event.target)) menu.open = false;
    }
  });
}

export function readFilters(root) {
  const chosen = new URLSearchParams();
  for (const box of root.querySelectorAll("[data-filters] input:checked")) chosen.append(box.name, box.value);
  return chosen;
}
