// The runbook's first steps, to tick off and to copy into the ticket. Ticks last as long as the tab.
import { copyText } from "./clipboard.js";

export function initChecklist() {
  const template = document.getElementById("kb-checklist");
  if (!template) return;
  const list = findList();
  const steps = [...template.content.querySelectorAll("[data-step]")].map((item) => item.dataset.step);
  const items = list ? [...list.children].filter((item) => item.matches("li")) : [];
  if (!items.length || items.length !== steps.length) return;
  const key = `kb-steps-${document.querySelector("[data-article-page]").dataset.key}`;
  const done = new Set(recall(key));
  const bar = template.content.querySelector(".checklist-bar").cloneNode(true);
  list.classList.add("checklist");
  list.before(bar);

  const boxes = items.map((item, index) => {
    const box = document.createElement("input");
    box.type = "checkbox";
    box.checked = done.has(index);
    const label = item.querySelector("span, p") ?? item;
    label.id = `kb-step-${index}`;
    box.setAttribute("aria-labelledby", label.id);
    item.prepend(box);
    box.addEventListener("change", update);
    return box;
  });

  function update() {
    const ticked = boxes.flatMap((box, index) => (box.checked ? [index] : []));
    boxes.forEach((box, index) => items[index].classList.toggle("is-done", box.checked));
    bar.querySelector("[data-progress]").textContent = `${ticked.length} of ${boxes.length} done`;
    try {
      sessionStorage.setItem(key, JSON.stringify(ticked));
    } catch {
      // Ticks are then kept on the page only.
    }
  }

  bar.querySelector("[data-checklist-copy]").addEventListener("click", () => {
    const lines = steps.map((step, index) => {
      const [first, ...rest] = step.split("\n");
      return [`- [${boxes[index].checked ? "x" : " "}] ${first}`, ...rest.map((line) => `  ${line}`.trimEnd())].join("\n");
    });
    const { title, url } = template.dataset;
    copyText(`**First 15 minutes: ${title}**\n\n${lines.join("\n")}\n\nSource: <${url}#${list.dataset.anchor}>\n`, "Checklist copied");
  });
  bar.querySelector("[data-checklist-reset]").addEventListener("click", () => {
    boxes.forEach((box) => (box.checked = false));
    update();
  });
  update();
}

function findList() {
  const heading = [...document.querySelectorAll(".prose :is(h2, h3)")].find(
    (candidate) => candidate.textContent.trim().toLowerCase() === "first 15 minutes",
  );
  for (let next = heading?.nextElementSibling; next && !/^H[1-6]$/.test(next.tagName); next = next.nextElementSibling) {
    if (next.matches("ol")) {
      next.dataset.anchor = heading.id;
      return next;
    }
  }
  return null;
}

function recall(key) {
  try {
    return JSON.parse(sessionStorage.getItem(key)) ?? [];
  } catch {
    return [];
  }
}
