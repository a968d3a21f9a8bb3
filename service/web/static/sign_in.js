// A one-time sign-in link carries its token in the fragment, which is never sent and is wiped from the address at once.
export async function initSignIn() {
  const page = document.querySelector("[data-sign-in]");
  const token = new URLSearchParams(location.hash.slice(1)).get("token");
  if (!page || !token) return;
  history.replaceState(null, "", "/sign-in");
  const problem = page.querySelector("[data-sign-in-error]");
  try {
    const response = await fetch("/v1/session", {
      method: "POST",
      headers: { "Content-Type": "application/json" },
      body: JSON.stringify({ token }),
    });
    if (response.ok) {
      location.replace("/");
      return;
    }
    problem.textContent = "This sign-in link was used already or is no longer valid. Start the service again for a new one.";
  } catch {
    problem.textContent = "The service cannot be reached.";
  }
  problem.hidden = false;
}
