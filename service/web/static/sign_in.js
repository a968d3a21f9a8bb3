// A one-time sign-in link carries its token in the fragment, which is never sent and is wiped from the address at once.
export function initSignIn() {
  const page = document.querySelector("[data-sign-in]");
  if (!page) return;
  const problem = page.querySelector("[data-sign-in-error]");
  addEventListener("hashchange", () => signIn(problem)); // a link that is pasted where this page is open
  signIn(problem);
}

async function signIn(problem) {
  const token = new URLSearchParams(location.hash.slice(1)).get("token");
  if (!token) return;
  history.replaceState(null, "", "/sign-in");
  problem.hidden = true;
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
    problem.textContent = explain(response.status, response.headers.get("Retry-After"));
  } catch {
    problem.textContent = "The service cannot be reached. Open the link again when it can.";
  }
  problem.hidden = false;
}

// Only 401 says something about the link; after anything else it still works.
function explain(status, retryAfter) {
  if (status === 401) {
    return "This sign-in link was used already or is no longer valid. Start the service again for a new one.";
  }
  if (status === 429) return `Too many requests. Wait ${retryAfter ?? "a few"} seconds and open the link again.`;
  return `The service answered with status ${status}. Open the link again in a moment.`;
}
