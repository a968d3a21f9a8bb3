// The first steps of a runbook, to tick off and to copy into the ticket. Ticks last as long as the tab.
import { copyText } from "./clipboard.js";

let lists = 0;

export function initChecklists() {
  const template = document.getElementById("kb-checklist");
  const list = template && listBelowHeading();
  if (list) {
    const bar = template.content.querySelector(".checklist-bar").cloneNode(true);
    list.before(bar);
    arm(list, bar, stepsOf(template.content), template.dataset);
  }
  findChecklists(document);
  document.addEventListener("kb:results", (event) => findChecklists(event.target));
}

function findChecklists(root) {
  for (const section of root.querySelectorAll("[data-checklist]")) {
    arm(section.querySelector("ol"), section.querySelector(".checklist-bar"), stepsOf(section), section.dataset);
  }
}

function stepsOf(root) {
  return [...root.querySelectorAll("[data-step]")].map((item) => item.dataset.step);
}

function arm(list, bar, steps, { title, url, key }) {
  const items = [...list.children].filter((item) => item.matches("li"));
  if (!items.length || items.length !== steps.length) {
    bar.remove();
    return;
  }
  const place = `kb-steps-${key}`;
  const done = new Set(recall(place));
  const number = lists++;
  list.classList.add("checklist");
  const boxes = items.map((item, index) => {
    const box = document.createElement("input");
    box.type = "checkbox";
    box.checked = done.has(index);
    const label = item.querySelector("span, p") ?? item;
    label.id = `kb-step-${number}-${index}`;
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
      sessionStorage.setItem(place, JSON.stringify(ticked));
    } catch {
      // Ticks are then kept on the page only.
    }
  }

  bar.querySelector("[data-checklist-copy]").addEventListener("click", () => {
    const lines = steps.map((step, index) => {
      const [first, ...rest] = step.split("\n");
      return [`- [${boxes[index].checked ? "x" : " "}] ${first}`, ...rest.map((line) => `  ${line}`.trimEnd())].join("\n");
    });
    copyText(`**First 15 minutes: ${title}**\n\n${lines.join("\n")}\n\nSource: <${url}>\n`, "Checklist copied");
  });
  bar.querySelector("[data-checklist-reset]").addEventListener("click", () => {
    boxes.forEach((box) => (box.checked = false));
    update();
  });
  update();
}

function listBelowHeading() {
  const heading = [...document.querySelectorAll(".prose :is(h2, h3)")].find(
    (candidate) => candidate.textContent.trim().toLowerCase() === "first 15 minutes",
  );
  for (let next = heading?.nextElementSibling; next && !/^H[1-6]$/.test(next.tagName); next = next.nextElementSibling) {
    if (next.matches("ol")) return next;
  }
  return null;
}

function recall(place) {
  try {
    return JSON.parse(sessionStorage.getItem(place)) ?? [];
  } catch {
    return [];
  }
}
