// A plain script in the head, so that a chosen theme is there before the first paint. Without a choice the system's stands.
{
  const root = document.documentElement;
  root.classList.add("js");
  try {
    const theme = JSON.parse(localStorage.getItem("kb-theme"));
    if (theme === "light" || theme === "dark") root.dataset.theme = theme;
  } catch {
    // The system's theme is a good one too.
  }
}
