// An opened article: bring the cited lines into view, and go back to the search one came from.
export function initReader() {
  const page = document.querySelector("[data-article-page]");
  if (!page) return;
  const cited = page.querySelector(".cited");
  if (cited) requestAnimationFrame(() => cited.scrollIntoView({ block: "center" }));
  page.querySelector("[data-back]").addEventListener("click", (event) => {
    if (document.referrer.startsWith(`${location.origin}/?`) || document.referrer === `${location.origin}/`) {
      event.preventDefault();
      history.back();
    }
  });
}
